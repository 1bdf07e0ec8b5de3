/* The layout of a snapshot, to and from bytes. */
#include "snapshot_format.h"

#include "hash.h"

#include <string.h>

const unsigned char snapshot_magic[SNAPSHOT_MAGIC] = {0x89, 's', 'h', 'e', 'e', 'p', '\r', '\n'};

enum { HEAD_BEFORE_CHECKSUM = SNAPSHOT_HEAD - SNAPSHOT_CHECKSUM };

static unsigned char *put32(unsigned char *bytes, uint32_t value) {
  for (int i = 0; i < 4; i++, value >>= 8) *bytes++ = (unsigned char)value;
  return bytes;
}

static unsigned char *put64(unsigned char *bytes, uint64_t value) {
  bytes = put32(bytes, (uint32_t)value);
  return put32(bytes, (uint32_t)(value >> 32));
}

static uint32_t get32(const unsigned char **bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) value |= (uint32_t)*(*bytes)++ << (8 * i);
  return value;
}

static uint64_t get64(const unsigned char **bytes) {
  uint64_t low = get32(bytes);
  return low | (uint64_t)get32(bytes) << 32;
}

void header_encode(const snapshot_header *header, unsigned char *bytes) {
  memcpy(bytes, snapshot_magic, SNAPSHOT_MAGIC);
  bytes = put32(bytes + SNAPSHOT_MAGIC, header->version);
  bytes = put32(bytes, header->namespace_length);
  bytes = put64(bytes, header->mark);
  put64(bytes, (uint64_t)header->written_us);
}

bool header_decode(snapshot_header *header, const unsigned char *bytes) {
  if (memcmp(bytes, snapshot_magic, SNAPSHOT_MAGIC)) return false;
  bytes += SNAPSHOT_MAGIC;
  header->version = get32(&bytes);
  header->namespace_length = get32(&bytes);
  header->mark = get64(&bytes);
  header->written_us = (int64_t)get64(&bytes);
  return true;
}

void checksum_encode(uint64_t checksum, unsigned char *bytes) { put64(bytes, checksum); }

uint64_t checksum_decode(const unsigned char *bytes) { return get64(&bytes); }

void head_encode(const record_head *head, unsigned char *bytes) {
  const uint32_t numbers[] = {head->kind,         head->model_length,  head->namespace_length,  head->text_length,
                              head->value_length, head->prompt_tokens, head->completion_tokens, 0};
  unsigned char *end = put64(bytes, head->mark);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) end = put32(end, numbers[i]);
  end = put64(end, (uint64_t)head->stored_us);
  end = put64(end, (uint64_t)head->expires_us);
  end = put64(end, head->body_checksum);
  end = put64(end, head->model_checksum);
  put64(end, hash_64(bytes, HEAD_BEFORE_CHECKSUM));
}

bool head_decode(record_head *head, const unsigned char *bytes, uint64_t mark) {
  if (checksum_decode(bytes) != mark) return false;
  if (checksum_decode(bytes + HEAD_BEFORE_CHECKSUM) != hash_64(bytes, HEAD_BEFORE_CHECKSUM)) return false;
  head->mark = get64(&bytes);
  head->kind = get32(&bytes);
  head->model_length = get32(&bytes);
  head->namespace_length = get32(&bytes);
  head->text_length = get32(&bytes);
  head->value_length = get32(&bytes);
  head->prompt_tokens = get32(&bytes);
  head->completion_tokens = get32(&bytes);
  get32(&bytes);
  head->stored_us = (int64_t)get64(&bytes);
  head->expires_us = (int64_t)get64(&bytes);
  head->body_checksum = get64(&bytes);
  head->model_checksum = get64(&bytes);
  return head->kind == RECORD_ENTRY || head->kind == RECORD_END;
}
