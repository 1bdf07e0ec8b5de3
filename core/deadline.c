/* Deadlines by the ten thousand: a hashed timing wheel.
 *
 * An entry is linked in the slot of its due time, or in the farthest one when it
 * is due beyond a turn of the wheel; on a visit it expires or is linked anew. So
 * moving a deadline to later, which every byte received does, only writes `due`. */
#include "deadline.h"

void wheel_init(wheel *timers, int64_t now) {
  for (size_t i = 0; i < WHEEL_SLOTS; i++) list_init(&timers->slots[i]);
  for (size_t i = 0; i < WHEEL_SLOTS / 64; i++) timers->occupied[i] = 0;
  timers->tick = now / WHEEL_TICK_MS;
}

void deadline_init(deadline *entry, deadline_handler *handler) {
  entry->handler = handler;
  list_init(&entry->link);
  entry->due = DEADLINE_NEVER;
  entry->slot = -1;
}

/* Rounded up, so that nothing expires early. */
static int64_t tick_of(int64_t due) {
  return due / WHEEL_TICK_MS + (due % WHEEL_TICK_MS != 0);
}

static void link_entry(wheel *timers, deadline *entry) {
  int64_t tick = tick_of(entry->due);
  if (tick < timers->tick) tick = timers->tick;
  if (tick >= timers->tick + WHEEL_SLOTS) tick = timers->tick + WHEEL_SLOTS - 1;
  entry->slot = (int32_t)(tick % WHEEL_SLOTS);
  list_append(&timers->slots[entry->slot], &entry->link);
  timers->occupied[entry->slot / 64] |= UINT64_C(1) << (entry->slot % 64);
}

/* The tick at which a linked entry's slot is visited. */
static int64_t visit_tick(const wheel *timers, const deadline *entry) {
  int64_t distance = (entry->slot - timers->tick % WHEEL_SLOTS + WHEEL_SLOTS) % WHEEL_SLOTS;
  return timers->tick + distance;
}

void wheel_clear(wheel *timers, deadline *entry) {
  entry->due = DEADLINE_NEVER;
  list_remove(&entry->link); /* it may have expired and wait for its handler */
  if (entry->slot < 0) return;
  if (list_empty(&timers->slots[entry->slot]))
    timers->occupied[entry->slot / 64] &= ~(UINT64_C(1) << (entry->slot % 64));
  entry->slot = -1;
}

void wheel_set(wheel *timers, deadline *entry, int64_t due) {
  if (due == DEADLINE_NEVER) {
    wheel_clear(timers, entry);
    return;
  }
  if (entry->slot >= 0 && tick_of(due) >= visit_tick(timers, entry)) {
    entry->due = due;
    return;
  }
  wheel_clear(timers, entry);
  entry->due = due;
  link_entry(timers, entry);
}

static void visit_slot(wheel *timers, size_t slot, int64_t now, list *expired) {
  list visited;
  list_init(&visited);
  list_move_all(&timers->slots[slot], &visited);
  timers->occupied[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
  for (list_node *node; (node = list_shift(&visited));) {
    deadline *entry = list_entry(node, deadline, link);
    entry->slot = -1;
    if (entry->due <= now)
      list_append(expired, node);
    else
      link_entry(timers, entry);
  }
}

void wheel_expire(wheel *timers, int64_t now, void *context) {
  list expired;
  list_init(&expired);
  int64_t last = now / WHEEL_TICK_MS;
  int64_t first = timers->tick;
  if (last - first >= WHEEL_SLOTS) first = last - WHEEL_SLOTS + 1;
  for (int64_t tick = first; tick <= last; tick++) {
    timers->tick = tick + 1; /* what is linked anew must land in a later visit */
    visit_slot(timers, (size_t)(tick % WHEEL_SLOTS), now, &expired);
  }
  for (list_node *node; (node = list_shift(&expired));) {
    deadline *entry = list_entry(node, deadline, link);
    entry->due = DEADLINE_NEVER;
    entry->handler(entry, context);
  }
}

int64_t wheel_next(const wheel *timers) {
  size_t start = (size_t)(timers->tick % WHEEL_SLOTS);
  for (size_t step = 0; step <= WHEEL_SLOTS / 64; step++) {
    size_t word = (start / 64 + step) % (WHEEL_SLOTS / 64);
    uint64_t bits = timers->occupied[word];
    if (step == 0) bits &= ~UINT64_C(0) << (start % 64);
    if (!bits) continue;
    size_t slot = word * 64 + (size_t)__builtin_ctzll(bits);
    int64_t distance = ((int64_t)slot - (int64_t)start + WHEEL_SLOTS) % WHEEL_SLOTS;
    return (timers->tick + distance) * WHEEL_TICK_MS;
  }
  return DEADLINE_NEVER;
}
