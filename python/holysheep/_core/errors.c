/* What all types need: errors, text, the end of an object.
 *
 * From the core's errors to Python's exceptions. The package's own exceptions are
 * made in errors.py, from a Reply; here is what a constructor or submit can meet. */
#include "core_module.h"

#include <string.h>

void *raise_error(const sheep_error *error) {
  switch (error->code) {
  case SHEEP_E_NOMEM:
    return PyErr_NoMemory();
  case SHEEP_E_INVALID:
    PyErr_SetString(PyExc_ValueError, error->message);
    return NULL;
  case SHEEP_E_SYSTEM:
    PyErr_SetString(PyExc_OSError, error->message);
    return NULL;
  default:
    PyErr_SetString(PyExc_RuntimeError, error->message);
    return NULL;
  }
}

const char *read_text(PyObject *text, const char *name) {
  Py_ssize_t length;
  const char *bytes = PyUnicode_AsUTF8AndSize(text, &length);
  if (bytes && strlen(bytes) == (size_t)length) return bytes;
  if (bytes) PyErr_Format(PyExc_ValueError, "%s: contains a NUL character", name);
  return NULL;
}

void free_object(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}
