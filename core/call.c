/* One call: the request, and the reply it becomes. */
#include "call.h"

#include "alloc.h"

#include <string.h>

/* The head of a reply as kept here; libcurl's own limit is of the same size. */
enum { MAX_HEAD = 512 << 10 };

static size_t header_line_size(const sheep_header *header) {
  return strlen(header->name) + strlen(header->value) + sizeof ": ";
}

static size_t request_size(const sheep_request *request) {
  size_t size = strlen(request->method) + 1 + strlen(request->path) + 1 + request->body_length + 1;
  for (size_t i = 0; i < request->header_count; i++) size += header_line_size(&request->headers[i]);
  return size;
}

static const char *put(char **place, const void *bytes, size_t length) {
  char *start = *place;
  if (length) memcpy(start, bytes, length);
  start[length] = '\0';
  *place += length + 1;
  return start;
}

/* libcurl spells a header with an empty value "Name;". */
static void put_header(char **place, const sheep_header *header) {
  char *start = *place;
  size_t name_length = strlen(header->name);
  size_t value_length = strlen(header->value);
  memcpy(start, header->name, name_length);
  memcpy(start + name_length, value_length ? ": " : ";", 3 - (value_length == 0));
  if (value_length) memcpy(start + name_length + 2, header->value, value_length + 1);
  *place += strlen(start) + 1;
}

static void copy_request(call *made, const sheep_request *request) {
  char *place = (char *)(made + 1);
  made->method = put(&place, request->method, strlen(request->method));
  made->path = put(&place, request->path, strlen(request->path));
  if (request->body) made->body = put(&place, request->body, request->body_length);
  made->body_length = request->body ? request->body_length : 0;
  made->header_lines = place;
  made->header_count = request->header_count;
  for (size_t i = 0; i < request->header_count; i++) put_header(&place, &request->headers[i]);
}

static call *make(const sheep_request *request, const time_limits *limits, size_t room) {
  call *made = mem_alloc(sizeof *made + room);
  if (!made) return NULL;
  memset(made, 0, sizeof *made);
  made->references = 1;
  made->submission.kind = MAIL_SUBMIT;
  list_init(&made->queue_link);
  list_init(&made->engine_link);
  deadline_init(&made->phase, NULL);
  deadline_init(&made->total, NULL);
  made->tag = request->tag;
  made->limits = *limits;
  return made;
}

call *call_new(const sheep_request *request, const time_limits *limits) {
  if (request->body_length > SIZE_MAX / 2) return NULL;
  call *made = make(request, limits, request_size(request));
  if (made) copy_request(made, request);
  return made;
}

call *call_new_sharing(const sheep_request *request, const time_limits *limits) {
  call *made = make(request, limits, 0);
  if (made) made->state = CALL_SHARING;
  return made;
}

void call_free(call *ended) {
  if (!ended || atomic_fetch_sub_explicit(&ended->references, 1, memory_order_acq_rel) > 1) return;
  if (ended->entry) entry_release(ended->entry);
  call_free(ended->carrier);
  mem_free(ended->message);
  buf_free(&ended->head);
  buf_free(&ended->reply);
  mem_free(ended);
}

void call_reset_reply(call *pending) {
  pending->status = 0;
  pending->head.length = 0;
  pending->reply.length = 0;
}

static int32_t keep(call *pending, const char *text, size_t length) {
  int32_t result = buf_append(&pending->head, text, length, MAX_HEAD);
  return result ? result : buf_append(&pending->head, "", 1, MAX_HEAD);
}

/* NULs tell the strings of a head apart; a text that holds one would forge others. */
static bool holds_nul(const char *text, size_t length) { return memchr(text, '\0', length) != NULL; }

int32_t call_set_status_line(call *pending, int32_t status, const char *reason, size_t length) {
  call_reset_reply(pending);
  if (holds_nul(reason, length)) return SHEEP_E_PROTOCOL;
  pending->status = status;
  return keep(pending, reason, length);
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Takes the blanks off both ends. */
static void trim(const char **text, const char **end) {
  while (*text < *end && is_blank(**text)) ++*text;
  while (*end > *text && is_blank((*end)[-1])) --*end;
}

static bool has_header(const call *pending) {
  return pending->head.length && pending->head.length > strlen(pending->head.data) + 1;
}

/* A folded line, RFC 9112, 5.2: joined to the value before it by a space. */
static int32_t continue_header(call *pending, const char *text, const char *end) {
  if (!has_header(pending)) return SHEEP_E_PROTOCOL;
  trim(&text, &end);
  if (text == end) return SHEEP_OK;
  pending->head.data[pending->head.length - 1] = ' ';
  return keep(pending, text, (size_t)(end - text));
}

int32_t call_add_header(call *pending, const char *line, size_t length) {
  const char *end = line + length;
  if (holds_nul(line, length)) return SHEEP_E_PROTOCOL;
  if (length && is_blank(*line)) return continue_header(pending, line, end);
  const char *colon = memchr(line, ':', length);
  if (!colon) return SHEEP_E_PROTOCOL;
  const char *name_end = colon;
  const char *value = colon + 1;
  trim(&line, &name_end);
  trim(&value, &end);
  int32_t result = keep(pending, line, (size_t)(name_end - line));
  return result ? result : keep(pending, value, (size_t)(end - value));
}

void call_set_result(call *pending, int32_t result, const char *message) {
  pending->result = result;
  mem_free(pending->message);
  pending->message = result && message ? mem_strdup(message) : NULL;
}

void call_set_hit(call *answered, cache_hit *hit) {
  answered->status = 200;
  answered->sent = SHEEP_ANSWERED;
  answered->cached = hit->stale ? SHEEP_CACHED_STALE : SHEEP_CACHED_FRESH;
  answered->entry = hit->entry;
  if (hit->attached) attachment_release(hit->attached);
}

void call_set_carrier(call *answered, call *carrier) {
  atomic_fetch_add_explicit(&carrier->references, 1, memory_order_relaxed);
  answered->carrier = carrier;
  answered->status = carrier->status;
  answered->sent = carrier->sent;
}

const call *call_shown(const call *reply) { return reply->carrier ? reply->carrier : reply; }
