/* What only PostgreSQL has: its types, its prepared statements, its errors, its pipelines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "engine/postgres/flight.h"
#include "engine/postgres/prepared.h"
#include "model/columns.h"
#include "sql/postgres.h"
#include "support/await.h"
#include "support/check.h"
#include "support/native_sql.h"
#include "support/postgres_server.h"
#include "support/sample.h"
#include "support/watchdog.h"

/* The database and the storage of a test. */
static struct {
  struct ev_loop *loop;
  const char *url;
  evd_storage *storage;
} test;

/* Opens the storage with further URL options. */
static void open_with(const char *options, const evd_options *storage_options) {
  evd_options defaults = {.schema = EVD_SCHEMA_CREATE, .test_mode = true};
  const char *url = options[0] != '\0' ? postgres_url_with(test.url, options) : test.url;
  test.storage = await_storage(
      evd_storage_open(test.loop, url, storage_options != NULL ? storage_options : &defaults));
}

static void sql(const char *statements) {
  native_run_once(test.url, statements);
}

static int64_t number(const char *query) {
  struct native *native = native_open(test.url);
  int64_t result = native_number(native, query);
  native_close(native);
  return result;
}

static void insert_sample(const char *id) {
  evd_execution row = sample_execution(id);
  await_ok(evd_insert(test.storage, &row, 1));
}

/* Types. */

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

/* Rows that only a foreign table can have, made so by the statements, beside a good one that comes last
 * in a claim's order: a get says what is wrong with the row, and a claim by close_status has the good one. */
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
  const evd_execution *rows =
      await_rows(evd_claim_by_start_at(test.storage, EVD_STATUS_READY, SAMPLE_TIME * 2, SAMPLE_TIME,
                                       &changes, 10),
                 &count);
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
  assert_int_equal(number("select count(*) from pg_indexes where tablename = 'task_executions'"),
                   11);
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

/* Prepared statements. */

static void a_changed_type_is_no_concern_of_callers(void **state) {
  needs_postgres();
  open_with("pool_max=1", NULL);
  insert_sample("te_1");
  evd_execution row = *await_row(evd_get(test.storage, "te_1", NULL));
  sql("alter table task_executions alter input type text, alter task_id type varchar(64)");
  expect_row(await_row(evd_get(test.storage, "te_1", NULL)), &row);
  insert_sample("te_2");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  assert_true(await_matched(evd_update(test.storage, "te_2", NULL, &changes)));
}

/* A stale plan's error is told by where it comes from, for its text is in the server's language. */
static void an_error_that_only_reads_like_a_stale_plans_is_none(void **state) {
  needs_postgres();
  open_with("pool_max=1", NULL);
  sql("create function refuse() returns trigger language plpgsql as $$ begin raise "
      "'cached plan must not change result type' using errcode = '0A000'; end $$;"
      "create trigger refuse before insert on task_executions for each row execute function "
      "refuse()");
  evd_execution row = sample_execution("te_1");
  evd_error error = await_error(evd_insert(test.storage, &row, 1), EVD_EDATABASE);
  assert_string_equal(error.native, "0A000");
}

/* More statements than are kept, each of which must match. */
static void update_in_many_ways(const char *id) {
  static const evd_column set[] = {evd_column_retry_attempts,
                                   evd_column_start_at,
                                   evd_column_active_children_count,
                                   evd_column_finished_at,
                                   evd_column_closed_at,
                                   evd_column_waiting_for_children_started_at,
                                   evd_column_waiting_for_finalize_started_at,
                                   evd_column_output};
  for (unsigned mask = 0; mask < 256; mask++) {
    evd_changes changes = sample_changes(0);
    for (unsigned bit = 0; bit < 8; bit++) {
      if (mask & 1U << bit) {
        sample_set(&changes, set[bit]);
      }
    }
    assert_true(await_matched(evd_update(test.storage, id, NULL, &changes)));
  }
}

static void more_statements_than_are_kept_can_be_used(void **state) {
  needs_postgres();
  open_with("pool_max=1", NULL);
  insert_sample("te_1");
  update_in_many_ways("te_1");
}

/* The statement that gives way is not there: its batch is rolled back, and must be made again. */
static void a_statement_that_cannot_be_given_back_loses_no_update(void **state) {
  needs_postgres();
  open_with("pool_max=1", NULL);
  insert_sample("te_1"); /* by the first statement of all */
  sql("create function forget() returns trigger language plpgsql as $$ begin if exists (select from "
      "pg_prepared_statements where name = 'evdurable_1') then deallocate evdurable_1; end if; "
      "return new; end $$;"
      "create trigger forget before update on task_executions for each row execute function "
      "forget()");
  update_in_many_ways("te_1");
}

static struct statement_key key_number(uint32_t number) {
  struct statement_key key;
  memset(&key, 0, sizeof key);
  key.rows = number;
  return key;
}

static void the_statement_not_used_for_longest_gives_way(void **state) {
  struct prepared prepared = {0};
  for (uint32_t i = 0; i < PREPARED_MAX; i++) {
    struct statement_key key = key_number(i);
    assert_int_equal(postgres_prepared_find(&prepared, &key), 0);
    assert_int_equal(postgres_prepared_add(&prepared, &key), i + 1);
    assert_int_equal(postgres_prepared_evict(&prepared), 0);
  }
  struct statement_key first = key_number(0);
  struct statement_key second = key_number(1);
  struct statement_key beyond = key_number(PREPARED_MAX);
  assert_int_equal(postgres_prepared_find(&prepared, &first), 1);
  assert_int_equal(postgres_prepared_add(&prepared, &beyond), PREPARED_MAX + 1);
  assert_int_equal(postgres_prepared_evict(&prepared), 2);
  assert_int_equal(postgres_prepared_evict(&prepared), 0);
  assert_int_equal(postgres_prepared_find(&prepared, &second), 0);
  assert_int_equal(postgres_prepared_find(&prepared, &first), 1);
  postgres_prepared_remove(&prepared, 1);
  assert_int_equal(postgres_prepared_find(&prepared, &first), 0);
  postgres_prepared_clear(&prepared);
}

/* Errors. */

/* What the server finds. */
static void one_bad_document_fails_alone_among_255(void **state) {
  needs_postgres();
  enum { ROWS = 256, BAD = 77, DIGITS = 200000 /* numeric has 131,072 at most */ };
  open_with("", &(evd_options){.schema = EVD_SCHEMA_CREATE, .batch_max_requests = ROWS});
  evd_future *inserts[ROWS];
  char number_too_long[DIGITS + 1];
  memset(number_too_long, '1', DIGITS);
  number_too_long[DIGITS] = '\0';
  for (int i = 0; i < ROWS; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    row.input = i == BAD ? number_too_long : "{\"n\":1}";
    inserts[i] = evd_insert(test.storage, &row, 1);
  }
  for (int i = 0; i < ROWS; i++) {
    if (i == BAD) {
      evd_error error = await_error(inserts[i], EVD_EINVAL);
      assert_string_equal(error.field, "input");
      assert_string_equal(error.native, "22003");
    } else {
      await_ok(inserts[i]);
    }
  }
  assert_int_equal(number("select count(*) from task_executions"), ROWS - 1);
}

static void the_column_of_a_bad_value_is_named(void **state) {
  struct statement_key key =
      postgres_insert_key(COLUMN_BIT(evd_column_task_id) | COLUMN_BIT(evd_column_input));
  assert_int_equal(postgres_parameter_column(&key, 1), evd_column_task_id);
  assert_int_equal(postgres_parameter_column(&key, 2), evd_column_input);
  assert_int_equal(postgres_parameter_column(&key, 3), EVD_COLUMN_COUNT);
  memset(&key, 0, sizeof key);
  key.set = COLUMN_BIT(evd_column_output) | COLUMN_BIT(evd_column_updated_at);
  key.operation = EVD_OPERATION_UPDATE;
  assert_int_equal(postgres_parameter_column(&key, 1), EVD_COLUMN_COUNT);
  assert_int_equal(postgres_parameter_column(&key, 2), evd_column_output);
  key.operation = EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN;
  assert_int_equal(postgres_parameter_column(&key, 3), evd_column_updated_at);
  assert_int_equal(postgres_parameter_column(&key, 4), EVD_COLUMN_COUNT);
  assert_int_equal(postgres_parameter_column(&key, 5 + evd_column_input), evd_column_input);
  key.operation = EVD_OPERATION_CLAIM_BY_START_AT;
  assert_int_equal(postgres_parameter_column(&key, 3), evd_column_output);
  key.operation = EVD_OPERATION_CLOSE_FINISHED;
  assert_int_equal(postgres_parameter_column(&key, 3), evd_column_updated_at);
}

static void a_foreign_constraint_is_named(void **state) {
  needs_postgres();
  open_with("", NULL);
  sql("alter table task_executions add constraint no_such_task check (task_id <> 'forbidden')");
  evd_execution row = sample_execution("te_1");
  row.task_id = "forbidden";
  evd_error error = await_error(evd_insert(test.storage, &row, 1), EVD_ECONSTRAINT);
  assert_string_equal(error.field, "no_such_task");
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
}

/* A session that holds a row's lock. */
static struct native *hold(const char *id) {
  struct native *native = native_open(test.url);
  native_run(native,
             text("begin; select 1 from task_executions where execution_id = '%s' for update", id));
  return native;
}

static void let_go(struct native *native) {
  native_run(native, "rollback");
  native_close(native);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events) {
  let_go(timer->data);
}

static void a_lock_that_is_held_for_too_long_is_waited_for_again(void **state) {
  needs_postgres();
  open_with("lock_timeout=50", NULL);
  insert_sample("te_1");
  ev_timer timer;
  ev_timer_init(&timer, on_timer, 0.4, 0);
  timer.data = hold("te_1");
  ev_timer_start(test.loop, &timer);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  assert_true(await_matched(evd_update(test.storage, "te_1", NULL, &changes)));
  evd_stats stats;
  evd_storage_stats(test.storage, &stats);
  expect(stats.operations[EVD_OPERATION_UPDATE].retries > 0, "no retry was counted");
}

static void a_table_that_is_locked_for_a_while_is_checked_after_that(void **state) {
  needs_postgres();
  open_with("", NULL);
  await_ok(evd_storage_close(test.storage, -1));
  struct native *other = native_open(test.url);
  native_run(other, "begin; lock table task_executions in access exclusive mode");
  ev_timer timer;
  ev_timer_init(&timer, on_timer, 3, 0);
  timer.data = other;
  ev_now_update(test.loop);
  ev_timer_start(test.loop, &timer);
  open_with("connect_timeout=1", &(evd_options){.operation_timeout_ms = 100});
  ev_run(test.loop, 0); /* to the timer's end, should this server not ask for the lock */
}

/* Each closing takes children of all parents, and counts all of these down. */
static void closings_at_once_do_not_meet_in_a_deadlock(void **state) {
  enum { PARENTS = 40, CLOSINGS = 60 };
  needs_postgres();
  open_with("", NULL);
  for (int i = 0; i < PARENTS; i++) {
    evd_execution parent = sample_parent(text("te_parent_%d", i), CLOSINGS);
    evd_execution children[CLOSINGS];
    for (int j = 0; j < CLOSINGS; j++) {
      children[j] = sample_child(text("te_%d_%d", i, j), parent.execution_id, j);
      children[j].status = EVD_STATUS_COMPLETED;
      children[j].is_finished = true;
      children[j].updated_at = SAMPLE_TIME + j;
    }
    await_ok(evd_insert(test.storage, &parent, 1));
    await_ok(evd_insert(test.storage, children, CLOSINGS));
  }
  evd_changes close = {0};
  evd_set(&close, close_status, EVD_CLOSE_CLOSED);
  evd_future *closings[CLOSINGS];
  for (int i = 0; i < CLOSINGS; i++) {
    closings[i] = evd_close_finished(test.storage, true, EVD_CLOSE_IDLE, &close, PARENTS);
  }
  int64_t closed = 0;
  for (int i = 0; i < CLOSINGS; i++) {
    closed += await_count(closings[i]);
  }
  evd_stats stats;
  evd_storage_stats(test.storage, &stats);
  assert_int_equal(stats.operations[EVD_OPERATION_CLOSE_FINISHED].retries, 0);
  assert_int_equal(closed, PARENTS * CLOSINGS);
  assert_int_equal(number("select sum(abs(active_children_count)) from task_executions"), 0);
}

static void a_statement_that_takes_too_long_ends_and_poisons_nothing(void **state) {
  needs_postgres();
  open_with("", NULL);
  insert_sample("te_1");
  insert_sample("te_2");
  await_ok(evd_storage_close(test.storage, -1));
  open_with("pool_max=1&statement_timeout=100", NULL);
  struct native *lock = hold("te_1");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_error error = await_error(evd_update(test.storage, "te_1", NULL, &changes), EVD_ETIMEDOUT);
  assert_string_equal(error.native, "57014");
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  while (await_code(evd_update(test.storage, "te_2", NULL, &changes)) == EVD_ETIMEDOUT) {
    ; /* on a machine that is slow */
  }
  assert_int_equal(number("select count(*) from task_executions where status = 'running'"), 1);
  let_go(lock);
  evd_stats stats;
  evd_storage_stats(test.storage, &stats);
  assert_int_equal(stats.reconnections, 0);
}

static void an_operation_may_have_more_time_than_a_statement_can_have(void **state) {
  needs_postgres();
  static const int64_t times[] = {INT32_MAX, INT64_C(1) + INT32_MAX, INT64_MAX};
  for (int i = 0; i < 3; i++) {
    open_with("", &(evd_options){.schema = EVD_SCHEMA_CREATE, .operation_timeout_ms = times[i]});
    assert_null(await_row(evd_get(test.storage, "te_1", NULL)));
    await_ok(evd_storage_close(test.storage, -1));
  }
  test.storage = NULL;
}

static void the_isolation_asked_for_is_that_of_every_transaction(void **state) {
  needs_postgres();
  static const struct {
    const char *option, *level;
  } cases[] = {{"", "read committed"},
               {"isolation=repeatable-read", "repeatable read"},
               {"isolation=serializable", "serializable"}};
  for (int i = 0; i < 3; i++) {
    open_with(cases[i].option, NULL);
    sql("create or replace function note() returns trigger language plpgsql as $$ begin "
        "new.executor_id := current_setting('transaction_isolation'); return new; end $$;"
        "create or replace trigger note before insert on task_executions for each row "
        "execute function note()");
    insert_sample(text("te_%d", i));
    assert_string_equal(await_row(evd_get(test.storage, text("te_%d", i), NULL))->executor_id,
                        cases[i].level);
    await_ok(evd_storage_close(test.storage, -1));
  }
  test.storage = NULL;
}

/* Pipelines. */

/* A document of so many bytes. */
static char *document(size_t size) {
  char *input = keep_memory(size + 1);
  memset(input, 'x', size);
  input[0] = input[size - 1] = '"';
  return input;
}

static void both_directions_may_be_full_at_once(void **state) {
  needs_postgres();
  enum { ROWS = 24, MEGABYTE = 1000000 };
  watchdog(600);
  open_with("pool_max=1&pipeline_depth=16",
            &(evd_options){.schema = EVD_SCHEMA_CREATE, .batch_max_requests = 2});
  const char *input = document(MEGABYTE);
  evd_future *futures[3 * ROWS];
  for (int i = 0; i < ROWS; i++) {
    evd_execution row = sample_execution(text("te_a%d", i));
    row.input = input;
    await_ok(evd_insert(test.storage, &row, 1));
  }
  for (int i = 0; i < ROWS; i++) {
    evd_execution row = sample_execution(text("te_b%d", i));
    evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
    row.input = input;
    evd_set(&changes, output, input);
    futures[3 * i] = evd_get(test.storage, text("te_a%d", i), NULL);
    futures[3 * i + 1] = evd_insert(test.storage, &row, 1);
    futures[3 * i + 2] = evd_update(test.storage, text("te_a%d", i), NULL, &changes);
  }
  for (int i = 0; i < 3 * ROWS; i++) {
    await_ok(futures[i]);
  }
  assert_int_equal(number("select count(*) from task_executions where "
                          "length(input #>> '{}') = 999998"),
                   2 * ROWS);
  watchdog(0);
}

/* The answer to an update comes while the insertion behind it fills the socket, which the server does
 * not empty: its first row waits for another session's. */
static void an_answer_that_comes_while_the_socket_is_full_is_seen(void **state) {
  needs_postgres();
  enum { ROUNDS = 12, STEP = 8000000, LARGE = 16000000 };
  watchdog(600);
  open_with("pool_max=1&pipeline_depth=2",
            &(evd_options){.schema = EVD_SCHEMA_CREATE, .operation_timeout_ms = 20000});
  insert_sample("te_1");
  sql("create function dawdle() returns trigger language plpgsql as $$ begin "
      "perform pg_sleep(new.retry_attempts * 0.001); return new; end $$;"
      "create trigger dawdle before update on task_executions for each row execute function "
      "dawdle();");
  const char *step = document(STEP);
  const char *large = document(LARGE);
  for (int round = 0; round < ROUNDS; round++) {
    struct native *other = native_open(test.url);
    native_run(other, text("begin; insert into task_executions select (jsonb_populate_record(t, "
                           "'{\"execution_id\":\"te_a_%d\"}')).* from task_executions as t where "
                           "execution_id = 'te_1'",
                           round));
    evd_execution rows[] = {sample_execution(text("te_a_%d", round)),
                            sample_execution(text("te_b_%d", round))};
    rows[0].input = step;
    rows[1].input = large;
    evd_changes changes = sample_changes(0);
    evd_set(&changes, retry_attempts, round);
    evd_future *updated = evd_update(test.storage, "te_1", NULL, &changes);
    evd_future *inserted = evd_insert(test.storage, rows, 2);
    assert_true(await_matched(updated));
    native_run(other, "rollback");
    native_close(other);
    await_ok(inserted);
  }
  watchdog(0);
}

static void one_large_row_does_not_make_a_claim_of_many_fail(void **state) {
  needs_postgres();
  enum { ROWS = 6000, LARGE = 16000000 };
  open_with("", NULL);
  evd_execution *rows = keep_memory(ROWS * sizeof *rows);
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].start_at += i;
  }
  rows[0].input = document(LARGE);
  await_ok(evd_insert(test.storage, rows, ROWS));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  const evd_execution *claimed =
      await_rows(evd_claim_by_start_at(test.storage, EVD_STATUS_READY, SAMPLE_TIME * 2, SAMPLE_TIME,
                                       &changes, ROWS),
                 &count);
  assert_int_equal(count, ROWS);
  assert_int_equal(strlen(claimed[0].input), LARGE);
}

/* Of the statements that insert. */
struct durations {
  int statements;
  double longest, shortest; /* milliseconds */
};

static void note_duration(const evd_log_event *event, void *data) {
  struct durations *durations = data;
  if (event->level == EVD_LOG_QUERY && event->operation == EVD_OPERATION_INSERT) {
    bool is_first = durations->statements++ == 0;
    double ms = event->duration_ms;
    durations->longest = is_first || ms > durations->longest ? ms : durations->longest;
    durations->shortest = is_first || ms < durations->shortest ? ms : durations->shortest;
  }
}

/* The first is answered before the last is sent: a notice makes the server send what it has. */
static void each_statement_of_a_batch_has_its_own_duration(void **state) {
  needs_postgres();
  enum { ROWS = 24, SIZE = 1100000 };
  struct durations durations = {0};
  open_with("pool_max=1", &(evd_options){.schema = EVD_SCHEMA_CREATE,
                                         .log = note_duration,
                                         .log_level = EVD_LOG_QUERY,
                                         .log_data = &durations});
  sql("create function tell() returns trigger language plpgsql as $$ begin raise notice 'hear'; "
      "return null; end $$;"
      "create trigger tell before insert on task_executions execute function tell()");
  evd_execution rows[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].input = document(SIZE);
  }
  double start = ev_time();
  await_ok(evd_insert(test.storage, rows, ROWS));
  double took = (ev_time() - start) * 1000;
  assert_int_equal(durations.statements, ROWS);
  expect(durations.shortest > 0 && durations.longest <= took, "from %g to %g ms, of %g in all",
         durations.shortest, durations.longest, took);
}

static void large_updates_are_several_statements(void **state) {
  enum { COUNT = 16, SIZE = 300000, STEPS = 4 };
  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&changes, output, document(SIZE));
  struct request requests[COUNT];
  struct request *pointers[COUNT];
  for (int i = 0; i < COUNT; i++) {
    requests[i] = (struct request){
        .operation = EVD_OPERATION_UPDATE, .id = text("te_%d", i), .changes = &changes};
    pointers[i] = &requests[i];
  }
  struct batch batch = {.operation = EVD_OPERATION_UPDATE, .count = COUNT, .requests = pointers};
  struct flight *flight = postgres_flight_new(&batch);
  assert_int_equal(flight->step_count, STEPS);
  for (int i = 0; i < STEPS; i++) {
    assert_int_equal(flight->steps[i].count, COUNT / STEPS);
    assert_ptr_equal(flight->steps[i].requests, &flight->requests[i * COUNT / STEPS]);
  }
  postgres_flight_free(flight);
  release_kept();
}

static int set_up(void **state) {
  if (!postgres_is_there()) {
    return 0;
  }
  test.loop = ev_loop_new(EVFLAG_AUTO);
  test.url = postgres_database();
  test.storage = NULL;
  return 0;
}

static int tear_down(void **state) {
  if (!postgres_is_there()) {
    return 0;
  }
  if (test.storage != NULL) {
    await_code(evd_storage_close(test.storage, 0));
  }
  ev_run(test.loop, 0); /* for what could not be opened: it closes by itself */
  ev_loop_destroy(test.loop);
  postgres_drop_databases();
  release_kept();
  return 0;
}

#define postgres_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

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
      postgres_test(a_changed_type_is_no_concern_of_callers),
      postgres_test(an_error_that_only_reads_like_a_stale_plans_is_none),
      postgres_test(more_statements_than_are_kept_can_be_used),
      postgres_test(a_statement_that_cannot_be_given_back_loses_no_update),
      cmocka_unit_test(the_statement_not_used_for_longest_gives_way),
      postgres_test(one_bad_document_fails_alone_among_255),
      cmocka_unit_test(the_column_of_a_bad_value_is_named),
      postgres_test(a_foreign_constraint_is_named),
      postgres_test(a_lock_that_is_held_for_too_long_is_waited_for_again),
      postgres_test(a_table_that_is_locked_for_a_while_is_checked_after_that),
      postgres_test(closings_at_once_do_not_meet_in_a_deadlock),
      postgres_test(a_statement_that_takes_too_long_ends_and_poisons_nothing),
      postgres_test(an_operation_may_have_more_time_than_a_statement_can_have),
      postgres_test(the_isolation_asked_for_is_that_of_every_transaction),
      postgres_test(both_directions_may_be_full_at_once),
      postgres_test(an_answer_that_comes_while_the_socket_is_full_is_seen),
      postgres_test(each_statement_of_a_batch_has_its_own_duration),
      cmocka_unit_test(large_updates_are_several_statements),
      postgres_test(one_large_row_does_not_make_a_claim_of_many_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
