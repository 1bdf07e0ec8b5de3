/* HTTP, by libcurl: transfers, their connections, and when idle ones are closed.
 * All of it belongs to the pool's I/O thread. */
#ifndef SHEEP_TRANSPORT_H
#define SHEEP_TRANSPORT_H

#include "call.h"
#include "loop.h"
#include "stats.h"

typedef struct transport transport;

/* What a transfer tells the layer above; `context` is as given. They may not call
 * the transport. */
typedef struct transport_handlers {
  /* Connected: the request is about to leave. From here on it may have been sent. */
  void (*sending)(void *context, call *active);
  /* Bytes of the request went out. */
  void (*progressed)(void *context, call *active);
  /* Bytes of the server came. */
  void (*heard)(void *context, call *active);
  /* The transfer is over. `message` NULL: the code's default. */
  void (*ended)(void *context, call *active, int32_t result, const char *message);
} transport_handlers;

typedef struct transport_setup {
  const config *settings;
  loop *events;
  wheel *timers;
  pool_counters *counters;
  const transport_handlers *handlers;
  void *context;
} transport_setup;

/* libcurl's process-wide state. SHEEP_E_SYSTEM when libcurl is too old or broken. */
int32_t transport_global_init(void);

/* NULL when memory ran out. */
transport *transport_new(const transport_setup *setup);
/* No transfer may be running. */
void transport_free(transport *http);

/* The host whose addresses transport_set_addresses must give before the first
 * start, or NULL when none are needed. */
const char *transport_host(const transport *http);
/* "1.2.3.4,[::1]" */
int32_t transport_set_addresses(transport *http, const char *addresses);

/* Prepares a transfer; it runs with the next transport_run. */
int32_t transport_start(transport *http, call *admitted);
void transport_run(transport *http);
/* Stops a transfer without a word to the handlers. */
void transport_abort(transport *http, call *active);
/* Whether all of the request has been given to the system. */
bool transport_all_sent(const call *active);

#endif
