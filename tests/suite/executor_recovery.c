/* The executor: what is done again, and what is not, when leases are over. */
#include <string.h>

#include "suite/executor_case.h"

/* A row as an executor left it that died. */
static const char *insert_abandoned(const char *id, int32_t attempts, const char *retry) {
  evd_execution row;
  const evd_run_options options = {.retry_options = retry};
  evd_execution_init(&row, id, "echo", "1", &options);
  row.status = EVD_STATUS_RUNNING;
  row.executor_id = "dead";
  row.started_at = SAMPLE_TIME;
  row.expires_at = SAMPLE_TIME + 1;
  row.retry_attempts = attempts;
  suite_insert(&row);
  return id;
}

static void what_a_dead_executor_left_is_run(void **state) {
  (void)state;
  const evd_task task = {.id = "echo", .run = echo};
  insert_abandoned("te_dead", 0, NULL);
  executor_start(&task, 1, (evd_executor_options){0});
  const evd_execution *row = executor_finished("te_dead");
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  assert_int_equal(row->retry_attempts, 1);
  run_until(executor_stats().recovered == 1);
  executor_stop();
}

static void what_kills_its_executor_too_often_fails(void **state) {
  (void)state;
  const evd_task task = {.id = "echo", .run = echo};
  insert_abandoned("te_pill", 5, "{\"maxAttempts\":2}");
  executor_start(&task, 1, (evd_executor_options){.crashes_max = 3});
  assert_int_equal(executor_finished("te_pill")->status, EVD_STATUS_FAILED);
  assert_int_equal(calls, 0);
  run_until(executor_stats().crashed_out == 1);
  size_t count;
  executor_tree_closed("te_pill", &count);
  executor_stop();
}

/* Starts one that holds its runs, and waits for its first. */
static const char *start_holding(evd_executor_options options) {
  const evd_task task = {.id = "hold", .run = hold};
  executor_start(&task, 1, options);
  const char *id = executor_enqueue((evd_spec){.task_id = "hold"});
  run_until(held != NULL);
  return id;
}

static void a_late_end_is_lost(void **state) {
  (void)state;
  const char *id = start_holding((evd_executor_options){0});
  evd_changes taken = {0};
  evd_set(&taken, executor_id, "another");
  assert_true(await_matched(evd_update(suite.storage, id, NULL, &taken)));
  assert_false(await_matched(evd_run_save(held, "1")));
  assert_false(await_matched(evd_run_extend(held, 1000)));
  evd_run_complete(held, "1");
  run_until(executor_stats().lost == 1);
  assert_int_equal(suite_get(id)->status, EVD_STATUS_RUNNING);
  assert_null(suite_get(id)->output);
  executor_stop();
}

/* The loop was blocked past the lease, and its own executor has claimed the row again. */
static void what_is_claimed_again_goes_on(void **state) {
  (void)state;
  const char *id = start_holding((evd_executor_options){.recover_ms = 10});
  int64_t started_at = suite_get(id)->started_at;
  executor_end_leases(id, NULL);
  run_until(executor_stats().claimed == 2);
  assert_int_equal(calls, 1);
  assert_true(suite_get(id)->started_at > started_at);
  evd_run_complete(held, "\"late\"");
  const evd_execution *row = executor_finished(id);
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  assert_string_equal(row->output, "\"late\"");
  executor_stop();
}

static void what_is_saved_outlives_the_run(void **state) {
  (void)state;
  const char *id = start_holding((evd_executor_options){.recover_ms = 10});
  evd_run *first = held;
  assert_true(await_matched(evd_run_save(first, "{\"page\":7}")));
  /* It dies: the next attempt is another executor's. */
  evd_changes died = {0};
  evd_set(&died, executor_id, "dead");
  evd_set(&died, expires_at, 1);
  assert_true(await_matched(evd_update(suite.storage, id, NULL, &died)));
  evd_run_complete(first, "1");
  held = NULL;
  run_until(held != NULL);
  assert_non_null(strstr(evd_run_execution(held)->run_output, "7"));
  assert_int_equal(evd_run_attempt(held), 1);
  evd_run_complete(held, "2");
  assert_string_equal(executor_finished(id)->output, "2");
  executor_stop();
}

static void a_run_is_given_more_time(void **state) {
  (void)state;
  const char *id = start_holding((evd_executor_options){0});
  int64_t expires_at = suite_get(id)->expires_at;
  await_error(evd_run_extend(held, 0), EVD_EINVAL);
  assert_true(await_matched(evd_run_extend(held, 3600000)));
  assert_true(suite_get(id)->expires_at > expires_at + 3000000);
  assert_true(await_matched(evd_run_extend(held, 1)));
  run_until(evd_run_stopped(held) == EVD_STOP_TIMED_OUT);
  evd_run_complete(held, "1");
  assert_int_equal(executor_finished(id)->status, EVD_STATUS_TIMED_OUT);
  executor_stop();
}

/* A parent whose executor died as it was about to go on; a row that was being closed. */
static void stages_that_were_left_are_gone_on_with(void **state) {
  (void)state;
  const evd_task task = {.id = "parent", .run = echo};
  evd_execution row;
  evd_execution_init(&row, "te_parent", "parent", "1", NULL);
  row.status = EVD_STATUS_WAITING_FOR_CHILDREN;
  row.waiting_for_children_started_at = SAMPLE_TIME;
  row.run_output = "2";
  row.children = "[]";
  row.on_children_finished_processing_status = EVD_OCFP_PROCESSING;
  row.on_children_finished_processing_expires_at = SAMPLE_TIME;
  suite_insert(&row);
  evd_execution_init(&row, "te_closing", "parent", "1", NULL);
  row.status = EVD_STATUS_COMPLETED;
  row.is_finished = true;
  row.output = "1";
  row.finished_at = SAMPLE_TIME;
  row.close_status = EVD_CLOSE_CLOSING;
  row.close_expires_at = SAMPLE_TIME;
  suite_insert(&row);
  size_t count;
  executor_start(&task, 1, (evd_executor_options){0});
  assert_int_equal(executor_finished("te_parent")->status, EVD_STATUS_COMPLETED);
  executor_tree_closed("te_parent", &count);
  executor_tree_closed("te_closing", &count);
  executor_stop();
}

/* Two executors with one table: each execution runs once. */
static void two_executors_share_the_work(void **state) {
  (void)state;
  enum { RUNS = 200 };
  const evd_task task = {.id = "echo", .run = echo};
  const char *ids[RUNS];
  evd_error error;
  executor_start(&task, 1, (evd_executor_options){.claim_max = 5});
  evd_executor *other = evd_executor_new(
      suite.storage, &(evd_executor_options){.claim_max = 5, .poll_ms = 1}, &error);
  assert_non_null(other);
  assert_int_equal(evd_executor_add(other, &task, &error), EVD_OK);
  assert_int_equal(evd_executor_start(other), EVD_OK);
  for (int i = 0; i < RUNS; i++) {
    ids[i] = executor_enqueue((evd_spec){.task_id = "echo", .input = "1"});
  }
  for (int i = 0; i < RUNS; i++) {
    assert_int_equal(executor_finished(ids[i])->status, EVD_STATUS_COMPLETED);
  }
  assert_int_equal(calls, RUNS);
  await_ok(evd_executor_stop(other, 0));
  executor_stop();
}

int executor_recovery_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(what_a_dead_executor_left_is_run),
      suite_test(what_kills_its_executor_too_often_fails),
      suite_test(a_late_end_is_lost),
      suite_test(what_is_claimed_again_goes_on),
      suite_test(what_is_saved_outlives_the_run),
      suite_test(a_run_is_given_more_time),
      suite_test(stages_that_were_left_are_gone_on_with),
      suite_test(two_executors_share_the_work),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
