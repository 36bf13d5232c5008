/* evd_insert_sql(): other programs insert executions, with the databases' own clients and in their
 * own transactions. */
#include <stdlib.h>
#include <string.h>

#include "suite/suite.h"
#include "support/native_sql.h"

/* The other program, with a table of its own. */
struct program {
  struct native *native;
  const char *orders; /* its table */
  char *insert;       /* the statement */
};

static struct program *start_program(void) {
  struct program *program = keep_memory(sizeof *program);
  const evd_schema_options options = {.table = suite.table, .framework_shape = suite.framework};
  evd_error error;
  program->insert = evd_insert_sql(suite.engine, &options, &error);
  expect(program->insert != NULL, "%s", error.message);
  program->orders = text("%s_orders", suite.table);
  program->native = native_open(suite.url);
  native_run(program->native, text("drop table if exists %s;", program->orders));
  native_run(program->native, text("create table %s (number integer);", program->orders));
  return program;
}

static void end_program(struct program *program) {
  native_run(program->native, text("drop table %s;", program->orders));
  native_close(program->native);
  free(program->insert);
}

/* What is wrong with the insertion; NULL when nothing is. */
static const char *insert_json(struct program *program, const char *json) {
  return native_try(program->native, program->insert, json);
}

static void insert_rows(struct program *program, const evd_execution *rows, size_t count) {
  evd_error error;
  char *json = evd_executions_to_json(rows, count, &error);
  expect(json != NULL, "%s", error.message);
  const char *wrong = insert_json(program, json);
  expect(wrong == NULL, "%s", wrong);
  free(json);
}

/* An order and its task, in one transaction that ends so. */
static void order(struct program *program, const evd_execution *task, const char *end) {
  native_run(program->native, text("begin; insert into %s values (1);", program->orders));
  insert_rows(program, task, 1);
  native_run(program->native, end);
}

static int64_t count_orders(struct program *program) {
  return native_number(program->native, text("select count(*) from %s;", program->orders));
}

static void a_task_is_there_exactly_if_the_transaction_is_committed(void **state) {
  suite_needs_shared();
  struct program *program = start_program();
  evd_execution lost = sample_execution("te_lost"), kept = sample_execution("te_kept");
  order(program, &lost, "rollback;");
  assert_null(suite_get("te_lost"));
  assert_int_equal(count_orders(program), 0);
  order(program, &kept, "commit;");
  suite_expect(&kept);
  assert_int_equal(count_orders(program), 1);
  evd_changes run = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  const evd_execution *claimed = await_rows(
      evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME + 10), &run, 10), &count);
  assert_int_equal(count, 1);
  assert_string_equal(claimed[0].execution_id, "te_kept");
  end_program(program);
}

static void rows_of_every_kind_are_what_evd_insert_makes_of_them(void **state) {
  suite_needs_shared();
  struct program *program = start_program();
  evd_execution rows[] = {
      sample_execution("te_1"),        sample_full("te_2"),
      sample_sleeping("te_3", "u_3"),  sample_parent("te_4", 2),
      sample_child("te_5", "te_4", 7), sample_finished_child("te_6", "te_4", -1),
      sample_execution("te_7"),        sample_execution("te_8"),
      sample_execution("te_9"),
  };
  enum { ROWS = sizeof rows / sizeof *rows };
  rows[6].input = "null";
  rows[6].output = "null";
  rows[7].input = "\"a text \\\" \\\\ \\n \\u00e9 '; drop table x; --\"";
  rows[7].run_output = "[1.5, -2e3, 12345678901234567890, true, {\"a\": [null, \"\"]}]";
  rows[7].executor_id = "null";
  rows[8].task_id = "na\xc3\xafve'\"\\ \xf0\x9f\x98\x80";
  rows[8].start_at = -SAMPLE_MAX_TIME;
  rows[8].timeout_ms = SAMPLE_MAX_TIME;
  rows[8].retry_attempts = INT32_MAX;
  insert_rows(program, rows, ROWS);
  for (int i = 0; i < ROWS; i++) {
    suite_expect(&rows[i]);
  }
  insert_rows(program, NULL, 0);
  assert_null(insert_json(program, "[]"));
  end_program(program);
}

static void many_rows_are_one_statement(void **state) {
  enum { ROWS = 1000 };
  suite_needs_shared();
  struct program *program = start_program();
  static evd_execution rows[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%04d", i));
    rows[i].input = text("{\"number\": %d}", i);
  }
  insert_rows(program, rows, ROWS);
  for (int i = 0; i < ROWS; i += 111) {
    suite_expect(&rows[i]);
  }
  end_program(program);
}

static void keys_that_are_left_out_are_those_of_a_new_execution(void **state) {
  suite_needs_shared();
  struct program *program = start_program();
  int64_t before = evd_now();
  const char *wrong = insert_json(
      program, "[{\"taskId\": \"send_mail\", \"executionId\": \"te_1\", \"parentTaskId\": null},"
               " {\"taskId\": \"send_mail\", \"executionId\": \"te_2\", \"input\": {\"to\": 1},"
               "  \"sleepMsBeforeRun\": 5000, \"error\": null, \"isFinished\": null}]");
  int64_t after = evd_now();
  expect(wrong == NULL, "%s", wrong);
  for (int i = 1; i <= 2; i++) {
    const evd_execution *row = suite_get(text("te_%d", i));
    int64_t delay = i == 2 ? 5000 : 0;
    evd_execution expected;
    evd_execution_init(&expected, row->execution_id, "send_mail", i == 2 ? "{\"to\":1}" : "null",
                       &(evd_run_options){.sleep_ms_before_run = delay});
    expected.created_at = row->created_at;
    expected.updated_at = row->updated_at;
    expected.start_at = row->start_at;
    expect_row(row, &expected);
    expect(row->created_at >= before - 2 && row->created_at <= after + 2,
           "created at %lld, between %lld and %lld", (long long)row->created_at, (long long)before,
           (long long)after);
    expect(row->start_at >= row->created_at + delay && row->start_at <= after + delay + 2,
           "starts at %lld", (long long)row->start_at);
  }
  end_program(program);
}

static void what_the_table_refuses_fails_as_a_whole(void **state) {
  suite_needs_shared();
  struct program *program = start_program();
  evd_execution there = sample_execution("te_there");
  suite_insert(&there);
  static const char *const cases[] = {
      "[{\"taskId\":\"t\",\"executionId\":\"te_1\"},{\"taskId\":\"t\",\"executionId\":\"te_there\"}]",
      "[{\"taskId\":\"t\",\"executionId\":\"te_1\"},{\"taskId\":\"t\"}]",
      "[{\"taskId\":\"t\",\"executionId\":\"te_1\"},{\"executionId\":\"te_2\"}]",
      "[{\"taskId\":\"t\",\"executionId\":\"te_1\"}",
      "no json",
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_non_null(insert_json(program, cases[i]));
    assert_null(suite_get("te_1"));
  }
  suite_expect(&there);
  end_program(program);
}

/* Our own table has constraints and lengths. */
static void our_own_table_refuses_what_no_execution_has(void **state) {
  suite_needs_shared();
  if (suite.framework) {
    skip();
  }
  struct program *program = start_program();
  static const char *const columns[] = {
      "\"status\": \"unknown\"",
      "\"closeStatus\": 7",
      "\"startAt\": \"soon\"",
      "\"retryAttempts\": 1e30",
  };
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    const char *json = text("[{\"taskId\": \"t\", \"executionId\": \"te_1\", %s}]", columns[i]);
    expect(insert_json(program, json) != NULL, "%s", json);
    assert_null(suite_get("te_1"));
  }
  end_program(program);
}

static void records_are_checked_before_they_are_json(void **state) {
  evd_execution rows[] = {sample_execution("te_1"), sample_execution("te_2")};
  rows[1].input = "no json";
  evd_error error;
  assert_null(evd_executions_to_json(rows, 2, &error));
  assert_int_equal(error.code, EVD_EINVAL);
  assert_string_equal(error.field, "input");
  expect(strncmp(error.message, "executions[1].", 14) == 0, "%s", error.message);
  assert_null(evd_executions_to_json(NULL, 1, NULL));
  char *json = evd_executions_to_json(rows, 0, NULL);
  assert_string_equal(json, "[]");
  free(json);
  assert_null(evd_insert_sql("oracle", NULL, &error));
  assert_string_equal(error.field, "engine");
  assert_null(evd_insert_sql("sqlite", &(evd_schema_options){.table = "a;b"}, &error));
  assert_string_equal(error.field, "table");
}

int insert_sql_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_task_is_there_exactly_if_the_transaction_is_committed),
      suite_test(rows_of_every_kind_are_what_evd_insert_makes_of_them),
      suite_test(many_rows_are_one_statement),
      suite_test(keys_that_are_left_out_are_those_of_a_new_execution),
      suite_test(what_the_table_refuses_fails_as_a_whole),
      suite_test(our_own_table_refuses_what_no_execution_has),
      suite_test(records_are_checked_before_they_are_json),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
