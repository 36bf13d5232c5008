/*
 * MySQL's SQL without a server: literals, statements, what a batch sends, and what errors mean.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/mysql/errors.h"
#include "engine/mysql/script.h"
#include "sql/mysql.h"
#include "support/check.h"
#include "support/sample.h"

/* The literal of a text. */
static const char *literal(const char *value, bool backslashes) {
  struct buffer buffer = {0};
  struct mydb_writer writer = {&buffer, backslashes, false};
  mydb_literal_text(&writer, value);
  const char *result = text("%s", buffer.text);
  buffer_free(&buffer);
  return result;
}

static const char *integer(int64_t value) {
  struct buffer buffer = {0};
  struct mydb_writer writer = {&buffer, true, false};
  mydb_literal_integer(&writer, value);
  const char *result = text("%s", buffer.text);
  buffer_free(&buffer);
  return result;
}

static void quotes_and_backslashes_are_doubled(void **state) {
  (void)state;
  assert_string_equal(literal("", true), "''");
  assert_string_equal(literal("plain", true), "'plain'");
  assert_string_equal(literal("it's", true), "'it''s'");
  assert_string_equal(literal("'", true), "''''");
  assert_string_equal(literal("''", true), "''''''");
  assert_string_equal(literal("\\", true), "'\\\\'");
  assert_string_equal(literal("a\\'b", true), "'a\\\\''b'");
  assert_string_equal(literal("{\"a\":\"\\n\"}", true), "'{\"a\":\"\\\\n\"}'");
  assert_string_equal(literal("\xc3\xa9'\xf0\x9f\x98\x80", true), "'\xc3\xa9''\xf0\x9f\x98\x80'");
}

static void a_backslash_that_does_not_escape_stays_alone(void **state) {
  (void)state;
  assert_string_equal(literal("\\", false), "'\\'");
  assert_string_equal(literal("a\\'b", false), "'a\\''b'");
}

static void integers_are_written_in_full(void **state) {
  (void)state;
  assert_string_equal(integer(0), "0");
  assert_string_equal(integer(7), "7");
  assert_string_equal(integer(-7), "-7");
  assert_string_equal(integer(1750000000000), "1750000000000");
  assert_string_equal(integer(INT64_MAX), "9223372036854775807");
  assert_string_equal(integer(INT64_MIN), "-9223372036854775808");
}

/* A table, and a script for batches on it. */
struct fixture {
  struct mydb_table table;
  struct script script;
  struct batch batch;
  struct request requests[8];
  struct request *pointers[8];
};

static int set_up(void **state) {
  struct fixture *fixture = calloc(1, sizeof *fixture);
  if (fixture == NULL) {
    return -1;
  }
  strcpy(fixture->table.name.name, "t");
  strcpy(fixture->table.id_index, "PRIMARY");
  strcpy(fixture->table.unique_id_index, "t_unique");
  strcpy(fixture->table.selection_index[EVD_OPERATION_CLAIM_BY_START_AT], "t_ready");
  fixture->script.table = &fixture->table;
  fixture->script.max_packet = 16 * 1024 * 1024;
  fixture->script.test_mode = true;
  fixture->script.backslashes = true;
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *fixture = *state;
  mydb_script_end(&fixture->script);
  mydb_script_free(&fixture->script);
  free(fixture);
  release_kept();
  return 0;
}

/* Begins a batch of the first `count` requests. */
static void begin(struct fixture *fixture, evd_operation operation, size_t count) {
  fixture->batch =
      (struct batch){.operation = operation, .count = count, .requests = fixture->pointers};
  for (size_t i = 0; i < count; i++) {
    fixture->pointers[i] = &fixture->requests[i];
    fixture->requests[i].operation = operation;
  }
  mydb_script_begin(&fixture->script, &fixture->batch);
}

/* The next packet; NULL when there is none. */
static const char *next(struct fixture *fixture) {
  evd_error error = {0};
  enum script_state state = mydb_script_next(&fixture->script, &error);
  expect(state != SCRIPT_FAILED, "%s", error.message);
  return state == SCRIPT_SEND ? text("%s", fixture->script.sql.text) : NULL;
}

/* The server answers the next statements of the packet, all but results with this count. */
static void answer(struct fixture *fixture, size_t statements, uint64_t affected) {
  evd_error error;
  for (size_t i = 0; i < statements; i++) {
    assert_int_equal(mydb_script_answered(&fixture->script, affected, &error), EVD_OK);
  }
}

/* A row of the statement that is being answered. */
static void row(struct fixture *fixture, const char *const *values, size_t count) {
  char *copy[EVD_COLUMN_COUNT];
  unsigned long lengths[EVD_COLUMN_COUNT];
  evd_error error;
  for (size_t i = 0; i < count; i++) {
    copy[i] = values[i] != NULL ? (char *)text("%s", values[i]) : NULL;
    lengths[i] = values[i] != NULL ? strlen(values[i]) : 0;
  }
  assert_int_equal(mydb_script_row(&fixture->script, copy, lengths, &error), EVD_OK);
}

/* Answers the packet that locks, with ready rows of these two ids. */
static void answer_lock(struct fixture *fixture, const char *first, const char *second) {
  answer(fixture, 1, 0);
  row(fixture, (const char *const[]){first, "ready", "0", "0", NULL, NULL}, 6);
  row(fixture, (const char *const[]){second, "ready", "0", "0", NULL, NULL}, 6);
  answer(fixture, 1, 0);
}

static void one_update_is_one_statement(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes = {0};
  evd_set(&changes, status, EVD_STATUS_RUNNING);
  evd_set(&changes, updated_at, 5);
  evd_unset(&changes, error);
  fixture->requests[0] =
      (struct request){.id = "a'b",
                       .changes = &changes,
                       .filter = {.status = EVD_STATUS_READY, .is_finished = EVD_NO}};
  begin(fixture, EVD_OPERATION_UPDATE, 1);
  assert_string_equal(next(fixture),
                      "update `t` force index (`PRIMARY`) set status = 'running', error = null,"
                      " updated_at = 5 where execution_id in ('a''b') and status = 'ready'"
                      " and is_finished = 0");
  assert_true(fixture->script.commits);
  assert_true(mydb_script_is_committing(&fixture->script));
  answer(fixture, 1, 1);
  assert_null(next(fixture));
  assert_int_equal(fixture->requests[0].count, 1);
}

static void several_updates_lock_in_order_and_touch_what_matched(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes[4] = {0};
  for (int i = 0; i < 4; i++) {
    evd_set(&changes[i], updated_at, 5 + i % 2);
    fixture->requests[i].changes = &changes[i];
  }
  evd_set(&changes[1], output, "[1]");
  fixture->requests[0].id = "d";
  fixture->requests[1].id = "c";
  fixture->requests[2].id = "b"; /* is not there, though it may be a moment later */
  fixture->requests[3].id = "a";
  fixture->requests[3].filter.status = EVD_STATUS_READY;
  begin(fixture, EVD_OPERATION_UPDATE, 4);
  assert_string_equal(
      next(fixture),
      "begin;select execution_id, status, is_sleeping_task, is_finished, executor_id, started_at"
      " from `t`"
      " force index (`PRIMARY`) where execution_id in ('a', 'b', 'c', 'd') for update");
  assert_false(fixture->script.commits);
  answer(fixture, 1, 0);
  row(fixture, (const char *const[]){"a", "running", "0", "0", NULL, NULL}, 6);
  row(fixture, (const char *const[]){"c", "running", "0", "0", NULL, NULL}, 6);
  row(fixture, (const char *const[]){"d", "ready", "0", "0", NULL, NULL}, 6);
  answer(fixture, 1, 0);
  assert_string_equal(
      next(fixture),
      "update `t` force index (`PRIMARY`) set output = '[1]', updated_at = 6"
      " where execution_id in ('c');"
      "update `t` force index (`PRIMARY`) set updated_at = 5 where execution_id in ('d');commit");
  answer(fixture, 2, 1);
  assert_true(mydb_script_is_committing(&fixture->script));
  answer(fixture, 1, 0);
  assert_null(next(fixture));
  assert_int_equal(fixture->requests[0].count, 1);
  assert_int_equal(fixture->requests[1].count, 1);
  assert_int_equal(fixture->requests[2].count, 0);
  assert_int_equal(fixture->requests[3].count, 0);
}

static void updates_alike_are_one_statement_with_each_its_value(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes[2] = {0};
  for (int i = 0; i < 2; i++) {
    evd_set(&changes[i], status, EVD_STATUS_COMPLETED);
    evd_set(&changes[i], output, i == 0 ? "1" : "2");
    evd_set(&changes[i], updated_at, 5);
    fixture->requests[i] = (struct request){.id = i == 0 ? "a" : "b", .changes = &changes[i]};
  }
  begin(fixture, EVD_OPERATION_UPDATE, 2);
  assert_non_null(next(fixture));
  answer_lock(fixture, "a", "b");
  const char *sql = next(fixture);
  assert_non_null(strstr(sql, "update `t` force index (`PRIMARY`) set status = 'completed',"
                              " output = case execution_id when 'a' then '1' when 'b' then '2' end,"
                              " updated_at = 5 where execution_id in ('a', 'b');commit"));
}

static void updates_repeat_the_owner_of_each_row(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes = {0};
  evd_set(&changes, updated_at, 5);
  for (int i = 0; i < 3; i++) {
    evd_filter filter = {.executor_id = "ex", .started_at = 7 + i / 2};
    fixture->requests[i] =
        (struct request){.id = text("%c", 'a' + i), .changes = &changes, .filter = filter};
  }
  fixture->requests[2].filter.executor_id = "other";
  begin(fixture, EVD_OPERATION_UPDATE, 3);
  assert_non_null(next(fixture));
  answer(fixture, 1, 0);
  row(fixture, (const char *const[]){"a", "running", "0", "0", "ex", "7"}, 6);
  row(fixture, (const char *const[]){"b", "running", "0", "0", "ex", "8"}, 6);
  row(fixture, (const char *const[]){"c", "running", "0", "0", "other", "8"}, 6);
  answer(fixture, 1, 0);
  assert_string_equal(next(fixture),
                      "update `t` force index (`PRIMARY`) set updated_at = 5"
                      " where execution_id in ('a', 'c')"
                      " and cast(convert(executor_id using utf8mb4) as binary) ="
                      " case execution_id when 'a' then 'ex' when 'c' then 'other' end"
                      " and started_at ="
                      " case execution_id when 'a' then 7 when 'c' then 8 end;commit");
  assert_int_equal(fixture->requests[1].count, 0);
}

static void an_update_that_finds_less_than_was_locked_is_an_error(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  fixture->requests[0] = (struct request){.id = "a", .changes = &changes};
  fixture->requests[1] = (struct request){.id = "b", .changes = &changes};
  begin(fixture, EVD_OPERATION_UPDATE, 2);
  assert_non_null(next(fixture));
  answer_lock(fixture, "a", "b");
  assert_non_null(next(fixture));
  answer(fixture, 1, 1);
  answer(fixture, 1, 0);
  evd_error error;
  assert_int_equal(mydb_script_next(&fixture->script, &error), SCRIPT_FAILED);
  assert_int_equal(error.code, EVD_EDATABASE);
  assert_int_equal(error.outcome, EVD_OUTCOME_UNKNOWN);
}

static void on_galera_each_statement_is_a_packet_and_the_last_is_the_commit(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  fixture->requests[0] = (struct request){.id = "a", .changes = &changes};
  fixture->requests[1] = (struct request){.id = "b", .changes = &changes};
  fixture->script.galera = true;
  for (int lost = 0; lost < 2; lost++) {
    begin(fixture, EVD_OPERATION_UPDATE, 2);
    assert_int_equal(strncmp(next(fixture), "begin;select ", 13), 0);
    assert_int_equal(fixture->script.statement_count, 2);
    answer_lock(fixture, "a", "b");
    assert_int_equal(strncmp(next(fixture), "update ", 7), 0);
    assert_int_equal(fixture->script.statement_count, 1);
    assert_false(fixture->script.commits);
    answer(fixture, 1, lost ? 1 : 2);
    if (lost) { /* the commit is not even sent */
      evd_error error;
      assert_int_equal(mydb_script_next(&fixture->script, &error), SCRIPT_FAILED);
      assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
    } else {
      assert_string_equal(next(fixture), "commit");
      assert_true(fixture->script.commits);
      answer(fixture, 1, 0);
      assert_null(next(fixture));
      assert_int_equal(fixture->requests[1].count, 1);
    }
    mydb_script_end(&fixture->script);
    fixture->script.backslashes = true;
  }
}

static void ids_are_compared_as_bytes_where_the_table_does_not(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes = {0};
  evd_set(&changes, updated_at, 5);
  static const struct {
    enum mydb_comparison comparison;
    const char *id;
    bool exact;
  } cases[] = {
      {MYDB_COMPARES_BYTES, "a ", false},  {MYDB_COMPARES_PADDED, "a", true},
      {MYDB_COMPARES_PADDED, "a ", true},  {MYDB_COMPARES_LOOSELY, "a", true},
      {MYDB_COMPARES_LOOSELY, "a ", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fixture->table.comparison = cases[i].comparison;
    fixture->requests[0] = (struct request){.id = cases[i].id, .changes = &changes};
    begin(fixture, EVD_OPERATION_UPDATE, 1);
    const char *exact = text(" and cast(convert(execution_id using utf8mb4) as binary) in"
                             " (cast('%s' as binary))",
                             cases[i].id);
    assert_int_equal(strstr(next(fixture), exact) != NULL, cases[i].exact);
    mydb_script_end(&fixture->script);
    fixture->script.backslashes = true;
  }
}

static void values_go_to_the_very_ids_where_the_table_compares_loosely(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes[2] = {0};
  for (int i = 0; i < 2; i++) {
    evd_set(&changes[i], retry_attempts, i);
    fixture->requests[i] = (struct request){.id = i == 0 ? "Abc" : "abc", .changes = &changes[i]};
  }
  fixture->table.comparison = MYDB_COMPARES_LOOSELY;
  begin(fixture, EVD_OPERATION_UPDATE, 2);
  assert_non_null(next(fixture));
  answer_lock(fixture, "Abc", "abc");
  assert_non_null(strstr(next(fixture),
                         "set retry_attempts = case"
                         " cast(convert(execution_id using utf8mb4) as binary)"
                         " when cast('Abc' as binary) then 0 when cast('abc' as binary) then 1"
                         " end where execution_id in ('Abc', 'abc')"));
}

static void an_index_may_have_any_name(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes = {0};
  evd_set(&changes, updated_at, 5);
  fixture->requests[0] = (struct request){.id = "a", .changes = &changes};
  strcpy(fixture->table.id_index, "`i`d`");
  begin(fixture, EVD_OPERATION_UPDATE, 1);
  assert_non_null(strstr(next(fixture), "update `t` force index (```i``d```) set"));
}

static void an_index_that_may_be_gone_is_not_forced(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes = {0};
  evd_set(&changes, updated_at, 5);
  fixture->requests[0] = (struct request){.id = "a", .changes = &changes};
  fixture->table.stale = true;
  begin(fixture, EVD_OPERATION_UPDATE, 1);
  assert_non_null(strstr(next(fixture), "update `t` set"));
}

static void a_claim_is_two_packets_the_second_guarded(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes = {0};
  evd_set(&changes, status, EVD_STATUS_RUNNING);
  evd_set(&changes, expires_at, 1); /* the operation's own takes its place */
  evd_set(&changes, updated_at, 9);
  fixture->requests[0] = (struct request){
      .changes = &changes, .status = EVD_STATUS_READY, .before = 100, .started_at = 99, .limit = 2};
  begin(fixture, EVD_OPERATION_CLAIM_BY_START_AT, 1);
  const char *sql = next(fixture);
  assert_int_equal(strncmp(sql, "begin;select root_task_id, ", 27), 0);
  assert_non_null(strstr(sql,
                         " from `t` force index (`t_ready`) where status = 'ready' and start_at"
                         " < 100 order by start_at limit 2 for update skip locked"));
  answer(fixture, 1, 0);
  const char *values[EVD_COLUMN_COUNT] = {0};
  for (evd_column i = 0; i < EVD_COLUMN_COUNT; i++) {
    if (columns[i].null == COLUMN_NOT_NULL) {
      values[i] = column_is_json(i) ? "{}" : column_is_enum(i) ? "idle" : "0";
    }
  }
  values[evd_column_execution_id] = "x";
  values[evd_column_timeout_ms] = "1000";
  values[evd_column_status] = "ready";
  row(fixture, values, EVD_COLUMN_COUNT);
  answer(fixture, 1, 0);
  assert_string_equal(
      next(fixture),
      "update `t` force index (`PRIMARY`) set status = 'running', updated_at = 9,"
      " expires_at = greatest(0, least(timeout_ms, 9007199254740892)) + 99 where execution_id in ('x')"
      " and status = 'ready' and start_at < 100;commit");
  assert_false(mydb_script_is_committing(&fixture->script));
  answer(fixture, 1, 1);
  assert_true(mydb_script_is_committing(&fixture->script));
  answer(fixture, 1, 0);
  assert_null(next(fixture));
  assert_int_equal(records_count(fixture->requests[0].rows), 1);
  const evd_execution *claimed = records_rows(fixture->requests[0].rows);
  assert_int_equal(claimed->status, EVD_STATUS_RUNNING);
  assert_int_equal(claimed->expires_at, 1099);
  assert_string_equal(claimed->execution_id, "x");
  records_release(fixture->requests[0].rows);
}

static void a_claim_of_nothing_ends_its_transaction(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes = sample_changes(0);
  fixture->requests[0] =
      (struct request){.changes = &changes, .close_status = EVD_CLOSE_READY, .limit = 5};
  begin(fixture, EVD_OPERATION_CLAIM_BY_CLOSE_STATUS, 1);
  assert_non_null(next(fixture));
  answer(fixture, 2, 0);
  assert_string_equal(next(fixture), "commit");
  answer(fixture, 1, 0);
  assert_null(next(fixture));
  assert_int_equal(records_count(fixture->requests[0].rows), 0);
}

static void closing_counts_each_parents_children(void **state) {
  struct fixture *fixture = *state;
  evd_changes changes = {0};
  evd_set(&changes, updated_at, 9);
  fixture->requests[0] = (struct request){
      .changes = &changes, .flag = true, .close_status = EVD_CLOSE_IDLE, .limit = 5};
  begin(fixture, EVD_OPERATION_CLOSE_FINISHED, 1);
  assert_non_null(next(fixture));
  answer(fixture, 1, 0);
  row(fixture, (const char *const[]){"1", "p2"}, 2);
  row(fixture, (const char *const[]){"2", "p1"}, 2);
  row(fixture, (const char *const[]){"3", NULL}, 2);
  row(fixture, (const char *const[]){"4", "p2"}, 2);
  answer(fixture, 1, 0);
  const char *sql = next(fixture);
  assert_non_null(strstr(sql, ";update `t` force index (`PRIMARY`) set active_children_count ="
                              " active_children_count - case execution_id when 'p1' then 1 when"
                              " 'p2' then 2 end, updated_at = 9 where execution_id in ('p1', 'p2')"
                              ";commit"));
  answer(fixture, 1, 4);
  answer(fixture, 1, 2);
  answer(fixture, 1, 0);
  assert_null(next(fixture));
  assert_int_equal(fixture->requests[0].count, 4);
}

static void many_rows_are_updated_by_several_short_packets(void **state) {
  struct fixture *fixture = *state;
  enum { ROWS = 5000, PARENTS = 100 };
  evd_changes changes = {0};
  evd_set(&changes, updated_at, 9);
  fixture->requests[0] = (struct request){
      .changes = &changes, .flag = true, .close_status = EVD_CLOSE_IDLE, .limit = ROWS};
  begin(fixture, EVD_OPERATION_CLOSE_FINISHED, 1);
  assert_non_null(next(fixture));
  answer(fixture, 1, 0);
  for (int i = 0; i < ROWS; i++) {
    row(fixture, (const char *const[]){text("%060d", i), text("parent_%03d", (i * 7) % PARENTS)},
        2);
  }
  answer(fixture, 1, 0);
  int packets = 0;
  int updates = 0;
  int decremented = 0;
  for (const char *sql; (sql = next(fixture)) != NULL; packets++) {
    expect(strlen(sql) < 100000, "a packet of %zu bytes", strlen(sql));
    for (const char *at = sql; (at = strstr(at, " when 'parent_")) != NULL; at++) {
      assert_int_equal(strtol(at + 14, NULL, 10), decremented++);
      assert_int_equal(strncmp(at + 17, "' then 50", 9), 0);
    }
    for (size_t i = 0; i < fixture->script.statement_count; i++) {
      const struct script_statement *statement = &fixture->script.statements[i];
      updates += statement->kind == SCRIPT_UPDATE_SELECTED ? (int)statement->count : 0;
      answer(fixture, 1, statement->kind == SCRIPT_UPDATE_SELECTED ? statement->count : 0);
    }
  }
  assert_int_equal(updates, ROWS);
  assert_int_equal(decremented, PARENTS);
  assert_true(packets >= 4);
  assert_int_equal(fixture->requests[0].count, ROWS);
}

static void a_large_insert_is_a_transaction_of_several_packets(void **state) {
  struct fixture *fixture = *state;
  enum { ROWS = 8, SIZE = 400000 };
  char *input = keep_memory(SIZE + 1);
  memset(input, '1', SIZE);
  evd_execution rows[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("row_%d", i));
    rows[i].input = input;
  }
  fixture->script.max_packet = 1500000;
  fixture->requests[0] = (struct request){.executions = rows, .execution_count = ROWS / 2};
  fixture->requests[1] = (struct request){.executions = rows + 4, .execution_count = ROWS / 2};
  begin(fixture, EVD_OPERATION_INSERT, 2);
  int packets = 0;
  int found = 0;
  const char *last = "";
  for (const char *sql; (sql = next(fixture)) != NULL; packets++) {
    expect(strlen(sql) <= 1500000, "a packet of %zu bytes", strlen(sql));
    assert_int_equal(strncmp(sql, "begin;", 6) == 0, packets == 0);
    for (int i = 0; i < ROWS; i++) {
      found += strstr(sql, text("'row_%d'", i)) != NULL;
    }
    answer(fixture, fixture->script.statement_count, 0);
    last = sql;
  }
  assert_int_equal(found, ROWS);
  assert_true(packets >= 3);
  assert_string_equal(last + strlen(last) - 7, ";commit");
}

static void a_value_that_no_packet_holds_is_refused_before_it_is_sent(void **state) {
  struct fixture *fixture = *state;
  char *input = keep_memory(5001);
  memset(input, '1', 5000);
  evd_execution row = sample_execution("a");
  row.input = input;
  fixture->script.max_packet = 4096;
  fixture->requests[0] = (struct request){.executions = &row, .execution_count = 1};
  begin(fixture, EVD_OPERATION_INSERT, 1);
  evd_error error;
  assert_int_equal(mydb_script_next(&fixture->script, &error), SCRIPT_FAILED);
  assert_int_equal(error.code, EVD_EINVAL);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_non_null(strstr(error.message, "max_allowed_packet"));
  assert_string_equal(error.field, "input");
  mydb_script_end(&fixture->script);

  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&changes, output, input);
  fixture->script.backslashes = true;
  fixture->requests[0] = (struct request){.id = "a", .changes = &changes};
  begin(fixture, EVD_OPERATION_UPDATE, 1);
  assert_int_equal(mydb_script_next(&fixture->script, &error), SCRIPT_FAILED);
  assert_string_equal(error.field, "output");
}

/* The loader halves the batch then. */
static void a_lock_that_no_packet_holds_is_refused(void **state) {
  static const evd_operation operations[] = {EVD_OPERATION_UPDATE,
                                             EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN};
  struct fixture *fixture = *state;
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  fixture->script.max_packet = 100;
  for (size_t i = 0; i < 2; i++) {
    fixture->requests[0] = (struct request){.id = "first", .changes = &changes};
    fixture->requests[1] = (struct request){.id = "second", .changes = &changes};
    begin(fixture, operations[i], 2);
    evd_error error;
    assert_int_equal(mydb_script_next(&fixture->script, &error), SCRIPT_FAILED);
    assert_int_equal(error.code, EVD_EINVAL);
    assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
    mydb_script_end(&fixture->script);
    fixture->script.backslashes = true;
  }
}

static void selected_rows_are_updated_in_packets_that_the_server_takes(void **state) {
  struct fixture *fixture = *state;
  enum { ROWS = 200 };
  evd_changes changes = sample_changes(EVD_STATUS_TIMED_OUT);
  fixture->script.max_packet = 4096;
  fixture->table.comparison = MYDB_COMPARES_LOOSELY;
  fixture->requests[0] = (struct request){.changes = &changes, .limit = ROWS, .before = 1};
  fixture->requests[0].status = EVD_STATUS_RUNNING;
  begin(fixture, EVD_OPERATION_EXPIRE_BY_EXPIRES_AT, 1);
  assert_non_null(next(fixture));
  answer(fixture, 1, 0);
  for (int i = 0; i < ROWS; i++) {
    row(fixture, (const char *[]){text("%064d", i), NULL}, 2);
  }
  answer(fixture, 1, 0);
  size_t updated = 0;
  for (const char *sql; (sql = next(fixture)) != NULL;) {
    expect(strlen(sql) <= 4096, "a packet of %zu bytes", strlen(sql));
    for (size_t i = 0; i < fixture->script.statement_count; i++) {
      const struct script_statement *statement = &fixture->script.statements[i];
      bool updates = statement->kind == SCRIPT_UPDATE_SELECTED;
      updated += updates ? statement->count : 0;
      answer(fixture, 1, updates ? statement->count : 0);
    }
  }
  assert_int_equal(updated, ROWS);
}

static void the_log_shows_no_values(void **state) {
  struct fixture *fixture = *state;
  evd_execution rows[2] = {sample_full("secret_1"), sample_full("secret_2")};
  for (int i = 0; i < 2; i++) {
    fixture->requests[i] = (struct request){.executions = &rows[i], .execution_count = 1};
  }
  fixture->batch.record_queries = true;
  begin(fixture, EVD_OPERATION_INSERT, 2);
  fixture->batch.record_queries = true;
  assert_non_null(strstr(next(fixture), "secret_1"));
  const char *outline = fixture->script.outline.text;
  assert_null(strstr(outline, "secret"));
  assert_null(strchr(outline, '\''));
  assert_non_null(strstr(outline, "insert into `t` (root_task_id, "));
  assert_non_null(strstr(outline, "?,?)"));
  assert_int_equal(fixture->script.cursor.request, 2);
}

/* --- errors --- */

static evd_error error_of(unsigned number, const char *message) {
  struct mydb_table table = {.id_index = "PRIMARY", .unique_id_index = "t_sleeping"};
  evd_error error;
  mydb_errors_fill(number, message, &table, &error);
  return error;
}

static void errors_name_the_column(void **state) {
  (void)state;
  static const struct {
    unsigned number;
    const char *message;
    evd_code code;
    const char *field;
  } cases[] = {
      {1062, "Duplicate entry 'a' for key 'PRIMARY'", EVD_EDUPLICATE, "execution_id"},
      {1062, "Duplicate entry 'a' for key 't.PRIMARY'", EVD_EDUPLICATE, "execution_id"},
      {1062, "Duplicate entry 'key 'PRIMARY'' for key 't_sleeping'", EVD_EDUPLICATE,
       "sleeping_task_unique_id"},
      {1062, "Duplicate entry '7' for key 'other'", EVD_EDUPLICATE, ""},
      {1406, "Data too long for column 'task_id' at row 1", EVD_EINVAL, "task_id"},
      {1366, "Incorrect string value: '\\xF0' for column `evd`.`t`.`input` at row 1", EVD_EINVAL,
       "input"},
      {1048, "Column 'timeout_ms' cannot be null", EVD_EINVAL, "timeout_ms"},
      {3140,
       "Invalid JSON text: \"The status column \" at position 1 in value for column 't.output'.",
       EVD_EINVAL, "output"},
      {4025, "CONSTRAINT `t.run_output` failed for `evd`.`t`", EVD_EINVAL, "run_output"},
      {4025, "CONSTRAINT `input` failed for `evd`.`t`", EVD_EINVAL, "input"},
      {4025, "CONSTRAINT `t_close_status_check` failed for `evd`.`t`", EVD_ECONSTRAINT,
       "close_status"},
      {3819, "Check constraint 't_on_children_finished_processing_status_check' is violated.",
       EVD_ECONSTRAINT, "on_children_finished_processing_status"},
      {1644, "a finished execution cannot go back", EVD_ECONSTRAINT, ""},
      {1213, "Deadlock found when trying to get lock; try restarting transaction", EVD_ECONFLICT,
       ""},
      {3101, "Plugin instructed the server to rollback the current transaction.", EVD_ECONFLICT,
       ""},
      {1205, "Lock wait timeout exceeded; try restarting transaction", EVD_ECONFLICT, ""},
      {3572, "Statement aborted because lock(s) could not be acquired immediately", EVD_ECONFLICT,
       ""},
      {1146, "Table 'evd.t' doesn't exist", EVD_ESCHEMA, ""},
      {1142, "INSERT command denied to user", EVD_EDATABASE, ""},
      {2013, "Lost connection to server during query", EVD_EUNAVAILABLE, ""},
      {4031, "The client was disconnected by the server because of inactivity.", EVD_EUNAVAILABLE,
       ""},
      {1047, "WSREP has not yet prepared node for application use", EVD_EUNAVAILABLE, ""},
      {1290, "The MariaDB server is running with the --read-only option", EVD_EUNAVAILABLE, ""},
      {1969, "Query execution was interrupted (max_statement_time exceeded)", EVD_ETIMEDOUT, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    evd_error error = error_of(cases[i].number, cases[i].message);
    expect(error.code == cases[i].code, "%s: %s", cases[i].message, evd_code_name(error.code));
    expect(strcmp(error.field, cases[i].field) == 0, "%s: field %s", cases[i].message, error.field);
    assert_string_equal(error.native, text("%u", cases[i].number));
    assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  }
}

static void conflicts_and_lost_connections_may_be_tried_again(void **state) {
  (void)state;
  static const unsigned retryable[] = {1205, 1213, 2006, 2013, 4031, 1047, 1927, 1053};
  static const unsigned final[] = {1062, 1406, 1146, 1142, 4025};
  for (size_t i = 0; i < sizeof retryable / sizeof *retryable; i++) {
    assert_true(error_of(retryable[i], "x").retryable);
  }
  for (size_t i = 0; i < sizeof final / sizeof *final; i++) {
    assert_false(error_of(final[i], "x").retryable);
  }
}

static void lost_connections_are_told_from_failed_statements(void **state) {
  (void)state;
  static const unsigned lost[] = {1047, 1053, 1290, 1836, 1927, 2006, 2013, 2026, 4031, 5014};
  static const unsigned whole[] = {1062, 1205, 1213, 1317, 1969, 3140, 4025};
  for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
    assert_true(mydb_errors_is_lost(lost[i]));
  }
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
    assert_false(mydb_errors_is_lost(whole[i]));
  }
}

static int release(void **state) {
  (void)state;
  release_kept();
  return 0;
}

#define with_script(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(quotes_and_backslashes_are_doubled, release),
      cmocka_unit_test_teardown(a_backslash_that_does_not_escape_stays_alone, release),
      cmocka_unit_test_teardown(integers_are_written_in_full, release),
      with_script(one_update_is_one_statement),
      with_script(several_updates_lock_in_order_and_touch_what_matched),
      with_script(updates_alike_are_one_statement_with_each_its_value),
      with_script(updates_repeat_the_owner_of_each_row),
      with_script(an_update_that_finds_less_than_was_locked_is_an_error),
      with_script(on_galera_each_statement_is_a_packet_and_the_last_is_the_commit),
      with_script(ids_are_compared_as_bytes_where_the_table_does_not),
      with_script(values_go_to_the_very_ids_where_the_table_compares_loosely),
      with_script(an_index_may_have_any_name),
      with_script(an_index_that_may_be_gone_is_not_forced),
      with_script(a_claim_is_two_packets_the_second_guarded),
      with_script(a_claim_of_nothing_ends_its_transaction),
      with_script(closing_counts_each_parents_children),
      with_script(many_rows_are_updated_by_several_short_packets),
      with_script(a_large_insert_is_a_transaction_of_several_packets),
      with_script(a_value_that_no_packet_holds_is_refused_before_it_is_sent),
      with_script(a_lock_that_no_packet_holds_is_refused),
      with_script(selected_rows_are_updated_in_packets_that_the_server_takes),
      with_script(the_log_shows_no_values),
      cmocka_unit_test_teardown(errors_name_the_column, release),
      cmocka_unit_test_teardown(conflicts_and_lost_connections_may_be_tried_again, release),
      cmocka_unit_test_teardown(lost_connections_are_told_from_failed_statements, release),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
