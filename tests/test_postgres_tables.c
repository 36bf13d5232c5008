/* The tables that the PostgreSQL engine finds: their types, what others wrote into them, how they
 * are created and checked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/columns.h"
#include "sql/schema.h"
#include "support/postgres_case.h"

static void a_table_is_checked_when_it_is_opened(void **state) {
  needs_postgres();
  static const struct {
    const char *change, *field, *says;
  } cases[] = {
      {"alter table task_executions drop column closed_at", "closed_at", "closed_at"},
      {"alter table task_executions alter start_at type integer", "start_at", "int4"},
      {"alter table task_executions alter input type bytea using null", "input", "bytea"},
      {"alter table task_executions add extra text not null", "extra", "no default"},
      {"alter table task_executions drop constraint task_executions_pkey", "execution_id",
       "unique"},
      {"drop index task_executions_sleeping_task_unique_id", "sleeping_task_unique_id",
       "migrate up"},
      {"drop index task_executions_sleeping_task_unique_id;"
       "create unique index on task_executions (sleeping_task_unique_id, task_id);"
       "create unique index on task_executions (sleeping_task_unique_id) where is_finished;"
       "create index on task_executions (sleeping_task_unique_id)",
       "sleeping_task_unique_id", "not unique"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    open_with("", NULL);
    await_ok(evd_storage_close(test.storage, -1));
    sql(cases[i].change);
    evd_error error = await_error(evd_storage_open(test.loop, test.url, NULL), EVD_ESCHEMA);
    assert_string_equal(error.field, cases[i].field);
    expect(strstr(error.message, cases[i].says) != NULL, "%s", error.message);
    sql("drop table task_executions");
  }
  test.storage = NULL;
}

static void a_unique_id_may_be_so_by_a_whole_index(void **state) {
  needs_postgres();
  open_with("", NULL);
  await_ok(evd_storage_close(test.storage, -1));
  sql("drop index task_executions_sleeping_task_unique_id;"
      "alter table task_executions add unique (sleeping_task_unique_id)");
  open_with("", &(evd_options){0});
}

/* Who says that the table is right is believed, and the types are read all the same. */
static void a_table_that_is_not_to_be_checked_is_not(void **state) {
  needs_postgres();
  evd_options skipping = {.schema = EVD_SCHEMA_SKIP};
  open_with("", &skipping);
  await_error(evd_get(test.storage, "te_1", NULL), EVD_ESCHEMA);
  await_ok(evd_storage_close(test.storage, -1));
  open_with("", NULL);
  await_ok(evd_storage_close(test.storage, -1));
  sql("drop index task_executions_sleeping_task_unique_id;"
      "alter table task_executions drop column closed_at, add extra text not null, "
      "alter input type text");
  open_with("", &skipping);
  sql("alter table task_executions add closed_at bigint, drop column extra");
  evd_execution row = sample_execution("te_1");
  row.input = "{\"as\":  \"text\"}";
  await_ok(evd_insert(test.storage, &row, 1));
  assert_string_equal(await_row(evd_get(test.storage, "te_1", NULL))->input, row.input);
}

static void columns_may_be_of_kindred_types(void **state) {
  needs_postgres();
  open_with("", NULL);
  await_ok(evd_storage_close(test.storage, -1));
  sql("create domain name_type as varchar(64);"
      "alter table task_executions alter execution_id type varchar(64), "
      "alter task_id type name_type, alter input type json, alter output type text, "
      "alter retry_attempts type bigint, add extra text not null default 'x', "
      "add number bigint generated always as identity");
  open_with("", &(evd_options){0});
  evd_execution row = sample_full("te_1");
  await_ok(evd_insert(test.storage, &row, 1));
  expect_row(await_row(evd_get(test.storage, "te_1", NULL)), &row);
}

/* What was logged last as an error. */
static void keep_error(const evd_log_event *event, void *data) {
  if (event->level == EVD_LOG_ERROR) {
    snprintf(data, sizeof((evd_error *)0)->message, "%s", event->message);
  }
}

/* Rows that only a foreign table can have, made so by the statements, beside a good one that comes
 * last in a claim's order: a get says what is wrong with the row, and a claim by close_status has
 * the good one. */
static void expect_unfit(const char *statements, const char *id, const char *column) {
  char logged[sizeof((evd_error *)0)->message] = "";
  open_with("", &(evd_options){.schema = EVD_SCHEMA_CREATE,
                               .test_mode = true,
                               .log = keep_error,
                               .log_data = logged});
  evd_execution rows[] = {sample_execution("te_1"), sample_execution("te_2"),
                          sample_execution("te_good")};
  for (int i = 0; i < 3; i++) {
    rows[i].close_status = EVD_CLOSE_READY;
    rows[i].updated_at += i;
  }
  await_ok(evd_insert(test.storage, rows, 3));
  sql(statements);
  evd_error error = await_error(evd_get(test.storage, id, NULL), EVD_EDATABASE);
  assert_string_equal(error.field, column);
  expect(strstr(error.message, column) != NULL && strstr(error.message, id) != NULL, "%s",
         error.message);
  evd_changes changes = {0};
  evd_set(&changes, close_status, EVD_CLOSE_CLOSING);
  evd_set(&changes, updated_at, SAMPLE_TIME);
  size_t count;
  const evd_execution *claimed =
      await_rows(evd_claim_by_close_status(test.storage, EVD_CLOSE_READY, &changes, 3), &count);
  expect(count >= 1, "%s %s", column, logged);
  assert_string_equal(claimed[count - 1].execution_id, "te_good");
  expect(strstr(logged, column) != NULL && strstr(logged, id) != NULL, "%s", logged);
  sql("drop table task_executions");
  await_ok(evd_storage_close(test.storage, -1));
  test.storage = NULL;
}

static void a_null_where_none_may_be_is_told(void **state) {
  needs_postgres();
  static const char *const columns_of_all_types[] = {
      "task_id", "is_sleeping_task", "retry_options", "timeout_ms", "input",
      "status",  "retry_attempts",   "start_at",      "created_at"};
  for (size_t i = 0; i < sizeof columns_of_all_types / sizeof *columns_of_all_types; i++) {
    const char *column = columns_of_all_types[i];
    expect_unfit(text("alter table task_executions alter %s drop not null;"
                      "update task_executions set %s = null where execution_id = 'te_2'",
                      column, column),
                 "te_2", column);
  }
}

static void a_duration_that_cannot_be_is_told(void **state) {
  needs_postgres();
  expect_unfit("update task_executions set timeout_ms = 9223372036854775807 where execution_id = "
               "'te_2'",
               "te_2", "timeout_ms");
  expect_unfit("update task_executions set sleep_ms_before_run = 9007199254740992 where "
               "execution_id = 'te_2'",
               "te_2", "sleep_ms_before_run");
}

static void a_time_out_that_cannot_be_fails_no_claim_of_others(void **state) {
  needs_postgres();
  open_with("", NULL);
  insert_sample("te_1");
  insert_sample("te_2");
  sql("update task_executions set timeout_ms = 9223372036854775807 where execution_id = 'te_1'");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  const evd_execution *rows = await_rows(
      evd_claim_by_start_at(test.storage, sample_due(SAMPLE_TIME * 2), &changes, 10), &count);
  assert_int_equal(count, 1);
  assert_string_equal(rows[0].execution_id, "te_2");
  assert_int_equal(rows[0].expires_at, SAMPLE_TIME + rows[0].timeout_ms);
}

static void rows_without_a_place_in_a_claims_order_come_last(void **state) {
  needs_postgres();
  enum { ROWS = 40 };
  open_with("", NULL);
  for (int i = 0; i < ROWS; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    row.close_status = EVD_CLOSE_READY;
    row.updated_at -= i;
    await_ok(evd_insert(test.storage, &row, 1));
  }
  sql("alter table task_executions alter updated_at drop not null;"
      "update task_executions set updated_at = null where execution_id in ('te_7', 'te_30')");
  evd_changes changes = {0};
  evd_set(&changes, close_status, EVD_CLOSE_CLOSING);
  size_t count;
  const evd_execution *rows =
      await_rows(evd_claim_by_close_status(test.storage, EVD_CLOSE_READY, &changes, ROWS), &count);
  assert_int_equal(count, ROWS);
  for (int i = 1; i < ROWS - 2; i++) {
    assert_true(sample_number(rows[i].execution_id) < sample_number(rows[i - 1].execution_id));
  }
  assert_int_equal(
      sample_number(rows[ROWS - 2].execution_id) + sample_number(rows[ROWS - 1].execution_id), 37);
}

static void many_open_at_once_and_create_the_schema(void **state) {
  needs_postgres();
  enum { STORAGES = 8 };
  evd_future *opening[STORAGES];
  evd_options options = {.schema = EVD_SCHEMA_CREATE};
  for (int i = 0; i < STORAGES; i++) {
    opening[i] = evd_storage_open(test.loop, test.url, &options);
  }
  for (int i = 0; i < STORAGES; i++) {
    await_ok(evd_storage_close(await_storage(opening[i]), -1));
  }
  size_t indexes;
  schema_indexes(false, &indexes);
  assert_int_equal(number("select count(*) from pg_indexes where tablename = 'task_executions'"),
                   indexes + 1); /* and the primary key */
}

/* The other process, which holds the lock, has made the table but not committed yet. */
static void who_waits_for_another_to_create_the_schema_finds_it(void **state) {
  needs_postgres();
  static const char *const options[] = {"", "isolation=repeatable-read", "isolation=serializable"};
  char *schema = evd_schema_sql("postgres", NULL, NULL);
  assert_non_null(schema);
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    struct native *other = native_open(test.url);
    native_run(other, "begin; select pg_advisory_xact_lock(hashtext('evdurable'), "
                      "hashtext('\"task_executions\"'));");
    native_run(other, schema);
    evd_options creating = {.schema = EVD_SCHEMA_CREATE};
    const char *url = i > 0 ? postgres_url_with(test.url, options[i]) : test.url;
    evd_future *opening = evd_storage_open(test.loop, url, &creating);
    while (number("select count(*) from pg_locks where locktype = 'advisory' and not granted") ==
           0) {
      ev_run(test.loop, EVRUN_NOWAIT);
    }
    native_run(other, "commit");
    native_close(other);
    await_ok(evd_storage_close(await_storage(opening), -1));
    sql("drop table task_executions");
  }
  free(schema);
}

/* Though its index cannot be made. */
static void a_column_that_is_missing_is_named_when_the_schema_is_created(void **state) {
  needs_postgres();
  open_with("", NULL);
  await_ok(evd_storage_close(test.storage, -1));
  test.storage = NULL;
  sql("alter table task_executions drop column needs_promise_cancellation");
  evd_options creating = {.schema = EVD_SCHEMA_CREATE};
  evd_error error = await_error(evd_storage_open(test.loop, test.url, &creating), EVD_ESCHEMA);
  assert_string_equal(error.field, "needs_promise_cancellation");
  expect(strstr(error.message, "evdurable migrate up") != NULL, "%s", error.message);
}

static void why_a_table_could_not_be_created_is_said(void **state) {
  needs_postgres();
  evd_options creating = {.schema = EVD_SCHEMA_CREATE, .table = "no_such_schema.executions"};
  evd_error error = await_error(evd_storage_open(test.loop, test.url, &creating), EVD_ESCHEMA);
  assert_string_equal(error.native, "3F000");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      postgres_test(a_table_is_checked_when_it_is_opened),
      postgres_test(a_unique_id_may_be_so_by_a_whole_index),
      postgres_test(a_table_that_is_not_to_be_checked_is_not),
      postgres_test(columns_may_be_of_kindred_types),
      postgres_test(a_null_where_none_may_be_is_told),
      postgres_test(a_duration_that_cannot_be_is_told),
      postgres_test(a_time_out_that_cannot_be_fails_no_claim_of_others),
      postgres_test(rows_without_a_place_in_a_claims_order_come_last),
      postgres_test(many_open_at_once_and_create_the_schema),
      postgres_test(who_waits_for_another_to_create_the_schema_finds_it),
      postgres_test(a_column_that_is_missing_is_named_when_the_schema_is_created),
      postgres_test(why_a_table_could_not_be_created_is_said),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
