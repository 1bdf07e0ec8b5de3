/* Queue: where the calls of one event loop end.
 *
 * A call's tag is a number that the Python side gave; no Python object is in the
 * core's hands, so none can leak with a queue that is thrown away. */
#include "core_module.h"

typedef struct queue_object {
  PyObject_HEAD
  sheep_queue *queue;
} queue_object;

sheep_queue *queue_handle(PyObject *queue) { return ((queue_object *)queue)->queue; }

static PyObject *queue_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
  static char *names[] = {NULL};
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, ":Queue", names)) return NULL;
  queue_object *self = (queue_object *)type->tp_alloc(type, 0);
  if (!self) return NULL;
  sheep_error error;
  self->queue = sheep_queue_new(&error);
  if (self->queue) return (PyObject *)self;
  Py_DECREF(self);
  return raise_error(&error);
}

static void queue_dealloc(PyObject *self) {
  sheep_queue_free(((queue_object *)self)->queue);
  free_object(self);
}

static PyObject *queue_fileno(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyLong_FromLong(sheep_queue_fd(((queue_object *)self)->queue));
}

static PyObject *wrap_event(const sheep_event *event, PyTypeObject *reply_type) {
  PyObject *reply = reply_wrap(event, reply_type);
  PyObject *tag = reply ? PyLong_FromUnsignedLongLong(event->tag) : NULL;
  PyObject *pair = tag ? PyTuple_Pack(2, tag, reply) : NULL;
  Py_XDECREF(tag);
  Py_XDECREF(reply);
  return pair;
}

enum { DRAINED_AT_ONCE = 64 };

/* An event that cannot be wrapped is still taken, and its reply freed. */
static int append_events(PyObject *pairs, const sheep_event *events, int32_t count,
                         PyTypeObject *reply_type) {
  int failed = 0;
  for (int32_t i = 0; i < count; i++) {
    PyObject *pair = wrap_event(&events[i], reply_type);
    if (!pair || PyList_Append(pairs, pair) != 0) failed = -1;
    Py_XDECREF(pair);
  }
  return failed;
}

static PyObject *queue_drain(PyObject *self, PyObject *unused) {
  (void)unused;
  const module_state *state = PyType_GetModuleState(Py_TYPE(self));
  sheep_event events[DRAINED_AT_ONCE];
  int32_t count = DRAINED_AT_ONCE;
  PyObject *pairs = PyList_New(0);
  while (pairs && count == DRAINED_AT_ONCE && PyList_GET_SIZE(pairs) < 1024) {
    count = sheep_queue_drain(((queue_object *)self)->queue, events, DRAINED_AT_ONCE);
    if (append_events(pairs, events, count, state->reply_type) != 0) Py_CLEAR(pairs);
  }
  return pairs;
}

static PyMethodDef queue_methods[] = {
    {"fileno", queue_fileno, METH_NOARGS, "The descriptor that is readable while events wait."},
    {"drain", queue_drain, METH_NOARGS, "List of (tag, Reply), without blocking."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot queue_slots[] = {{Py_tp_new, queue_new},
                                    {Py_tp_dealloc, queue_dealloc},
                                    {Py_tp_methods, queue_methods},
                                    {0, NULL}};

PyType_Spec queue_spec = {.name = "holysheep._core.Queue",
                                 .basicsize = sizeof(queue_object),
                                 .flags = Py_TPFLAGS_DEFAULT,
                                 .slots = queue_slots};

