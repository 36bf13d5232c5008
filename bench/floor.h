/*
 * The floor of a database: the same work done by the shortest direct use of the database's own
 * client, with the same SQL and batches of the same size, without futures, loader or threads.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>

#include "bench.h"
#include "ops.h"
#include "rows.h"

struct floor;

struct floor_ops {
  const char *engine;
  const char *settle; /* what to run on a loaded table, before its name; NULL for nothing */

  /* Connects to the target's database. NULL after an error has been printed. */
  struct floor *(*open)(const struct target *target);

  /* Runs one statement without parameters or result. */
  bool (*execute)(struct floor *floor, const char *sql);

  /* What is not measured: makes ready for `depth` batches in flight. NULL for nothing. */
  bool (*prepare)(struct floor *floor, const struct op_work *work, size_t depth);

  /* Does one operation on all rows, `batch` at a time (`depth` batches in flight where the client
   * can do that). *done is the number of rows inserted, found, matched or claimed. */
  bool (*run)(struct floor *floor, const struct op_work *work, size_t batch, size_t depth,
              size_t *done);

  void (*close)(struct floor *floor);
};

extern const struct floor_ops floor_sqlite, floor_postgres, floor_mysql;

/* The floor of an engine; NULL, after an error has been printed, when it was not built in. */
const struct floor_ops *floor_for_engine(const char *engine);

/* Runs a command on the target's table, which is named after it, e.g. "drop table". */
bool floor_execute(const struct target *target, const char *command);

/* Has the database look at a table that was just loaded, where it does so only by and by. */
bool floor_settle(const struct target *target);

#endif
