/* Canonical requests straight from Python objects. */
#include "canonical.h"

#include "../../../core/canon.h"
#include "../../../core/escape.h"

#include <math.h>
#include <string.h>

enum { MOST_MEMBERS = 32, NUMBER_ROOM = 24 };

typedef struct member {
  PyObject *name;
  PyObject *value;
} member;

static bool write_value(canonical_writer *writer, PyObject *value, bool in_order, int depth);

static bool put(canonical_writer *writer, const char *bytes, size_t length) {
  if (escape_room(&writer->text, length)) return false;
  memcpy(writer->text.data + writer->text.length, bytes, length);
  writer->text.length += length;
  return true;
}

static bool write_string(canonical_writer *writer, PyObject *text) {
  size_t length = (size_t)PyUnicode_GET_LENGTH(text);
  const void *units = PyUnicode_DATA(text);
  switch (PyUnicode_KIND(text)) {
  case PyUnicode_1BYTE_KIND: return escape_latin1(&writer->text, units, length) == SHEEP_OK;
  case PyUnicode_2BYTE_KIND: return escape_ucs2(&writer->text, units, length) == SHEEP_OK;
  default: return escape_ucs4(&writer->text, units, length) == SHEEP_OK;
  }
}

static bool write_integer(canonical_writer *writer, PyObject *number) {
  int overflow;
  char digits[NUMBER_ROOM];
  char *start = digits + sizeof digits;
  long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (overflow) return false;
  unsigned long long rest = value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value;
  do {
    *--start = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest);
  if (value < 0) *--start = '-';
  return put(writer, start, (size_t)(digits + sizeof digits - start));
}

/* As float.__repr__ does; NULL when it isn't finite, or without memory. */
static const char *spell_float(float_cache *floats, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  size_t slot = (bits ^ bits >> 52 ^ bits >> 32) % FLOAT_SLOTS;
  char *text = floats->slots[slot].text;
  if (*text && memcmp(&floats->slots[slot].value, &value, sizeof value) == 0) return text;
  if (!isfinite(value)) return NULL;
  char *made = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
  if (!made) {
    PyErr_Clear();
    return NULL;
  }
  floats->slots[slot].value = value;
  snprintf(text, FLOAT_TEXT, "%s", made);
  PyMem_Free(made);
  return text;
}

static bool write_float(canonical_writer *writer, PyObject *number) {
  const char *text = spell_float(&writer->floats, PyFloat_AS_DOUBLE(number));
  return text && put(writer, text, strlen(text));
}

static bool write_elements(canonical_writer *writer, PyObject *const *elements, Py_ssize_t count,
                           bool in_order, int depth) {
  if (!put(writer, "[", 1)) return false;
  for (Py_ssize_t i = 0; i < count; i++) {
    if (i && !put(writer, ", ", 2)) return false;
    if (!write_value(writer, elements[i], in_order, depth + 1)) return false;
  }
  return put(writer, "]", 1);
}

/* ------------------------------------------------------------------------ objects */

/* By code points; both are str. */
static int compare_names(PyObject *one, PyObject *other) {
  if (!PyUnicode_IS_ASCII(one) || !PyUnicode_IS_ASCII(other)) return PyUnicode_Compare(one, other);
  size_t a = (size_t)PyUnicode_GET_LENGTH(one);
  size_t b = (size_t)PyUnicode_GET_LENGTH(other);
  int order = memcmp(PyUnicode_DATA(one), PyUnicode_DATA(other), a < b ? a : b);
  return order ? order : (a > b) - (a < b);
}

/* PyUnicode_CompareWithASCIIString takes a NUL in a wide string for its end. */
static int compare_with(PyObject *name, const char *ascii, size_t ascii_length) {
  size_t length = (size_t)PyUnicode_GET_LENGTH(name);
  for (size_t i = 0; i < length && i < ascii_length; i++) {
    Py_UCS4 one = PyUnicode_READ_CHAR(name, i);
    Py_UCS4 other = (unsigned char)ascii[i];
    if (one != other) return one > other ? 1 : -1;
  }
  return (length > ascii_length) - (length < ascii_length);
}

/* Insertion: there are few, and they are often in order. */
static void sort_members(member *members, size_t count) {
  for (size_t i = 1; i < count; i++) {
    member moving = members[i];
    size_t place = i;
    for (; place && compare_names(members[place - 1].name, moving.name) > 0; place--)
      members[place] = members[place - 1];
    members[place] = moving;
  }
}

/* False when there are too many, or a name isn't exactly a str. */
static bool collect(PyObject *dict, member *members, size_t *count) {
  Py_ssize_t position = 0;
  PyObject *name;
  PyObject *value;
  while (PyDict_Next(dict, &position, &name, &value)) {
    if (*count == MOST_MEMBERS || !PyUnicode_CheckExact(name)) return false;
    members[(*count)++] = (member){name, value};
  }
  return true;
}

static bool write_name(canonical_writer *writer, PyObject *name, bool first) {
  return (first || put(writer, ", ", 2)) && write_string(writer, name) && put(writer, ": ", 2);
}

static bool write_object(canonical_writer *writer, PyObject *dict, bool in_order, int depth) {
  member members[MOST_MEMBERS];
  size_t count = 0;
  if (!collect(dict, members, &count) || !put(writer, "{", 1)) return false;
  if (!in_order) sort_members(members, count);
  for (size_t i = 0; i < count; i++) {
    if (!write_name(writer, members[i].name, i == 0)) return false;
    if (!write_value(writer, members[i].value, in_order, depth + 1)) return false;
  }
  return put(writer, "}", 1);
}

static bool write_value(canonical_writer *writer, PyObject *value, bool in_order, int depth) {
  if (PyUnicode_CheckExact(value)) return write_string(writer, value);
  if (depth >= CANON_DEPTH) return false;
  if (PyDict_CheckExact(value)) return write_object(writer, value, in_order, depth);
  if (PyList_CheckExact(value) || PyTuple_CheckExact(value))
    return write_elements(writer, PySequence_Fast_ITEMS(value), PySequence_Fast_GET_SIZE(value),
                          in_order, depth);
  if (PyLong_CheckExact(value)) return write_integer(writer, value);
  if (PyFloat_CheckExact(value)) return write_float(writer, value);
  if (value == Py_True) return put(writer, "true", 4);
  if (value == Py_False) return put(writer, "false", 5);
  return value == Py_None && put(writer, "null", 4);
}

/* --------------------------------------------------------------------- the body */

typedef struct body_writer {
  canonical_writer *writer;
  bool begun;
} body_writer;

static bool write_part(body_writer *body, const char *name, size_t length, PyObject *value) {
  const char *lead = body->begun ? ", " : "";
  body->begun = true;
  return put(body->writer, lead, strlen(lead)) && put(body->writer, name, length) &&
         write_value(body->writer, value, false, 1);
}

/* Only ASCII names are special. */
static canon_treatment treatment_of(const body_writer *body, PyObject *name) {
  if (!PyUnicode_IS_ASCII(name)) return CANON_SORTED;
  return canon_treatment_of(PyUnicode_DATA(name), (size_t)PyUnicode_GET_LENGTH(name),
                            body->writer->flags);
}

static bool write_extra(body_writer *body, const member *extra) {
  canon_treatment treated = treatment_of(body, extra->name);
  if (treated == CANON_LEFT_OUT) return true;
  bool first = !body->begun;
  body->begun = true;
  return write_name(body->writer, extra->name, first) &&
         write_value(body->writer, extra->value, treated == CANON_IN_ORDER, 1);
}

#define PART(name) "\"" name "\": ", sizeof name + 3

/* The four members that are always there come in this order; the others between them. */
static bool write_body(body_writer *body, const chat_request *request, const member *extra,
                       size_t count) {
  const struct {
    const char *text; /* the name in quotes, and ": " */
    size_t length;
    PyObject *value;
  } parts[] = {
      {PART("max_tokens"), request->max_tokens},
      {PART("messages"), request->messages},
      {PART("model"), request->model},
      {PART("temperature"), request->temperature},
  };
  size_t next = 0;
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    for (; next < count && compare_with(extra[next].name, parts[i].text + 1, parts[i].length - 4) < 0; next++)
      if (!write_extra(body, &extra[next])) return false;
    if (!write_part(body, parts[i].text, parts[i].length, parts[i].value)) return false;
  }
  for (; next < count; next++)
    if (!write_extra(body, &extra[next])) return false;
  return true;
}

/* A NUL behind the text, not counted. */
static bool terminate(canonical_writer *writer) {
  if (escape_room(&writer->text, 1)) return false;
  writer->text.data[writer->text.length] = '\0';
  return true;
}

bool canonical_write(canonical_writer *writer, const chat_request *request) {
  member extra[MOST_MEMBERS];
  size_t count = 0;
  body_writer body = {writer, false};
  writer->text.length = 0;
  if (!PyUnicode_CheckExact(request->model) || !collect(request->extra, extra, &count)) return false;
  sort_members(extra, count);
  return put(writer, "{", 1) && write_body(&body, request, extra, count) && put(writer, "}", 1) &&
         terminate(writer);
}
