/* A pool's I/O thread: admits calls first come first served, watches over their
 * time, and ends each exactly once. */
#ifndef SHEEP_ENGINE_H
#define SHEEP_ENGINE_H

#include "call.h"
#include "stats.h"

typedef struct engine engine;

/* Starts the thread. NULL with the reason in `error`. `settings` and `counters`
 * must outlive it. */
engine *engine_new(const config *settings, pool_counters *counters, sheep_error *error);

/* From any thread, but not while engine_close runs. */
void engine_submit(engine *running, call *submitted);
int32_t engine_cancel(engine *running, uint64_t id);

/* Ends every call with SHEEP_E_CLOSED, stops the thread and frees it. */
void engine_close(engine *running);

#endif
