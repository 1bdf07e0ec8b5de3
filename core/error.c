/* Error numbers and their one-line messages. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
  int32_t code;
  const char *name;
  const char *message;
} known_errors[] = {
    {SHEEP_OK, "SHEEP_OK", ""},
    {SHEEP_E_NOMEM, "SHEEP_E_NOMEM", "out of memory"},
    {SHEEP_E_INVALID, "SHEEP_E_INVALID", "an argument is wrong"},
    {SHEEP_E_CLOSED, "SHEEP_E_CLOSED", "the pool is closed"},
    {SHEEP_E_CANCELLED, "SHEEP_E_CANCELLED", "the call was cancelled"},
    {SHEEP_E_FORKED, "SHEEP_E_FORKED", "the call was submitted before fork, by the parent process"},
    {SHEEP_E_SYSTEM, "SHEEP_E_SYSTEM", "the system has no descriptor or thread left"},
    {SHEEP_E_RESOLVE, "SHEEP_E_RESOLVE", "the host name was not found"},
    {SHEEP_E_CONNECT, "SHEEP_E_CONNECT", "could not connect"},
    {SHEEP_E_TLS, "SHEEP_E_TLS", "the TLS handshake failed"},
    {SHEEP_E_PROXY, "SHEEP_E_PROXY", "the proxy refused the connection"},
    {SHEEP_E_CONNECT_TIMEOUT, "SHEEP_E_CONNECT_TIMEOUT", "timed out while connecting"},
    {SHEEP_E_WRITE_TIMEOUT, "SHEEP_E_WRITE_TIMEOUT", "timed out while sending the request"},
    {SHEEP_E_READ_TIMEOUT, "SHEEP_E_READ_TIMEOUT", "timed out while waiting for the server's bytes"},
    {SHEEP_E_POOL_TIMEOUT, "SHEEP_E_POOL_TIMEOUT", "timed out while waiting for a free connection"},
    {SHEEP_E_TOTAL_TIMEOUT, "SHEEP_E_TOTAL_TIMEOUT", "the call's total deadline passed"},
    {SHEEP_E_READ, "SHEEP_E_READ", "the connection broke while reading the reply"},
    {SHEEP_E_WRITE, "SHEEP_E_WRITE", "the connection broke while sending the request"},
    {SHEEP_E_PROTOCOL, "SHEEP_E_PROTOCOL", "the server broke the HTTP protocol"},
    {SHEEP_E_DECODING, "SHEEP_E_DECODING", "the reply's content encoding is damaged"},
    {SHEEP_E_TOO_LARGE, "SHEEP_E_TOO_LARGE", "the reply is larger than max_reply_bytes"},
};

enum { KNOWN_ERRORS = sizeof known_errors / sizeof known_errors[0] };

SHEEP_API const char *sheep_error_name(int32_t code) {
  for (size_t i = 0; i < KNOWN_ERRORS; i++) {
    if (known_errors[i].code == code) return known_errors[i].name;
  }
  return "SHEEP_E_UNKNOWN";
}

const char *error_default_message(int32_t code) {
  for (size_t i = 0; i < KNOWN_ERRORS; i++) {
    if (known_errors[i].code == code) return known_errors[i].message;
  }
  return "unknown error";
}

int32_t error_set(sheep_error *error, int32_t code, const char *format, ...) {
  if (!error) return code;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  error->code = code;
  return code;
}
