/*
 * An engine without the rooms above it: opens it on a loop of its own, gives it batches and waits
 * for their answers. For what the public interface hides.
 */
#ifndef SUPPORT_ENGINE_DRIVER_H
#define SUPPORT_ENGINE_DRIVER_H

#include <stdbool.h>

#include "engine/engine.h"

/* An open engine. Lives until driver_close(). */
struct driver {
  struct ev_loop *loop;
  const struct engine_ops *ops;
  struct engine *engine;
  bool opened;
  bool closed;
  evd_error open_error;
  char log[256];       /* the last message */
  bool record_queries; /* of the batches to come */
};

/* Opens; the driver's open_error says how that ended. On failure everything but the driver itself
 * is closed. `table` may be NULL. */
void driver_open(struct driver *driver, const char *url, const char *table, evd_schema_mode schema);

/* Opens, and fails the test when that fails; EVD_SCHEMA_CREATE. */
void driver_open_new(struct driver *driver, const char *url);

/* The error with which opening fails; fails the test when it does not. */
evd_error driver_open_fails(const char *url, const char *table, evd_schema_mode schema);

/* Submits a batch without waiting: `batch` has its operation, count and requests filled in. */
void driver_submit(struct driver *driver, struct batch *batch);

/* Waits for a batch submitted. */
void driver_wait(struct driver *driver, struct batch *batch);

/* Runs requests of one operation as one batch; the batch's error. */
evd_error driver_run(struct driver *driver, struct request *requests, size_t count);

/* The same, which must succeed. */
void driver_run_ok(struct driver *driver, struct request *requests, size_t count);

/* Inserts executions one a request, in one batch; must succeed. */
void driver_insert(struct driver *driver, const evd_execution *executions, size_t count);

/* The row with this id, until release_kept(); NULL when there is none. */
const evd_execution *driver_get(struct driver *driver, const char *id);

/* Closes the engine when all batches are answered. */
void driver_close(struct driver *driver);

/* The insertion of one execution. */
struct request driver_insertion(const evd_execution *execution);

/* The update of one execution. */
struct request driver_updating(const char *id, const evd_changes *changes);

/* Inserts one execution; the error. */
evd_error driver_insert_one(struct driver *driver, const evd_execution *execution);

#endif
