/*
 * How PostgreSQL runs each statement on a table of a million rows, most of them finished: by which
 * index, and never by reading the table, whatever it knows of the table: nothing, what was true
 * when the table was empty, when it was small or when no row was active, or what is true. On our
 * own table and, smaller, on one as the framework makes it.
 */
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "engine/postgres/encode.h"
#include "engine/postgres/flight.h"
#include "sql/postgres.h"
#include "sql/schema.h"
#include "sql/script.h"
#include "support/check.h"
#include "support/postgres_server.h"

enum { BATCH = 128 };

/* A request of the framework's, and the index that shall find its rows. */
struct plan {
  struct request request;
  const char *own;       /* the index's suffix on our own table */
  const char *framework; /* and on the framework's */
};

static evd_changes changes;
static evd_execution child;
static const char *const task_ids[] = {"another", "task", "third"};

#define BY_ID "pkey", "execution_id"
#define BY_UNIQUE_ID "sleeping_task_unique_id", "sleeping_task_unique_id"
#define BY_PARENT "parent", "parent_execution_id_is_finished"

static const struct plan plans[] = {
    {{.operation = EVD_OPERATION_GET}, BY_ID},
    {{.operation = EVD_OPERATION_GET,
      .filter = {.status = EVD_STATUS_RUNNING, .is_sleeping_task = EVD_NO, .is_finished = EVD_NO}},
     BY_ID},
    {{.operation = EVD_OPERATION_GET,
      .filter = {.status = EVD_STATUS_COMPLETED,
                 .is_sleeping_task = EVD_NO,
                 .is_finished = EVD_YES}},
     BY_ID},
    {{.operation = EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID}, BY_UNIQUE_ID},
    {{.operation = EVD_OPERATION_GET_BY_PARENT}, BY_PARENT},
    {{.operation = EVD_OPERATION_GET_TREE}, BY_PARENT},
    {{.operation = EVD_OPERATION_GET_TREE}, BY_ID},
    {{.operation = EVD_OPERATION_UPDATE}, BY_ID},
    {{.operation = EVD_OPERATION_UPDATE,
      .filter = {.status = EVD_STATUS_READY, .is_sleeping_task = EVD_YES, .is_finished = EVD_YES}},
     BY_ID},
    {{.operation = EVD_OPERATION_UPDATE,
      .filter = {.status = EVD_STATUS_RUNNING, .is_sleeping_task = EVD_NO, .is_finished = EVD_NO}},
     BY_ID},
    {{.operation = EVD_OPERATION_UPDATE,
      .filter = {.status = EVD_STATUS_RUNNING, .executor_id = "executor_7", .started_at = 1}},
     BY_ID},
    {{.operation = EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN,
      .filter = {.status = EVD_STATUS_RUNNING},
      .executions = &child,
      .execution_count = 1},
     BY_ID},
    {{.operation = EVD_OPERATION_CLAIM_BY_START_AT, .status = EVD_STATUS_READY},
     "ready",
     "status_start_at"},
    {{.operation = EVD_OPERATION_CLAIM_BY_START_AT,
      .status = EVD_STATUS_READY,
      .task_ids = task_ids,
      .task_id_count = 3},
     "by_task",
     "status_task_id_start_at"},
    {{.operation = EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED,
      .status = EVD_STATUS_WAITING_FOR_CHILDREN,
      .ocfp_status = EVD_OCFP_IDLE},
     "children_finished",
     "status_ocfp_status_acc_updated_at"},
    {{.operation = EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED,
      .status = EVD_STATUS_WAITING_FOR_CHILDREN,
      .ocfp_status = EVD_OCFP_IDLE,
      .task_ids = task_ids,
      .task_id_count = 3},
     "children_finished",
     "status_ocfp_status_acc_updated_at"},
    {{.operation = EVD_OPERATION_CLAIM_BY_CLOSE_STATUS, .close_status = EVD_CLOSE_READY},
     "close_ready",
     "close_status_updated_at"},
    {{.operation = EVD_OPERATION_EXPIRE_BY_EXPIRES_AT, .status = EVD_STATUS_RUNNING},
     "running",
     "status_is_sleeping_task_expires_at"},
    {{.operation = EVD_OPERATION_EXPIRE_BY_EXPIRES_AT, .status = EVD_STATUS_RUNNING, .flag = true},
     "running",
     "status_is_sleeping_task_expires_at"},
    {{.operation = EVD_OPERATION_EXPIRE_BY_EXPIRES_AT,
      .status = EVD_STATUS_RUNNING,
      .attempts_left = EVD_NO,
      .extra_attempts = 3},
     "running",
     "status_is_sleeping_task_expires_at"},
    {{.operation = EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT},
     "ocfp_expires_at",
     "on_ocfp_expires_at"},
    {{.operation = EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT},
     "close_expires_at",
     "close_expires_at"},
    {{.operation = EVD_OPERATION_CLAIM_BY_CANCELLATION, .flag = true},
     "cancellation",
     "executor_id_npc_updated_at"},
    {{.operation = EVD_OPERATION_UPDATE_BY_PARENT, .flag = false}, BY_PARENT},
    {{.operation = EVD_OPERATION_UPDATE_BY_PARENT, .flag = true}, BY_PARENT},
    {{.operation = EVD_OPERATION_CLOSE_FINISHED, .flag = true, .close_status = EVD_CLOSE_IDLE},
     "finished",
     "is_finished_close_status_updated_at"},
    {{.operation = EVD_OPERATION_DELETE}, BY_ID},
};

enum { PLANS = sizeof plans / sizeof *plans };

/* The table under test. */
static struct {
  PGconn *pg;
  struct postgres_table table;
  bool framework_shape;
  int rows;
} test;

static void run(const char *sql) {
  PGresult *result = PQexec(test.pg, sql);
  ExecStatusType status = PQresultStatus(result);
  expect(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%.200s: %s", sql,
         PQerrorMessage(test.pg));
  PQclear(result);
}

static void make_table(bool framework_shape, int rows) {
  struct table_name name;
  assert_int_equal(table_name_parse("t", &name, NULL), EVD_OK);
  test.framework_shape = framework_shape;
  test.rows = rows;
  postgres_table_init(&test.table, &name);
  test.table.has_task_index = true;
  struct buffer sql = {0};
  const evd_schema_options options = {.framework_shape = framework_shape};
  script_create(&sql, &dialect_postgres, &name, &options, SCHEMA_VERSION);
  run("drop table if exists t");
  run(sql.text);
  buffer_free(&sql);
  run("alter table t set (autovacuum_enabled = false)");
  for (int column = 0; framework_shape && column < EVD_COLUMN_COUNT; column++) {
    enum { JSON = 114, TEXT = 25 };
    const struct postgres_type *type = test.table.types[column];
    bool is_text = column == evd_column_input || column == evd_column_output ||
                   column == evd_column_run_output;
    if (type->format == POSTGRES_JSONB) {
      test.table.types[column] = postgres_type_for((evd_column)column, is_text ? TEXT : JSON);
    }
  }
}

/* Inserts rows from first to last; active ones, or finished and, but for one in 2,000, closed. */
static void fill(const char *kind, int first, int last) {
  bool active = strcmp(kind, "active") == 0;
  const char *status =
      active ? "(array['ready', 'running', 'waiting_for_children'])[1 + i % 3]" : "'completed'";
  const char *closed = active ? "'idle'"
                              : "case when i % 2000 = 0 then 'idle' when i % 2000 = 1 then 'ready' "
                                "else 'closed' end";
  run(text(
      "insert into t (task_id, execution_id, is_sleeping_task, sleeping_task_unique_id, "
      "retry_options, sleep_ms_before_run, timeout_ms, are_children_sequential, input, status, "
      "is_finished, retry_attempts, start_at, expires_at, active_children_count, "
      "on_children_finished_processing_status, "
      "close_status, needs_promise_cancellation, created_at, updated_at, executor_id, "
      "parent_execution_id, parent_task_id, index_in_parent_children, "
      "is_only_child_of_parent, is_finalize_of_parent) "
      "select 'task', 'te_' || lpad(i::text, 9, '0'), i %% 50 = 0, "
      "case when i %% 50 = 0 then 'unique_' || i end, '{}', 0, 1000, false, '{}', %s, %s, 0, i, "
      "case when i %% 3 = 1 and %s then i end, "
      "0, 'idle', %s, i %% 1000 = 7, i, i, 'executor_' || i %% 10, "
      "case when i %% 10 = 0 then 'te_' || lpad((i / 100)::text, 9, '0') end, "
      "case when i %% 10 = 0 then 'task' end, 0, false, false from generate_series(%d, %d) as i",
      status, active ? "false" : "true", active ? "true" : "false", closed, first, last));
}

/* What is asked of PostgreSQL for a batch of requests. */
struct statement {
  struct buffer sql;
  struct encoder encoder;
};

/* Makes the statement that a batch of such requests takes, with its very parameters. */
static void make_statement(struct statement *statement, const struct request *request) {
  struct request requests[BATCH];
  struct request *pointers[BATCH];
  evd_execution children[BATCH];
  for (int i = 0; i < BATCH; i++) {
    requests[i] = *request;
    requests[i].id = request->operation == EVD_OPERATION_CLAIM_BY_CANCELLATION
                         ? "executor_7"
                         : text("te_%09d", (int)((long)i * 7919 % test.rows));
    requests[i].changes = &changes;
    requests[i].limit = 100;
    requests[i].before = test.rows;
    children[i] = child;
    children[i].execution_id = text("te_child_%d", i);
    requests[i].executions = request->executions != NULL ? &children[i] : NULL;
    pointers[i] = &requests[i];
  }
  struct batch batch = {.operation = request->operation, .count = BATCH, .requests = pointers};
  struct flight *flight = postgres_flight_new(&test.table, &batch);
  assert_true(postgres_encode(&statement->encoder, &test.table, &flight->steps[0]));
  postgres_statement(&statement->sql, &test.table, &flight->steps[0].key);
  postgres_flight_free(flight);
}

/* A plan, as the server prints it. */
static char *plan_text(const char *sql, PGresult *result) {
  struct buffer plan = {0};
  expect(PQresultStatus(result) == PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(test.pg));
  for (int i = 0; i < PQntuples(result); i++) {
    buffer_printf(&plan, "%s\n", PQgetvalue(result, i, 0));
  }
  PQclear(result);
  return buffer_take(&plan);
}

/* The plan for these parameters, as for a statement that is not prepared. */
static char *explain(const struct statement *statement) {
  const struct encoder *encoder = &statement->encoder;
  const char *sql = text("explain %s", statement->sql.text);
  return plan_text(sql, PQexecParams(test.pg, sql, encoder->count, NULL, encoder->values,
                                     encoder->lengths, encoder->formats, 0));
}

/* The plan that is kept of a prepared statement: for whatever parameters. */
static char *explain_prepared(const struct statement *statement) {
  struct buffer sql = {0};
  buffer_append(&sql, "explain execute s");
  for (int i = 0; i < statement->encoder.count; i++) {
    buffer_append(&sql, i == 0 ? "(null" : ", null");
  }
  buffer_append(&sql, statement->encoder.count > 0 ? ")" : "");
  run(text("prepare s as %s", statement->sql.text));
  char *plan = plan_text(sql.text, PQexec(test.pg, sql.text));
  run("deallocate s");
  buffer_free(&sql);
  return plan;
}

/* Whether a plan's request selects rows in the order of an index: not those of several tasks, whose
 * first rows are put together. */
static bool is_ordered(const struct plan *plan) {
  bool by_tasks =
      plan->request.operation == EVD_OPERATION_CLAIM_BY_START_AT && plan->request.task_id_count > 0;
  return sql_selection_order(plan->request.operation) != EVD_COLUMN_COUNT && !by_tasks;
}

/* What the plan must name. Two of the framework's indexes may have the same rows in the same order:
 * which of them serves is the planner's choice. */
static const char *index_for(const struct plan *plan) {
  if (!test.framework_shape) {
    return text("t_%s", plan->own);
  }
  return is_ordered(plan) ? "ix_t_" : text("ix_t_%s", plan->framework);
}

/* Whether a plan joins by comparing each row with each: by a condition that no index and no hash
 * serves. */
static bool compares_each_with_each(const char *plan) {
  return strstr(plan, "Join Filter") != NULL;
}

static void check_plan(const struct plan *plan, const char *knowledge, char *explained) {
  const char *index = index_for(plan);
  expect(strstr(explained, "Seq Scan on t") == NULL && strstr(explained, index) != NULL &&
             !compares_each_with_each(explained) &&
             (!is_ordered(plan) || strstr(explained, "Sort Key: t") == NULL),
         "%s: request %d should be served by %s:\n%s", knowledge, (int)(plan - plans), index,
         explained);
  free(explained);
}

static void check_plans(const char *knowledge) {
  for (int i = 0; i < PLANS; i++) {
    struct statement statement;
    memset(&statement, 0, sizeof statement);
    make_statement(&statement, &plans[i].request);
    check_plan(&plans[i], knowledge, explain(&statement));
    check_plan(&plans[i], text("%s, prepared", knowledge), explain_prepared(&statement));
    buffer_free(&statement.sql);
    postgres_encoder_free(&statement.encoder);
  }
}

/* Checks with each kind of statistics. */
static void check_with_all_statistics(bool framework_shape, int rows) {
  int active = rows / 250;
  make_table(framework_shape, rows);
  check_plans("the table is empty");

  fill("finished", 1, rows - active);
  fill("active", rows - active + 1, rows);
  check_plans("the planner knows nothing");

  run("delete from t where not is_finished; analyze t");
  fill("active", rows - active + 1, rows);
  check_plans("the planner knows of no active row");

  run("analyze t");
  check_plans("the planner knows the truth");

  run("truncate t");
  fill("active", 1, 100);
  run("analyze t");
  fill("finished", 101, rows - active);
  fill("active", rows - active + 1, rows);
  check_plans("the planner knows a hundred rows");

  run("delete from t");
  run("vacuum (analyze, truncate off) t"); /* pages without a row: whatever their number, no row */
  fill("finished", 1, rows - active);
  fill("active", rows - active + 1, rows);
  check_plans("the planner believes the table to be empty");
}

static void statements_use_their_index_on_a_million_rows(void **state) {
  needs_postgres();
  check_with_all_statistics(false, 1000000);
}

static void statements_use_their_index_on_smaller_tables(void **state) {
  needs_postgres();
  check_with_all_statistics(false, 40000);
  check_with_all_statistics(false, 2000);
}

static void statements_use_their_index_on_the_frameworks_table(void **state) {
  needs_postgres();
  check_with_all_statistics(true, 100000);
}

static int set_up(void **state) {
  if (!postgres_is_there()) {
    return 0;
  }
  test.pg = PQconnectdb(postgres_database());
  assert_int_equal(PQstatus(test.pg), CONNECTION_OK);
  for (const char *const *setting = postgres_planner_settings; *setting != NULL; setting++) {
    run(text("set %s", *setting));
  }
  run("set client_min_messages = warning");
  evd_set(&changes, status, EVD_STATUS_COMPLETED);
  evd_set(&changes, updated_at, 1);
  evd_execution_init(&child, "te_child", "task", "{}", NULL);
  return 0;
}

static int tear_down(void **state) {
  PQfinish(test.pg);
  postgres_drop_databases();
  release_kept();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(statements_use_their_index_on_a_million_rows),
      cmocka_unit_test(statements_use_their_index_on_smaller_tables),
      cmocka_unit_test(statements_use_their_index_on_the_frameworks_table),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
