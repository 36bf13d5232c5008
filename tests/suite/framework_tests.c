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
    return *(const char *const *)value ? text("'%s'", *(const char *const *)value) : "null";
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
  (void)snprintf(logged, sizeof logged, "%d %s", (int)event->level, event->message);
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
  expect(strstr(logged, text("close_status of execution te_%d is \"ajar\"", bad)) != NULL, "%s",
         logged);
}

/* The framework's tables have no constraints, and others write to them. The row is claimed, so that
 * it is not in the way of those behind it for ever. */
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
  expect_all_but(evd_claim_by_start_at(suite.storage, EVD_STATUS_READY, SAMPLE_TIME * 2,
                                       SAMPLE_TIME, &changes, ROWS),
                 ROWS, BAD);
  assert_int_equal(
      native_number(native, text("select count(*) from %s where status = 'running' and "
                                 "execution_id = 'te_%d' and expires_at = %lld",
                                 suite.table, BAD, (long long)SAMPLE_TIME + 1000 + BAD)),
      1);
  native_close(native);
  evd_error error = await_error(evd_get(suite.storage, text("te_%d", BAD), NULL), EVD_EDATABASE);
  assert_string_equal(error.field, "close_status");
  evd_future *claim = evd_claim_by_start_at(suite.storage, EVD_STATUS_READY, SAMPLE_TIME * 2,
                                            SAMPLE_TIME, &changes, ROWS);
  size_t count;
  await_rows(claim, &count);
  assert_int_equal(count, 0);
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
  const evd_execution *claimed =
      await_rows(evd_claim_by_start_at(suite.storage, EVD_STATUS_READY, SAMPLE_TIME * 2,
                                       SAMPLE_TIME, &changes, 10),
                 &count);
  assert_int_equal(count, 2);
  for (size_t i = 0; i < count; i++) {
    bool is_longest = claimed[i].timeout_ms == longest;
    assert_int_equal(claimed[i].expires_at, is_longest ? longest : SAMPLE_TIME + 1000);
  }
  assert_int_equal(await_row(evd_get(suite.storage, "te_1", NULL))->expires_at, longest);
  evd_error error = await_error(evd_get(suite.storage, "te_2", NULL), EVD_EDATABASE);
  assert_string_equal(error.field, "timeout_ms");
  struct native *native = native_open(suite.url);
  assert_int_equal(
      native_number(native, text("select count(*) from %s where status = 'running';", suite.table)),
      3);
  native_close(native);
}

static void a_claim_of_nothing_but_what_cannot_be_read_is_empty(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  native_run_once(suite.url, text("update %s set close_status = 'ajar';", suite.table));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  await_rows(evd_claim_by_start_at(suite.storage, EVD_STATUS_READY, SAMPLE_TIME * 2, SAMPLE_TIME,
                                   &changes, 10),
             &count);
  assert_int_equal(count, 0);
  assert_int_equal(suite_count("status = 'running'"), 1);
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
      suite_test(a_claim_expires_within_the_bounds_of_times),
      suite_test(a_claim_of_nothing_but_what_cannot_be_read_is_empty),
      suite_test(a_table_in_the_frameworks_shape_can_be_made),
      suite_test(the_schemas_sql_makes_what_opening_checks),
      suite_test(the_schemas_sql_is_refused_for_bad_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
