/* Whether what a user gave may go on the wire. */
#include "check.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_URL = 8192, MAX_HOST = 255, MAX_HEADER = 65536, MAX_HEADERS = 256, MAX_NAMESPACE = 1024 };

static bool is_control(unsigned char c) { return c < 0x20 || c == 0x7f; }

/* RFC 9110, 5.6.2. */
static bool is_token_byte(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *text) {
  if (!*text) return false;
  for (; *text; text++) {
    if (!is_token_byte((unsigned char)*text)) return false;
  }
  return true;
}

/* RFC 9110, 5.5: visible bytes, space, tab, and anything above ASCII. */
static bool is_field_value(const char *text) {
  for (; *text; text++) {
    if (is_control((unsigned char)*text) && *text != '\t') return false;
  }
  return true;
}

static bool is_url_text(const char *text) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (is_control(c) || c == ' ' || c >= 0x80) return false;
  }
  return true;
}

/* "" or ":1" to ":65535"; 0 stands for any fault. */
static uint16_t parse_port(const char *text, size_t length, uint16_t otherwise) {
  if (length == 0) return otherwise;
  uint32_t port = 0;
  for (size_t i = 1; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') return 0;
    port = port * 10 + (uint32_t)(text[i] - '0');
    if (port > 65535) return 0;
  }
  return text[0] == ':' && length > 1 ? (uint16_t)port : 0;
}

static bool is_host(const char *host, size_t length, bool bracketed) {
  if (length == 0 || length > MAX_HOST) return false;
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)host[i];
    bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !strchr(bracketed ? ":.%" : "-._", c)) return false;
  }
  return true;
}

/* host[:port] or [address][:port], from `text` up to `end`. */
static int32_t split_authority(const char *name, const char *text, const char *end, base_url *url,
                               sheep_error *error) {
  bool bracketed = *text == '[';
  const char *host = bracketed ? text + 1 : text;
  const char *host_end = memchr(host, bracketed ? ']' : ':', (size_t)(end - host));
  if (!host_end && bracketed) return error_set(error, SHEEP_E_INVALID, "%s: the address lacks its ']'", name);
  if (!host_end) host_end = end;
  const char *port = bracketed ? host_end + 1 : host_end;
  url->port = parse_port(port, (size_t)(end - port), url->tls ? 443 : 80);
  if (!url->port) return error_set(error, SHEEP_E_INVALID, "%s: the port must be 1 to 65535", name);
  if (!is_host(host, (size_t)(host_end - host), bracketed))
    return error_set(error, SHEEP_E_INVALID, "%s: the host is missing or malformed", name);
  url->host = mem_zalloc((size_t)(host_end - host) + 1);
  if (!url->host) return error_set(error, SHEEP_E_NOMEM, "out of memory");
  memcpy(url->host, host, (size_t)(host_end - host));
  return SHEEP_OK;
}

static int32_t keep_text(const char *text, base_url *url, sheep_error *error) {
  url->text = mem_strdup(text);
  if (!url->text) return error_set(error, SHEEP_E_NOMEM, "out of memory");
  size_t length = strlen(url->text);
  while (length && url->text[length - 1] == '/') url->text[--length] = '\0';
  return SHEEP_OK;
}

/* Takes "http://" or "https://" off; NULL when there is neither. */
static const char *skip_scheme(const char *text, bool *tls) {
  *tls = strncasecmp(text, "https://", 8) == 0;
  if (*tls) return text + 8;
  return strncasecmp(text, "http://", 7) == 0 ? text + 7 : NULL;
}

static int32_t check_url_text(const char *name, const char *text, sheep_error *error) {
  if (!text || !*text) return error_set(error, SHEEP_E_INVALID, "%s: a URL is required", name);
  if (strlen(text) > MAX_URL) return error_set(error, SHEEP_E_INVALID, "%s: longer than %d bytes", name, MAX_URL);
  if (!is_url_text(text))
    return error_set(error, SHEEP_E_INVALID,
                     "%s: contains a space, a control character or a non-ASCII character", name);
  return SHEEP_OK;
}

static int32_t parse_base_url(const char *text, base_url *url, sheep_error *error) {
  const char *authority = skip_scheme(text, &url->tls);
  if (!authority)
    return error_set(error, SHEEP_E_INVALID, "base_url: must begin with http:// or https://");
  const char *end = authority + strcspn(authority, "/?#");
  if (memchr(authority, '@', (size_t)(end - authority)))
    return error_set(error, SHEEP_E_INVALID, "base_url: must not hold user information");
  if (strpbrk(end, "?#"))
    return error_set(error, SHEEP_E_INVALID, "base_url: must not hold a query or a fragment");
  int32_t result = split_authority("base_url", authority, end, url, error);
  return result ? result : keep_text(text, url, error);
}

int32_t check_base_url(const char *text, base_url *url, sheep_error *error) {
  *url = (base_url){0};
  int32_t result = check_url_text("base_url", text, error);
  if (!result) result = parse_base_url(text, url, error);
  if (result) base_url_free(url);
  return result;
}

static int32_t parse_proxy(const char *text, base_url *url, sheep_error *error) {
  const char *authority = skip_scheme(text, &url->tls);
  if (!authority || url->tls)
    return error_set(error, SHEEP_E_INVALID, "proxy: must begin with http://");
  const char *end = authority + strcspn(authority, "/?#");
  for (const char *at; (at = memchr(authority, '@', (size_t)(end - authority)));) authority = at + 1;
  int32_t result = split_authority("proxy", authority, end, url, error);
  return result ? result : keep_text(text, url, error);
}

int32_t check_proxy(const char *text, base_url *url, sheep_error *error) {
  *url = (base_url){0};
  int32_t result = check_url_text("proxy", text, error);
  if (!result) result = parse_proxy(text, url, error);
  if (result) base_url_free(url);
  return result;
}

int32_t check_api_key(const char *key, sheep_error *error) {
  if (!*key) return error_set(error, SHEEP_E_INVALID, "api_key: must not be empty");
  if (strlen(key) > MAX_HEADER / 2) return error_set(error, SHEEP_E_INVALID, "api_key: too long");
  for (; *key; key++) {
    if (is_control((unsigned char)*key) || (unsigned char)*key >= 0x80)
      return error_set(error, SHEEP_E_INVALID,
                       "api_key: contains a control character or a non-ASCII character");
  }
  return SHEEP_OK;
}

int32_t check_method(const char *method, sheep_error *error) {
  if (is_token(method) && strlen(method) <= 32) return SHEEP_OK;
  return error_set(error, SHEEP_E_INVALID, "method: must be an HTTP method such as GET or POST");
}

int32_t check_path(const char *path, sheep_error *error) {
  if (!path || *path != '/') return error_set(error, SHEEP_E_INVALID, "path: must begin with /");
  if (strlen(path) > MAX_URL) return error_set(error, SHEEP_E_INVALID, "path: longer than %d bytes", MAX_URL);
  if (!is_url_text(path) || strchr(path, '#'))
    return error_set(error, SHEEP_E_INVALID,
                     "path: contains a space, '#', a control character or a non-ASCII character");
  return SHEEP_OK;
}

/* Those that frame the message or route it are not the user's to set. */
static bool is_reserved(const char *name) {
  static const char *const reserved[] = {"Host",       "Content-Length", "Transfer-Encoding",
                                         "Connection", "Upgrade",        "Expect",
                                         "Keep-Alive", "TE",             "Trailer",
                                         "Proxy-Connection"};
  for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
    if (strcasecmp(name, reserved[i]) == 0) return true;
  }
  return false;
}

static int32_t check_header(const sheep_header *header, size_t index, sheep_error *error) {
  if (!header->name || !is_token(header->name) || strlen(header->name) > 256)
    return error_set(error, SHEEP_E_INVALID, "headers: name %zu is not a header name", index);
  if (is_reserved(header->name))
    return error_set(error, SHEEP_E_INVALID, "headers: %s is set by the pool itself", header->name);
  if (!header->value || !is_field_value(header->value))
    return error_set(error, SHEEP_E_INVALID, "headers: the value of %s contains a control character",
                     header->name);
  if (strlen(header->value) > MAX_HEADER)
    return error_set(error, SHEEP_E_INVALID, "headers: the value of %s is too long", header->name);
  return SHEEP_OK;
}

int32_t check_headers(const sheep_header *headers, size_t count, sheep_error *error) {
  if (count > MAX_HEADERS)
    return error_set(error, SHEEP_E_INVALID, "headers: more than %d", MAX_HEADERS);
  if (count && !headers) return error_set(error, SHEEP_E_INVALID, "headers: is NULL");
  for (size_t i = 0; i < count; i++) {
    int32_t result = check_header(&headers[i], i, error);
    if (result) return result;
  }
  return SHEEP_OK;
}

int32_t check_namespace(const char *name, sheep_error *error) {
  size_t length = strlen(name);
  bool sound = length <= MAX_NAMESPACE;
  for (size_t i = 0; sound && i < length; i++) sound = !is_control((unsigned char)name[i]);
  if (sound) return SHEEP_OK;
  return error_set(error, SHEEP_E_INVALID, "namespace: contains a control character, or is longer than %d bytes",
                   MAX_NAMESPACE);
}

int32_t check_timeout(const char *name, int64_t milliseconds, sheep_error *error) {
  /* A century; keeps sums with the present from overflowing. */
  const int64_t longest = INT64_C(100) * 366 * 24 * 3600 * 1000;
  if (milliseconds >= -1 && milliseconds <= longest) return SHEEP_OK;
  return error_set(error, SHEEP_E_INVALID, "%s: must be milliseconds from 0, or -1 for no limit",
                   name);
}

void base_url_free(base_url *url) {
  mem_free(url->text);
  mem_free(url->host);
  *url = (base_url){0};
}
