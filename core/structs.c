/* The structs of the ABI that carry their size. */
#include "structs.h"

#include <string.h>

enum { LARGEST = 4096 };

int32_t struct_init(void *object, size_t size) {
  if (!object || size < sizeof(uint32_t) || size > LARGEST) return SHEEP_E_INVALID;
  memset(object, 0, size);
  uint32_t stored = (uint32_t)size;
  memcpy(object, &stored, sizeof stored);
  return SHEEP_OK;
}

int32_t struct_read(void *own, size_t own_size, const void *given, const char *name,
                    sheep_error *error) {
  uint32_t size = 0;
  if (given) memcpy(&size, given, sizeof size);
  if (size < sizeof size || size > LARGEST)
    return error_set(error, SHEEP_E_INVALID, "%s: was not set up by its init function", name);
  const char *bytes = given;
  for (size_t i = own_size; i < size; i++) {
    if (bytes[i]) return error_set(error, SHEEP_E_INVALID, "%s: sets a member unknown to this version", name);
  }
  memset(own, 0, own_size);
  memcpy(own, given, size < own_size ? size : own_size);
  return SHEEP_OK;
}

int32_t struct_write(void *given, const void *own, size_t own_size) {
  uint32_t size = 0;
  if (given) memcpy(&size, given, sizeof size);
  if (struct_init(given, size) != SHEEP_OK) return SHEEP_E_INVALID;
  size_t common = size < own_size ? size : own_size;
  memcpy((char *)given + sizeof size, (const char *)own + sizeof size, common - sizeof size);
  return SHEEP_OK;
}
