/* The canonical request.
 *
 * One pass over the text writes a draft: every value in its canonical spelling,
 * the members in the order they came in. Where that isn't the order they belong
 * in, the object is noted with its members sorted. A second pass copies the draft
 * out, member by member, so that each byte moves once however deep it lies. */
#include "canon.h"

#include "error.h"
#include "escape.h"
#include "hash.h"

#include <stdbool.h>
#include <string.h>

enum { REDIS_DIGITS = 32 };

/* Offsets are 32 bits wide: a draft is up to 6 times CANON_MOST_BYTES long. */
typedef struct member {
  uint32_t start; /* in the draft, at the name's opening quote */
  uint32_t name_length;
  uint32_t end;
  uint32_t first_object; /* those noted within its value */
  uint32_t last_object;
  uint32_t source; /* where the name is in the text */
} member;

/* An object whose members must move, or that holds such ones (no members then). */
typedef struct object {
  uint32_t start;        /* in the draft, after the opening brace */
  uint32_t end;          /* at the closing brace */
  uint32_t first_member; /* in `moved` */
  uint32_t member_count;
  uint32_t next; /* the first object noted that isn't within this one */
} object;

typedef struct scanner {
  const char *text;
  const char *at;
  const char *end;
  uint32_t flags;
  uint32_t depth;
  uint32_t seen; /* a bit for each of the special members that came */
  buf draft;
  buf open;    /* the members so far of the objects that are open */
  buf objects; /* noted, in the order they began */
  buf moved;   /* the members of those, sorted */
  sheep_error *error;
} scanner;

#define NAMED(name) name, sizeof(name) - 1

static const struct {
  const char *name;
  size_t length;
  canon_treatment treatment;
  bool is_label; /* left out if the flags say so */
} special_members[] = {
    {NAMED("stream"), CANON_LEFT_OUT, false},
    {NAMED("stream_options"), CANON_LEFT_OUT, false},
    {NAMED("tools"), CANON_IN_ORDER, false},
    {NAMED("functions"), CANON_IN_ORDER, false},
    {NAMED("response_format"), CANON_IN_ORDER, false},
    {NAMED("user"), CANON_SORTED, true},
    {NAMED("safety_identifier"), CANON_SORTED, true},
    {NAMED("prompt_cache_key"), CANON_SORTED, true},
    {NAMED("prompt_cache_retention"), CANON_SORTED, true},
    {NAMED("store"), CANON_SORTED, true},
};

enum { SPECIAL_MEMBERS = sizeof special_members / sizeof special_members[0] };

/* --------------------------------------------------------------- bookkeeping */

static int32_t fail(const scanner *s, const char *reason) {
  return error_set(s->error, SHEEP_E_INVALID, "JSON at byte %zu: %s", (size_t)(s->at - s->text),
                   s->at == s->end ? "the text ends too early" : reason);
}

static int32_t no_memory(const scanner *s) {
  return error_set(s->error, SHEEP_E_NOMEM, "out of memory");
}

static member *members_in(const buf *list) { return (member *)(void *)list->data; }
static uint32_t count_members(const buf *list) { return (uint32_t)(list->length / sizeof(member)); }

static object *objects_of(const scanner *s) { return (object *)(void *)s->objects.data; }
static uint32_t count_objects(const scanner *s) {
  return (uint32_t)(s->objects.length / sizeof(object));
}

static inline int32_t append(scanner *s, buf *list, const void *bytes, size_t length) {
  if (escape_room(list, length)) return no_memory(s);
  memcpy(list->data + list->length, bytes, length);
  list->length += length;
  return SHEEP_OK;
}

static inline int32_t put(scanner *s, const char *bytes, size_t length) {
  return append(s, &s->draft, bytes, length);
}

static inline uint32_t drafted(const scanner *s) { return (uint32_t)s->draft.length; }

/* --------------------------------------------------------------------- order */

static int compare_members(const scanner *s, const member *a, const member *b) {
  return escape_compare(s->draft.data + a->start + 1, a->name_length, s->draft.data + b->start + 1,
                        b->name_length);
}

static bool are_in_order(const scanner *s, const member *members, uint32_t count) {
  for (uint32_t i = 1; i < count; i++) {
    if (compare_members(s, &members[i - 1], &members[i]) >= 0) return false;
  }
  return true;
}

static void sift_down(const scanner *s, member *heap, uint32_t root, uint32_t count) {
  member sinking = heap[root];
  for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
    if (child + 1 < count && compare_members(s, &heap[child], &heap[child + 1]) < 0) child++;
    if (compare_members(s, &sinking, &heap[child]) >= 0) break;
    heap[root] = heap[child];
  }
  heap[root] = sinking;
}

/* Heapsort: n log n whatever comes, without memory of its own. libc's qsort knows no
 * context and may allocate. */
static void sort_members(const scanner *s, member *members, uint32_t count) {
  for (uint32_t i = count / 2; i-- > 0;) sift_down(s, members, i, count);
  for (uint32_t last = count; last-- > 1;) {
    member greatest = members[0];
    members[0] = members[last];
    members[last] = greatest;
    sift_down(s, members, 0, last);
  }
}

/* -------------------------------------------------------------------- tokens */

static inline char peek(const scanner *s) { return s->at < s->end ? *s->at : '\0'; }

static inline char peek_token(scanner *s) {
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
    s->at++;
  return peek(s);
}

static int32_t scan_string(scanner *s) {
  const char *fault;
  s->at++;
  int32_t result = escape_json(&s->draft, &s->at, s->end, &fault);
  if (result == SHEEP_E_INVALID) return fail(s, fault);
  return result ? no_memory(s) : SHEEP_OK;
}

static int32_t scan_word(scanner *s, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0)
    return fail(s, "not a value");
  s->at += length;
  return put(s, word, length);
}

static bool skip_digits(scanner *s) {
  const char *start = s->at;
  while (peek(s) >= '0' && peek(s) <= '9') s->at++;
  return s->at > start;
}

/* RFC 8259, 6: no zeros ahead, digits on both sides of the point. */
static bool skip_number(scanner *s) {
  if (peek(s) == '-') s->at++;
  if (peek(s) == '0')
    s->at++;
  else if (!skip_digits(s))
    return false;
  if (peek(s) == '.') {
    s->at++;
    if (!skip_digits(s)) return false;
  }
  if (peek(s) != 'e' && peek(s) != 'E') return true;
  s->at++;
  if (peek(s) == '+' || peek(s) == '-') s->at++;
  return skip_digits(s);
}

static int32_t scan_number(scanner *s) {
  const char *start = s->at;
  if (s->end - start > 1 && start[0] == '-' && start[1] == 'I') return scan_word(s, "-Infinity");
  if (!skip_number(s)) return fail(s, "not a value");
  return put(s, start, (size_t)(s->at - start));
}

/* ------------------------------------------------------- objects and arrays */

static int32_t scan_value(scanner *s, bool in_order);

static inline int32_t enter(scanner *s, const char *bracket) {
  if (s->depth == CANON_DEPTH) return fail(s, "nested too deeply");
  s->depth++;
  s->at++;
  return put(s, bracket, 1);
}

static inline int32_t leave(scanner *s, const char *bracket) {
  s->depth--;
  s->at++;
  return put(s, bracket, 1);
}

static int32_t scan_elements(scanner *s, bool in_order) {
  if (peek_token(s) == ']') return SHEEP_OK;
  for (;;) {
    int32_t result = scan_value(s, in_order);
    if (result) return result;
    char next = peek_token(s);
    if (next == ']') return SHEEP_OK;
    if (next != ',') return fail(s, "neither ',' nor ']' after an element");
    s->at++;
    result = put(s, ", ", 2);
    if (result) return result;
  }
}

static int32_t scan_array(scanner *s, bool in_order) {
  int32_t result = enter(s, "[");
  if (!result) result = scan_elements(s, in_order);
  return result ? result : leave(s, "]");
}

static uint32_t find_special(const char *name, uint32_t length) {
  uint32_t i = 0;
  while (i < SPECIAL_MEMBERS && (special_members[i].length != length ||
                                 memcmp(special_members[i].name, name, length) != 0))
    i++;
  return i;
}

static canon_treatment treatment_of(uint32_t special, uint32_t flags) {
  if (special == SPECIAL_MEMBERS) return CANON_SORTED;
  if (!special_members[special].is_label) return special_members[special].treatment;
  return flags & CANON_UNLABELLED ? CANON_LEFT_OUT : CANON_SORTED;
}

static int32_t fail_twice(scanner *s, uint32_t source) {
  s->at = s->text + source;
  return fail(s, "a member's name occurs twice");
}

/* What to do with a member whose name was just drafted. Those left out must be checked
 * for a second one here, for no sorting will bring them together. */
static int32_t treat(scanner *s, const member *named, bool in_order,
                     canon_treatment *treated) {
  *treated = in_order ? CANON_IN_ORDER : CANON_SORTED;
  if (s->depth > 1) return SHEEP_OK;
  uint32_t special = find_special(s->draft.data + named->start + 1, named->name_length);
  if (special == SPECIAL_MEMBERS) return SHEEP_OK;
  if (s->seen & 1u << special) return fail_twice(s, named->source);
  s->seen |= 1u << special;
  *treated = treatment_of(special, s->flags);
  return SHEEP_OK;
}

static int32_t scan_name(scanner *s, member *named) {
  if (peek_token(s) != '"') return fail(s, "not a member's name");
  named->source = (uint32_t)(s->at - s->text);
  named->start = drafted(s);
  int32_t result = scan_string(s);
  if (result) return result;
  named->name_length = drafted(s) - named->start - 2;
  if (peek_token(s) != ':') return fail(s, "no ':' after a member's name");
  s->at++;
  return put(s, ": ", 2);
}

static int32_t scan_named_value(scanner *s, member *named, bool in_order) {
  named->first_object = count_objects(s);
  int32_t result = scan_value(s, in_order);
  named->last_object = count_objects(s);
  named->end = drafted(s);
  return result;
}

static int32_t scan_member(scanner *s, bool in_order, bool first) {
  size_t draft_before = s->draft.length, objects_before = s->objects.length;
  member named;
  canon_treatment treated;
  int32_t result = first ? SHEEP_OK : put(s, ", ", 2);
  if (!result) result = scan_name(s, &named);
  if (!result) result = treat(s, &named, in_order, &treated);
  if (!result) result = scan_named_value(s, &named, treated == CANON_IN_ORDER);
  if (result) return result;
  if (treated != CANON_LEFT_OUT) return append(s, &s->open, &named, sizeof named);
  s->draft.length = draft_before;
  s->objects.length = objects_before;
  return SHEEP_OK;
}

static int32_t scan_members(scanner *s, bool in_order, size_t open_before) {
  if (peek_token(s) == '}') return SHEEP_OK;
  for (;;) {
    int32_t result = scan_member(s, in_order, s->open.length == open_before);
    if (result) return result;
    char next = peek_token(s);
    if (next == '}') return SHEEP_OK;
    if (next != ',') return fail(s, "neither ',' nor '}' after a member");
    s->at++;
  }
}

/* Sorts the members, if only to find that a name occurs twice. */
static int32_t sort_and_check(scanner *s, member *members, uint32_t count) {
  sort_members(s, members, count);
  for (uint32_t i = 1; i < count; i++) {
    if (compare_members(s, &members[i - 1], &members[i]) < 0) continue;
    uint32_t one = members[i - 1].source, other = members[i].source;
    return fail_twice(s, one > other ? one : other);
  }
  return SHEEP_OK;
}

/* The object is noted when its members must move, or when objects within it are noted. */
static int32_t note_object(scanner *s, uint32_t index, bool moves, const member *members,
                           uint32_t count) {
  object *ended = &objects_of(s)[index];
  ended->end = drafted(s);
  ended->next = count_objects(s);
  if (moves) {
    ended->first_member = count_members(&s->moved);
    ended->member_count = count;
    return append(s, &s->moved, members, count * sizeof *members);
  }
  if (ended->next == index + 1) s->objects.length -= sizeof *ended;
  return SHEEP_OK;
}

static int32_t order_members(scanner *s, uint32_t index, bool in_order, size_t open_before) {
  uint32_t count = (uint32_t)((s->open.length - open_before) / sizeof(member));
  member *members = count ? members_in(&s->open) + open_before / sizeof(member) : NULL;
  bool ordered = are_in_order(s, members, count);
  int32_t result = ordered ? SHEEP_OK : sort_and_check(s, members, count);
  if (!result) result = note_object(s, index, !ordered && !in_order, members, count);
  s->open.length = open_before;
  return result;
}

static int32_t scan_object(scanner *s, bool in_order) {
  uint32_t index = count_objects(s);
  size_t open_before = s->open.length;
  int32_t result = enter(s, "{");
  object begun = {.start = drafted(s)};
  if (!result) result = append(s, &s->objects, &begun, sizeof begun);
  if (!result) result = scan_members(s, in_order, open_before);
  if (!result) result = order_members(s, index, in_order, open_before);
  return result ? result : leave(s, "}");
}

static int32_t scan_value(scanner *s, bool in_order) {
  switch (peek_token(s)) {
    case '"': return scan_string(s);
    case '{': return scan_object(s, in_order);
    case '[': return scan_array(s, in_order);
    case 't': return scan_word(s, "true");
    case 'f': return scan_word(s, "false");
    case 'n': return scan_word(s, "null");
    case 'N': return scan_word(s, "NaN");
    case 'I': return scan_word(s, "Infinity");
    default: return scan_number(s);
  }
}

static int32_t scan_request(scanner *s) {
  if (peek_token(s) != '{') return fail(s, "not an object");
  int32_t result = scan_object(s, false);
  if (result) return result;
  peek_token(s);
  return s->at == s->end ? SHEEP_OK : fail(s, "more text after the object");
}

/* -------------------------------------------------------------- second pass */

static char *copy_members(const scanner *s, char *to, const object *moving);

static char *copy_draft(const scanner *s, char *to, uint32_t from, uint32_t end) {
  memcpy(to, s->draft.data + from, end - from);
  return to + (end - from);
}

/* Part of the draft, within which the objects from `first` to `last` are noted. */
static char *copy_part(const scanner *s, char *to, uint32_t from, uint32_t end, uint32_t first,
                       uint32_t last) {
  for (uint32_t i = first; i < last;) {
    const object *noted = &objects_of(s)[i++];
    if (!noted->member_count) continue; /* those within it come next */
    to = copy_draft(s, to, from, noted->start);
    to = copy_members(s, to, noted);
    from = noted->end;
    i = noted->next;
  }
  return copy_draft(s, to, from, end);
}

static char *copy_members(const scanner *s, char *to, const object *moving) {
  const member *moved = members_in(&s->moved) + moving->first_member;
  for (uint32_t i = 0; i < moving->member_count; i++, moved++) {
    if (i) {
      memcpy(to, ", ", 2);
      to += 2;
    }
    to = copy_part(s, to, moved->start, moved->end, moved->first_object, moved->last_object);
  }
  return to;
}

static int32_t copy_out(const scanner *s, buf *out) {
  if (escape_room(out, s->draft.length)) return no_memory(s);
  char *end = copy_part(s, out->data + out->length, 0, drafted(s), 0, count_objects(s));
  *end = '\0';
  out->length = (size_t)(end - out->data);
  return SHEEP_OK;
}

/* ----------------------------------------------------------------- interface */

int32_t canon_write(const char *text, size_t length, uint32_t flags, buf *out, sheep_error *error) {
  if (length > CANON_MOST_BYTES)
    return error_set(error, SHEEP_E_TOO_LARGE, "the request is larger than %d MiB",
                     CANON_MOST_BYTES >> 20);
  scanner s = {.text = text, .at = text, .end = text + length, .flags = flags, .error = error};
  int32_t result = escape_room(&s.draft, length + length / 4) ? no_memory(&s) : scan_request(&s);
  if (!result) result = copy_out(&s, out);
  buf_free(&s.draft);
  buf_free(&s.open);
  buf_free(&s.objects);
  buf_free(&s.moved);
  return result;
}

canon_treatment canon_treatment_of(const char *name, size_t length, uint32_t flags) {
  return treatment_of(find_special(name, (uint32_t)length), flags);
}

int32_t canon_redis_name(const char *canonical, size_t length, char name[CANON_REDIS_NAME]) {
  static const char prefix[] = "holysheep:";
  char hex[HASH_SHA256_HEX];
  int32_t result = hash_sha256_hex(canonical, length, hex);
  if (result) return result;
  memcpy(name, prefix, sizeof prefix - 1);
  memcpy(name + sizeof prefix - 1, hex, REDIS_DIGITS);
  name[CANON_REDIS_NAME - 1] = '\0';
  return SHEEP_OK;
}
