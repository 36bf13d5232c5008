/* What a long run and many pending requests hold in memory. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include "bench.h"
#include "report.h"

/* The most samples of a run. */
enum { MEMORY_SAMPLES = 10 };

/*
 * Runs that many inserts, gets, updates and gets of children in a table that grows, and takes
 * MEMORY_SAMPLES samples at even distances. False after an error has been printed.
 */
bool memory_run(evd_storage *storage, size_t operations,
                struct memory_sample samples[MEMORY_SAMPLES]);

/* Whether the last sample is not above the second by more than what a measurement strays. (The
 * first is taken while caches fill.) */
bool memory_is_level(const struct memory_sample samples[MEMORY_SAMPLES]);

/* Inserts all rows of `count` in one tick, notes what they hold while they are pending, and waits
 * for them. */
bool memory_pending(evd_storage *storage, size_t count, struct memory_result *result);

#endif
