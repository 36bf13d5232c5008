/* What is printed: tables for people, or a JSON object a line. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stddef.h>

#include "bench.h"
#include "loop_delay.h"

/* How the loop's thread is run: as any other, or in real time. */
enum mode { MODE_USUAL, MODE_REALTIME, MODE_COUNT };

struct tasks_result {
  const char *engine;
  enum mode mode;
  size_t tasks, in_flight;
  double tasks_per_s;
  double cpu_us_per_task;
  struct delays delay;
  struct delays turns; /* the CPU time of the loop's turns */
  struct delays idle;  /* of a loop that has nothing else to do, just before */
};

struct connect_result {
  const char *engine;
  enum mode mode;
  size_t connections;
  double connections_per_s;
  struct delays delay, turns, idle; /* as above */
};

struct ops_result {
  const char *engine, *op;
  size_t in_flight;
  double batch;
  double ops_per_s, floor_ops_per_s, ratio;
  double cpu_us_per_op, floor_cpu_us_per_op;
};

struct memory_result {
  const char *engine;
  size_t pending;              /* requests submitted in one tick */
  double bytes_per_request;    /* as the storage counts them */
  double resident_start;       /* MiB: before the first operation */
  double resident_pending;     /* MiB: with all of them pending */
  double resident_per_request; /* bytes more for each */
};

/* One sample of a long run. */
struct memory_sample {
  size_t operations;
  double resident; /* MiB */
  double heap;     /* MiB in use */
};

void report_tasks_head(const struct bench_options *options);

/* The tasks of an engine in each mode; NULL for one that was not run. */
void report_tasks(const struct bench_options *options,
                  const struct tasks_result *const results[MODE_COUNT]);

void report_connect_head(const struct bench_options *options);
void report_connect(const struct bench_options *options,
                    const struct connect_result *const results[MODE_COUNT]);
void report_ops_head(const struct bench_options *options);
void report_ops(const struct bench_options *options, const struct ops_result *result);
void report_memory_head(const struct bench_options *options);
void report_memory(const struct bench_options *options, const struct memory_result *result);
void report_memory_sample(const struct bench_options *options, const char *engine,
                          const struct memory_sample *sample);

#endif
