/* What a call that waits for a connection costs the core: bytes, and the time to
 * cancel one in a short and in a long queue.
 *
 *     waiting BASE_URL SHORT LONG <body
 *
 * The server at BASE_URL must never answer: one call takes the pool's only
 * connection, all others wait. Prints one line of JSON: bytes a call of heap,
 * with its body and without, and of resident memory; seconds of CPU to submit one,
 * and to cancel one until its event was taken. */
#include "holysheep.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BODY_MOST = 64 << 10, EVENTS_MOST = 256, ROUNDS = 20 };

typedef struct bench {
  sheep_pool *pool;
  sheep_queue *queue;
  sheep_request request;
  uint64_t *calls; /* those waiting, in random order once shuffled */
  size_t count;
} bench;

_Noreturn static void die(const char *what) {
  fprintf(stderr, "waiting: %s\n", what);
  exit(1);
}

/* CPU of both threads so far: unlike the time of day, other programs don't add to it. */
static double cpu(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Bytes in use of all arenas, malloc's own headers included. */
static double heap_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return (double)(info.uordblks + info.hblkhd);
}

static double resident_bytes(void) {
  unsigned long total, resident;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%lu %lu", &total, &resident) != 2) die("/proc/self/statm");
  fclose(file);
  return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void bench_await(const bench *self, uint32_t in_flight, uint64_t waiting) {
  sheep_pool_stats stats = {.size = sizeof stats};
  while (true) {
    if (sheep_pool_get_stats(self->pool, &stats) != 0) die("sheep_pool_get_stats");
    if (stats.in_flight == in_flight && stats.waiting == waiting) return;
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
  }
}

static void bench_submit(bench *self, uint64_t *call) {
  sheep_error error;
  if (sheep_submit(self->pool, self->queue, &self->request, call, &error) != 0) die(error.message);
}

static void bench_open(bench *self, const char *base_url, const char *body, size_t length) {
  sheep_error error;
  sheep_pool_options options;
  sheep_pool_options_init(&options, sizeof options);
  options.base_url = base_url;
  options.api_key = "bench-key";
  options.max_connections = 1;
  options.read_timeout_ms = -1;
  self->pool = sheep_pool_new(&options, &error);
  if (self->pool == NULL) die(error.message);
  self->queue = sheep_queue_new(&error);
  if (self->queue == NULL) die(error.message);
  sheep_request_init(&self->request, sizeof self->request);
  self->request.path = "/chat/completions";
  self->request.body = body;
  self->request.body_length = length;
  bench_submit(self, NULL);
  bench_await(self, 1, 0);
}

static void bench_fill(bench *self, size_t count) {
  self->count = count;
  for (size_t i = 0; i < count; i++) bench_submit(self, &self->calls[i]);
  bench_await(self, 1, count);
}

/* Fisher and Yates, from a fixed seed: every place of the queue is as likely. */
static void bench_shuffle(bench *self) {
  srand(1);
  for (size_t i = self->count; i > 1; i--) {
    size_t other = (size_t)rand() % i;
    uint64_t kept = self->calls[i - 1];
    self->calls[i - 1] = self->calls[other];
    self->calls[other] = kept;
  }
}

static void bench_collect(bench *self, size_t count) {
  sheep_event events[EVENTS_MOST];
  while (count > 0) {
    int32_t came = sheep_queue_wait(self->queue, events, EVENTS_MOST, -1);
    for (int32_t i = 0; i < came; i++) {
      if (events[i].result != SHEEP_E_CANCELLED) die(sheep_reply_message(events[i].reply));
      sheep_reply_free(events[i].reply);
    }
    count -= (size_t)came;
  }
}

/* Cancels the last `count` calls; gives the seconds of CPU. */
static double bench_cancel(bench *self, size_t count) {
  double started = cpu();
  for (size_t i = 0; i < count; i++) {
    if (sheep_cancel(self->pool, self->calls[--self->count]) != 0) die("sheep_cancel");
  }
  bench_collect(self, count);
  return cpu() - started;
}

static double cancel_short(bench *self, size_t count) {
  double spent = 0;
  for (int round = 0; round < ROUNDS; round++) {
    bench_fill(self, count);
    bench_shuffle(self);
    spent += bench_cancel(self, count);
  }
  return spent / ROUNDS / (double)count;
}

/* As many in each round, from a queue that stays long. */
static double cancel_long(bench *self, size_t count) {
  double spent = 0;
  for (int round = 0; round < ROUNDS; round++) spent += bench_cancel(self, count);
  return spent / ROUNDS / (double)count;
}

static void measure(bench *self, size_t few, size_t many) {
  double cancel_few = cancel_short(self, few);
  double heap = heap_bytes(), resident = resident_bytes(), started = cpu();
  bench_fill(self, many);
  double calls = (double)many, submit = (cpu() - started) / calls;
  heap = (heap_bytes() - heap) / calls;
  resident = (resident_bytes() - resident) / calls;
  bench_shuffle(self);
  double cancel_many = cancel_long(self, few);
  printf("{\"heap\": %.1f, \"heap_without_body\": %.1f, \"resident\": %.1f, \"submit\": %.9f, "
         "\"cancel_short\": %.9f, \"cancel_long\": %.9f}\n",
         heap, heap - (double)self->request.body_length, resident, submit, cancel_few, cancel_many);
}

int main(int count, char **arguments) {
  static char body[BODY_MOST];
  if (count != 4) die("usage: waiting BASE_URL SHORT LONG <body");
  size_t few = strtoul(arguments[2], NULL, 10), many = strtoul(arguments[3], NULL, 10);
  if (few == 0 || many < few * ROUNDS) die("LONG must be SHORT times 20 at least");
  bench self = {.calls = calloc(many, sizeof *self.calls)};
  if (self.calls == NULL) die("out of memory");
  bench_open(&self, arguments[1], body, fread(body, 1, sizeof body, stdin));
  measure(&self, few, many);
  sheep_queue_free(self.queue);
  sheep_pool_free(self.pool);
  free(self.calls);
  return 0;
}
