/* What the extension's files share. One file a type; a type's struct stays in its
 * own file, so that this header holds functions and the module's state only. */
#ifndef HOLYSHEEP_CORE_MODULE_H
#define HOLYSHEEP_CORE_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "holysheep.h"

typedef struct module_state {
  PyTypeObject *cache_type;
  PyTypeObject *pool_type;
  PyTypeObject *queue_type;
  PyTypeObject *reply_type;
} module_state;

extern PyType_Spec cache_spec;
extern PyType_Spec pool_spec;
extern PyType_Spec queue_spec;
extern PyType_Spec reply_spec;

/* Sets the exception for `error`; returns NULL. */
void *raise_error(const sheep_error *error);

/* The last step of each type's dealloc. */
void free_object(PyObject *self);

/* A Reply that owns the event's reply; NULL with an exception set, and the reply
 * freed. */
PyObject *reply_wrap(const sheep_event *event, PyTypeObject *reply_type);

sheep_queue *queue_handle(PyObject *queue);
sheep_cache *cache_handle(PyObject *cache);

/* The characters of a str, which live as long as it does; NULL with an exception that
 * names the argument when there is a NUL among them. */
const char *read_text(PyObject *text, const char *name);

#endif
