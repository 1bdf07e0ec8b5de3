/* wake.h: a descriptor that another thread makes readable. */
#include "unit.h"

#include "error.h"
#include "wake.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

static bool is_readable(int fd) {
  struct pollfd asked = {.fd = fd, .events = POLLIN};
  assert_true(poll(&asked, 1, 0) >= 0);
  return asked.revents & POLLIN;
}

static void readable_from_signal_to_clear(void **state) {
  (void)state;
  wake signal;
  assert_int_equal(wake_open(&signal), SHEEP_OK);
  assert_false(is_readable(signal.read_fd));
  for (int i = 0; i < 3; i++) wake_signal(&signal);
  assert_true(is_readable(signal.read_fd));
  wake_clear(&signal);
  assert_false(is_readable(signal.read_fd));
  wake_clear(&signal); /* does not block */
  wake_signal(&signal);
  assert_true(is_readable(signal.read_fd));
  wake_close(&signal);
}

static void *signal_it(void *signal) {
  wake_signal(signal);
  return NULL;
}

static void another_thread_ends_a_poll(void **state) {
  (void)state;
  wake signal;
  pthread_t thread;
  assert_int_equal(wake_open(&signal), SHEEP_OK);
  assert_int_equal(pthread_create(&thread, NULL, signal_it, &signal), 0);
  struct pollfd asked = {.fd = signal.read_fd, .events = POLLIN};
  assert_int_equal(poll(&asked, 1, 10000), 1);
  pthread_join(thread, NULL);
  wake_close(&signal);
}

static void not_inherited_by_programs(void **state) {
  (void)state;
  wake signal;
  assert_int_equal(wake_open(&signal), SHEEP_OK);
  assert_true(fcntl(signal.read_fd, F_GETFD) & FD_CLOEXEC);
  assert_true(fcntl(signal.write_fd, F_GETFD) & FD_CLOEXEC);
  wake_reopen(&signal);
  assert_true(fcntl(signal.read_fd, F_GETFD) & FD_CLOEXEC);
  wake_close(&signal);
}

/* A duplicate stands for the parent's end. */
static void reopened_it_has_the_number_but_not_the_state(void **state) {
  (void)state;
  wake signal;
  assert_int_equal(wake_open(&signal), SHEEP_OK);
  wake before = signal;
  int parents = dup(signal.read_fd);
  wake_signal(&signal);
  wake_reopen(&signal);
  assert_int_equal(signal.read_fd, before.read_fd);
  assert_false(is_readable(signal.read_fd));
  assert_true(is_readable(parents));
  wake_signal(&signal);
  wake_clear(&signal);
  assert_true(is_readable(parents));
  wake_close(&signal);
  close(parents);
}

static void says_when_no_descriptor_is_left(void **state) {
  (void)state;
  struct rlimit before;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  struct rlimit none = {0, before.rlim_max};
  wake signal;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  int32_t result = wake_open(&signal);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(result, SHEEP_E_SYSTEM);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(readable_from_signal_to_clear),
      cmocka_unit_test(another_thread_ends_a_poll),
      cmocka_unit_test(not_inherited_by_programs),
      cmocka_unit_test(reopened_it_has_the_number_but_not_the_state),
      cmocka_unit_test(says_when_no_descriptor_is_left),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
