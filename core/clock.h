/* Monotonic time, and the calendar's. */
#ifndef SHEEP_CLOCK_H
#define SHEEP_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Microseconds since 1970, for what outlives the process. */
static inline int64_t clock_wall_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
