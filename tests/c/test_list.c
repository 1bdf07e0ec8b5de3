/* list.h: an intrusive FIFO list. */
#include "unit.h"

#include "list.h"

enum { NODES = 32 };

typedef struct item {
  int before;
  list_node link;
} item;

static void assert_order(list *head, list_node *const *expected, size_t count) {
  list_node *node = head->next;
  for (size_t i = 0; i < count; i++, node = node->next) {
    assert_ptr_equal(node, expected[i]);
    assert_ptr_equal(node->next->previous, node);
  }
  assert_ptr_equal(node, head);
}

static void shifts_in_order_of_appending(void **state) {
  (void)state;
  list head;
  item items[3];
  list_init(&head);
  for (int i = 0; i < 3; i++) list_append(&head, &items[i].link);
  for (int i = 0; i < 3; i++)
    assert_ptr_equal(list_entry(list_shift(&head), item, link), &items[i]);
  assert_null(list_shift(&head));
  assert_true(list_empty(&head));
}

static void prepends_before_the_first(void **state) {
  (void)state;
  list head;
  list_node first, second;
  list_init(&head);
  list_append(&head, &second);
  list_prepend(&head, &first);
  assert_order(&head, (list_node *[]){&first, &second}, 2);
}

static void a_removed_node_is_in_no_list(void **state) {
  (void)state;
  list head;
  list_node nodes[3];
  list_init(&head);
  for (int i = 0; i < 3; i++) list_append(&head, &nodes[i]);
  list_remove(&nodes[1]);
  list_remove(&nodes[1]);
  assert_true(list_empty(&nodes[1]));
  assert_order(&head, (list_node *[]){&nodes[0], &nodes[2]}, 2);
}

static void moves_all_behind_what_is_there(void **state) {
  (void)state;
  list from, to;
  list_node nodes[4];
  list_init(&from);
  list_init(&to);
  list_move_all(&from, &to);
  assert_true(list_empty(&to));
  for (int i = 0; i < 4; i++) list_append(i < 2 ? &to : &from, &nodes[i]);
  list_move_all(&from, &to);
  assert_true(list_empty(&from));
  assert_order(&to, (list_node *[]){&nodes[0], &nodes[1], &nodes[2], &nodes[3]}, 4);
}

/* The order as an array keeps it. */
typedef struct model {
  list_node *order[NODES];
  size_t count;
} model;

static void model_insert(model *expected, size_t at, list_node *node) {
  for (size_t i = expected->count++; i > at; i--) expected->order[i] = expected->order[i - 1];
  expected->order[at] = node;
}

static void model_delete(model *expected, const list_node *node) {
  size_t kept = 0;
  for (size_t i = 0; i < expected->count; i++)
    if (expected->order[i] != node) expected->order[kept++] = expected->order[i];
  expected->count = kept;
}

static void toggle(list *head, list_node *node, model *expected, bool in_front) {
  if (!list_empty(node)) {
    list_remove(node);
    model_delete(expected, node);
  } else if (in_front) {
    list_prepend(head, node);
    model_insert(expected, 0, node);
  } else {
    list_append(head, node);
    model_insert(expected, expected->count, node);
  }
}

static void keeps_the_order_of_an_array(void **state) {
  (void)state;
  uint64_t seed = 1;
  list head;
  list_node nodes[NODES];
  model expected = {.count = 0};
  list_init(&head);
  for (int i = 0; i < NODES; i++) list_init(&nodes[i]);
  for (int step = 0; step < 20000; step++) {
    toggle(&head, &nodes[random_below(&seed, NODES)], &expected, random_below(&seed, 2));
    assert_order(&head, expected.order, expected.count);
    assert_int_equal(list_empty(&head), expected.count == 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shifts_in_order_of_appending),
      cmocka_unit_test(prepends_before_the_first),
      cmocka_unit_test(a_removed_node_is_in_no_list),
      cmocka_unit_test(moves_all_behind_what_is_there),
      cmocka_unit_test(keeps_the_order_of_an_array),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
