/* The rules of a cache. */
#include "cache_rules.h"

#include "alloc.h"
#include "buf.h"
#include "canon.h"
#include "escape.h"
#include "judge.h"

#include <string.h>

enum { DEFAULT_TTL_MS = 3600 * 1000, MOST_MODELS = 4096 };

/* A century; keeps sums with the present from overflowing. */
static const int64_t longest_ms = INT64_C(100) * 366 * 24 * 3600 * 1000;

/* Those of the models that the library knows by name; users replace them. */
static const sheep_model_rule known_models[] = {
    {"gpt-4.1", 7200 * 1000, 8000},
    {"claude-sonnet-4.5", 7200 * 1000, 15000},
    {"gemini-2.5-flash", 1800 * 1000, 2500},
    {"deepseek-v3.2", 3600 * 1000, 420},
};

static int64_t ttl_us_of(int64_t ttl_ms, int64_t otherwise) {
  if (ttl_ms == 0) return otherwise;
  if (ttl_ms == SHEEP_TTL_NONE) return 0;
  return ttl_ms == SHEEP_TTL_FOREVER ? INT64_MAX : ttl_ms * 1000;
}

static int32_t check_ttl(int64_t ttl_ms, sheep_error *error) {
  if (ttl_ms >= SHEEP_TTL_NONE && ttl_ms <= longest_ms) return SHEEP_OK;
  return error_set(error, SHEEP_E_INVALID,
                   "ttl: must be milliseconds from 0, SHEEP_TTL_FOREVER or SHEEP_TTL_NONE");
}

static int32_t check_stale(const char *name, int64_t milliseconds, sheep_error *error) {
  if (milliseconds >= 0 && milliseconds <= longest_ms) return SHEEP_OK;
  return error_set(error, SHEEP_E_INVALID, "%s: must be milliseconds from 0", name);
}

static int32_t check_options(const sheep_cache_options *options, sheep_error *error) {
  int32_t result = check_ttl(options->ttl_ms, error);
  if (!result)
    result = check_stale("stale_while_revalidate", options->stale_while_revalidate_ms, error);
  if (!result) result = check_stale("stale_if_error", options->stale_if_error_ms, error);
  if (!result && options->model_count > MOST_MODELS)
    return error_set(error, SHEEP_E_INVALID, "models: more than %d", MOST_MODELS);
  if (!result && options->model_count && !options->models)
    return error_set(error, SHEEP_E_INVALID, "models: is NULL");
  return result;
}

int32_t cache_model_spelling(const char *model, char **spelling, size_t *length) {
  buf quoted = {0};
  int32_t result = escape_utf8(&quoted, model, strlen(model));
  if (result) {
    buf_free(&quoted);
    return result;
  }
  *length = quoted.length - 2;
  memmove(quoted.data, quoted.data + 1, *length);
  quoted.data[*length] = '\0';
  *spelling = quoted.data;
  return SHEEP_OK;
}

static int32_t add_model(cache_rules *rules, const sheep_model_rule *given, sheep_error *error) {
  if (!given->model) return error_set(error, SHEEP_E_INVALID, "models: a name is NULL");
  if (given->nanodollars_per_token < 0 || given->nanodollars_per_token > INT32_MAX)
    return error_set(error, SHEEP_E_INVALID, "models: a price must be from 0 to %d", INT32_MAX);
  if (check_ttl(given->ttl_ms, error) != SHEEP_OK) return SHEEP_E_INVALID;
  model_rule *added = &rules->models[rules->model_count];
  int32_t result = cache_model_spelling(given->model, &added->model, &added->length);
  if (result == SHEEP_E_NOMEM) return error_set(error, result, "out of memory");
  if (result) return error_set(error, result, "models: a name is not UTF-8");
  added->ttl_us = ttl_us_of(given->ttl_ms, rules->ttl_us);
  added->price = given->nanodollars_per_token;
  rules->model_count++;
  return SHEEP_OK;
}

static int32_t add_models(cache_rules *rules, const sheep_model_rule *models, size_t count,
                          sheep_error *error) {
  rules->models = mem_zalloc(count * sizeof *rules->models);
  if (!rules->models) return error_set(error, SHEEP_E_NOMEM, "out of memory");
  int32_t result = SHEEP_OK;
  for (size_t i = 0; i < count && !result; i++) result = add_model(rules, &models[i], error);
  return result;
}

static uint32_t judge_flags_of(uint32_t flags) {
  return (flags & SHEEP_CACHE_TRUNCATED ? JUDGE_ALLOW_TRUNCATED : 0u) |
         (flags & SHEEP_CACHE_FILTERED ? JUDGE_ALLOW_FILTERED : 0u);
}

int32_t cache_rules_init(cache_rules *rules, const sheep_cache_options *options, sheep_error *error) {
  *rules = (cache_rules){0};
  int32_t result = check_options(options, error);
  if (result) return result;
  *rules = (cache_rules){
      .canon_flags = options->flags & SHEEP_CACHE_UNLABELLED ? CANON_UNLABELLED : 0,
      .judge_flags = judge_flags_of(options->flags),
      .ttl_us = ttl_us_of(options->ttl_ms, INT64_C(1000) * DEFAULT_TTL_MS),
      .stale_while_revalidate_us = options->stale_while_revalidate_ms * 1000,
      .stale_if_error_us = options->stale_if_error_ms * 1000,
  };
  bool own = options->models != NULL;
  size_t count = own ? options->model_count : sizeof known_models / sizeof known_models[0];
  if (count) result = add_models(rules, own ? options->models : known_models, count, error);
  if (result) cache_rules_free(rules);
  return result;
}

void cache_rules_free(cache_rules *rules) {
  for (size_t i = 0; i < rules->model_count; i++) mem_free(rules->models[i].model);
  mem_free(rules->models);
  *rules = (cache_rules){0};
}

const model_rule *cache_rule_of(const cache_rules *rules, const char *model, size_t length) {
  for (size_t i = 0; i < rules->model_count; i++) {
    const model_rule *rule = &rules->models[i];
    if (rule->length == length && memcmp(rule->model, model, length) == 0) return rule;
  }
  return NULL;
}
