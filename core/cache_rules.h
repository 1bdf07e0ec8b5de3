/* The rules of a cache: how long each model's replies live, what they cost, and
 * what else a user may choose. Pure. */
#ifndef SHEEP_CACHE_RULES_H
#define SHEEP_CACHE_RULES_H

#include "error.h"

#include <stdbool.h>

typedef struct model_rule {
  char *model; /* as it stands in a canonical request, without the quotes */
  size_t length;
  int64_t ttl_us; /* INT64_MAX: for ever; 0: not cached */
  int64_t price;  /* billionths of a dollar a token */
} model_rule;

typedef struct cache_rules {
  uint32_t canon_flags;
  uint32_t judge_flags;
  int64_t ttl_us; /* of models without a rule */
  int64_t stale_while_revalidate_us;
  int64_t stale_if_error_us;
  model_rule *models;
  size_t model_count;
} cache_rules;

/* Reads checked options. SHEEP_E_INVALID names the wrong one; SHEEP_E_NOMEM. On
 * failure there is nothing to be freed. */
int32_t cache_rules_init(cache_rules *rules, const sheep_cache_options *options, sheep_error *error);
void cache_rules_free(cache_rules *rules);

/* The rule of a model, or NULL. */
const model_rule *cache_rule_of(const cache_rules *rules, const char *model, size_t length);

/* A model's name as it stands in a canonical request, without the quotes; the caller
 * frees it. SHEEP_E_INVALID when it isn't UTF-8. */
int32_t cache_model_spelling(const char *model, char **spelling, size_t *length);

#endif
