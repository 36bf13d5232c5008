/* Other processes that claim from the same table. */
#include "suite/processes.h"

#include <stdio.h>

#include "suite/suite.h"

/* In these processes there is no cmocka: the first thing that goes wrong ends them. */
static int failed(evd_future *future) {
  fprintf(stderr, "%s\n", evd_future_error(future)->message);
  evd_future_release(future);
  return 1;
}

/* Finishes the claimed rows, all at once. */
static int finish_all(evd_storage *storage, const evd_execution *rows, size_t count) {
  evd_future *futures[20];
  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&changes, is_finished, true);
  for (size_t i = 0; i < count; i++) {
    puts(rows[i].execution_id);
    futures[i] = evd_update(storage, rows[i].execution_id,
                            &(evd_filter){.status = EVD_STATUS_RUNNING}, &changes);
  }
  evd_future *all = evd_future_all(futures, count);
  if (evd_future_await(all)) {
    return failed(all);
  }
  for (size_t i = 0; i < count; i++) {
    bool matched = false;
    (void)evd_future_matched(evd_future_at(all, i), &matched);
    if (!matched) {
      return failed(all);
    }
  }
  evd_future_release(all);
  return 0;
}

/* One round; *left is cleared when there was nothing to claim and nothing to close. */
static int work_once(evd_storage *storage, bool *left) {
  evd_changes run = sample_changes(EVD_STATUS_RUNNING);
  evd_changes close = sample_changes(0);
  evd_set(&close, close_status, EVD_CLOSE_READY);
  evd_future *claim = evd_claim_by_start_at(storage, sample_due(SAMPLE_TIME + 1000), &run, 20);
  const evd_execution *rows;
  size_t count;
  if (evd_future_await(claim) || evd_future_rows(claim, &rows, &count)) {
    return failed(claim);
  }
  if (count > 0 && finish_all(storage, rows, count)) {
    return 1;
  }
  evd_future_release(claim);
  evd_future *closing = evd_close_finished(storage, true, EVD_CLOSE_IDLE, &close, 30);
  int64_t closed = 0;
  if (evd_future_await(closing) || evd_future_count(closing, &closed)) {
    return failed(closing);
  }
  evd_future_release(closing);
  *left = count > 0 || closed > 0;
  return 0;
}

static int work(evd_storage *storage) {
  int status = 0;
  bool left = true;
  while (status == 0 && left) {
    status = work_once(storage, &left);
  }
  return status;
}

/* Waits until the successor has claimed the row. */
static int await_successor(evd_storage *storage, const char *id) {
  const evd_execution *row = NULL;
  while (row == NULL) {
    evd_future *get = evd_get(storage, id, &(evd_filter){.executor_id = LATE_SUCCESSOR});
    if (evd_future_await(get) || evd_future_row(get, &row)) {
      return failed(get);
    }
    evd_future_release(get);
  }
  return 0;
}

static int store_late(evd_storage *storage, const evd_execution *claimed) {
  evd_filter mine = {.status = EVD_STATUS_RUNNING,
                     .executor_id = claimed->executor_id,
                     .started_at = claimed->started_at};
  evd_changes outcome = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&outcome, is_finished, true);
  evd_set(&outcome, output, "\"late\"");
  bool matched;
  evd_future *update = evd_update(storage, claimed->execution_id, &mine, &outcome);
  if (evd_future_await(update) || evd_future_matched(update, &matched)) {
    return failed(update);
  }
  printf("%s %s\n", matched ? "stored" : "lost", claimed->execution_id);
  evd_future_release(update);
  return 0;
}

static int be_late(evd_storage *storage) {
  evd_changes run = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&run, executor_id, LATE_EXECUTOR);
  evd_set(&run, started_at, SAMPLE_TIME);
  const evd_execution *rows;
  size_t count;
  evd_future *claim = evd_claim_by_start_at(storage, sample_due(SAMPLE_TIME + 1000), &run, 1);
  if (evd_future_await(claim) || evd_future_rows(claim, &rows, &count) || count != 1) {
    return failed(claim);
  }
  printf("claimed %s\n", rows[0].execution_id);
  fflush(stdout);
  int status = await_successor(storage, rows[0].execution_id);
  if (status == 0) {
    status = store_late(storage, &rows[0]);
  }
  evd_future_release(claim);
  return status;
}

/* Plays a role with a storage of its own. */
static int play(const char *url, const char *table, int (*role)(evd_storage *storage)) {
  struct ev_loop *loop = ev_default_loop(0);
  evd_future *opening = evd_storage_open(loop, url, &(evd_options){.table = table});
  evd_storage *storage = NULL;
  if (evd_future_await(opening) || evd_future_storage(opening, &storage)) {
    return failed(opening);
  }
  evd_future_release(opening);
  int status = role(storage);
  evd_future *closed = evd_storage_close(storage, -1);
  (void)evd_future_await(closed);
  evd_future_release(closed);
  ev_loop_destroy(loop);
  return status;
}

int work_role(const char *url, const char *table) {
  return play(url, table, work);
}

int late_role(const char *url, const char *table) {
  return play(url, table, be_late);
}
