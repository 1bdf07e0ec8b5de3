/* Completion queues: where the calls of any number of pools end. */
#ifndef SHEEP_QUEUE_H
#define SHEEP_QUEUE_H

#include "call.h"
#include "wake.h"

#include <pthread.h>

struct sheep_queue {
  pthread_mutex_t lock;
  list outstanding; /* submitted, not ended */
  list done;        /* ended, not drained */
  bool abandoned;   /* freed by its user while calls were outstanding */
  wake signal;      /* readable exactly while `done` holds something */
  list_node registry_link;
};

/* A call is on its way. Under no lock but the pool's. */
void queue_expect(sheep_queue *queue, call *pending);
/* A call has ended: its one event. The call is the queue's from here on. */
void queue_deliver(sheep_queue *queue, call *ended);

/* Tells an engine to end a call; set by the layer above, which knows engines. It is
 * called under a queue's lock and may take none. */
typedef int32_t queue_canceller(struct engine *running, uint64_t id);
void queue_set_canceller(queue_canceller *canceller);

/* Around fork, in this order; see fork.c. */
void queues_lock(void);
void queues_unlock(void);
void queues_after_fork_in_child(void);

#endif
