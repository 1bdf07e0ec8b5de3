/* What users hold: the configuration, and the I/O thread once there is one. */
#ifndef SHEEP_POOL_H
#define SHEEP_POOL_H

#include "engine.h"

/* Around fork, in this order, before the queues' locks; see fork.c. */
void pools_lock(void);
void pools_unlock(void);
void pools_after_fork_in_child(void);

#endif
