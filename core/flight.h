/* Flights: identical requests of a pool share one (single-flight).
 *
 * The call that is sent is the carrier, nobody's own; those who asked for it share its
 * flight, each with an event, a queue and a total deadline of its own. So any of them
 * may be cancelled, the first one too, and the others are served. A flight without
 * anyone is a refresh, or one that all have left.
 *
 * Belongs to its carrier. Not locked: the submitter's until it is in the mailbox, then
 * the I/O thread's. */
#ifndef SHEEP_FLIGHT_H
#define SHEEP_FLIGHT_H

#include "call.h"

typedef struct flight {
  sheep_cache *cache; /* kept alive by the pool */
  cache_request request;
  call *carrier;
  call *first; /* who asked, until it is aboard; NULL: a refresh */
  list sharing;
  struct flight *next; /* in its chain */
  bool open;           /* others may share it: it is in the table */
  bool keeps;          /* the reply is to be stored */
} flight;

/* Without a carrier yet. `error` as of cache_request_init; NULL on failure. */
flight *flight_new(sheep_cache *cache, const char *name_space, const sheep_request *request,
                   sheep_error *error);
void flight_free(flight *ended);

enum { FLIGHT_CHAINS = 4096 };

/* The open flights by what they ask for. */
typedef struct flights {
  flight *chains[FLIGHT_CHAINS];
} flights;

/* NULL when there is none. */
flight *flights_find(const flights *known, const cache_request *request);
void flights_add(flights *known, flight *opened);
/* One that isn't in there is left as it is. */
void flights_remove(flights *known, flight *ended);

#endif
