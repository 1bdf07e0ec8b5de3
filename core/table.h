/* The calls of a pool by their numbers, so that one can be cancelled. Chained;
 * intrusive, so putting one in cannot fail. Not locked: the I/O thread's. */
#ifndef SHEEP_TABLE_H
#define SHEEP_TABLE_H

#include "call.h"

typedef struct table {
  call **slots; /* a power of two of them */
  size_t slot_count;
  size_t call_count;
} table;

int32_t table_init(table *calls);
void table_put(table *calls, call *pending);
call *table_find(const table *calls, uint64_t id);
void table_remove(table *calls, const call *ended);
void table_free(table *calls);

#endif
