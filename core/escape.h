/* Strings as Python's json.dumps writes them: 0x20 to 0x7E as they are but for
 * '"' and '\'; \b \t \n \f \r; \u and four lower-case hex digits for the rest,
 * DEL included; a code point above U+FFFF as a surrogate pair; a lone surrogate
 * as it is. Pure: what comes out depends on what goes in alone.
 *
 * Each function appends one string, its quotes included. On failure the buffer's
 * text is as it was. The units must not lie in the buffer itself. */
#ifndef SHEEP_ESCAPE_H
#define SHEEP_ESCAPE_H

#include "buf.h"

/* Arrays of code points, as CPython keeps its strings; at most 0x10FFFF each.
 * Surrogates in escape_ucs2 may be lone or in pairs. SHEEP_E_NOMEM on failure. */
int32_t escape_latin1(buf *out, const uint8_t *units, size_t count);
int32_t escape_ucs2(buf *out, const uint16_t *units, size_t count);
int32_t escape_ucs4(buf *out, const uint32_t *units, size_t count);

/* SHEEP_E_INVALID when it isn't UTF-8 by RFC 3629 (so no surrogates). */
int32_t escape_utf8(buf *out, const char *text, size_t length);

/* A string of a JSON text, from after its opening quote: what it stands for, in
 * the one spelling above. `*at` comes to be after the closing quote; or, with
 * SHEEP_E_INVALID, where the fault is, and `*fault` says what it is (static). */
int32_t escape_json(buf *out, const char **at, const char *end, const char **fault);

/* Which of two escaped strings, without their quotes, comes first by code points:
 * below, above or equal to 0. Code points, because '"' is escaped to what sorts
 * after '#', and an astral one to what sorts before U+E000. */
int escape_compare(const char *a, size_t a_length, const char *b, size_t b_length);

/* Makes the capacity room for `more` bytes besides the text and a NUL, and doubles it
 * at least. SHEEP_E_NOMEM on failure. */
int32_t escape_grow(buf *out, size_t more);

static inline int32_t escape_room(buf *out, size_t more) {
  return out->capacity - out->length > more ? 0 : escape_grow(out, more);
}

#endif
