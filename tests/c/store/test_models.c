/* models.h: names, claims and generations. */
#include "unit.h"

#include "failing.h"
#include "models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static models *start(void) {
  models *known = calloc(1, sizeof *known);
  assert_non_null(known);
  models_init(known);
  return known;
}

static void end(models *known) {
  models_free(known);
  free(known);
}

static model_claim claim(models *known, const char *name, uint64_t generation, uint32_t *model) {
  return models_claim(known, name, strlen(name), generation, model);
}

static uint32_t claimed(models *known, const char *name) {
  uint32_t model;
  assert_int_equal(claim(known, name, models_generation(known), &model), MODEL_CLAIMED);
  return model;
}

static void invalidate(models *known, const char *name) { models_invalidate(known, name, strlen(name)); }

static void a_name_has_one_record(void **state) {
  (void)state;
  models *known = start();
  uint32_t first = claimed(known, "gpt-4.1"), other = claimed(known, "gpt-4.1-mini");
  assert_int_not_equal(first, other);
  assert_int_equal(claimed(known, "gpt-4.1"), first);
  size_t length;
  assert_string_equal(models_name(known, other, &length), "gpt-4.1-mini");
  assert_int_equal(length, 12);
  end(known);
}

static void names_are_bytes_of_any_kind(void **state) {
  (void)state;
  models *known = start();
  uint32_t with_nul, without, nameless;
  assert_int_equal(models_claim(known, "a\0b", 3, 0, &with_nul), MODEL_CLAIMED);
  assert_int_equal(models_claim(known, "a", 1, 0, &without), MODEL_CLAIMED);
  assert_int_equal(models_claim(known, "", 0, 0, &nameless), MODEL_CLAIMED);
  assert_true(with_nul != without && without != nameless);
  end(known);
}

static void invalidates_exactly_one_model(void **state) {
  (void)state;
  models *known = start();
  uint64_t before = models_generation(known);
  uint32_t hit = claimed(known, "gpt"), spared = claimed(known, "gpt-4");
  invalidate(known, "gpt");
  uint64_t after = models_generation(known);
  assert_true(after > before);
  assert_false(models_current(known, hit, before));
  assert_true(models_current(known, hit, after));
  assert_true(models_current(known, spared, before));
  end(known);
}

static void clearing_invalidates_all(void **state) {
  (void)state;
  models *known = start();
  uint32_t one = claimed(known, "one"), model;
  uint64_t before = models_generation(known);
  models_clear(known);
  assert_false(models_current(known, one, before));
  assert_true(models_current(known, one, models_generation(known)));
  assert_int_equal(claim(known, "never seen", before, &model), MODEL_OUTDATED);
  end(known);
}

static void what_was_in_flight_is_outdated(void **state) {
  (void)state;
  models *known = start();
  uint32_t model;
  uint64_t before = models_generation(known);
  invalidate(known, "not stored yet");
  assert_int_equal(claim(known, "not stored yet", before, &model), MODEL_OUTDATED);
  assert_int_equal(claim(known, "another", before, &model), MODEL_CLAIMED);
  assert_int_equal(claim(known, "not stored yet", models_generation(known), &model), MODEL_CLAIMED);
  end(known);
}

static const char *name_of(unsigned number) {
  static char name[32];
  snprintf(name, sizeof name, "model-%u", number);
  return name;
}

static void no_more_names_than_there_are_records(void **state) {
  (void)state;
  models *known = start();
  uint32_t model;
  for (unsigned i = 0; i < MODELS_MAX; i++) claimed(known, name_of(i));
  assert_int_equal(claim(known, "one more", 0, &model), MODEL_TOO_MANY);
  assert_int_equal(claim(known, name_of(7), 0, &model), MODEL_CLAIMED);
  end(known);
}

/* What it forgets about one name it holds against all that it doesn't know. */
static void an_unclaimed_record_gives_way_but_its_invalidation_stays(void **state) {
  (void)state;
  models *known = start();
  uint64_t before = models_generation(known);
  invalidate(known, name_of(0));
  for (unsigned i = 1; i < MODELS_MAX; i++) claimed(known, name_of(i));
  uint32_t model = claimed(known, "takes the record of model-0");
  models_release(known, model);
  model = claimed(known, "takes it again");
  models_release(known, model);
  assert_int_equal(claim(known, name_of(0), before, &model), MODEL_OUTDATED);
  assert_int_equal(claim(known, name_of(1), before, &model), MODEL_CLAIMED);
  end(known);
}

static void invalidating_without_a_record_works_too(void **state) {
  (void)state;
  models *known = start();
  uint32_t model;
  for (unsigned i = 0; i < MODELS_MAX; i++) claimed(known, name_of(i));
  uint64_t before = models_generation(known);
  invalidate(known, "unknown");
  models_release(known, 3);
  assert_int_equal(claim(known, "unknown", before, &model), MODEL_OUTDATED);
  assert_true(models_current(known, 5, before));
  end(known);
}

static void names_beyond_the_limit_are_refused(void **state) {
  (void)state;
  models *known = start();
  char name[MODEL_NAME_MAX + 2];
  memset(name, 'x', sizeof name);
  uint32_t model;
  assert_int_equal(models_claim(known, name, MODEL_NAME_MAX, 0, &model), MODEL_CLAIMED);
  assert_int_equal(models_claim(known, name, MODEL_NAME_MAX + 1, 0, &model), MODEL_TOO_MANY);
  models_invalidate(known, name, MODEL_NAME_MAX + 1);
  assert_true(models_current(known, 0, 0));
  end(known);
}

static void without_memory(void *context) {
  (void)context;
  models *known = start();
  uint32_t model;
  uint64_t before = models_generation(known);
  invalidate(known, "one");
  model_claim result = claim(known, "one", before, &model);
  assert_true(result == MODEL_OUTDATED || result == MODEL_NO_MEMORY);
  result = claim(known, "one", models_generation(known), &model);
  assert_true(result == MODEL_CLAIMED || result == MODEL_NO_MEMORY);
  end(known);
}

static void invalidates_even_when_memory_runs_out(void **state) {
  (void)state;
  fail_each_allocation(without_memory, NULL, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_name_has_one_record),
      cmocka_unit_test(names_are_bytes_of_any_kind),
      cmocka_unit_test(invalidates_exactly_one_model),
      cmocka_unit_test(clearing_invalidates_all),
      cmocka_unit_test(what_was_in_flight_is_outdated),
      cmocka_unit_test(no_more_names_than_there_are_records),
      cmocka_unit_test(an_unclaimed_record_gives_way_but_its_invalidation_stays),
      cmocka_unit_test(invalidating_without_a_record_works_too),
      cmocka_unit_test(names_beyond_the_limit_are_refused),
      cmocka_unit_test(invalidates_even_when_memory_runs_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
