/*
 * What the parts of the benchmark share: its options, the errors they print, and the place where a
 * run works.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable.h>

/* What the caller asked for. */
struct bench_options {
  bool sqlite, postgres, mysql;     /* the engines */
  bool tasks, connect, ops, memory; /* the parts */
  bool quick, json;
  const char *only_op; /* the one operation to measure; NULL is all */
  const char *url;     /* instead of the engine's usual place; NULL is that */
  size_t task_count;   /* 0s are each part's default */
  size_t row_count;
  size_t in_flight;
  size_t repetitions;
};

/* How often a part is repeated: 1 to REPETITIONS_MAX times. */
enum { REPETITIONS_MAX = 100 };
size_t bench_repetitions(const struct bench_options *options);

/* Prints an error, made as by printf, to stderr, and returns false. */
bool bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints why a future failed, and returns false. */
bool bench_fail_future(const char *what, const evd_future *future);

/* Shows what is being done, if stderr is a terminal; NULL wipes the line. */
void bench_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Seconds of the wall clock (monotonic), and of this process's CPU time in all its threads. */
double bench_seconds(void);
double bench_cpu_seconds(void);

/* The middle one of some numbers, which are sorted by it; of an even count, the lower one. */
double bench_median(double *numbers, size_t count);

/*
 * A fresh table to work on: for SQLite a file of its own, for a server a table of its own in the
 * database of the URL.
 */
struct target {
  const char *engine;
  bool own_file; /* an SQLite file in our temporary directory */
  char url[1024];
  char table[64];
};

/* Names a fresh table of this engine; nothing is made yet. The server's URL comes from the options,
 * or from EVD_BENCH_POSTGRES_URL or EVD_BENCH_MYSQL_URL. */
bool target_init(struct target *target, const char *engine, const struct bench_options *options);

/* Removes the table or the file; silent when there is none. */
bool target_remove(const struct target *target);

/* Opens a storage on the target and waits for it; creates the table where it is missing. NULL after
 * an error has been printed. */
evd_storage *target_open(const struct target *target, evd_options *options);

/* Closes a storage when all that is pending is done, and waits for that. NULL is fine. */
bool target_close(evd_storage *storage);

/* Removes what is left in the temporary directory, and the directory. */
void targets_clean(void);

/* The parts. Each prints its results for one engine; false after an error has been printed. */
bool bench_tasks(const char *engine, const struct bench_options *options);
bool bench_connect(const char *engine, const struct bench_options *options);
bool bench_ops(const char *engine, const struct bench_options *options);
bool bench_memory(const char *engine, const struct bench_options *options);

#endif
