/* A growing byte buffer with a cap. */
#include "buf.h"

#include "alloc.h"
#include "error.h"

#include <string.h>

enum { FIRST_CAPACITY = 256 };

static int32_t grow(buf *buffer, size_t total) {
  if (total == SIZE_MAX) return SHEEP_E_NOMEM; /* no room for the terminator */
  char *data = mem_realloc(buffer->data, total + 1);
  if (!data) return SHEEP_E_NOMEM;
  buffer->data = data;
  buffer->capacity = total + 1;
  return SHEEP_OK;
}

/* Doubles, so that n appends copy O(n) bytes; never beyond the cap. */
static size_t next_total(const buf *buffer, size_t needed, size_t limit) {
  size_t total = buffer->capacity ? buffer->capacity * 2 : FIRST_CAPACITY;
  if (total > limit) total = limit;
  return total < needed ? needed : total;
}

int32_t buf_append(buf *buffer, const void *bytes, size_t length, size_t limit) {
  if (length > limit || buffer->length > limit - length) return SHEEP_E_TOO_LARGE;
  size_t needed = buffer->length + length;
  if (needed >= buffer->capacity) {
    int32_t result = grow(buffer, next_total(buffer, needed, limit));
    if (result) return result;
  }
  if (length) memcpy(buffer->data + buffer->length, bytes, length);
  buffer->length = needed;
  buffer->data[needed] = '\0';
  return SHEEP_OK;
}

void buf_free(buf *buffer) {
  mem_free(buffer->data);
  *buffer = (buf){0};
}
