/* The transport's insides; the only file that includes libcurl. */
#ifndef SHEEP_TRANSPORT_CURL_H
#define SHEEP_TRANSPORT_CURL_H

#include "transport.h"

#include <curl/curl.h>

/* A multi handle slows as its connections grow, so there are several, each with at
 * most so many transfers. */
enum { LANE_TRANSFERS = 64, CACHED_URLS = 8, SPARE_TRANSFERS = 1024 };

typedef struct lane {
  transport *http;
  CURLM *multi; /* NULL until used */
  list connections;
  list running; /* transfers */
  uint32_t transfers;
  uint32_t live; /* connections that are not retired */
  bool marked;   /* in http->marked: libcurl asked to be called at once */
  list_node marked_link;
  list_node warm_link; /* in http->warm while live > transfers */
  deadline timer;
} lane;

/* A socket that libcurl opened. */
typedef struct connection {
  lane *home;
  watch *watched;
  struct transfer *user; /* the transfer that opened it, then whose turn it is */
  list_node lane_link;
  list_node idle_link; /* in http->idle while it waits for a next request */
  int64_t idle_since;
  int64_t keepalive_ms; /* how long the server says it keeps it; INT64_MAX: unsaid */
  uint64_t requests;
  int fd;
  int interest;
  uint16_t local_port; /* 0: not connected yet */
  bool retired;        /* shut down; libcurl will find it dead */
  bool foreign;        /* not ours: of libcurl's resolver */
} connection;

typedef enum request_shape { SHAPE_NONE, SHAPE_POST, SHAPE_GET, SHAPE_OTHER } request_shape;

/* An easy handle and what it is used for; recycled. */
typedef struct transfer {
  list_node spare_link;
  list_node lane_link;
  transport *http;
  CURL *easy;
  call *served;
  lane *home;
  connection *used; /* the connection of the last sending; alive while the head comes */
  struct curl_slist *own_headers;
  request_shape shape;
  int64_t uploaded;
  size_t head_bytes;
  uint32_t sockets; /* opened for it */
  uint32_t sendings;
  uint32_t restarts;
  int32_t refusal; /* a SHEEP_E_ number that a callback ended the transfer with */
  bool stale;      /* the kept connection was dead or spoke unasked */
  bool head_complete;
  bool fresh; /* set to a new connection only */
  bool follows_progress;
  char error_text[CURL_ERROR_SIZE];
} transfer;

typedef struct cached_url {
  char *path;
  CURLU *url;
} cached_url;

struct transport {
  transport_setup setup;
  CURLSH *share;
  struct curl_slist *headers;      /* of a request with a body */
  struct curl_slist *bare_headers; /* of one without */
  cached_url urls[CACHED_URLS];
  list spare;
  uint32_t spare_count;
  lane *lanes;
  uint32_t lane_count;
  uint32_t first_open; /* every lane before it is full */
  list warm;           /* lanes with an idle connection to spare, the latest first */
  list marked;
  connection **connections; /* by descriptor */
  size_t connections_size;
  list idle; /* oldest first */
  uint32_t idle_count;
  deadline trim;
  char *host; /* to be resolved, or NULL */
};

/* transport_lane.c */
int32_t lanes_init(transport *http);
void lanes_free(transport *http);
lane *lanes_choose(transport *http);
int32_t lane_add(lane *home, transfer *moving);
void lane_remove(transfer *moving);
void lanes_run(transport *http);
curl_socket_t connection_open(void *user, curlsocktype purpose, struct curl_sockaddr *address);
int connection_close(void *user, curl_socket_t fd);
/* The connection whose local end has this port, seen from the transfer using it. */
connection *connection_of(transfer *active, uint16_t local_port);
/* Whether a kept connection has something to read, which it must not. */
bool connection_is_stale(const connection *kept);

/* transport.c: what libcurl says of a transfer's end. */
void transfer_finish(transfer *ended, CURLcode code);

/* transport_result.c */
int32_t result_of(transfer *ended, CURLcode code, const char **text);

/* transport_transfer.c */
transfer *transfer_new(transport *http);
void transfer_free(transfer *spare);
int32_t transfer_prepare(transfer *chosen, call *served);
void transfer_forget(transfer *ended);

#endif
