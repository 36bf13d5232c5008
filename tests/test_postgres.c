/* The prepared statements, errors, locks and time limits that only PostgreSQL has. */
#include <string.h>

#include "engine/postgres/prepared.h"
#include "sql/postgres.h"
#include "support/postgres_case.h"

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
  sql("create function forget() returns trigger language plpgsql as $$ begin "
      "if exists (select from pg_prepared_statements where name = 'evdurable_1') then "
      "deallocate evdurable_1; end if; return new; end $$;"
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
  key.filter_owner = FILTER_EXECUTOR_ID | FILTER_STARTED_AT;
  assert_int_equal(postgres_parameter_column(&key, 3), EVD_COLUMN_COUNT);
  assert_int_equal(postgres_parameter_column(&key, 4), evd_column_output);
  assert_int_equal(postgres_parameter_column(&key, 7 + evd_column_input), evd_column_input);
  key.operation = EVD_OPERATION_UPDATE;
  assert_int_equal(postgres_parameter_column(&key, 1), EVD_COLUMN_COUNT);
  assert_int_equal(postgres_parameter_column(&key, 4), evd_column_output);
  key.filter_owner = 0;
  key.operation = EVD_OPERATION_EXPIRE_BY_EXPIRES_AT;
  assert_int_equal(postgres_parameter_column(&key, 3), evd_column_output);
  key.attempts_left = EVD_YES;
  assert_int_equal(postgres_parameter_column(&key, 3), EVD_COLUMN_COUNT);
  assert_int_equal(postgres_parameter_column(&key, 4), evd_column_output);
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

int main(void) {
  const struct CMUnitTest tests[] = {
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
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
