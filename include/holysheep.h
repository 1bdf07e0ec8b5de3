/* holysheep: a client core for OpenAI-compatible gateways.
 *
 * A pool sends requests to one gateway over kept connections, at most
 * max_connections at a time, first come first served, from a thread of its own.
 * Results come back through a completion queue: one file descriptor to poll, or
 * a blocking wait.
 *
 *     sheep_pool_options options;
 *     sheep_pool_options_init(&options, sizeof options);
 *     options.base_url = "http://127.0.0.1:8080/v1";
 *     options.api_key = "key";
 *     sheep_error error;
 *     sheep_pool *pool = sheep_pool_new(&options, &error);
 *     sheep_queue *queue = sheep_queue_new(&error);
 *
 *     sheep_request request;
 *     sheep_request_init(&request, sizeof request);
 *     request.path = "/chat/completions";
 *     request.body = json;
 *     request.body_length = strlen(json);
 *     sheep_submit(pool, queue, &request, NULL, &error);
 *
 *     sheep_event event;
 *     if (sheep_queue_wait(queue, &event, 1, -1) == 1) {
 *         puts(sheep_reply_body(event.reply, NULL));
 *         sheep_reply_free(event.reply);
 *     }
 *     sheep_queue_free(queue);
 *     sheep_pool_free(pool);
 *
 * Rules that hold for every function
 * - Functions that return int32_t return 0 (or a count) when all is well and a
 *   negative SHEEP_E_ number when not. Nothing is half done on failure.
 * - If sheep_submit fails, no event follows. If it succeeds, exactly one event
 *   follows, on cancel, on close and after fork too.
 * - A request is sent at most once: nothing is retried or redirected.
 * - Every function may be called from any thread, unless it says otherwise. An
 *   object must not be used after, or while, it is freed.
 * - Strings are UTF-8 and NUL-terminated; they are copied, so the caller may
 *   free its own when the call returns. Times are milliseconds.
 * - The free functions accept NULL, and objects may be freed in any order.
 * - No message and no structure ever holds the API key.
 */
#ifndef HOLYSHEEP_H
#define HOLYSHEEP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(SHEEP_BUILD) && defined(__GNUC__)
#define SHEEP_API __attribute__((visibility("default")))
#else
#define SHEEP_API
#endif

typedef struct sheep_cache sheep_cache;
typedef struct sheep_pool sheep_pool;
typedef struct sheep_queue sheep_queue;
typedef struct sheep_reply sheep_reply;

/* ------------------------------------------------------------------ errors */

#define SHEEP_OK 0
#define SHEEP_E_NOMEM (-1)     /* memory ran out */
#define SHEEP_E_INVALID (-2)   /* an argument is wrong; the message names it */
#define SHEEP_E_CLOSED (-3)    /* the pool was closed */
#define SHEEP_E_CANCELLED (-4) /* sheep_cancel, or the queue was freed */
#define SHEEP_E_FORKED (-5)    /* submitted before a fork, asked for in the child */
#define SHEEP_E_SYSTEM (-6)    /* no descriptor or thread to be had */

#define SHEEP_E_RESOLVE (-10) /* the host name was not found */
#define SHEEP_E_CONNECT (-11) /* refused, unreachable */
#define SHEEP_E_TLS (-12)     /* the handshake or the certificate failed */
#define SHEEP_E_PROXY (-13)   /* the proxy refused */

#define SHEEP_E_CONNECT_TIMEOUT (-20)
#define SHEEP_E_WRITE_TIMEOUT (-21)
#define SHEEP_E_READ_TIMEOUT (-22)
#define SHEEP_E_POOL_TIMEOUT (-23)  /* no connection became free in time */
#define SHEEP_E_TOTAL_TIMEOUT (-24) /* the deadline over everything passed */

#define SHEEP_E_READ (-30)      /* the connection broke while reading */
#define SHEEP_E_WRITE (-31)     /* the connection broke while writing */
#define SHEEP_E_PROTOCOL (-32)  /* the server broke HTTP: closed early, garbage */
#define SHEEP_E_DECODING (-33)  /* the body's Content-Encoding is damaged */
#define SHEEP_E_TOO_LARGE (-34) /* the reply is over max_reply_bytes */

/* The filled-in reason of a failed call. `message` is one line, without secrets. */
typedef struct sheep_error {
  int32_t code;
  char message[252];
} sheep_error;

/* The name of an error number ("SHEEP_E_CONNECT"), or "SHEEP_E_UNKNOWN". Static. */
SHEEP_API const char *sheep_error_name(int32_t code);

/* The library's version, "0.1.0". Static. */
SHEEP_API const char *sheep_version(void);

/* ------------------------------------------------------------------- cache */

/* A cache of replies in memory, with or without a pool.
 *
 * A reply is found again by its whole request: what Python's json.dumps(body,
 * sort_keys=True) makes of it, without `stream` and `stream_options`, numbers as
 * spelled, and with the order kept inside `tools`, `functions` and
 * `response_format`. Requests are JSON objects of at most 128 MiB and 200 levels; a
 * member's name that occurs twice in one object is refused.
 *
 * Replies are kept apart by namespace. Stored are JSON objects with `choices`, of
 * status 200, not cut short. */

#define SHEEP_TTL_FOREVER (-1)
#define SHEEP_TTL_NONE (-2) /* not cached */

/* What is special about a model. */
typedef struct sheep_model_rule {
  const char *model;
  int64_t ttl_ms; /* how long its replies live; 0: as the cache's others */
  int64_t nanodollars_per_token; /* for saved_nanodollars; 8,000 is $8 a million */
} sheep_model_rule;

#define SHEEP_CACHE_UNLABELLED 1u /* `user`, `safety_identifier`, `prompt_cache_key`,
                                     `prompt_cache_retention`, `store`: not in the key */
#define SHEEP_CACHE_TRUNCATED 2u  /* stores replies that ended for "length" */
#define SHEEP_CACHE_FILTERED 4u   /* or for "content_filter" */

#define SHEEP_CACHE_LRU 0u     /* evicts what was not used for longest */
#define SHEEP_CACHE_S3_FIFO 1u /* spares what was used twice; better for scans */

typedef struct sheep_cache_options {
  uint32_t size;          /* sizeof this struct; set by init */
  uint32_t flags;         /* SHEEP_CACHE_UNLABELLED, _TRUNCATED, _FILTERED */
  uint32_t policy;        /* SHEEP_CACHE_LRU or SHEEP_CACHE_S3_FIFO */
  uint32_t shards;        /* a power of two up to 1,024; default 64 */
  int64_t max_bytes;      /* of all memory for entries; default 256 MiB, from 16 KiB */
  int64_t max_item_bytes; /* of one entry; default an eighth of a shard's share */
  int64_t ttl_ms;         /* of models without a rule; default 3,600,000 */
  int64_t stale_while_revalidate_ms; /* default 0: pools serve what expired less than
                                        that ago, and refresh it in the background */
  int64_t stale_if_error_ms;         /* default 0: the same when the gateway fails */
  const sheep_model_rule *models;    /* NULL: the library's own table, whatever the count */
  size_t model_count;
} sheep_cache_options;

/* Makes every member the default. See sheep_pool_options_init. */
SHEEP_API int32_t sheep_cache_options_init(sheep_cache_options *options, size_t size);

/* Makes a cache. NULL for `options` means all defaults. Returns NULL with the reason
 * in `error` (which may be NULL): SHEEP_E_INVALID names the wrong option. The caller
 * frees it with sheep_cache_free. */
SHEEP_API sheep_cache *sheep_cache_new(const sheep_cache_options *options, sheep_error *error);

/* Gives the cache up. It lives on while a pool uses it. */
SHEEP_API void sheep_cache_free(sheep_cache *cache);

#define SHEEP_KEY_SIZE 43

/* Writes the name of a request in Redis, "holysheep:" and 32 hex digits, into `key`,
 * which has room for SHEEP_KEY_SIZE bytes. Returns 0, SHEEP_E_INVALID when the request
 * is refused, SHEEP_E_TOO_LARGE or SHEEP_E_NOMEM. */
SHEEP_API int32_t sheep_cache_key(const sheep_cache *cache, const void *request, size_t length,
                                  char *key, sheep_error *error);

/* Looks a request up in a namespace (NULL: ""). Returns 1 with the reply in `reply`,
 * which the caller frees; 0 when there is none; or as sheep_cache_key. */
SHEEP_API int32_t sheep_cache_get(sheep_cache *cache, const char *name_space, const void *request,
                                  size_t length, sheep_reply **reply, sheep_error *error);

/* Stores the body of a reply of status 200. Returns 1, 0 when it may not be stored (the
 * stats say why), or as sheep_cache_key. */
SHEEP_API int32_t sheep_cache_put(sheep_cache *cache, const char *name_space, const void *request,
                                  size_t length, const void *body, size_t body_length,
                                  sheep_error *error);

/* Removes one reply. Returns 1, 0 when there was none, or as sheep_cache_key. */
SHEEP_API int32_t sheep_cache_delete(sheep_cache *cache, const char *name_space,
                                     const void *request, size_t length, sheep_error *error);

/* Removes exactly this model's replies, of all namespaces, at once; a reply that is in
 * flight meanwhile is not stored. Returns 0, SHEEP_E_INVALID when the name is not UTF-8,
 * or SHEEP_E_NOMEM. */
SHEEP_API int32_t sheep_cache_invalidate_model(sheep_cache *cache, const char *model);

/* The same for all models. */
SHEEP_API void sheep_cache_clear(sheep_cache *cache);

typedef struct sheep_cache_stats {
  uint32_t size;     /* sizeof this struct; set by the caller */
  uint32_t reserved; /* zero */
  uint64_t hits;     /* fresh ones */
  uint64_t stale_hits;
  uint64_t misses;
  uint64_t coalesced; /* calls that shared another's request */
  uint64_t stores;
  uint64_t evictions;
  uint64_t expirations;
  uint64_t invalidations; /* entries removed because of them, so far */
  uint64_t deletions;
  uint64_t entries; /* now, with those that expired and are not removed yet */
  uint64_t bytes;   /* now */
  uint64_t saved_prompt_tokens; /* of the replies that were hit */
  uint64_t saved_completion_tokens;
  uint64_t saved_nanodollars;
  uint64_t refused_status; /* replies that were not stored, by reason */
  uint64_t refused_not_json;
  uint64_t refused_error;
  uint64_t refused_no_choices;
  uint64_t refused_truncated;
  uint64_t refused_filtered;
  uint64_t refused_no_model;
  uint64_t refused_too_large;
  uint64_t refused_outdated; /* invalidated while in flight */
  uint64_t refused_no_ttl;
  uint64_t refused_too_many_models; /* more than 4,096, or a name over 255 bytes */
  uint64_t refused_no_memory;
} sheep_cache_stats;

/* See sheep_pool_get_stats. */
SHEEP_API int32_t sheep_cache_get_stats(sheep_cache *cache, sheep_cache_stats *stats);

/* What sheep_cache_load found. */
typedef struct sheep_cache_loaded {
  uint32_t size;     /* sizeof this struct; set by the caller */
  uint32_t reserved; /* zero */
  uint64_t entries;  /* loaded */
  uint64_t expired;  /* left out, because their time has passed */
  uint64_t refused;  /* left out, because the cache has no room or no time for them */
  uint64_t damaged;  /* places that were not sound, a missing end among them */
  uint64_t damaged_bytes;
} sheep_cache_loaded;

/* Writes the live entries of all namespaces to a file, first aside and then, complete,
 * in its place; only its owner may read it. `name_space` (NULL: "") says whose file it
 * is. Returns 0, SHEEP_E_INVALID, SHEEP_E_SYSTEM with the reason, or SHEEP_E_NOMEM; then
 * `path` is what it was. */
SHEEP_API int32_t sheep_cache_save(sheep_cache *cache, const char *name_space, const char *path,
                                   sheep_error *error);

/* Adds what is sound in such a file, with the time that is left. `loaded` may be NULL.
 * Returns 0 also when some was damaged; SHEEP_E_SYSTEM when the file cannot be read;
 * SHEEP_E_INVALID when it is no such file, or another version's or namespace's, and
 * nothing was loaded; or SHEEP_E_NOMEM. */
SHEEP_API int32_t sheep_cache_load(sheep_cache *cache, const char *name_space, const char *path,
                                   sheep_cache_loaded *loaded, sheep_error *error);

/* -------------------------------------------------------------------- pool */

/* One header of a request or a reply. */
typedef struct sheep_header {
  const char *name;
  const char *value;
} sheep_header;

/* How to build a pool. Zero (or NULL) in a member means its default. For the
 * times, -1 means "no limit". Fill it with sheep_pool_options_init first. */
typedef struct sheep_pool_options {
  uint32_t size;            /* sizeof this struct; set by init */
  uint32_t max_connections; /* requests in flight at a time; default 100, up to 100,000 */
  int32_t max_keepalive;    /* idle connections kept; default 20; -1: none */
  uint32_t insecure;        /* 1: do not verify the server's certificate */
  const char *base_url;     /* required: "http[s]://host[:port][/path]" */
  const char *api_key;      /* sent as "Authorization: Bearer ..."; NULL: no such header */
  const char *ca_file;      /* PEM file of trusted authorities; NULL: the system's */
  const char *cert_file;    /* PEM file of the client's certificate */
  const char *key_file;     /* PEM file of its private key; NULL: in cert_file */
  const char *proxy;        /* "http://[user:password@]host:port"; NULL: none */
  const char *user_agent;   /* default "holysheep/VERSION" */
  const sheep_header *headers; /* sent with every request */
  size_t header_count;
  int64_t connect_timeout_ms; /* name look-up, TCP and TLS; default 30,000 */
  int64_t write_timeout_ms;   /* without progress in sending; default 30,000 */
  int64_t read_timeout_ms;    /* without a byte from the server; default 30,000 */
  int64_t pool_timeout_ms;    /* waiting for a connection; default no limit */
  int64_t total_timeout_ms;   /* from submission to the last byte; default no limit */
  int64_t keepalive_expiry_ms; /* an idle connection is dropped after; default 30,000 */
  int64_t max_reply_bytes;     /* of a decompressed body; default 64 MiB */
  sheep_cache *cache; /* sheep_submit looks POSTs to /chat/completions up in it first; the
                         pool keeps it alive; default NULL: none */
  const char *cache_namespace; /* default NULL: one of the base URL, key and headers */
} sheep_pool_options;

/* Makes every member the default. `size` is sizeof(sheep_pool_options) as the
 * caller knows it. Returns 0, or SHEEP_E_INVALID when the size is impossible. */
SHEEP_API int32_t sheep_pool_options_init(sheep_pool_options *options, size_t size);

/* Makes a pool. Opens nothing and starts nothing before the first submission.
 * Returns NULL with the reason in `error` (which may be NULL): SHEEP_E_INVALID
 * names the wrong option. The caller frees it with sheep_pool_free. */
SHEEP_API sheep_pool *sheep_pool_new(const sheep_pool_options *options, sheep_error *error);

/* Ends every outstanding call with SHEEP_E_CLOSED, closes the connections and
 * stops the pool's thread; returns when that is done. Later submissions fail
 * with SHEEP_E_CLOSED. Closing twice is harmless. */
SHEEP_API void sheep_pool_close(sheep_pool *pool);

/* Closes the pool and frees it. Replies and queues live on. */
SHEEP_API void sheep_pool_free(sheep_pool *pool);

/* The namespace in which the pool's cache keeps its replies, for sheep_cache_get and
 * its like; NULL when the pool has no cache. It lives as long as the pool. */
SHEEP_API const char *sheep_pool_cache_namespace(const sheep_pool *pool);

/* Counters of a pool, all since it was made but the first two. */
typedef struct sheep_pool_stats {
  uint32_t size;      /* sizeof this struct; set by the caller */
  uint32_t in_flight; /* admitted: resolving, connecting, sending or reading */
  uint64_t waiting;   /* submitted, not yet admitted */
  uint64_t submitted;
  uint64_t answered; /* ended with a complete reply, whatever its status */
  uint64_t connections_opened;
  uint64_t connections_reused; /* requests sent over a kept connection */
  uint64_t bytes_sent;         /* heads and bodies */
  uint64_t bytes_received;     /* heads, and bodies as transferred */
  uint64_t cancelled;
  uint64_t closed;
  uint64_t connect_errors; /* resolve, connect, TLS, proxy */
  uint64_t connect_timeouts;
  uint64_t write_timeouts;
  uint64_t read_timeouts;
  uint64_t pool_timeouts;
  uint64_t total_timeouts;
  uint64_t read_errors;
  uint64_t write_errors;
  uint64_t protocol_errors;
  uint64_t decoding_errors;
  uint64_t too_large;
  uint64_t other_errors; /* memory or descriptors ran out */
} sheep_pool_stats;

/* Fills `stats`, whose `size` the caller has set. Members that this library does
 * not know are zeroed. Returns 0 or SHEEP_E_INVALID. */
SHEEP_API int32_t sheep_pool_get_stats(const sheep_pool *pool, sheep_pool_stats *stats);

/* ------------------------------------------------------------------- queue */

/* The one event of a call. `reply` is the caller's, to be freed with
 * sheep_reply_free; it is never NULL. `result` is 0 when a complete reply came
 * (whatever its status), else the SHEEP_E_ number. */
typedef struct sheep_event {
  uint64_t tag;  /* as given in the request */
  uint64_t call; /* the number that sheep_submit gave */
  sheep_reply *reply;
  int32_t result;
  int32_t kind; /* SHEEP_EVENT_DONE */
} sheep_event;

#define SHEEP_EVENT_DONE 1

/* Makes a completion queue. Several pools may share one. Returns NULL with the
 * reason in `error` (which may be NULL). */
SHEEP_API sheep_queue *sheep_queue_new(sheep_error *error);

/* A descriptor that is readable while events wait. Poll it; do not read it or
 * close it. It lives as long as the queue. */
SHEEP_API int32_t sheep_queue_fd(const sheep_queue *queue);

/* Takes up to `capacity` events without blocking; returns how many. The
 * descriptor stays readable while more are left. One thread at a time. */
SHEEP_API int32_t sheep_queue_drain(sheep_queue *queue, sheep_event *events, int32_t capacity);

/* The same, but waits for the first event up to `timeout_ms` (-1: without
 * limit). Returns 0 when the time passed or a signal came. */
SHEEP_API int32_t sheep_queue_wait(sheep_queue *queue, sheep_event *events, int32_t capacity,
                                   int64_t timeout_ms);

/* Cancels the queue's outstanding calls, throws their events away and frees it. */
SHEEP_API void sheep_queue_free(sheep_queue *queue);

/* ----------------------------------------------------------------- request */

/* For pools with a cache. */
#define SHEEP_NO_CACHE 1u  /* neither looks up nor shares; stores the fresh reply */
#define SHEEP_NO_STORE 2u  /* does not store */
#define SHEEP_LOOKED_UP 4u /* the caller has just looked it up, and it was a miss */

/* One request. Zero (or NULL) in a member means its default; for the times that
 * is the pool's, and -1 means "no limit". */
typedef struct sheep_request {
  uint32_t size;      /* sizeof this struct; set by init */
  uint32_t cache_control; /* SHEEP_NO_CACHE, SHEEP_NO_STORE, SHEEP_LOOKED_UP */
  uint64_t tag;       /* comes back in the event */
  const char *method; /* default "POST" */
  const char *path;   /* required: begins with "/", is appended to base_url */
  const void *body;   /* JSON; sent with Content-Type: application/json */
  size_t body_length;
  const sheep_header *headers; /* in addition to the pool's; the same name replaces */
  size_t header_count;
  int64_t connect_timeout_ms;
  int64_t write_timeout_ms;
  int64_t read_timeout_ms;
  int64_t pool_timeout_ms;
  int64_t total_timeout_ms;
} sheep_request;

/* Makes every member the default. See sheep_pool_options_init. */
SHEEP_API int32_t sheep_request_init(sheep_request *request, size_t size);

/* Hands a request to the pool and returns at once. The event will come to
 * `queue`. Where the pool has a cache, a POST to /chat/completions without headers of
 * its own is looked up first: a hit's event is there when this returns. Otherwise
 * identical requests in flight share one, with the first one's time limits but for the
 * total; each has its own event, and the request stops when all have been cancelled. `call` (may be NULL) receives a number for sheep_cancel, never used
 * twice. `error` may be NULL. Returns 0, SHEEP_E_INVALID, SHEEP_E_CLOSED,
 * SHEEP_E_NOMEM or SHEEP_E_SYSTEM. */
SHEEP_API int32_t sheep_submit(sheep_pool *pool, sheep_queue *queue, const sheep_request *request,
                               uint64_t *call, sheep_error *error);

/* Asks that a call be ended: its transfer stops, its place is free for the next,
 * its event says SHEEP_E_CANCELLED. A call that has ended, or is ending, is left
 * as it is. Returns 0 or SHEEP_E_NOMEM. */
SHEEP_API int32_t sheep_cancel(sheep_pool *pool, uint64_t call);

/* ------------------------------------------------------------------- reply */

#define SHEEP_NOT_SENT 0      /* no byte of the request left: safe to send again */
#define SHEEP_POSSIBLY_SENT 1 /* the server may have acted on it */
#define SHEEP_ANSWERED 2      /* the head of a reply came */

/* What follows reads a reply. Strings and bodies belong to it, and live until
 * sheep_reply_free. One thread at a time. */

/* The HTTP status, or 0 when none came. */
SHEEP_API int32_t sheep_reply_status(const sheep_reply *reply);

/* The reason phrase of the status line, "" when there is none. */
SHEEP_API const char *sheep_reply_reason(const sheep_reply *reply);

/* The decompressed body, NUL-terminated; its length in `length` (may be NULL). */
SHEEP_API const char *sheep_reply_body(const sheep_reply *reply, size_t *length);

/* The value of the first header with this name (any case), or NULL. */
SHEEP_API const char *sheep_reply_header(const sheep_reply *reply, const char *name);

/* The header at `index`, in the order received. Returns 0, or SHEEP_E_INVALID
 * beyond the last. */
SHEEP_API int32_t sheep_reply_header_at(const sheep_reply *reply, size_t index,
                                        sheep_header *header);

/* SHEEP_NOT_SENT, SHEEP_POSSIBLY_SENT or SHEEP_ANSWERED. */
SHEEP_API int32_t sheep_reply_sent(const sheep_reply *reply);

#define SHEEP_CACHED_FRESH 1
#define SHEEP_CACHED_STALE 2 /* expired, and served all the same; see sheep_cache_options */

/* Whether the reply comes from a cache: 0, SHEEP_CACHED_FRESH or SHEEP_CACHED_STALE. A
 * cached one has status 200 and no headers. */
SHEEP_API int32_t sheep_reply_cached(const sheep_reply *reply);

/* What went wrong, in one line without secrets; "" when nothing did. */
SHEEP_API const char *sheep_reply_message(const sheep_reply *reply);

/* Microseconds from submission to the end of the call. */
SHEEP_API int64_t sheep_reply_latency_us(const sheep_reply *reply);

/* Gives the reply up, with all that was read from it. Any thread; pool, queue and cache
 * may be gone. */
SHEEP_API void sheep_reply_free(sheep_reply *reply);

#ifdef __cplusplus
}
#endif
#endif
