/* Runs batches on an engine, without a loader. */
#include "support/engine_driver.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "model/execution.h"
#include "support/check.h"

enum { BATCH_MAX = 512 };

static void on_opened(void *owner, const evd_error *error) {
  struct driver *driver = owner;
  driver->opened = true;
  driver->open_error = error != NULL ? *error : (evd_error){0};
}

/* Wakes driver_wait(). */
static void on_batch_done(struct batch *batch) {
  batch->done = NULL;
}

static void on_capacity_grew(void *owner) {
  (void)owner;
}

static void on_log(void *owner, evd_log_level level, const char *message) {
  (void)level;
  struct driver *driver = owner;
  snprintf(driver->log, sizeof driver->log, "%s", message);
}

static void on_closed(void *owner) {
  struct driver *driver = owner;
  driver->closed = true;
}

/* Waits for the end of an engine that is closing. */
static void wait_until_closed(struct driver *driver) {
  while (!driver->closed) {
    ev_run(driver->loop, EVRUN_ONCE);
  }
  ev_loop_destroy(driver->loop);
}

void driver_open(struct driver *driver, const char *url, const char *table,
                 evd_schema_mode schema) {
  *driver = (struct driver){.loop = ev_loop_new(EVFLAG_AUTO)};
  assert_non_null(driver->loop);
  driver->ops = engine_for_url(url, &driver->open_error);
  struct engine_config config = {
      .loop = driver->loop,
      .url = url,
      .table = table != NULL ? table : "task_executions",
      .schema = schema,
      .test_mode = true,
      .timeout_ms = 30000,
      .callbacks = {on_opened, on_capacity_grew, on_log, on_closed, driver},
  };
  driver->engine = driver->ops != NULL ? driver->ops->open(&config, &driver->open_error) : NULL;
  if (driver->engine == NULL) {
    ev_loop_destroy(driver->loop);
    return;
  }
  while (!driver->opened) {
    ev_run(driver->loop, EVRUN_ONCE);
  }
  if (driver->open_error.code != EVD_OK) {
    wait_until_closed(driver);
  }
}

void driver_open_new(struct driver *driver, const char *url) {
  driver_open(driver, url, NULL, EVD_SCHEMA_CREATE);
  expect(driver->open_error.code == EVD_OK, "%s: %s", url, driver->open_error.message);
}

evd_error driver_open_fails(const char *url, const char *table, evd_schema_mode schema) {
  struct driver driver;
  driver_open(&driver, url, table, schema);
  expect(driver.open_error.code != EVD_OK, "%s opens", url);
  return driver.open_error;
}

void driver_submit(struct driver *driver, struct batch *batch) {
  batch->done = on_batch_done;
  batch->record_queries = driver->record_queries;
  driver->ops->submit(driver->engine, batch);
}

void driver_wait(struct driver *driver, struct batch *batch) {
  while (batch->done != NULL) {
    ev_run(driver->loop, EVRUN_ONCE);
  }
}

evd_error driver_run(struct driver *driver, struct request *requests, size_t count) {
  struct request *pointers[BATCH_MAX];
  assert_true(count <= BATCH_MAX);
  for (size_t i = 0; i < count; i++) {
    pointers[i] = &requests[i];
  }
  struct batch batch = {.operation = requests[0].operation, .count = count, .requests = pointers};
  driver_submit(driver, &batch);
  driver_wait(driver, &batch);
  left_out_free(&batch.left_out);
  return batch.error;
}

void driver_run_ok(struct driver *driver, struct request *requests, size_t count) {
  evd_error error = driver_run(driver, requests, count);
  expect(error.code == EVD_OK, "%s fails: %s", evd_operation_name(requests[0].operation),
         error.message);
}

void driver_insert(struct driver *driver, const evd_execution *executions, size_t count) {
  struct request requests[BATCH_MAX] = {{0}};
  assert_true(count <= BATCH_MAX);
  for (size_t i = 0; i < count; i++) {
    requests[i] = (struct request){
        .operation = EVD_OPERATION_INSERT, .executions = &executions[i], .execution_count = 1};
  }
  driver_run_ok(driver, requests, count);
}

const evd_execution *driver_get(struct driver *driver, const char *id) {
  struct request request = {.operation = EVD_OPERATION_GET, .id = id};
  driver_run_ok(driver, &request, 1);
  if (records_count(request.rows) == 0) {
    return NULL;
  }
  const evd_execution *row = records_rows(request.rows);
  char *room = keep_memory(execution_text_size(row));
  evd_execution *copy = keep_memory(sizeof *copy);
  execution_copy_into(copy, row, &room);
  records_release(request.rows);
  return copy;
}

void driver_close(struct driver *driver) {
  driver->ops->close(driver->engine, false);
  wait_until_closed(driver);
}

struct request driver_insertion(const evd_execution *execution) {
  return (struct request){
      .operation = EVD_OPERATION_INSERT, .executions = execution, .execution_count = 1};
}

evd_error driver_insert_one(struct driver *driver, const evd_execution *execution) {
  struct request request = driver_insertion(execution);
  return driver_run(driver, &request, 1);
}

struct request driver_updating(const char *id, const evd_changes *changes) {
  return (struct request){.operation = EVD_OPERATION_UPDATE, .id = id, .changes = changes};
}
