/* Operations that select rows, in a form that tests can loop over. */
#include "suite/selections.h"

#include <string.h>

#include "suite/suite.h"

/* Below SAMPLE_TIME, by which the rows of other tests are made. */
#define BEFORE (SAMPLE_TIME + 1000)

static void select_start_at(evd_execution *row, int order) {
  row->start_at = SAMPLE_TIME + order;
}

static evd_future *claim_start_at(evd_storage *storage, const evd_changes *changes, int64_t limit) {
  return evd_claim_by_start_at(storage,
                               &(evd_due){.status = EVD_STATUS_READY,
                                          .start_at_before = BEFORE,
                                          .started_at = SAMPLE_TIME + 7},
                               changes, limit);
}

static void leave_status(evd_changes *changes) {
  evd_set(changes, status, EVD_STATUS_CANCELLED);
}

static void select_children_finished(evd_execution *row, int order) {
  row->status = EVD_STATUS_WAITING_FOR_CHILDREN;
  row->updated_at = SAMPLE_TIME + order;
}

static evd_future *claim_children_finished(evd_storage *storage, const evd_changes *changes,
                                           int64_t limit) {
  return evd_claim_by_children_finished(storage, sample_parents, changes, limit);
}

static void leave_ocfp_status(evd_changes *changes) {
  evd_set(changes, on_children_finished_processing_status, EVD_OCFP_PROCESSING);
}

static void select_close_status(evd_execution *row, int order) {
  row->close_status = EVD_CLOSE_READY;
  row->updated_at = SAMPLE_TIME + order;
}

static evd_future *claim_close_status(evd_storage *storage, const evd_changes *changes,
                                      int64_t limit) {
  return evd_claim_by_close_status(storage, EVD_CLOSE_READY, changes, limit);
}

static void leave_close_status(evd_changes *changes) {
  evd_set(changes, close_status, EVD_CLOSE_CLOSED);
}

static void select_cancellation(evd_execution *row, int order) {
  row->executor_id = "executor";
  row->needs_promise_cancellation = true;
  row->updated_at = SAMPLE_TIME + order;
}

static evd_future *claim_cancellation(evd_storage *storage, const evd_changes *changes,
                                      int64_t limit) {
  return evd_claim_by_cancellation(storage, "executor", true, changes, limit);
}

static void leave_cancellation(evd_changes *changes) {
  evd_set(changes, needs_promise_cancellation, false);
}

static void select_expires_at(evd_execution *row, int order) {
  row->status = EVD_STATUS_RUNNING;
  row->expires_at = SAMPLE_TIME + order;
}

static evd_future *expire_expires_at(evd_storage *storage, const evd_changes *changes,
                                     int64_t limit) {
  return evd_expire_by_expires_at(storage, sample_expired(BEFORE), changes, limit);
}

static void leave_expires_at(evd_changes *changes) {
  evd_unset(changes, expires_at);
}

static void select_ocfp_expires_at(evd_execution *row, int order) {
  row->on_children_finished_processing_expires_at = SAMPLE_TIME + order;
}

static evd_future *expire_ocfp_expires_at(evd_storage *storage, const evd_changes *changes,
                                          int64_t limit) {
  return evd_expire_by_ocfp_expires_at(storage, BEFORE, changes, limit);
}

static void leave_ocfp_expires_at(evd_changes *changes) {
  evd_unset(changes, on_children_finished_processing_expires_at);
}

static void select_close_expires_at(evd_execution *row, int order) {
  row->close_expires_at = SAMPLE_TIME + order;
}

static evd_future *expire_close_expires_at(evd_storage *storage, const evd_changes *changes,
                                           int64_t limit) {
  return evd_expire_by_close_expires_at(storage, BEFORE, changes, limit);
}

static void leave_close_expires_at(evd_changes *changes) {
  evd_unset(changes, close_expires_at);
}

static void select_finished(evd_execution *row, int order) {
  row->status = EVD_STATUS_COMPLETED;
  row->is_finished = true;
  row->updated_at = SAMPLE_TIME + order;
}

static evd_future *close_finished(evd_storage *storage, const evd_changes *changes, int64_t limit) {
  return evd_close_finished(storage, true, EVD_CLOSE_IDLE, changes, limit);
}

const struct selection selections[SELECTIONS] = {
    {"claim_by_start_at", true, select_start_at, claim_start_at, leave_status},
    {"claim_by_children_finished", true, select_children_finished, claim_children_finished,
     leave_ocfp_status},
    {"claim_by_close_status", true, select_close_status, claim_close_status, leave_close_status},
    {"claim_by_cancellation", true, select_cancellation, claim_cancellation, leave_cancellation},
    {"expire_by_expires_at", false, select_expires_at, expire_expires_at, leave_expires_at},
    {"expire_by_ocfp_expires_at", false, select_ocfp_expires_at, expire_ocfp_expires_at,
     leave_ocfp_expires_at},
    {"expire_by_close_expires_at", false, select_close_expires_at, expire_close_expires_at,
     leave_close_expires_at},
    {"close_finished", false, select_finished, close_finished, leave_close_status},
};

void selection_apply(const struct selection *selection, evd_execution *row,
                     const evd_changes *changes) {
  sample_apply(row, changes);
  if (selection->run == claim_start_at) {
    row->expires_at = SAMPLE_TIME + 7 + row->timeout_ms;
  }
}

int64_t selection_count(const struct selection *selection, evd_future *future) {
  if (!selection->returns_rows) {
    return await_count(future);
  }
  size_t count;
  await_rows(future, &count);
  return (int64_t)count;
}

/* Inserts so many rows that the operation selects, in another order than it selects them; and as
 * many that it does not. The rows that it selects, in their order. */
static evd_execution *insert_selected(const struct selection *selection, int count) {
  evd_execution *rows = keep_memory(2 * (size_t)count * sizeof *rows);
  evd_execution *shuffled = keep_memory(2 * (size_t)count * sizeof *rows);
  for (int i = 0; i < count; i++) {
    int mixed = i * 37 % 101 % count;
    rows[i] = sample_execution(text("te_%03d_%03d", 100 - mixed, i));
    selection->make_selected(&rows[i], i);
    rows[count + i] = sample_execution(text("te_other_%03d", i));
    rows[count + i].start_at = BEFORE;
    rows[count + i].needs_promise_cancellation = i % 2;
    rows[count + i].executor_id = i % 2 ? "another" : "executor";
  }
  for (int i = 0; i < 2 * count; i++) {
    shuffled[i] = rows[2 * count - 1 - i];
  }
  await_ok(evd_insert(suite.storage, shuffled, 2 * (size_t)count));
  return rows;
}

/* The row's unchanged when it was not among those selected, else as it should be afterwards. */
static void expect_selected(const struct selection *selection, evd_execution *rows, int count,
                            int first, int end, const evd_changes *changes) {
  for (int i = first; i < end; i++) {
    selection_apply(selection, &rows[i], changes);
  }
  for (int i = 0; i < 2 * count; i++) {
    suite_expect(&rows[i]);
  }
}

/* Runs the operation, and checks that it took the rows from `first` to `end`, in order. */
static void run_and_expect(const struct selection *selection, evd_execution *rows, int count,
                           int first, int end, const evd_changes *changes, int64_t limit) {
  evd_future *future = keep_future(selection->run(suite.storage, changes, limit));
  assert_int_equal(evd_future_await(future), EVD_OK);
  int64_t touched = -1;
  assert_int_equal(evd_future_count(future, &touched), EVD_OK);
  expect(touched == end - first, "%s: %lld rows, not %d", selection->name, (long long)touched,
         end - first);
  expect_selected(selection, rows, count, first, end, changes);
  if (!selection->returns_rows) {
    return;
  }
  const evd_execution *returned;
  size_t returned_count;
  assert_int_equal(evd_future_rows(future, &returned, &returned_count), EVD_OK);
  assert_int_equal(returned_count, end - first);
  for (int i = first; i < end; i++) {
    expect_row(&returned[i - first], &rows[i]);
  }
}

/* Has each operation do this with 40 rows to select. */
static void for_each(void (*check)(const struct selection *selection, evd_execution *rows,
                                   int count)) {
  for (int i = 0; i < SELECTIONS; i++) {
    await_ok(evd_delete_all(suite.storage));
    check(&selections[i], insert_selected(&selections[i], 40), 40);
  }
}

static void check_order(const struct selection *selection, evd_execution *rows, int count) {
  evd_changes changes = sample_changes(0);
  selection->leave(&changes);
  evd_set(&changes, updated_at, SAMPLE_TIME + 1000);
  evd_set(&changes, error, "{\"message\":\"m\"}");
  run_and_expect(selection, rows, count, 0, 7, &changes, 7);
  run_and_expect(selection, rows, count, 7, 8, &changes, 1);
  run_and_expect(selection, rows, count, 8, count, &changes, 1000);
  run_and_expect(selection, rows, count, 0, 0, &changes, 1000);
}

static void rows_are_taken_in_order_up_to_the_limit(void **state) {
  for_each(check_order);
}

static void check_limit(const struct selection *selection, evd_execution *rows, int count) {
  evd_changes changes = sample_changes(0);
  selection->leave(&changes);
  static const int64_t limits[] = {0, -1, INT32_MIN, INT64_MIN};
  for (int i = 0; i < 4; i++) {
    run_and_expect(selection, rows, count, 0, 0, &changes, limits[i]);
  }
}

static void a_limit_of_zero_or_less_touches_nothing(void **state) {
  for_each(check_limit);
}

static void check_large_limit(const struct selection *selection, evd_execution *rows, int count) {
  evd_changes changes = sample_changes(0);
  selection->leave(&changes);
  run_and_expect(selection, rows, count, 0, count, &changes, INT64_MAX);
}

static void a_limit_may_be_larger_than_any_table(void **state) {
  for_each(check_large_limit);
}

static void check_unchanged(const struct selection *selection, evd_execution *rows, int count) {
  evd_changes changes = {0};
  evd_set(&changes, retry_attempts, 5);
  for (int i = 0; i < 3; i++) {
    evd_set(&changes, updated_at, SAMPLE_TIME + i);
    evd_future *future = selection->run(suite.storage, &changes, 1000);
    assert_int_equal(selection_count(selection, future), count);
    expect_selected(selection, rows, count, 0, count, &changes);
  }
  assert_int_equal(selection_count(selection, selection->run(suite.storage, &changes, 3)), 3);
}

static void changes_that_leave_a_row_selected_touch_it_once_a_call(void **state) {
  for_each(check_unchanged);
}

static void check_disjoint(const struct selection *selection, evd_execution *rows, int count) {
  evd_future *futures[12];
  evd_changes changes = sample_changes(0);
  selection->leave(&changes);
  for (int i = 0; i < 12; i++) {
    futures[i] = selection->run(suite.storage, &changes, 5);
  }
  int64_t sum = 0;
  for (int i = 0; i < 12; i++) {
    sum += selection_count(selection, futures[i]);
  }
  assert_int_equal(sum, count);
  expect_selected(selection, rows, count, 0, count, &changes);
}

static void calls_in_one_tick_share_the_rows_out(void **state) {
  for_each(check_disjoint);
}

static void an_empty_table_has_nothing_to_take(void **state) {
  for (int i = 0; i < SELECTIONS; i++) {
    evd_changes changes = sample_changes(0);
    selections[i].leave(&changes);
    evd_future *future = selections[i].run(suite.storage, &changes, 10);
    assert_int_equal(selection_count(&selections[i], future), 0);
  }
}

static void check_locked(const struct selection *selection, evd_execution *rows, int count) {
  evd_changes changes = sample_changes(0);
  selection->leave(&changes);
  suite_lock(text("execution_id in ('%s', '%s')", rows[0].execution_id, rows[2].execution_id));
  evd_future *future = selection->run(suite.storage, &changes, 1000);
  assert_int_equal(selection_count(selection, future), count - 2);
  suite_unlock();
  assert_int_equal(selection_count(selection, selection->run(suite.storage, &changes, 1000)), 2);
  expect_selected(selection, rows, count, 0, count, &changes);
}

static void rows_that_another_transaction_holds_are_skipped(void **state) {
  if (strcmp(suite.engine, "sqlite") == 0) {
    skip(); /* it has no locks on rows */
  }
  for_each(check_locked);
}

int selections_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(rows_are_taken_in_order_up_to_the_limit),
      suite_test(a_limit_of_zero_or_less_touches_nothing),
      suite_test(a_limit_may_be_larger_than_any_table),
      suite_test(changes_that_leave_a_row_selected_touch_it_once_a_call),
      suite_test(calls_in_one_tick_share_the_rows_out),
      suite_test(an_empty_table_has_nothing_to_take),
      suite_test(rows_that_another_transaction_holds_are_skipped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
