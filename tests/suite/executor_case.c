/* An executor on the test's storage. */
#include "suite/executor_case.h"

#include <stdlib.h>
#include <string.h>

evd_executor *executor;
evd_run *held;
int calls;

void executor_start(const evd_task *tasks, size_t count, evd_executor_options options) {
  evd_error error;
  held = NULL;
  calls = 0;
  executor = evd_executor_new(suite.storage, &options, &error);
  expect(executor != NULL, "%s", error.message);
  for (size_t i = 0; i < count; i++) {
    expect(evd_executor_add(executor, &tasks[i], &error) == EVD_OK, "%s", error.message);
  }
  assert_int_equal(evd_executor_start(executor), EVD_OK);
}

void executor_stop(void) {
  await_ok(evd_executor_stop(executor, 0));
  executor = NULL;
}

const char *executor_enqueue(evd_spec spec) {
  char *id = keep_memory(EVD_ID_SIZE);
  assert_int_equal(await_count(evd_enqueue(executor, &spec, id)), 1);
  return id;
}

const evd_execution *executor_finished(const char *id) {
  const evd_execution *row = await_row(evd_wait(executor, id, -1));
  expect(row != NULL && row->is_finished, "%s has not finished", id);
  return row;
}

evd_executor_stats executor_stats(void) {
  evd_executor_stats stats;
  evd_executor_stats_get(executor, &stats);
  return stats;
}

static bool all_closed(const evd_execution *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!rows[i].is_finished || rows[i].close_status != EVD_CLOSE_CLOSED) {
      return false;
    }
  }
  return count > 0;
}

const evd_execution *executor_tree_closed(const char *id, size_t *count) {
  const evd_execution *rows = NULL;
  evd_future *future = NULL;
  do {
    evd_future_release(future);
    future = evd_get_tree(suite.storage, id);
    expect(evd_future_await(future) == EVD_OK && evd_future_rows(future, &rows, count) == EVD_OK,
           "%s", evd_future_error(future)->message);
  } while (!all_closed(rows, *count));
  keep_future(future);
  return rows;
}

void executor_end_leases(const char *id, const char *but) {
  size_t count;
  const evd_execution *rows = await_rows(evd_get_tree(suite.storage, id), &count);
  for (size_t i = 0; i < count; i++) {
    const evd_execution *row = &rows[i];
    evd_changes changes = {0};
    bool spared = but != NULL && row->executor_id != NULL && strcmp(row->executor_id, but) == 0;
    if (row->expires_at != EVD_NONE && !row->is_sleeping_task && !spared) {
      evd_set(&changes, expires_at, 1);
    }
    if (row->on_children_finished_processing_expires_at != EVD_NONE) {
      evd_set(&changes, on_children_finished_processing_expires_at, 1);
    }
    if (row->close_expires_at != EVD_NONE) {
      evd_set(&changes, close_expires_at, 1);
    }
    if (changes.set != 0) {
      await_matched(evd_update(suite.storage, row->execution_id, NULL, &changes));
    }
  }
}

long number(const char *text) {
  return strtol(text, NULL, 10);
}

void echo(evd_run *run, void *data) {
  (void)data;
  calls++;
  evd_run_complete(run, evd_run_execution(run)->input);
}

void fail_once(evd_run *run, void *data) {
  (void)data;
  calls++;
  evd_run_fail(run, EVD_STATUS_FAILED, "no", false);
}

void hold(evd_run *run, void *data) {
  (void)data;
  calls++;
  held = run;
}
