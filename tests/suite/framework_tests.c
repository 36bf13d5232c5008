/* Tables that the TypeScript framework made or must read, and the SQL that makes tables. */
#include "suite/suite.h"

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
      suite_test(a_table_in_the_frameworks_shape_can_be_made),
      suite_test(the_schemas_sql_makes_what_opening_checks),
      suite_test(the_schemas_sql_is_refused_for_bad_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
