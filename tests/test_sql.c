/* What all dialects have in common: the buffer, names, literals, selections, keys, the schema. */
#include <stdlib.h>
#include <string.h>

#include <evdurable.h>

#include "sql/buffer.h"
#include "sql/schema.h"
#include "sql/sql.h"
#include "support/check.h"

/* The buffer's text, until release_kept(). */
static const char *taken(struct buffer *buffer) {
  char *sql = buffer_take(buffer);
  assert_non_null(sql);
  const char *kept = text("%s", sql);
  free(sql);
  return kept;
}

/* --- the buffer --- */

static void an_empty_buffer_is_an_empty_text(void **state) {
  (void)state;
  struct buffer buffer = {0};
  assert_string_equal(taken(&buffer), "");
}

static void a_buffer_holds_all_that_was_appended(void **state) {
  (void)state;
  struct buffer buffer = {0};
  for (int i = 0; i < 1000; i++) {
    buffer_append(&buffer, "ab");
    buffer_append_bytes(&buffer, "cde", 1);
    buffer_printf(&buffer, "%03d", i);
  }
  assert_int_equal(buffer.length, 6000);
  assert_memory_equal(buffer.text, "abc000abc001", 12);
  assert_string_equal(buffer.text + 5994, "abc999");
  buffer_free(&buffer);
}

static void a_buffer_that_was_reset_begins_anew(void **state) {
  (void)state;
  struct buffer buffer = {0};
  buffer_append(&buffer, "first");
  buffer_reset(&buffer);
  assert_int_equal(buffer.length, 0);
  assert_string_equal(buffer.text, "");
  buffer_append(&buffer, "second");
  assert_string_equal(taken(&buffer), "second");
  assert_null(buffer.text);
}

static void a_failed_buffer_stays_failed_until_it_is_reset(void **state) {
  (void)state;
  struct buffer buffer = {0};
  buffer_append_bytes(&buffer, "x", SIZE_MAX / 2);
  assert_true(buffer.failed);
  buffer_append(&buffer, "y");
  assert_int_equal(buffer.length, 0);
  assert_null(buffer_take(&buffer));

  buffer_append(&buffer, "z");
  assert_string_equal(taken(&buffer), "z");
}

/* --- names --- */

static void a_table_name_has_a_schema_or_none(void **state) {
  (void)state;
  struct table_name name;
  evd_error error;
  assert_int_equal(table_name_parse("tasks", &name, &error), EVD_OK);
  assert_string_equal(name.schema, "");
  assert_string_equal(name.name, "tasks");

  assert_int_equal(table_name_parse("_a1$.B_2", &name, &error), EVD_OK);
  assert_string_equal(name.schema, "_a1$");
  assert_string_equal(name.name, "B_2");
}

static void a_table_name_that_is_no_identifier_is_refused(void **state) {
  (void)state;
  static const char *const bad[] = {
      "", ".", "a.", ".a", "a.b.c", "1a", "$a", "a b", "a\"b", "a`b", "a;b", "a-b", "t\xc3\xa4",
      "a.1", "a'b", "a\\b", "a.b;drop table c", "a\nb", "a.\"b\"",
      /* 49 bytes */ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      /* a schema of 64 bytes */
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.t"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct table_name name;
    evd_error error = {0};
    expect(table_name_parse(bad[i], &name, &error) == EVD_EINVAL, "\"%s\" is taken", bad[i]);
    assert_int_equal(error.code, EVD_EINVAL);
    assert_string_equal(error.field, "table");
    assert_true(strlen(error.message) > 0);
  }
  struct table_name name;
  assert_int_equal(table_name_parse(NULL, &name, NULL), EVD_EINVAL);
}

static void the_longest_names_are_taken_whole(void **state) {
  (void)state;
  const char *longest = "sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss."
                        "tttttttttttttttttttttttttttttttttttttttttttttttt";
  struct table_name name;
  assert_int_equal(table_name_parse(longest, &name, NULL), EVD_OK);
  assert_int_equal(strlen(name.schema), 63);
  assert_int_equal(strlen(name.name), 48);
}

/* The table's name as a dialect writes it. */
static const char *quoted(const struct dialect *dialect, const char *table) {
  struct table_name name;
  struct buffer buffer = {0};
  assert_int_equal(table_name_parse(table, &name, NULL), EVD_OK);
  sql_table(&buffer, dialect, &name);
  return taken(&buffer);
}

static void each_dialect_quotes_in_its_way(void **state) {
  (void)state;
  assert_string_equal(quoted(&dialect_sqlite, "select"), "\"select\"");
  assert_string_equal(quoted(&dialect_postgres, "app.Tasks"), "\"app\".\"Tasks\"");
  assert_string_equal(quoted(&dialect_mysql, "app.tasks"), "`app`.`tasks`");
}

static void each_dialect_has_its_booleans(void **state) {
  (void)state;
  static const struct {
    const struct dialect *dialect;
    const char *both;
  } cases[] = {{&dialect_sqlite, "10"}, {&dialect_postgres, "truefalse"}, {&dialect_mysql, "10"}};
  for (size_t i = 0; i < 3; i++) {
    struct buffer buffer = {0};
    sql_bool(&buffer, cases[i].dialect, true);
    sql_bool(&buffer, cases[i].dialect, false);
    assert_string_equal(taken(&buffer), cases[i].both);
  }
}

static void the_columns_are_listed_in_their_order(void **state) {
  (void)state;
  struct buffer buffer = {0};
  sql_columns(&buffer, "t.");
  const char *list = taken(&buffer);
  assert_memory_equal(list, "t.root_task_id, t.root_execution_id, ", 37);
  assert_string_equal(strrchr(list, ' '), " t.updated_at");
  size_t commas = 0;
  for (const char *c = list; *c != '\0'; c++) {
    commas += *c == ',';
  }
  assert_int_equal(commas, EVD_COLUMN_COUNT - 1);
}

/* --- selections --- */

/* Writes $1, $2, ... */
static void numbered(struct buffer *buffer, enum selection_parameter parameter, void *data) {
  (void)parameter;
  buffer_printf(buffer, "$%d", ++*(int *)data);
}

static const char *selection(const struct dialect *dialect, const struct request *request) {
  struct statement_key key = statement_key(request, 0, 0);
  struct buffer buffer = {0};
  int parameters = 0;
  const struct selection_writer writer = {
      .parameter = numbered, .data = &parameters, .max_attempts = "max_attempts"};
  sql_selection(&buffer, dialect, &key, &writer);
  return taken(&buffer);
}

static void every_selection_reads_as_the_contract_says(void **state) {
  (void)state;
  static const struct {
    struct request request;
    const char *sql;
    evd_column order;
  } cases[] = {
      {{.operation = EVD_OPERATION_CLAIM_BY_START_AT, .status = EVD_STATUS_READY},
       "status = 'ready' and start_at < $1",
       evd_column_start_at},
      {{.operation = EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED,
        .status = EVD_STATUS_WAITING_FOR_CHILDREN,
        .ocfp_status = EVD_OCFP_IDLE},
       "status = 'waiting_for_children' and on_children_finished_processing_status = 'idle' and "
       "active_children_count = 0",
       evd_column_updated_at},
      {{.operation = EVD_OPERATION_CLAIM_BY_CLOSE_STATUS, .close_status = EVD_CLOSE_READY},
       "close_status = 'ready'",
       evd_column_updated_at},
      {{.operation = EVD_OPERATION_EXPIRE_BY_EXPIRES_AT,
        .status = EVD_STATUS_RUNNING,
        .flag = true},
       "status = 'running' and is_sleeping_task = true and expires_at < $1",
       evd_column_expires_at},
      {{.operation = EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT},
       "on_children_finished_processing_expires_at < $1",
       evd_column_on_children_finished_processing_expires_at},
      {{.operation = EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT},
       "close_expires_at < $1",
       evd_column_close_expires_at},
      {{.operation = EVD_OPERATION_CLAIM_BY_CANCELLATION, .flag = true},
       "executor_id = $1 and needs_promise_cancellation = true",
       evd_column_updated_at},
      {{.operation = EVD_OPERATION_UPDATE_BY_PARENT},
       "parent_execution_id = $1 and is_finished = false",
       EVD_COLUMN_COUNT},
      {{.operation = EVD_OPERATION_CLOSE_FINISHED, .flag = true, .close_status = EVD_CLOSE_IDLE},
       "is_finished = true and close_status = 'idle'",
       evd_column_updated_at},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_string_equal(selection(&dialect_postgres, &cases[i].request), cases[i].sql);
    assert_int_equal(sql_selection_order(cases[i].request.operation), cases[i].order);
  }
  struct request request = {.operation = EVD_OPERATION_UPDATE_BY_PARENT, .flag = true};
  assert_string_equal(selection(&dialect_sqlite, &request),
                      "parent_execution_id = $1 and is_finished = 1");
  assert_string_equal(selection(&dialect_mysql, &request),
                      "parent_execution_id = $1 and is_finished = 1");
}

/* --- keys --- */

static bool same_key(const struct request *a, const struct request *b) {
  struct statement_key left = statement_key(a, 0, 0);
  struct statement_key right = statement_key(b, 0, 0);
  return memcmp(&left, &right, sizeof left) == 0;
}

static void a_key_depends_on_masks_and_filters_but_not_on_values(void **state) {
  (void)state;
  evd_changes running = {0};
  evd_changes failed = {0};
  evd_set(&running, status, EVD_STATUS_RUNNING);
  evd_set(&failed, status, EVD_STATUS_FAILED);
  struct request a = {.operation = EVD_OPERATION_UPDATE, .id = "a", .changes = &running};
  struct request b = {
      .operation = EVD_OPERATION_UPDATE, .id = "b", .changes = &failed, .limit = 9, .before = 7};
  assert_true(same_key(&a, &b));

  b.filter.status = EVD_STATUS_READY;
  assert_false(same_key(&a, &b));
  b.filter = (evd_filter){.is_finished = EVD_NO};
  assert_false(same_key(&a, &b));
  b.filter = (evd_filter){.is_sleeping_task = EVD_YES};
  assert_false(same_key(&a, &b));
  b.filter = (evd_filter){0};
  evd_unset(&failed, error);
  assert_false(same_key(&a, &b));
}

static void a_column_set_and_unset_is_only_unset_in_the_key(void **state) {
  (void)state;
  evd_changes changes = {0};
  evd_set(&changes, executor_id, "x");
  evd_unset(&changes, executor_id);
  struct request request = {.operation = EVD_OPERATION_UPDATE, .changes = &changes};
  struct statement_key key = statement_key(&request, 3, 17);
  assert_int_equal(key.set, 0);
  assert_true(key.unset == UINT64_C(1) << evd_column_executor_id);
  assert_int_equal(key.part, 3);
  assert_int_equal(key.rows, 17);
}

static void what_an_operation_does_not_use_is_not_in_its_key(void **state) {
  (void)state;
  struct request plain = {.operation = EVD_OPERATION_GET_BY_PARENT};
  struct request noisy = {.operation = EVD_OPERATION_GET_BY_PARENT,
                          .filter = {.status = EVD_STATUS_READY},
                          .status = EVD_STATUS_READY,
                          .ocfp_status = EVD_OCFP_IDLE,
                          .close_status = EVD_CLOSE_IDLE,
                          .flag = true};
  assert_true(same_key(&plain, &noisy));
}

/* --- the schema --- */

/* The schema of an engine, until release_kept(). */
static const char *schema(const char *engine, const char *table, bool framework_shape) {
  evd_error error = {0};
  evd_schema_options options = {.table = table, .framework_shape = framework_shape};
  char *sql = evd_schema_sql(engine, &options, &error);
  expect(sql != NULL, "%s", error.message);
  const char *kept = text("%s", sql);
  free(sql);
  return kept;
}

static void every_schema_names_every_column(void **state) {
  (void)state;
  static const char *const engines[] = {"sqlite", "postgres", "mysql"};
  for (size_t i = 0; i < 6; i++) {
    const char *sql = schema(engines[i / 2], NULL, i % 2 == 1);
    for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
      const char *line = text("\n  %s ", evd_column_name((evd_column)column));
      expect(strstr(sql, line) != NULL, "%s has no %s", engines[i / 2], line);
    }
    assert_string_equal(sql + strlen(sql) - 2, ";\n");
    assert_int_equal(strstr(sql, "\n  id ") != NULL, i % 2 == 1);
  }
}

static void a_schema_is_made_for_the_table_asked_for(void **state) {
  (void)state;
  const char *postgres = schema("postgres", "app.tasks", false);
  assert_non_null(strstr(postgres, "create table if not exists \"app\".\"tasks\" ("));
  assert_non_null(strstr(postgres, "create index if not exists \"tasks_ready\" on "
                                   "\"app\".\"tasks\" (start_at) where status = 'ready';"));
  const char *sqlite = schema("sqlite", "main.tasks", false);
  assert_non_null(strstr(sqlite, "create table if not exists \"main\".\"tasks\" ("));
  assert_non_null(strstr(sqlite, "create index if not exists \"main\".\"tasks_ready\" on "
                                 "\"tasks\" (start_at) where status = 'ready';"));
  const char *mysql = schema("mysql", "tasks", false);
  assert_non_null(strstr(mysql, "key `tasks_ready` (status, start_at)"));
  assert_non_null(strstr(schema("postgres", NULL, false), "\"task_executions\" ("));
}

static void an_unknown_engine_or_a_bad_table_has_no_schema(void **state) {
  (void)state;
  evd_error error;
  assert_null(evd_schema_sql("oracle", NULL, &error));
  assert_int_equal(error.code, EVD_EINVAL);
  assert_string_equal(error.field, "engine");
  assert_null(evd_schema_sql(NULL, NULL, &error));
  assert_null(evd_schema_sql("sqlite", &(evd_schema_options){.table = "a;b"}, &error));
  assert_int_equal(error.code, EVD_EINVAL);
  assert_string_equal(error.field, "table");
}

static void index_names_fit_and_differ_for_the_longest_tables(void **state) {
  (void)state;
  static const char *const tables[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2"};
  for (int framework = 0; framework < 2; framework++) {
    size_t count;
    const struct index_definition *indexes = schema_indexes(framework == 1, &count);
    for (size_t i = 0; i < count; i++) {
      struct table_name names[2];
      struct buffer made[2] = {{0}};
      for (int t = 0; t < 2; t++) {
        assert_int_equal(table_name_parse(tables[t], &names[t], NULL), EVD_OK);
        schema_index_name(&made[t], &names[t], framework == 1, indexes[i].suffix);
        expect(made[t].length <= 63, "%s is too long", made[t].text);
        expect(strstr(made[t].text, indexes[i].suffix) != NULL, "%s lost its end", made[t].text);
      }
      assert_string_not_equal(made[0].text, made[1].text);
      buffer_free(&made[0]);
      buffer_free(&made[1]);
    }
  }
}

static void no_index_name_begins_another(void **state) {
  (void)state;
  for (int framework = 0; framework < 2; framework++) {
    size_t count;
    const struct index_definition *indexes = schema_indexes(framework == 1, &count);
    for (size_t i = 0; i < count * count; i++) {
      const char *first = indexes[i / count].suffix;
      const char *second = indexes[i % count].suffix;
      expect(i / count == i % count || strncmp(first, second, strlen(first)) != 0, "%s begins %s",
             first, second);
    }
  }
}

static void a_missing_column_is_named(void **state) {
  (void)state;
  struct table_name table;
  evd_error error = {0};
  uint64_t all = (UINT64_C(1) << EVD_COLUMN_COUNT) - 1;
  assert_int_equal(table_name_parse("app.tasks", &table, NULL), EVD_OK);
  assert_int_equal(schema_check_columns(&table, all, &error), EVD_OK);

  uint64_t some = all & ~(UINT64_C(1) << evd_column_finalize | UINT64_C(1) << evd_column_closed_at);
  assert_int_equal(schema_check_columns(&table, some, &error), EVD_ESCHEMA);
  assert_string_equal(error.field, "finalize");
  assert_non_null(strstr(error.message, "app.tasks"));
  assert_non_null(strstr(error.message, "finalize, closed_at"));
  assert_non_null(strstr(error.message, "evdurable migrate up"));

  assert_int_equal(schema_error_no_table(&table, &error), EVD_ESCHEMA);
  assert_non_null(strstr(error.message, "app.tasks"));
  assert_non_null(strstr(error.message, "EVD_SCHEMA_CREATE"));
}

static int teardown(void **state) {
  (void)state;
  release_kept();
  return 0;
}

#define test(name) cmocka_unit_test_teardown(name, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(an_empty_buffer_is_an_empty_text),
      test(a_buffer_holds_all_that_was_appended),
      test(a_buffer_that_was_reset_begins_anew),
      test(a_failed_buffer_stays_failed_until_it_is_reset),
      test(a_table_name_has_a_schema_or_none),
      test(a_table_name_that_is_no_identifier_is_refused),
      test(the_longest_names_are_taken_whole),
      test(each_dialect_quotes_in_its_way),
      test(each_dialect_has_its_booleans),
      test(the_columns_are_listed_in_their_order),
      test(every_selection_reads_as_the_contract_says),
      test(a_key_depends_on_masks_and_filters_but_not_on_values),
      test(a_column_set_and_unset_is_only_unset_in_the_key),
      test(what_an_operation_does_not_use_is_not_in_its_key),
      test(every_schema_names_every_column),
      test(a_schema_is_made_for_the_table_asked_for),
      test(an_unknown_engine_or_a_bad_table_has_no_schema),
      test(index_names_fit_and_differ_for_the_longest_tables),
      test(no_index_name_begins_another),
      test(a_missing_column_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
