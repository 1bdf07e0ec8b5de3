/* Strings as Python's json.dumps writes them.
 *
 * Text goes through in runs and specials: a run of bytes that stay as they are is
 * tested and copied 32 or 8 at a time, and what must be escaped is looked up. All
 * stores are 8 bytes wide or more, so room is made for blocks of BLOCK units and
 * SLACK bytes besides, and not looked at in between. */
#include "escape.h"

#include "alloc.h"
#include "error.h"

#include <stdbool.h>
#include <string.h>

enum { BLOCK = 512, SLACK = 64, LONGEST = 6, WORD = 8, WIDE = 32, FIRST_CAPACITY = 512 };

/* ------------------------------------------------------------------- table */

/* A spelling is up to six characters, the first in the lowest byte, and in the
 * highest byte how many they are. */
#define SPELLING(length, characters) ((uint64_t)(length) << 56 | (uint64_t)(characters))

enum { DIGIT_0 = '0', DIGIT_1, DIGIT_2, DIGIT_3, DIGIT_4 };
enum { DIGIT_5 = '5', DIGIT_6, DIGIT_7, DIGIT_8, DIGIT_9 };
enum { DIGIT_a = 'a', DIGIT_b, DIGIT_c, DIGIT_d, DIGIT_e, DIGIT_f };

/* The unit of the four hex digits w, x, y and z. */
#define DIGIT(digit, place) (uint64_t)DIGIT_##digit << 8 * (place)
#define ESCAPED(w, x, y, z) \
  SPELLING(6, '\\' | 'u' << 8 | DIGIT(w, 2) | DIGIT(x, 3) | DIGIT(y, 4) | DIGIT(z, 5))

#define OTHER_LETTER(c) ((c) == '\n' ? 'n' : (c) == '\f' ? 'f' : (c) == '\r' ? 'r' : 0)
#define LETTER(c) ((c) == '\b' ? 'b' : (c) == '\t' ? 't' : OTHER_LETTER(c))
#define BACKSLASHED(letter) SPELLING(2, '\\' | (letter) << 8)
#define CONTROL(c, escaped) (LETTER(c) ? BACKSLASHED(LETTER(c)) : (escaped))
#define PRINTABLE(c) ((c) == '"' || (c) == '\\' ? BACKSLASHED(c) : SPELLING(1, c))
#define IS_CONTROL(c) ((c) < 0x20 || (c) == 0x7f)
#define SPELLED(c, escaped) (IS_CONTROL(c) ? CONTROL(c, escaped) : PRINTABLE(c))
#define ASCII(w, x, y, z) SPELLED(0x##y##z, ESCAPED(w, x, y, z))

#define ROW(make, w, x, y) \
  make(w, x, y, 0), make(w, x, y, 1), make(w, x, y, 2), make(w, x, y, 3), make(w, x, y, 4), \
  make(w, x, y, 5), make(w, x, y, 6), make(w, x, y, 7), make(w, x, y, 8), make(w, x, y, 9), \
  make(w, x, y, a), make(w, x, y, b), make(w, x, y, c), make(w, x, y, d), make(w, x, y, e), \
  make(w, x, y, f)
#define LOWER_ROWS(make, w, x) \
  ROW(make, w, x, 0), ROW(make, w, x, 1), ROW(make, w, x, 2), ROW(make, w, x, 3), \
  ROW(make, w, x, 4), ROW(make, w, x, 5), ROW(make, w, x, 6), ROW(make, w, x, 7)
#define UPPER_ROWS(make, w, x) \
  ROW(make, w, x, 8), ROW(make, w, x, 9), ROW(make, w, x, a), ROW(make, w, x, b), \
  ROW(make, w, x, c), ROW(make, w, x, d), ROW(make, w, x, e), ROW(make, w, x, f)
#define PAGE(w, x) LOWER_ROWS(ESCAPED, w, x), UPPER_ROWS(ESCAPED, w, x)

/* The spellings of the units below 0x2000: ready, because in Latin, Greek, Cyrillic,
 * Hebrew, Arabic or Vietnamese text no branch on what comes next can be foretold. */
enum { READY = 0x2000 };
static const uint64_t ready[READY] = {
    LOWER_ROWS(ASCII, 0, 0), UPPER_ROWS(ESCAPED, 0, 0),
    PAGE(0, 1), PAGE(0, 2), PAGE(0, 3), PAGE(0, 4), PAGE(0, 5), PAGE(0, 6), PAGE(0, 7), PAGE(0, 8),
    PAGE(0, 9), PAGE(0, a), PAGE(0, b), PAGE(0, c), PAGE(0, d), PAGE(0, e), PAGE(0, f), PAGE(1, 0),
    PAGE(1, 1), PAGE(1, 2), PAGE(1, 3), PAGE(1, 4), PAGE(1, 5), PAGE(1, 6), PAGE(1, 7), PAGE(1, 8),
    PAGE(1, 9), PAGE(1, a), PAGE(1, b), PAGE(1, c), PAGE(1, d), PAGE(1, e), PAGE(1, f)};

/* ------------------------------------------------- words, first byte lowest */

static inline uint64_t in_memory_order(uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return __builtin_bswap64(word);
#else
  return word;
#endif
}

static inline uint64_t load_word(const void *from) {
  uint64_t word;
  memcpy(&word, from, sizeof word);
  return in_memory_order(word);
}

static inline void store_word(char *to, uint64_t word) {
  word = in_memory_order(word);
  memcpy(to, &word, sizeof word);
}

/* -------------------------------------------------------- single characters */

/* Two hex digits, from the page of 0x0100. */
static inline uint64_t two_digits(uint32_t byte) { return ready[0x100 + byte] >> 32 & 0xffff; }

static inline uint64_t four_digits(uint32_t unit) {
  return two_digits(unit >> 8) | two_digits(unit & 0xff) << 16;
}

static inline char *put_unit(char *to, uint32_t unit) {
  uint64_t spelling = unit < READY ? ready[unit] : SPELLING(6, 0x755c | four_digits(unit) << 16);
  store_word(to, spelling);
  return to + (spelling >> 56);
}

static inline char *put_code_point(char *to, uint32_t code) {
  if (code < 0x10000) return put_unit(to, code);
  to = put_unit(to, 0xd7c0 + (code >> 10));
  return put_unit(to, 0xdc00 | (code & 0x3ff));
}

static inline bool is_special(uint8_t byte) { return ready[byte] >> 56 != 1; }

static inline bool is_continuation(uint32_t byte) { return (byte & 0xc0) == 0x80; }

/* Two, three or four bytes that should be one character, or 0 when they aren't. */
static inline uint32_t decode_2(const uint8_t *at) {
  return at[0] >= 0xc2 && is_continuation(at[1]) ? (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu) : 0;
}

static inline uint32_t decode_3(const uint8_t *at) {
  uint32_t code = (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
  if (!is_continuation(at[1]) || !is_continuation(at[2])) return 0;
  return code >= 0x800 && (code & 0xf800) != 0xd800 ? code : 0;
}

static inline uint32_t decode_4(const uint8_t *at) {
  uint32_t code = (at[0] & 0x07u) << 18 | (at[1] & 0x3fu) << 12 | (at[2] & 0x3fu) << 6 |
                  (at[3] & 0x3fu);
  if (!is_continuation(at[1]) || !is_continuation(at[2]) || !is_continuation(at[3])) return 0;
  return at[0] <= 0xf4 && code >= 0x10000 && code <= 0x10ffff ? code : 0;
}

/* -------------------------------------------------------------------- runs */

/* 0x80 in each byte that can't stay as it is. No sum carries into the next byte:
 * the high bits are off. */
static inline uint64_t special_bytes(uint64_t word) {
  const uint64_t each = UINT64_C(0x0101010101010101);
  uint64_t low = word & each * 0x7f;
  uint64_t printable = low + each * 0x60;
  uint64_t no_quote = (low ^ each * '"') + each * 0x7f;
  uint64_t no_backslash = (low ^ each * '\\') + each * 0x7f;
  uint64_t is_delete = low + each;
  return (~(printable & no_quote & no_backslash) | is_delete | word) & each * 0x80;
}

typedef int8_t bytes_16 __attribute__((vector_size(16)));

/* As signed bytes, those from 0x80 up are below 0x20 too. */
static inline bytes_16 special_16(const uint8_t *from) {
  bytes_16 bytes;
  memcpy(&bytes, from, sizeof bytes);
  return (bytes < 0x20) | (bytes == '"') | (bytes == '\\') | (bytes == 0x7f);
}

static inline bool is_clean_wide(const uint8_t *from) {
  bytes_16 special = special_16(from) | special_16(from + 16);
  uint64_t halves[2];
  memcpy(halves, &special, sizeof halves);
  return (halves[0] | halves[1]) == 0;
}

typedef struct cursor {
  const uint8_t *at;
  const uint8_t *end; /* of what may be read */
  char *to;
} cursor;

/* The characters at hand that aren't ASCII, up to `limit`; false where they aren't
 * UTF-8. The lengths are constants, so that no character waits for the one before. */
static inline bool put_utf8(cursor *text, const uint8_t *limit) {
  while (text->at < limit && *text->at >= 0x80) {
    const uint8_t *at = text->at;
    size_t left = (size_t)(text->end - at);
    uint32_t code = 0;
    if (at[0] < 0xe0) {
      if (left >= 2) code = decode_2(at);
      text->at += 2;
    } else if (at[0] < 0xf0) {
      if (left >= 3) code = decode_3(at);
      text->at += 3;
    } else {
      if (left >= 4) code = decode_4(at);
      text->at += 4;
    }
    if (!code) {
      text->at = at;
      return false;
    }
    text->to = put_code_point(text->to, code);
  }
  return true;
}

static inline void copy_clean_wide(cursor *text, const uint8_t *limit) {
  while (text->at < limit && text->end - text->at >= WIDE && is_clean_wide(text->at)) {
    memcpy(text->to, text->at, WIDE);
    text->at += WIDE;
    text->to += WIDE;
  }
}

/* The last four to seven bytes as two halves that overlap, the last three, two or one
 * as three bytes, some of them the same. */
static inline bool copy_clean_few(cursor *text) {
  const uint8_t *at = text->at;
  size_t left = (size_t)(text->end - at);
  if (left >= 4) {
    uint32_t first, last;
    memcpy(&first, at, 4);
    memcpy(&last, at + left - 4, 4);
    if (special_bytes((uint64_t)first << 32 | last)) return false;
    memcpy(text->to, &first, 4);
    memcpy(text->to + left - 4, &last, 4);
  } else if (left) {
    uint8_t first = at[0], middle = at[left / 2], last = at[left - 1];
    if (is_special(first) || is_special(middle) || is_special(last)) return false;
    text->to[0] = (char)first;
    text->to[left / 2] = (char)middle;
    text->to[left - 1] = (char)last;
  }
  text->at += left;
  text->to += left;
  return true;
}

static inline void copy_clean_tail(cursor *text, const uint8_t *limit) {
  if (text->at >= limit || copy_clean_few(text)) return;
  while (!is_special(*text->at)) *text->to++ = (char)*text->at++;
}

/* Copies up to the next special byte, or to `limit` or somewhat beyond. Most runs
 * outside prose end in the first word. */
static inline void copy_clean(cursor *text, const uint8_t *limit) {
  bool wide = false;
  while (text->at < limit && text->end - text->at >= WORD) {
    uint64_t word = load_word(text->at);
    uint64_t special = special_bytes(word);
    store_word(text->to, word);
    size_t length = special ? (size_t)__builtin_ctzll(special) / 8 : WORD;
    text->at += length;
    text->to += length;
    if (special) return;
    if (!wide) copy_clean_wide(text, limit);
    wide = true;
  }
  copy_clean_tail(text, limit);
}

/* ------------------------------------------------------------------ blocks */

int32_t escape_grow(buf *out, size_t more) {
  size_t needed = out->length + more + 1;
  size_t capacity = out->capacity ? out->capacity * 2 : FIRST_CAPACITY;
  if (capacity < needed) capacity = needed;
  char *data = mem_realloc(out->data, capacity);
  if (!data) return SHEEP_E_NOMEM;
  out->data = data;
  out->capacity = capacity;
  return SHEEP_OK;
}

/* Room for so many bytes, the quotes and what the last store writes too much. */
static inline int32_t make_room(buf *out, size_t most) { return escape_room(out, most + SLACK); }

static inline size_t at_most(size_t count, size_t most) { return count < most ? count : most; }

/* Closes the string that began at `start`, or takes it back. */
static inline int32_t finish(buf *out, size_t start, int32_t result) {
  if (result)
    out->length = start;
  else
    out->data[out->length++] = '"';
  if (out->data) out->data[out->length] = '\0';
  return result;
}

/* How many units make a block. */
typedef size_t block_divider(const void *units, size_t count);

/* Writes a block and returns the end; NULL when it isn't text. */
typedef char *block_writer(char *to, const void *units, size_t count);

/* `width` is the bytes of a unit, `longest` those that it can become. */
static inline int32_t escape_blocks(buf *out, const void *units, size_t count, size_t width,
                                    size_t longest, block_divider *divide, block_writer *write) {
  const char *rest = units;
  size_t start = out->length;
  int32_t result = make_room(out, 0);
  if (!result) out->data[out->length++] = '"';
  while (!result && count) {
    size_t some = divide(rest, count);
    result = make_room(out, some * longest);
    if (result) break;
    char *end = write(out->data + out->length, rest, some);
    if (end) out->length = (size_t)(end - out->data);
    if (!end) result = SHEEP_E_INVALID;
    rest += some * width;
    count -= some;
  }
  return finish(out, start, result);
}

static inline size_t fixed_block(const void *units, size_t count) {
  (void)units;
  return at_most(count, BLOCK);
}

static inline char *write_latin1(char *to, const void *units, size_t count) {
  const uint8_t *bytes = units;
  cursor text = {bytes, bytes + count, to};
  for (;;) {
    copy_clean(&text, text.end);
    if (text.at == text.end) return text.to;
    text.to = put_unit(text.to, *text.at++);
  }
}

int32_t escape_latin1(buf *out, const uint8_t *units, size_t count) {
  return escape_blocks(out, units, count, sizeof *units, LONGEST, fixed_block, write_latin1);
}

typedef uint16_t units_8 __attribute__((vector_size(16)));
typedef uint8_t bytes_8 __attribute__((vector_size(8)));

/* Whether eight units stay as they are; if so, they are written. */
static inline bool put_clean_8(char *to, units_8 units) {
  units_8 special = (units_8)((units - 0x20 > 0x5e) | (units == '"') | (units == '\\'));
  uint64_t halves[2];
  memcpy(halves, &special, sizeof halves);
  if (halves[0] | halves[1]) return false;
  bytes_8 bytes = __builtin_convertvector(units, bytes_8);
  memcpy(to, &bytes, sizeof bytes);
  return true;
}

static inline char *write_ucs2(char *to, const void *text, size_t count) {
  const uint16_t *units = text;
  for (; count >= 8; count -= 8, units += 8) {
    units_8 eight;
    memcpy(&eight, units, sizeof eight);
    if (put_clean_8(to, eight))
      to += 8;
    else
      for (int i = 0; i < 8; i++) to = put_unit(to, units[i]);
  }
  while (count--) to = put_unit(to, *units++);
  return to;
}

int32_t escape_ucs2(buf *out, const uint16_t *units, size_t count) {
  return escape_blocks(out, units, count, sizeof *units, LONGEST, fixed_block, write_ucs2);
}

typedef uint32_t codes_4 __attribute__((vector_size(16)));
typedef uint8_t bytes_4 __attribute__((vector_size(4)));

static inline bool put_clean_4(char *to, codes_4 codes) {
  codes_4 special = (codes_4)((codes - 0x20 > 0x5e) | (codes == '"') | (codes == '\\'));
  uint64_t halves[2];
  memcpy(halves, &special, sizeof halves);
  if (halves[0] | halves[1]) return false;
  bytes_4 bytes = __builtin_convertvector(codes, bytes_4);
  memcpy(to, &bytes, sizeof bytes);
  return true;
}

static inline char *write_ucs4(char *to, const void *text, size_t count) {
  const uint32_t *codes = text;
  for (; count >= 4; count -= 4, codes += 4) {
    codes_4 four;
    memcpy(&four, codes, sizeof four);
    if (put_clean_4(to, four))
      to += 4;
    else
      for (int i = 0; i < 4; i++) to = put_code_point(to, codes[i]);
  }
  while (count--) to = put_code_point(to, *codes++);
  return to;
}

int32_t escape_ucs4(buf *out, const uint32_t *units, size_t count) {
  return escape_blocks(out, units, count, sizeof *units, 2 * LONGEST, fixed_block, write_ucs4);
}

static inline char *write_utf8(char *to, const void *units, size_t length) {
  const uint8_t *bytes = units;
  cursor text = {bytes, bytes + length, to};
  for (;;) {
    copy_clean(&text, text.end);
    if (text.at == text.end) return text.to;
    if (*text.at < 0x80) text.to = put_unit(text.to, *text.at++);
    if (!put_utf8(&text, text.end)) return NULL;
  }
}

/* One that doesn't end within a character. */
static inline size_t utf8_block(const void *units, size_t length) {
  const uint8_t *bytes = units;
  if (length <= BLOCK) return length;
  size_t end = BLOCK;
  while (end > BLOCK - 3 && is_continuation(bytes[end])) end--;
  return end;
}

int32_t escape_utf8(buf *out, const char *text, size_t length) {
  return escape_blocks(out, text, length, 1, LONGEST, utf8_block, write_utf8);
}

/* -------------------------------------------------------------- JSON's own */

/* Whether four hex digits of either case are at `at`; if so, what they stand for. They
 * are when its own digits are what was there, but for the case. */
static inline bool read_hex(const uint8_t *at, uint32_t *unit) {
  uint32_t digits = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
  uint32_t lower = digits | 0x20202020;
  uint32_t nibbles = (lower & 0x0f0f0f0f) + 9 * (lower >> 6 & 0x01010101);
  uint32_t from_20 = (digits | digits >> 1) & 0x20202020; /* 0x10 would pass for '0' */
  uint32_t high = (nibbles & 0xf) << 12 | (nibbles & 0xf00);
  *unit = high | (nibbles >> 12 & 0xf0) | (nibbles >> 24 & 0xf);
  return four_digits(*unit) == lower && from_20 == 0x20202020;
}

static inline uint8_t meant_by(uint8_t letter) {
  switch (letter) {
    case '"': case '\\': case '/': return letter;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return 0;
  }
}

/* The escape at `at`; what is wrong with it, or NULL. */
static inline const char *put_escape(cursor *text) {
  const uint8_t *at = text->at;
  uint32_t unit;
  if (text->end - at < 2) return "the text ends within a string";
  if (at[1] == 'u') {
    if (text->end - at < 6 || !read_hex(at + 2, &unit)) return "\\u without four hex digits";
    text->at += 6;
  } else {
    unit = meant_by(at[1]);
    if (!unit) return "a backslash before what isn't an escape";
    text->at += 2;
  }
  text->to = put_unit(text->to, unit);
  return NULL;
}

static inline const char *put_special(cursor *text, const uint8_t *limit) {
  uint8_t byte = *text->at;
  if (byte == '\\') return put_escape(text);
  if (byte < 0x20) return "a control character in a string";
  if (byte >= 0x80) return put_utf8(text, limit) ? NULL : "not UTF-8";
  text->to = put_unit(text->to, byte);
  text->at++;
  return NULL;
}

/* Up to the closing quote, or for about a block. */
static const char *write_json(cursor *text) {
  const uint8_t *limit = text->at + at_most((size_t)(text->end - text->at), BLOCK);
  for (;;) {
    copy_clean(text, limit);
    if (text->at == text->end) return "the text ends within a string";
    if (*text->at == '"' || text->at >= limit) return NULL;
    const char *fault = put_special(text, limit);
    if (fault) return fault;
  }
}

int32_t escape_json(buf *out, const char **at, const char *end, const char **fault) {
  size_t start = out->length;
  cursor text = {(const uint8_t *)*at, (const uint8_t *)end, NULL};
  int32_t result = make_room(out, 0);
  if (!result) out->data[out->length++] = '"';
  do {
    size_t some = at_most((size_t)(text.end - text.at), BLOCK);
    if (!result) result = make_room(out, some * LONGEST);
    if (result) break;
    text.to = out->data + out->length;
    *fault = write_json(&text);
    if (*fault) result = SHEEP_E_INVALID;
    out->length = (size_t)(text.to - out->data);
  } while (!result && *text.at != '"');
  *at = (const char *)text.at + (result ? 0 : 1);
  return finish(out, start, result);
}

/* ------------------------------------------------------------------- order */

/* The next code point of an escaped string that is well formed. */
static uint32_t next_code(const char **at, const char *end) {
  const uint8_t *text = (const uint8_t *)*at;
  uint32_t high, low;
  *at += 1;
  if (*text != '\\') return *text;
  *at += 1;
  if (text[1] != 'u') return meant_by(text[1]);
  read_hex(text + 2, &high);
  *at += 4;
  if ((high & 0xfc00) != 0xd800 || end - *at < 6 || text[6] != '\\' || text[7] != 'u') return high;
  read_hex(text + 8, &low);
  if ((low & 0xfc00) != 0xdc00) return high;
  *at += 6;
  return 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
}

static int compare_numbers(size_t a, size_t b) { return (a > b) - (a < b); }

int escape_compare(const char *a, size_t a_length, const char *b, size_t b_length) {
  const char *a_end = a + a_length, *b_end = b + b_length;
  while (a < a_end && b < b_end && *a == *b && *a != '\\') a++, b++;
  while (a < a_end && b < b_end) {
    int order = compare_numbers(next_code(&a, a_end), next_code(&b, b_end));
    if (order) return order;
  }
  return compare_numbers((size_t)(a_end - a), (size_t)(b_end - b));
}
