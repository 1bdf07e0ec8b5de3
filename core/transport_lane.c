/* Lanes of transfers, and the connections in them.
 *
 * libcurl asks to forget and to watch a socket again for every request; it stays
 * registered until it is closed, which saves two system calls a request. A socket
 * that libcurl doesn't watch is idle. An idle connection that turns readable was
 * closed by the server, or says something that nobody asked for: either way the
 * next request must not get it.
 *
 * libcurl cannot be told to close a certain connection. Retiring one shuts its
 * socket down, so that libcurl finds it dead when it looks for one to use. */
#include "transport_curl.h"

#include "alloc.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections above max_keepalive are kept this long, so that a busy pool whose
 * load falls for a moment doesn't lose warm ones. */
enum { LINGER_MS = 100, MAX_KICKS = 8 };

static int64_t now_of(const transport *http) { return loop_now(http->setup.events); }

/* To be called when `live` or `transfers` changed. */
static void sort_lane(lane *home) {
  bool warm = home->live > home->transfers;
  if (warm == !list_empty(&home->warm_link)) return;
  if (warm)
    list_prepend(&home->http->warm, &home->warm_link);
  else
    list_remove(&home->warm_link);
}

/* ------------------------------------------------------------- connections */

static void schedule_trim(transport *http) {
  if (list_empty(&http->idle)) return;
  connection *oldest = list_entry(http->idle.next, connection, idle_link);
  int64_t expiry = http->setup.settings->keepalive_expiry_ms;
  if (oldest->keepalive_ms < expiry) expiry = oldest->keepalive_ms;
  if (http->idle_count > http->setup.settings->max_keepalive && expiry > LINGER_MS) expiry = LINGER_MS;
  if (expiry == INT64_MAX) return;
  if (http->trim.due > oldest->idle_since + expiry)
    wheel_set(http->setup.timers, &http->trim, oldest->idle_since + expiry);
}

static void leave_idle(connection *busy) {
  if (list_empty(&busy->idle_link)) return;
  list_remove(&busy->idle_link);
  busy->home->http->idle_count--;
}

static void become_idle(connection *unused) {
  transport *http = unused->home->http;
  unused->user = NULL;
  if (unused->retired || !list_empty(&unused->idle_link)) return;
  if (unused->interest != LOOP_READABLE) watch_set(unused->watched, LOOP_READABLE);
  unused->interest = LOOP_READABLE;
  unused->idle_since = now_of(http);
  list_append(&http->idle, &unused->idle_link);
  http->idle_count++;
  schedule_trim(http);
}

/* Unread bytes would make a TLS connection look alive to libcurl. */
static void discard_input(int fd) {
  char bytes[4096];
  for (int i = 0; i < 16 && recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0; i++) {
  }
}

static void retire(connection *unused) {
  leave_idle(unused);
  unused->retired = true;
  unused->home->live--;
  sort_lane(unused->home);
  watch_set(unused->watched, 0);
  discard_input(unused->fd);
  shutdown(unused->fd, SHUT_RDWR);
}

static void close_lane_if_unused(lane *home) {
  if (!home->multi || home->transfers || home->live) return;
  CURLM *multi = home->multi;
  home->multi = NULL;
  curl_multi_cleanup(multi);
  wheel_clear(home->http->setup.timers, &home->timer);
  if (home->marked) list_remove(&home->marked_link);
  home->marked = false;
}

static bool is_over(const transport *http, const connection *unused, int64_t now) {
  int64_t age = now - unused->idle_since;
  if (age >= http->setup.settings->keepalive_expiry_ms || age >= unused->keepalive_ms) return true;
  return http->idle_count > http->setup.settings->max_keepalive && age >= LINGER_MS;
}

static void trim_idle(deadline *expired, void *context) {
  (void)context;
  transport *http = list_entry(expired, transport, trim);
  while (!list_empty(&http->idle)) {
    connection *oldest = list_entry(http->idle.next, connection, idle_link);
    if (!is_over(http, oldest, now_of(http))) break;
    lane *home = oldest->home;
    retire(oldest);
    close_lane_if_unused(home);
  }
  schedule_trim(http);
}

static void on_ready(void *owner, int readiness);

static int32_t make_room(transport *http, int fd) {
  size_t needed = (size_t)fd + 1;
  if (needed <= http->connections_size) return SHEEP_OK;
  size_t size = needed * 2;
  connection **grown = mem_realloc(http->connections, size * sizeof *grown);
  if (!grown) return SHEEP_E_NOMEM;
  for (size_t i = http->connections_size; i < size; i++) grown[i] = NULL;
  http->connections = grown;
  http->connections_size = size;
  return SHEEP_OK;
}

static void connection_free(connection *closing) {
  leave_idle(closing);
  watch_close(closing->watched);
  list_remove(&closing->lane_link);
  if (!closing->retired) closing->home->live--;
  sort_lane(closing->home);
  closing->home->http->connections[closing->fd] = NULL;
  mem_free(closing);
}

static connection *find_connection(const transport *http, curl_socket_t fd) {
  return fd >= 0 && (size_t)fd < http->connections_size ? http->connections[fd] : NULL;
}

static connection *connection_new(lane *home, int fd) {
  transport *http = home->http;
  if (make_room(http, fd) != SHEEP_OK) return NULL;
  if (http->connections[fd]) connection_free(http->connections[fd]);
  connection *opened = mem_zalloc(sizeof *opened);
  if (!opened) return NULL;
  opened->fd = fd;
  opened->home = home;
  opened->keepalive_ms = INT64_MAX;
  opened->watched = loop_watch(http->setup.events, fd, on_ready, opened);
  if (!opened->watched) {
    mem_free(opened);
    return NULL;
  }
  list_init(&opened->idle_link);
  list_append(&home->connections, &opened->lane_link);
  home->live++;
  sort_lane(home);
  http->connections[fd] = opened;
  return opened;
}

/* libcurl closes a socket that never became a connection's without asking
 * connection_close (7.88, cf-socket.c): those of a cancelled connect, and the losers
 * of a race between addresses. So what a transfer opened and didn't use is gone when
 * the transfer ends, or when the system gives the number out again. */
static void forget_unused_sockets(const transfer *ended) {
  list *connections = &ended->home->connections;
  for (list_node *node = connections->next; node != connections;) {
    connection *opened = list_entry(node, connection, lane_link);
    node = node->next;
    if (opened->user == ended && !opened->requests && !opened->foreign) connection_free(opened);
  }
}

curl_socket_t connection_open(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose;
  transfer *opening = user;
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) {
    opening->refusal = SHEEP_E_SYSTEM;
    return CURL_SOCKET_BAD;
  }
  connection *opened = connection_new(opening->home, fd);
  if (!opened) {
    opening->refusal = SHEEP_E_NOMEM;
    close(fd);
    return CURL_SOCKET_BAD;
  }
  opened->user = opening;
  opening->sockets++;
  return fd;
}

int connection_close(void *user, curl_socket_t fd) {
  connection *closing = find_connection(user, fd);
  if (closing) connection_free(closing);
  return close(fd);
}

static uint16_t local_port_of(int fd) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) return 0;
  if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
  return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

connection *connection_of(transfer *active, uint16_t local_port) {
  list *connections = &active->home->connections;
  for (list_node *node = connections->next; node != connections; node = node->next) {
    connection *found = list_entry(node, connection, lane_link);
    if (found->retired || found->foreign) continue;
    if (!found->local_port && found->user == active) found->local_port = local_port_of(found->fd);
    if (found->local_port == local_port && (!found->user || found->user == active)) return found;
  }
  return NULL;
}

bool connection_is_stale(const connection *kept) {
  char byte;
  return recv(kept->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

/* ------------------------------------------------------------ libcurl's wishes */

static connection *adopt_foreign(lane *home, curl_socket_t fd) {
  connection *found = connection_new(home, fd);
  if (found) found->foreign = true;
  return found;
}

static void forget_socket(connection *known) {
  if (known->foreign) {
    connection_free(known);
  } else if (known->requests) {
    become_idle(known);
  } else {
    watch_set(known->watched, known->interest = 0);
  }
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *per_socket) {
  (void)per_socket;
  lane *home = user;
  connection *known = find_connection(home->http, fd);
  if (what == CURL_POLL_REMOVE) {
    if (known) forget_socket(known);
    return 0;
  }
  if (!known) known = adopt_foreign(home, fd);
  if (!known) return -1;
  leave_idle(known);
  char *owner = NULL;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
  if (!known->foreign) known->user = (transfer *)(void *)owner;
  int interest = (what & CURL_POLL_IN ? LOOP_READABLE : 0) | (what & CURL_POLL_OUT ? LOOP_WRITABLE : 0);
  if (interest != known->interest) watch_set(known->watched, interest);
  known->interest = interest;
  return 0;
}

static void mark(lane *home) {
  if (home->marked) return;
  home->marked = true;
  list_append(&home->http->marked, &home->marked_link);
}

static void on_lane_timer(deadline *expired, void *context) {
  (void)context;
  lane *home = list_entry(expired, lane, timer);
  mark(home);
}

static int on_timer_wish(CURLM *multi, long delay_ms, void *user) {
  (void)multi;
  lane *home = user;
  wheel *timers = home->http->setup.timers;
  if (delay_ms < 0) {
    wheel_clear(timers, &home->timer);
  } else if (delay_ms == 0) {
    wheel_clear(timers, &home->timer);
    mark(home);
  } else {
    wheel_set(timers, &home->timer, now_of(home->http) + delay_ms);
  }
  return 0;
}

/* ------------------------------------------------------------------- lanes */

static int32_t open_lane(lane *home) {
  home->multi = curl_multi_init();
  if (!home->multi) return SHEEP_E_NOMEM;
  curl_multi_setopt(home->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(home->multi, CURLMOPT_SOCKETDATA, home);
  curl_multi_setopt(home->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
  curl_multi_setopt(home->multi, CURLMOPT_TIMERDATA, home);
  curl_multi_setopt(home->multi, CURLMOPT_MAXCONNECTS, 100000L);
  curl_multi_setopt(home->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
  return SHEEP_OK;
}

int32_t lanes_init(transport *http) {
  list_init(&http->marked);
  list_init(&http->warm);
  list_init(&http->idle);
  deadline_init(&http->trim, trim_idle);
  http->lane_count = http->setup.settings->max_connections / LANE_TRANSFERS + 1;
  http->lanes = mem_zalloc(http->lane_count * sizeof(lane));
  if (!http->lanes) return SHEEP_E_NOMEM;
  for (uint32_t i = 0; i < http->lane_count; i++) {
    lane *home = &http->lanes[i];
    home->http = http;
    list_init(&home->connections);
    list_init(&home->running);
    list_init(&home->marked_link);
    list_init(&home->warm_link);
    deadline_init(&home->timer, on_lane_timer);
  }
  return SHEEP_OK;
}

void lanes_free(transport *http) {
  for (uint32_t i = 0; http->lanes && i < http->lane_count; i++) {
    lane *home = &http->lanes[i];
    CURLM *multi = home->multi;
    home->multi = NULL;
    if (multi) curl_multi_cleanup(multi);
    wheel_clear(http->setup.timers, &home->timer);
  }
  wheel_clear(http->setup.timers, &http->trim);
  mem_free(http->lanes);
  mem_free(http->connections);
}

/* A connection is opened only when no lane has one to spare, so that there are never
 * more of them than max_connections. While addresses race for a transfer it has two,
 * so that even a warm lane may be full. */
lane *lanes_choose(transport *http) {
  if (!list_empty(&http->warm)) {
    lane *warm = list_entry(http->warm.next, lane, warm_link);
    if (warm->transfers < LANE_TRANSFERS) return warm;
  }
  while (http->lanes[http->first_open].transfers == LANE_TRANSFERS) http->first_open++;
  return &http->lanes[http->first_open];
}

int32_t lane_add(lane *home, transfer *moving) {
  if (!home->multi && open_lane(home) != SHEEP_OK) return SHEEP_E_NOMEM;
  moving->home = home;
  if (curl_multi_add_handle(home->multi, moving->easy) != CURLM_OK) return SHEEP_E_NOMEM;
  list_append(&home->running, &moving->lane_link);
  home->transfers++;
  sort_lane(home);
  return SHEEP_OK;
}

void lane_remove(transfer *moving) {
  lane *home = moving->home;
  transport *http = home->http;
  uint32_t index = (uint32_t)(home - http->lanes);
  curl_multi_remove_handle(home->multi, moving->easy);
  if (moving->sockets) forget_unused_sockets(moving);
  list_remove(&moving->lane_link);
  home->transfers--;
  sort_lane(home);
  if (index < http->first_open) http->first_open = index;
}

static void read_results(lane *home) {
  int left;
  for (CURLMsg *said; home->multi && (said = curl_multi_info_read(home->multi, &left));) {
    if (said->msg != CURLMSG_DONE) continue;
    CURLcode code = said->data.result; /* `said` dies with the removal */
    char *owner = NULL;
    curl_easy_getinfo(said->easy_handle, CURLINFO_PRIVATE, &owner);
    transfer_finish((transfer *)(void *)owner, code);
  }
}

/* What libcurl had no memory to go on with, it would never speak of again. */
static void end_running(lane *home) {
  list ending;
  list_init(&ending);
  list_move_all(&home->running, &ending);
  while (!list_empty(&ending))
    transfer_finish(list_entry(ending.next, transfer, lane_link), CURLE_OUT_OF_MEMORY);
}

static void act(lane *home, curl_socket_t fd, int events) {
  int running;
  CURLMcode failed = curl_multi_socket_action(home->multi, fd, events, &running);
  read_results(home);
  if (failed == CURLM_OUT_OF_MEMORY) end_running(home);
}

void lanes_run(transport *http) {
  for (int kicks = 0; !list_empty(&http->marked) && kicks < MAX_KICKS; kicks++) {
    list batch;
    list_init(&batch);
    list_move_all(&http->marked, &batch);
    for (list_node *node; (node = list_shift(&batch));) {
      lane *home = list_entry(node, lane, marked_link);
      home->marked = false;
      if (home->multi) act(home, CURL_SOCKET_TIMEOUT, 0);
    }
  }
  for (list_node *node; (node = list_shift(&http->marked));) {
    lane *home = list_entry(node, lane, marked_link);
    home->marked = false;
    wheel_set(http->setup.timers, &home->timer, now_of(http) + 1);
  }
}

static void on_idle_ready(connection *unused) {
  lane *home = unused->home;
  retire(unused);
  close_lane_if_unused(home);
}

static void on_ready(void *owner, int readiness) {
  connection *ready = owner;
  lane *home = ready->home;
  transfer *user = ready->user;
  if (!user && !ready->foreign) {
    on_idle_ready(ready);
    return;
  }
  const transport_setup *setup = &home->http->setup;
  if (user && user->sendings && readiness & LOOP_READABLE)
    setup->handlers->heard(setup->context, user->served);
  int events = (readiness & LOOP_READABLE ? CURL_CSELECT_IN : 0) |
               (readiness & LOOP_WRITABLE ? CURL_CSELECT_OUT : 0) |
               (readiness & LOOP_FAILED ? CURL_CSELECT_ERR : 0);
  act(home, ready->fd, events);
  lanes_run(home->http);
}
