/*
 * A flow of operations: submitted one by one, so many in flight at any time, until all are done.
 */
#ifndef BENCH_FLOW_H
#define BENCH_FLOW_H

#include <stdbool.h>
#include <stddef.h>

#include <evdurable.h>

struct flow {
  evd_storage *storage;
  const char *name; /* of the operation, for errors */
  size_t total;     /* units of work in all */
  size_t in_flight; /* operations at any time */
  size_t unit;      /* the most units that one operation does */

  /* Submits operation `index` (0, 1, ...). */
  evd_future *(*submit)(struct flow *flow, size_t index);
  /* How many units a successful operation did; negative when its result is wrong. */
  int64_t (*done_units)(struct flow *flow, const evd_future *future, size_t index);
  void *data;

  /* The flow's own. */
  size_t submitted, pending, done;
  bool failed;
};

/* Runs the default loop until all is done. False after an error has been printed. */
bool flow_run(struct flow *flow);

#endif
