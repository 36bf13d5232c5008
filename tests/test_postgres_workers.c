/*
 * Three processes claim, finish and close 10,000 children of 100 parents, while the server is
 * killed and started again: none is finished twice, none is lost, and every parent's counter ends
 * at exactly zero. A claim whose answer was lost leaves rows running that nobody runs: they expire
 * and are claimed again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "support/await.h"
#include "support/check.h"
#include "support/native_sql.h"
#include "support/postgres_server.h"
#include "support/process.h"
#include "support/sample.h"
#include "support/watchdog.h"

enum {
  PROCESSES = 3,
  PARENTS = 100,
  CHILDREN = 100,
  ROWS = PARENTS * CHILDREN,
  KILLS = 3,
  TIMEOUT_MS = 300, /* of a row's run */
  IDLE_ROUNDS = 12, /* after which a worker ends */
  IDLE_MS = 100     /* each; together longer than a row's time-out */
};

static const struct evd_options worker_options = {.operation_timeout_ms = 60000};

/* A worker. In these processes there is no cmocka: what must not be ends them. */

struct worker_state {
  struct ev_loop *loop;
  evd_storage *storage;
  int *finished; /* row numbers, as acknowledged */
  size_t finished_count;
};

static void fail_worker(const evd_future *future, const char *what) {
  (void)fprintf(stderr, "worker: %s: %s\n", what, evd_future_error(future)->message);
  exit(1);
}

/* Waits; false when the server was in trouble. */
static bool await_worker(evd_future *future, const char *what) {
  evd_code code = evd_future_await(future);
  if (code != EVD_OK && code != EVD_EUNAVAILABLE) {
    fail_worker(future, what);
  }
  return code == EVD_OK;
}

static bool finish_rows(struct worker_state *worker, const evd_execution *rows, size_t count) {
  evd_future *futures[64];
  evd_changes changes = {0};
  evd_set(&changes, status, EVD_STATUS_COMPLETED);
  evd_set(&changes, is_finished, true);
  evd_unset(&changes, expires_at);
  for (size_t i = 0; i < count; i++) {
    futures[i] = evd_update(worker->storage, rows[i].execution_id,
                            &(evd_filter){.status = EVD_STATUS_RUNNING}, &changes);
  }
  for (size_t i = 0; i < count; i++) {
    bool matched = false;
    if (await_worker(futures[i], "finish") && evd_future_matched(futures[i], &matched) == EVD_OK &&
        matched) {
      worker->finished[worker->finished_count++] =
          (int)strtol(strrchr(rows[i].execution_id, '_') + 1, NULL, 10);
    }
    evd_future_release(futures[i]);
  }
  return count > 0;
}

static bool claim_and_finish(struct worker_state *worker) {
  evd_changes changes = {0};
  evd_set(&changes, status, EVD_STATUS_RUNNING);
  int64_t now = evd_now();
  evd_future *claim = evd_claim_by_start_at(
      worker->storage,
      &(evd_due){.status = EVD_STATUS_READY, .start_at_before = now, .started_at = now}, &changes,
      64);
  const evd_execution *rows = NULL;
  size_t count = 0;
  bool worked = await_worker(claim, "claim") && evd_future_rows(claim, &rows, &count) == EVD_OK &&
                finish_rows(worker, rows, count);
  evd_future_release(claim);
  return worked;
}

/* Whether an operation touched rows. */
static bool touched(evd_future *future, const char *what) {
  int64_t count = 0;
  bool ok = await_worker(future, what) && evd_future_count(future, &count) == EVD_OK;
  evd_future_release(future);
  return ok && count > 0;
}

static bool close_rows(struct worker_state *worker) {
  evd_changes changes = {0};
  evd_set(&changes, close_status, EVD_CLOSE_READY);
  return touched(evd_close_finished(worker->storage, true, EVD_CLOSE_IDLE, &changes, 100), "close");
}

static bool expire_rows(struct worker_state *worker) {
  evd_changes changes = {0};
  evd_set(&changes, status, EVD_STATUS_READY);
  evd_unset(&changes, expires_at);
  const evd_expired expired = {.status = EVD_STATUS_RUNNING, .expires_at_before = evd_now()};
  return touched(evd_expire_by_expires_at(worker->storage, &expired, &changes, 100), "expire");
}

/* On a machine that is slow, the server may be killed before a worker has begun. */
static void open_worker(struct worker_state *worker, const char *url) {
  bool opened = false;
  while (!opened) {
    evd_future *opening = evd_storage_open(worker->loop, url, &worker_options);
    opened =
        await_worker(opening, "open") && evd_future_storage(opening, &worker->storage) == EVD_OK;
    evd_future_release(opening);
    if (!opened) {
      ev_sleep(IDLE_MS / 1000.);
    }
  }
}

static int work(const char *url) {
  struct worker_state worker = {.loop = ev_loop_new(EVFLAG_AUTO),
                                .finished = calloc(ROWS, sizeof *worker.finished)};
  if (worker.finished == NULL) {
    return 1;
  }
  open_worker(&worker, url);
  for (int idle = 0; idle < IDLE_ROUNDS;) {
    bool worked = claim_and_finish(&worker);
    worked = close_rows(&worker) || worked;
    worked = expire_rows(&worker) || worked;
    idle = worked ? 0 : idle + 1;
    if (!worked) {
      ev_sleep(IDLE_MS / 1000.);
    }
  }
  evd_future *closed = evd_storage_close(worker.storage, -1);
  (void)evd_future_await(closed);
  evd_future_release(closed);
  for (size_t i = 0; i < worker.finished_count; i++) {
    (void)printf("%d\n", worker.finished[i]);
  }
  free(worker.finished);
  ev_loop_destroy(worker.loop);
  return 0;
}

/* The test. */

static void insert_families(const char *url) {
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  evd_options options = {.schema = EVD_SCHEMA_CREATE};
  evd_storage *storage = await_storage(evd_storage_open(loop, url, &options));
  for (int i = 0; i < PARENTS; i++) {
    evd_execution rows[CHILDREN + 1];
    for (int j = 0; j < CHILDREN; j++) {
      rows[j] = sample_child(text("te_child_%d", i * CHILDREN + j), text("te_parent_%d", i), j);
      rows[j].timeout_ms = TIMEOUT_MS;
    }
    rows[CHILDREN] = sample_parent(text("te_parent_%d", i), CHILDREN);
    await_ok(evd_insert(storage, rows, CHILDREN + 1));
  }
  await_ok(evd_storage_close(storage, -1));
  ev_loop_destroy(loop);
}

/* Counts how often each row was finished, from a worker's output. */
static void count_finished(const struct process *process, int *times) {
  FILE *output = fdopen(dup(process->output), "r");
  char line[32];
  assert_non_null(output);
  while (fgets(line, sizeof line, output) != NULL) {
    times[strtol(line, NULL, 10)]++;
  }
  (void)fclose(output);
}

static void await_the_first_rows(const char *url) {
  struct native *native = native_open(url);
  while (native_number(native, "select count(*) from task_executions where status = 'completed'") ==
         0) {
    ev_sleep(0.01);
  }
  native_close(native);
}

static void processes_share_the_work_while_the_server_is_killed(void **state) {
  needs_postgres();
  struct postgres_server server = {0};
  postgres_server_start(&server, false, "");
  insert_families(server.url);
  watchdog(600);
  struct process processes[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) {
    processes[i] = process_start((const char *const[]){"work", server.url, NULL});
  }
  await_the_first_rows(server.url);
  struct native *native = NULL;
  for (int i = 0; i < KILLS; i++) {
    ev_sleep(0.25);
    postgres_server_kill(&server);
    ev_sleep(0.1);
    postgres_server_restart(&server);
    native = native_open(server.url);
    if (i == 0) {
      expect(native_number(native, "select count(*) from task_executions where status <> "
                                   "'completed' and parent_execution_id is not null") > 0,
             "the work was done before the server was killed");
    }
    native_close(native);
  }
  int *times = keep_memory(ROWS * sizeof *times);
  for (int i = 0; i < PROCESSES; i++) {
    count_finished(&processes[i], times);
    assert_int_equal(process_wait(&processes[i]), 0);
  }
  for (int i = 0; i < ROWS; i++) {
    expect(times[i] <= 1, "row %d was finished %d times", i, times[i]);
  }
  native = native_open(server.url);
  assert_int_equal(native_number(native, "select count(*) from task_executions where status = "
                                         "'completed' and close_status = 'ready'"),
                   ROWS);
  assert_int_equal(native_number(native,
                                 "select count(*) from task_executions where "
                                 "parent_execution_id is null and active_children_count = 0"),
                   PARENTS);
  native_close(native);
  watchdog(0);
  postgres_server_end(&server);
  release_kept();
}

int main(int count, char **arguments) {
  if (count == 3 && strcmp(arguments[1], "work") == 0) {
    return work(arguments[2]);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(processes_share_the_work_while_the_server_is_killed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
