/* HTTP, by libcurl: starting and ending transfers. */
#include "transport_curl.h"

#include "alloc.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static int32_t global_result;

static void init_global(void) {
  bool failed = curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK;
  /* 7.80 brought PREREQFUNCTION, without which a POST may leave twice. */
  global_result = failed || curl_version_info(CURLVERSION_NOW)->version_num < 0x075000 ? SHEEP_E_SYSTEM : SHEEP_OK;
}

int32_t transport_global_init(void) {
  pthread_once(&global_once, init_global);
  return global_result;
}

static bool is_given(const config *settings, const char *name) {
  size_t length = strlen(name);
  for (size_t i = 0; i < settings->header_count; i++) {
    const char *line = settings->header_lines[i];
    if (strncasecmp(line, name, length) == 0 && (line[length] == ':' || line[length] == ';')) return true;
  }
  return false;
}

static bool add_header(struct curl_slist **headers, const char *line) {
  struct curl_slist *grown = curl_slist_append(*headers, line);
  if (grown) *headers = grown;
  return grown != NULL;
}

static bool add_authorization(const config *settings, struct curl_slist **headers) {
  if (!settings->api_key || is_given(settings, "Authorization")) return true;
  size_t size = strlen(settings->api_key) + sizeof "Authorization: Bearer ";
  char *line = mem_alloc(size);
  if (!line) return false;
  snprintf(line, size, "Authorization: Bearer %s", settings->api_key);
  bool added = add_header(headers, line);
  mem_free(line);
  return added;
}

static bool add_common(const config *settings, struct curl_slist **headers) {
  for (size_t i = 0; i < settings->header_count; i++) {
    if (!add_header(headers, settings->header_lines[i])) return false;
  }
  /* Or bodies over 1 MB would wait for "100 Continue". */
  return add_authorization(settings, headers) && add_header(headers, "Expect:");
}

static bool make_headers(transport *http) {
  const config *settings = http->setup.settings;
  if (!add_common(settings, &http->headers) || !add_common(settings, &http->bare_headers)) return false;
  if (!is_given(settings, "Content-Type") && !add_header(&http->headers, "Content-Type: application/json"))
    return false;
  /* libcurl would claim a form where there is no body. */
  return add_header(&http->bare_headers, "Content-Type:");
}

/* Whether libcurl knows the addresses by itself. */
static bool is_numeric(const char *host) {
  unsigned char address[sizeof(struct in6_addr)];
  return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1 ||
         strchr(host, '%') || strcasecmp(host, "localhost") == 0;
}

static const base_url *first_hop(const transport *http) {
  const config *settings = http->setup.settings;
  return settings->proxy.text ? &settings->proxy : &settings->origin;
}

const char *transport_host(const transport *http) {
  const char *host = first_hop(http)->host;
  return is_numeric(host) ? NULL : host;
}

static bool make_share(transport *http) {
  http->share = curl_share_init();
  return http->share &&
         curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) == CURLSHE_OK &&
         curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK;
}

transport *transport_new(const transport_setup *setup) {
  transport *http = mem_zalloc(sizeof *http);
  if (!http) return NULL;
  http->setup = *setup;
  list_init(&http->spare);
  if (lanes_init(http) == SHEEP_OK && make_share(http) && make_headers(http)) return http;
  transport_free(http);
  return NULL;
}

void transport_free(transport *http) {
  lanes_free(http);
  for (list_node *node; (node = list_shift(&http->spare));)
    transfer_free(list_entry(node, transfer, spare_link));
  for (size_t i = 0; i < CACHED_URLS; i++) {
    curl_url_cleanup(http->urls[i].url);
    mem_free(http->urls[i].path);
  }
  curl_slist_free_all(http->headers);
  curl_slist_free_all(http->bare_headers);
  if (http->share) curl_share_cleanup(http->share);
  mem_free(http);
}

/* libcurl takes CURLOPT_RESOLVE's entries into the shared cache when a transfer
 * begins; one with an unknown scheme ends right after that, without any I/O. */
static int32_t run_loading_transfer(transport *http, const char *removal, const char *entry) {
  CURL *easy = curl_easy_init();
  struct curl_slist *entries = NULL;
  bool made = easy && add_header(&entries, removal) && add_header(&entries, entry);
  if (made) {
    curl_easy_setopt(easy, CURLOPT_SHARE, http->share);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_RESOLVE, entries);
    curl_easy_setopt(easy, CURLOPT_URL, "none://none/");
    curl_easy_perform(easy);
  }
  curl_easy_cleanup(easy);
  curl_slist_free_all(entries);
  return made ? SHEEP_OK : SHEEP_E_NOMEM;
}

int32_t transport_set_addresses(transport *http, const char *addresses) {
  const base_url *hop = first_hop(http);
  size_t size = strlen(hop->host) + strlen(addresses) + 16;
  char *entry = mem_alloc(size);
  char *removal = mem_alloc(size);
  int32_t result = SHEEP_E_NOMEM;
  if (entry && removal) {
    snprintf(entry, size, "%s:%u:%s", hop->host, hop->port, addresses);
    snprintf(removal, size, "-%s:%u", hop->host, hop->port);
    result = run_loading_transfer(http, removal, entry);
  }
  mem_free(entry);
  mem_free(removal);
  return result;
}

static transfer *take_transfer(transport *http) {
  list_node *node = list_shift(&http->spare);
  if (!node) return transfer_new(http);
  http->spare_count--;
  return list_entry(node, transfer, spare_link);
}

static void give_back(transfer *ended) {
  transport *http = ended->http;
  transfer_forget(ended);
  if (http->spare_count >= SPARE_TRANSFERS) {
    transfer_free(ended);
    return;
  }
  list_prepend(&http->spare, &ended->spare_link);
  http->spare_count++;
}

int32_t transport_start(transport *http, call *admitted) {
  transfer *chosen = take_transfer(http);
  if (!chosen) return SHEEP_E_NOMEM;
  int32_t result = transfer_prepare(chosen, admitted);
  if (!result) result = lane_add(lanes_choose(http), chosen);
  if (result) {
    give_back(chosen);
    return result;
  }
  admitted->transfer = chosen;
  return SHEEP_OK;
}

void transport_run(transport *http) { lanes_run(http); }

static void count_bytes(transfer *ended) {
  pool_counters *counters = ended->http->setup.counters;
  long request_size = 0;
  long head_size = 0;
  curl_off_t up = 0;
  curl_off_t down = 0;
  curl_easy_getinfo(ended->easy, CURLINFO_REQUEST_SIZE, &request_size);
  curl_easy_getinfo(ended->easy, CURLINFO_HEADER_SIZE, &head_size);
  curl_easy_getinfo(ended->easy, CURLINFO_SIZE_UPLOAD_T, &up);
  curl_easy_getinfo(ended->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
  count_add(&counters->bytes_sent, (uint64_t)request_size + (uint64_t)up);
  count_add(&counters->bytes_received, (uint64_t)head_size + (uint64_t)down);
}

/* The kept connection turned out dead before anything was sent: once more. */
static bool start_again(transfer *stale) {
  stale->restarts++;
  call_reset_reply(stale->served);
  return transfer_prepare(stale, stale->served) == SHEEP_OK &&
         lane_add(stale->home, stale) == SHEEP_OK;
}

void transfer_finish(transfer *ended, CURLcode code) {
  const transport_setup *setup = &ended->http->setup;
  call *served = ended->served;
  lane_remove(ended);
  if (ended->stale && ended->sendings == 0 && start_again(ended)) return;
  count_bytes(ended);
  const char *text = NULL;
  int32_t result = ended->stale && ended->sendings == 0 ? SHEEP_E_NOMEM : result_of(ended, code, &text);
  served->transfer = NULL;
  setup->handlers->ended(setup->context, served, result, text);
  give_back(ended);
}

void transport_abort(transport *http, call *active) {
  (void)http;
  transfer *running = active->transfer;
  lane_remove(running);
  count_bytes(running);
  active->transfer = NULL;
  give_back(running);
}

bool transport_all_sent(const call *active) {
  curl_off_t up = 0;
  curl_easy_getinfo(active->transfer->easy, CURLINFO_SIZE_UPLOAD_T, &up);
  return (size_t)up >= active->body_length;
}
