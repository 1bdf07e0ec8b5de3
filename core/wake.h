/* A descriptor that another thread makes readable. An eventfd on Linux, a pipe
 * elsewhere. */
#ifndef SHEEP_WAKE_H
#define SHEEP_WAKE_H

#include <stdint.h>

typedef struct wake {
  int read_fd;
  int write_fd; /* the same as read_fd for an eventfd */
} wake;

/* SHEEP_OK, or SHEEP_E_SYSTEM when no descriptor is left. */
int32_t wake_open(wake *signal);
void wake_signal(const wake *signal);
void wake_clear(const wake *signal);
/* In a forked child: puts descriptors of its own under the same numbers, so that
 * the parent's are not touched. */
void wake_reopen(wake *signal);
void wake_close(wake *signal);

#endif
