/* The calls of a pool by their numbers. */
#include "table.h"

#include "alloc.h"

enum { FIRST_SLOTS = 256 };

/* Numbers are given in sequence, so that their low bits spread evenly. */
static call **slot_of(const table *calls, uint64_t id) {
  return &calls->slots[id & (calls->slot_count - 1)];
}

int32_t table_init(table *calls) {
  calls->slots = mem_zalloc(FIRST_SLOTS * sizeof(call *));
  calls->slot_count = FIRST_SLOTS;
  calls->call_count = 0;
  return calls->slots ? SHEEP_OK : SHEEP_E_NOMEM;
}

static void insert(table *calls, call *pending) {
  call **slot = slot_of(calls, pending->id);
  pending->next_in_table = *slot;
  *slot = pending;
}

/* Without memory for it the chains only grow longer. */
static void grow(table *calls) {
  call **slots = mem_zalloc(calls->slot_count * 2 * sizeof(call *));
  if (!slots) return;
  table grown = {slots, calls->slot_count * 2, calls->call_count};
  for (size_t i = 0; i < calls->slot_count; i++) {
    for (call *pending = calls->slots[i]; pending;) {
      call *next = pending->next_in_table;
      insert(&grown, pending);
      pending = next;
    }
  }
  mem_free(calls->slots);
  *calls = grown;
}

void table_put(table *calls, call *pending) {
  if (calls->call_count >= calls->slot_count) grow(calls);
  insert(calls, pending);
  calls->call_count++;
}

call *table_find(const table *calls, uint64_t id) {
  call *found = *slot_of(calls, id);
  while (found && found->id != id) found = found->next_in_table;
  return found;
}

void table_remove(table *calls, const call *ended) {
  call **link = slot_of(calls, ended->id);
  while (*link && *link != ended) link = &(*link)->next_in_table;
  if (!*link) return;
  *link = ended->next_in_table;
  calls->call_count--;
}

void table_free(table *calls) {
  mem_free(calls->slots);
  *calls = (table){0};
}
