/* A growing byte buffer with a cap, NUL-terminated at all times once it holds
 * anything. Not locked: one owner at a time. */
#ifndef SHEEP_BUF_H
#define SHEEP_BUF_H

#include <stddef.h>
#include <stdint.h>

typedef struct buf {
  char *data; /* NULL while empty */
  size_t length;
  size_t capacity; /* of data, with the terminator */
} buf;

/* Appends; SHEEP_E_TOO_LARGE beyond `limit` bytes in all, or SHEEP_E_NOMEM. On
 * failure the buffer is as it was. */
int32_t buf_append(buf *buffer, const void *bytes, size_t length, size_t limit);
void buf_free(buf *buffer);

#endif
