/* Deadlines by the ten thousand: a hashed timing wheel. Setting, moving and
 * clearing one is O(1); an expiry is at most one tick (8 ms) late.
 * Time is passed in (milliseconds, any origin), so it is tested without
 * sleeping. Not locked. */
#ifndef SHEEP_DEADLINE_H
#define SHEEP_DEADLINE_H

#include "list.h"

#include <stdint.h>

enum { WHEEL_SLOTS = 1024, WHEEL_TICK_MS = 8 };

#define DEADLINE_NEVER INT64_MAX

typedef struct deadline {
  list_node link;
  int64_t due;
  int32_t slot; /* where it is linked; -1 while it is not */
} deadline;

typedef struct wheel {
  list slots[WHEEL_SLOTS];
  uint64_t occupied[WHEEL_SLOTS / 64]; /* a bit for each slot that isn't empty */
  int64_t tick;                        /* every slot before it has been visited */
} wheel;

void wheel_init(wheel *timers, int64_t now);
void deadline_init(deadline *entry);
/* DEADLINE_NEVER clears it. */
void wheel_set(wheel *timers, deadline *entry, int64_t due);
void wheel_clear(wheel *timers, deadline *entry);
/* Moves the entries that are due at `now` to `expired`, by their links. */
void wheel_expire(wheel *timers, int64_t now, list *expired);
/* When to call wheel_expire next, or DEADLINE_NEVER. It may be earlier than any
 * entry is due (one set for later than the wheel turns, or moved to later). */
int64_t wheel_next(const wheel *timers);

#endif
