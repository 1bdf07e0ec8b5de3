/* Pool: options and requests go in, numbers of calls come out. */
#include "core_module.h"

#include <string.h>

typedef struct pool_object {
  PyObject_HEAD
  sheep_pool *pool;
} pool_object;

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
                          "keepalive_expiry", "max_reply_bytes", "cache", "cache_namespace", NULL};
  sheep_pool_options options;
  sheep_pool_options_init(&options, sizeof options);
  PyObject *pairs = Py_None;
  PyObject *cache = Py_None;
  long long expiry;
  long long most;
  long long times[5];
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "$szIipzzzzO(LLLLL)LLOz:Pool", names,
                                   &options.base_url, &options.api_key, &options.max_connections,
                                   &options.max_keepalive, &options.insecure, &options.ca_file,
                                   &options.cert_file, &options.key_file, &options.proxy, &pairs,
                                   &times[0], &times[1], &times[2], &times[3], &times[4], &expiry,
                                   &most, &cache, &options.cache_namespace))
    return NULL;
  if (cache != Py_None) options.cache = cache_handle(cache);
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

/* submit(queue, tag, method, path, body, headers, timeouts, cache_control) */
static PyObject *pool_submit(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
  const module_state *state = PyType_GetModuleState(Py_TYPE(self));
  if (count != 8 || !Py_IS_TYPE(arguments[0], state->queue_type)) {
    PyErr_SetString(PyExc_TypeError, "submit: needs a Queue and seven more arguments");
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
  request.cache_control = (uint32_t)PyLong_AsUnsignedLong(arguments[7]);
  if (PyErr_Occurred()) return NULL;
  request.headers = headers.items;
  request.header_count = headers.count;
  return submit(((pool_object *)self)->pool, queue_handle(arguments[0]), &request);
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

static PyObject *pool_cache_namespace(PyObject *self, void *unused) {
  (void)unused;
  const char *name = sheep_pool_cache_namespace(((pool_object *)self)->pool);
  if (!name) Py_RETURN_NONE;
  return PyUnicode_FromString(name);
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
     "submit(queue, tag, method, path, body, headers, timeouts, cache_control) -> number of the call."},
    {"cancel", pool_cancel, METH_O, "Ends the call with this number."},
    {"close", pool_close, METH_NOARGS, "Ends all calls and stops the thread."},
    {"stats", pool_stats, METH_NOARGS, "Counters, a dict."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef pool_members[] = {
    {"cache_namespace", pool_cache_namespace, NULL, "Where its cache keeps its replies, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot pool_slots[] = {{Py_tp_new, pool_new},
                                   {Py_tp_getset, pool_members},
                                   {Py_tp_dealloc, pool_dealloc},
                                   {Py_tp_methods, pool_methods},
                                   {0, NULL}};

PyType_Spec pool_spec = {.name = "holysheep._core.Pool",
                                .basicsize = sizeof(pool_object),
                                .flags = Py_TPFLAGS_DEFAULT,
                                .slots = pool_slots};

