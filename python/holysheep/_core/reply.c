/* Reply: what came of a call. */
#include "core_module.h"

#include <string.h>

typedef struct reply_object {
  PyObject_HEAD
  sheep_reply *reply;
  int32_t result;
} reply_object;

PyObject *reply_wrap(const sheep_event *event, PyTypeObject *reply_type) {
  reply_object *made = (reply_object *)reply_type->tp_alloc(reply_type, 0);
  if (!made) {
    sheep_reply_free(event->reply);
    return NULL;
  }
  made->reply = event->reply;
  made->result = event->result;
  return (PyObject *)made;
}

static void reply_dealloc(PyObject *self) {
  sheep_reply_free(((reply_object *)self)->reply);
  free_object(self);
}

static PyObject *reply_result(PyObject *self, void *unused) {
  (void)unused;
  return PyLong_FromLong(((reply_object *)self)->result);
}

static PyObject *reply_status(PyObject *self, void *unused) {
  (void)unused;
  return PyLong_FromLong(sheep_reply_status(((reply_object *)self)->reply));
}

static PyObject *reply_reason(PyObject *self, void *unused) {
  (void)unused;
  const char *reason = sheep_reply_reason(((reply_object *)self)->reply);
  return PyUnicode_DecodeLatin1(reason, (Py_ssize_t)strlen(reason), NULL);
}

static PyObject *reply_body(PyObject *self, void *unused) {
  (void)unused;
  size_t length;
  const char *body = sheep_reply_body(((reply_object *)self)->reply, &length);
  return PyBytes_FromStringAndSize(body, (Py_ssize_t)length);
}

static PyObject *reply_text(PyObject *self, void *unused) {
  (void)unused;
  size_t length;
  const char *body = sheep_reply_body(((reply_object *)self)->reply, &length);
  return PyUnicode_DecodeUTF8(body, (Py_ssize_t)length, NULL);
}

static PyObject *reply_headers(PyObject *self, void *unused) {
  (void)unused;
  const sheep_reply *reply = ((reply_object *)self)->reply;
  PyObject *pairs = PyList_New(0);
  sheep_header header;
  for (size_t i = 0; pairs && sheep_reply_header_at(reply, i, &header) == SHEEP_OK; i++) {
    PyObject *name = PyUnicode_DecodeLatin1(header.name, (Py_ssize_t)strlen(header.name), NULL);
    PyObject *value = PyUnicode_DecodeLatin1(header.value, (Py_ssize_t)strlen(header.value), NULL);
    PyObject *pair = name && value ? PyTuple_Pack(2, name, value) : NULL;
    Py_XDECREF(name);
    Py_XDECREF(value);
    if (!pair || PyList_Append(pairs, pair) != 0) Py_CLEAR(pairs);
    Py_XDECREF(pair);
  }
  return pairs;
}

static PyObject *reply_sent(PyObject *self, void *unused) {
  (void)unused;
  return PyLong_FromLong(sheep_reply_sent(((reply_object *)self)->reply));
}

static PyObject *reply_cached(PyObject *self, void *unused) {
  (void)unused;
  return PyLong_FromLong(sheep_reply_cached(((reply_object *)self)->reply));
}

static PyObject *reply_message(PyObject *self, void *unused) {
  (void)unused;
  return PyUnicode_DecodeUTF8(sheep_reply_message(((reply_object *)self)->reply),
                              (Py_ssize_t)strlen(sheep_reply_message(((reply_object *)self)->reply)),
                              "replace");
}

static PyGetSetDef reply_members[] = {
    {"result", reply_result, NULL, "0, or a SHEEP_E_ number.", NULL},
    {"status", reply_status, NULL, "The HTTP status, or 0.", NULL},
    {"reason", reply_reason, NULL, "The reason phrase.", NULL},
    {"body", reply_body, NULL, "The decompressed body, bytes.", NULL},
    {"text", reply_text, NULL, "The body as str; UnicodeDecodeError when it is not UTF-8.", NULL},
    {"headers", reply_headers, NULL, "List of (name, value).", NULL},
    {"sent", reply_sent, NULL, "0 not sent, 1 possibly sent, 2 answered.", NULL},
    {"cached", reply_cached, NULL, "0, or from a cache: 1 fresh, 2 stale.", NULL},
    {"message", reply_message, NULL, "What went wrong, or \"\".", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot reply_slots[] = {
    {Py_tp_dealloc, reply_dealloc}, {Py_tp_getset, reply_members}, {0, NULL}};

PyType_Spec reply_spec = {.name = "holysheep._core.Reply",
                                 .basicsize = sizeof(reply_object),
                                 .flags = Py_TPFLAGS_DEFAULT,
                                 .slots = reply_slots};

