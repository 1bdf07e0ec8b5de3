/* Which entries are looked up, one after the other: numbers below `entries`, the same
 * ones every time. */
#ifndef BENCH_ORDERS_H
#define BENCH_ORDERS_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOOK_UPS = 1 << 22 };

static void die(const char *what) {
  fprintf(stderr, "look_up: %s\n", what);
  exit(1);
}

static void *allocate(size_t size) {
  void *block = malloc(size);
  if (!block) die("out of memory");
  return block;
}

/* SplitMix64. */
static uint64_t random_next(uint64_t *state) {
  uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);
  mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
  return mixed ^ (mixed >> 31);
}

static uint32_t *uniform_order(uint32_t entries) {
  uint32_t *order = allocate(LOOK_UPS * sizeof *order);
  uint64_t state = 1;
  for (size_t i = 0; i < LOOK_UPS; i++) order[i] = (uint32_t)(random_next(&state) % entries);
  return order;
}

/* The first entry whose sum is not below `at`. */
static uint32_t rank_at(const double *sums, uint32_t entries, double at) {
  uint32_t low = 0;
  for (uint32_t high = entries - 1; low < high;) {
    uint32_t middle = (low + high) / 2;
    if (sums[middle] < at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Zipf with exponent 0.99, as YCSB has it. */
static uint32_t *zipf_order(uint32_t entries) {
  uint32_t *order = allocate(LOOK_UPS * sizeof *order);
  double *sums = allocate(entries * sizeof *sums);
  double sum = 0;
  for (uint32_t i = 0; i < entries; i++) sums[i] = sum += 1 / pow(i + 1, 0.99);
  uint64_t state = 2;
  for (size_t i = 0; i < LOOK_UPS; i++)
    order[i] = rank_at(sums, entries, (double)(random_next(&state) >> 11) / 9007199254740992.0 * sum);
  free(sums);
  return order;
}

#endif
