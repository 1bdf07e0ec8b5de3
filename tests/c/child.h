/* Child processes for the tests of fork. A child tells what is wrong by its exit
 * status; only the parent asserts. */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include "holysheep.h"

#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

/* In the child: leaves with a line on what went wrong. */
#define CHILD_ASSERT(condition)                                              \
  do {                                                                       \
    if (!(condition)) {                                                      \
      fprintf(stderr, "child: %s:%d: " #condition "\n", __FILE__, __LINE__); \
      _exit(1);                                                              \
    }                                                                        \
  } while (0)

/* What a child does to what it got from its parent. */
typedef void child_body(sheep_pool *pool, sheep_queue *queue);

pid_t child_fork(child_body *body, sheep_pool *pool, sheep_queue *queue);
void child_assert_success(pid_t child);

/* In the child: makes a call to an "echo" script and gets its own answer. */
void child_call(sheep_pool *pool, sheep_queue *queue, const char *path, const char *body);

#endif
