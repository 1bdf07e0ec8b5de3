/* Completion queues.
 *
 * A queue that is freed while calls are outstanding is abandoned: it lives on,
 * out of its user's sight, until the last of them has ended. */
#include "queue.h"

#include "alloc.h"
#include "clock.h"

#include <errno.h>
#include <poll.h>

enum { POLL_AGAIN_MS = 10 };

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static list registry = {&registry, &registry};
static queue_canceller *cancel_call;

void queue_set_canceller(queue_canceller *canceller) { cancel_call = canceller; }

static void destroy(sheep_queue *queue) {
  wake_close(&queue->signal);
  pthread_mutex_destroy(&queue->lock);
  mem_free(queue);
}

static void unregister_and_destroy(sheep_queue *queue) {
  pthread_mutex_lock(&registry_lock);
  list_remove(&queue->registry_link);
  pthread_mutex_unlock(&registry_lock);
  destroy(queue);
}

SHEEP_API sheep_queue *sheep_queue_new(sheep_error *error) {
  sheep_queue *queue = mem_zalloc(sizeof *queue);
  if (!queue) {
    error_set(error, SHEEP_E_NOMEM, "out of memory");
    return NULL;
  }
  if (wake_open(&queue->signal) != SHEEP_OK) {
    error_set(error, SHEEP_E_SYSTEM, "no descriptor is left for a queue");
    mem_free(queue);
    return NULL;
  }
  pthread_mutex_init(&queue->lock, NULL);
  list_init(&queue->outstanding);
  list_init(&queue->done);
  list_init(&queue->registry_link);
  pthread_mutex_lock(&registry_lock);
  list_append(&registry, &queue->registry_link);
  pthread_mutex_unlock(&registry_lock);
  return queue;
}

SHEEP_API int32_t sheep_queue_fd(const sheep_queue *queue) { return queue->signal.read_fd; }

void queue_expect(sheep_queue *queue, call *pending) {
  pthread_mutex_lock(&queue->lock);
  pending->queue = queue;
  list_append(&queue->outstanding, &pending->queue_link);
  pthread_mutex_unlock(&queue->lock);
}

void queue_deliver(sheep_queue *queue, call *ended) {
  pthread_mutex_lock(&queue->lock);
  list_remove(&ended->queue_link);
  bool drop = queue->abandoned;
  bool last = drop && list_empty(&queue->outstanding);
  if (!drop) {
    if (list_empty(&queue->done)) wake_signal(&queue->signal);
    list_append(&queue->done, &ended->queue_link);
  }
  pthread_mutex_unlock(&queue->lock);
  if (drop) call_free(ended);
  if (last) unregister_and_destroy(queue);
}

static sheep_event event_of(call *ended) {
  return (sheep_event){.tag = ended->tag,
                       .call = ended->id,
                       .reply = ended,
                       .result = ended->result,
                       .kind = SHEEP_EVENT_DONE};
}

SHEEP_API int32_t sheep_queue_drain(sheep_queue *queue, sheep_event *events, int32_t capacity) {
  int32_t count = 0;
  pthread_mutex_lock(&queue->lock);
  bool had = !list_empty(&queue->done);
  for (list_node *node; count < capacity && (node = list_shift(&queue->done));)
    events[count++] = event_of(list_entry(node, call, queue_link));
  if (had && list_empty(&queue->done)) wake_clear(&queue->signal);
  pthread_mutex_unlock(&queue->lock);
  return count;
}

/* Milliseconds for poll(): rounded up, within an int. */
static int poll_time(int64_t deadline_us, int64_t timeout_ms) {
  if (timeout_ms < 0) return -1;
  int64_t left = (deadline_us - clock_now_us() + 999) / 1000;
  if (left < 0) return 0;
  return left > 1000000 ? 1000000 : (int)left;
}

SHEEP_API int32_t sheep_queue_wait(sheep_queue *queue, sheep_event *events, int32_t capacity,
                                   int64_t timeout_ms) {
  const int64_t longest = INT64_C(1) << 40;
  if (timeout_ms > longest) timeout_ms = longest;
  if (timeout_ms < 0) timeout_ms = -1;
  int64_t deadline_us = clock_now_us() + timeout_ms * 1000;
  struct pollfd ready = {.fd = queue->signal.read_fd, .events = POLLIN};
  for (;;) {
    int32_t count = sheep_queue_drain(queue, events, capacity);
    if (count || capacity <= 0) return count;
    int wait_ms = poll_time(deadline_us, timeout_ms);
    if (wait_ms == 0) return 0;
    if (poll(&ready, 1, wait_ms) >= 0) continue;
    if (errno == EINTR) return 0;
    poll(NULL, 0, POLL_AGAIN_MS); /* no memory or descriptors: without spinning */
  }
}

/* The lock keeps each call outstanding, and with it its engine alive. */
static void cancel_outstanding(sheep_queue *queue) {
  for (list_node *node = queue->outstanding.next; node != &queue->outstanding; node = node->next) {
    call *pending = list_entry(node, call, queue_link);
    cancel_call(pending->running, pending->id);
  }
}

SHEEP_API void sheep_queue_free(sheep_queue *queue) {
  if (!queue) return;
  list thrown_away;
  list_init(&thrown_away);
  pthread_mutex_lock(&queue->lock);
  queue->abandoned = true;
  list_move_all(&queue->done, &thrown_away);
  cancel_outstanding(queue);
  bool last = list_empty(&queue->outstanding);
  pthread_mutex_unlock(&queue->lock);
  for (list_node *node; (node = list_shift(&thrown_away));)
    call_free(list_entry(node, call, queue_link));
  if (last) unregister_and_destroy(queue);
}

void queues_lock(void) {
  pthread_mutex_lock(&registry_lock);
  for (list_node *node = registry.next; node != &registry; node = node->next)
    pthread_mutex_lock(&list_entry(node, sheep_queue, registry_link)->lock);
}

void queues_unlock(void) {
  for (list_node *node = registry.next; node != &registry; node = node->next)
    pthread_mutex_unlock(&list_entry(node, sheep_queue, registry_link)->lock);
  pthread_mutex_unlock(&registry_lock);
}

/* The parent's I/O thread may have been writing to these calls; what they held
 * is left alone, leaked. */
static void end_as_forked(sheep_queue *queue) {
  for (list_node *node; (node = list_shift(&queue->outstanding));) {
    call *lost = list_entry(node, call, queue_link);
    lost->head = lost->reply = (buf){0};
    lost->message = NULL;
    lost->status = 0;
    lost->sent = SHEEP_POSSIBLY_SENT;
    lost->result = SHEEP_E_FORKED;
    list_append(&queue->done, node);
  }
  if (!list_empty(&queue->done)) wake_signal(&queue->signal);
}

void queues_after_fork_in_child(void) {
  pthread_mutex_init(&registry_lock, NULL);
  for (list_node *node = registry.next; node != &registry; node = node->next) {
    sheep_queue *queue = list_entry(node, sheep_queue, registry_link);
    pthread_mutex_init(&queue->lock, NULL);
    wake_reopen(&queue->signal);
    end_as_forked(queue);
  }
}
