/* What `evdurable check` finds, that its fixes work, records of migrations that are none, and the
 * SQL session beneath. */

#include <stdlib.h>
#include <string.h>

#include "migrate/findings.h"
#include "migrate/migrate.h"
#include "migrate/open.h"
#include "suite/framework_table.h"
#include "suite/suite.h"
#include "support/engines.h"
#include "support/native_sql.h"
#include "support/scratch.h"

static struct findings find(void) {
  struct table_name name = engine_table(engine_case.table);
  struct sql_client *client = engine_client();
  struct findings findings = {.first = NULL};
  struct situation situation;
  evd_schema_options schema = {.table = NULL};
  evd_error error;
  evd_code code = situation_read(client, &name, &schema, false, &situation, &error);
  expect(code == EVD_OK, "%s", error.message);
  findings_of_table(&findings, &situation, &name);
  assert_false(findings.failed);
  situation_free(&situation);
  sql_client_close(client);
  return findings;
}

static void expect_nothing_found(void) {
  struct findings findings = find();
  expect(findings_worst(&findings) == SEVERITY_NOTE, "%s %s", findings.first->object,
         findings.first->problem);
  findings_free(&findings);
}

/* One thing is found, of this object and level; its fix, until release_kept(). */
static const char *expect_found(const char *object, enum severity severity) {
  struct findings findings = find();
  assert_non_null(findings.first);
  expect(findings.first->next == NULL, "%s %s", findings.first->next->object,
         findings.first->next->problem);
  assert_string_equal(findings.first->object, object);
  assert_int_equal(findings.first->severity, severity);
  const char *fix = text("%s", findings.first->fix);
  findings_free(&findings);
  return fix;
}

static void make_table(void) {
  engine_up((struct migrate_options){0});
  expect_nothing_found();
}

static void a_table_that_is_not_there_is_an_error(void **state) {
  assert_string_equal(expect_found(text("table %s", engine_case.table), SEVERITY_ERROR),
                      "evdurable migrate up");
}

static void tables_of_ours_and_of_the_framework_are_good(void **state) {
  make_table();
  framework_table_drop(engine_case.table);
  framework_table_make(engine_case.table, EVD_COLUMN_COUNT);
  struct findings findings = find(); /* what the framework has no use for */
  for (struct finding *finding = findings.first; finding != NULL; finding = finding->next) {
    assert_int_equal(finding->severity, SEVERITY_WARNING);
    expect(strstr(finding->problem, "index_by_task") != NULL, "%s", finding->problem);
  }
  assert_non_null(findings.first);
  findings_free(&findings);
  engine_up((struct migrate_options){0});
  expect_nothing_found();
}

static void a_missing_index_is_a_warning(void **state) {
  make_table();
  native_run_once(engine_case.url,
                  engine_is("mysql")
                      ? text("drop index %s_running on %s;", engine_case.table, engine_case.table)
                      : text("drop index %s_running;", engine_case.table));
  assert_string_equal(expect_found("migration", SEVERITY_WARNING), "evdurable migrate up");
  engine_up((struct migrate_options){0});
  expect_nothing_found();
}

static void an_index_on_other_columns_is_a_warning(void **state) {
  make_table();
  native_run_once(engine_case.url,
                  engine_is("mysql")
                      ? text("drop index %s_running on %s;", engine_case.table, engine_case.table)
                      : text("drop index %s_running;", engine_case.table));
  native_run_once(engine_case.url, text("create index %s_running on %s (task_id);",
                                        engine_case.table, engine_case.table));
  (void)expect_found(text("index %s_running", engine_case.table), SEVERITY_WARNING);
}

static void a_number_that_is_too_small_is_found_and_fixed(void **state) {
  make_table();
  native_run_once(engine_case.url,
                  text(engine_is("mysql") ? "alter table %s modify column start_at int not null;"
                                          : "alter table %s alter column start_at type integer;",
                       engine_case.table));
  native_run_once(engine_case.url, expect_found("column start_at", SEVERITY_ERROR));
  expect_nothing_found();
}

static void a_column_that_takes_no_null_is_found_and_fixed(void **state) {
  make_table();
  native_run_once(engine_case.url,
                  text(engine_is("mysql")
                           ? "alter table %s modify column executor_id varchar(64) not null;"
                           : "alter table %s alter column executor_id set not null;",
                       engine_case.table));
  native_run_once(engine_case.url, expect_found("column executor_id", SEVERITY_ERROR));
  expect_nothing_found();
}

static void texts_for_numbers_are_errors(void **state) {
  framework_table_make(engine_case.table, evd_column_finished_at);
  native_run_once(engine_case.url,
                  text("alter table %s add column finished_at varchar(20);", engine_case.table));
  struct findings findings = find();
  assert_string_equal(findings.first->object, "column finished_at");
  assert_int_equal(findings.first->severity, SEVERITY_ERROR);
  findings_free(&findings);
}

static void the_case_of_a_columns_name_is_no_matter(void **state) {
  make_table();
  native_run_once(engine_case.url,
                  text("alter table %s rename column start_at to START_AT;", engine_case.table));
  expect_nothing_found();
  engine_close(engine_open(engine_case.table, EVD_SCHEMA_CHECK));
}

/* There is no table, and none can be made. */
static void a_view_is_no_table(void **state) {
  struct migrate_result result;
  native_run_once(engine_case.url, text("create view %s as select 1 as one;", engine_case.table));
  struct catalog catalog = engine_catalog(engine_case.table);
  evd_error error = engine_try_up(engine_case.table, (struct migrate_options){0}, &result);
  native_run_once(engine_case.url, text("drop view %s;", engine_case.table));
  assert_true(catalog.is_other && !catalog.exists);
  assert_int_equal(error.code, EVD_ESCHEMA);
  expect(strstr(error.message, "view") != NULL, "%s", error.message);
}

static void a_strange_column_that_must_be_filled_is_an_error(void **state) {
  make_table();
  native_run_once(engine_case.url,
                  text("alter table %s add column color varchar(20) not null;", engine_case.table));
  (void)expect_found("column color", SEVERITY_ERROR);
}

/* As a newer library may have added it. */
static void a_strange_column_with_a_default_is_no_matter(void **state) {
  make_table();
  native_run_once(engine_case.url,
                  text("alter table %s add column color %s not null default 'red';",
                       engine_case.table, engine_is("sqlite") ? "text" : "varchar(20)"));
  expect_nothing_found();
  assert_int_equal(engine_up((struct migrate_options){0}), 0);
  evd_execution execution = sample_full("te_1");
  evd_storage *storage = engine_open(engine_case.table, EVD_SCHEMA_CHECK);
  await_ok(evd_insert(storage, &execution, 1));
  expect_row(await_row(evd_get(storage, "te_1", NULL)), &execution);
  engine_close(storage);
}

/* The record of migrations. */

/* A table of the record's name, of these definition and this row, is refused by its name. */
static void expect_record_refused(const char *definition, const char *row) {
  const char *record = text("%s_migrations", engine_case.table);
  framework_table_drop(record);
  native_run_once(engine_case.url, text("create table %s (%s); insert into %s values (%s);", record,
                                        definition, record, row));
  struct table_name name = engine_table(engine_case.table);
  struct sql_client *client = engine_client();
  struct record read;
  evd_error error;
  assert_int_equal(record_read(client, &name, &read, &error), EVD_ESCHEMA);
  expect(strstr(error.message, record) != NULL, "%s", error.message);
  sql_client_close(client);
}

static void a_record_that_is_none_is_refused_by_name(void **state) {
  static const char definition[] =
      "number varchar(9), name varchar(9), applied_at varchar(9), version varchar(9)";
  engine_up((struct migrate_options){0});
  expect_record_refused("id integer, done varchar(9)", "1, 'x'");
  expect_record_refused(definition, "null, 'n', '3', '1.0'");
  expect_record_refused(definition, "'1', null, '3', '1.0'");
  expect_record_refused(definition, "'1', 'n', null, '1.0'");
  expect_record_refused(definition, "'1', 'n', '3', null");
  expect_record_refused(definition, "'wheels', 'n', '3', '1.0'");
  expect_record_refused(definition, "'1', 'n', 'today', '1.0'");

  evd_options options = {.table = engine_case.table, .schema = EVD_SCHEMA_MIGRATE};
  evd_error error =
      await_error(evd_storage_open(suite.loop, engine_case.url, &options), EVD_ESCHEMA);
  assert_non_null(strstr(error.message, "_migrations"));
}

/* The session. */

static bool count_row(const char *const *values, void *data) {
  (*(int *)data)++;
  return true;
}

static bool keep_row(const char *const *values, void *data) {
  const char **kept = data;
  for (int i = 0; i < 3; i++) {
    kept[i] = values[i] != NULL ? text("%s", values[i]) : NULL;
  }
  return false;
}

static void parameters_arrive_as_they_are(void **state) {
  static const char *const values[] = {"it's \\ \"?\"", NULL, "\xc3\xa9\n%s"};
  struct sql_client *client = engine_client();
  evd_error error;
  const char *cast = engine_is("postgres") ? "text" : "char";
  const char *row[3];
  const char *sql = text("select cast(? as %s), cast(? as %s), cast(? as %s) from (select '?' as q)"
                         " as one where q <> 'a' union all select 'x', 'y', 'z'",
                         cast, cast, cast);
  expect(sql_client_query(client, sql, values, keep_row, (void *)row, &error) == EVD_OK, "%s",
         error.message);
  for (int i = 0; i < 3; i++) {
    if (values[i] != NULL) {
      assert_string_equal(row[i], values[i]);
    } else {
      assert_null(row[i]);
    }
  }
  sql_client_close(client);
}

static void a_session_goes_on_after_an_error_and_after_rows_not_wanted(void **state) {
  struct sql_client *client = engine_client();
  evd_error error;
  int rows = 0;
  int64_t one = 0;
  assert_int_not_equal(
      sql_client_query(client, "select nonsense from nowhere", NULL, count_row, &rows, &error),
      EVD_OK);
  assert_true(error.native[0]);
  assert_int_not_equal(sql_client_execute(client, "select 1; nonsense", &error), EVD_OK);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(sql_client_integer(client, "select 1 union all select 1 union all select 1",
                                        NULL, 0, &one, &error),
                     EVD_OK);
    assert_int_equal(one, 1);
  }
  assert_int_equal(rows, 0);
  sql_client_close(client);
}

static void changed_rows_are_counted(void **state) {
  struct sql_client *client = engine_client();
  evd_error error;
  framework_table_make(engine_case.table, EVD_COLUMN_COUNT);
  const char *sql = text("delete from %s where execution_id in (?, ?)", engine_case.table);
  evd_storage *storage = engine_open(engine_case.table, EVD_SCHEMA_CHECK);
  for (int i = 0; i < 3; i++) {
    evd_execution execution = sample_execution(text("te_%d", i));
    await_ok(evd_insert(storage, &execution, 1));
  }
  engine_close(storage);
  const char *ids[] = {"te_0", "te_2"};
  assert_int_equal(sql_client_query(client, sql, ids, NULL, NULL, &error), EVD_OK);
  assert_int_equal(sql_client_changed(client), 2);
  assert_int_equal(sql_client_query(client, sql, ids, NULL, NULL, &error), EVD_OK);
  assert_int_equal(sql_client_changed(client), 0);
  sql_client_close(client);
}

static void what_cannot_be_opened_says_why_without_a_password(void **state) {
  evd_error error;
  const char *url = engine_is("sqlite")     ? text("sqlite:%s/x/y", scratch_new())
                    : engine_is("postgres") ? "postgresql://u:secret@127.0.0.1:1/x"
                                            : "mysql://u:secret@127.0.0.1:1/x";
  assert_null(sql_client_open(url, true, &error));
  assert_int_equal(error.code, EVD_EUNAVAILABLE);
  assert_true(strlen(error.message) > 10);
  assert_null(strstr(error.message, "secret"));
  assert_null(sql_client_open("ftp://x", true, &error));
  assert_int_equal(error.code, EVD_EINVAL);
  assert_string_equal(error.field, "url");
}

/* Opening with EVD_SCHEMA_MIGRATE. */

static void opening_tells_what_cannot_be_migrated(void **state) {
  const char *url = engine_is("sqlite")     ? text("sqlite:%s/x/y", scratch_new())
                    : engine_is("postgres") ? "postgresql://u:secret@127.0.0.1:1/x"
                                            : "mysql://u:secret@127.0.0.1:1/x";
  evd_options options = {.schema = EVD_SCHEMA_MIGRATE};
  (void)await_error(evd_storage_open(suite.loop, url, &options), EVD_EUNAVAILABLE);
  options.table = "a;b";
  evd_error error =
      await_error(evd_storage_open(suite.loop, engine_case.url, &options), EVD_EINVAL);
  assert_string_equal(error.field, "table");
}

static void an_opening_that_is_cancelled_migrates_and_ends(void **state) {
  evd_options options = {.table = engine_case.table, .schema = EVD_SCHEMA_MIGRATE};
  evd_future *opening = evd_storage_open(suite.loop, engine_case.url, &options);
  evd_future_cancel(opening);
  (void)await_error(opening, EVD_ECANCELED);
  ev_run(suite.loop, 0);
  evd_future_release(evd_storage_open(suite.loop, engine_case.url, &options));
  ev_run(suite.loop, 0);
  expect_nothing_found();
}

static void what_was_done_is_logged(const evd_log_event *event, void *data) {
  if (event->level == EVD_LOG_INFO && strstr(event->message, "create table") != NULL) {
    (*(int *)data)++;
  }
}

static void opening_logs_what_was_done(void **state) {
  int logged = 0;
  evd_options options = {.table = engine_case.table,
                         .schema = EVD_SCHEMA_MIGRATE,
                         .log = what_was_done_is_logged,
                         .log_data = &logged,
                         .log_level = EVD_LOG_INFO};
  for (int i = 0; i < 2; i++) {
    engine_close(await_storage(evd_storage_open(suite.loop, engine_case.url, &options)));
  }
  assert_int_equal(logged, 1);
}

static void a_database_in_memory_is_created(void **state) {
  assert_true(migrate_open_is_private("sqlite::memory:"));
  assert_false(migrate_open_is_private(engine_case.url));
  evd_options options = {.schema = EVD_SCHEMA_MIGRATE};
  evd_storage *storage = await_storage(evd_storage_open(suite.loop, "sqlite::memory:", &options));
  evd_execution execution = sample_execution("te_1");
  await_ok(evd_insert(storage, &execution, 1));
  engine_close(storage);
}

int main(void) {
  static const struct engine_test tests[] = {
      engine_test(a_table_that_is_not_there_is_an_error),
      engine_test(tables_of_ours_and_of_the_framework_are_good),
      engine_test(a_missing_index_is_a_warning),
      engine_test(an_index_on_other_columns_is_a_warning),
      engine_test_only(a_number_that_is_too_small_is_found_and_fixed, "postgres mysql"),
      engine_test_only(a_column_that_takes_no_null_is_found_and_fixed, "postgres mysql"),
      engine_test(texts_for_numbers_are_errors),
      engine_test_only(the_case_of_a_columns_name_is_no_matter, "sqlite"),
      engine_test(a_view_is_no_table),
      engine_test_only(a_strange_column_that_must_be_filled_is_an_error, "postgres mysql"),
      engine_test(a_strange_column_with_a_default_is_no_matter),
      engine_test(a_record_that_is_none_is_refused_by_name),
      engine_test(parameters_arrive_as_they_are),
      engine_test(a_session_goes_on_after_an_error_and_after_rows_not_wanted),
      engine_test(changed_rows_are_counted),
      engine_test(what_cannot_be_opened_says_why_without_a_password),
      engine_test(opening_tells_what_cannot_be_migrated),
      engine_test(an_opening_that_is_cancelled_migrates_and_ends),
      engine_test(opening_logs_what_was_done),
      engine_test_only(a_database_in_memory_is_created, "sqlite"),
  };
  return run_on_engines(tests, sizeof tests / sizeof tests[0]);
}
