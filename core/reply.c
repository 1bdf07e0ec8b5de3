/* A reply as the ABI shows it: the call that it was, its carrier's, or a cached one. */
#include "call.h"

#include <string.h>
#include <strings.h>

SHEEP_API int32_t sheep_reply_status(const sheep_reply *reply) { return reply->status; }

SHEEP_API const char *sheep_reply_reason(const sheep_reply *reply) {
  if (reply->cached) return "OK";
  const call *shown = call_shown(reply);
  return shown->head.length ? shown->head.data : "";
}

static const char *cached_body(const cache_entry *entry, size_t *length) {
  if (length) *length = entry->value_length;
  return entry_value(entry);
}

SHEEP_API const char *sheep_reply_body(const sheep_reply *reply, size_t *length) {
  if (reply->entry) return cached_body(reply->entry, length);
  const buf *body = &call_shown(reply)->reply;
  if (length) *length = body->length;
  return body->length ? body->data : "";
}

/* The string after this one, or NULL behind the last. */
static const char *next_text(const buf *head, const char *text) {
  const char *next = text + strlen(text) + 1;
  return next < head->data + head->length ? next : NULL;
}

static const char *first_name(const buf *head) {
  return head->length ? next_text(head, head->data) : NULL;
}

SHEEP_API const char *sheep_reply_header(const sheep_reply *reply, const char *name) {
  const buf *head = &call_shown(reply)->head;
  for (const char *found = first_name(head); found;) {
    const char *value = next_text(head, found);
    if (value && strcasecmp(found, name) == 0) return value;
    found = value ? next_text(head, value) : NULL;
  }
  return NULL;
}

SHEEP_API int32_t sheep_reply_header_at(const sheep_reply *reply, size_t index,
                                        sheep_header *header) {
  const buf *head = &call_shown(reply)->head;
  for (const char *found = first_name(head); found;) {
    const char *value = next_text(head, found);
    if (value && index-- == 0) {
      *header = (sheep_header){found, value};
      return SHEEP_OK;
    }
    found = value ? next_text(head, value) : NULL;
  }
  return SHEEP_E_INVALID;
}

SHEEP_API int32_t sheep_reply_sent(const sheep_reply *reply) { return reply->sent; }

SHEEP_API int32_t sheep_reply_cached(const sheep_reply *reply) { return reply->cached; }

SHEEP_API const char *sheep_reply_message(const sheep_reply *reply) {
  const call *shown = reply->message ? reply : call_shown(reply);
  bool fits = shown->message && shown->result == reply->result;
  return fits ? shown->message : error_default_message(reply->result);
}

SHEEP_API int64_t sheep_reply_latency_us(const sheep_reply *reply) { return reply->latency_us; }

SHEEP_API void sheep_reply_free(sheep_reply *reply) { call_free(reply); }
