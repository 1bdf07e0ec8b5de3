/* table.h: calls by their numbers. */
#include "unit.h"

#include "alloc.h"
#include "table.h"

#include <stdlib.h>

enum { CALLS = 5000 };

/* Calls with the numbers 1 to CALLS; the caller frees them. */
static call *numbered_calls(void) {
  call *calls = calloc(CALLS, sizeof *calls);
  assert_non_null(calls);
  for (uint64_t i = 0; i < CALLS; i++) calls[i].id = i + 1;
  return calls;
}

static void put_all(table *known, call *calls) {
  assert_int_equal(table_init(known), SHEEP_OK);
  for (int i = 0; i < CALLS; i++) table_put(known, &calls[i]);
}

static void assert_all_found(const table *known, call *calls) {
  assert_int_equal(known->call_count, CALLS);
  for (int i = 0; i < CALLS; i++) assert_ptr_equal(table_find(known, calls[i].id), &calls[i]);
  assert_null(table_find(known, 0));
  assert_null(table_find(known, CALLS + 1));
  assert_null(table_find(known, UINT64_MAX));
}

static void finds_what_was_put(void **state) {
  (void)state;
  table known;
  call *calls = numbered_calls();
  put_all(&known, calls);
  assert_all_found(&known, calls);
  assert_true(known.slot_count * 2 >= CALLS); /* it grew, so chains are short */
  table_free(&known);
  free(calls);
}

static void removes_just_the_one(void **state) {
  (void)state;
  table known;
  call *calls = numbered_calls();
  put_all(&known, calls);
  for (int i = 0; i < CALLS; i += 2) table_remove(&known, &calls[i]);
  table_remove(&known, &calls[0]); /* not there any more */
  assert_int_equal(known.call_count, CALLS / 2);
  for (int i = 0; i < CALLS; i++) {
    if (i % 2 == 0)
      assert_null(table_find(&known, calls[i].id));
    else
      assert_ptr_equal(table_find(&known, calls[i].id), &calls[i]);
  }
  table_free(&known);
  free(calls);
}

static void far_numbers_share_a_slot(void **state) {
  (void)state;
  table known;
  call near = {.id = 7}, far = {.id = 7 + (UINT64_C(1) << 40)};
  assert_int_equal(table_init(&known), SHEEP_OK);
  table_put(&known, &near);
  table_put(&known, &far);
  assert_ptr_equal(table_find(&known, near.id), &near);
  table_remove(&known, &near);
  assert_null(table_find(&known, near.id));
  assert_ptr_equal(table_find(&known, far.id), &far);
  table_free(&known);
}

static void needs_memory_to_begin(void **state) {
  (void)state;
  table known;
  mem_fail_after(0);
  assert_int_equal(table_init(&known), SHEEP_E_NOMEM);
  table_free(&known);
}

static void without_memory_to_grow_nothing_is_lost(void **state) {
  (void)state;
  table known;
  call *calls = numbered_calls();
  assert_int_equal(table_init(&known), SHEEP_OK);
  for (int i = 0; i < CALLS; i++) {
    mem_fail_after(0);
    table_put(&known, &calls[i]);
  }
  mem_fail_after(-1);
  assert_all_found(&known, calls);
  table_free(&known);
  free(calls);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_what_was_put),
      cmocka_unit_test(removes_just_the_one),
      cmocka_unit_test(far_numbers_share_a_slot),
      cmocka_unit_test(needs_memory_to_begin),
      cmocka_unit_test(without_memory_to_grow_nothing_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
