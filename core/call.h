/* One call: the request, its place in the pool, and the reply it becomes. The
 * request is copied into the call's own block, so that a waiting call is one
 * allocation.
 *
 * Owner: the submitter until sheep_submit returns, then the I/O thread until the
 * call is in its queue's `done` list, then whoever drains it. */
#ifndef SHEEP_CALL_H
#define SHEEP_CALL_H

#include "buf.h"
#include "cache.h"
#include "config.h"
#include "deadline.h"
#include "mpsc.h"

typedef enum call_state {
  CALL_SHARING,   /* waits for the reply to another's request */
  CALL_WAITING,   /* for a connection */
  CALL_RESOLVING, /* admitted, waits for the host's addresses */
  CALL_ACTIVE,    /* a transfer of it runs */
  CALL_DONE
} call_state;

/* What comes through a pool's mailbox. */
typedef enum mail_kind { MAIL_SUBMIT, MAIL_CANCEL, MAIL_CLOSE } mail_kind;

typedef struct mail {
  mpsc_node link;
  mail_kind kind;
} mail;

struct engine;
struct flight;
struct transfer;

typedef struct sheep_reply call;

struct sheep_reply {
  mail submission;
  list_node queue_link;  /* outstanding or done; under the queue's lock */
  list_node engine_link; /* waiting, resolving or active; of a sharing one: in its flight */
  call *next_in_table;
  deadline phase; /* pool, connect, write or read timeout, whichever runs */
  deadline total;
  int64_t phase_began; /* loop time */
  sheep_queue *queue;
  struct engine *running; /* whose call it is; alive while the call is outstanding */
  struct transfer *transfer; /* while ACTIVE */
  struct flight *flight; /* of a carrier: whom it is made for; see flight.h */
  uint64_t id;
  uint64_t tag;
  int64_t submitted_us;
  int64_t latency_us;
  time_limits limits;

  const char *method;
  const char *path;
  const char *body; /* NULL: none */
  size_t body_length;
  const char *header_lines; /* header_count strings "Name: value", one after another */
  size_t header_count;

  call_state state;
  int32_t result;
  int32_t sent;
  int32_t status;
  char *message; /* NULL: the default one of `result` */
  int32_t cached; /* 0, SHEEP_CACHED_FRESH or SHEEP_CACHED_STALE */
  buf head;      /* the reason phrase, then name and value of each header, NUL-terminated */
  buf reply;
  cache_entry *entry; /* of a cached one: holds the body */
  call *carrier;      /* of one that shared: holds head and body */
  _Atomic uint32_t references; /* the owner's, and of each call whose carrier it is */
};

/* The copy of a checked request. NULL when memory ran out. */
call *call_new(const sheep_request *request, const time_limits *limits);
/* One without a request, whose answer another call or a cache will have. */
call *call_new_sharing(const sheep_request *request, const time_limits *limits);
/* Gives a reference back; NULL is accepted. */
void call_free(call *ended);

/* Answers a call with a cached reply; takes the hit's references. */
void call_set_hit(call *answered, cache_hit *hit);
/* Answers it with what another brought, which it keeps alive. */
void call_set_carrier(call *answered, call *carrier);
/* Whose head and body a reply shows: its own, or its carrier's. */
const call *call_shown(const call *reply);

/* Forgets what an answer has brought so far: an interim reply's, or trailers. */
void call_reset_reply(call *pending);

/* Takes the status line of a reply, or one header line; without the line's end. */
int32_t call_set_status_line(call *pending, int32_t status, const char *reason, size_t length);
int32_t call_add_header(call *pending, const char *line, size_t length);

/* Remembers the outcome. `message` NULL: the code's default one. */
void call_set_result(call *pending, int32_t result, const char *message);

#endif
