/* Cache: replies in memory, found from Python objects without a detour by JSON text.
 *
 * The writer's buffer serves one look-up at a time: the GIL is held throughout, and no
 * code of the user's runs before the text has been used. Templates hang on the store's
 * entries; those that it dropped are freed here, by whoever has the GIL. */
#include "canonical.h"
#include "template.h"

#include "../../../core/cache.h"

#include <string.h>

typedef struct cache_object {
  PyObject_HEAD
  sheep_cache *cache;
  canonical_writer writer;
  PyObject *loads; /* json.loads */
} cache_object;

static cache_object *cache_of(PyObject *self) { return (cache_object *)self; }

sheep_cache *cache_handle(PyObject *cache) { return cache_of(cache)->cache; }

/* ---------------------------------------------------------------------- templates */

static void free_dropped(sheep_cache *cache) {
  mpsc_node *dropped = store_take_dropped(cache->entries);
  for (PyObject *decoded; (decoded = attachment_bury(&dropped));) Py_DECREF(decoded);
}

static PyObject *decode(cache_object *self, const cache_entry *entry) {
  PyObject *text = PyUnicode_DecodeUTF8(entry_value(entry), entry->value_length, NULL);
  PyObject *decoded = text ? PyObject_CallFunctionObjArgs(self->loads, text, NULL) : NULL;
  Py_XDECREF(text);
  return decoded;
}

/* The decoded reply with the member that tells a hit; a new reference. */
static PyObject *make_template(cache_object *self, const cache_entry *entry) {
  PyObject *decoded = decode(self, entry);
  if (!decoded) return NULL;
  if (PyDict_CheckExact(decoded) && PyDict_SetItemString(decoded, "cached", Py_True) == 0) return decoded;
  if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "a cached reply is not a JSON object");
  Py_DECREF(decoded);
  return NULL;
}

static int attach(sheep_cache *cache, cache_entry *entry, PyObject *made) {
  Py_ssize_t size = template_size(made);
  if (size < 0) return -1;
  Py_INCREF(made);
  if (!store_attach(cache->entries, entry, made, (size_t)size)) Py_DECREF(made);
  return 0;
}

static PyObject *first_hit(cache_object *self, cache_entry *entry) {
  PyObject *made = make_template(self, entry);
  PyObject *copy = made ? template_copy(made) : NULL;
  if (copy && attach(self->cache, entry, made) != 0) Py_CLEAR(copy);
  Py_XDECREF(made);
  free_dropped(self->cache);
  return copy;
}

static PyObject *reply_of(cache_object *self, cache_hit *hit) {
  PyObject *reply = hit->attached ? template_copy(hit->attached->object) : first_hit(self, hit->entry);
  cache_hit_release(hit);
  return reply;
}

/* ----------------------------------------------------------------------- look-ups */

/* In a cache that serves stale replies sheep_submit looks up once more, and counts. */
static bool find(sheep_cache *cache, const cache_request *request, cache_hit *hit) {
  if (cache->rules.stale_while_revalidate_us)
    return cache_find_again(cache, request, STALE_NEVER, hit);
  return cache_find(cache, request, STALE_NEVER, hit);
}

static PyObject *answer(cache_object *self, const cache_request *request) {
  cache_hit hit;
  if (find(self->cache, request, &hit)) return reply_of(self, &hit);
  free_dropped(self->cache);
  Py_RETURN_NONE;
}

/* look_up(namespace, model, messages, temperature, max_tokens, extra): a dict of the
 * caller's own, None, or NotImplemented when the request must go by its JSON text. */
static PyObject *cache_look_up(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
  cache_object *own = cache_of(self);
  if (count != 6 || !PyDict_Check(arguments[5])) {
    PyErr_SetString(PyExc_TypeError, "look_up: needs a namespace and a request");
    return NULL;
  }
  const char *name_space = read_text(arguments[0], "namespace");
  if (!name_space) return NULL;
  chat_request chat = {arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]};
  if (!canonical_write(&own->writer, &chat)) Py_RETURN_NOTIMPLEMENTED;
  cache_request request;
  cache_request_borrow(&request, own->cache, name_space, own->writer.text.data, own->writer.text.length);
  return answer(own, &request);
}

/* canonical(model, messages, temperature, max_tokens, extra): the text, or None. */
static PyObject *cache_canonical(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
  canonical_writer *writer = &cache_of(self)->writer;
  if (count != 5 || !PyDict_Check(arguments[4])) {
    PyErr_SetString(PyExc_TypeError, "canonical: needs a request");
    return NULL;
  }
  chat_request chat = {arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]};
  if (!canonical_write(writer, &chat)) Py_RETURN_NONE;
  return PyUnicode_DecodeASCII(writer->text.data, (Py_ssize_t)writer->text.length, NULL);
}

/* A namespace and the JSON text of a request, str or bytes. */
typedef struct text_request {
  const char *name_space;
  const char *text;
  Py_ssize_t length;
} text_request;

static int read_request(PyObject *const *arguments, text_request *request) {
  char *bytes = NULL;
  request->name_space = read_text(arguments[0], "namespace");
  if (!request->name_space) return -1;
  if (PyUnicode_Check(arguments[1])) {
    request->text = PyUnicode_AsUTF8AndSize(arguments[1], &request->length);
    return request->text ? 0 : -1;
  }
  int failed = PyBytes_AsStringAndSize(arguments[1], &bytes, &request->length);
  request->text = bytes;
  return failed;
}

static int expect_arguments(const char *name, Py_ssize_t count, Py_ssize_t wanted) {
  if (count == wanted) return 0;
  PyErr_Format(PyExc_TypeError, "%s: expected %zd arguments, got %zd", name, wanted, count);
  return -1;
}

/* look_up_text(namespace, request): as look_up. */
static PyObject *cache_look_up_text(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
  cache_object *own = cache_of(self);
  text_request given;
  cache_request request;
  sheep_error error;
  if (expect_arguments("look_up_text", count, 2) != 0 || read_request(arguments, &given) != 0) return NULL;
  if (cache_request_init(&request, own->cache, given.name_space, given.text, (size_t)given.length,
                         &error) != SHEEP_OK)
    return raise_error(&error);
  PyObject *reply = answer(own, &request);
  cache_request_free(&request);
  return reply;
}

/* ------------------------------------------------------------------------ entries */

static PyObject *cache_generation(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyLong_FromUnsignedLongLong(store_generation(cache_of(self)->cache->entries));
}

/* put(namespace, request, body, generation): whether it is stored now. */
static PyObject *cache_put(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
  cache_object *own = cache_of(self);
  text_request given;
  cache_request request;
  sheep_error error;
  char *body;
  Py_ssize_t length;
  if (expect_arguments("put", count, 4) != 0 || read_request(arguments, &given) != 0) return NULL;
  unsigned long long generation = PyLong_AsUnsignedLongLong(arguments[3]);
  if (PyErr_Occurred() || PyBytes_AsStringAndSize(arguments[2], &body, &length) != 0) return NULL;
  if (cache_request_init(&request, own->cache, given.name_space, given.text, (size_t)given.length,
                         &error) != SHEEP_OK)
    return raise_error(&error);
  request.generation = generation;
  bool kept = cache_keep(own->cache, &request, 200, body, (size_t)length);
  cache_request_free(&request);
  free_dropped(own->cache);
  return PyBool_FromLong(kept);
}

/* delete(namespace, request): whether it was there. */
static PyObject *cache_delete(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
  text_request given;
  sheep_error error;
  if (expect_arguments("delete", count, 2) != 0 || read_request(arguments, &given) != 0) return NULL;
  int32_t result = sheep_cache_delete(cache_of(self)->cache, given.name_space, given.text,
                                      (size_t)given.length, &error);
  free_dropped(cache_of(self)->cache);
  return result < 0 ? raise_error(&error) : PyBool_FromLong(result);
}

/* key(request): the name in Redis. */
static PyObject *cache_key_name(PyObject *self, PyObject *request) {
  char key[SHEEP_KEY_SIZE];
  sheep_error error;
  Py_ssize_t length;
  const char *text = PyUnicode_Check(request) ? PyUnicode_AsUTF8AndSize(request, &length) : NULL;
  if (!text && !PyErr_Occurred() && PyBytes_AsStringAndSize(request, (char **)(void *)&text, &length) != 0)
    return NULL;
  if (!text) return NULL;
  if (sheep_cache_key(cache_of(self)->cache, text, (size_t)length, key, &error) != SHEEP_OK)
    return raise_error(&error);
  return PyUnicode_FromString(key);
}

static PyObject *cache_invalidate_model(PyObject *self, PyObject *model) {
  const char *name = read_text(model, "model");
  if (!name) return NULL;
  if (sheep_cache_invalidate_model(cache_of(self)->cache, name) != SHEEP_OK) return PyErr_NoMemory();
  free_dropped(cache_of(self)->cache);
  Py_RETURN_NONE;
}

static PyObject *cache_clear(PyObject *self, PyObject *unused) {
  (void)unused;
  sheep_cache_clear(cache_of(self)->cache);
  Py_RETURN_NONE;
}

/* -------------------------------------------------------------------------- files */

/* A namespace as str and a path as bytes. */
static int read_file_arguments(PyObject *const *arguments, Py_ssize_t count, const char **name_space,
                               const char **path) {
  if (expect_arguments("path", count, 2) != 0) return -1;
  *name_space = read_text(arguments[0], "namespace");
  *path = *name_space ? PyBytes_AsString(arguments[1]) : NULL;
  return *path ? 0 : -1;
}

static PyObject *cache_save(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
  sheep_error error;
  int32_t result;
  const char *name_space;
  const char *path;
  if (read_file_arguments(arguments, count, &name_space, &path) != 0) return NULL;
  Py_BEGIN_ALLOW_THREADS
  result = sheep_cache_save(cache_of(self)->cache, name_space, path, &error);
  Py_END_ALLOW_THREADS
  if (result) return raise_error(&error);
  Py_RETURN_NONE;
}

static PyObject *cache_load(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
  sheep_error error;
  sheep_cache_loaded loaded = {.size = sizeof loaded};
  int32_t result;
  const char *name_space;
  const char *path;
  if (read_file_arguments(arguments, count, &name_space, &path) != 0) return NULL;
  Py_BEGIN_ALLOW_THREADS
  result = sheep_cache_load(cache_of(self)->cache, name_space, path, &loaded, &error);
  Py_END_ALLOW_THREADS
  if (result) return raise_error(&error);
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K}", "entries", loaded.entries, "expired", loaded.expired,
                       "refused", loaded.refused, "damaged", loaded.damaged, "damaged_bytes",
                       loaded.damaged_bytes);
}

/* ------------------------------------------------------------------------ figures */

static PyObject *refusals(const sheep_cache_stats *s) {
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "status", s->refused_status,
                       "not_json", s->refused_not_json, "error", s->refused_error, "no_choices",
                       s->refused_no_choices, "truncated", s->refused_truncated, "filtered",
                       s->refused_filtered, "no_model", s->refused_no_model, "too_large",
                       s->refused_too_large, "outdated", s->refused_outdated, "no_ttl",
                       s->refused_no_ttl, "too_many_models", s->refused_too_many_models, "no_memory",
                       s->refused_no_memory);
}

static PyObject *cache_stats(PyObject *self, PyObject *unused) {
  (void)unused;
  sheep_cache_stats s = {.size = sizeof s};
  sheep_cache_get_stats(cache_of(self)->cache, &s);
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:N}", "hits", s.hits,
                       "stale_hits", s.stale_hits, "misses", s.misses, "coalesced", s.coalesced,
                       "stores", s.stores, "evictions", s.evictions, "expirations", s.expirations,
                       "invalidations", s.invalidations, "deletions", s.deletions, "entries",
                       s.entries, "bytes", s.bytes, "saved_prompt_tokens", s.saved_prompt_tokens,
                       "saved_completion_tokens", s.saved_completion_tokens, "saved_nanodollars",
                       s.saved_nanodollars, "refused", refusals(&s));
}

/* ------------------------------------------------------------------------- making */

enum { MOST_RULES = 4096 };

/* From a tuple of (model, milliseconds, price); the strings stay theirs. */
static sheep_model_rule *read_rules(PyObject *given) {
  Py_ssize_t count = PyTuple_GET_SIZE(given);
  sheep_model_rule *rules = PyMem_New(sheep_model_rule, (size_t)(count ? count : 1));
  if (!rules) return (sheep_model_rule *)PyErr_NoMemory();
  for (Py_ssize_t i = 0; i < count; i++) {
    long long ttl;
    long long price;
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(given, i), "sLL;models: must hold triples", &rules[i].model,
                          &ttl, &price)) {
      PyMem_Free(rules);
      return NULL;
    }
    rules[i].ttl_ms = ttl;
    rules[i].nanodollars_per_token = price;
  }
  return rules;
}

static int read_options(PyObject *arguments, PyObject *keywords, sheep_cache_options *options,
                        PyObject **rules) {
  static char *names[] = {"flags", "policy", "shards", "max_bytes", "max_item_bytes", "ttl",
                          "stale_while_revalidate", "stale_if_error", "models", NULL};
  long long bytes;
  long long item;
  long long ttl;
  long long revalidate;
  long long failing;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "$IIILLLLLO!:Cache", names, &options->flags,
                                   &options->policy, &options->shards, &bytes, &item, &ttl,
                                   &revalidate, &failing, &PyTuple_Type, rules))
    return -1;
  options->max_bytes = bytes;
  options->max_item_bytes = item;
  options->ttl_ms = ttl;
  options->stale_while_revalidate_ms = revalidate;
  options->stale_if_error_ms = failing;
  return 0;
}

static PyObject *import_loads(void) {
  PyObject *json = PyImport_ImportModule("json");
  PyObject *loads = json ? PyObject_GetAttrString(json, "loads") : NULL;
  Py_XDECREF(json);
  return loads;
}

static PyObject *make(PyTypeObject *type, const sheep_cache_options *options) {
  sheep_error error;
  cache_object *self = (cache_object *)type->tp_alloc(type, 0);
  if (!self) return NULL;
  self->loads = import_loads();
  self->cache = self->loads ? sheep_cache_new(options, &error) : NULL;
  if (self->cache) {
    self->writer.flags = self->cache->rules.canon_flags;
    return (PyObject *)self;
  }
  bool imported = self->loads != NULL;
  Py_DECREF(self);
  return imported ? raise_error(&error) : NULL;
}

static PyObject *cache_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
  PyObject *given = NULL;
  sheep_cache_options options;
  sheep_cache_options_init(&options, sizeof options);
  if (read_options(arguments, keywords, &options, &given) != 0) return NULL;
  sheep_model_rule *rules = read_rules(given);
  if (!rules) return NULL;
  options.models = rules;
  options.model_count = (size_t)PyTuple_GET_SIZE(given);
  PyObject *made = make(type, &options);
  PyMem_Free(rules);
  return made;
}

static void cache_dealloc(PyObject *self) {
  cache_object *own = cache_of(self);
  if (own->cache) {
    store_drop_attachments(own->cache->entries);
    free_dropped(own->cache);
  }
  sheep_cache_free(own->cache);
  buf_free(&own->writer.text);
  Py_XDECREF(own->loads);
  free_object(self);
}

#define FAST(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL

static PyMethodDef cache_methods[] = {
    {"look_up", FAST(cache_look_up),
     "look_up(namespace, model, messages, temperature, max_tokens, extra) -> a dict of the "
     "caller's own, None, or NotImplemented when the request must go by its JSON text."},
    {"look_up_text", FAST(cache_look_up_text), "look_up_text(namespace, request) -> dict or None."},
    {"canonical", FAST(cache_canonical),
     "canonical(model, messages, temperature, max_tokens, extra) -> the canonical text, or None "
     "when the request must go by its JSON text."},
    {"generation", cache_generation, METH_NOARGS, "To be read with a look-up, for put."},
    {"put", FAST(cache_put), "put(namespace, request, body, generation) -> whether it is stored."},
    {"delete", FAST(cache_delete), "delete(namespace, request) -> whether it was there."},
    {"key", cache_key_name, METH_O, "key(request) -> the name in Redis."},
    {"invalidate_model", cache_invalidate_model, METH_O, "Removes exactly a model's replies."},
    {"clear", cache_clear, METH_NOARGS, "Removes all replies."},
    {"save", FAST(cache_save), "save(namespace, path), the path as bytes."},
    {"load", FAST(cache_load), "load(namespace, path) -> what was found, a dict."},
    {"stats", cache_stats, METH_NOARGS, "Counters, a dict."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot cache_slots[] = {{Py_tp_new, cache_new},
                                    {Py_tp_dealloc, cache_dealloc},
                                    {Py_tp_methods, cache_methods},
                                    {0, NULL}};

PyType_Spec cache_spec = {.name = "holysheep._core.Cache",
                          .basicsize = sizeof(cache_object),
                          .flags = Py_TPFLAGS_DEFAULT,
                          .slots = cache_slots};
