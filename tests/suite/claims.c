/* Operations 6, 7, 8 and 12: which rows each claim is for. What all share is in selections.c. */
#include "suite/suite.h"

#include <string.h>

/* Whether the rows of a claim, in any order, are those with these ids. */
static void expect_claimed(evd_future *future, size_t count, const char *const ids[]) {
  size_t returned;
  const evd_execution *rows = await_rows(future, &returned);
  assert_int_equal(returned, count);
  for (size_t i = 0; i < count; i++) {
    size_t found = 0;
    for (size_t j = 0; j < count; j++) {
      found += strcmp(rows[j].execution_id, ids[i]) == 0;
    }
    expect(found == 1, "%s was claimed %zu times", ids[i], found);
  }
}

static void a_claim_by_start_at_is_for_one_status(void **state) {
  evd_execution rows[EVD_STATUS_CANCELLED];
  for (int i = 0; i < EVD_STATUS_CANCELLED; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].status = (evd_status)(1 + i);
  }
  await_ok(evd_insert(suite.storage, rows, EVD_STATUS_CANCELLED));
  for (int i = 0; i < EVD_STATUS_CANCELLED; i++) {
    evd_changes changes = sample_changes(0);
    evd_set(&changes, start_at, SAMPLE_TIME + 1000);
    expect_claimed(evd_claim_by_start_at(suite.storage,
                                         &(evd_due){.status = rows[i].status,
                                                    .start_at_before = SAMPLE_TIME + 1000,
                                                    .started_at = SAMPLE_TIME},
                                         &changes, 10),
                   1, &rows[i].execution_id);
  }
}

static void a_claim_by_start_at_is_for_what_starts_strictly_before(void **state) {
  static const char *const early[] = {"te_0", "te_1", "te_2"};
  evd_execution rows[6];
  static const int64_t starts[] = {
      -SAMPLE_MAX_TIME, 0, SAMPLE_TIME - 1, SAMPLE_TIME, SAMPLE_TIME + 1, SAMPLE_MAX_TIME};
  for (int i = 0; i < 6; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].start_at = starts[i];
  }
  await_ok(evd_insert(suite.storage, rows, 6));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  expect_claimed(evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME), &changes, 10), 3,
                 early);
  for (int i = 3; i < 6; i++) {
    suite_expect(&rows[i]);
  }
}

static void a_claim_by_start_at_sets_expires_at_by_each_rows_timeout(void **state) {
  static const int64_t timeouts[] = {0, 1, 1000, 86400000};
  evd_execution rows[4];
  for (int i = 0; i < 4; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].start_at = SAMPLE_TIME + i;
    rows[i].timeout_ms = timeouts[i];
  }
  await_ok(evd_insert(suite.storage, rows, 4));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&changes, started_at, SAMPLE_TIME + 50);
  evd_set(&changes, executor_id, "executor");
  size_t count;
  const evd_execution *claimed =
      await_rows(evd_claim_by_start_at(suite.storage,
                                       &(evd_due){.status = EVD_STATUS_READY,
                                                  .start_at_before = SAMPLE_TIME + 10,
                                                  .started_at = SAMPLE_TIME + 50},
                                       &changes, 10),
                 &count);
  assert_int_equal(count, 4);
  for (int i = 0; i < 4; i++) {
    sample_apply(&rows[i], &changes);
    rows[i].expires_at = SAMPLE_TIME + 50 + timeouts[i];
    expect_row(&claimed[i], &rows[i]);
    suite_expect(&rows[i]);
  }
}

static void a_claim_by_children_finished_is_for_one_status_and_ocfp_status(void **state) {
  enum { OCFP = EVD_OCFP_PROCESSED, ROWS = EVD_STATUS_CANCELLED * OCFP * 2 };
  evd_execution rows[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%02d", i));
    rows[i].active_children_count = i % 2;
    rows[i].on_children_finished_processing_status = (evd_ocfp_status)(1 + i / 2 % OCFP);
    rows[i].status = (evd_status)(1 + i / 2 / OCFP);
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  for (int i = 0; i < ROWS; i += 2) {
    evd_changes changes = sample_changes(0);
    evd_set(&changes, active_children_count, 1);
    const evd_parents parents = {.status = rows[i].status,
                                 .ocfp_status = rows[i].on_children_finished_processing_status};
    expect_claimed(evd_claim_by_children_finished(suite.storage, &parents, &changes, 10), 1,
                   &rows[i].execution_id);
  }
}

static void a_claim_by_close_status_is_for_that_one(void **state) {
  evd_execution rows[EVD_CLOSE_CLOSED * 2];
  for (int i = 0; i < EVD_CLOSE_CLOSED * 2; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].close_status = (evd_close_status)(1 + i % EVD_CLOSE_CLOSED);
    rows[i].is_finished = i >= EVD_CLOSE_CLOSED;
  }
  await_ok(evd_insert(suite.storage, rows, (size_t)EVD_CLOSE_CLOSED * 2));
  for (int i = 0; i < EVD_CLOSE_CLOSED; i++) {
    const char *ids[] = {rows[i].execution_id, rows[i + EVD_CLOSE_CLOSED].execution_id};
    evd_changes changes = sample_changes(0);
    expect_claimed(evd_claim_by_close_status(suite.storage, rows[i].close_status, &changes, 10), 2,
                   ids);
  }
}

static void a_claim_by_cancellation_is_for_one_executor(void **state) {
  static const char *const executors[] = {"a", "b", "A", NULL};
  evd_execution rows[8];
  for (int i = 0; i < 8; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].executor_id = executors[i / 2];
    rows[i].needs_promise_cancellation = i % 2;
  }
  bool looks_alike = suite.framework && strcmp(suite.engine, "mysql") == 0;
  if (looks_alike) { /* "a" and "A" are one in the server's collation */
    rows[4].executor_id = rows[5].executor_id = NULL;
  }
  await_ok(evd_insert(suite.storage, rows, 8));
  for (int i = 0; i < (looks_alike ? 4 : 6); i++) {
    evd_changes changes = sample_changes(0);
    expect_claimed(evd_claim_by_cancellation(suite.storage, executors[i / 2], i % 2, &changes, 10),
                   1, &rows[i].execution_id);
  }
  evd_changes changes = sample_changes(0);
  expect_claimed(evd_claim_by_cancellation(suite.storage, "c", true, &changes, 10), 0, NULL);
}

static void a_claim_may_change_what_it_orders_by(void **state) {
  evd_execution rows[20];
  for (int i = 0; i < 20; i++) {
    rows[i] = sample_execution(text("te_%02d", (i * 7) % 20));
    rows[i].close_status = EVD_CLOSE_READY;
    rows[i].updated_at = SAMPLE_TIME + i;
  }
  await_ok(evd_insert(suite.storage, rows, 20));
  evd_changes changes = sample_changes(0);
  evd_set(&changes, updated_at, SAMPLE_TIME - 5);
  size_t count;
  const evd_execution *claimed =
      await_rows(evd_claim_by_close_status(suite.storage, EVD_CLOSE_READY, &changes, 20), &count);
  assert_int_equal(count, 20);
  for (int i = 0; i < 20; i++) {
    sample_apply(&rows[i], &changes);
    expect_row(&claimed[i], &rows[i]);
  }
}

static void a_claim_sets_and_unsets_every_column_that_can_be(void **state) {
  evd_execution rows[3];
  evd_changes changes = {0};
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (sample_is_settable(column)) {
      sample_set(&changes, column);
    }
    if (sample_is_unsettable(column) && column % 2) {
      changes.unset |= UINT64_C(1) << column;
    }
  }
  for (int i = 0; i < 3; i++) {
    rows[i] = i % 2 ? sample_full(text("te_%d", i)) : sample_execution(text("te_%d", i));
    rows[i].close_status = EVD_CLOSE_IDLE;
    rows[i].updated_at = SAMPLE_TIME + i;
  }
  await_ok(evd_insert(suite.storage, rows, 3));
  size_t count;
  const evd_execution *claimed =
      await_rows(evd_claim_by_close_status(suite.storage, EVD_CLOSE_IDLE, &changes, 20), &count);
  assert_int_equal(count, 3);
  for (int i = 0; i < 3; i++) {
    sample_apply(&rows[i], &changes);
    expect_row(&claimed[i], &rows[i]);
    suite_expect(&rows[i]);
  }
}

static void a_thousand_rows_are_claimed_in_one_call(void **state) {
  enum { ROWS = 1000 };
  evd_execution *rows = keep_memory(ROWS * sizeof *rows);
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%04d", (i * 7) % ROWS));
    rows[i].start_at = SAMPLE_TIME + i;
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  const evd_execution *claimed = await_rows(
      evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME + ROWS), &changes, ROWS), &count);
  assert_int_equal(count, ROWS);
  for (int i = 0; i < ROWS; i++) {
    assert_string_equal(claimed[i].execution_id, rows[i].execution_id);
  }
}

int claims_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_claim_by_start_at_is_for_one_status),
      suite_test(a_claim_by_start_at_is_for_what_starts_strictly_before),
      suite_test(a_claim_by_start_at_sets_expires_at_by_each_rows_timeout),
      suite_test(a_claim_by_children_finished_is_for_one_status_and_ocfp_status),
      suite_test(a_claim_by_close_status_is_for_that_one),
      suite_test(a_claim_by_cancellation_is_for_one_executor),
      suite_test(a_claim_may_change_what_it_orders_by),
      suite_test(a_claim_sets_and_unsets_every_column_that_can_be),
      suite_test(a_thousand_rows_are_claimed_in_one_call),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
