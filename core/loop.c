/* The event loop, on libuv. */
#include "loop.h"

#include "alloc.h"
#include "buf.h"
#include "error.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { MAX_ADDRESSES = 4096 };

struct loop {
  uv_loop_t uv;
  uv_async_t async;
  uv_timer_t timer;
  uv_idle_t idle;
  uv_prepare_t prepare;
  uv_getaddrinfo_t look_up;
  bool looking_up;
  bool ending; /* nobody wants to hear of the look-up any more */
  loop_handlers handlers;
  void *context;
};

struct watch {
  uv_poll_t poll;
  watch_handler *handler;
  void *owner;
};

static void on_async(uv_async_t *handle) {
  loop *events = handle->data;
  events->handlers.woken(events->context);
}

static void on_timer(uv_timer_t *handle) {
  loop *events = handle->data;
  events->handlers.timer(events->context);
}

static void on_idle(uv_idle_t *handle) {
  loop *events = handle->data;
  events->handlers.turn(events->context);
}

static void on_prepare(uv_prepare_t *handle) {
  loop *events = handle->data;
  events->handlers.before_poll(events->context);
}

loop *loop_new(const loop_handlers *handlers, void *context) {
  loop *events = mem_zalloc(sizeof *events);
  if (!events) return NULL;
  if (uv_loop_init(&events->uv) != 0) {
    mem_free(events);
    return NULL;
  }
  if (uv_async_init(&events->uv, &events->async, on_async) != 0) {
    uv_loop_close(&events->uv);
    mem_free(events);
    return NULL;
  }
  uv_timer_init(&events->uv, &events->timer);
  uv_idle_init(&events->uv, &events->idle);
  uv_prepare_init(&events->uv, &events->prepare);
  events->async.data = events->timer.data = events->idle.data = events;
  events->prepare.data = events->look_up.data = events;
  events->handlers = *handlers;
  events->context = context;
  uv_prepare_start(&events->prepare, on_prepare);
  return events;
}

void loop_run(loop *events) { uv_run(&events->uv, UV_RUN_DEFAULT); }

void loop_stop(loop *events) { uv_stop(&events->uv); }

/* Until the last handle is closed and the look-up, if there is one, has come back. */
static void *finish(void *argument) {
  loop *events = argument;
  while (uv_run(&events->uv, UV_RUN_DEFAULT) != 0) {
  }
  uv_loop_close(&events->uv);
  mem_free(events);
  return NULL;
}

static bool finish_in_background(loop *events) {
  pthread_t thread;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = pthread_create(&thread, NULL, finish, events) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (started) pthread_detach(thread);
  return started;
}

void loop_free(loop *events) {
  bool stuck = events->looking_up && uv_cancel((uv_req_t *)&events->look_up) != 0;
  events->ending = true;
  uv_close((uv_handle_t *)&events->async, NULL);
  uv_close((uv_handle_t *)&events->timer, NULL);
  uv_close((uv_handle_t *)&events->idle, NULL);
  uv_close((uv_handle_t *)&events->prepare, NULL);
  if (!stuck || !finish_in_background(events)) finish(events);
}

void loop_wake(loop *events) { uv_async_send(&events->async); }

int64_t loop_now(const loop *events) { return (int64_t)uv_now(&events->uv); }

int64_t loop_refresh_now(loop *events) {
  uv_update_time(&events->uv);
  return loop_now(events);
}

void loop_set_timer(loop *events, int64_t due) {
  int64_t delay = due - loop_now(events);
  uv_timer_start(&events->timer, on_timer, delay > 0 ? (uint64_t)delay : 0, 0);
}

void loop_keep_turning(loop *events, bool on) {
  if (on)
    uv_idle_start(&events->idle, on_idle);
  else
    uv_idle_stop(&events->idle);
}

static int32_t append_address(buf *text, const struct addrinfo *found) {
  char bare[INET6_ADDRSTRLEN] = "";
  char entry[INET6_ADDRSTRLEN + sizeof ",[]"];
  bool is_ipv6 = found->ai_family == AF_INET6;
  if (is_ipv6)
    uv_ip6_name((struct sockaddr_in6 *)(void *)found->ai_addr, bare, sizeof bare);
  else if (found->ai_family == AF_INET)
    uv_ip4_name((struct sockaddr_in *)(void *)found->ai_addr, bare, sizeof bare);
  if (!*bare) return SHEEP_OK;
  int length = snprintf(entry, sizeof entry, is_ipv6 ? "%s[%s]" : "%s%s", text->length ? "," : "", bare);
  return buf_append(text, entry, (size_t)length, MAX_ADDRESSES);
}

/* Beyond the limit, the addresses up to there will do. */
static int32_t list_addresses(buf *text, const struct addrinfo *found) {
  int32_t result = SHEEP_OK;
  for (; found && result == SHEEP_OK; found = found->ai_next) result = append_address(text, found);
  if (result == SHEEP_E_NOMEM) buf_free(text);
  return result == SHEEP_E_TOO_LARGE ? SHEEP_OK : result;
}

static void on_look_up(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
  loop *events = request->data;
  buf text = {0};
  events->looking_up = false;
  int32_t result = list_addresses(&text, found);
  const char *reason = status ? uv_strerror(status) : "no address of a known family";
  if (!result && !text.data) result = status == UV_EAI_MEMORY ? SHEEP_E_NOMEM : SHEEP_E_RESOLVE;
  uv_freeaddrinfo(found);
  if (!events->ending) events->handlers.resolved(events->context, text.data, result, reason);
  buf_free(&text);
}

int32_t loop_resolve(loop *events, const char *host) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
  int failed = uv_getaddrinfo(&events->uv, &events->look_up, on_look_up, host, NULL, &hints);
  events->looking_up = failed == 0;
  return failed ? SHEEP_E_NOMEM : SHEEP_OK;
}

static void on_poll(uv_poll_t *handle, int status, int events) {
  watch *watched = (watch *)handle;
  int readiness = (events & UV_READABLE ? LOOP_READABLE : 0) | (events & UV_WRITABLE ? LOOP_WRITABLE : 0);
  watched->handler(watched->owner, status < 0 ? LOOP_FAILED : readiness);
}

watch *loop_watch(loop *events, int fd, watch_handler *handler, void *owner) {
  watch *watched = mem_zalloc(sizeof *watched);
  if (!watched) return NULL;
  if (uv_poll_init(&events->uv, &watched->poll, fd) != 0) {
    mem_free(watched);
    return NULL;
  }
  watched->handler = handler;
  watched->owner = owner;
  return watched;
}

void watch_set(watch *watched, int interest) {
  int events = (interest & LOOP_READABLE ? UV_READABLE : 0) | (interest & LOOP_WRITABLE ? UV_WRITABLE : 0);
  if (events)
    uv_poll_start(&watched->poll, events, on_poll);
  else
    uv_poll_stop(&watched->poll);
}

static void on_closed(uv_handle_t *handle) { mem_free(handle); }

void watch_close(watch *watched) { uv_close((uv_handle_t *)&watched->poll, on_closed); }
