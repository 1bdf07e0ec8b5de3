/* The runner of failing allocations, after nghttp2's failmalloc test. */
#ifndef TESTS_FAILING_H
#define TESTS_FAILING_H

/* Runs `scenario` again and again, each time with a later allocation of the core
 * failing, until it gets by without reaching the failing one. The scenario must
 * assert that it ends well or with a clean error, and leak nothing. At least
 * `least` allocations must have failed, so that a scenario cannot become empty
 * unnoticed. */
void fail_each_allocation(void (*scenario)(void *context), void *context, long least);

#endif
