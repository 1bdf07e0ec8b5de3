/* Canonical requests straight from Python objects: the same bytes that core/canon.h
 * makes of the JSON text that is sent. */
#ifndef HOLYSHEEP_CANONICAL_H
#define HOLYSHEEP_CANONICAL_H

#include "core_module.h"

#include "../../../core/buf.h"

#include <stdbool.h>

enum { FLOAT_SLOTS = 16, FLOAT_TEXT = 32 };

/* Spellings of floats that were seen before; making one takes longer than the rest of
 * a short request. */
typedef struct float_cache {
  struct {
    double value;
    char text[FLOAT_TEXT]; /* "": the slot is free */
  } slots[FLOAT_SLOTS];
} float_cache;

typedef struct canonical_writer {
  buf text;
  float_cache floats;
  uint32_t flags; /* of canon_write */
} canonical_writer;

/* The members of a chat completion's body. `extra` is a dict. Borrowed. */
typedef struct chat_request {
  PyObject *model;
  PyObject *messages;
  PyObject *temperature;
  PyObject *max_tokens;
  PyObject *extra;
} chat_request;

/* Writes the request into `writer->text`. False, without an exception: it holds what
 * is rare (subclasses, keys that aren't str, integers beyond 64 bits, floats that aren't
 * finite, many members) or memory ran out; the JSON text then decides. Runs no code of
 * the user's, so nothing changes underneath. */
bool canonical_write(canonical_writer *writer, const chat_request *request);

#endif
