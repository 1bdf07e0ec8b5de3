/* Objects of the host's that hang on entries. */
#include "attachment.h"

#include "alloc.h"

size_t attachment_cost_of(size_t object_size) {
  const size_t own = sizeof(attachment) + 2 * sizeof(void *);
  return object_size > SIZE_MAX - own ? SIZE_MAX : object_size + own;
}

attachment *attachment_new(graveyard *yard, cache_entry *owner, void *object, size_t object_size) {
  attachment *attached = mem_zalloc(sizeof *attached);
  if (!attached) return NULL;
  list_init(&attached->recent);
  attached->yard = yard;
  attached->owner = owner;
  attached->object = object;
  attached->cost = attachment_cost_of(object_size);
  atomic_init(&attached->references, 1);
  return attached;
}

void attachment_release(attachment *attached) {
  if (atomic_fetch_sub_explicit(&attached->references, 1, memory_order_acq_rel) != 1) return;
  graveyard *yard = attached->yard;
  atomic_fetch_add_explicit(&yard->bytes, attached->cost, memory_order_relaxed);
  mpsc_push(&yard->dropped, &attached->link);
}

void attachment_discard(attachment *attached) { mem_free(attached); }

mpsc_node *graveyard_take(graveyard *yard) {
  if (!atomic_load_explicit(&yard->dropped.newest, memory_order_relaxed)) return NULL;
  return mpsc_take_all(&yard->dropped);
}

void *attachment_bury(mpsc_node **dropped) {
  if (!*dropped) return NULL;
  attachment *attached = (attachment *)(void *)*dropped; /* `link` is its first member */
  *dropped = attached->link.next;
  void *object = attached->object;
  atomic_fetch_sub_explicit(&attached->yard->bytes, attached->cost, memory_order_relaxed);
  mem_free(attached);
  return object;
}
