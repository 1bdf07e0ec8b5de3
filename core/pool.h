/* What users hold: the configuration, and the I/O thread once there is one. */
#ifndef SHEEP_POOL_H
#define SHEEP_POOL_H

#include "engine.h"

#include <pthread.h>

typedef enum pool_state { POOL_OPEN, POOL_CLOSING, POOL_CLOSED } pool_state;

struct sheep_pool {
  pthread_mutex_t lock; /* taken before any queue's */
  pthread_cond_t closed;
  pool_state state;
  engine *running; /* NULL before the first request */
  config *settings;
  uint64_t last_id;
  pool_counters counters;
  list_node registry_link;
};

/* Around fork, in this order, before the queues' locks; see fork.c. */
void pools_lock(void);
void pools_unlock(void);
void pools_after_fork_in_child(void);

#endif
