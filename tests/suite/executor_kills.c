/*
 * The executor: processes that are killed between any two statements. Another executor finishes the
 * work; nothing is stored twice, and nothing is left unfinished or unclosed.
 */
#include "suite/executor_kills.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite/executor_case.h"
#include "support/process.h"

/* An order: it charges, fails to send a mail, and takes two steps one after the other; then a
 * receipt is written, which is an order's output. */

static void order(evd_run *run, void *data) {
  (void)data;
  const evd_spec children[] = {{.task_id = "charge", .input = "100"},
                               {.task_id = "mail", .input = "1"},
                               {.task_id = "steps", .input = "10"}};
  evd_run_spawn(run, "\"ordered\"", children, 3);
}

static void step(evd_run *run, void *data) {
  (void)data;
  char output[32];
  snprintf(output, sizeof output, "%ld", number(evd_run_execution(run)->input) + 1);
  evd_run_complete(run, output);
}

/* Needs two turns, with a state in between. */
static void charge(evd_run *run, void *data) {
  (void)data;
  if (evd_run_execution(run)->run_output == NULL) {
    evd_run_snooze(run, 0, "\"authorized\"");
  } else {
    evd_run_complete(run, evd_run_execution(run)->input);
  }
}

static const char *const steps[] = {"step", "step", NULL};

/* A killed process has spent an attempt: so each task has many. */
#define ATTEMPTS .retry = {.max_attempts = 100}

static const evd_task tasks[] = {
    {.id = "order", .run = order, .finalize_task = "receipt", ATTEMPTS},
    {.id = "charge", .run = charge, ATTEMPTS},
    {.id = "mail", .run = fail_once, ATTEMPTS},
    {.id = "steps", .sequence = steps, ATTEMPTS},
    {.id = "step", .run = step, ATTEMPTS},
    {.id = "receipt", .run = echo, ATTEMPTS},
};

enum { TASKS = sizeof tasks / sizeof *tasks, ORDER_ROWS = 7 };

#define QUICK .poll_ms = 5, .poll_idle_ms = 5, .maintain_ms = 5, .recover_ms = 20

/* The process. There is no cmocka in it. */

static long statements_left;

static void count_down(const evd_log_event *event, void *data) {
  (void)data;
  bool is_of_executor = event->level == EVD_LOG_QUERY && event->operation != EVD_OPERATION_GET_TREE;
  if (is_of_executor && --statements_left == 0) {
    raise(SIGKILL);
  }
}

static bool is_done(evd_storage *storage, const char *id) {
  const evd_execution *rows;
  size_t count;
  evd_future *future = evd_get_tree(storage, id);
  bool done = evd_future_await(future) == EVD_OK &&
              evd_future_rows(future, &rows, &count) == EVD_OK && count == ORDER_ROWS;
  for (size_t i = 0; done && i < count; i++) {
    done = rows[i].close_status == EVD_CLOSE_CLOSED;
  }
  evd_future_release(future);
  return done;
}

int execute_role(const char *url, const char *table, const char *id, const char *statements) {
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  const evd_options options = {.table = table, .log = count_down, .log_level = EVD_LOG_QUERY};
  const evd_executor_options quick = {QUICK};
  evd_error error;
  evd_storage *storage;
  statements_left = number(statements);
  evd_future *opening = evd_storage_open(loop, url, &options);
  if (evd_future_await(opening) != EVD_OK || evd_future_storage(opening, &storage) != EVD_OK) {
    return EXIT_FAILURE;
  }
  evd_future_release(opening);
  evd_executor *worker = evd_executor_new(storage, &quick, &error);
  for (int i = 0; worker != NULL && i < TASKS; i++) {
    (void)evd_executor_add(worker, &tasks[i], &error);
  }
  if (worker == NULL || evd_executor_start(worker) != EVD_OK) {
    return EXIT_FAILURE;
  }
  while (!is_done(storage, id)) {
  }
  evd_future *stopping = evd_executor_stop(worker, 0);
  (void)evd_future_await(stopping);
  evd_future_release(stopping);
  evd_future *closing = evd_storage_close(storage, -1);
  (void)evd_future_await(closing);
  evd_future_release(closing);
  ev_loop_destroy(loop);
  return EXIT_SUCCESS;
}

/* The test. */

#define SURVIVOR "ex_survivor"

static void expect_order(const char *id) {
  size_t count;
  const evd_execution *rows = await_rows(evd_get_tree(suite.storage, id), &count);
  int children = 0;
  assert_int_equal(count, ORDER_ROWS);
  expect(rows[0].status == EVD_STATUS_COMPLETED, "%s is %s: %s", id,
         evd_status_name(rows[0].status), rows[0].error);
  assert_non_null(strstr(rows[0].output, "ordered"));
  for (size_t i = 1; i < count; i++) {
    bool fails = strcmp(rows[i].task_id, "mail") == 0;
    assert_int_equal(rows[i].status, fails ? EVD_STATUS_FAILED : EVD_STATUS_COMPLETED);
    children += strcmp(rows[i].parent_execution_id, id) == 0;
    if (strcmp(rows[i].task_id, "steps") == 0) {
      assert_string_equal(rows[i].output, "12");
    } else if (strcmp(rows[i].task_id, "charge") == 0) {
      assert_string_equal(rows[i].output, "100");
    }
  }
  assert_int_equal(children, 4); /* the receipt too */
}

/* Has an executor here do what is left. What the killed process had sent may still come: so the
 * leases of others end again and again. */
static void finish_order(const char *id) {
  executor_start(tasks, TASKS, (evd_executor_options){.id = SURVIVOR, QUICK});
  while (!is_done(suite.storage, id)) {
    executor_end_leases(id, SURVIVOR);
    suite_run_loop(0.02);
  }
  executor_stop();
}

static void work_goes_on_wherever_its_process_is_killed(void **state) {
  (void)state;
  suite_needs_shared();
  const int by = getenv("EVD_TEST_BRIEF") != NULL ? 7 : 2;
  int status = -1;
  int kills = 0;
  for (int statements = 1; status != 0; statements += by) {
    const char *id = text("te_order_%d", statements);
    const char *const arguments[] = {EXECUTE_ROLE,           suite.url, suite.table, id,
                                     text("%d", statements), NULL};
    evd_execution row;
    const evd_run_options options = {.retry_options = "{\"maxAttempts\":100}"};
    evd_execution_init(&row, id, "order", "1", &options);
    suite_insert(&row);
    struct process process = process_start(arguments);
    status = process_wait(&process);
    expect(status == 0 || status == -1, "the process ended with %d", status);
    kills += status == -1;
    if (status == -1) {
      finish_order(id);
    }
    expect_order(id);
  }
  expect(kills > 5, "only %d processes were killed", kills);
}

int executor_kills_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(work_goes_on_wherever_its_process_is_killed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
