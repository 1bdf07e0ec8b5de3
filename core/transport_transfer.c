/* Easy handles: set up once, recycled without a reset, so that each call only sets what differs. */
#include "transport_curl.h"

#include "alloc.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Bodies above this don't fit the system's buffers, so that sending them takes
 * time that is worth following. */
enum { FOLLOWED_BODY = 64 << 10, HEADER_LIMIT = 256 << 10 };

static int32_t refuse(transfer *active, int32_t code) {
  active->refusal = code;
  return code;
}

/* Called before each sending of a request, libcurl's own repetitions included;
 * the second one is refused, because the first may have been acted on. */
static int on_sending(void *user, char *remote, char *local, int remote_port, int local_port) {
  (void)remote;
  (void)local;
  (void)remote_port;
  transfer *active = user;
  const transport_setup *setup = &active->http->setup;
  if (active->sendings) {
    active->sendings++;
    return CURL_PREREQFUNC_ABORT;
  }
  connection *used = connection_of(active, (uint16_t)local_port);
  if (used && used->requests && connection_is_stale(used)) {
    active->stale = true;
    return CURL_PREREQFUNC_ABORT;
  }
  active->sendings = 1;
  active->used = used;
  count_add(used && used->requests ? &setup->counters->connections_reused
                                   : &setup->counters->connections_opened, 1);
  if (used) used->requests++;
  active->served->sent = SHEEP_POSSIBLY_SENT;
  setup->handlers->sending(setup->context, active->served);
  return CURL_PREREQFUNC_OK;
}

static int on_progress(void *user, curl_off_t total_down, curl_off_t down, curl_off_t total_up,
                       curl_off_t up) {
  (void)total_down;
  (void)down;
  (void)total_up;
  transfer *active = user;
  const transport_setup *setup = &active->http->setup;
  if (up > active->uploaded) setup->handlers->progressed(setup->context, active->served);
  active->uploaded = up;
  return 0;
}

/* "Keep-Alive: timeout=5, max=100" */
static void note_keepalive(transfer *active, const char *line, size_t length) {
  static const char name[] = "keep-alive:";
  if (length < sizeof name || strncasecmp(line, name, sizeof name - 1) != 0 || !active->used) return;
  char value[64] = "";
  length -= sizeof name - 1;
  memcpy(value, line + sizeof name - 1, length < sizeof value ? length : sizeof value - 1);
  const char *found = strcasestr(value, "timeout=");
  if (!found) return;
  long seconds = strtol(found + strlen("timeout="), NULL, 10);
  if (seconds >= 0 && seconds < 1000000) active->used->keepalive_ms = (int64_t)seconds * 1000;
}

/* "HTTP/1.1 200 OK" */
static int32_t take_status_line(transfer *active, const char *line, size_t length) {
  long status = 0;
  curl_easy_getinfo(active->easy, CURLINFO_RESPONSE_CODE, &status);
  const char *end = line + length;
  const char *reason = memchr(line, ' ', length);
  reason = reason ? memchr(reason + 1, ' ', (size_t)(end - reason - 1)) : NULL;
  reason = reason ? reason + 1 : end;
  return call_set_status_line(active->served, (int32_t)status, reason, (size_t)(end - reason));
}

static int32_t take_head_line(transfer *active, const char *line, size_t length) {
  if (length == 0) {
    active->head_complete = active->served->status >= 200;
    if (active->head_complete) active->served->sent = SHEEP_ANSWERED;
    return SHEEP_OK;
  }
  if (length > 5 && memcmp(line, "HTTP/", 5) == 0) return take_status_line(active, line, length);
  note_keepalive(active, line, length);
  return call_add_header(active->served, line, length);
}

static size_t on_header(char *line, size_t size, size_t length, void *user) {
  transfer *active = user;
  length *= size;
  active->head_bytes += length;
  if (active->head_bytes > HEADER_LIMIT) return (size_t)refuse(active, SHEEP_E_PROTOCOL);
  if (active->head_complete) return length; /* a trailer */
  size_t text = length;
  while (text && (line[text - 1] == '\n' || line[text - 1] == '\r')) text--;
  int32_t result = take_head_line(active, line, text);
  return result ? (size_t)refuse(active, result) : length;
}

static size_t on_body(char *bytes, size_t size, size_t length, void *user) {
  transfer *active = user;
  int32_t result = buf_append(&active->served->reply, bytes, size * length,
                              active->http->setup.settings->max_reply_bytes);
  return result ? (size_t)refuse(active, result) : size * length;
}

static void set_callbacks(transfer *made) {
  CURL *easy = made->easy;
  curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)(void *)made);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, made->error_text);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_sending);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, made);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, made);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, made);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, made);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, connection_open);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, made);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, connection_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, made->http);
}

static void set_numbers(transfer *made) {
  CURL *easy = made->easy;
  const config *settings = made->http->setup.settings;
  int64_t expiry_s = settings->keepalive_expiry_ms / 1000 + 1;
  curl_easy_setopt(easy, CURLOPT_SHARE, made->http->share);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  /* Of each call in flight; most replies fit it at once. */
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 2048L);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 60L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 30L);
  /* The pool's own timers end a connect; libcurl's default of 300 s must not. */
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 2000000000L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, settings->verify ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, settings->verify ? 2L : 0L);
  curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)(expiry_s < 1000000 ? expiry_s : 1000000));
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, settings->max_keepalive ? 0L : 1L);
}

/* Texts are copied, which needs memory: without one of these a reply would come packed,
 * or go by a proxy or an authority that nobody chose. */
static bool set_texts(transfer *made) {
  const config *settings = made->http->setup.settings;
  const char *key = settings->key_file ? settings->key_file : settings->cert_file;
  const struct {
    CURLoption option;
    const char *text;
  } texts[] = {
      {CURLOPT_ACCEPT_ENCODING, "gzip, deflate"},
      {CURLOPT_USERAGENT, settings->user_agent},
      {CURLOPT_PROXY, settings->proxy.text ? settings->proxy.text : ""},
      {CURLOPT_NOPROXY, ""},
      {CURLOPT_CAINFO, settings->ca_file},
      {CURLOPT_SSLCERT, settings->cert_file},
      {CURLOPT_SSLKEY, key},
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    if (texts[i].text && curl_easy_setopt(made->easy, texts[i].option, texts[i].text) != CURLE_OK)
      return false;
  }
  return true;
}

transfer *transfer_new(transport *http) {
  transfer *made = mem_zalloc(sizeof *made);
  if (!made) return NULL;
  list_init(&made->spare_link);
  list_init(&made->lane_link);
  made->http = http;
  made->easy = curl_easy_init();
  if (made->easy && set_texts(made)) {
    set_callbacks(made);
    set_numbers(made);
    return made;
  }
  transfer_free(made);
  return NULL;
}

void transfer_free(transfer *spare) {
  curl_easy_cleanup(spare->easy);
  curl_slist_free_all(spare->own_headers);
  mem_free(spare);
}

/* ------------------------------------------------------------------ one call */

static bool same_name(const char *line, const char *other) {
  size_t length = strcspn(line, ":;");
  return strncasecmp(line, other, length) == 0 && (other[length] == ':' || other[length] == ';');
}

static bool is_replaced(const call *served, const char *line) {
  const char *own = served->header_lines;
  for (size_t i = 0; i < served->header_count; i++, own += strlen(own) + 1) {
    if (same_name(line, own)) return true;
  }
  return false;
}

static bool add_line(struct curl_slist **lines, const char *line) {
  struct curl_slist *grown = curl_slist_append(*lines, line);
  if (grown) *lines = grown;
  return grown != NULL;
}

/* The pool's headers but those that the call has itself, then the call's. */
static int32_t own_headers(transfer *chosen, const struct curl_slist *shared) {
  const call *served = chosen->served;
  for (const struct curl_slist *line = shared; line; line = line->next) {
    if (!is_replaced(served, line->data) && !add_line(&chosen->own_headers, line->data))
      return SHEEP_E_NOMEM;
  }
  const char *own = served->header_lines;
  for (size_t i = 0; i < served->header_count; i++, own += strlen(own) + 1) {
    if (!add_line(&chosen->own_headers, own)) return SHEEP_E_NOMEM;
  }
  return SHEEP_OK;
}

static int32_t set_headers(transfer *chosen) {
  transport *http = chosen->http;
  struct curl_slist *lines = chosen->served->body ? http->headers : http->bare_headers;
  if (chosen->served->header_count) {
    int32_t result = chosen->own_headers ? SHEEP_OK : own_headers(chosen, lines);
    if (result) return result;
    lines = chosen->own_headers;
  }
  curl_easy_setopt(chosen->easy, CURLOPT_HTTPHEADER, lines);
  return SHEEP_OK;
}

static request_shape shape_of(const call *served) {
  if (strcmp(served->method, "POST") == 0) return SHAPE_POST;
  return strcmp(served->method, "GET") == 0 && !served->body ? SHAPE_GET : SHAPE_OTHER;
}

static int32_t set_shape(transfer *chosen, request_shape shape) {
  CURL *easy = chosen->easy;
  CURLcode failed = CURLE_OK;
  const call *served = chosen->served;
  bool has_body = served->body || shape == SHAPE_POST;
  if (shape == SHAPE_OTHER) {
    bool is_head = strcmp(served->method, "HEAD") == 0;
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(easy, CURLOPT_NOBODY, is_head ? 1L : 0L);
    if (has_body) curl_easy_setopt(easy, CURLOPT_POST, 1L);
    failed = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, served->method);
  } else if (shape != chosen->shape) {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 0L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(easy, shape == SHAPE_POST ? CURLOPT_POST : CURLOPT_HTTPGET, 1L);
  }
  chosen->shape = shape;
  if (failed) return SHEEP_E_NOMEM;
  if (!has_body) return SHEEP_OK;
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)served->body_length);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, served->body ? served->body : "");
  return SHEEP_OK;
}

static char *full_url(const transport *http, const char *path) {
  const char *base = http->setup.settings->origin.text;
  size_t base_length = strlen(base);
  size_t path_size = strlen(path) + 1;
  char *text = mem_alloc(base_length + path_size);
  if (!text) return NULL;
  memcpy(text, base, base_length);
  memcpy(text + base_length, path, path_size);
  return text;
}

static int32_t parse_url(const transport *http, const char *path, CURLU **parsed) {
  char *text = full_url(http, path);
  *parsed = text ? curl_url() : NULL;
  CURLUcode failed = CURLUE_OUT_OF_MEMORY;
  if (*parsed) failed = curl_url_set(*parsed, CURLUPART_URL, text, CURLU_PATH_AS_IS);
  mem_free(text);
  if (!failed) return SHEEP_OK;
  curl_url_cleanup(*parsed);
  *parsed = NULL;
  return failed == CURLUE_OUT_OF_MEMORY ? SHEEP_E_NOMEM : SHEEP_E_INVALID;
}

static int32_t fill_cache(transport *http, cached_url *empty, const char *path) {
  int32_t result = parse_url(http, path, &empty->url);
  if (result) return result;
  empty->path = mem_strdup(path);
  if (empty->path) return SHEEP_OK;
  curl_url_cleanup(empty->url);
  empty->url = NULL;
  return SHEEP_E_NOMEM;
}

/* The first few paths are parsed once and kept; a pool rarely sees more than two.
 * `found` stays NULL for the others. */
static int32_t find_url(transport *http, const char *path, CURLU **found) {
  for (size_t i = 0; i < CACHED_URLS; i++) {
    cached_url *cached = &http->urls[i];
    if (cached->path && strcmp(cached->path, path) != 0) continue;
    int32_t result = cached->path ? SHEEP_OK : fill_cache(http, cached, path);
    *found = cached->url;
    return result;
  }
  return SHEEP_OK;
}

static int32_t set_url(transfer *chosen) {
  CURLU *url = NULL;
  int32_t result = find_url(chosen->http, chosen->served->path, &url);
  if (result) return result;
  if (url) {
    curl_easy_setopt(chosen->easy, CURLOPT_CURLU, url);
    return SHEEP_OK;
  }
  char *text = full_url(chosen->http, chosen->served->path);
  if (!text) return SHEEP_E_NOMEM;
  curl_easy_setopt(chosen->easy, CURLOPT_CURLU, NULL);
  CURLcode failed = curl_easy_setopt(chosen->easy, CURLOPT_URL, text);
  mem_free(text);
  return failed ? SHEEP_E_NOMEM : SHEEP_OK;
}

static void start_afresh(transfer *chosen) {
  chosen->used = NULL;
  chosen->sockets = chosen->sendings = 0;
  chosen->uploaded = 0;
  chosen->head_bytes = 0;
  chosen->refusal = SHEEP_OK;
  chosen->stale = chosen->head_complete = false;
  chosen->error_text[0] = '\0';
}

static void set_connection_choice(transfer *chosen) {
  bool fresh = chosen->restarts > 2;
  if (fresh != chosen->fresh) curl_easy_setopt(chosen->easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
  chosen->fresh = fresh;
}

int32_t transfer_prepare(transfer *chosen, call *served) {
  chosen->served = served;
  start_afresh(chosen);
  set_connection_choice(chosen);
  int32_t result = set_url(chosen);
  if (!result) result = set_headers(chosen);
  if (!result) result = set_shape(chosen, shape_of(served));
  if (result) return result;
  bool follow = served->body_length > FOLLOWED_BODY;
  if (follow != chosen->follows_progress)
    curl_easy_setopt(chosen->easy, CURLOPT_NOPROGRESS, follow ? 0L : 1L);
  chosen->follows_progress = follow;
  return SHEEP_OK;
}

/* Nothing of the call may stay in the handle. */
void transfer_forget(transfer *ended) {
  ended->served = NULL;
  ended->home = NULL;
  ended->used = NULL;
  ended->restarts = 0;
  if (!ended->own_headers) return;
  curl_easy_setopt(ended->easy, CURLOPT_HTTPHEADER, NULL);
  curl_slist_free_all(ended->own_headers);
  ended->own_headers = NULL;
}
