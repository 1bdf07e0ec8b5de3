/* What happens to pools and queues when the process forks. */
#ifndef SHEEP_FORK_H
#define SHEEP_FORK_H

/* Registers the handlers; to be called once. */
void fork_watch(void);

#endif
