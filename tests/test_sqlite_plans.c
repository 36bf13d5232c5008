/*
 * How SQLite runs each statement: by which index, without a full scan, without sorting, whatever
 * statistics it has. On our own table and on the framework's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <evdurable.h>
#include <sqlite3.h>

#include "sql/sqlite.h"
#include "support/check.h"

/* A request of the framework's, and how it shall be run: in words of the plan. */
struct plan {
  struct request request;
  const char *own;       /* the index of our own table */
  const char *framework; /* that of the framework's */
};

static evd_changes changes;

/* The request's operation and what its selection depends on; then the two indexes. */
static const struct plan plans[] = {
    {{.operation = EVD_OPERATION_GET},
     "sqlite_autoindex_t_1 (execution_id=?)",
     "ix_t_execution_id (execution_id=?)"},
    {{.operation = EVD_OPERATION_GET,
      .filter = {.status = EVD_STATUS_RUNNING, .is_sleeping_task = EVD_NO, .is_finished = EVD_NO}},
     "sqlite_autoindex_t_1 (execution_id=?)",
     "ix_t_execution_id (execution_id=?)"},
    {{.operation = EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID},
     "t_sleeping_task_unique_id (sleeping_task_unique_id=?)",
     "ix_t_sleeping_task_unique_id (sleeping_task_unique_id=?)"},
    {{.operation = EVD_OPERATION_UPDATE, .changes = &changes},
     "sqlite_autoindex_t_1 (execution_id=?)",
     "ix_t_execution_id (execution_id=?)"},
    {{.operation = EVD_OPERATION_UPDATE,
      .changes = &changes,
      .filter = {.status = EVD_STATUS_READY, .is_sleeping_task = EVD_YES, .is_finished = EVD_YES}},
     "sqlite_autoindex_t_1 (execution_id=?)",
     "ix_t_execution_id (execution_id=?)"},
    {{.operation = EVD_OPERATION_UPDATE,
      .changes = &changes,
      .filter = {.status = EVD_STATUS_RUNNING, .executor_id = "executor", .started_at = 1}},
     "sqlite_autoindex_t_1 (execution_id=?)",
     "ix_t_execution_id (execution_id=?)"},
    {{.operation = EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN,
      .changes = &changes,
      .filter = {.status = EVD_STATUS_RUNNING}},
     "sqlite_autoindex_t_1 (execution_id=?)",
     "ix_t_execution_id (execution_id=?)"},
    {{.operation = EVD_OPERATION_CLAIM_BY_START_AT,
      .changes = &changes,
      .status = EVD_STATUS_READY},
     "t_ready (start_at<?)",
     "ix_t_status_start_at (status=? AND start_at<?)"},
    {{.operation = EVD_OPERATION_CLAIM_BY_START_AT,
      .changes = &changes,
      .status = EVD_STATUS_READY,
      .task_id_count = 2},
     "t_ready (start_at<?)",
     "ix_t_status_start_at (status=? AND start_at<?)"},
    {{.operation = EVD_OPERATION_CLAIM_BY_START_AT,
      .changes = &changes,
      .status = EVD_STATUS_READY,
      .task_id_count = 2},
     "t_by_task (task_id=? AND start_at<?)",
     "ix_t_status_task_id_start_at (status=? AND task_id=? AND start_at<?)"},
    {{.operation = EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED,
      .changes = &changes,
      .status = EVD_STATUS_WAITING_FOR_CHILDREN,
      .ocfp_status = EVD_OCFP_IDLE},
     "t_children_finished",
     "ix_t_status_ocfp_status_acc_updated_at (status=? AND "
     "on_children_finished_processing_status=? AND active_children_count=?)"},
    {{.operation = EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED,
      .changes = &changes,
      .status = EVD_STATUS_WAITING_FOR_CHILDREN,
      .ocfp_status = EVD_OCFP_IDLE,
      .task_id_count = 2},
     "t_children_finished",
     "ix_t_status_ocfp_status_acc_updated_at (status=? AND "
     "on_children_finished_processing_status=? AND active_children_count=?)"},
    {{.operation = EVD_OPERATION_CLAIM_BY_CLOSE_STATUS,
      .changes = &changes,
      .close_status = EVD_CLOSE_READY},
     "t_close_ready",
     "ix_t_close_status_updated_at (close_status=?)"},
    {{.operation = EVD_OPERATION_EXPIRE_BY_EXPIRES_AT,
      .changes = &changes,
      .status = EVD_STATUS_RUNNING,
      .flag = false},
     "t_running (is_sleeping_task=? AND expires_at<?)",
     "ix_t_status_is_sleeping_task_expires_at (status=? AND is_sleeping_task=? AND expires_at<?)"},
    {{.operation = EVD_OPERATION_EXPIRE_BY_EXPIRES_AT,
      .changes = &changes,
      .status = EVD_STATUS_RUNNING,
      .flag = true},
     "t_running (is_sleeping_task=? AND expires_at<?)",
     "ix_t_status_is_sleeping_task_expires_at (status=? AND is_sleeping_task=? AND expires_at<?)"},
    {{.operation = EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT, .changes = &changes},
     "t_ocfp_expires_at (on_children_finished_processing_expires_at<?)",
     "ix_t_on_ocfp_expires_at (on_children_finished_processing_expires_at<?)"},
    {{.operation = EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT, .changes = &changes},
     "t_close_expires_at (close_expires_at<?)",
     "ix_t_close_expires_at (close_expires_at<?)"},
    {{.operation = EVD_OPERATION_CLAIM_BY_CANCELLATION, .changes = &changes, .flag = true},
     "t_cancellation (executor_id=?)",
     "ix_t_executor_id_npc_updated_at (executor_id=? AND needs_promise_cancellation=?)"},
    {{.operation = EVD_OPERATION_GET_BY_PARENT},
     "t_parent (parent_execution_id=?)",
     "ix_t_parent_execution_id_is_finished (parent_execution_id=?)"},
    {{.operation = EVD_OPERATION_GET_TREE},
     "t_parent (parent_execution_id=?)",
     "ix_t_parent_execution_id_is_finished (parent_execution_id=?)"},
    {{.operation = EVD_OPERATION_GET_TREE},
     "sqlite_autoindex_t_1 (execution_id=?)",
     "ix_t_execution_id (execution_id=?)"},
    {{.operation = EVD_OPERATION_UPDATE_BY_PARENT, .changes = &changes, .flag = false},
     "t_parent (parent_execution_id=?)",
     "ix_t_parent_execution_id_is_finished (parent_execution_id=? AND is_finished=?)"},
    {{.operation = EVD_OPERATION_UPDATE_BY_PARENT, .changes = &changes, .flag = true},
     "t_parent (parent_execution_id=?)",
     "ix_t_parent_execution_id_is_finished (parent_execution_id=? AND is_finished=?)"},
    {{.operation = EVD_OPERATION_CLOSE_FINISHED,
      .changes = &changes,
      .flag = true,
      .close_status = EVD_CLOSE_IDLE},
     "t_finished",
     "ix_t_is_finished_close_status_updated_at (is_finished=? AND close_status=?)"},
    {{.operation = EVD_OPERATION_DELETE},
     "sqlite_autoindex_t_1 (execution_id=?)",
     "ix_t_execution_id (execution_id=?)"},
};

enum { PLAN_COUNT = sizeof plans / sizeof plans[0] };

static void run(sqlite3 *db, const char *sql) {
  char *message = NULL;
  int result = sqlite3_exec(db, sql, NULL, NULL, &message);
  expect(result == SQLITE_OK, "%s: %s", message, sql);
}

/* A database in memory with the table "t". */
static sqlite3 *open_database(bool framework_shape) {
  sqlite3 *db;
  evd_schema_options options = {.table = "t", .framework_shape = framework_shape};
  char *schema = evd_schema_sql("sqlite", &options, NULL);
  assert_non_null(schema);
  assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
  run(db, schema);
  free(schema);
  return db;
}

/* Fills the table with 5,000 rows, of which every `odd`th is in the state that claims look for, the
 * others in another. */
static void fill(sqlite3 *db, const char *common_status, int odd) {
  run(db, text("with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) "
               "insert into t (parent_execution_id, index_in_parent_children, task_id, "
               "execution_id, is_sleeping_task, retry_options, sleep_ms_before_run, timeout_ms, "
               "are_children_sequential, input, executor_id, status, is_finished, retry_attempts, "
               "start_at, expires_at, active_children_count, "
               "on_children_finished_processing_status, close_status, close_expires_at, "
               "needs_promise_cancellation, created_at, updated_at) "
               "select 'p' || (i / 10), i %% 10, 'task', 'te' || i, 0, '{}', 0, 0, 0, '{}', "
               "'executor' || (i %% 3), iif(i %% %d = 0, 'ready', '%s'), "
               "iif(i %% %d = 0, 0, 1), 0, i, i, 0, 'idle', iif(i %% %d = 0, 'ready', 'idle'), "
               "iif(i %% %d = 0, i, null), 0, i, i from n",
               odd, common_status, odd, odd, odd));
}

/* The plan of a statement, in one text. */
static const char *explain(sqlite3 *db, const struct statement_key *key) {
  struct table_name table = {.name = "t"};
  struct buffer sql = {0};
  buffer_append(&sql, "explain query plan ");
  sqlite_statement(&sql, &table, key);
  assert_false(sql.failed);

  sqlite3_stmt *statement;
  int result = sqlite3_prepare_v2(db, sql.text, -1, &statement, NULL);
  expect(result == SQLITE_OK, "%s: %s", sqlite3_errmsg(db), sql.text);
  const char *all = "";
  while (sqlite3_step(statement) == SQLITE_ROW) {
    all = text("%s%s\n", all, (const char *)sqlite3_column_text(statement, 3));
  }
  sqlite3_finalize(statement);
  buffer_free(&sql);
  return all;
}

/* Whether the plan is that of a claim by the index of tasks. */
static bool is_by_task_index(const struct plan *plan) {
  return strstr(plan->own, "t_by_task") != NULL;
}

/* Whether the plan's rows come in an order that no index has: the children of one parent, a tree,
 * and rows of several tasks. */
static bool is_sorted_after(const struct plan *plan) {
  return plan->request.operation == EVD_OPERATION_GET_BY_PARENT ||
         plan->request.operation == EVD_OPERATION_GET_TREE || is_by_task_index(plan);
}

/* Whether the plan scans a list: of ids, or of tasks. */
static bool has_list(const struct plan *plan) {
  return plan->request.operation == EVD_OPERATION_GET_TREE || plan->request.task_id_count > 0;
}

/* Looks at the plan of every statement. */
static void check_plans(sqlite3 *db, bool framework_shape, const char *situation) {
  for (size_t i = 0; i < PLAN_COUNT; i++) {
    const struct request *request = &plans[i].request;
    const char *index = framework_shape ? plans[i].framework : plans[i].own;
    struct statement_key key = sqlite_statement_key(request, SQLITE_PART_MAIN);
    key.by_tasks = is_by_task_index(&plans[i]) ? BY_TASKS_INDEX : key.by_tasks;
    const char *plan = explain(db, &key);
    const char *name = evd_operation_name(request->operation);
    expect(strstr(plan, text(" INDEX %s\n", index)) != NULL, "%s, %s: not by %s but:\n%s",
           situation, name, index, plan);
    expect(strstr(plan, "SCAN t\n") == NULL, "%s, %s scans:\n%s", situation, name, plan);
    expect(is_sorted_after(&plans[i]) || strstr(plan, "TEMP B-TREE") == NULL, "%s, %s sorts:\n%s",
           situation, name, plan);
    if (framework_shape) {
      expect(strstr(plan, "SCAN") == NULL || has_list(&plans[i]), "%s, %s scans:\n%s", situation,
             name, plan);
    }
  }
}

/* Looks at the plans of a shape, with no data and with all kinds of statistics. */
static void check_shape(bool framework_shape) {
  evd_set(&changes, status, EVD_STATUS_RUNNING);
  evd_set(&changes, updated_at, 1);

  sqlite3 *db = open_database(framework_shape);
  check_plans(db, framework_shape, "empty");
  run(db, "analyze");
  check_plans(db, framework_shape, "analysed while empty");
  fill(db, "completed", 100);
  check_plans(db, framework_shape, "not analysed since");
  run(db, "analyze");
  check_plans(db, framework_shape, "analysed");

  run(db, "delete from t");
  fill(db, "running", 10000); /* no row is ready */
  run(db, "analyze");
  check_plans(db, framework_shape, "analysed when all were running");
  run(db, "delete from t");
  fill(db, "running", 1); /* each row is ready */
  check_plans(db, framework_shape, "with statistics of another time");
  run(db, "analyze");
  check_plans(db, framework_shape, "analysed when all were ready");
  sqlite3_close(db);
}

static void every_statement_uses_its_index_on_our_own_table(void **state) {
  (void)state;
  check_shape(false);
}

static void every_statement_uses_its_index_on_the_frameworks_table(void **state) {
  (void)state;
  check_shape(true);
}

static void rows_and_parents_are_changed_by_their_keys(void **state) {
  (void)state;
  sqlite3 *db = open_database(false);
  for (size_t i = 0; i < PLAN_COUNT; i++) {
    const struct request *request = &plans[i].request;
    if (request->operation < EVD_OPERATION_CLAIM_BY_START_AT || request->changes == NULL) {
      continue;
    }
    struct statement_key key = sqlite_statement_key(request, SQLITE_PART_ROW);
    assert_string_equal(explain(db, &key), "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)\n");
    key = sqlite_statement_key(request, SQLITE_PART_PARENT);
    assert_string_equal(explain(db, &key),
                        "SEARCH t USING INDEX sqlite_autoindex_t_1 (execution_id=?)\n");
  }
  sqlite3_close(db);
}

static void a_filter_is_hidden_from_the_planner(void **state) {
  (void)state;
  struct request request = {
      .operation = EVD_OPERATION_UPDATE,
      .changes = &changes,
      .filter = {.status = EVD_STATUS_READY, .is_sleeping_task = EVD_YES, .is_finished = EVD_NO}};
  struct table_name table = {.name = "t"};
  struct buffer sql = {0};
  struct statement_key key = sqlite_statement_key(&request, SQLITE_PART_MAIN);
  sqlite_statement(&sql, &table, &key);
  assert_false(sql.failed);
  assert_non_null(strstr(sql.text, " where execution_id = ? and +status = 'ready' and "
                                   "+is_sleeping_task = 1 and +is_finished = 0"));
  buffer_free(&sql);
}

static void statements_of_one_text_share_a_key(void **state) {
  (void)state;
  evd_changes other = {0};
  evd_set(&other, close_status, EVD_CLOSE_CLOSING);
  struct request a = {.operation = EVD_OPERATION_CLAIM_BY_CLOSE_STATUS,
                      .close_status = EVD_CLOSE_READY,
                      .changes = &changes};
  struct request b = a;
  b.changes = &other;
  struct statement_key left = sqlite_statement_key(&a, SQLITE_PART_MAIN);
  struct statement_key right = sqlite_statement_key(&b, SQLITE_PART_MAIN);
  assert_memory_equal(&left, &right, sizeof left);

  b = a;
  b.close_status = EVD_CLOSE_CLOSING;
  left = sqlite_statement_key(&a, SQLITE_PART_ROW);
  right = sqlite_statement_key(&b, SQLITE_PART_ROW);
  assert_memory_equal(&left, &right, sizeof left);
}

static int teardown(void **state) {
  (void)state;
  release_kept();
  return 0;
}

#define test(name) cmocka_unit_test_teardown(name, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(every_statement_uses_its_index_on_our_own_table),
      test(every_statement_uses_its_index_on_the_frameworks_table),
      test(rows_and_parents_are_changed_by_their_keys),
      test(a_filter_is_hidden_from_the_planner),
      test(statements_of_one_text_share_a_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
