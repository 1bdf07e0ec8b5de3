/* malloc, with a countdown to failure in test builds. */
#include "alloc.h"

#include <stdlib.h>
#include <string.h>

#ifdef SHEEP_FAIL_INJECTION
#include <stdatomic.h>

static atomic_long fail_countdown = -1;
static atomic_long allocation_count;

void mem_fail_after(long allocations) {
  atomic_store(&allocation_count, 0);
  atomic_store(&fail_countdown, allocations);
}

long mem_count(void) { return atomic_load(&allocation_count); }

static int must_fail(void) {
  atomic_fetch_add(&allocation_count, 1);
  long left = atomic_load(&fail_countdown);
  while (left >= 0 && !atomic_compare_exchange_weak(&fail_countdown, &left, left - 1)) {
  }
  return left == 0;
}
#else
static int must_fail(void) { return 0; }
#endif

void *mem_alloc(size_t size) { return must_fail() ? NULL : malloc(size); }

void *mem_zalloc(size_t size) { return must_fail() ? NULL : calloc(1, size); }

void *mem_realloc(void *block, size_t size) { return must_fail() ? NULL : realloc(block, size); }

char *mem_strdup(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = mem_alloc(size);
  if (copy) memcpy(copy, text, size);
  return copy;
}

void mem_free(void *block) { free(block); }
