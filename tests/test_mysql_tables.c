/* The tables that the MySQL engine finds: their indexes, how they compare ids, their character
 * sets. */
#include <stdlib.h>
#include <string.h>

#include "engine/mysql/inspect.h"
#include "engine/mysql/url.h"
#include "sql/mysql_charset.h"
#include "support/mysql_case.h"

/* Reads our table as an engine does. */
static evd_error inspect(struct mydb_table *table) {
  evd_error error = {0};
  struct mydb_url *parts = mydb_url_parse(test.url, &error);
  MYSQL *mysql = mysql_init(NULL);
  assert_non_null(parts);
  assert_non_null(mysql_real_connect(mysql, parts->host, parts->user, parts->password,
                                     parts->database, parts->port, parts->socket, 0));
  *table = (struct mydb_table){0};
  assert_int_equal(table_name_parse("task_executions", &table->name, &error), EVD_OK);
  (void)mydb_inspect(mysql, EVD_SCHEMA_CHECK, table, &error);
  mysql_close(mysql);
  mydb_url_release(parts);
  return error;
}

static void each_operation_has_its_index(void **state) {
  (void)state;
  needs_mysql();
  static const evd_operation operations[] = {EVD_OPERATION_CLAIM_BY_START_AT,
                                             EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED,
                                             EVD_OPERATION_CLAIM_BY_CLOSE_STATUS,
                                             EVD_OPERATION_EXPIRE_BY_EXPIRES_AT,
                                             EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT,
                                             EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT,
                                             EVD_OPERATION_CLAIM_BY_CANCELLATION,
                                             EVD_OPERATION_GET_BY_PARENT,
                                             EVD_OPERATION_CLOSE_FINISHED};
  open_all();
  for (int framework = 0; framework < 2; framework++) {
    if (framework) {
      evd_schema_options options = {.framework_shape = true};
      char *sql = evd_schema_sql("mysql", &options, NULL);
      native_run(test.native, text("drop table task_executions; %s", sql));
      free(sql);
    }
    struct mydb_table table;
    assert_int_equal(inspect(&table).code, EVD_OK);
    assert_string_equal(table.id_index, framework ? "ix_task_executions_execution_id" : "PRIMARY");
    assert_true(table.unique_id_index[0] != '\0');
    assert_string_equal(table.task_index, framework ? "ix_task_executions_status_task_id_start_at"
                                                    : "task_executions_by_task");
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
      expect(table.selection_index[operations[i]][0] != '\0', "%s has no index",
             evd_operation_name(operations[i]));
    }
  }
}

static void our_own_table_compares_ids_as_bytes(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  struct mydb_table table;
  assert_int_equal(inspect(&table).code, EVD_OK);
  assert_int_equal(table.comparison, MYDB_COMPARES_BYTES);
}

static void a_table_without_indexes_is_served_without(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  native_run(test.native, "alter table task_executions drop index task_executions_ready;");
  struct mydb_table table;
  assert_int_equal(inspect(&table).code, EVD_OK);
  assert_string_equal(table.selection_index[EVD_OPERATION_CLAIM_BY_START_AT], "");
}

static void an_index_that_the_server_is_told_to_ignore_is_not_forced(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  native_run(test.native, text("alter table task_executions alter index task_executions_ready %s;",
                               is_mariadb() ? "ignored" : "invisible"));
  struct mydb_table table;
  assert_int_equal(inspect(&table).code, EVD_OK);
  assert_string_equal(table.selection_index[EVD_OPERATION_CLAIM_BY_START_AT], "");
}

static void a_table_whose_ids_are_not_unique_is_unfit(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  native_run(test.native, "alter table task_executions drop primary key,"
                          " add unique key two (execution_id, task_id);");
  struct mydb_table table;
  evd_error error = inspect(&table);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_string_equal(error.field, "execution_id");
}

static void a_table_whose_unique_ids_are_not_unique_is_unfit(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  struct mydb_table table;
  assert_int_equal(inspect(&table).code, EVD_OK);
  native_run(test.native, text("alter table task_executions drop index `%s`,"
                               " add index plain (sleeping_task_unique_id);",
                               table.unique_id_index));
  evd_error error = inspect(&table);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_string_equal(error.field, "sleeping_task_unique_id");
  assert_non_null(strstr(error.message, "add a unique index"));
  native_run(test.native, text("alter table task_executions add unique index hidden"
                               " (sleeping_task_unique_id) %s;",
                               is_mariadb() ? "ignored" : "invisible"));
  assert_int_equal(inspect(&table).code, EVD_OK);
  assert_string_equal(table.unique_id_index, "");
}

/* Claims, and gives back whether this was in the statements. */
static bool claim_says(const char *sql) {
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = claiming(&changes);
  struct request *pointer = &request;
  struct batch batch = {.operation = request.operation, .count = 1, .requests = &pointer};
  test.driver.record_queries = true;
  driver_submit(&test.driver, &batch);
  driver_wait(&test.driver, &batch);
  test.driver.record_queries = false;
  assert_int_equal(batch.error.code, EVD_OK);
  records_release(request.rows);
  bool said = false;
  while (batch.queries != NULL) {
    said = said || strstr(batch.queries->sql, sql) != NULL;
    struct query_record *next = batch.queries->next;
    free(batch.queries);
    batch.queries = next;
  }
  return said;
}

static void an_index_that_goes_is_done_without_until_the_next_connection(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  insert_ids((const char *[]){"a", "b", "c", "d", "e", "f", "g"}, 7);
  const char *const changes_of_index[] = {
      "rename index task_executions_ready to renamed",
      text("alter index renamed %s", is_mariadb() ? "ignored" : "invisible")};
  assert_true(claim_says("force index (`task_executions_ready`)"));
  for (int i = 0; i < 2; i++) {
    native_run(test.native, text("alter table task_executions %s;", changes_of_index[i]));
    evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
    struct request request = claiming(&changes);
    evd_error error = driver_run(&test.driver, &request, 1);
    assert_int_equal(error.code, EVD_ECONFLICT);
    assert_string_equal(error.native, "1176");
    assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
    assert_true(error.retryable);
    assert_false(claim_says("force index"));

    replace_connection();
    assert_int_equal(claim_says("force index (`renamed`)"), i == 0);
    assert_true(claim_says("force index (`PRIMARY`)"));
  }
}

static void a_column_that_we_cannot_fill_in_makes_a_table_unfit(void **state) {
  (void)state;
  needs_mysql();
  open_all();
  native_run(test.native, "alter table task_executions add column tenant int not null default 0,"
                          " add column region varchar(9);");
  struct mydb_table table;
  assert_int_equal(inspect(&table).code, EVD_OK);
  native_run(test.native, "alter table task_executions add column owner varchar(9) not null;");
  evd_error error = inspect(&table);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_string_equal(error.field, "owner");
}

/* With a table whose ids compare so. */
static void open_with_collation(const char *collation) {
  open_all();
  driver_close(&test.driver);
  native_run(test.native, text("alter table task_executions convert to character set utf8mb4"
                               " collate %s;",
                               collation));
  driver_open(&test.driver, mysql_url_with(test.url, "pool_max=1"), NULL, EVD_SCHEMA_CHECK);
  assert_int_equal(test.driver.open_error.code, EVD_OK);
}

static void each_row_gets_its_own_value_where_the_table_compares_loosely(void **state) {
  (void)state;
  needs_mysql();
  open_with_collation("utf8mb4_general_ci");
  insert_id("abc");
  evd_changes changes[2] = {0};
  for (int i = 0; i < 2; i++) {
    evd_set(&changes[i], retry_attempts, 7 + i);
    evd_set(&changes[i], updated_at, 1);
  }
  struct request requests[] = {driver_updating("Abc", &changes[0]),
                               driver_updating("abc", &changes[1])};
  driver_run_ok(&test.driver, requests, 2);
  assert_int_equal(requests[0].count, 0);
  assert_int_equal(requests[1].count, 1);
  assert_int_equal(driver_get(&test.driver, "abc")->retry_attempts, 8);
}

static void on_a_table_that_pads_an_id_with_spaces_is_another(void **state) {
  (void)state;
  needs_mysql();
  open_with_collation("utf8mb4_bin");
  insert_id("a ");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request requests[] = {driver_updating("a", &changes), driver_updating("b", &changes)};
  for (size_t count = 1; count <= 2; count++) {
    driver_run_ok(&test.driver, requests, count);
    assert_int_equal(requests[0].count, 0);
    assert_int_equal(status_of("a "), EVD_STATUS_READY);
  }
  const char *plan = native_text(
      test.native, "explain format=json select * from task_executions force index (`PRIMARY`)"
                   " where execution_id in ('a', 'b') and cast(convert(execution_id using"
                   " utf8mb4) as binary) in (cast('a' as binary), cast('b' as binary));");
  expect(strstr(plan, "range") != NULL, "%s", plan);
}

static void on_a_table_that_compares_loosely_only_the_very_id_counts(void **state) {
  (void)state;
  needs_mysql();
  open_with_collation("utf8mb4_general_ci");
  insert_ids((const char *[]){"Abc", "d"}, 2);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  static const char *const others[] = {"abc", "ABC", "Abc ", "D"};
  for (size_t i = 0; i < 4; i++) {
    assert_null(driver_get(&test.driver, others[i]));
    struct request requests[] = {driver_updating(others[i], &changes),
                                 driver_updating("x", &changes)};
    driver_run_ok(&test.driver, requests, 1);
    assert_int_equal(requests[0].count, 0);
    driver_run_ok(&test.driver, requests, 2);
    assert_int_equal(requests[0].count, 0);
  }
  assert_int_equal(status_of("Abc"), EVD_STATUS_READY);
  struct request request = driver_updating("Abc", &changes);
  driver_run_ok(&test.driver, &request, 1);
  assert_int_equal(request.count, 1);
  assert_int_equal(status_of("Abc"), EVD_STATUS_RUNNING);
}

/* That an update of "abc" finds nothing, where there is "Abc". */
static void expect_only_the_very_id(void) {
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = driver_updating("abc", &changes);
  driver_run_ok(&test.driver, &request, 1);
  assert_int_equal(request.count, 0);
  assert_int_equal(status_of("Abc"), EVD_STATUS_READY);
}

/* A table whose ids are of a character set of its own. */
static void open_with_charset(const char *charset) {
  open_all();
  driver_close(&test.driver);
  native_run(test.native, text("alter table task_executions"
                               " modify execution_id varchar(99) character set %s not null,"
                               " modify parent_execution_id varchar(99) character set %s,"
                               " modify executor_id varchar(99) character set %s,"
                               " modify sleeping_task_unique_id varchar(99) character set %s;",
                               charset, charset, charset, charset));
  driver_open(&test.driver, mysql_url_with(test.url, "pool_max=1"), NULL, EVD_SCHEMA_CHECK);
  assert_int_equal(test.driver.open_error.code, EVD_OK);
}

/* All operations by an id; how many rows they found, together. */
static int64_t find_by_every_id(const char *id, const evd_changes *changes) {
  struct request requests[] = {
      {.operation = EVD_OPERATION_GET, .id = id},
      {.operation = EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID, .id = id},
      {.operation = EVD_OPERATION_GET_BY_PARENT, .id = id},
      {.operation = EVD_OPERATION_UPDATE, .id = id, .changes = changes},
      {.operation = EVD_OPERATION_UPDATE_BY_PARENT, .id = id, .changes = changes},
      {.operation = EVD_OPERATION_CLAIM_BY_CANCELLATION,
       .id = id,
       .changes = changes,
       .flag = true,
       .limit = 9},
  };
  int64_t found = 0;
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    driver_run_ok(&test.driver, &requests[i], 1);
    found +=
        requests[i].rows != NULL ? (int64_t)records_count(requests[i].rows) : requests[i].count;
    records_release(requests[i].rows);
  }
  return found;
}

static void an_id_that_the_character_set_cannot_hold_is_of_no_row(void **state) {
  (void)state;
  needs_mysql();
  static const char *const charsets[] = {"latin1 collate latin1_general_ci", "latin1",
                                         "utf8mb3 collate utf8mb3_bin"};
  static const char e_acute[] = "\xc3\xa9";
  static const char smile[] = "\xf0\x9f\x98\x80";
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  for (size_t i = 0; i < sizeof charsets / sizeof charsets[0]; i++) {
    open_with_charset(charsets[i]);
    evd_execution rows[] = {sample_execution(e_acute), sample_child("?", e_acute, 0),
                            sample_sleeping("sleeping", e_acute)};
    rows[0].executor_id = e_acute;
    rows[0].needs_promise_cancellation = true;
    driver_insert(&test.driver, rows, 3);
    assert_int_equal(find_by_every_id(e_acute, &changes), 6);
    assert_int_equal(find_by_every_id(smile, &changes), 0);
    struct request both[] = {driver_updating(e_acute, &changes), driver_updating(smile, &changes)};
    driver_run_ok(&test.driver, both, 2);
    assert_int_equal(both[0].count, 1);
    assert_int_equal(both[1].count, 0);
    evd_execution row = sample_sleeping("new", smile);
    evd_error error = driver_insert_one(&test.driver, &row);
    assert_int_equal(error.code, EVD_EINVAL);
    assert_string_equal(error.field, "sleeping_task_unique_id");
    (void)mysql_case_tear_down(state);
  }
}

/* The character in UTF-8. */
static const char *utf8(unsigned c) {
  return c < 0x80    ? text("%c", (int)c)
         : c < 0x800 ? text("%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 0x3f)))
                     : text("%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 0x3f)),
                            (int)(0x80 | (c & 0x3f)));
}

static void latin1_holds_what_the_server_says(void **state) {
  (void)state;
  needs_mysql();
  static const char digits[] =
      "(select 0 as i union all select 1 union all select 2 union all select 3 union all select 4"
      " union all select 5 union all select 6 union all select 7 union all select 8 union all"
      " select 9 union all select 10 union all select 11 union all select 12 union all select 13"
      " union all select 14 union all select 15)";
  open_all();
  native_run(test.native, "set group_concat_max_len = 100000;");
  const char *held = native_text(
      test.native,
      text(
          "select concat(',', group_concat(n order by n), ',') from (select"
          " a.i * 4096 + b.i * 256 + c.i * 16 + d.i as n from %s a, %s b, %s c, %s d) numbers where"
          " n > 0 and n not between 55296 and 57343 and convert(convert(char(n using utf32) using"
          " latin1) using utf32) = char(n using utf32) collate utf32_bin;",
          digits, digits, digits, digits));
  assert_non_null(held);
  for (unsigned c = 1; c < 0x10000; c++) {
    if (c < 0xd800 || c > 0xdfff) {
      bool holds = strstr(held, text(",%u,", c)) != NULL;
      expect(mydb_charset_holds(MYDB_CHARSET_LATIN1, utf8(c)) == holds, "U+%04X", c);
    }
  }
}

static void in_a_table_that_comes_later_only_the_very_id_counts(void **state) {
  (void)state;
  needs_mysql();
  open_with_collation("utf8mb4_general_ci");
  insert_id("Abc");
  driver_close(&test.driver);
  native_run(test.native, "rename table task_executions to away;");
  driver_open(&test.driver, mysql_url_with(test.url, "pool_max=1"), NULL, EVD_SCHEMA_SKIP);
  assert_int_equal(test.driver.open_error.code, EVD_OK);
  native_run(test.native, "rename table away to task_executions;");
  expect_only_the_very_id();
}

/* The table changes, is away when a new connection would read it again, and comes back. */
static void what_is_known_of_a_table_stays_until_it_is_read_again(void **state) {
  (void)state;
  needs_mysql();
  open_with_collation("utf8mb4_general_ci");
  insert_id("Abc");
  native_run(test.native,
             "alter table task_executions rename index task_executions_ready to renamed;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  struct request request = claiming(&changes);
  assert_string_equal(driver_run(&test.driver, &request, 1).native, "1176");
  native_run(test.native, "rename table task_executions to away;");
  replace_connection();
  native_run(test.native, "rename table away to task_executions;");
  expect_only_the_very_id();
  replace_connection();
  expect_only_the_very_id();
  assert_true(claim_says("force index (`renamed`)"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      mysql_test(each_operation_has_its_index),
      mysql_test(our_own_table_compares_ids_as_bytes),
      mysql_test(a_table_without_indexes_is_served_without),
      mysql_test(an_index_that_the_server_is_told_to_ignore_is_not_forced),
      mysql_test(a_table_whose_ids_are_not_unique_is_unfit),
      mysql_test(a_table_whose_unique_ids_are_not_unique_is_unfit),
      mysql_test(an_index_that_goes_is_done_without_until_the_next_connection),
      mysql_test(a_column_that_we_cannot_fill_in_makes_a_table_unfit),
      mysql_test(each_row_gets_its_own_value_where_the_table_compares_loosely),
      mysql_test(on_a_table_that_pads_an_id_with_spaces_is_another),
      mysql_test(on_a_table_that_compares_loosely_only_the_very_id_counts),
      mysql_test(an_id_that_the_character_set_cannot_hold_is_of_no_row),
      mysql_test(latin1_holds_what_the_server_says),
      mysql_test(in_a_table_that_comes_later_only_the_very_id_counts),
      mysql_test(what_is_known_of_a_table_stays_until_it_is_read_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
