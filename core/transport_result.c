/* What libcurl's error numbers mean for a call. */
#include "transport_curl.h"

#define BAD_HEAD "the head of the server's reply is cut off, malformed or too large"

/* X509_V_ERR_ numbers, which libcurl hands through; stable since OpenSSL 0.9. */
enum {
  CERTIFICATE_VALID = 0,
  CERTIFICATE_UNSPECIFIED = 1,
  CERTIFICATE_EXPIRED = 10,
  CERTIFICATE_SELF_SIGNED = 18,
  CERTIFICATE_SELF_SIGNED_IN_CHAIN = 19,
  CERTIFICATE_ISSUER_UNKNOWN = 20,
  CERTIFICATE_UNVERIFIABLE = 21
};

static const char *certificate_text(transfer *ended) {
  long found = 0;
  curl_easy_getinfo(ended->easy, CURLINFO_SSL_VERIFYRESULT, &found);
  switch (found) {
  case CERTIFICATE_EXPIRED:
    return "the server's certificate has expired";
  case CERTIFICATE_SELF_SIGNED:
  case CERTIFICATE_SELF_SIGNED_IN_CHAIN:
  case CERTIFICATE_ISSUER_UNKNOWN:
  case CERTIFICATE_UNVERIFIABLE:
    return "the server's certificate comes from an unknown authority";
  case CERTIFICATE_VALID:
  case CERTIFICATE_UNSPECIFIED:
    return "the server's certificate is for another host name";
  default:
    return "the server's certificate was refused";
  }
}

static bool through_proxy_refusal(transfer *ended) {
  long status = 0;
  curl_easy_getinfo(ended->easy, CURLINFO_HTTP_CONNECTCODE, &status);
  return status >= 300;
}

/* Nothing of the request left this machine. */
static int32_t result_before_sending(transfer *ended, CURLcode code, const char **text) {
  if (ended->error_text[0]) *text = ended->error_text;
  if (through_proxy_refusal(ended)) return SHEEP_E_PROXY;
  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
    return SHEEP_E_RESOLVE;
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_PROXY:
    return SHEEP_E_PROXY;
  case CURLE_PEER_FAILED_VERIFICATION:
    *text = certificate_text(ended);
    return SHEEP_E_TLS;
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
    return SHEEP_E_TLS;
  case CURLE_OPERATION_TIMEDOUT:
    return SHEEP_E_CONNECT_TIMEOUT;
  default:
    return SHEEP_E_CONNECT;
  }
}

/* libcurl gives RECV_ERROR for chunks it cannot parse, too; then no system call
 * failed. */
static int32_t result_of_receiving(transfer *ended, const char **text) {
  long system_error = 0;
  curl_easy_getinfo(ended->easy, CURLINFO_OS_ERRNO, &system_error);
  if (system_error) return SHEEP_E_READ;
  *text = "the server's reply is not valid HTTP, or its connection was cut off";
  return SHEEP_E_PROTOCOL;
}

/* A reset connection shows as SEND_ERROR when nothing was left to be sent. */
static int32_t result_of_sending(transfer *ended) {
  return transport_all_sent(ended->served) ? SHEEP_E_READ : SHEEP_E_WRITE;
}

static int32_t result_after_sending(transfer *ended, CURLcode code, const char **text) {
  switch (code) {
  case CURLE_GOT_NOTHING:
  case CURLE_ABORTED_BY_CALLBACK:
  case CURLE_COULDNT_CONNECT:
    *text = "the server closed the connection without an answer";
    return SHEEP_E_PROTOCOL;
  case CURLE_PARTIAL_FILE:
    *text = "the server closed the connection before the reply was complete";
    return SHEEP_E_PROTOCOL;
  case CURLE_BAD_CONTENT_ENCODING:
    return SHEEP_E_DECODING;
  case CURLE_SEND_ERROR:
  case CURLE_SEND_FAIL_REWIND:
    return result_of_sending(ended);
  case CURLE_RECV_ERROR:
  case CURLE_SSL_CONNECT_ERROR:
    return result_of_receiving(ended, text);
  default:
    *text = "the server's reply is not valid HTTP";
    return SHEEP_E_PROTOCOL;
  }
}

/* A head that is cut off is a success to libcurl, and a line of it that is too long
 * is a lack of memory. */
static bool is_bad_head(const transfer *ended, CURLcode code) {
  return ended->sendings && !ended->head_complete && (code == CURLE_OK || code == CURLE_OUT_OF_MEMORY);
}

int32_t result_of(transfer *ended, CURLcode code, const char **text) {
  *text = NULL;
  if (code == CURLE_OK && ended->head_complete) return SHEEP_OK;
  if (ended->refusal == SHEEP_E_PROTOCOL) *text = BAD_HEAD;
  if (ended->refusal) return ended->refusal;
  if (ended->sendings == 0 && code != CURLE_OUT_OF_MEMORY)
    return result_before_sending(ended, code, text);
  if (is_bad_head(ended, code)) {
    *text = BAD_HEAD;
    return SHEEP_E_PROTOCOL;
  }
  return code == CURLE_OUT_OF_MEMORY ? SHEEP_E_NOMEM : result_after_sending(ended, code, text);
}
