/* An object of the host's that hangs on an entry: a decoded template of the reply,
 * for example. The core never frees one, since that may need a lock of the host's
 * (an interpreter's): the last reference that is given back moves it to the
 * graveyard, from which the host fetches it when it can. Nothing blocks and no
 * callback runs.
 *
 * `references` counts the entry and each hit that holds it. `recent` belongs to the
 * locks of the entry's shard. */
#ifndef SHEEP_ATTACHMENT_H
#define SHEEP_ATTACHMENT_H

#include "entry.h"
#include "mpsc.h"

/* Where the dropped ones of a store wait for the host. */
typedef struct graveyard {
  mpsc dropped;
  _Atomic uint64_t bytes; /* that wait */
} graveyard;

typedef struct attachment attachment;

struct attachment {
  mpsc_node link; /* in the graveyard */
  list_node recent;
  graveyard *yard;
  cache_entry *owner;
  void *object;
  size_t cost; /* bytes of the object and of this */
  _Atomic uint32_t references;
  atomic_bool used; /* hit since it was last looked at for dropping; relaxed */
};

size_t attachment_cost_of(size_t object_size);

/* With one reference. NULL when memory ran out. */
attachment *attachment_new(graveyard *yard, cache_entry *owner, void *object, size_t object_size);

static inline void attachment_retain(attachment *attached) {
  atomic_fetch_add_explicit(&attached->references, 1, memory_order_relaxed);
}

/* Gives a reference back, from any thread, before the store is freed. */
void attachment_release(attachment *attached);

/* Frees one whose object was never the store's. */
void attachment_discard(attachment *attached);

/* Takes all that were dropped, for attachment_bury. */
mpsc_node *graveyard_take(graveyard *yard);

/* Takes one object out of what graveyard_take gave; NULL when there is none left.
 * The caller frees the object. */
void *attachment_bury(mpsc_node **dropped);

#endif
