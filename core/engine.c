/* A pool's I/O thread.
 *
 * A call waits in `waiting` until one of max_connections places is free. Admitted,
 * it may have to wait for the host's addresses in `resolving`, then for its turn in
 * `ready` (only so many are started between two polls, so that a burst's first
 * request leaves at once), and is then a transfer in `active`. end_call is the one
 * way out of all of these. */
#include "engine.h"

#include "alloc.h"
#include "clock.h"
#include "flight.h"
#include "queue.h"
#include "table.h"
#include "transport.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

enum { STARTS_A_TURN = 8, ADDRESSES_LAST_MS = 60000 };

typedef enum address_state { ADDRESSES_NEEDLESS, ADDRESSES_UNKNOWN, ADDRESSES_KNOWN } address_state;

struct engine {
  const config *settings;
  pool_counters *counters;
  loop *events;
  transport *http;
  wheel timers;
  int64_t armed; /* when the loop's timer fires */
  mpsc mailbox;
  table calls;
  flights *shared; /* NULL: the pool has no cache */
  list waiting;
  list resolving;
  list ready;
  list active;
  uint32_t in_flight;
  address_state addresses;
  int64_t addresses_due; /* when to look them up again */
  bool looking_up;
  bool closing;
  mail closing_mail;
  pthread_t thread;
};

typedef struct cancel_mail {
  mail base;
  uint64_t id;
} cancel_mail;

static int64_t after(int64_t start, int64_t limit) { return limit < 0 ? DEADLINE_NEVER : start + limit; }

static int64_t now_of(const engine *running) { return loop_now(running->events); }

static engine *engine_of(void *context) { return context; }

/* ------------------------------------------------------------------ the end */

static _Atomic uint64_t *counter_of(pool_counters *counters, int32_t result) {
  switch (result) {
  case SHEEP_OK: return &counters->answered;
  case SHEEP_E_CANCELLED: return &counters->cancelled;
  case SHEEP_E_CLOSED: return &counters->closed;
  case SHEEP_E_RESOLVE:
  case SHEEP_E_CONNECT:
  case SHEEP_E_TLS:
  case SHEEP_E_PROXY: return &counters->connect_errors;
  case SHEEP_E_CONNECT_TIMEOUT: return &counters->connect_timeouts;
  case SHEEP_E_WRITE_TIMEOUT: return &counters->write_timeouts;
  case SHEEP_E_READ_TIMEOUT: return &counters->read_timeouts;
  case SHEEP_E_POOL_TIMEOUT: return &counters->pool_timeouts;
  case SHEEP_E_TOTAL_TIMEOUT: return &counters->total_timeouts;
  case SHEEP_E_READ: return &counters->read_errors;
  case SHEEP_E_WRITE: return &counters->write_errors;
  case SHEEP_E_PROTOCOL: return &counters->protocol_errors;
  case SHEEP_E_DECODING: return &counters->decoding_errors;
  case SHEEP_E_TOO_LARGE: return &counters->too_large;
  default: return &counters->other_errors;
  }
}

static void release_place(engine *running) {
  running->in_flight--;
  atomic_store_explicit(&running->counters->in_flight, running->in_flight, memory_order_relaxed);
  if (!list_empty(&running->waiting)) loop_keep_turning(running->events, true);
}

/* Takes a request off its way, wherever it is on it. */
static void stop_request(engine *running, call *stopping) {
  if (stopping->transfer) transport_abort(running->http, stopping);
  if (stopping->state != CALL_WAITING) release_place(running);
  list_remove(&stopping->engine_link);
  wheel_clear(&running->timers, &stopping->phase);
}

/* The one event of a call. */
static void deliver(engine *running, call *ending, int32_t result, const char *text) {
  wheel_clear(&running->timers, &ending->total);
  table_remove(&running->calls, ending);
  ending->flight = NULL;
  ending->state = CALL_DONE;
  ending->latency_us = clock_now_us() - ending->submitted_us;
  call_set_result(ending, result, text);
  count_add(counter_of(running->counters, result), 1);
  count_add(&running->counters->ended, 1);
  queue_deliver(ending->queue, ending);
}

/* A reply that expired not long ago may stand in for one that the gateway failed to give. */
static bool rescue(const flight *failed, int32_t result, call *waiter) {
  cache_hit hit;
  bool failure = result ? result != SHEEP_E_CLOSED && result != SHEEP_E_CANCELLED
                        : failed->carrier->status >= 500;
  if (!failure || !failed->open || !failed->cache->rules.stale_if_error_us) return false;
  if (!cache_find_again(failed->cache, &failed->request, STALE_IF_ERROR, &hit)) return false;
  call_set_hit(waiter, &hit);
  return true;
}

/* A carrier's end: its reply is stored, and everybody who shares it is answered. */
static void end_flight(engine *running, call *carrier, int32_t result, const char *text) {
  flight *ended = carrier->flight;
  flights_remove(running->shared, ended);
  call_set_result(carrier, result, text);
  if (result == SHEEP_OK && ended->keeps)
    cache_keep(ended->cache, &ended->request, carrier->status, carrier->reply.data, carrier->reply.length);
  for (list_node *node; (node = list_shift(&ended->sharing));) {
    call *waiter = list_entry(node, call, engine_link);
    bool rescued = rescue(ended, result, waiter);
    if (!rescued) call_set_carrier(waiter, carrier);
    deliver(running, waiter, rescued ? SHEEP_OK : result, NULL);
  }
  flight_free(ended);
  call_free(carrier);
}

static void end_call(engine *running, call *ending, int32_t result, const char *text);

/* One that shares a request leaves; the last one stops it. */
static void end_sharing(engine *running, call *leaving, int32_t result) {
  flight *shared = leaving->flight;
  leaving->sent = shared->carrier->sent;
  list_remove(&leaving->engine_link);
  deliver(running, leaving, result, NULL);
  if (list_empty(&shared->sharing)) end_call(running, shared->carrier, SHEEP_E_CANCELLED, NULL);
}

/* The one way out, whatever state a call is in. */
static void end_call(engine *running, call *ending, int32_t result, const char *text) {
  if (ending->state == CALL_SHARING) {
    end_sharing(running, ending, result);
    return;
  }
  stop_request(running, ending);
  if (ending->flight)
    end_flight(running, ending, result, text);
  else
    deliver(running, ending, result, text);
}

/* -------------------------------------------------------------------- time */

static void set_phase(engine *running, call *timed, deadline_handler *handler, int64_t due) {
  timed->phase.handler = handler;
  wheel_set(&running->timers, &timed->phase, due);
}

static call *call_of_phase(deadline *expired) { return list_entry(expired, call, phase); }

static void pool_expired(deadline *expired, void *context) {
  end_call(engine_of(context), call_of_phase(expired), SHEEP_E_POOL_TIMEOUT, NULL);
}

static void connect_expired(deadline *expired, void *context) {
  end_call(engine_of(context), call_of_phase(expired), SHEEP_E_CONNECT_TIMEOUT, NULL);
}

static void read_expired(deadline *expired, void *context) {
  end_call(engine_of(context), call_of_phase(expired), SHEEP_E_READ_TIMEOUT, NULL);
}

/* Whether the last byte of a request is out is only asked when it matters. */
static void send_expired(deadline *expired, void *context) {
  engine *running = engine_of(context);
  call *timed = call_of_phase(expired);
  bool sent = transport_all_sent(timed);
  int64_t due = after(timed->phase_began, sent ? timed->limits.read : timed->limits.write);
  if (due > now_of(running))
    set_phase(running, timed, sent ? read_expired : send_expired, due);
  else
    end_call(running, timed, sent ? SHEEP_E_READ_TIMEOUT : SHEEP_E_WRITE_TIMEOUT, NULL);
}

static void total_expired(deadline *expired, void *context) {
  end_call(engine_of(context), list_entry(expired, call, total), SHEEP_E_TOTAL_TIMEOUT, NULL);
}

static void begin_sending(engine *running, call *timed) {
  int64_t write_due = after(now_of(running), timed->limits.write);
  int64_t read_due = after(now_of(running), timed->limits.read);
  timed->phase_began = now_of(running);
  set_phase(running, timed, send_expired, write_due < read_due ? write_due : read_due);
}

/* ------------------------------------------------- what the transport tells */

static void on_sending(void *context, call *active) { begin_sending(engine_of(context), active); }

static void on_progressed(void *context, call *active) { begin_sending(engine_of(context), active); }

static void on_heard(void *context, call *active) {
  engine *running = engine_of(context);
  if (active->phase.handler == send_expired && !transport_all_sent(active)) return;
  set_phase(running, active, read_expired, after(now_of(running), active->limits.read));
}

static void on_ended(void *context, call *active, int32_t result, const char *text) {
  end_call(engine_of(context), active, result, text);
}

static const transport_handlers handlers_of_transport = {on_sending, on_progressed, on_heard, on_ended};

/* ---------------------------------------------------------------- admission */

static void start_call(engine *running, call *admitted) {
  admitted->state = CALL_ACTIVE;
  list_append(&running->active, &admitted->engine_link);
  int32_t result = transport_start(running->http, admitted);
  if (result) end_call(running, admitted, result, NULL);
}

static void look_up(engine *running) {
  if (running->looking_up) return;
  running->looking_up = loop_resolve(running->events, transport_host(running->http)) == SHEEP_OK;
}

static bool addresses_known(engine *running) {
  if (running->addresses == ADDRESSES_NEEDLESS) return true;
  bool fresh = running->addresses == ADDRESSES_KNOWN && now_of(running) < running->addresses_due;
  if (!fresh) look_up(running);
  return running->addresses == ADDRESSES_KNOWN;
}

static void resolve_call(engine *running, call *admitted) {
  admitted->state = CALL_RESOLVING;
  list_append(&running->resolving, &admitted->engine_link);
  if (!running->looking_up) end_call(running, admitted, SHEEP_E_NOMEM, NULL);
}

static void admit(engine *running, call *first) {
  list_remove(&first->engine_link);
  running->in_flight++;
  atomic_store_explicit(&running->counters->in_flight, running->in_flight, memory_order_relaxed);
  set_phase(running, first, connect_expired, after(now_of(running), first->limits.connect));
  if (addresses_known(running))
    start_call(running, first);
  else
    resolve_call(running, first);
}

/* Starts the next call that may; false when there is none. */
static bool start_next(engine *running) {
  list_node *node = list_shift(&running->ready);
  if (node) {
    start_call(running, list_entry(node, call, engine_link));
    return true;
  }
  if (list_empty(&running->waiting) || running->in_flight >= running->settings->max_connections)
    return false;
  admit(running, list_entry(running->waiting.next, call, engine_link));
  return true;
}

static void start_some(engine *running) {
  bool more = true;
  for (int i = 0; more && i < STARTS_A_TURN; i++) more = start_next(running);
  loop_keep_turning(running->events, more);
  transport_run(running->http);
}

static void on_resolved(void *context, const char *addresses, int32_t result, const char *reason) {
  engine *running = engine_of(context);
  running->looking_up = false;
  if (addresses) result = transport_set_addresses(running->http, addresses);
  if (result == SHEEP_OK) {
    running->addresses = ADDRESSES_KNOWN;
    running->addresses_due = now_of(running) + ADDRESSES_LAST_MS;
    list_move_all(&running->resolving, &running->ready);
  }
  for (list_node *node; (node = list_shift(&running->resolving));)
    end_call(running, list_entry(node, call, engine_link), result,
             result == SHEEP_E_RESOLVE ? reason : NULL);
  start_some(running);
}

/* --------------------------------------------------------------------- mail */

/* From here on it may be cancelled, and its total deadline runs. */
static void expect(engine *running, call *submitted) {
  deadline_init(&submitted->total, total_expired);
  table_put(&running->calls, submitted);
  wheel_set(&running->timers, &submitted->total,
            after(submitted->submitted_us / 1000, submitted->limits.total));
}

static void wait_for_place(engine *running, call *submitted) {
  submitted->state = CALL_WAITING;
  list_append(&running->waiting, &submitted->engine_link);
  int64_t start = submitted->submitted_us / 1000;
  set_phase(running, submitted, pool_expired, after(start, submitted->limits.pool));
}

static void share(flight *shared, call *waiter) {
  waiter->flight = shared;
  list_append(&shared->sharing, &waiter->engine_link);
}

/* The reply may have come since the caller looked it up. */
static bool is_answered_by_now(engine *running, const flight *made) {
  cache_hit hit;
  if (!made->open || !cache_find_again(made->cache, &made->request, STALE_NEVER, &hit)) return false;
  if (made->first) {
    call_set_hit(made->first, &hit);
    deliver(running, made->first, SHEEP_OK, NULL);
  } else {
    cache_hit_release(&hit);
  }
  return true;
}

/* Whether another request in flight, or a reply, serves as well. */
static bool is_needless(engine *running, flight *made) {
  flight *shared = made->open ? flights_find(running->shared, &made->request) : NULL;
  if (!shared) return is_answered_by_now(running, made);
  shared->keeps |= made->keeps;
  if (made->first) {
    share(shared, made->first);
    count_add(&made->cache->coalesced, 1);
  }
  return true;
}

static void take_carrier(engine *running, call *carrier) {
  flight *made = carrier->flight;
  if (made->first) expect(running, made->first);
  if (is_needless(running, made)) {
    flight_free(made);
    call_free(carrier);
    return;
  }
  if (made->first) share(made, made->first);
  if (made->open) flights_add(running->shared, made);
  wait_for_place(running, carrier);
}

static void take_call(engine *running, call *submitted) {
  if (submitted->flight) {
    take_carrier(running, submitted);
    return;
  }
  expect(running, submitted);
  wait_for_place(running, submitted);
}

static void take_cancel(engine *running, cancel_mail *asked) {
  call *found = table_find(&running->calls, asked->id);
  mem_free(asked);
  if (found) end_call(running, found, SHEEP_E_CANCELLED, NULL);
}

static void end_all(engine *running, list *calls) {
  while (!list_empty(calls))
    end_call(running, list_entry(calls->next, call, engine_link), SHEEP_E_CLOSED, NULL);
}

static void take_close(engine *running) {
  running->closing = true;
  end_all(running, &running->waiting);
  end_all(running, &running->resolving);
  end_all(running, &running->ready);
  end_all(running, &running->active);
  loop_stop(running->events);
}

static void take_mail(engine *running, mail *letter) {
  switch (letter->kind) {
  case MAIL_SUBMIT: take_call(running, list_entry(letter, call, submission)); break;
  case MAIL_CANCEL: take_cancel(running, list_entry(letter, cancel_mail, base)); break;
  case MAIL_CLOSE: take_close(running); break;
  }
}

static void on_woken(void *context) {
  engine *running = engine_of(context);
  for (mpsc_node *node = mpsc_take_all(&running->mailbox); node;) {
    mpsc_node *next = node->next;
    take_mail(running, list_entry(node, mail, link));
    node = next;
  }
  if (!running->closing) start_some(running);
}

/* ------------------------------------------------------------------- thread */

static void on_timer(void *context) {
  engine *running = engine_of(context);
  running->armed = DEADLINE_NEVER;
  wheel_expire(&running->timers, now_of(running), running);
  transport_run(running->http);
}

static void on_turn(void *context) { start_some(engine_of(context)); }

static void before_poll(void *context) {
  engine *running = engine_of(context);
  int64_t next = wheel_next(&running->timers);
  if (next >= running->armed) return;
  running->armed = next;
  loop_set_timer(running->events, next);
}

/* Debuggers and profilers show it; fifteen bytes is the most that Linux takes. */
static void name_thread(void) {
#ifdef __linux__
  pthread_setname_np(pthread_self(), "holysheep-io");
#endif
}

static void *run(void *argument) {
  engine *running = argument;
  name_thread();
  loop_run(running->events);
  transport_free(running->http);
  return NULL;
}

static int start_thread(engine *running) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(&running->thread, NULL, run, running);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed;
}

static void engine_init(engine *made, const config *settings, pool_counters *counters) {
  made->settings = settings;
  made->counters = counters;
  made->armed = DEADLINE_NEVER;
  list_init(&made->waiting);
  list_init(&made->resolving);
  list_init(&made->ready);
  list_init(&made->active);
}

static int32_t make_parts(engine *made) {
  static const loop_handlers handlers = {on_woken, on_timer, on_turn, before_poll, on_resolved};
  if (table_init(&made->calls) != SHEEP_OK) return SHEEP_E_NOMEM;
  if (made->settings->cache && !(made->shared = mem_zalloc(sizeof *made->shared))) return SHEEP_E_NOMEM;
  made->events = loop_new(&handlers, made);
  if (!made->events) return SHEEP_E_SYSTEM;
  wheel_init(&made->timers, now_of(made));
  transport_setup setup = {made->settings, made->events, &made->timers,
                           made->counters, &handlers_of_transport, made};
  made->http = transport_new(&setup);
  if (!made->http) return SHEEP_E_NOMEM;
  made->addresses = transport_host(made->http) ? ADDRESSES_UNKNOWN : ADDRESSES_NEEDLESS;
  return start_thread(made) ? SHEEP_E_SYSTEM : SHEEP_OK;
}

static void discard(engine *made) {
  if (made->http) transport_free(made->http);
  if (made->events) loop_free(made->events);
  table_free(&made->calls);
  mem_free(made->shared);
  mem_free(made);
}

engine *engine_new(const config *settings, pool_counters *counters, sheep_error *error) {
  int32_t result = transport_global_init();
  if (result) {
    error_set(error, result, "libcurl 7.80 or later is needed, and must be able to start");
    return NULL;
  }
  engine *made = mem_zalloc(sizeof *made);
  if (!made) {
    error_set(error, SHEEP_E_NOMEM, "out of memory");
    return NULL;
  }
  engine_init(made, settings, counters);
  result = make_parts(made);
  if (result == SHEEP_OK) return made;
  discard(made);
  error_set(error, result, "%s", error_default_message(result));
  return NULL;
}

void engine_submit(engine *running, call *submitted) {
  if (mpsc_push(&running->mailbox, &submitted->submission.link)) loop_wake(running->events);
}

int32_t engine_cancel(engine *running, uint64_t id) {
  cancel_mail *asked = mem_alloc(sizeof *asked);
  if (!asked) return SHEEP_E_NOMEM;
  asked->base.kind = MAIL_CANCEL;
  asked->id = id;
  if (mpsc_push(&running->mailbox, &asked->base.link)) loop_wake(running->events);
  return SHEEP_OK;
}

/* Cancels that came while it was closing. */
static void discard_mail(engine *stopped) {
  for (mpsc_node *node = mpsc_take_all(&stopped->mailbox); node;) {
    mpsc_node *next = node->next;
    mem_free(list_entry(node, cancel_mail, base.link));
    node = next;
  }
}

void engine_close(engine *running) {
  running->closing_mail.kind = MAIL_CLOSE;
  if (mpsc_push(&running->mailbox, &running->closing_mail.link)) loop_wake(running->events);
  pthread_join(running->thread, NULL);
  /* Not in the thread itself, which may have read the letter before the wake-up
   * above was sent. */
  loop_free(running->events);
  discard_mail(running);
  table_free(&running->calls);
  mem_free(running->shared);
  mem_free(running);
}
