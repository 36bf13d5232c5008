/*
 * The operations that are measured one by one, and what each run of them works with: the same for
 * an engine and for its floor.
 */
#ifndef BENCH_OPS_H
#define BENCH_OPS_H

#include <stddef.h>

#include <evdurable.h>

#include "bench.h"
#include "rows.h"

enum op { OP_INSERT, OP_GET, OP_UPDATE, OP_CLAIM, OP_CLAIM_TASKS, OP_COUNT };

/* The rows that one claim takes. */
enum { CLAIM_LIMIT = 100 };

/* One operation on a set of rows. Owns nothing. */
struct op_work {
  enum op op;
  const struct target *target;
  const struct rows *rows;   /* to be inserted in order, got and updated in random order */
  const struct rows *others; /* of a claim of some tasks: rows of another task that are due before
                                them; NULL is none */
  size_t passes;             /* how often each row is done: several times if that is soon over */
  evd_filter filter;         /* of the update: ready */
  evd_changes changes;       /* of updates and claims: what makes a row running */
  int64_t before;            /* of the claim: start_at below this */
  int64_t started_at;        /* of the claim */
};

/* What one run showed. */
struct op_run {
  double ops_per_s; /* rows a second */
  double cpu_us_per_op;
  double batch; /* the mean number of rows in a batch */
};

const char *op_name(enum op op);

/* How many rows are done in all, */
static inline size_t op_total(const struct op_work *work) {
  return work->rows->count * work->passes;
}

/* and the id of one of them, in the order of gets and updates. */
static inline const char *op_id(const struct op_work *work, size_t index) {
  return work->rows->ids[work->rows->random[index % work->rows->count]];
}

/* Runs an operation through the library, and through the floor with batches of a given size, of
 * which it has as many in flight as make the same number of rows. The rows are there already, save
 * for an insert. False after an error has been printed. */
bool op_run_engine(const struct op_work *work, size_t in_flight, struct op_run *run);
bool op_run_floor(const struct op_work *work, size_t in_flight, double batch, struct op_run *run);

/* Inserts all rows, through the library. */
bool op_load(const struct op_work *work);

/* Reads all rows back and looks whether they are as the operation should have left them. */
bool op_verify(const struct op_work *work);

#endif
