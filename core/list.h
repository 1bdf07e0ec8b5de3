/* An intrusive doubly linked list: FIFO order, O(1) removal from the middle. A
 * node that is in no list points to itself. Not locked. */
#ifndef SHEEP_LIST_H
#define SHEEP_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct list_node {
  struct list_node *next;
  struct list_node *previous;
} list_node;

/* A list is a node that stands before its first and after its last. */
typedef list_node list;

/* The structure around a node that is its member. */
#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(list_node *node) { node->next = node->previous = node; }

static inline bool list_empty(const list_node *node) { return node->next == node; }

static inline void list_append(list *head, list_node *node) {
  node->previous = head->previous;
  node->next = head;
  head->previous->next = node;
  head->previous = node;
}

static inline void list_prepend(list *head, list_node *node) { list_append(head->next, node); }

static inline void list_remove(list_node *node) {
  node->previous->next = node->next;
  node->next->previous = node->previous;
  list_init(node);
}

/* Takes the first node, or NULL. */
static inline list_node *list_shift(list *head) {
  if (list_empty(head)) return NULL;
  list_node *node = head->next;
  list_remove(node);
  return node;
}

/* Moves everything to the end of `to`. */
static inline void list_move_all(list *from, list *to) {
  if (list_empty(from)) return;
  from->next->previous = to->previous;
  from->previous->next = to;
  to->previous->next = from->next;
  to->previous = from->previous;
  list_init(from);
}

#endif
