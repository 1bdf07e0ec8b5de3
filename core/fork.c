/* Threads don't survive a fork, and libcurl's handles must not be touched in the
 * child (it would speak on its parent's connections). So the locks are held while
 * the process forks, and the child abandons every I/O thread's state: outstanding
 * calls end with SHEEP_E_FORKED, the next submission starts a thread anew. Caches are
 * whole in both. */
#include "fork.h"

#include "pool.h"
#include "queue.h"

#include <pthread.h>

static void before_fork(void) {
  pools_lock();
  queues_lock();
  caches_lock();
}

static void after_fork_in_parent(void) {
  caches_unlock();
  queues_unlock();
  pools_unlock();
}

static void after_fork_in_child(void) {
  caches_unlock();
  queues_after_fork_in_child();
  pools_after_fork_in_child();
}

void fork_watch(void) { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }
