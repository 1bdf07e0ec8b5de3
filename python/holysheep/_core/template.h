/* Decoded replies as templates: one is decoded once, by Python's own json, and each
 * hit is a copy of it. */
#ifndef HOLYSHEEP_TEMPLATE_H
#define HOLYSHEEP_TEMPLATE_H

#include "core_module.h"

/* A copy that shares nothing which can be changed: dicts and lists anew at each level,
 * the rest (str, int, float, bool, None) is immutable. What json.loads made. */
PyObject *template_copy(PyObject *decoded);

/* About the bytes that it takes; -1 with an exception set. */
Py_ssize_t template_size(PyObject *decoded);

#endif
