/* The runner of failing allocations. */
#include "unit.h"

#include "failing.h"

#include "alloc.h"

/* More than any scenario makes: one that allocates without end is a failure. */
enum { MOST_ALLOCATIONS = 20000 };

void fail_each_allocation(void (*scenario)(void *context), void *context, long least) {
  long failing = 0;
  for (; failing < MOST_ALLOCATIONS; failing++) {
    mem_fail_after(failing);
    scenario(context);
    long made = mem_count();
    mem_fail_after(-1);
    if (made <= failing) break;
  }
  assert_in_range(failing, least, MOST_ALLOCATIONS - 1);
}
