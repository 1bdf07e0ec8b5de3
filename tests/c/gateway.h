/* The scripted gateway (tests/servers/gateway) as a child process. How it answers
 * stands in the path: "id=a,delay=50". */
#ifndef TESTS_GATEWAY_H
#define TESTS_GATEWAY_H

/* As a group's setup and teardown. */
int gateway_start(void **state);
int gateway_stop(void **state);

/* "http://host:port", for calls whose paths hold their scripts. */
const char *gateway_origin(void);
/* The base URL whose requests are answered as `script` says; lives until the next
 * call. The second one is over TLS, with a certificate signed by gateway_ca_file. */
const char *gateway_url(const char *script);
const char *gateway_tls_url(const char *script);
const char *gateway_ca_file(void);

/* What became of the requests of an id. */
typedef struct gateway_counts {
  int requests;
  int completed;
  int aborted;
  int active;
  int max_active;
} gateway_counts;

gateway_counts gateway_count(const char *id);
/* Lets go of the requests that "hold". */
void gateway_release(const char *id);
/* Waits until so many requests of the id are being answered. */
void gateway_await_active(const char *id, int active);

#endif
