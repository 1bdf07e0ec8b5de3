/* What a pool was told, checked, completed and copied. */
#include "config.h"

#include "alloc.h"
#include "buf.h"
#include "hash.h"
#include "version.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_CONNECTIONS = 100, MOST_CONNECTIONS = 100000, DEFAULT_KEEPALIVE = 20 };
enum { DEFAULT_TIMEOUT_MS = 30000, DEFAULT_REPLY_BYTES = 64 << 20 };

static int64_t or_default(int64_t value, int64_t otherwise) { return value ? value : otherwise; }

static int32_t check_file(const char *name, const char *path, sheep_error *error) {
  if (!path) return SHEEP_OK;
  FILE *file = fopen(path, "re");
  if (!file) return error_set(error, SHEEP_E_INVALID, "%s: cannot be read", name);
  fclose(file);
  return SHEEP_OK;
}

static int32_t check_files(const sheep_pool_options *options, sheep_error *error) {
  if (options->key_file && !options->cert_file)
    return error_set(error, SHEEP_E_INVALID, "key_file: needs cert_file");
  int32_t result = check_file("ca_file", options->ca_file, error);
  if (!result) result = check_file("cert_file", options->cert_file, error);
  return result ? result : check_file("key_file", options->key_file, error);
}

static int32_t check_times(const sheep_pool_options *options, sheep_error *error) {
  const struct {
    const char *name;
    int64_t value;
  } times[] = {
      {"connect_timeout", options->connect_timeout_ms}, {"write_timeout", options->write_timeout_ms},
      {"read_timeout", options->read_timeout_ms},       {"pool_timeout", options->pool_timeout_ms},
      {"total_timeout", options->total_timeout_ms},     {"keepalive_expiry", options->keepalive_expiry_ms},
  };
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    int32_t result = check_timeout(times[i].name, times[i].value, error);
    if (result) return result;
  }
  return SHEEP_OK;
}

static int32_t check_counts(const sheep_pool_options *options, sheep_error *error) {
  if (options->max_connections > MOST_CONNECTIONS)
    return error_set(error, SHEEP_E_INVALID, "max_connections: must be 1 to %d", MOST_CONNECTIONS);
  if (options->max_keepalive < -1)
    return error_set(error, SHEEP_E_INVALID, "max_keepalive: must not be negative");
  if (options->insecure > 1)
    return error_set(error, SHEEP_E_INVALID, "insecure: must be 0 or 1");
  if (options->max_reply_bytes < 0)
    return error_set(error, SHEEP_E_INVALID, "max_reply_bytes: must not be negative");
  return SHEEP_OK;
}

static int32_t check_options(const sheep_pool_options *options, sheep_error *error) {
  int32_t result = check_counts(options, error);
  if (!result) result = check_times(options, error);
  if (!result && options->api_key) result = check_api_key(options->api_key, error);
  if (!result) result = check_headers(options->headers, options->header_count, error);
  if (!result && options->user_agent) {
    sheep_header agent = {"User-Agent", options->user_agent};
    result = check_headers(&agent, 1, error);
  }
  return result ? result : check_files(options, error);
}

static void copy_numbers(config *settings, const sheep_pool_options *options) {
  int32_t keepalive = options->max_keepalive ? options->max_keepalive : DEFAULT_KEEPALIVE;
  settings->max_connections = options->max_connections ? options->max_connections : DEFAULT_CONNECTIONS;
  settings->max_keepalive = keepalive < 0 ? 0 : (uint32_t)keepalive;
  settings->verify = !options->insecure;
  settings->limits = (time_limits){
      .connect = or_default(options->connect_timeout_ms, DEFAULT_TIMEOUT_MS),
      .write = or_default(options->write_timeout_ms, DEFAULT_TIMEOUT_MS),
      .read = or_default(options->read_timeout_ms, DEFAULT_TIMEOUT_MS),
      .pool = or_default(options->pool_timeout_ms, -1),
      .total = or_default(options->total_timeout_ms, -1),
  };
  settings->keepalive_expiry_ms = or_default(options->keepalive_expiry_ms, DEFAULT_TIMEOUT_MS);
  if (settings->keepalive_expiry_ms < 0) settings->keepalive_expiry_ms = INT64_MAX;
  settings->max_reply_bytes = (size_t)or_default(options->max_reply_bytes, DEFAULT_REPLY_BYTES);
}

static bool copy_text(char **copy, const char *text) {
  if (!text) return true;
  *copy = mem_strdup(text);
  return *copy != NULL;
}

static bool copy_texts(config *settings, const sheep_pool_options *options) {
  const char *agent = options->user_agent ? options->user_agent : "holysheep/" SHEEP_VERSION;
  return copy_text(&settings->api_key, options->api_key) && copy_text(&settings->user_agent, agent) &&
         copy_text(&settings->ca_file, options->ca_file) &&
         copy_text(&settings->cert_file, options->cert_file) &&
         copy_text(&settings->key_file, options->key_file);
}

/* "Name: value", or in libcurl's spelling of an empty value "Name;". */
static char *header_line(const sheep_header *header) {
  size_t length = strlen(header->name) + strlen(header->value) + 3;
  char *line = mem_alloc(length);
  if (!line) return NULL;
  if (*header->value)
    snprintf(line, length, "%s: %s", header->name, header->value);
  else
    snprintf(line, length, "%s;", header->name);
  return line;
}

static bool copy_headers(config *settings, const sheep_pool_options *options) {
  if (!options->header_count) return true;
  settings->header_lines = mem_zalloc(options->header_count * sizeof(char *));
  if (!settings->header_lines) return false;
  settings->header_count = options->header_count;
  for (size_t i = 0; i < options->header_count; i++) {
    settings->header_lines[i] = header_line(&options->headers[i]);
    if (!settings->header_lines[i]) return false;
  }
  return true;
}

/* Each part with its length, so that no two lists of parts look the same. */
static bool add_part(buf *parts, const char *part) {
  uint64_t length = part ? strlen(part) : UINT64_MAX;
  return buf_append(parts, &length, sizeof length, SIZE_MAX) == SHEEP_OK &&
         (!part || buf_append(parts, part, strlen(part), SIZE_MAX) == SHEEP_OK);
}

/* Who asks whom: what tells the replies of one pool from another's. */
static bool add_identity(buf *parts, const config *settings) {
  bool added = add_part(parts, settings->origin.text) && add_part(parts, settings->api_key);
  for (size_t i = 0; added && i < settings->header_count; i++)
    added = add_part(parts, settings->header_lines[i]);
  return added;
}

/* A namespace that no user can name, of an irreversible digest: it may end in a file. */
static char *own_namespace(const config *settings) {
  buf parts = {0};
  char *made = mem_alloc(HASH_SHA256_HEX + 1);
  bool hashed = made && add_identity(&parts, settings) &&
                hash_sha256_hex(parts.data, parts.length, made + 1) == SHEEP_OK;
  buf_free(&parts);
  if (hashed) {
    made[0] = '\1';
    return made;
  }
  mem_free(made);
  return NULL;
}

static int32_t set_cache(config *settings, const sheep_pool_options *options, sheep_error *error) {
  if (!options->cache) return SHEEP_OK;
  const char *name = options->cache_namespace;
  int32_t result = name ? check_namespace(name, error) : SHEEP_OK;
  if (result) return result;
  settings->cache_namespace = name ? mem_strdup(name) : own_namespace(settings);
  if (!settings->cache_namespace) return error_set(error, SHEEP_E_NOMEM, "out of memory");
  cache_retain(settings->cache = options->cache);
  return SHEEP_OK;
}

static int32_t fill(config *settings, const sheep_pool_options *options, sheep_error *error) {
  int32_t result = check_options(options, error);
  if (!result) result = check_base_url(options->base_url, &settings->origin, error);
  if (!result && options->proxy) result = check_proxy(options->proxy, &settings->proxy, error);
  if (result) return result;
  copy_numbers(settings, options);
  if (copy_texts(settings, options) && copy_headers(settings, options))
    return set_cache(settings, options, error);
  return error_set(error, SHEEP_E_NOMEM, "out of memory");
}

config *config_new(const sheep_pool_options *options, sheep_error *error) {
  config *settings = mem_zalloc(sizeof *settings);
  if (!settings) {
    error_set(error, SHEEP_E_NOMEM, "out of memory");
    return NULL;
  }
  if (fill(settings, options, error) == SHEEP_OK) return settings;
  config_free(settings);
  return NULL;
}

void config_free(config *settings) {
  if (!settings) return;
  base_url_free(&settings->origin);
  base_url_free(&settings->proxy);
  mem_free(settings->api_key);
  mem_free(settings->user_agent);
  mem_free(settings->ca_file);
  mem_free(settings->cert_file);
  mem_free(settings->key_file);
  for (size_t i = 0; i < settings->header_count; i++) mem_free(settings->header_lines[i]);
  mem_free(settings->header_lines);
  mem_free(settings->cache_namespace);
  cache_release(settings->cache);
  mem_free(settings);
}

static int32_t choose(const char *name, int64_t own, int64_t pools, int64_t *limit,
                      sheep_error *error) {
  *limit = or_default(own, pools);
  return check_timeout(name, own, error);
}

int32_t config_limits(const config *settings, const sheep_request *request, time_limits *limits,
                      sheep_error *error) {
  const time_limits *pools = &settings->limits;
  int32_t result = choose("connect_timeout", request->connect_timeout_ms, pools->connect,
                          &limits->connect, error);
  if (!result) result = choose("write_timeout", request->write_timeout_ms, pools->write, &limits->write, error);
  if (!result) result = choose("read_timeout", request->read_timeout_ms, pools->read, &limits->read, error);
  if (!result) result = choose("pool_timeout", request->pool_timeout_ms, pools->pool, &limits->pool, error);
  if (!result) result = choose("total_timeout", request->total_timeout_ms, pools->total, &limits->total, error);
  return result;
}
