/* Deadlines by the ten thousand: a hashed timing wheel. Setting, moving and
 * clearing one is O(1); an expiry is at most one tick (8 ms) late.
 * Time is passed in (milliseconds, from 0), so it is tested without
 * sleeping. Not locked. */
#ifndef SHEEP_DEADLINE_H
#define SHEEP_DEADLINE_H

#include "list.h"

#include <stdint.h>

enum { WHEEL_SLOTS = 1024, WHEEL_TICK_MS = 8 };

#define DEADLINE_NEVER INT64_MAX

typedef struct deadline deadline;
typedef void deadline_handler(deadline *expired, void *context);

struct deadline {
  list_node link;
  deadline_handler *handler;
  int64_t due;
  int32_t slot; /* where it is linked; -1 while it is not */
};

typedef struct wheel {
  list slots[WHEEL_SLOTS];
  uint64_t occupied[WHEEL_SLOTS / 64]; /* a bit for each slot that isn't empty */
  int64_t tick;                        /* every slot before it has been visited */
} wheel;

void wheel_init(wheel *timers, int64_t now);
void deadline_init(deadline *entry, deadline_handler *handler);
/* DEADLINE_NEVER clears it. */
void wheel_set(wheel *timers, deadline *entry, int64_t due);
void wheel_clear(wheel *timers, deadline *entry);
/* Takes out the entries that are due at `now` and calls each one's handler, which
 * may set, move and clear any entry. */
void wheel_expire(wheel *timers, int64_t now, void *context);
/* When to call wheel_expire next, or DEADLINE_NEVER. It may be earlier than any
 * entry is due (one set for later than the wheel turns, or moved to later). */
int64_t wheel_next(const wheel *timers);

#endif
