/* Whether what a user gave may go on the wire. Pure. Messages name the argument
 * and never show a value, which might be the key. */
#ifndef SHEEP_CHECK_H
#define SHEEP_CHECK_H

#include "error.h"

#include <stdbool.h>

/* A base URL taken apart; the strings are the owner's, freed by base_url_free. */
typedef struct base_url {
  char *text; /* as given, without a trailing slash */
  char *host; /* without the brackets of an IPv6 address */
  uint16_t port;
  bool tls;
} base_url;

/* Each returns SHEEP_OK or SHEEP_E_INVALID (SHEEP_E_NOMEM for the URLs) with
 * the reason in `error`. */
int32_t check_base_url(const char *text, base_url *url, sheep_error *error);
int32_t check_proxy(const char *text, base_url *url, sheep_error *error);
int32_t check_api_key(const char *key, sheep_error *error);
int32_t check_method(const char *method, sheep_error *error);
int32_t check_path(const char *path, sheep_error *error);
int32_t check_headers(const sheep_header *headers, size_t count, sheep_error *error);
int32_t check_namespace(const char *name, sheep_error *error);
/* A duration: zero or more, or -1. */
int32_t check_timeout(const char *name, int64_t milliseconds, sheep_error *error);

void base_url_free(base_url *url);

#endif
