/* Decoded replies as templates. */
#include "template.h"

#include <stdbool.h>

static bool is_container(PyObject *value) { return PyDict_CheckExact(value) || PyList_CheckExact(value); }

/* PyDict_Copy and PyList_GetSlice copy a level at once; then what can be changed in it
 * is replaced. Setting the value of a name that is there doesn't disturb PyDict_Next. */
static int copy_members(PyObject *dict) {
  Py_ssize_t position = 0;
  PyObject *name;
  PyObject *value;
  while (PyDict_Next(dict, &position, &name, &value)) {
    if (!is_container(value)) continue;
    PyObject *copy = template_copy(value);
    int failed = copy ? PyDict_SetItem(dict, name, copy) : -1;
    Py_XDECREF(copy);
    if (failed) return -1;
  }
  return 0;
}

static int copy_elements(PyObject *list) {
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
    PyObject *element = PyList_GET_ITEM(list, i);
    if (!is_container(element)) continue;
    PyObject *copy = template_copy(element);
    if (!copy || PyList_SetItem(list, i, copy) != 0) return -1;
  }
  return 0;
}

static PyObject *copy_container(PyObject *decoded) {
  bool is_dict = PyDict_CheckExact(decoded);
  PyObject *copy = is_dict ? PyDict_Copy(decoded) : PyList_GetSlice(decoded, 0, PyList_GET_SIZE(decoded));
  if (copy && (is_dict ? copy_members(copy) : copy_elements(copy)) != 0) Py_CLEAR(copy);
  return copy;
}

PyObject *template_copy(PyObject *decoded) {
  if (!is_container(decoded)) {
    Py_INCREF(decoded);
    return decoded;
  }
  if (Py_EnterRecursiveCall(" while copying a reply")) return NULL;
  PyObject *copy = copy_container(decoded);
  Py_LeaveRecursiveCall();
  return copy;
}

static Py_ssize_t own_size(PyObject *value) {
  PyObject *size = PyObject_CallMethod(value, "__sizeof__", NULL);
  Py_ssize_t bytes = size ? PyLong_AsSsize_t(size) : -1;
  Py_XDECREF(size);
  return bytes;
}

static Py_ssize_t size_of_members(PyObject *dict) {
  Py_ssize_t position = 0;
  Py_ssize_t sum = 0;
  PyObject *name;
  PyObject *value;
  while (PyDict_Next(dict, &position, &name, &value)) {
    Py_ssize_t bytes = template_size(value);
    if (bytes < 0) return -1;
    sum += bytes;
  }
  return sum;
}

static Py_ssize_t size_of_elements(PyObject *list) {
  Py_ssize_t sum = 0;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
    Py_ssize_t bytes = template_size(PyList_GET_ITEM(list, i));
    if (bytes < 0) return -1;
    sum += bytes;
  }
  return sum;
}

Py_ssize_t template_size(PyObject *decoded) {
  Py_ssize_t inner = 0;
  if (Py_EnterRecursiveCall(" while measuring a reply")) return -1;
  if (PyDict_CheckExact(decoded)) inner = size_of_members(decoded);
  if (PyList_CheckExact(decoded)) inner = size_of_elements(decoded);
  Py_LeaveRecursiveCall();
  Py_ssize_t own = inner < 0 ? -1 : own_size(decoded);
  return own < 0 ? -1 : own + inner;
}
