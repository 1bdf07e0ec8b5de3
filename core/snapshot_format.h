/* The layout of a snapshot. Numbers are little-endian.
 *
 *     header   magic       8 bytes: 0x89 "sheep" CR LF, which text transfers break
 *              version     u32: 1
 *              namespace   u32: its length, up to 32,767
 *              mark        u64: random, new for each file
 *              written     i64: microseconds since 1970
 *              namespace   bytes
 *              checksum    u64: of all of the header before it
 *     records  any number of entries, shard by shard, and in a shard those first
 *              that would be evicted first; then one end, whose `stored` is the
 *              number of entries. Each is a head and, for an entry, a body.
 *     head     mark        u64: the header's
 *              kind        u32: 1 entry, 2 end
 *              model, namespace, text, value    u32 each: lengths
 *              prompt tokens, completion tokens u32 each
 *              zero        u32
 *              stored, expires  i64 each: microseconds since 1970; INT64_MAX: never
 *              body        u64: checksum of namespace, text and value
 *              model       u64: checksum of its name
 *              checksum    u64: of all of the head before it
 *     body     model, namespace, key text, value
 *
 * Checksums are XXH3-64. After a damaged place a reader looks for the next head: by
 * its mark, which nobody can have put into a cached text before the file was
 * written, and by its checksum. Digests are not kept, since their seed changes. */
#ifndef SHEEP_SNAPSHOT_FORMAT_H
#define SHEEP_SNAPSHOT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SNAPSHOT_VERSION = 1, SNAPSHOT_MAGIC = 8, SNAPSHOT_HEADER = 32, SNAPSHOT_HEAD = 80, SNAPSHOT_CHECKSUM = 8 };

extern const unsigned char snapshot_magic[SNAPSHOT_MAGIC];

/* The header without the namespace and the checksum. */
typedef struct snapshot_header {
  uint32_t version;
  uint32_t namespace_length;
  uint64_t mark;
  int64_t written_us;
} snapshot_header;

typedef enum record_kind { RECORD_ENTRY = 1, RECORD_END = 2 } record_kind;

typedef struct record_head {
  uint64_t mark;
  uint32_t kind;
  uint32_t model_length;
  uint32_t namespace_length;
  uint32_t text_length;
  uint32_t value_length;
  uint32_t prompt_tokens;
  uint32_t completion_tokens;
  int64_t stored_us;
  int64_t expires_us;
  uint64_t body_checksum;
  uint64_t model_checksum;
} record_head;

void header_encode(const snapshot_header *header, unsigned char *bytes);
/* False: the magic is not there. */
bool header_decode(snapshot_header *header, const unsigned char *bytes);

void checksum_encode(uint64_t checksum, unsigned char *bytes);
uint64_t checksum_decode(const unsigned char *bytes);

/* With the checksum. */
void head_encode(const record_head *head, unsigned char *bytes);
/* False: it is not a sound head of this file. */
bool head_decode(record_head *head, const unsigned char *bytes, uint64_t mark);

#endif
