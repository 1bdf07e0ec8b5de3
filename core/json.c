/* Reading replies, by cJSON. */
#include "json.h"

#include "alloc.h"

#include <cJSON.h>
#include <string.h>

/* json_value is only ever a cJSON by another name. */
static const cJSON *inside(const json_value *value) { return (const cJSON *)value; }
static const json_value *outside(const cJSON *value) { return (const json_value *)value; }

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static json_value *parse(const char *text, size_t length) {
  const char *end = NULL;
  cJSON *document = cJSON_ParseWithLengthOpts(text, length, &end, false);
  if (!document) return NULL;
  while (end < text + length && is_space(*end)) end++;
  if (end == text + length) return (json_value *)document;
  cJSON_Delete(document);
  return NULL;
}

static const char nul_escape[] = "\\u0000";
enum { NUL_ESCAPE = sizeof nul_escape - 1 };

/* Where the backslash is itself escaped another character changes, in a string that
 * nobody asks for. */
static void replace_nuls(char *text, size_t length) {
  char *end = text + length;
  for (char *at = text; (at = memmem(at, (size_t)(end - at), nul_escape, NUL_ESCAPE));) {
    at += NUL_ESCAPE;
    at[-1] = '1';
  }
}

json_value *json_parse(const char *text, size_t length) {
  if (!memmem(text, length, nul_escape, NUL_ESCAPE)) return parse(text, length);
  char *copy = mem_alloc(length);
  if (!copy) return NULL;
  memcpy(copy, text, length);
  replace_nuls(copy, length);
  json_value *document = parse(copy, length);
  mem_free(copy);
  return document;
}

void json_free(json_value *document) { cJSON_Delete((cJSON *)document); }

bool json_is_object(const json_value *value) { return cJSON_IsObject(inside(value)); }

bool json_is_null(const json_value *value) { return cJSON_IsNull(inside(value)); }

const json_value *json_member(const json_value *value, const char *name) {
  return json_is_object(value)
             ? outside(cJSON_GetObjectItemCaseSensitive(inside(value), name))
             : NULL;
}

const json_value *json_first(const json_value *array) {
  return cJSON_IsArray(inside(array)) ? outside(inside(array)->child) : NULL;
}

const json_value *json_next(const json_value *element) { return outside(inside(element)->next); }

const char *json_string(const json_value *value) { return cJSON_GetStringValue(inside(value)); }

int64_t json_count(const json_value *value, int64_t most, int64_t otherwise) {
  if (!cJSON_IsNumber(inside(value))) return otherwise;
  double number = inside(value)->valuedouble;
  if (!(number >= 0 && number <= (double)most)) return otherwise;
  int64_t count = (int64_t)number;
  return (double)count == number ? count : otherwise;
}
