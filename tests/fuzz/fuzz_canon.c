/* Any bytes to the canonicaliser: it refuses them and leaves everything as it was, or
 * what it makes of them is plain text, not too long, and canonical itself. */
#include "canon.h"

#include "error.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
  if (!holds) abort();
}

static void check_refusal(const buf *out, int32_t result, const sheep_error *error) {
  require(result == SHEEP_E_INVALID && error->code == result);
  require(strncmp(error->message, "JSON at byte ", 13) == 0);
  require(out->length == 0);
}

static void check_canonical(const buf *out, size_t size, uint32_t flags) {
  require(out->length <= 6 * size && out->data[out->length] == '\0');
  for (size_t i = 0; i < out->length; i++) require(out->data[i] >= ' ' && out->data[i] <= '~');
  buf again = {0};
  require(canon_write(out->data, out->length, flags, &again, NULL) == SHEEP_OK);
  require(again.length == out->length && memcmp(again.data, out->data, out->length) == 0);
  buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  for (uint32_t flags = 0; flags <= CANON_UNLABELLED; flags++) {
    buf out = {0};
    sheep_error error = {0};
    int32_t result = canon_write((const char *)data, size, flags, &out, &error);
    if (result)
      check_refusal(&out, result, &error);
    else
      check_canonical(&out, size, flags);
    buf_free(&out);
  }
  return 0;
}
