/* Writing a snapshot. */
#include "snapshot.h"

#include "alloc.h"
#include "snapshot_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_SCANNED = 4 * SCAN_ROOM };

/* A save under way. */
typedef struct writer {
  store *cache;
  const snapshot_terms *terms;
  snapshot_report *report;
  FILE *file;
} writer;

/* What a scan of one shard has found. */
typedef struct pile {
  scanned *found;
  size_t count;
  size_t room;
} pile;

/* --------------------------------------------------------------------- a shard */

static bool pile_reserve(pile *all) {
  if (all->room - all->count >= SCAN_ROOM) return true;
  size_t room = all->room ? all->room * 2 : FIRST_SCANNED;
  scanned *found = mem_realloc(all->found, room * sizeof *found);
  if (!found) return false;
  all->found = found;
  all->room = room;
  return true;
}

static bool scan_shard(shard *part, pile *all) {
  bool whole = true;
  shard_scan_begin(part);
  for (uint32_t cursor = 0; whole && cursor != SCAN_OVER;) {
    whole = pile_reserve(all);
    if (whole) all->count += shard_scan(part, &cursor, all->found + all->count);
  }
  shard_scan_end(part);
  return whole;
}

static int by_rank(const void *left, const void *right) {
  uint32_t first = ((const scanned *)left)->rank, second = ((const scanned *)right)->rank;
  return (first > second) - (first < second);
}

static void pile_free(const writer *self, pile *all) {
  for (size_t i = 0; i < all->count; i++) {
    models_release(store_models(self->cache), all->found[i].entry->model);
    entry_release(all->found[i].entry);
  }
  mem_free(all->found);
}

/* --------------------------------------------------------------------- records */

static int32_t write_bytes(const writer *self, const void *bytes, size_t length) {
  return fwrite(bytes, 1, length, self->file) == length ? SHEEP_OK : SHEEP_E_SYSTEM;
}

static int32_t write_head(const writer *self, record_head *head) {
  unsigned char bytes[SNAPSHOT_HEAD];
  head->mark = self->terms->salt;
  head_encode(head, bytes);
  return write_bytes(self, bytes, sizeof bytes);
}

static bool is_worth_saving(const writer *self, const cache_entry *entry) {
  return models_current(store_models(self->cache), entry->model, entry->generation) &&
         (int64_t)entry->expires > self->terms->now_us;
}

/* From the store's clock to the wall's. */
static int64_t wall_time(const writer *self, const cache_entry *entry) {
  if (entry->expires == ENTRY_TIME_MAX) return INT64_MAX;
  return self->terms->wall_us + ((int64_t)entry->expires - self->terms->now_us);
}

static int32_t write_entry(const writer *self, const cache_entry *entry) {
  size_t model_length;
  const char *model = models_name(store_models(self->cache), entry->model, &model_length);
  size_t body_length = (size_t)entry->namespace_length + entry->text_length + entry->value_length;
  record_head head = {.kind = RECORD_ENTRY,
                      .model_length = (uint32_t)model_length,
                      .namespace_length = entry->namespace_length,
                      .text_length = entry->text_length,
                      .value_length = entry->value_length,
                      .prompt_tokens = entry->prompt_tokens,
                      .completion_tokens = entry->completion_tokens,
                      .stored_us = self->terms->wall_us - entry_age_us(entry, self->terms->now_us),
                      .expires_us = wall_time(self, entry),
                      .body_checksum = hash_64(entry->bytes, body_length),
                      .model_checksum = hash_64(model, model_length)};
  int32_t result = write_head(self, &head);
  if (!result) result = write_bytes(self, model, model_length);
  return result ? result : write_bytes(self, entry->bytes, body_length);
}

static int32_t write_shard(const writer *self, shard *part) {
  pile all = {0};
  int32_t result = scan_shard(part, &all) ? SHEEP_OK : SHEEP_E_NOMEM;
  if (!result && all.count) qsort(all.found, all.count, sizeof *all.found, by_rank);
  for (size_t i = 0; i < all.count && !result; i++) {
    if (!is_worth_saving(self, all.found[i].entry)) {
      self->report->expired++;
      continue;
    }
    result = write_entry(self, all.found[i].entry);
    self->report->entries++;
  }
  pile_free(self, &all);
  return result;
}

/* -------------------------------------------------------------------- the file */

static int32_t write_header(const writer *self) {
  const snapshot_terms *terms = self->terms;
  size_t length = SNAPSHOT_HEADER + terms->namespace_length;
  unsigned char *bytes = mem_alloc(length + SNAPSHOT_CHECKSUM);
  if (!bytes) return SHEEP_E_NOMEM;
  header_encode(&(snapshot_header){.version = SNAPSHOT_VERSION,
                                   .namespace_length = (uint32_t)terms->namespace_length,
                                   .mark = terms->salt,
                                   .written_us = terms->wall_us},
                bytes);
  if (terms->namespace_length) memcpy(bytes + SNAPSHOT_HEADER, terms->name_space, terms->namespace_length);
  checksum_encode(hash_64(bytes, length), bytes + length);
  int32_t result = write_bytes(self, bytes, length + SNAPSHOT_CHECKSUM);
  mem_free(bytes);
  return result;
}

static int32_t write_all(const writer *self) {
  int32_t result = write_header(self);
  for (uint32_t i = 0; i < store_shard_count(self->cache) && !result; i++)
    result = write_shard(self, store_shard(self->cache, i));
  if (result) return result;
  record_head end = {.kind = RECORD_END, .stored_us = (int64_t)self->report->entries};
  result = write_head(self, &end);
  if (!result && (fflush(self->file) || fsync(fileno(self->file)))) result = SHEEP_E_SYSTEM;
  return result;
}

/* The rename is on the disk when the folder is; a file system that cannot tell is
 * left to itself. */
static void sync_folder(const char *path) {
  char *folder = mem_strdup(path);
  if (!folder) return;
  char *slash = strrchr(folder, '/');
  if (slash) slash[slash == folder] = '\0';
  int descriptor = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  mem_free(folder);
  if (descriptor < 0) return;
  fsync(descriptor);
  close(descriptor);
}

static int32_t fill_and_rename(writer *self, const char *aside, const char *path) {
  int32_t result = write_all(self);
  int reason = errno;
  if (fclose(self->file) && !result) {
    result = SHEEP_E_SYSTEM;
    reason = errno;
  }
  if (!result && rename(aside, path)) {
    result = SHEEP_E_SYSTEM;
    reason = errno;
  }
  if (result)
    unlink(aside);
  else
    sync_folder(path);
  errno = reason;
  return result;
}

static int32_t save_aside(writer *self, char *aside, const char *path) {
  int descriptor = mkostemp(aside, O_CLOEXEC);
  if (descriptor < 0) return SHEEP_E_SYSTEM;
  self->file = fdopen(descriptor, "w");
  if (self->file) return fill_and_rename(self, aside, path);
  int reason = errno;
  close(descriptor);
  unlink(aside);
  errno = reason;
  return SHEEP_E_SYSTEM;
}

/* The name of a file beside `path` that is not there yet. */
static char *name_aside(const char *path) {
  static const char ending[] = ".XXXXXX";
  size_t length = strlen(path);
  char *aside = mem_alloc(length + sizeof ending);
  if (!aside) return NULL;
  memcpy(aside, path, length);
  memcpy(aside + length, ending, sizeof ending);
  return aside;
}

/* A rename would put the file in the place of a device or a pipe. */
static bool may_replace(const char *path) {
  struct stat found;
  return stat(path, &found) != 0 || S_ISREG(found.st_mode);
}

int32_t snapshot_save(store *cache, const char *path, const snapshot_terms *terms, snapshot_report *report,
                      sheep_error *error) {
  *report = (snapshot_report){0};
  if (terms->namespace_length > ENTRY_NAMESPACE_MAX)
    return error_set(error, SHEEP_E_INVALID, "namespace: longer than %d bytes", ENTRY_NAMESPACE_MAX);
  if (!may_replace(path)) return error_set(error, SHEEP_E_SYSTEM, "path: is not a regular file");
  writer self = {.cache = cache, .terms = terms, .report = report};
  char *aside = name_aside(path);
  int32_t result = aside ? save_aside(&self, aside, path) : SHEEP_E_NOMEM;
  int reason = errno;
  mem_free(aside);
  if (result == SHEEP_E_NOMEM) return error_set(error, result, "out of memory");
  if (result) return error_set(error, result, "the snapshot cannot be written: %s", strerror(reason));
  return SHEEP_OK;
}
