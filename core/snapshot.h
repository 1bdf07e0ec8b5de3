/* A store's entries in a file, to be kept across restarts: save and load. The
 * file's layout is in snapshot_format.h.
 *
 * A save is written aside, in the same folder, with mode 0600, and renamed when it
 * is on the disk: whoever reads `path` finds the old file or the new one, whole.
 * Shards are read a bounded part at a time, and no lock is held during I/O.
 * A load takes what is sound and says what it left out; it allocates no more than
 * one entry's worth, whatever lengths the file claims. */
#ifndef SHEEP_SNAPSHOT_H
#define SHEEP_SNAPSHOT_H

#include "error.h"
#include "store.h"

#include <stdio.h>

/* On what terms a file is written or read. */
typedef struct snapshot_terms {
  const char *name_space; /* whose file it is: a file of another one is refused */
  size_t namespace_length;
  int64_t now_us;  /* the store's clock */
  int64_t wall_us; /* at the same moment, microseconds since 1970 */
  uint64_t salt;   /* save only: random, new each time; see snapshot_format.h */
} snapshot_terms;

typedef struct snapshot_report {
  uint64_t entries;       /* saved, or loaded */
  uint64_t expired;       /* sound, but past their time */
  uint64_t refused;       /* sound, but the store did not take them: too large, say */
  uint64_t damaged;       /* places where one or more records could not be read */
  uint64_t dropped_bytes; /* there */
  bool truncated;         /* the file's end is missing */
} snapshot_report;

/* 0, or SHEEP_E_SYSTEM with the reason, SHEEP_E_INVALID, SHEEP_E_NOMEM: then `path` is
 * what it was. What expires at `now_us` or has been invalidated is left out. */
int32_t snapshot_save(store *cache, const char *path, const snapshot_terms *terms, snapshot_report *report,
                      sheep_error *error);

/* Adds to what the store holds. SHEEP_E_INVALID: it is no such file, of another version
 * or namespace, and nothing was loaded. SHEEP_E_SYSTEM: it cannot be read; SHEEP_E_NOMEM:
 * then `report` says what was loaded before. */
int32_t snapshot_load(store *cache, const char *path, const snapshot_terms *terms, snapshot_report *report,
                      sheep_error *error);

/* The same from an open file of `size` bytes. */
int32_t snapshot_read(store *cache, FILE *file, uint64_t size, const snapshot_terms *terms,
                      snapshot_report *report, sheep_error *error);

#endif
