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

int work_role(const char *url, const char *table) {
  struct ev_loop *loop = ev_default_loop(0);
  evd_future *opening = evd_storage_open(loop, url, &(evd_options){.table = table});
  evd_storage *storage = NULL;
  if (evd_future_await(opening) || evd_future_storage(opening, &storage)) {
    return failed(opening);
  }
  evd_future_release(opening);
  int status = 0;
  bool left = true;
  while (status == 0 && left) {
    status = work_once(storage, &left);
  }
  evd_future *closed = evd_storage_close(storage, -1);
  (void)evd_future_await(closed);
  evd_future_release(closed);
  ev_loop_destroy(loop);
  return status;
}
