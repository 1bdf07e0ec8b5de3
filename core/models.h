/* The models whose replies a store holds, and which of their entries still count.
 *
 * A generation is a number that only grows: each invalidation takes the next one.
 * An entry carries the generation at which its request was looked up, and counts
 * as long as its model (and the store as a whole) was not invalidated since. So
 * an invalidation costs the same whatever it hits, and a reply that was in flight
 * meanwhile is known by its generation.
 *
 * Names are interned: exact, and bounded in number. A record lives at least as
 * long as an entry (or a scan) claims it; one that nobody claims gives way to a new
 * name, and what it knew of invalidations goes into `forgotten`, which then holds
 * for all names without a record: a reply in flight may be refused for another
 * model's sake, but never is one taken that should not be.
 *
 * `lock` guards the records; models_current and models_generation are free of it. */
#ifndef SHEEP_MODELS_H
#define SHEEP_MODELS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODELS_MAX = 4096, MODEL_NAME_MAX = 255, MODEL_CHAINS = 1024 };

typedef struct model_record {
  _Atomic uint64_t valid_from; /* the first generation that counts */
  _Atomic uint64_t claims;
  _Atomic int64_t price; /* billionths of a dollar a token, as last stored */
  char *name; /* NULL: the record is free */
  uint32_t name_length;
  uint32_t next; /* in its chain or the list of free ones; MODELS_MAX: the end */
} model_record;

typedef struct models {
  _Atomic uint64_t generation; /* of the last invalidation */
  _Atomic uint64_t cleared;    /* the first generation that counts for every model */
  pthread_mutex_t lock;
  uint64_t forgotten;
  uint32_t used; /* records that were ever taken */
  uint32_t chains[MODEL_CHAINS];
  model_record records[MODELS_MAX];
} models;

typedef enum model_claim {
  MODEL_CLAIMED,
  MODEL_OUTDATED,  /* invalidated since that generation */
  MODEL_TOO_MANY,  /* MODELS_MAX models have entries, or the name is too long */
  MODEL_NO_MEMORY
} model_claim;

/* In zeroed memory. */
void models_init(models *known);
/* When nothing is claimed any more. */
void models_free(models *known);

/* To be read when a request is looked up, and given when its reply is stored. */
static inline uint64_t models_generation(const models *known) {
  return atomic_load_explicit(&((models *)(uintptr_t)known)->generation, memory_order_acquire);
}

/* Whether an entry of a claimed model still counts. */
static inline bool models_current(models *known, uint32_t model, uint64_t generation) {
  return generation >= atomic_load_explicit(&known->records[model].valid_from, memory_order_acquire) &&
         generation >= atomic_load_explicit(&known->cleared, memory_order_acquire);
}

/* Claims the record of a name for an entry of that generation. */
model_claim models_claim(models *known, const char *name, size_t length, uint64_t generation, uint32_t *model);
/* Once more, for as long as someone else has claimed it. */
void models_claim_again(models *known, uint32_t model);
void models_release(models *known, uint32_t model);
/* What a token of a claimed model costs. */
static inline void models_set_price(models *known, uint32_t model, int64_t price) {
  atomic_store_explicit(&known->records[model].price, price, memory_order_relaxed);
}
static inline uint64_t models_price(models *known, uint32_t model) {
  return (uint64_t)atomic_load_explicit(&known->records[model].price, memory_order_relaxed);
}
/* The name of a claimed model, which stays in place. */
const char *models_name(const models *known, uint32_t model, size_t *length);

/* Neither can fail. */
void models_invalidate(models *known, const char *name, size_t length);
void models_clear(models *known);

#endif
