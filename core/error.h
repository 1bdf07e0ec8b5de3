/* Error numbers and their one-line messages. */
#ifndef SHEEP_ERROR_H
#define SHEEP_ERROR_H

#include "holysheep.h"

/* Fills `error` (may be NULL) and returns `code`, so that callers can return it. */
int32_t error_set(sheep_error *error, int32_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What to say of a failure when nothing more is known. Static. */
const char *error_default_message(int32_t code);

#endif
