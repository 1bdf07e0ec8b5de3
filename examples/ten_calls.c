/* Ten chat completions at once, over the installed library.
 *
 *     holysheep gateway --port 8080 &
 *     cc ten_calls.c -o ten_calls $(pkg-config --cflags --libs holysheep)
 *     ./ten_calls http://127.0.0.1:8080/v1 any-key
 */
#include <holysheep.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 10 };

static int fail(const sheep_error *error) {
  fprintf(stderr, "ten_calls: %s: %s\n", sheep_error_name(error->code), error->message);
  return EXIT_FAILURE;
}

static int32_t ask(sheep_pool *pool, sheep_queue *queue, int number, sheep_error *error) {
  char body[160];
  snprintf(body, sizeof body,
           "{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":\"user\",\"content\":\"Question %d\"}]}",
           number);
  sheep_request request;
  sheep_request_init(&request, sizeof request);
  request.tag = (uint64_t)number;
  request.path = "/chat/completions";
  request.body = body;
  request.body_length = strlen(body);
  return sheep_submit(pool, queue, &request, NULL, error);
}

/* Prints one result and frees it; returns whether it is a good one. */
static int show(const sheep_event *event) {
  int32_t status = sheep_reply_status(event->reply);
  if (event->result == SHEEP_OK)
    printf("call %d: %d %s\n", (int)event->tag, (int)status, sheep_reply_body(event->reply, NULL));
  else
    printf("call %d: %s\n", (int)event->tag, sheep_reply_message(event->reply));
  sheep_reply_free(event->reply);
  return event->result == SHEEP_OK && status < 300;
}

static int run(sheep_pool *pool, sheep_queue *queue) {
  sheep_error error;
  sheep_event events[CALLS];
  int good = 0;
  for (int number = 0; number < CALLS; number++) {
    if (ask(pool, queue, number, &error) != SHEEP_OK) return fail(&error);
  }
  for (int left = CALLS; left > 0;) {
    int32_t count = sheep_queue_wait(queue, events, CALLS, -1);
    for (int32_t i = 0; i < count; i++) good += show(&events[i]);
    left -= count;
  }
  return good == CALLS ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int count, char **arguments) {
  sheep_error error;
  sheep_pool_options options;
  sheep_pool_options_init(&options, sizeof options);
  options.base_url = count > 1 ? arguments[1] : "http://127.0.0.1:8080/v1";
  options.api_key = count > 2 ? arguments[2] : "any-key";
  sheep_pool *pool = sheep_pool_new(&options, &error);
  if (!pool) return fail(&error);
  sheep_queue *queue = sheep_queue_new(&error);
  int status = queue ? run(pool, queue) : fail(&error);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
  return status;
}
