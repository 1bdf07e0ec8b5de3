/* Reading a snapshot, which may be damaged or made with ill intent. */
#include "snapshot.h"

#include "alloc.h"
#include "snapshot_format.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Times beyond it would overflow what is reckoned from them. */
static const int64_t latest_us = INT64_C(1) << 60;

/* A load under way. */
typedef struct reader {
  store *cache;
  const snapshot_terms *terms;
  snapshot_report *report;
  FILE *file;
  uint64_t left; /* bytes of the file that were not read yet */
  uint64_t mark;
  uint64_t generation; /* of the store when it began */
  char *body;          /* of one record */
  size_t body_room;
} reader;

/* Reads up to the end of the file; returns how much. */
static size_t read_bytes(reader *self, void *bytes, size_t length) {
  if (length > self->left) length = (size_t)self->left;
  size_t got = fread(bytes, 1, length, self->file);
  self->left = got < length ? 0 : self->left - got;
  return got;
}

/* -------------------------------------------------------------------- the header */

static int32_t check_namespace(reader *self, const unsigned char *fixed, size_t length, sheep_error *error) {
  unsigned char *bytes = mem_alloc(SNAPSHOT_HEADER + length + SNAPSHOT_CHECKSUM);
  if (!bytes) return error_set(error, SHEEP_E_NOMEM, "out of memory");
  memcpy(bytes, fixed, SNAPSHOT_HEADER);
  size_t rest = length + SNAPSHOT_CHECKSUM;
  bool sound = read_bytes(self, bytes + SNAPSHOT_HEADER, rest) == rest &&
               hash_64(bytes, SNAPSHOT_HEADER + length) == checksum_decode(bytes + SNAPSHOT_HEADER + length);
  bool ours = length == self->terms->namespace_length &&
              (!length || !memcmp(bytes + SNAPSHOT_HEADER, self->terms->name_space, length));
  mem_free(bytes);
  if (!sound) return error_set(error, SHEEP_E_INVALID, "the snapshot's header is damaged");
  if (!ours) return error_set(error, SHEEP_E_INVALID, "the snapshot belongs to another namespace");
  return SHEEP_OK;
}

static int32_t read_header(reader *self, sheep_error *error) {
  unsigned char bytes[SNAPSHOT_HEADER];
  snapshot_header header;
  if (read_bytes(self, bytes, sizeof bytes) != sizeof bytes || !header_decode(&header, bytes))
    return error_set(error, SHEEP_E_INVALID, "the file is not a snapshot");
  if (header.version != SNAPSHOT_VERSION)
    return error_set(error, SHEEP_E_INVALID, "the snapshot has version %u, where %d is known", header.version,
                     SNAPSHOT_VERSION);
  if (header.namespace_length > ENTRY_NAMESPACE_MAX)
    return error_set(error, SHEEP_E_INVALID, "the snapshot's header is damaged");
  self->mark = header.mark;
  return check_namespace(self, bytes, header.namespace_length, error);
}

/* ----------------------------------------------------------------------- records */

/* Reads the next sound head, looking for it byte by byte after a damaged place.
 * False: there is none up to the end. */
static bool read_head(reader *self, record_head *head) {
  unsigned char bytes[SNAPSHOT_HEAD];
  size_t got = read_bytes(self, bytes, sizeof bytes);
  uint64_t skipped = 0;
  bool found = got == sizeof bytes && head_decode(head, bytes, self->mark);
  while (!found && got == sizeof bytes) {
    skipped++;
    memmove(bytes, bytes + 1, sizeof bytes - 1);
    got = sizeof bytes - 1 + read_bytes(self, bytes + sizeof bytes - 1, 1);
    found = got == sizeof bytes && head_decode(head, bytes, self->mark);
  }
  if (!found) skipped += got;
  self->report->dropped_bytes += skipped;
  if (skipped) self->report->damaged++;
  return found;
}

static uint64_t body_length(const record_head *head) {
  return (uint64_t)head->model_length + head->namespace_length + head->text_length + head->value_length;
}

/* Also for nothing, so that there is a body to point into. */
static bool reserve(reader *self, size_t length) {
  if (length < self->body_room) return true;
  char *body = mem_realloc(self->body, length + 1);
  if (!body) return false;
  self->body = body;
  self->body_room = length + 1;
  return true;
}

static bool is_intact(const reader *self, const record_head *head) {
  const char *rest = self->body + head->model_length;
  return hash_64(self->body, head->model_length) == head->model_checksum &&
         hash_64(rest, (size_t)body_length(head) - head->model_length) == head->body_checksum;
}

/* Never more than it had when it was stored, should the wall's clock have gone back. */
static int64_t time_left(const reader *self, const record_head *head) {
  if (head->expires_us == INT64_MAX) return INT64_MAX;
  int64_t left = head->expires_us - self->terms->wall_us;
  int64_t whole = head->expires_us - head->stored_us;
  return left < whole ? left : whole;
}

static void store_record(reader *self, const record_head *head) {
  const char *text = self->body + head->model_length + head->namespace_length;
  cache_key key = {self->body + head->model_length, head->namespace_length, text, head->text_length, {0, 0}};
  key.digest = store_digest(self->cache, text, head->text_length);
  int64_t age_us = self->terms->wall_us - head->stored_us;
  cache_value value = {.data = text + head->text_length,
                       .length = head->value_length,
                       .model = self->body,
                       .model_length = head->model_length,
                       .ttl_us = time_left(self, head),
                       .age_us = age_us > 0 ? age_us : 0,
                       .prompt_tokens = head->prompt_tokens,
                       .completion_tokens = head->completion_tokens};
  if (value.ttl_us <= 0)
    self->report->expired++;
  else if (store_put(self->cache, &key, &value, self->generation, self->terms->now_us) == STORE_STORED)
    self->report->entries++;
  else
    self->report->refused++;
}

static void drop(reader *self, uint64_t bytes) {
  self->report->damaged++;
  self->report->dropped_bytes += bytes;
}

/* Whether the store could take it at all: if not, no memory is spent on it. */
static bool could_fit(const reader *self, const record_head *head) {
  const cache_key key = {.namespace_length = head->namespace_length, .text_length = head->text_length};
  return head->model_length <= MODEL_NAME_MAX && store_could_fit(self->cache, &key, head->value_length);
}

static int32_t skip_body(reader *self, uint64_t length) {
  if (fseeko(self->file, (off_t)length, SEEK_CUR)) return SHEEP_E_SYSTEM;
  self->left -= length;
  self->report->refused++;
  return SHEEP_OK;
}

static bool has_sound_times(const record_head *head) {
  return head->stored_us >= 0 && head->stored_us < latest_us && head->expires_us >= head->stored_us &&
         (head->expires_us < latest_us || head->expires_us == INT64_MAX);
}

static int32_t read_entry(reader *self, const record_head *head) {
  uint64_t length = body_length(head);
  if (length > self->left) {
    drop(self, SNAPSHOT_HEAD + self->left);
    self->left = 0;
    return SHEEP_OK;
  }
  if (!could_fit(self, head)) return skip_body(self, length);
  if (!reserve(self, (size_t)length)) return SHEEP_E_NOMEM;
  size_t got = read_bytes(self, self->body, (size_t)length);
  if (got != length || !has_sound_times(head) || !is_intact(self, head))
    drop(self, SNAPSHOT_HEAD + got);
  else
    store_record(self, head);
  return SHEEP_OK;
}

static int32_t read_records(reader *self) {
  int32_t result = SHEEP_OK;
  record_head head;
  bool ended = false;
  while (!result && !ended && read_head(self, &head)) {
    if (head.kind == RECORD_END)
      ended = true;
    else
      result = read_entry(self, &head);
  }
  self->report->truncated = !ended;
  return result;
}

/* -------------------------------------------------------------------- the file */

static int32_t read_error(sheep_error *error, int reason) {
  return error_set(error, SHEEP_E_SYSTEM, "the snapshot cannot be read: %s", strerror(reason));
}

int32_t snapshot_read(store *cache, FILE *file, uint64_t size, const snapshot_terms *terms,
                      snapshot_report *report, sheep_error *error) {
  *report = (snapshot_report){0};
  reader self = {.cache = cache,
                 .terms = terms,
                 .report = report,
                 .file = file,
                 .left = size,
                 .generation = store_generation(cache)};
  int32_t result = read_header(&self, error);
  if (result) return result;
  result = read_records(&self);
  int reason = errno;
  mem_free(self.body);
  if (result == SHEEP_E_NOMEM) return error_set(error, result, "out of memory");
  return result || ferror(file) ? read_error(error, reason) : SHEEP_OK;
}

/* Not one that would block, such as a pipe. */
static FILE *open_file(const char *path, uint64_t *size) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return NULL;
  struct stat facts;
  FILE *file = NULL;
  if (!fstat(descriptor, &facts)) {
    *size = (uint64_t)facts.st_size;
    if (S_ISREG(facts.st_mode))
      file = fdopen(descriptor, "r");
    else
      errno = EINVAL;
  }
  if (file) return file;
  int reason = errno;
  close(descriptor);
  errno = reason;
  return NULL;
}

int32_t snapshot_load(store *cache, const char *path, const snapshot_terms *terms, snapshot_report *report,
                      sheep_error *error) {
  *report = (snapshot_report){0};
  uint64_t size = 0;
  FILE *file = open_file(path, &size);
  if (!file) return read_error(error, errno);
  int32_t result = snapshot_read(cache, file, size, terms, report, error);
  fclose(file);
  return result;
}
