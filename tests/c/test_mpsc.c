/* mpsc.h: a mailbox of many writers and one reader. */
#include "unit.h"

#include "list.h"
#include "mpsc.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { WRITERS = 4, LETTERS = 20000 };

typedef struct letter {
  mpsc_node link;
  int writer;
  int number;
} letter;

typedef struct writer {
  mpsc *mailbox;
  letter *letters;
  int wakes; /* pushes that found the mailbox empty */
} writer;

static void takes_the_oldest_first(void **state) {
  (void)state;
  mpsc mailbox = {NULL};
  mpsc_node nodes[3];
  assert_null(mpsc_take_all(&mailbox));
  assert_true(mpsc_push(&mailbox, &nodes[0]));
  assert_false(mpsc_push(&mailbox, &nodes[1]));
  assert_false(mpsc_push(&mailbox, &nodes[2]));
  const mpsc_node *taken = mpsc_take_all(&mailbox);
  for (int i = 0; i < 3; i++, taken = taken->next) assert_ptr_equal(taken, &nodes[i]);
  assert_null(taken);
  assert_null(mpsc_take_all(&mailbox));
  assert_true(mpsc_push(&mailbox, &nodes[0]));
}

static void *write_letters(void *argument) {
  writer *self = argument;
  for (int i = 0; i < LETTERS; i++) {
    self->letters[i].number = i;
    self->wakes += mpsc_push(self->mailbox, &self->letters[i].link);
  }
  return NULL;
}

/* Each writer's letters come in its own order; returns how many were read. */
static int read_batch(mpsc_node *node, int next[WRITERS]) {
  int count = 0;
  for (; node; node = node->next, count++) {
    const letter *read = list_entry(node, letter, link);
    assert_int_equal(read->number, next[read->writer]++);
  }
  return count;
}

static void start_writers(mpsc *mailbox, writer *writers, pthread_t *threads, letter *letters) {
  for (int w = 0; w < WRITERS; w++) {
    writers[w] = (writer){mailbox, letters + w * LETTERS, 0};
    for (int i = 0; i < LETTERS; i++) writers[w].letters[i].writer = w;
    assert_int_equal(pthread_create(&threads[w], NULL, write_letters, &writers[w]), 0);
  }
}

static void loses_nothing_and_wakes_once_per_batch(void **state) {
  (void)state;
  mpsc mailbox = {NULL};
  writer writers[WRITERS];
  pthread_t threads[WRITERS];
  letter *letters = calloc(WRITERS * LETTERS, sizeof *letters);
  assert_non_null(letters);
  start_writers(&mailbox, writers, threads, letters);
  int next[WRITERS] = {0};
  int wakes = 0;
  int batches = 0;
  for (int left = WRITERS * LETTERS; left;) {
    int count = read_batch(mpsc_take_all(&mailbox), next);
    batches += count > 0;
    left -= count;
    if (!count) sched_yield();
  }
  for (int w = 0; w < WRITERS; w++) {
    pthread_join(threads[w], NULL);
    wakes += writers[w].wakes;
    assert_int_equal(next[w], LETTERS);
  }
  assert_int_equal(wakes, batches);
  free(letters);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_the_oldest_first),
      cmocka_unit_test(loses_nothing_and_wakes_once_per_batch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
