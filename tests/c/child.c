/* Child processes for the tests of fork. */
#include "unit.h"

#include "child.h"

#include <string.h>
#include <sys/wait.h>

pid_t child_fork(child_body *body, sheep_pool *pool, sheep_queue *queue) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child) return child;
  alarm(60);
  body(pool, queue);
  _exit(0); /* without flushing what the parent has to say */
}

void child_assert_success(pid_t child) {
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

void child_call(sheep_pool *pool, sheep_queue *queue, const char *path, const char *body) {
  sheep_request request = {.size = sizeof request, .path = path, .body = body, .body_length = strlen(body)};
  sheep_event event;
  CHILD_ASSERT(sheep_submit(pool, queue, &request, NULL, NULL) == SHEEP_OK);
  CHILD_ASSERT(sheep_queue_wait(queue, &event, 1, 30000) == 1);
  CHILD_ASSERT(event.result == SHEEP_OK);
  CHILD_ASSERT(strcmp(sheep_reply_body(event.reply, NULL), body) == 0);
  sheep_reply_free(event.reply);
}
