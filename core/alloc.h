/* Every allocation of the core goes through here, so that tests can make any of
 * them fail. Built with SHEEP_FAIL_INJECTION, the countdown decides; without it
 * these are malloc's own functions. */
#ifndef SHEEP_ALLOC_H
#define SHEEP_ALLOC_H

#include <stddef.h>

void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_realloc(void *block, size_t size);
char *mem_strdup(const char *text);
void mem_free(void *block);

#ifdef SHEEP_FAIL_INJECTION
/* Lets `allocations` more succeed and fails the one after, once; negative: never. */
void mem_fail_after(long allocations);
/* Allocations made since the last call of mem_fail_after. */
long mem_count(void);
#endif

#endif
