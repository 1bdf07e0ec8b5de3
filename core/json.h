/* Reading replies: whether a member is there, a word, a number. Pure; any thread.
 * The only file that knows cJSON, whose leniency shows: it takes 01 for a number,
 * control characters for spaces, and text that isn't UTF-8. What must be JSON is
 * put through canon_write first. */
#ifndef SHEEP_JSON_H
#define SHEEP_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct json_value json_value;

/* NULL when it isn't one JSON value and nothing but space after it, or without
 * memory. A NUL in a string, \u0000, reads as U+0001: strings end at NULs, and a name
 * must not be taken for one that it only begins with. */
json_value *json_parse(const char *text, size_t length);
void json_free(json_value *document);

bool json_is_object(const json_value *value);
bool json_is_null(const json_value *value);

/* NULL when `value`, which may be NULL, isn't an object or has no such member. Case
 * counts; the first of two wins. */
const json_value *json_member(const json_value *value, const char *name);

/* The first element of an array, and the one after: NULL when there is none. */
const json_value *json_first(const json_value *array);
const json_value *json_next(const json_value *element);

/* NULL when `value`, which may be NULL, isn't a string. Lives as long as the document. */
const char *json_string(const json_value *value);

/* `otherwise` when `value`, which may be NULL, isn't a whole number from 0 to `most`,
 * which must be at most 2^53: beyond, doubles skip some. */
int64_t json_count(const json_value *value, int64_t most, int64_t otherwise);

#endif
