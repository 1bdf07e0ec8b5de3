/* Pools, queues and calls through the public header, for tests that need them in a
 * line. All of them assert that they succeed. */
#ifndef TESTS_CALLS_H
#define TESTS_CALLS_H

#include "holysheep.h"

/* Options with nothing set but the base URL. */
sheep_pool_options options_for(const char *base_url);
sheep_pool *pool_to(const char *base_url);
sheep_pool *pool_with(const sheep_pool_options *options);
sheep_queue *queue_new(void);
sheep_pool_stats stats_of(const sheep_pool *pool);

/* A small POST to /chat/completions. */
sheep_request small_request(void);
/* These return the call's number. */
uint64_t submit(sheep_pool *pool, sheep_queue *queue);
uint64_t submit_path(sheep_pool *pool, sheep_queue *queue, const char *path);
uint64_t submit_request(sheep_pool *pool, sheep_queue *queue, const sheep_request *request);

/* The next event; fails when none comes in half a minute. */
sheep_event await_event(sheep_queue *queue);
/* The next event's result; its reply is freed. */
int32_t await_result(sheep_queue *queue);
/* So many events come, all with this result. */
void await_results(sheep_queue *queue, int count, int32_t result);
/* Nothing is in flight or waiting, and each submission has been counted as ended. */
void assert_settled(const sheep_pool *pool);
/* Waits until so many calls are in flight. */
void await_in_flight(const sheep_pool *pool, uint32_t count);

/* How many descriptors this process has open. */
int open_descriptors(void);
/* Waits until there are so many: what a pool leaves to be closed is closed soon. */
void await_descriptors(int count);

#endif
