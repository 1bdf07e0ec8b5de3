/* The structs of the ABI that carry their size: a caller built against an older or a
 * newer header has a smaller or a larger one. */
#ifndef SHEEP_STRUCTS_H
#define SHEEP_STRUCTS_H

#include "error.h"

/* Zeroes a struct of `size` bytes and notes the size. */
int32_t struct_init(void *object, size_t size);

/* Copies what the caller's struct has of ours; members that it doesn't know are zero.
 * One that is larger than ours may not ask for what this library doesn't know. */
int32_t struct_read(void *own, size_t own_size, const void *given, const char *name,
                    sheep_error *error);

/* Gives the caller as much of ours as its struct, whose size it has set, has room for;
 * the rest of a larger one is zeroed. */
int32_t struct_write(void *given, const void *own, size_t own_size);

#endif
