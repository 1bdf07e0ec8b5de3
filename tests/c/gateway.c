/* The scripted gateway as a child process. */
#include "unit.h"

#include "gateway.h"

#include "calls.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ADDRESS_SIZE = 64 };

static pid_t process;
static int keep_alive_fd; /* it serves until this closes */
static char origin[ADDRESS_SIZE + 8];
static char plain_address[ADDRESS_SIZE];
static char tls_address[ADDRESS_SIZE];

static const char *surrounding(const char *name) {
  const char *value = getenv(name);
  if (!value) fail_msg("%s is not set; run the tests by meson", name);
  return value;
}

const char *gateway_ca_file(void) { return surrounding("HOLYSHEEP_TEST_CERTIFICATE"); }

/* From {"http":"127.0.0.1:1","tls":"127.0.0.1:2"} */
static void read_address(const char *line, const char *name, char *address) {
  char quoted[32];
  snprintf(quoted, sizeof quoted, "\"%s\":\"", name);
  const char *found = strstr(line, quoted);
  assert_non_null(found);
  found += strlen(quoted);
  snprintf(address, ADDRESS_SIZE, "%.*s", (int)strcspn(found, "\""), found);
}

static void read_addresses(int fd) {
  char line[1024];
  FILE *output = fdopen(fd, "r");
  assert_non_null(output);
  assert_non_null(fgets(line, sizeof line, output));
  fclose(output);
  read_address(line, "http", plain_address);
  read_address(line, "tls", tls_address);
  snprintf(origin, sizeof origin, "http://%s", plain_address);
}

static void spawn(int input, int output) {
  char certificate[4096];
  char *arguments[] = {(char *)(uintptr_t)surrounding("HOLYSHEEP_TEST_GATEWAY"), "-tls", certificate, NULL};
  snprintf(certificate, sizeof certificate, "tls=%s,%s", gateway_ca_file(),
           surrounding("HOLYSHEEP_TEST_KEY"));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  assert_int_equal(posix_spawn(&process, arguments[0], &actions, NULL, arguments, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
}

int gateway_start(void **state) {
  (void)state;
  int to_child[2], from_child[2];
  assert_int_equal(pipe2(to_child, O_CLOEXEC), 0);
  assert_int_equal(pipe2(from_child, O_CLOEXEC), 0);
  spawn(to_child[0], from_child[1]);
  close(to_child[0]);
  close(from_child[1]);
  keep_alive_fd = to_child[1];
  read_addresses(from_child[0]);
  return 0;
}

int gateway_stop(void **state) {
  (void)state;
  int status = -1;
  close(keep_alive_fd);
  assert_int_equal(waitpid(process, &status, 0), process);
  assert_int_equal(status, 0);
  return 0;
}

const char *gateway_origin(void) { return origin; }

static const char *url_of(const char *scheme, const char *address, const char *script) {
  static char url[512];
  snprintf(url, sizeof url, "%s://%s/x/%s/v1", scheme, address, script);
  return url;
}

const char *gateway_url(const char *script) { return url_of("http", plain_address, script); }

const char *gateway_tls_url(const char *script) { return url_of("https", tls_address, script); }

/* Asks over a pool of its own, so that what is tested isn't disturbed. */
static gateway_counts ask(const char *question, const char *id) {
  char path[128];
  snprintf(path, sizeof path, "/_/%s?id=%s", question, id);
  sheep_pool *pool = pool_to(origin);
  sheep_queue *queue = queue_new();
  sheep_request request;
  sheep_request_init(&request, sizeof request);
  request.method = "GET";
  request.path = path;
  submit_request(pool, queue, &request);
  sheep_event event = await_event(queue);
  assert_int_equal(event.result, SHEEP_OK);
  gateway_counts counts = {0};
  sscanf(sheep_reply_body(event.reply, NULL),
         "{\"requests\":%d,\"completed\":%d,\"aborted\":%d,\"active\":%d,\"max_active\":%d}",
         &counts.requests, &counts.completed, &counts.aborted, &counts.active, &counts.max_active);
  sheep_reply_free(event.reply);
  sheep_queue_free(queue);
  sheep_pool_free(pool);
  return counts;
}

gateway_counts gateway_count(const char *id) { return ask("counts", id); }

void gateway_release(const char *id) { ask("release", id); }

void gateway_await_active(const char *id, int active) {
  for (int tries = 0; gateway_count(id).active != active; tries++) {
    assert_in_range(tries, 0, 4000);
    usleep(5000);
  }
}
