/* The event loop: libuv, and the only file that knows it. One thread runs it;
 * loop_wake alone may be called from others. */
#ifndef SHEEP_LOOP_H
#define SHEEP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2, LOOP_FAILED = 4 };

typedef struct loop loop;
typedef struct watch watch;

/* What happens; `context` is as given to loop_new. */
typedef struct loop_handlers {
  void (*woken)(void *context);
  void (*timer)(void *context);
  void (*turn)(void *context);
  void (*before_poll)(void *context);
  /* "1.2.3.4,[::1]", or NULL with an error number and its `reason`. */
  void (*resolved)(void *context, const char *addresses, int32_t result, const char *reason);
} loop_handlers;

typedef void watch_handler(void *owner, int readiness);

loop *loop_new(const loop_handlers *handlers, void *context);
/* Returns after loop_stop. */
void loop_run(loop *events);
void loop_stop(loop *events);
/* A look-up that the system's resolver is at cannot be stopped, and comes back to the
 * loop: a thread of its own waits for that, so that nobody else does. */
void loop_free(loop *events);

void loop_wake(loop *events);
/* The time of this turn in milliseconds, and the same read anew. */
int64_t loop_now(const loop *events);
int64_t loop_refresh_now(loop *events);
/* `timer` once, at this time of loop_now. */
void loop_set_timer(loop *events, int64_t due);
/* `turn` before each poll, which then doesn't block. */
void loop_keep_turning(loop *events, bool on);
/* Starts a look-up; one at a time. Returns 0 or an error number. */
int32_t loop_resolve(loop *events, const char *host);

/* NULL when memory or descriptors ran out. */
watch *loop_watch(loop *events, int fd, watch_handler *handler, void *owner);
/* Which of LOOP_READABLE and LOOP_WRITABLE are of interest; 0: none. */
void watch_set(watch *watched, int interest);
/* To be called before the descriptor is closed. */
void watch_close(watch *watched);

#endif
