/* What only PostgreSQL has: its types, its prepared statements, its errors, its pipelines. */
#include <stdlib.h>
#include <string.h>

#include <ev.h>

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

static void more_statements_than_are_kept_can_be_used(void **state) {
  needs_postgres();
  open_with("pool_max=1", NULL);
  insert_sample("te_1");
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
    assert_true(await_matched(evd_update(test.storage, "te_1", NULL, &changes)));
  }
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
    assert_int_equal(prepared_find(&prepared, &key), 0);
    assert_int_equal(prepared_add(&prepared, &key), i + 1);
    assert_int_equal(prepared_evict(&prepared), 0);
  }
  struct statement_key first = key_number(0);
  struct statement_key second = key_number(1);
  struct statement_key beyond = key_number(PREPARED_MAX);
  assert_int_equal(prepared_find(&prepared, &first), 1);
  assert_int_equal(prepared_add(&prepared, &beyond), PREPARED_MAX + 1);
  assert_int_equal(prepared_evict(&prepared), 2);
  assert_int_equal(prepared_evict(&prepared), 0);
  assert_int_equal(prepared_find(&prepared, &second), 0);
  assert_int_equal(prepared_find(&prepared, &first), 1);
  prepared_remove(&prepared, 1);
  assert_int_equal(prepared_find(&prepared, &first), 0);
  prepared_clear(&prepared);
}

/* Errors. */

static void one_bad_document_fails_alone_among_255(void **state) {
  needs_postgres();
  enum { ROWS = 256, BAD = 77 };
  open_with("", &(evd_options){.schema = EVD_SCHEMA_CREATE, .batch_max_requests = ROWS});
  evd_future *inserts[ROWS];
  for (int i = 0; i < ROWS; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    row.input = i == BAD ? "{\"n\":1e999999}" : "{\"n\":1}";
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

static void a_statement_that_takes_too_long_ends_and_poisons_nothing(void **state) {
  needs_postgres();
  open_with("pool_max=1&statement_timeout=100", NULL);
  insert_sample("te_1");
  insert_sample("te_2");
  struct native *lock = hold("te_1");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_error error = await_error(evd_update(test.storage, "te_1", NULL, &changes), EVD_ETIMEDOUT);
  assert_string_equal(error.native, "57014");
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_true(await_matched(evd_update(test.storage, "te_2", NULL, &changes)));
  let_go(lock);
  evd_stats stats;
  evd_storage_stats(test.storage, &stats);
  assert_int_equal(stats.reconnections, 0);
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
  watchdog(120);
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

/* How late a timer of a millisecond fires, at most. */
struct delay {
  ev_timer timer;
  double due, most;
};

static void measure_delay(struct ev_loop *loop, ev_timer *timer, int events) {
  struct delay *delay = timer->data;
  double now = ev_time();
  if (now - delay->due > delay->most) {
    delay->most = now - delay->due;
  }
  ev_now_update(loop);
  delay->due = ev_time() + 0.001;
  ev_timer_again(loop, timer);
}

static void large_results_do_not_hold_up_the_loop(void **state) {
  needs_postgres();
  enum { ROWS = 20000 };
  open_with("", NULL);
  evd_execution *rows = keep_memory(ROWS * sizeof *rows);
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
  }
  struct delay delay = {.due = ev_time() + 0.001};
  ev_timer_init(&delay.timer, measure_delay, 0.001, 0.001);
  delay.timer.data = &delay;
  evd_future *inserted = keep_future(evd_insert(test.storage, rows, ROWS));
  ev_now_update(test.loop);
  ev_timer_start(test.loop, &delay.timer);
  assert_int_equal(evd_future_await(inserted), EVD_OK);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  await_rows(evd_claim_by_start_at(test.storage, EVD_STATUS_READY, SAMPLE_TIME * 2, SAMPLE_TIME,
                                   &changes, ROWS),
             &count);
  ev_timer_stop(test.loop, &delay.timer);
  assert_int_equal(count, ROWS);
  expect(delay.most < 0.1, "the loop was held up for %g s", delay.most);
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
  ev_loop_destroy(test.loop);
  postgres_drop_databases();
  release_kept();
  return 0;
}

#define postgres_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      postgres_test(a_table_is_checked_when_it_is_opened),
      postgres_test(columns_may_be_of_kindred_types),
      postgres_test(many_open_at_once_and_create_the_schema),
      postgres_test(a_changed_type_is_no_concern_of_callers),
      postgres_test(more_statements_than_are_kept_can_be_used),
      cmocka_unit_test(the_statement_not_used_for_longest_gives_way),
      postgres_test(one_bad_document_fails_alone_among_255),
      cmocka_unit_test(the_column_of_a_bad_value_is_named),
      postgres_test(a_foreign_constraint_is_named),
      postgres_test(a_lock_that_is_held_for_too_long_is_waited_for_again),
      postgres_test(a_statement_that_takes_too_long_ends_and_poisons_nothing),
      postgres_test(the_isolation_asked_for_is_that_of_every_transaction),
      postgres_test(both_directions_may_be_full_at_once),
      postgres_test(large_results_do_not_hold_up_the_loop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
