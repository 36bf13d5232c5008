/* Filters by executor and attempt: an outcome is stored by the attempt that owns the row only. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "suite/processes.h"
#include "suite/suite.h"
#include "support/process.h"

/* The owners that rows have; an executor's id is compared by bytes, whatever the column's collation
 * is. */
static const char *const executors[] = {NULL, "ex_a", "EX_A", "ex_a ", "ex_\xc3\xa9", "ex_b"};
static const int64_t times[] = {EVD_NONE, SAMPLE_TIME, SAMPLE_TIME + 1};

enum {
  EXECUTORS = sizeof executors / sizeof *executors,
  TIMES = sizeof times / sizeof *times,
  OWNERS = EXECUTORS * TIMES /* of rows, and of filters, in which NULL is any */
};

/* A running row of each owner. */
static evd_execution *insert_rows(void) {
  evd_execution *rows = keep_memory(OWNERS * sizeof *rows);
  for (int i = 0; i < OWNERS; i++) {
    rows[i] = sample_execution(text("te_%02d", i));
    rows[i].status = EVD_STATUS_RUNNING;
    rows[i].executor_id = executors[i / TIMES];
    rows[i].started_at = times[i % TIMES];
  }
  await_ok(evd_insert(suite.storage, rows, OWNERS));
  return rows;
}

static evd_filter filter_of(int i) {
  int64_t started_at = times[i % TIMES];
  return (evd_filter){.status = EVD_STATUS_RUNNING,
                      .executor_id = executors[i / TIMES],
                      .started_at = started_at == EVD_NONE ? 0 : started_at};
}

static bool admits(const evd_filter *filter, const evd_execution *row) {
  const char *executor = row->executor_id != NULL ? row->executor_id : "";
  return (filter->executor_id == NULL || strcmp(filter->executor_id, executor) == 0) &&
         (filter->started_at == 0 || filter->started_at == row->started_at);
}

static const char *pair_text(const evd_filter *filter, const evd_execution *row) {
  return text("filter of \"%s\" at %lld, row of \"%s\" at %lld",
              filter->executor_id != NULL ? filter->executor_id : "any",
              (long long)filter->started_at, row->executor_id != NULL ? row->executor_id : "none",
              (long long)row->started_at);
}

static void a_get_returns_rows_of_the_owner(void **state) {
  evd_execution *rows = insert_rows();
  static evd_future *futures[OWNERS][OWNERS];
  for (int i = 0; i < OWNERS; i++) {
    evd_filter filter = filter_of(i);
    for (int j = 0; j < OWNERS; j++) {
      futures[i][j] = evd_get(suite.storage, rows[j].execution_id, &filter);
    }
  }
  for (int i = 0; i < OWNERS; i++) {
    evd_filter filter = filter_of(i);
    for (int j = 0; j < OWNERS; j++) {
      const evd_execution *row = await_row(futures[i][j]);
      expect((row != NULL) == admits(&filter, &rows[j]), "%s", pair_text(&filter, &rows[j]));
      if (row != NULL) {
        expect_row(row, &rows[j]);
      }
    }
  }
}

/* In round i, row j meets filter i + j: so all meet, and those in one tick have different ones. */
static void an_update_touches_rows_of_the_owner(void **state) {
  evd_execution *rows = insert_rows();
  for (int i = 0; i < OWNERS; i++) {
    evd_future *futures[OWNERS];
    evd_changes changes = {0};
    evd_set(&changes, retry_attempts, 1 + i);
    evd_set(&changes, updated_at, SAMPLE_TIME + i);
    for (int j = 0; j < OWNERS; j++) {
      evd_filter filter = filter_of((i + j) % OWNERS);
      futures[j] = evd_update(suite.storage, rows[j].execution_id, &filter, &changes);
    }
    for (int j = 0; j < OWNERS; j++) {
      evd_filter filter = filter_of((i + j) % OWNERS);
      bool admitted = admits(&filter, &rows[j]);
      expect(await_matched(futures[j]) == admitted, "%s", pair_text(&filter, &rows[j]));
      if (admitted) {
        sample_apply(&rows[j], &changes);
      }
      suite_expect(&rows[j]);
    }
  }
}

static void one_update_alone_touches_a_row_of_the_owner(void **state) {
  evd_execution *rows = insert_rows();
  evd_changes changes = sample_changes(0);
  for (int i = 0; i < OWNERS; i++) {
    evd_filter filter = filter_of(i);
    for (int j = 0; j < OWNERS; j += 5) {
      bool matched =
          await_matched(evd_update(suite.storage, rows[j].execution_id, &filter, &changes));
      expect(matched == admits(&filter, &rows[j]), "%s", pair_text(&filter, &rows[j]));
    }
  }
}

static void children_are_inserted_by_the_owner(void **state) {
  evd_execution *rows = insert_rows();
  for (int i = 0; i < OWNERS; i++) {
    evd_future *futures[OWNERS];
    evd_changes changes = sample_changes(0);
    for (int j = 0; j < OWNERS; j++) {
      evd_filter filter = filter_of((i + j) % OWNERS);
      const char *parent = rows[j].execution_id;
      evd_execution child = sample_child(text("%s_child_%d", parent, i), parent, i);
      futures[j] =
          evd_update_and_insert_children(suite.storage, parent, &filter, &changes, &child, 1);
    }
    for (int j = 0; j < OWNERS; j++) {
      evd_filter filter = filter_of((i + j) % OWNERS);
      bool admitted = admits(&filter, &rows[j]);
      expect(await_matched(futures[j]) == admitted, "%s", pair_text(&filter, &rows[j]));
      bool has_child = suite_get(text("%s_child_%d", rows[j].execution_id, i)) != NULL;
      expect(has_child == admitted, "%s", pair_text(&filter, &rows[j]));
    }
  }
}

/* Claims the one row that is due. */
static void claim(const char *executor, int64_t now, int64_t before) {
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&changes, executor_id, executor);
  evd_set(&changes, started_at, now);
  size_t count;
  await_rows(evd_claim_by_start_at(suite.storage, sample_due(before), &changes, 1), &count);
  assert_int_equal(count, 1);
}

/* The changes of an outcome. */
static evd_changes completing(const char *output) {
  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&changes, is_finished, true);
  evd_set(&changes, output, output);
  return changes;
}

/* Gives the row back, whose lease is over, and claims it. */
static void claim_expired(const char *executor, int64_t now) {
  evd_changes back = sample_changes(EVD_STATUS_READY);
  evd_unset(&back, executor_id);
  evd_unset(&back, started_at);
  evd_unset(&back, expires_at);
  assert_int_equal(
      await_count(evd_expire_by_expires_at(suite.storage, sample_expired(now), &back, 1)), 1);
  claim(executor, now, now);
}

static evd_filter owned_by(const char *executor, int64_t started_at) {
  return (evd_filter){
      .status = EVD_STATUS_RUNNING, .executor_id = executor, .started_at = started_at};
}

static void an_executor_that_claims_its_own_row_again_loses_the_first_attempt(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  claim("ex_a", SAMPLE_TIME, SAMPLE_TIME + 1000);
  claim_expired("ex_a", SAMPLE_TIME + 2 * EVD_TIMEOUT_DEFAULT_MS);
  evd_filter first = owned_by("ex_a", SAMPLE_TIME);
  evd_filter second = owned_by("ex_a", SAMPLE_TIME + 2 * EVD_TIMEOUT_DEFAULT_MS);
  evd_changes outcome = completing("1");
  assert_false(await_matched(evd_update(suite.storage, "te_1", &first, &outcome)));
  outcome = completing("2");
  assert_true(await_matched(evd_update(suite.storage, "te_1", &second, &outcome)));
  assert_string_equal(suite_get("te_1")->output, "2");
}

/* A line of a process. */
static void expect_line(FILE *output, const char *expected) {
  char line[64] = "";
  assert_non_null(fgets(line, sizeof line, output));
  assert_string_equal(line, expected);
}

/* The other process claims the row and works until its lease is over and we have claimed the row.
 * What it then has to say comes too late. */
static void a_late_outcome_of_another_process_is_not_stored(void **state) {
  suite_needs_shared();
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  const char *const arguments[] = {LATE_ROLE, suite.url, suite.table, NULL};
  struct process process = process_start(arguments);
  FILE *output = fdopen(dup(process.output), "r");
  expect_line(output, "claimed te_1\n");
  assert_string_equal(suite_get("te_1")->executor_id, LATE_EXECUTOR);

  int64_t now = SAMPLE_TIME + 2 * EVD_TIMEOUT_DEFAULT_MS;
  claim_expired(LATE_SUCCESSOR, now);
  expect_line(output, "lost te_1\n");
  fclose(output);
  assert_int_equal(process_wait(&process), 0);

  evd_filter mine = owned_by(LATE_SUCCESSOR, now);
  evd_changes outcome = completing("\"ours\"");
  assert_true(await_matched(evd_update(suite.storage, "te_1", &mine, &outcome)));
  assert_string_equal(suite_get("te_1")->output, "\"ours\"");
}

int fencing_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_get_returns_rows_of_the_owner),
      suite_test(an_update_touches_rows_of_the_owner),
      suite_test(one_update_alone_touches_a_row_of_the_owner),
      suite_test(children_are_inserted_by_the_owner),
      suite_test(an_executor_that_claims_its_own_row_again_loses_the_first_attempt),
      suite_test(a_late_outcome_of_another_process_is_not_stored),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
