/* The bare libcurl loop that the Python clients are compared with: the multi
 * interface over epoll and a timer, as in curl's own hiper examples, handles
 * recycled, the replies read and thrown away, no JSON.
 *
 *     bare URL IN_FLIGHT WARM_SECONDS SECONDS [CA_FILE] <body
 *
 * prints one line of JSON: requests/s, and CPU, P50 and P99 of a request in
 * seconds. */
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BODY_MOST = 64 << 10, EVENTS_MOST = 256 };

typedef struct slot {
  CURL *easy;
  double started;
} slot;

typedef struct loop {
  CURLM *multi;
  int epoll;
  double timer;    /* when libcurl wants to be called; below 0: not at all */
  double deadline; /* no request begins after it */
  int running;
  double *latencies;
  size_t count, room;
} loop;

_Noreturn static void die(const char *what) {
  fprintf(stderr, "bare: %s\n", what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static size_t discard(char *data, size_t size, size_t count, void *context) {
  (void)data, (void)context;
  return size * count;
}

static int on_socket(CURL *easy, curl_socket_t socket, int wanted, void *context, void *known) {
  loop *self = context;
  (void)easy;
  if (wanted == CURL_POLL_REMOVE) {
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, socket, NULL);
    return 0;
  }
  struct epoll_event event = {.data.fd = socket};
  if (wanted & CURL_POLL_IN) event.events |= EPOLLIN;
  if (wanted & CURL_POLL_OUT) event.events |= EPOLLOUT;
  epoll_ctl(self->epoll, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event);
  curl_multi_assign(self->multi, socket, self);
  return 0;
}

static int on_timer(CURLM *multi, long milliseconds, void *context) {
  (void)multi;
  ((loop *)context)->timer = milliseconds < 0 ? -1 : now() + (double)milliseconds / 1e3;
  return 0;
}

static void slot_start(loop *self, slot *place) {
  place->started = now();
  if (curl_multi_add_handle(self->multi, place->easy) != CURLM_OK) die("curl_multi_add_handle");
  self->running++;
}

static void loop_note(loop *self, double latency) {
  if (self->count == self->room) {
    self->room = self->room == 0 ? 1 << 16 : self->room * 2;
    self->latencies = realloc(self->latencies, self->room * sizeof *self->latencies);
    if (self->latencies == NULL) die("out of memory");
  }
  self->latencies[self->count++] = latency;
}

static void loop_reap(loop *self) {
  int left;
  CURLMsg *message;
  while ((message = curl_multi_info_read(self->multi, &left)) != NULL) {
    CURL *easy = message->easy_handle;
    long status = 0;
    slot *ended;
    if (message->data.result != CURLE_OK) die(curl_easy_strerror(message->data.result));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) die("the status is not 200");
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &ended);
    curl_multi_remove_handle(self->multi, easy);
    self->running--;
    double moment = now();
    loop_note(self, moment - ended->started);
    if (moment < self->deadline) slot_start(self, ended);
  }
}

static int loop_patience(const loop *self) {
  if (self->timer < 0) return -1;
  double left = self->timer - now();
  return left <= 0 ? 0 : (int)(left * 1e3) + 1;
}

static void loop_turn(loop *self) {
  struct epoll_event events[EVENTS_MOST];
  int still;
  int count = epoll_wait(self->epoll, events, EVENTS_MOST, loop_patience(self));
  if (count < 0 && errno != EINTR) die("epoll_wait");
  for (int i = 0; i < count; i++) {
    int action = 0;
    if (events[i].events & EPOLLIN) action |= CURL_CSELECT_IN;
    if (events[i].events & EPOLLOUT) action |= CURL_CSELECT_OUT;
    if (events[i].events & (EPOLLERR | EPOLLHUP)) action |= CURL_CSELECT_ERR;
    curl_multi_socket_action(self->multi, events[i].data.fd, action, &still);
  }
  if (self->timer >= 0 && self->timer <= now()) {
    self->timer = -1;
    curl_multi_socket_action(self->multi, CURL_SOCKET_TIMEOUT, 0, &still);
  }
  loop_reap(self);
}

static void loop_run(loop *self, slot *slots, int in_flight, double seconds) {
  self->count = 0;
  self->deadline = now() + seconds;
  for (int i = 0; i < in_flight; i++) slot_start(self, &slots[i]);
  while (self->running > 0) loop_turn(self);
}

static CURL *easy_make(slot *place, char **arguments, const char *body, struct curl_slist *headers) {
  CURL *easy = curl_easy_init();
  if (easy == NULL) die("curl_easy_init");
  curl_easy_setopt(easy, CURLOPT_URL, arguments[1]);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, place);
  if (arguments[5] != NULL) curl_easy_setopt(easy, CURLOPT_CAINFO, arguments[5]);
  return easy;
}

static slot *slots_make(int in_flight, char **arguments, const char *body) {
  slot *slots = calloc((size_t)in_flight, sizeof *slots);
  struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Authorization: Bearer bench-key");
  if (slots == NULL || headers == NULL) die("out of memory");
  for (int i = 0; i < in_flight; i++) {
    slots[i].easy = easy_make(&slots[i], arguments, body, headers);
  }
  return slots;
}

static void loop_open(loop *self, int in_flight) {
  *self = (loop){.multi = curl_multi_init(), .epoll = epoll_create1(EPOLL_CLOEXEC), .timer = -1};
  if (self->multi == NULL || self->epoll < 0) die("no multi handle or epoll");
  curl_multi_setopt(self->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(self->multi, CURLMOPT_SOCKETDATA, self);
  curl_multi_setopt(self->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(self->multi, CURLMOPT_TIMERDATA, self);
  curl_multi_setopt(self->multi, CURLMOPT_MAXCONNECTS, (long)in_flight);
}

static int ascending(const void *one, const void *other) {
  double a = *(const double *)one, b = *(const double *)other;
  return (a > b) - (a < b);
}

static void report(loop *self, double elapsed, double used) {
  double count = (double)self->count;
  qsort(self->latencies, self->count, sizeof *self->latencies, ascending);
  printf("{\"rate\": %.3f, \"cpu\": %.9f, \"p50\": %.9f, \"p99\": %.9f}\n", count / elapsed,
         used / count, self->latencies[self->count / 2],
         self->latencies[(size_t)(count * 0.99)]);
}

int main(int count, char **arguments) {
  static char body[BODY_MOST];
  if (count < 5) die("usage: bare URL IN_FLIGHT WARM_SECONDS SECONDS [CA_FILE] <body");
  body[fread(body, 1, sizeof body - 1, stdin)] = '\0';
  int in_flight = atoi(arguments[2]);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  loop self;
  loop_open(&self, in_flight);
  slot *slots = slots_make(in_flight, arguments, body);
  loop_run(&self, slots, in_flight, atof(arguments[3]));
  double used = cpu(), started = now();
  loop_run(&self, slots, in_flight, atof(arguments[4]));
  report(&self, now() - started, cpu() - used);
  return 0;
}
