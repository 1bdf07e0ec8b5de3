/* A lock-free mailbox: many threads push, one takes everything. Nodes are
 * intrusive, so a push cannot fail. */
#ifndef SHEEP_MPSC_H
#define SHEEP_MPSC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct mpsc_node {
  struct mpsc_node *next;
} mpsc_node;

typedef struct mpsc {
  _Atomic(mpsc_node *) newest;
} mpsc;

/* Returns true when the mailbox was empty: then, and only then, wake its owner. */
static inline bool mpsc_push(mpsc *mailbox, mpsc_node *node) {
  mpsc_node *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
  do {
    node->next = newest;
  } while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &newest, node,
                                                  memory_order_release, memory_order_relaxed));
  return newest == NULL;
}

/* Takes all, oldest first, linked by `next`. */
static inline mpsc_node *mpsc_take_all(mpsc *mailbox) {
  mpsc_node *node = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
  mpsc_node *oldest = NULL;
  while (node) {
    mpsc_node *next = node->next;
    node->next = oldest;
    oldest = node;
    node = next;
  }
  return oldest;
}

#endif
