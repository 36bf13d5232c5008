/* Tables that the TypeScript framework made or must read, and the SQL that makes tables. */
#include "suite/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite/framework_table.h"
#include "support/native_sql.h"

/* The literal of a column's value as the framework writes it. */
static const char *literal(evd_execution *row, evd_column column) {
  const void *value = sample_member(row, column);
  switch (sample_kind(column)) {
  case SAMPLE_TEXT:
  case SAMPLE_JSON:
    return *(const char *const *)value != NULL ? text("'%s'", *(const char *const *)value) : "null";
  case SAMPLE_INT32: return text("%d", *(const int32_t *)value);
  case SAMPLE_INT64:
    return *(const int64_t *)value == EVD_NONE ? "null"
                                               : text("%lld", (long long)*(const int64_t *)value);
  case SAMPLE_BOOL: return *(const bool *)value ? "true" : "false";
  case SAMPLE_ENUM: break;
  }
  if (column == evd_column_status) {
    return text("'%s'", evd_status_name(row->status));
  }
  if (column == evd_column_close_status) {
    return text("'%s'", evd_close_status_name(row->close_status));
  }
  return text("'%s'", evd_ocfp_status_name(row->on_children_finished_processing_status));
}

/* Inserts a row past the library. */
static void insert_natively(evd_execution *row) {
  const char *names = "", *values = "";
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    names = text("%s%s%s", names, column ? ", " : "", evd_column_name(column));
    values = text("%s%s%s", values, column ? ", " : "", literal(row, column));
  }
  native_run_once(suite.url, text("insert into %s (%s) values (%s);", suite.table, names, values));
}

static void rows_that_the_framework_wrote_are_read_and_updated(void **state) {
  evd_execution rows[2] = {sample_full("te_full"), sample_execution("te_minimal")};
  for (int i = 0; i < 2; i++) {
    insert_natively(&rows[i]);
    suite_expect(&rows[i]);
    evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
    evd_set(&changes, output, "{\"from\":\"C\"}");
    evd_unset(&changes, error);
    assert_true(await_matched(evd_update(suite.storage, rows[i].execution_id, NULL, &changes)));
    sample_apply(&rows[i], &changes);
    suite_expect(&rows[i]);
  }
}

static void rows_that_we_write_are_as_the_framework_writes_them(void **state) {
  evd_execution row = sample_full("te_full");
  suite_insert(&row);
  struct native *native = native_open(suite.url);
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    const char *name = evd_column_name(column);
    if (sample_kind(column) == SAMPLE_JSON) {
      evd_execution seen = row;
      *(const char **)sample_member(&seen, column) =
          native_text(native, text("select %s from %s", name, suite.table));
      expect(sample_difference(&row, &seen) == EVD_COLUMN_COUNT, "%s is not the same JSON", name);
    } else {
      const char *query =
          text("select count(*) from %s where %s = %s", suite.table, name, literal(&row, column));
      expect(native_number(native, query) == 1, "%s is not %s", name, literal(&row, column));
    }
  }
  assert_true(native_number(native, text("select id from %s", suite.table)) > 0);
  native_close(native);
}

/* The last event of a storage. */
static char logged[512];
static int times_logged;

static void note_event(const evd_log_event *event, void *data) {
  (void)data;
  snprintf(logged, sizeof logged, "%d %s", (int)event->level, event->message);
  times_logged++;
}

/* A claim of all rows returns each but the bad one, in their order. */
static void expect_all_but(evd_future *claim, int rows, int bad) {
  size_t count;
  times_logged = 0;
  const evd_execution *claimed = await_rows(claim, &count);
  assert_int_equal(count, rows - 1);
  for (size_t i = 0; i < count; i++) {
    assert_true(i == 0 || claimed[i - 1].start_at < claimed[i].start_at);
    assert_int_not_equal(sample_number(claimed[i].execution_id), bad);
    assert_int_equal(claimed[i].status, EVD_STATUS_RUNNING);
    assert_int_equal(claimed[i].expires_at, SAMPLE_TIME + claimed[i].timeout_ms);
    suite_expect(&claimed[i]);
  }
  assert_int_equal(times_logged, 1);
  assert_int_equal(logged[0] - '0', EVD_LOG_ERROR);
  expect(
      strstr(logged,
             text("close_status of execution te_%d has an invalid value in the database: \"ajar\"",
                  bad)) != NULL,
      "%s", logged);
}

/* Waits until this many rows fulfil the condition. */
static void await_rows_where(struct native *native, int count, const char *condition) {
  const char *query = text("select count(*) from %s where %s", suite.table, condition);
  while (native_number(native, query) != count) {
    ev_run(suite.loop, EVRUN_NOWAIT);
    ev_sleep(0.001);
  }
}

/* The framework's tables have no constraints, and others write to them. The row is given back, to
 * be due after all others. */
static void a_row_that_cannot_be_read_is_left_out_of_a_claim(void **state) {
  enum { ROWS = 100, BAD = 7 };
  suite_reopen((evd_options){.log = note_event});
  for (int i = 0; i < ROWS; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    row.start_at += (i * 37) % ROWS;
    row.timeout_ms = 1000 + i;
    suite_insert(&row);
  }
  struct native *native = native_open(suite.url);
  native_run(native, text("update %s set close_status = 'ajar' where execution_id = 'te_%d';",
                          suite.table, BAD));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  expect_all_but(evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME * 2), &changes, ROWS),
                 ROWS, BAD);
  await_rows_where(native, 1,
                   text("status = 'ready' and execution_id = 'te_%d' and started_at is null and "
                        "expires_at is null and start_at = %lld",
                        BAD, (long long)SAMPLE_TIME * 2 + 60000));
  native_close(native);
  evd_stats stats;
  evd_storage_stats(suite.storage, &stats);
  assert_int_equal(stats.rows_unreadable, 1);
  evd_error error = await_error(evd_get(suite.storage, text("te_%d", BAD), NULL), EVD_EDATABASE);
  assert_string_equal(error.field, "close_status");
  evd_future *claim =
      evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME * 2), &changes, ROWS);
  size_t count;
  await_rows(claim, &count);
  assert_int_equal(count, 0);
}

/* What each of the claims takes: what makes a row fit for it, and unreadable. */
static const struct claim_case {
  evd_operation operation;
  const char *fit, *spoilt;
  bool is_truth; /* `fit` ends with "= " and the truth */
} claim_cases[] = {
    {EVD_OPERATION_CLAIM_BY_START_AT, "status = 'ready'", "close_status = 'ajar'", false},
    {EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED,
     "status = 'waiting_for_children', on_children_finished_processing_status = 'idle'",
     "close_status = 'ajar'", false},
    {EVD_OPERATION_CLAIM_BY_CLOSE_STATUS, "close_status = 'ready'",
     "on_children_finished_processing_status = 'odd'", false},
    {EVD_OPERATION_CLAIM_BY_CANCELLATION,
     "executor_id = 'e', needs_promise_cancellation = ", "close_status = 'ajar'", true},
};

static evd_future *claim_by(evd_operation operation, int64_t limit) {
  evd_changes changes = sample_changes(0);
  switch (operation) {
  case EVD_OPERATION_CLAIM_BY_START_AT:
    evd_set(&changes, status, EVD_STATUS_RUNNING);
    return evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME * 2), &changes, limit);
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
    evd_set(&changes, on_children_finished_processing_status, EVD_OCFP_PROCESSING);
    evd_set(&changes, on_children_finished_processing_expires_at, SAMPLE_TIME);
    return evd_claim_by_children_finished(suite.storage, sample_parents, &changes, limit);
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
    evd_set(&changes, close_status, EVD_CLOSE_CLOSING);
    evd_set(&changes, close_expires_at, SAMPLE_TIME);
    return evd_claim_by_close_status(suite.storage, EVD_CLOSE_READY, &changes, limit);
  default:
    evd_set(&changes, needs_promise_cancellation, false);
    return evd_claim_by_cancellation(suite.storage, "e", true, &changes, limit);
  }
}

/* More rows than a claim takes cannot be read, and are before one that can. */
static void check_way_past(struct native *native, const struct claim_case *claim) {
  enum { BAD = 120, LIMIT = 50 };
  const char *yes = strcmp(suite.engine, "postgres") == 0 ? "true" : "1";
  for (int i = 0; i <= BAD; i++) {
    evd_execution row = sample_execution(text("te_%d_%03d", (int)claim->operation, i));
    row.start_at += i;
    row.updated_at += i;
    suite_insert(&row);
  }
  native_run(native, text("update %s set %s%s where execution_id like 'te_%d_%%';", suite.table,
                          claim->fit, claim->is_truth ? yes : "", (int)claim->operation));
  native_run(native,
             text("update %s set %s where execution_id like 'te_%d_%%' and execution_id <> "
                  "'te_%d_%d';",
                  suite.table, claim->spoilt, (int)claim->operation, (int)claim->operation, BAD));
  size_t count = 0;
  const evd_execution *rows = NULL;
  for (int claims = 0; count == 0; claims++) {
    expect(claims <= BAD / LIMIT, "%d claims have not come to the row that can be read", claims);
    rows = await_rows(claim_by(claim->operation, LIMIT), &count);
  }
  assert_int_equal(count, 1);
  assert_int_equal(sample_number(rows[0].execution_id), BAD);
}

static void rows_that_cannot_be_read_are_in_nobodys_way(void **state) {
  (void)state;
  struct native *native = native_open(suite.url);
  suite_reopen((evd_options){.log = note_event});
  for (size_t i = 0; i < sizeof claim_cases / sizeof claim_cases[0]; i++) {
    check_way_past(native, &claim_cases[i]);
  }
  const char *no = strcmp(suite.engine, "postgres") == 0 ? "false" : "0";
  await_rows_where(native, 0, "status = 'running' and close_status = 'ajar'");
  await_rows_where(native, 0,
                   "on_children_finished_processing_status = 'processing' and close_status = "
                   "'ajar'");
  await_rows_where(native, 0,
                   "close_status = 'closing' and on_children_finished_processing_status = 'odd'");
  await_rows_where(native, 0,
                   text("executor_id = 'e' and close_status = 'ajar' and "
                        "needs_promise_cancellation = %s",
                        no));
  native_close(native);
}

/* Neither a time-out as long as can be, nor one that is longer, is too much for the sum. */
static void a_claim_expires_within_the_bounds_of_times(void **state) {
  static const int64_t longest = (INT64_C(1) << 53) - 1;
  evd_execution rows[3];
  for (int i = 0; i < 3; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].timeout_ms = i == 1 ? longest : 1000;
    suite_insert(&rows[i]);
  }
  native_run_once(suite.url, text("update %s set timeout_ms = 9223372036854775807"
                                  " where execution_id = 'te_2';",
                                  suite.table));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  const evd_execution *claimed = await_rows(
      evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME * 2), &changes, 10), &count);
  assert_int_equal(count, 2);
  for (size_t i = 0; i < count; i++) {
    bool is_longest = claimed[i].timeout_ms == longest;
    assert_int_equal(claimed[i].expires_at, is_longest ? longest : SAMPLE_TIME + 1000);
  }
  assert_int_equal(await_row(evd_get(suite.storage, "te_1", NULL))->expires_at, longest);
  evd_error error = await_error(evd_get(suite.storage, "te_2", NULL), EVD_EDATABASE);
  assert_string_equal(error.field, "timeout_ms");
  struct native *native = native_open(suite.url);
  await_rows_where(native, 2, "status = 'running'");
  native_close(native);
}

static void a_claim_of_nothing_but_what_cannot_be_read_is_empty(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  native_run_once(suite.url, text("update %s set close_status = 'ajar';", suite.table));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  await_rows(evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME * 2), &changes, 10),
             &count);
  assert_int_equal(count, 0);
  struct native *native = native_open(suite.url);
  await_rows_where(native, 1, "status = 'ready'");
  native_close(native);
}

/* The framework computes its pauses between attempts, and SQLite keeps what it is given. */
static void times_with_a_fraction_are_rounded(void **state) {
  if (strcmp(suite.engine, "sqlite") != 0) {
    skip(); /* its columns are integers elsewhere */
  }
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  native_run_once(suite.url, text("update %s set start_at = %lld.5, sleep_ms_before_run = 0.25, "
                                  "timeout_ms = 1000.75;",
                                  suite.table, (long long)SAMPLE_TIME));
  row.start_at = SAMPLE_TIME;
  row.sleep_ms_before_run = 0;
  row.timeout_ms = 1001;
  const evd_execution *got = suite_get("te_1");
  row.start_at = got->start_at; /* the middle goes to either side */
  assert_in_range(got->start_at, SAMPLE_TIME, SAMPLE_TIME + 1);
  expect_row(got, &row);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  const evd_execution *claimed = await_rows(
      evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME + 1), &changes, 10), &count);
  assert_int_equal(count, 1);
  assert_int_equal(claimed[0].expires_at, SAMPLE_TIME + 1001);
  suite_expect(&claimed[0]);
}

static void a_table_in_the_frameworks_shape_can_be_made(void **state) {
  const char *table = text("%s_shape", suite.table);
  evd_error error;
  char *sql = evd_schema_sql(
      suite.engine, &(evd_schema_options){.table = table, .framework_shape = true}, &error);
  assert_non_null(sql);
  for (int i = 0; i < 2; i++) { /* what is there already is left alone */
    native_run_once(suite.url, sql);
  }
  free(sql);
  evd_storage *storage =
      await_storage(evd_storage_open(suite.loop, suite.url, &(evd_options){.table = table}));
  evd_execution row = sample_full("te_full");
  await_ok(evd_insert(storage, &row, 1));
  expect_row(await_row(evd_get(storage, "te_full", NULL)), &row);
  suite_close(storage);
  struct native *native = native_open(suite.url);
  assert_true(native_number(native, text("select id from %s", table)) > 0);
  native_close(native);
  framework_table_drop(table);
}

static void the_schemas_sql_makes_what_opening_checks(void **state) {
  const char *table = text("%s_sql", suite.table);
  evd_error error;
  char *sql = evd_schema_sql(suite.engine, &(evd_schema_options){.table = table}, &error);
  assert_non_null(sql);
  for (int i = 0; i < 2; i++) {
    native_run_once(suite.url, sql);
  }
  free(sql);
  suite_close(
      await_storage(evd_storage_open(suite.loop, suite.url, &(evd_options){.table = table})));
  framework_table_drop(table);
}

static void the_schemas_sql_is_refused_for_bad_names(void **state) {
  evd_error error;
  assert_null(evd_schema_sql("oracle", NULL, &error));
  assert_int_equal(error.code, EVD_EINVAL);
  assert_string_equal(error.field, "engine");
  assert_null(evd_schema_sql(suite.engine, &(evd_schema_options){.table = "no table"}, &error));
  assert_int_equal(error.code, EVD_EINVAL);
  assert_string_equal(error.field, "table");
  assert_null(evd_schema_sql(NULL, NULL, NULL));
}

int framework_table_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(rows_that_the_framework_wrote_are_read_and_updated),
      suite_test(rows_that_we_write_are_as_the_framework_writes_them),
      suite_test(a_row_that_cannot_be_read_is_left_out_of_a_claim),
      suite_test(rows_that_cannot_be_read_are_in_nobodys_way),
      suite_test(a_claim_expires_within_the_bounds_of_times),
      suite_test(times_with_a_fraction_are_rounded),
      suite_test(a_claim_of_nothing_but_what_cannot_be_read_is_empty),
      suite_test(a_table_in_the_frameworks_shape_can_be_made),
      suite_test(the_schemas_sql_makes_what_opening_checks),
      suite_test(the_schemas_sql_is_refused_for_bad_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
