/* The extension: converts, calls the C ABI, and releases the GIL where a call may
 * block. It holds no policy. */
#include "core_module.h"

static int add_type(PyObject *module, PyType_Spec *spec, const char *name, PyTypeObject **type) {
  *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
  if (!*type) return -1;
  Py_INCREF(*type);
  if (PyModule_AddObject(module, name, (PyObject *)*type) == 0) return 0;
  Py_DECREF(*type);
  return -1;
}

/* The core's registries for fork are the process's, and an I/O thread outlives an
 * interpreter that ends. */
static int refuse_subinterpreters(void) {
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) return 0;
  PyErr_SetString(PyExc_ImportError, "holysheep: cannot be loaded in a subinterpreter");
  return -1;
}

static int module_exec(PyObject *module) {
  if (refuse_subinterpreters() != 0) return -1;
  module_state *state = PyModule_GetState(module);
  if (add_type(module, &cache_spec, "Cache", &state->cache_type) != 0) return -1;
  if (add_type(module, &pool_spec, "Pool", &state->pool_type) != 0) return -1;
  if (add_type(module, &queue_spec, "Queue", &state->queue_type) != 0) return -1;
  if (add_type(module, &reply_spec, "Reply", &state->reply_type) != 0) return -1;
  state->reply_type->tp_new = NULL;
  if (PyModule_AddStringConstant(module, "version", sheep_version()) != 0) return -1;
  return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
  module_state *state = PyModule_GetState(module);
  Py_VISIT(state->cache_type);
  Py_VISIT(state->pool_type);
  Py_VISIT(state->queue_type);
  Py_VISIT(state->reply_type);
  return 0;
}

static int module_clear(PyObject *module) {
  module_state *state = PyModule_GetState(module);
  Py_CLEAR(state->cache_type);
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
