/* Flights: identical requests of a pool share one. */
#include "flight.h"

#include "alloc.h"

flight *flight_new(sheep_cache *cache, const char *name_space, const sheep_request *request,
                   sheep_error *error) {
  flight *made = mem_zalloc(sizeof *made);
  if (!made) {
    error_set(error, SHEEP_E_NOMEM, "out of memory");
    return NULL;
  }
  if (cache_request_init(&made->request, cache, name_space, request->body, request->body_length,
                         error) != SHEEP_OK) {
    mem_free(made);
    return NULL;
  }
  made->cache = cache;
  made->keeps = !(request->cache_control & SHEEP_NO_STORE);
  made->open = !(request->cache_control & SHEEP_NO_CACHE);
  list_init(&made->sharing);
  return made;
}

void flight_free(flight *ended) {
  if (!ended) return;
  cache_request_free(&ended->request);
  mem_free(ended);
}

static flight **chain_of(flights *known, const cache_request *request) {
  return &known->chains[request->digest.low % FLIGHT_CHAINS];
}

flight *flights_find(const flights *known, const cache_request *request) {
  flight *found = known->chains[request->digest.low % FLIGHT_CHAINS];
  while (found && !cache_request_is_same(&found->request, request)) found = found->next;
  return found;
}

void flights_add(flights *known, flight *opened) {
  flight **chain = chain_of(known, &opened->request);
  opened->next = *chain;
  *chain = opened;
}

void flights_remove(flights *known, flight *ended) {
  flight **link = chain_of(known, &ended->request);
  while (*link && *link != ended) link = &(*link)->next;
  if (*link) *link = ended->next;
}
