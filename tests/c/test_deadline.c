/* deadline.h: the timing wheel, held against a naive model with time passed in. */
#include "unit.h"

#include "deadline.h"

#include <string.h>

enum { ENTRIES = 200, TURN_MS = WHEEL_SLOTS * WHEEL_TICK_MS };

typedef struct timed {
  deadline entry;
  int64_t due; /* as the model knows it; DEADLINE_NEVER: not set */
  int64_t owed; /* `due`, but not before it was set */
  int expired; /* how often */
} timed;

/* What a handler gets. */
typedef struct clockwork {
  wheel timers;
  int64_t now;
  timed entries[ENTRIES];
  void (*act)(struct clockwork *self, timed *expired);
} clockwork;

static void on_expired(deadline *entry, void *context) {
  clockwork *self = context;
  timed *expired = list_entry(entry, timed, entry);
  assert_true(expired->due <= self->now); /* not early, and not after a clear */
  expired->due = expired->owed = DEADLINE_NEVER;
  expired->expired++;
  if (self->act) self->act(self, expired);
}

static void start(clockwork *self, int64_t now) {
  memset(self, 0, sizeof *self);
  self->now = now;
  wheel_init(&self->timers, now);
  for (int i = 0; i < ENTRIES; i++) {
    deadline_init(&self->entries[i].entry, on_expired);
    self->entries[i].due = self->entries[i].owed = DEADLINE_NEVER;
  }
}

static void set(clockwork *self, timed *entry, int64_t due) {
  entry->due = due;
  entry->owed = due < self->now ? self->now : due;
  wheel_set(&self->timers, &entry->entry, due);
}

static void clear(clockwork *self, timed *entry) {
  entry->due = entry->owed = DEADLINE_NEVER;
  wheel_clear(&self->timers, &entry->entry);
}

static int64_t earliest_owed(const clockwork *self) {
  int64_t earliest = DEADLINE_NEVER;
  for (int i = 0; i < ENTRIES; i++)
    if (self->entries[i].owed < earliest) earliest = self->entries[i].owed;
  return earliest;
}

/* What must hold between two expiries, by the header's words. */
static void check_against_model(const clockwork *self) {
  int64_t earliest = earliest_owed(self);
  int64_t next = wheel_next(&self->timers);
  if (earliest == DEADLINE_NEVER)
    assert_true(next == DEADLINE_NEVER);
  else
    assert_true(next - earliest <= WHEEL_TICK_MS);
}

static void advance(clockwork *self, int64_t by) {
  self->now += by;
  wheel_expire(&self->timers, self->now, self);
  assert_true(earliest_owed(self) > self->now - WHEEL_TICK_MS); /* at most a tick late */
  assert_true(wheel_next(&self->timers) > self->now);          /* no loop that spins */
}

static void an_empty_wheel_has_nothing_to_do(void **state) {
  (void)state;
  clockwork self;
  start(&self, 1000);
  assert_true(wheel_next(&self.timers) == DEADLINE_NEVER);
  advance(&self, 10 * TURN_MS);
  clear(&self, &self.entries[0]);
  assert_true(wheel_next(&self.timers) == DEADLINE_NEVER);
}

static void expires_once_when_due(void **state) {
  (void)state;
  clockwork self;
  start(&self, 0);
  set(&self, &self.entries[0], 1000);
  advance(&self, 999);
  assert_int_equal(self.entries[0].expired, 0);
  advance(&self, WHEEL_TICK_MS);
  assert_int_equal(self.entries[0].expired, 1);
  advance(&self, 10 * TURN_MS);
  assert_int_equal(self.entries[0].expired, 1);
}

static void what_is_overdue_when_set_expires_next(void **state) {
  (void)state;
  clockwork self;
  start(&self, 5000);
  advance(&self, 3);
  set(&self, &self.entries[0], 10);
  check_against_model(&self);
  advance(&self, wheel_next(&self.timers) - self.now);
  assert_int_equal(self.entries[0].expired, 1);
}

static void moved_to_later_it_expires_later(void **state) {
  (void)state;
  clockwork self;
  start(&self, 0);
  set(&self, &self.entries[0], 100);
  for (int64_t due = 200; due <= 5 * TURN_MS; due += 100) {
    set(&self, &self.entries[0], due);
    advance(&self, 100);
    assert_int_equal(self.entries[0].expired, 0);
  }
  advance(&self, 200);
  assert_int_equal(self.entries[0].expired, 1);
}

static void moved_to_sooner_it_expires_sooner(void **state) {
  (void)state;
  clockwork self;
  start(&self, 0);
  set(&self, &self.entries[0], 3 * TURN_MS);
  set(&self, &self.entries[0], 100);
  set(&self, &self.entries[1], 100);
  set(&self, &self.entries[1], DEADLINE_NEVER);
  advance(&self, 104);
  assert_int_equal(self.entries[0].expired, 1);
  assert_int_equal(self.entries[1].expired, 0);
}

/* Whoever goes by wheel_next alone gets every expiry in time. */
static void waking_by_wheel_next_misses_nothing(void **state) {
  (void)state;
  uint64_t seed = 2;
  clockwork self;
  start(&self, 123456789);
  for (int i = 0; i < ENTRIES; i++)
    set(&self, &self.entries[i], self.now + (int64_t)random_below(&seed, 5 * TURN_MS));
  int wakes = 0;
  for (int64_t next; (next = wheel_next(&self.timers)) != DEADLINE_NEVER; wakes++)
    advance(&self, next - self.now);
  for (int i = 0; i < ENTRIES; i++) assert_int_equal(self.entries[i].expired, 1);
  assert_in_range(wakes, 1, 6 * ENTRIES);
}

/* ---------------------------------------------------------- handlers that act */

static void clear_all_others(clockwork *self, timed *expired) {
  for (int i = 0; i < ENTRIES; i++)
    if (&self->entries[i] != expired) clear(self, &self->entries[i]);
}

static void a_handler_may_clear_those_that_expire_with_it(void **state) {
  (void)state;
  clockwork self;
  start(&self, 0);
  self.act = clear_all_others;
  for (int i = 0; i < ENTRIES; i++) set(&self, &self.entries[i], 50 + i);
  advance(&self, 1000);
  int expired = 0;
  for (int i = 0; i < ENTRIES; i++) expired += self.entries[i].expired;
  assert_int_equal(expired, 1);
  assert_true(wheel_next(&self.timers) == DEADLINE_NEVER);
}

static void set_it_again(clockwork *self, timed *expired) { set(self, expired, self->now + 100); }

static void a_handler_may_set_its_own_entry_again(void **state) {
  (void)state;
  clockwork self;
  start(&self, 0);
  self.act = set_it_again;
  set(&self, &self.entries[0], 100);
  for (int i = 0; i < 50; i++) advance(&self, 108);
  assert_int_equal(self.entries[0].expired, 50);
}

static void set_it_overdue(clockwork *self, timed *expired) { set(self, expired, 0); }

static void a_handler_that_sets_the_past_does_not_hang(void **state) {
  (void)state;
  clockwork self;
  start(&self, 0);
  self.act = set_it_overdue;
  set(&self, &self.entries[0], 10);
  for (int i = 1; i <= 20; i++) {
    self.now = wheel_next(&self.timers);
    wheel_expire(&self.timers, self.now, &self);
    assert_int_equal(self.entries[0].expired, i);
  }
}

/* ---------------------------------------------------------------- many at once */

static void act_at_random(clockwork *self, timed *expired) {
  uint64_t seed = (uint64_t)self->now * ENTRIES + (uint64_t)(expired - self->entries);
  timed *other = &self->entries[random_below(&seed, ENTRIES)];
  if (random_below(&seed, 4) == 0) clear(self, other);
  if (random_below(&seed, 4) == 0) set(self, other, self->now + 1 + (int64_t)random_below(&seed, 500));
}

/* Mostly near, sometimes beyond a turn of the wheel, sometimes in the past. */
static int64_t random_due(uint64_t *seed, int64_t now) {
  switch (random_below(seed, 8)) {
  case 0: return now - (int64_t)random_below(seed, 100);
  case 1: return now + (int64_t)random_below(seed, 4 * TURN_MS);
  case 2: return now + TURN_MS - 16 + (int64_t)random_below(seed, 32);
  case 3: return DEADLINE_NEVER;
  default: return now + (int64_t)random_below(seed, 1000);
  }
}

static int64_t random_step(uint64_t *seed) {
  uint64_t kind = random_below(seed, 100);
  if (kind == 0) return (int64_t)random_below(seed, 3 * TURN_MS);
  return (int64_t)random_below(seed, kind < 50 ? 3 : 100);
}

static void run_at_random(uint64_t seed, void (*act)(clockwork *self, timed *expired)) {
  clockwork self;
  start(&self, (int64_t)random_below(&seed, UINT64_C(1) << 40));
  self.act = act;
  for (int step = 0; step < 3000; step++) {
    for (uint64_t i = random_below(&seed, 8); i; i--) {
      timed *chosen = &self.entries[random_below(&seed, ENTRIES)];
      if (random_below(&seed, 10) == 0)
        clear(&self, chosen);
      else
        set(&self, chosen, random_due(&seed, self.now));
      check_against_model(&self);
    }
    advance(&self, random_step(&seed));
    check_against_model(&self);
  }
}

static void agrees_with_the_model(void **state) {
  (void)state;
  for (uint64_t seed = 10; seed < 20; seed++) run_at_random(seed, NULL);
}

static void agrees_with_the_model_when_handlers_act(void **state) {
  (void)state;
  for (uint64_t seed = 20; seed < 30; seed++) run_at_random(seed, act_at_random);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_wheel_has_nothing_to_do),
      cmocka_unit_test(expires_once_when_due),
      cmocka_unit_test(what_is_overdue_when_set_expires_next),
      cmocka_unit_test(moved_to_later_it_expires_later),
      cmocka_unit_test(moved_to_sooner_it_expires_sooner),
      cmocka_unit_test(waking_by_wheel_next_misses_nothing),
      cmocka_unit_test(a_handler_may_clear_those_that_expire_with_it),
      cmocka_unit_test(a_handler_may_set_its_own_entry_again),
      cmocka_unit_test(a_handler_that_sets_the_past_does_not_hang),
      cmocka_unit_test(agrees_with_the_model),
      cmocka_unit_test(agrees_with_the_model_when_handlers_act),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
