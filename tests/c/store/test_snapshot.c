/* snapshot.h: what is saved comes back; what is damaged is left out, and nothing else. */
#include "fixture.h"

#include "failing.h"
#include "snapshot.h"
#include "snapshot_format.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES = 200 };

static char folder[] = "/tmp/holysheep-snapshot-XXXXXX";
static char path[sizeof folder + 32];

static const int64_t saved_at = INT64_C(1700000000) * SECOND_US;

static snapshot_terms terms_at(int64_t now_us, int64_t wall_us) {
  return (snapshot_terms){"ours", 4, now_us, wall_us, UINT64_C(0x0123456789abcdef)};
}

static void fill_value(char *data, unsigned number) {
  int length = snprintf(data, 16, "%u:", number);
  size_t padding = number * 37 % 400;
  memset(data + length, 'a' + (int)(number % 26), padding);
  data[(size_t)length + padding] = '\0';
}

/* ENTRIES of them; number i expires in i + 1 seconds. */
static store *filled(store_options options) {
  store *cache = new_store(options);
  for (unsigned i = 0; i < ENTRIES; i++) {
    char data[512];
    fill_value(data, i);
    assert_int_equal(put(cache, i, data, (int64_t)(i + 1) * SECOND_US, 0), STORE_STORED);
  }
  return cache;
}

static snapshot_report save(store *cache, int64_t now_us, int64_t wall_us) {
  snapshot_report report;
  snapshot_terms terms = terms_at(now_us, wall_us);
  sheep_error error;
  if (snapshot_save(cache, path, &terms, &report, &error)) fail_msg("%s", error.message);
  return report;
}

static int32_t try_load(store *cache, int64_t now_us, int64_t wall_us, snapshot_report *report, sheep_error *error) {
  snapshot_terms terms = terms_at(now_us, wall_us);
  return snapshot_load(cache, path, &terms, report, error);
}

static snapshot_report load(store *cache, int64_t now_us, int64_t wall_us) {
  snapshot_report report;
  sheep_error error;
  if (try_load(cache, now_us, wall_us, &report, &error)) fail_msg("%s", error.message);
  return report;
}

/* How many there are; fails if one is not what was saved. */
static unsigned count_sound(store *cache, int64_t now_us) {
  unsigned count = 0;
  for (unsigned i = 0; i < ENTRIES; i++) {
    char data[512];
    char *found = get(cache, i, now_us);
    fill_value(data, i);
    if (found) assert_string_equal(found, data);
    count += found != NULL;
    free(found);
  }
  return count;
}

static unsigned files_in_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
  FILE *counted = popen(command, "r");
  unsigned count = 0;
  assert_int_equal(fscanf(counted, "%u", &count), 1);
  pclose(counted);
  return count;
}

/* ------------------------------------------------------------------ bytes of files */

static char *read_file(size_t *length) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  fseek(file, 0, SEEK_END);
  *length = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(*length + 1);
  assert_int_equal(fread(bytes, 1, *length, file), *length);
  fclose(file);
  return bytes;
}

/* Loads from memory, as if it were the file. */
static int32_t load_bytes(store *cache, char *bytes, size_t length, snapshot_report *report, sheep_error *error) {
  snapshot_terms terms = terms_at(0, saved_at);
  FILE *file = fmemopen(bytes, length ? length : 1, "r");
  assert_non_null(file);
  int32_t result = snapshot_read(cache, file, length, &terms, report, error);
  fclose(file);
  return result;
}

/* ------------------------------------------------------------------- there and back */

static void what_is_saved_comes_back(void **state) {
  (void)state;
  store *cache = filled((store_options){.seed = 1});
  assert_int_equal(save(cache, 0, saved_at).entries, ENTRIES);
  store_free(cache);
  cache = new_store((store_options){.seed = 2, .shards = 8, .policy = EVICTION_S3FIFO});
  snapshot_report report = load(cache, 77, saved_at);
  assert_int_equal(report.entries, ENTRIES);
  assert_int_equal(report.damaged + report.expired + report.refused + report.dropped_bytes, 0);
  assert_false(report.truncated);
  assert_int_equal(count_sound(cache, 77), ENTRIES);
  store_free(cache);
}

static void all_that_is_known_of_an_entry_comes_back(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  cache_value value = {.data = "a\0b", .length = 3, .model = "m\xff", .model_length = 2, .ttl_us = 100 * SECOND_US,
                       .prompt_tokens = 12, .completion_tokens = 34};
  cache_key key = {"na\0me", 5, "te\0xt", 5, {0, 0}};
  key.digest = store_digest(cache, key.text, key.text_length);
  store_put(cache, &key, &value, 0, 0);
  save(cache, 10 * SECOND_US, saved_at);
  store_free(cache);
  cache = new_store((store_options){0});
  load(cache, 5 * SECOND_US, saved_at + 20 * SECOND_US);
  cache_hit hit;
  assert_true(store_get(cache, &key, 5 * SECOND_US, 0, &hit));
  assert_int_equal(hit.entry->value_length, 3);
  assert_memory_equal(entry_value(hit.entry), "a\0b", 4);
  assert_int_equal(hit.age_us, 30 * SECOND_US);
  assert_int_equal(hit.ttl_us, 70 * SECOND_US);
  assert_int_equal(hit.entry->prompt_tokens, 12);
  assert_int_equal(hit.entry->completion_tokens, 34);
  entry_release(hit.entry);
  store_invalidate(cache, "m\xff", 2);
  assert_false(store_get(cache, &key, 5 * SECOND_US, 0, &hit));
  store_free(cache);
}

static void an_entry_of_nothing_comes_back(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  cache_value value = value_of("", "", INT64_MAX);
  cache_key key = {"", 0, "", 0, {0, 0}};
  key.digest = store_digest(cache, key.text, 0);
  cache_hit hit;
  store_put(cache, &key, &value, 0, 0);
  save(cache, 0, saved_at);
  store_free(cache);
  cache = new_store((store_options){0});
  assert_int_equal(load(cache, 0, saved_at).entries, 1);
  assert_true(store_get(cache, &key, 0, 0, &hit));
  assert_int_equal(hit.entry->value_length, 0);
  entry_release(hit.entry);
  store_free(cache);
}

static void an_empty_store_makes_a_sound_file(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  save(cache, 0, saved_at);
  snapshot_report report = load(cache, 0, saved_at);
  assert_int_equal(report.entries, 0);
  assert_false(report.truncated);
  store_free(cache);
}

static void what_is_dead_is_not_saved(void **state) {
  (void)state;
  store *cache = filled((store_options){.stale_us = 1000 * (int64_t)SECOND_US});
  cache_value value = value_of("other", "other model", INT64_MAX);
  named name;
  store_put(cache, key_of(&name, cache, 1000), &value, 0, 0);
  store_invalidate(cache, "other model", 11);
  assert_int_equal(save(cache, 50 * (int64_t)SECOND_US, saved_at).entries, ENTRIES - 50);
  store_free(cache);
}

/* Time goes on while the file lies there. */
static void what_expires_meanwhile_is_left_out(void **state) {
  (void)state;
  store *cache = filled((store_options){0});
  save(cache, 0, saved_at);
  store_free(cache);
  cache = new_store((store_options){0});
  snapshot_report report = load(cache, 0, saved_at + 100 * (int64_t)SECOND_US);
  assert_int_equal(report.expired, 100);
  assert_int_equal(report.entries, ENTRIES - 100);
  assert_true(has(cache, 150, 51 * (int64_t)SECOND_US - 1));
  assert_false(has(cache, 150, 51 * (int64_t)SECOND_US));
  store_free(cache);
}

static void a_clock_that_went_back_prolongs_nothing(void **state) {
  (void)state;
  store *cache = filled((store_options){0});
  save(cache, 0, saved_at);
  store_free(cache);
  cache = new_store((store_options){0});
  assert_int_equal(load(cache, 0, saved_at - 1000000 * (int64_t)SECOND_US).entries, ENTRIES);
  assert_true(has(cache, 9, 10 * SECOND_US - 1));
  assert_false(has(cache, 9, 10 * SECOND_US));
  store_free(cache);
}

static void the_order_of_use_comes_back(void **state) {
  (void)state;
  store *cache = new_store((store_options){.max_bytes = 64 << 10, .shards = 1});
  char data[2048] = {0};
  memset(data, 'x', sizeof data - 1);
  for (unsigned i = 0; i < 14; i++) put(cache, i, data, INT64_MAX, 0);
  for (unsigned i = 0; i < 14; i += 2) assert_true(has(cache, i, 0));
  save(cache, 0, saved_at);
  store_free(cache);
  cache = new_store((store_options){.max_bytes = 16 << 10, .shards = 1, .item_limit = 4096});
  assert_int_equal(load(cache, 0, saved_at).entries, 14);
  for (unsigned i = 0; i < 14; i++) assert_int_equal(has(cache, i, 0), i % 2 == 0);
  store_free(cache);
}

/* More than one batch of a scan, and a store that is in use meanwhile is no matter. */
static void many_entries_come_back(void **state) {
  (void)state;
  store *cache = new_store((store_options){.max_bytes = 64 << 20, .shards = 1});
  for (unsigned i = 0; i < 20000; i++) put(cache, i, "value", INT64_MAX, 0);
  assert_int_equal(save(cache, 0, saved_at).entries, 20000);
  assert_true(store_delete(cache, key_of(&(named){0}, cache, 5)));
  store_free(cache);
  cache = new_store((store_options){.max_bytes = 64 << 20});
  assert_int_equal(load(cache, 0, saved_at).entries, 20000);
  assert_int_equal(stats_of(cache).entries, 20000);
  store_free(cache);
}

/* ---------------------------------------------------------------- whose file it is */

static void others_files_are_refused_by_name(void **state) {
  (void)state;
  store *cache = filled((store_options){0}), *empty = new_store((store_options){0});
  save(cache, 0, saved_at);
  snapshot_terms theirs = terms_at(0, saved_at);
  theirs.name_space = "their";
  theirs.namespace_length = 5;
  snapshot_report report;
  sheep_error error;
  assert_int_equal(snapshot_load(empty, path, &theirs, &report, &error), SHEEP_E_INVALID);
  assert_string_equal(error.message, "the snapshot belongs to another namespace");
  theirs.namespace_length = 0;
  assert_int_equal(snapshot_load(empty, path, &theirs, &report, &error), SHEEP_E_INVALID);
  assert_int_equal(stats_of(empty).entries, 0);
  store_free(cache);
  store_free(empty);
}

static void other_versions_are_refused_by_name(void **state) {
  (void)state;
  store *cache = filled((store_options){0});
  save(cache, 0, saved_at);
  size_t length;
  char *bytes = read_file(&length);
  bytes[8] = 9;
  snapshot_report report;
  sheep_error error;
  assert_int_equal(load_bytes(cache, bytes, length, &report, &error), SHEEP_E_INVALID);
  assert_string_equal(error.message, "the snapshot has version 9, where 1 is known");
  memcpy(bytes, "{\"json\":", 8);
  assert_int_equal(load_bytes(cache, bytes, length, &report, &error), SHEEP_E_INVALID);
  assert_string_equal(error.message, "the file is not a snapshot");
  free(bytes);
  store_free(cache);
}

static void what_cannot_be_read_says_why(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  snapshot_report report;
  sheep_error error;
  unlink(path);
  assert_int_equal(try_load(cache, 0, 0, &report, &error), SHEEP_E_SYSTEM);
  assert_non_null(strstr(error.message, strerror(ENOENT)));
  assert_int_equal(mkfifo(path, 0600), 0); /* nor does it wait for a writer */
  assert_int_equal(try_load(cache, 0, 0, &report, &error), SHEEP_E_SYSTEM);
  unlink(path);
  assert_int_equal(mkdir(path, 0700), 0);
  assert_int_equal(try_load(cache, 0, 0, &report, &error), SHEEP_E_SYSTEM);
  rmdir(path);
  store_free(cache);
}

/* ------------------------------------------------------------------------- damage */

static void cut_off_anywhere_it_loads_what_is_whole(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  for (unsigned i = 0; i < 5; i++) {
    char data[512];
    fill_value(data, i);
    put(cache, i, data, INT64_MAX, 0);
  }
  save(cache, 0, saved_at);
  store_free(cache);
  size_t length;
  char *bytes = read_file(&length);
  unsigned before = 0;
  for (size_t cut = 0; cut <= length; cut++) {
    snapshot_report report;
    sheep_error error;
    cache = new_store((store_options){.max_bytes = 1 << 20});
    int32_t result = load_bytes(cache, bytes, cut, &report, &error);
    if (result) {
      assert_int_equal(result, SHEEP_E_INVALID);
      assert_int_equal(before, 0);
    }
    unsigned found = count_sound(cache, 0);
    assert_in_range(found, before, before + 1);
    assert_int_equal(found, report.entries);
    assert_int_equal(report.truncated, !result && cut < length);
    before = found;
    store_free(cache);
  }
  assert_int_equal(before, 5);
  free(bytes);
}

/* One byte changed costs one entry at most, or all if it is in the header. */
static void one_wrong_byte_costs_one_entry(void **state) {
  (void)state;
  store *cache = filled((store_options){0});
  save(cache, 0, saved_at);
  store_free(cache);
  size_t length;
  char *bytes = read_file(&length);
  uint64_t seed = 4;
  for (int i = 0; i < 400; i++) {
    size_t place = (size_t)random_below(&seed, length);
    char kept = bytes[place];
    bytes[place] = (char)(kept ^ (1 << random_below(&seed, 8)));
    snapshot_report report;
    sheep_error error;
    cache = new_store((store_options){.max_bytes = 1 << 20});
    int32_t result = load_bytes(cache, bytes, length, &report, &error);
    unsigned found = count_sound(cache, 0);
    assert_int_equal(found, report.entries);
    if (result)
      assert_int_equal(found, 0);
    else
      assert_in_range(found, ENTRIES - 1, ENTRIES);
    if (!result && found < ENTRIES) {
      assert_int_equal(report.damaged, 1);
      assert_in_range(report.dropped_bytes, 80, 700);
    }
    bytes[place] = kept;
    store_invalidate(cache, "model", 5);
    assert_int_equal(count_sound(cache, 0), 0);
    store_free(cache);
  }
  free(bytes);
}

static void heavy_damage_leaves_the_rest(void **state) {
  (void)state;
  store *cache = filled((store_options){0});
  save(cache, 0, saved_at);
  store_free(cache);
  size_t length;
  uint64_t seed = 5;
  for (int i = 0; i < 30; i++) {
    char *bytes = read_file(&length);
    for (int wrong = 0; wrong < 40; wrong++) {
      size_t place = 100 + (size_t)random_below(&seed, length - 100);
      size_t span = (size_t)random_below(&seed, 60);
      if (span > length - place) span = length - place;
      memset(bytes + place, (int)random_below(&seed, 256), span);
    }
    snapshot_report report;
    sheep_error error;
    cache = new_store((store_options){.max_bytes = 1 << 20});
    assert_int_equal(load_bytes(cache, bytes, length, &report, &error), SHEEP_OK);
    assert_int_equal(count_sound(cache, 0), report.entries);
    assert_in_range(report.entries, ENTRIES - 100, ENTRIES - 1);
    assert_true(report.damaged > 0 && report.dropped_bytes > 80);
    store_free(cache);
    free(bytes);
  }
}

/* A value that holds a whole file of its own, to be found after damage before it. */
static void a_file_within_a_value_is_not_taken_for_records(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  put(cache, 7, "planted", INT64_MAX, 0);
  snapshot_terms terms = terms_at(0, saved_at);
  terms.salt = 99;
  snapshot_report report;
  sheep_error error;
  assert_int_equal(snapshot_save(cache, path, &terms, &report, &error), SHEEP_OK);
  store_free(cache);
  size_t inner_length, length;
  char *inner = read_file(&inner_length);
  cache = new_store((store_options){0});
  cache_value value = value_of("", "model", INT64_MAX);
  value.data = inner;
  value.length = inner_length;
  named name;
  store_put(cache, key_of(&name, cache, 1), &value, 0, 0);
  save(cache, 0, saved_at);
  store_free(cache);
  char *bytes = read_file(&length);
  bytes[50] ^= 1; /* in the head of the one record */
  cache = new_store((store_options){0});
  assert_int_equal(load_bytes(cache, bytes, length, &report, &error), SHEEP_OK);
  assert_int_equal(stats_of(cache).entries, 0);
  store_free(cache);
  free(bytes);
  free(inner);
}

static void what_the_store_cannot_hold_is_counted(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  char *large = calloc(1, 20001);
  memset(large, 'x', 20000);
  put(cache, 1, large, INT64_MAX, 0);
  put(cache, 2, "small", INT64_MAX, 0);
  free(large);
  save(cache, 0, saved_at);
  store_free(cache);
  cache = new_store((store_options){.max_bytes = 64 << 10});
  snapshot_report report = load(cache, 0, saved_at);
  assert_int_equal(report.entries, 1);
  assert_int_equal(report.refused, 1);
  assert_holds(cache, 2, 0, "small");
  store_free(cache);
}

/* A sound head that claims a gigabyte, and a file which has it. */
static void what_is_too_large_takes_no_memory(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  put(cache, 1, "value", INT64_MAX, 0);
  save(cache, 0, saved_at);
  FILE *file = fopen(path, "r+b");
  const size_t place = SNAPSHOT_HEADER + 4 + SNAPSHOT_CHECKSUM;
  unsigned char bytes[SNAPSHOT_HEAD];
  record_head head;
  fseek(file, (long)place, SEEK_SET);
  assert_int_equal(fread(bytes, 1, sizeof bytes, file), sizeof bytes);
  assert_true(head_decode(&head, bytes, terms_at(0, 0).salt));
  head.value_length = 1 << 30;
  head_encode(&head, bytes);
  fseek(file, (long)place, SEEK_SET);
  fwrite(bytes, 1, sizeof bytes, file);
  assert_int_equal(ftruncate(fileno(file), (off_t)place + (1 << 30) + 1000), 0);
  fclose(file);
  struct rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  snapshot_report report = load(cache, 0, saved_at);
  getrusage(RUSAGE_SELF, &after);
  assert_int_equal(report.refused, 1);
  assert_true(report.truncated);
  assert_true(after.ru_maxrss - before.ru_maxrss < 100 << 10);
  store_free(cache);
}

/* ------------------------------------------------------------- the file on the disk */

static void nobody_else_may_read_it(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  struct stat facts;
  mode_t before = umask(0);
  save(cache, 0, saved_at);
  umask(before);
  assert_int_equal(stat(path, &facts), 0);
  assert_int_equal(facts.st_mode & 0777, 0600);
  store_free(cache);
}

/* A limit on the size of files stands for a full disk. */
static void a_full_disk_leaves_the_old_file(void **state) {
  (void)state;
  store *cache = filled((store_options){0}), *small = new_store((store_options){0});
  put(small, 1, "one", INT64_MAX, 0);
  save(small, 0, saved_at);
  struct rlimit before, limit;
  getrlimit(RLIMIT_FSIZE, &before);
  limit = (struct rlimit){10000, before.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &limit);
  snapshot_report report;
  sheep_error error;
  snapshot_terms terms = terms_at(0, saved_at);
  int32_t result = snapshot_save(cache, path, &terms, &report, &error);
  setrlimit(RLIMIT_FSIZE, &before);
  assert_int_equal(result, SHEEP_E_SYSTEM);
  assert_non_null(strstr(error.message, strerror(EFBIG)));
  assert_int_equal(files_in_folder(), 1);
  assert_int_equal(load(small, 0, saved_at).entries, 1);
  store_free(cache);
  store_free(small);
}

static void a_folder_that_is_not_there_is_an_error(void **state) {
  (void)state;
  store *cache = new_store((store_options){0});
  snapshot_report report;
  sheep_error error;
  snapshot_terms terms = terms_at(0, saved_at);
  assert_int_equal(snapshot_save(cache, "/nowhere/at/all", &terms, &report, &error), SHEEP_E_SYSTEM);
  assert_non_null(strstr(error.message, strerror(ENOENT)));
  store_free(cache);
}

/* ------------------------------------------------------------------ allocations */

static void save_and_load_without_memory(void *context) {
  (void)context;
  store *cache = store_new(&(store_options){.max_bytes = 128 << 10});
  if (!cache) return;
  for (unsigned i = 0; i < 30; i++) put(cache, i, "value", INT64_MAX, 0);
  uint64_t entries = stats_of(cache).entries;
  snapshot_terms terms = terms_at(0, saved_at);
  snapshot_report report;
  sheep_error error;
  int32_t result = snapshot_save(cache, path, &terms, &report, &error);
  assert_true(result == SHEEP_E_NOMEM || (!result && report.entries == entries));
  assert_int_equal(files_in_folder(), 1);
  result = snapshot_load(cache, path, &terms, &report, &error);
  assert_true(result == SHEEP_E_NOMEM || (!result && report.entries + report.refused > 0));
  store_free(cache);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  store *cache = filled((store_options){0});
  save(cache, 0, saved_at);
  store_free(cache);
  fail_each_allocation(save_and_load_without_memory, NULL, 70);
}

static int make_folder(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/saved", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_saved_comes_back),
      cmocka_unit_test(all_that_is_known_of_an_entry_comes_back),
      cmocka_unit_test(an_entry_of_nothing_comes_back),
      cmocka_unit_test(an_empty_store_makes_a_sound_file),
      cmocka_unit_test(what_is_dead_is_not_saved),
      cmocka_unit_test(what_expires_meanwhile_is_left_out),
      cmocka_unit_test(a_clock_that_went_back_prolongs_nothing),
      cmocka_unit_test(the_order_of_use_comes_back),
      cmocka_unit_test(many_entries_come_back),
      cmocka_unit_test(others_files_are_refused_by_name),
      cmocka_unit_test(other_versions_are_refused_by_name),
      cmocka_unit_test(what_cannot_be_read_says_why),
      cmocka_unit_test(cut_off_anywhere_it_loads_what_is_whole),
      cmocka_unit_test(one_wrong_byte_costs_one_entry),
      cmocka_unit_test(heavy_damage_leaves_the_rest),
      cmocka_unit_test(a_file_within_a_value_is_not_taken_for_records),
      cmocka_unit_test(what_the_store_cannot_hold_is_counted),
      cmocka_unit_test(what_is_too_large_takes_no_memory),
      cmocka_unit_test(nobody_else_may_read_it),
      cmocka_unit_test(a_full_disk_leaves_the_old_file),
      cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
