/* The extension: converts, calls the C ABI, and releases the GIL where a call may
 * block. It holds no policy.
 *
 * A call's tag is a number that the Python side gave; no Python object is in the
 * core's hands, so none can leak with a queue that is thrown away. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "holysheep.h"

#include <string.h>

typedef struct module_state {
  PyTypeObject *pool_type;
  PyTypeObject *queue_type;
  PyTypeObject *reply_type;
} module_state;

typedef struct pool_object {
  PyObject_HEAD
  sheep_pool *pool;
} pool_object;

typedef struct queue_object {
  PyObject_HEAD
  sheep_queue *queue;
} queue_object;

typedef struct reply_object {
  PyObject_HEAD
  sheep_reply *reply;
  int32_t result;
} reply_object;

static void *raise_error(const sheep_error *error) {
  PyObject *type = PyExc_RuntimeError;
  if (error->code == SHEEP_E_INVALID) type = PyExc_ValueError;
  if (error->code == SHEEP_E_SYSTEM) type = PyExc_OSError;
  if (error->code == SHEEP_E_NOMEM) return PyErr_NoMemory();
  PyErr_SetString(type, error->message);
  return NULL;
}

static void free_object(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

/* ----------------------------------------------------------------- headers */

enum { MAX_HEADERS = 256 };

typedef struct header_list {
  sheep_header items[MAX_HEADERS];
  size_t count;
} header_list;

/* From a tuple of (name, value) pairs of str, or None; the strings stay theirs. */
static int read_headers(PyObject *pairs, header_list *headers) {
  headers->count = 0;
  if (pairs == Py_None) return 0;
  if (!PyTuple_Check(pairs) || PyTuple_GET_SIZE(pairs) > MAX_HEADERS) {
    PyErr_Format(PyExc_ValueError, "headers: must be a tuple of at most %d pairs", MAX_HEADERS);
    return -1;
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(pairs); i++) {
    sheep_header *header = &headers->items[headers->count++];
    Py_ssize_t name_length;
    Py_ssize_t value_length;
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(pairs, i), "s#s#;headers: must hold pairs of str",
                          &header->name, &name_length, &header->value, &value_length))
      return -1;
    if (strlen(header->name) != (size_t)name_length || strlen(header->value) != (size_t)value_length) {
      PyErr_SetString(PyExc_ValueError, "headers: contain a NUL character");
      return -1;
    }
  }
  return 0;
}

/* -------------------------------------------------------------------- reply */

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
    {"message", reply_message, NULL, "What went wrong, or \"\".", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot reply_slots[] = {
    {Py_tp_dealloc, reply_dealloc}, {Py_tp_getset, reply_members}, {0, NULL}};

static PyType_Spec reply_spec = {.name = "holysheep._core.Reply",
                                 .basicsize = sizeof(reply_object),
                                 .flags = Py_TPFLAGS_DEFAULT,
                                 .slots = reply_slots};

/* -------------------------------------------------------------------- queue */

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
  reply_object *reply = (reply_object *)reply_type->tp_alloc(reply_type, 0);
  if (!reply) {
    sheep_reply_free(event->reply);
    return NULL;
  }
  reply->reply = event->reply;
  reply->result = event->result;
  PyObject *tag = PyLong_FromUnsignedLongLong(event->tag);
  PyObject *pair = tag ? PyTuple_Pack(2, tag, reply) : NULL;
  Py_XDECREF(tag);
  Py_DECREF(reply);
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

static PyType_Spec queue_spec = {.name = "holysheep._core.Queue",
                                 .basicsize = sizeof(queue_object),
                                 .flags = Py_TPFLAGS_DEFAULT,
                                 .slots = queue_slots};

/* --------------------------------------------------------------------- pool */

static PyObject *make_pool(PyTypeObject *type, const sheep_pool_options *options) {
  pool_object *self = (pool_object *)type->tp_alloc(type, 0);
  if (!self) return NULL;
  sheep_error error;
  self->pool = sheep_pool_new(options, &error);
  if (self->pool) return (PyObject *)self;
  Py_DECREF(self);
  return raise_error(&error);
}

/* Times are milliseconds, as in the header. */
static PyObject *pool_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
  static char *names[] = {"base_url", "api_key", "max_connections", "max_keepalive", "insecure",
                          "ca_file", "cert_file", "key_file", "proxy", "headers", "timeouts",
                          "keepalive_expiry", "max_reply_bytes", NULL};
  sheep_pool_options options;
  sheep_pool_options_init(&options, sizeof options);
  PyObject *pairs = Py_None;
  long long expiry;
  long long most;
  long long times[5];
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "$szIipzzzzO(LLLLL)LL:Pool", names,
                                   &options.base_url, &options.api_key, &options.max_connections,
                                   &options.max_keepalive, &options.insecure, &options.ca_file,
                                   &options.cert_file, &options.key_file, &options.proxy, &pairs,
                                   &times[0], &times[1], &times[2], &times[3], &times[4], &expiry,
                                   &most))
    return NULL;
  header_list headers;
  if (read_headers(pairs, &headers) != 0) return NULL;
  options.headers = headers.items;
  options.header_count = headers.count;
  options.connect_timeout_ms = times[0];
  options.write_timeout_ms = times[1];
  options.read_timeout_ms = times[2];
  options.pool_timeout_ms = times[3];
  options.total_timeout_ms = times[4];
  options.keepalive_expiry_ms = expiry;
  options.max_reply_bytes = most;
  return make_pool(type, &options);
}

static void pool_dealloc(PyObject *self) {
  sheep_pool *pool = ((pool_object *)self)->pool;
  Py_BEGIN_ALLOW_THREADS
  sheep_pool_free(pool);
  Py_END_ALLOW_THREADS
  free_object(self);
}

static int read_times(PyObject *times, sheep_request *request) {
  if (times == Py_None) return 0;
  long long values[5];
  if (!PyArg_ParseTuple(times, "LLLLL;timeouts: must be five integers", &values[0], &values[1],
                        &values[2], &values[3], &values[4]))
    return -1;
  request->connect_timeout_ms = values[0];
  request->write_timeout_ms = values[1];
  request->read_timeout_ms = values[2];
  request->pool_timeout_ms = values[3];
  request->total_timeout_ms = values[4];
  return 0;
}

static const char *read_text(PyObject *text, const char *name) {
  Py_ssize_t length;
  const char *bytes = PyUnicode_AsUTF8AndSize(text, &length);
  if (bytes && strlen(bytes) == (size_t)length) return bytes;
  if (bytes) PyErr_Format(PyExc_ValueError, "%s: contains a NUL character", name);
  return NULL;
}

/* None: no body; else str or bytes. */
static int read_body(PyObject *body, sheep_request *request) {
  Py_ssize_t length = 0;
  char *bytes = NULL;
  if (body == Py_None) return 0;
  if (PyUnicode_Check(body)) {
    request->body = PyUnicode_AsUTF8AndSize(body, &length);
    if (!request->body) return -1;
  } else {
    if (PyBytes_AsStringAndSize(body, &bytes, &length) != 0) return -1;
    request->body = bytes;
  }
  request->body_length = (size_t)length;
  return 0;
}

static PyObject *submit(sheep_pool *pool, sheep_queue *queue, const sheep_request *request) {
  sheep_error error;
  uint64_t number;
  if (sheep_submit(pool, queue, request, &number, &error) != SHEEP_OK) return raise_error(&error);
  return PyLong_FromUnsignedLongLong(number);
}

/* submit(queue, tag, method, path, body, headers, timeouts) */
static PyObject *pool_submit(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
  const module_state *state = PyType_GetModuleState(Py_TYPE(self));
  if (count != 7 || !Py_IS_TYPE(arguments[0], state->queue_type)) {
    PyErr_SetString(PyExc_TypeError, "submit: needs a Queue and six more arguments");
    return NULL;
  }
  sheep_request request;
  header_list headers;
  sheep_request_init(&request, sizeof request);
  request.tag = PyLong_AsUnsignedLongLong(arguments[1]);
  if (PyErr_Occurred()) return NULL;
  request.method = read_text(arguments[2], "method");
  request.path = request.method ? read_text(arguments[3], "path") : NULL;
  if (!request.path || read_body(arguments[4], &request) != 0) return NULL;
  if (read_headers(arguments[5], &headers) != 0 || read_times(arguments[6], &request) != 0) return NULL;
  request.headers = headers.items;
  request.header_count = headers.count;
  return submit(((pool_object *)self)->pool, ((queue_object *)arguments[0])->queue, &request);
}

static PyObject *pool_cancel(PyObject *self, PyObject *number) {
  unsigned long long call = PyLong_AsUnsignedLongLong(number);
  if (PyErr_Occurred()) return NULL;
  if (sheep_cancel(((pool_object *)self)->pool, call) != SHEEP_OK) return PyErr_NoMemory();
  Py_RETURN_NONE;
}

static PyObject *pool_close(PyObject *self, PyObject *unused) {
  (void)unused;
  sheep_pool *pool = ((pool_object *)self)->pool;
  Py_BEGIN_ALLOW_THREADS
  sheep_pool_close(pool);
  Py_END_ALLOW_THREADS
  Py_RETURN_NONE;
}

static PyObject *pool_stats(PyObject *self, PyObject *unused) {
  (void)unused;
  sheep_pool_stats s = {.size = sizeof s};
  sheep_pool_get_stats(((pool_object *)self)->pool, &s);
  return Py_BuildValue(
      "{s:I,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}}",
      "in_flight", s.in_flight, "waiting", s.waiting, "submitted", s.submitted, "answered",
      s.answered, "connections_opened", s.connections_opened, "connections_reused",
      s.connections_reused, "bytes_sent", s.bytes_sent, "bytes_received", s.bytes_received,
      "errors", "cancelled", s.cancelled, "closed", s.closed, "connect", s.connect_errors,
      "connect_timeout", s.connect_timeouts, "write_timeout", s.write_timeouts, "read_timeout",
      s.read_timeouts, "pool_timeout", s.pool_timeouts, "total_timeout", s.total_timeouts, "read",
      s.read_errors, "write", s.write_errors, "protocol", s.protocol_errors, "decoding",
      s.decoding_errors, "too_large", s.too_large, "other", s.other_errors);
}

static PyMethodDef pool_methods[] = {
    {"submit", (PyCFunction)(void (*)(void))pool_submit, METH_FASTCALL,
     "submit(queue, tag, method, path, body, headers, timeouts) -> number of the call."},
    {"cancel", pool_cancel, METH_O, "Ends the call with this number."},
    {"close", pool_close, METH_NOARGS, "Ends all calls and stops the thread."},
    {"stats", pool_stats, METH_NOARGS, "Counters, a dict."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot pool_slots[] = {{Py_tp_new, pool_new},
                                   {Py_tp_dealloc, pool_dealloc},
                                   {Py_tp_methods, pool_methods},
                                   {0, NULL}};

static PyType_Spec pool_spec = {.name = "holysheep._core.Pool",
                                .basicsize = sizeof(pool_object),
                                .flags = Py_TPFLAGS_DEFAULT,
                                .slots = pool_slots};

/* ------------------------------------------------------------------- module */

static int add_type(PyObject *module, PyType_Spec *spec, const char *name, PyTypeObject **type) {
  *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
  if (!*type) return -1;
  Py_INCREF(*type);
  if (PyModule_AddObject(module, name, (PyObject *)*type) == 0) return 0;
  Py_DECREF(*type);
  return -1;
}

static int module_exec(PyObject *module) {
  module_state *state = PyModule_GetState(module);
  if (add_type(module, &pool_spec, "Pool", &state->pool_type) != 0) return -1;
  if (add_type(module, &queue_spec, "Queue", &state->queue_type) != 0) return -1;
  if (add_type(module, &reply_spec, "Reply", &state->reply_type) != 0) return -1;
  state->reply_type->tp_new = NULL;
  if (PyModule_AddStringConstant(module, "version", sheep_version()) != 0) return -1;
  return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
  module_state *state = PyModule_GetState(module);
  Py_VISIT(state->pool_type);
  Py_VISIT(state->queue_type);
  Py_VISIT(state->reply_type);
  return 0;
}

static int module_clear(PyObject *module) {
  module_state *state = PyModule_GetState(module);
  Py_CLEAR(state->pool_type);
  Py_CLEAR(state->queue_type);
  Py_CLEAR(state->reply_type);
  return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec},
#ifdef Py_mod_multiple_interpreters
                                          {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
                                          {0, NULL}};

static struct PyModuleDef module_definition = {.m_base = PyModuleDef_HEAD_INIT,
                                               .m_name = "_core",
                                               .m_doc = "The C core.",
                                               .m_size = sizeof(module_state),
                                               .m_slots = module_slots,
                                               .m_traverse = module_traverse,
                                               .m_clear = module_clear};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&module_definition); }
