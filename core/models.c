/* The models whose replies a store holds, and which of their entries still count. */
#include "models.h"

#include "alloc.h"

#include <string.h>

enum { NO_RECORD = MODELS_MAX };

void models_init(models *known) {
  pthread_mutex_init(&known->lock, NULL);
  for (size_t i = 0; i < MODEL_CHAINS; i++) known->chains[i] = NO_RECORD;
}

void models_free(models *known) {
  for (uint32_t i = 0; i < known->used; i++) mem_free(known->records[i].name);
  pthread_mutex_destroy(&known->lock);
}

/* ----------------------------------------------------------------- the records */

/* FNV-1a: names are few and short, and come from the program, not from strangers. */
static uint32_t *chain_of(models *known, const char *name, size_t length) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)name[i]) * 16777619u;
  return &known->chains[(hash ^ (hash >> 16)) % MODEL_CHAINS];
}

static uint32_t find(models *known, const char *name, size_t length) {
  uint32_t found = *chain_of(known, name, length);
  while (found != NO_RECORD) {
    const model_record *record = &known->records[found];
    if (record->name_length == length && !memcmp(record->name, name, length)) break;
    found = record->next;
  }
  return found;
}

static void unchain(models *known, uint32_t model) {
  const model_record *record = &known->records[model];
  uint32_t *link = chain_of(known, record->name, record->name_length);
  while (*link != model) link = &known->records[*link].next;
  *link = record->next;
}

/* Nobody can claim an unclaimed record while the lock is held. */
static uint32_t take_unclaimed(models *known) {
  for (uint32_t i = 0; i < known->used; i++) {
    model_record *record = &known->records[i];
    if (atomic_load_explicit(&record->claims, memory_order_acquire)) continue;
    uint64_t valid_from = atomic_load_explicit(&record->valid_from, memory_order_relaxed);
    if (valid_from > known->forgotten) known->forgotten = valid_from;
    unchain(known, i);
    mem_free(record->name);
    record->name = NULL;
    return i;
  }
  return NO_RECORD;
}

static uint32_t take_record(models *known) {
  return known->used < MODELS_MAX ? known->used : take_unclaimed(known);
}

static void fill(models *known, uint32_t model, char *name, size_t length) {
  model_record *record = &known->records[model];
  uint32_t *chain = chain_of(known, name, length);
  record->name = name;
  record->name_length = (uint32_t)length;
  record->next = *chain;
  *chain = model;
  atomic_store_explicit(&record->valid_from, known->forgotten, memory_order_release);
  if (model == known->used) known->used++;
}

/* Finds the record of a name or makes one. */
static model_claim intern(models *known, const char *name, size_t length, uint32_t *model) {
  *model = find(known, name, length);
  if (*model != NO_RECORD) return MODEL_CLAIMED;
  if (length > MODEL_NAME_MAX) return MODEL_TOO_MANY;
  char *copy = mem_alloc(length + 1);
  if (!copy) return MODEL_NO_MEMORY;
  *model = take_record(known);
  if (*model == NO_RECORD) {
    mem_free(copy);
    return MODEL_TOO_MANY;
  }
  if (length) memcpy(copy, name, length);
  copy[length] = '\0';
  fill(known, *model, copy, length);
  return MODEL_CLAIMED;
}

/* ---------------------------------------------------------------------- claims */

model_claim models_claim(models *known, const char *name, size_t length, uint64_t generation, uint32_t *model) {
  pthread_mutex_lock(&known->lock);
  model_claim result = intern(known, name, length, model);
  if (result == MODEL_CLAIMED && !models_current(known, *model, generation)) result = MODEL_OUTDATED;
  if (result == MODEL_CLAIMED) models_claim_again(known, *model);
  pthread_mutex_unlock(&known->lock);
  return result;
}

void models_claim_again(models *known, uint32_t model) {
  atomic_fetch_add_explicit(&known->records[model].claims, 1, memory_order_relaxed);
}

void models_release(models *known, uint32_t model) {
  atomic_fetch_sub_explicit(&known->records[model].claims, 1, memory_order_release);
}

const char *models_name(const models *known, uint32_t model, size_t *length) {
  *length = known->records[model].name_length;
  return known->records[model].name;
}

/* ---------------------------------------------------------------- invalidation */

static uint64_t next_generation(models *known) {
  return atomic_fetch_add_explicit(&known->generation, 1, memory_order_acq_rel) + 1;
}

/* An unknown name gets a record too, if it can be had: a reply may be in flight. */
void models_invalidate(models *known, const char *name, size_t length) {
  uint32_t model;
  pthread_mutex_lock(&known->lock);
  if (intern(known, name, length, &model) == MODEL_CLAIMED)
    atomic_store_explicit(&known->records[model].valid_from, next_generation(known), memory_order_release);
  else
    known->forgotten = next_generation(known);
  pthread_mutex_unlock(&known->lock);
}

void models_clear(models *known) {
  pthread_mutex_lock(&known->lock);
  atomic_store_explicit(&known->cleared, next_generation(known), memory_order_release);
  pthread_mutex_unlock(&known->lock);
}
