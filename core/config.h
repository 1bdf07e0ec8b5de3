/* What a pool was told, checked, completed and copied. Immutable once made. */
#ifndef SHEEP_CONFIG_H
#define SHEEP_CONFIG_H

#include "cache.h"
#include "check.h"

/* Milliseconds; -1: no limit. */
typedef struct time_limits {
  int64_t connect;
  int64_t write;
  int64_t read;
  int64_t pool;
  int64_t total;
} time_limits;

typedef struct config {
  base_url origin;
  base_url proxy; /* proxy.text is NULL when there is none */
  char *api_key;
  char *user_agent;
  char *ca_file;
  char *cert_file;
  char *key_file;
  char **header_lines; /* "Name: value" */
  size_t header_count;
  uint32_t max_connections;
  uint32_t max_keepalive;
  bool verify;
  time_limits limits;
  int64_t keepalive_expiry_ms; /* INT64_MAX: never */
  size_t max_reply_bytes;
  sheep_cache *cache;    /* NULL: none */
  char *cache_namespace; /* NULL when there is no cache */
} config;

/* NULL with the reason in `error`. */
config *config_new(const sheep_pool_options *options, sheep_error *error);
void config_free(config *settings);

/* The time limits of one request: its own, or the pool's. */
int32_t config_limits(const config *settings, const sheep_request *request, time_limits *limits,
                      sheep_error *error);

#endif
