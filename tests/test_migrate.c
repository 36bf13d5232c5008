/* The migrations, on every engine: fresh, twice, at once, adopted, interrupted. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/columns.h"
#include "model/execution.h"
#include "suite/framework_table.h"
#include "suite/suite.h"
#include "support/engines.h"
#include "support/native_sql.h"
#include "support/process.h"

enum { STARTERS = 5 };

/* Migrates the test's table; how many steps that took. */
static size_t up(void) {
  return engine_up((struct migrate_options){0});
}

/* How many of our indexes the table has, by name and columns. */
static size_t count_own_indexes(const char *table) {
  struct table_name name = engine_table(table);
  struct catalog catalog = engine_catalog(table);
  size_t all;
  size_t found = 0;
  const struct index_definition *indexes = schema_indexes(false, &all);
  for (size_t i = 0; i < all; i++) {
    struct buffer index_name = {0};
    schema_index_name(&index_name, &name, false, indexes[i].suffix);
    const struct catalog_index *index = catalog_find_index(&catalog, index_name.text);
    found += index != NULL && catalog_index_matches(&catalog, index, &indexes[i]);
    buffer_free(&index_name);
  }
  catalog_free(&catalog);
  return found;
}

static size_t own_index_count(void) {
  size_t all;
  schema_indexes(false, &all);
  return all;
}

static int64_t count_records(void) {
  struct native *native = native_open(engine_case.url);
  int64_t count =
      native_number(native, text("select count(*) from %s_migrations", engine_case.table));
  native_close(native);
  return count;
}

static bool table_exists(const char *table) {
  struct catalog catalog = engine_catalog(table);
  bool exists = catalog.exists;
  catalog_free(&catalog);
  return exists;
}

/* An executor's first and last work on the table. */
static void expect_table_works(const char *table) {
  evd_storage *storage = engine_open(table, EVD_SCHEMA_CHECK);
  evd_execution execution = sample_execution("te_works");
  evd_changes running = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  await_ok(evd_insert(storage, &execution, 1));
  (void)await_rows(evd_claim_by_start_at(storage, sample_due(SAMPLE_MAX_TIME), &running, 10),
                   &count);
  assert_true(count > 0);
  assert_int_equal(await_count(evd_delete(storage, "te_works")), 1);
  engine_close(storage);
}

static void a_new_database_gets_the_table_its_indexes_and_a_record(void **state) {
  assert_true(up() > 0);
  assert_int_equal(count_own_indexes(engine_case.table), own_index_count());
  assert_int_equal(count_records(), SCHEMA_VERSION);
  expect_table_works(engine_case.table);
}

static void a_second_time_there_is_nothing_to_do(void **state) {
  up();
  assert_int_equal(up(), 0);
  assert_int_equal(count_records(), SCHEMA_VERSION);
}

static void a_table_in_the_frameworks_shape_is_made_on_request(void **state) {
  struct migrate_options options = {.schema = {.framework_shape = true}};
  engine_up(options);
  assert_int_equal(engine_up(options), 0);
  assert_int_equal(up(), 0);
  struct catalog catalog = engine_catalog(engine_case.table);
  assert_true(catalog.framework_shape);
  catalog_free(&catalog);
  expect_table_works(engine_case.table);
}

static void our_own_table_does_not_become_one_of_the_framework(void **state) {
  struct migrate_result result;
  up();
  evd_error error = engine_try_up(
      engine_case.table, (struct migrate_options){.schema = {.framework_shape = true}}, &result);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_int_equal(result.steps, 0);
}

/* The storage was opened with EVD_SCHEMA_CREATE before anybody migrated. */
static void a_table_that_a_storage_created_is_only_recorded(void **state) {
  engine_close(engine_open(engine_case.table, EVD_SCHEMA_CREATE));
  assert_int_equal(up(), SCHEMA_VERSION);
  assert_int_equal(count_records(), SCHEMA_VERSION);
}

/* Other processes: this program, in the role of a starter. */

struct role {
  const char *table;
  long die_before; /* the step at which it dies, from 1; 0: it lives */
  long steps;
};

static void die_in_time(const char *what, void *data) {
  struct role *role = data;
  if (++role->steps == role->die_before) {
    _exit(9);
  }
}

static int run_role(char **arguments) {
  evd_error error;
  struct table_name name;
  struct migrate_result result;
  struct role role = {.table = arguments[1], .die_before = strtol(arguments[2], NULL, 10)};
  struct migrate_options options = {.wait_ms = 60000, .step = die_in_time, .data = &role};
  struct sql_client *client = sql_client_open(arguments[0], true, &error);
  if (client == NULL || table_name_parse(role.table, &name, &error) != EVD_OK ||
      migrate_up(client, &name, &options, &result, &error) != EVD_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  sql_client_close(client);
  printf("%zu", result.steps);
  return 0;
}

static struct process start_starter(const char *die_before) {
  const char *arguments[] = {"starter", engine_case.url, engine_case.table, die_before, NULL};
  return process_start(arguments);
}

static void of_five_processes_at_once_one_does_it(void **state) {
  struct process processes[STARTERS];
  int workers = 0;
  for (int i = 0; i < STARTERS; i++) {
    processes[i] = start_starter("0");
  }
  for (int i = 0; i < STARTERS; i++) {
    char steps[16] = "";
    (void)!read(processes[i].output, steps, sizeof steps - 1);
    assert_int_equal(process_wait(&processes[i]), 0);
    workers += strtol(steps, NULL, 10) > 0;
  }
  assert_int_equal(workers, 1);
  assert_int_equal(count_records(), SCHEMA_VERSION);
  assert_int_equal(count_own_indexes(engine_case.table), own_index_count());
}

static void storages_that_open_at_once_migrate_once(void **state) {
  evd_future *futures[STARTERS];
  evd_options options = {.table = engine_case.table, .schema = EVD_SCHEMA_MIGRATE};
  for (int i = 0; i < STARTERS; i++) {
    futures[i] = evd_storage_open(suite.loop, engine_case.url, &options);
  }
  for (int i = 0; i < STARTERS; i++) {
    engine_close(await_storage(futures[i]));
  }
  assert_int_equal(count_records(), SCHEMA_VERSION);
  expect_table_works(engine_case.table);
}

/* What another connection migrates there, the storage's never sees. */
static void a_database_without_a_name_is_created(void **state) {
  static const char *const urls[] = {"file:", "file:?cache=private", "file://localhost"};
  for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
    evd_options options = {.schema = EVD_SCHEMA_MIGRATE};
    evd_storage *storage = await_storage(evd_storage_open(suite.loop, urls[i], &options));
    evd_execution execution = sample_execution("te_1");
    await_ok(evd_insert(storage, &execution, 1));
    engine_close(storage);
  }
}

static void a_starter_that_dies_half_way_leaves_work_that_can_be_done(void **state) {
  static const char *const steps[] = {"1", "2", "4"};
  for (int i = 0; i < 3; i++) {
    struct process process = start_starter(steps[i]);
    int status = process_wait(&process);
    /* On MySQL all is made in one statement, and the next time is the record's. */
    assert_true(status == 9 || (engine_is("mysql") && status == 0));
    if (!engine_is("mysql")) {
      assert_false(table_exists(engine_case.table));
    }
  }
  up();
  assert_int_equal(up(), 0);
  assert_int_equal(count_own_indexes(engine_case.table), own_index_count());
  expect_table_works(engine_case.table);
}

/* A table of the framework that lacks a column has none of its indexes either, so that there is
 * much to do even on MySQL. */
static void an_adoption_that_dies_half_way_can_be_done_again(void **state) {
  framework_table_make(engine_case.table, evd_column_closed_at);
  struct process process = start_starter("4");
  assert_int_equal(process_wait(&process), 9);
  size_t own = count_own_indexes(engine_case.table);
  if (engine_is("mysql")) {
    assert_int_equal(own, 2); /* a column and two indexes */
  } else {
    assert_int_equal(own, 0);
  }
  assert_true(up() > 0);
  assert_int_equal(up(), 0);
  expect_table_works(engine_case.table);
}

/* Adoption. */

/* Those of our indexes whose predicate is more than "is not null". */
enum { PARTIAL_INDEXES = 7 };

static void fill(evd_execution *rows, size_t count) {
  evd_storage *storage = engine_open(engine_case.table, EVD_SCHEMA_CHECK);
  for (size_t i = 0; i < count; i++) {
    rows[i] = i == 0 ? sample_full("te_0") : sample_execution(text("te_%zu", i));
    await_ok(evd_insert(storage, &rows[i], 1));
  }
  engine_close(storage);
}

static void expect_filled(const evd_execution *rows, size_t count) {
  evd_storage *storage = engine_open(engine_case.table, EVD_SCHEMA_CHECK);
  for (size_t i = 0; i < count; i++) {
    expect_row(await_row(evd_get(storage, rows[i].execution_id, NULL)), &rows[i]);
  }
  engine_close(storage);
}

static size_t count_indexes(void) {
  struct catalog catalog = engine_catalog(engine_case.table);
  size_t count = 0;
  for (struct catalog_index *index = catalog.indexes; index != NULL; index = index->next) {
    count++;
  }
  catalog_free(&catalog);
  return count;
}

static void a_table_of_the_framework_is_adopted_and_loses_nothing(void **state) {
  evd_execution rows[5];
  framework_table_make(engine_case.table, EVD_COLUMN_COUNT);
  fill(rows, 5);
  size_t before = count_indexes();
  size_t steps = up();
  assert_int_equal(count_indexes(), before + steps - SCHEMA_VERSION); /* the others are records */
  if (engine_is("mysql")) {
    /* It has whole indexes only, as ours are there, but the one by task. */
    assert_int_equal(steps, 1 + SCHEMA_VERSION);
  } else {
    assert_int_equal(count_own_indexes(engine_case.table), PARTIAL_INDEXES);
  }
  expect_filled(rows, 5);
  assert_int_equal(up(), 0);
  expect_table_works(engine_case.table);
}

/* A small row, as SQL. */
static const struct {
  evd_column column;
  const char *value;
} small_row[] = {
    {evd_column_task_id, "'t'"},
    {evd_column_is_sleeping_task, "false"},
    {evd_column_retry_options, "'{}'"},
    {evd_column_sleep_ms_before_run, "0"},
    {evd_column_timeout_ms, "0"},
    {evd_column_are_children_sequential, "false"},
    {evd_column_input, "'null'"},
    {evd_column_status, "'ready'"},
    {evd_column_is_finished, "false"},
    {evd_column_retry_attempts, "0"},
    {evd_column_start_at, "0"},
    {evd_column_active_children_count, "0"},
    {evd_column_on_children_finished_processing_status, "'idle'"},
    {evd_column_close_status, "'idle'"},
    {evd_column_needs_promise_cancellation, "false"},
    {evd_column_created_at, "0"},
    {evd_column_updated_at, "0"},
};

/* The statement that inserts it, with another value for a column; without the column where that is
 * NULL. */
static const char *insert_with(const char *id, evd_column column, const char *value) {
  const char *names = "execution_id";
  const char *values = text("'%s'", id);
  for (size_t i = 0; i < sizeof small_row / sizeof small_row[0]; i++) {
    if (small_row[i].column != column) {
      names = text("%s, %s", names, evd_column_name(small_row[i].column));
      values = text("%s, %s", values, small_row[i].value);
    }
  }
  if (value != NULL) {
    names = text("%s, %s", names, evd_column_name(column));
    values = text("%s, %s", values, value);
  }
  return text("insert into %s (%s) values (%s);", engine_case.table, names, values);
}

/* Whether two records hold the same in a column. */
static bool holds_the_same(const evd_execution *a, const evd_execution *b, evd_column column) {
  struct value left = column_get(a, column);
  struct value right = column_get(b, column);
  return left.kind == right.kind && left.integer == right.integer &&
         (left.text == NULL || strcmp(left.text, right.text) == 0);
}

/* A column of a later migration in a table with rows, seen from the end: it is missing. */
static void expect_column_is_added(evd_column column) {
  evd_execution expected;
  framework_table_make(engine_case.table, column);
  native_run_once(engine_case.url, insert_with("te_old", column, NULL));
  engine_up((struct migrate_options){0});
  execution_clear(&expected);
  (void)column_set_default(&expected, column);
  evd_storage *storage = engine_open(engine_case.table, EVD_SCHEMA_CHECK);
  const evd_execution *row = await_row(evd_get(storage, "te_old", NULL));
  expect(holds_the_same(row, &expected, column), "%s", evd_column_name(column));
  engine_close(storage);
  /* An older library does not know the column. */
  native_run_once(engine_case.url, insert_with("te_older", column, NULL));
  expect_table_works(engine_case.table);
  framework_table_drop(engine_case.table);
  framework_table_drop(text("%s_migrations", engine_case.table));
}

static void a_missing_column_is_added_with_its_default(void **state) {
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (columns[column].default_text != NULL) {
      expect_column_is_added(column);
    }
  }
  expect_column_is_added(evd_column_error);
}

static void columns_are_added_with_their_constraints(void **state) {
  native_run_once(engine_case.url, text("create table %s (execution_id varchar(64) primary key);",
                                        engine_case.table));
  up();
  assert_int_equal(up(), 0);
  assert_int_equal(count_own_indexes(engine_case.table), own_index_count());
  expect_table_works(engine_case.table);
  evd_error error;
  struct sql_client *client = engine_client();
  const char *good = insert_with("te_1", evd_column_status, "'running'");
  const char *bad_status = insert_with("te_2", evd_column_status, "'nonsense'");
  const char *bad_json = insert_with("te_3", evd_column_error, "'{'");
  assert_int_equal(sql_client_execute(client, good, &error), EVD_OK);
  assert_int_equal(sql_client_execute(client, bad_status, &error), EVD_ECONSTRAINT);
  assert_int_not_equal(sql_client_execute(client, bad_json, &error), EVD_OK);
  sql_client_close(client);
}

static void a_missing_column_that_rows_need_is_refused_by_name(void **state) {
  struct migrate_result result;
  native_run_once(engine_case.url,
                  text("create table %s (execution_id varchar(64)); insert into %s values ('a');",
                       engine_case.table, engine_case.table));
  evd_error error = engine_try_up(engine_case.table, (struct migrate_options){0}, &result);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_string_equal(error.field, "task_id");
  assert_int_equal(result.steps, 0);
}

static void an_index_that_was_dropped_comes_back(void **state) {
  up();
  native_run_once(engine_case.url,
                  engine_is("mysql")
                      ? text("drop index %s_ready on %s;", engine_case.table, engine_case.table)
                      : text("drop index %s_ready;", engine_case.table));
  assert_int_equal(count_own_indexes(engine_case.table), own_index_count() - 1);
  assert_int_equal(up(), 1);
  assert_int_equal(count_own_indexes(engine_case.table), own_index_count());
}

static void a_failure_names_its_step_and_what_stays(void **state) {
  struct migrate_result result;
  /* The unique index is refused for the rows' sake, and comes after the column, which is added. */
  framework_table_make(engine_case.table, evd_column_closed_at);
  native_run_once(engine_case.url,
                  engine_is("mysql")
                      ? text("drop index ix_%s_e on %s;", engine_case.table, engine_case.table)
                      : text("drop index ix_%s_e;", engine_case.table));
  native_run_once(engine_case.url, insert_with("same", evd_column_status, "'ready'"));
  native_run_once(engine_case.url, insert_with("same", evd_column_status, "'ready'"));
  evd_error error = engine_try_up(engine_case.table, (struct migrate_options){0}, &result);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_non_null(strstr(error.message, "add index"));
  assert_non_null(strstr(error.message, engine_is("mysql") ? "stay (1)" : "nothing was changed"));
  native_run_once(engine_case.url, text("delete from %s;", engine_case.table));
  up();
  expect_table_works(engine_case.table);
}

/* A session that holds the lock of a migration of the test's table. */
static struct native *hold_lock(void) {
  struct native *native = native_open(engine_case.url);
  if (engine_is("sqlite")) {
    native_run(native, "begin immediate");
  } else if (engine_is("postgres")) {
    native_run(native, text("begin; select pg_advisory_xact_lock(hashtext('evdurable'),"
                            " hashtext('\"%s\"'))",
                            engine_case.table));
  } else {
    native_run(
        native,
        text("select get_lock(concat('evdurable ', left(sha2(concat(database(), '.%s'), 256), 40)),"
             " 1)",
             engine_case.table));
  }
  return native;
}

static void another_migration_is_waited_for_only_so_long(void **state) {
  struct native *native = hold_lock();
  struct migrate_result result;
  const char *url = engine_case.url;
  /* SQLite's own waiting is of its URL. */
  if (engine_is("sqlite")) {
    engine_case.url = text("%s?busy_timeout=10", url);
  }
  evd_error error =
      engine_try_up(engine_case.table, (struct migrate_options){.wait_ms = 1000}, &result);
  assert_int_equal(error.code, EVD_ECONFLICT);
  const char *who = engine_is("sqlite")
                        ? text("another process has been writing to %s for 1 s", url)
                        : text("another migration of table %s", engine_case.table);
  expect(strstr(error.message, who) != NULL, "%s", error.message);
  native_close(native);
  assert_true(up() > 0);
}

static void what_has_nothing_to_do_waits_for_nobody(void **state) {
  struct migrate_result result;
  up();
  struct native *native = hold_lock();
  evd_error error =
      engine_try_up(engine_case.table, (struct migrate_options){.wait_ms = 0}, &result);
  expect(error.code == EVD_OK, "%s", error.message);
  assert_int_equal(result.steps, 0);
  native_close(native);
}

/* Names. */

static void drop_tables(const char *schema, const char *table) {
  const char *quote = engine_is("mysql") ? "`" : "\"";
  native_run_once(engine_case.url,
                  text("drop table if exists %s%s%s%s; drop table if exists %s%s%s_migrations%s;",
                       schema, quote, table, quote, schema, quote, table, quote));
}

static void hostile_names_of_tables_are_quoted(void **state) {
  static const char *const names[] = {"select", "Order", "tasks$1", "_",
                                      "a_table_whose_name_has_48_bytes_which_are_the_mo"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct migrate_result result;
    drop_tables("", names[i]);
    evd_error error = engine_try_up(names[i], (struct migrate_options){0}, &result);
    expect(error.code == EVD_OK, "%s: %s", names[i], error.message);
    assert_int_equal(count_own_indexes(names[i]), own_index_count());
    assert_int_equal(engine_try_up(names[i], (struct migrate_options){0}, &result).code, EVD_OK);
    assert_int_equal(result.steps, 0);
    struct migrate_options strict = {.schema = {.strict_transitions = true}};
    error = engine_try_up(names[i], strict, &result);
    expect(error.code == EVD_OK, "%s: %s", names[i], error.message);
    assert_int_equal(result.steps, 1);
    expect_table_works(names[i]);
    drop_tables("", names[i]);
  }
}

static void a_table_in_a_schema_is_migrated_there(void **state) {
  const char *schema = engine_is("sqlite") ? "main" : "evd_Schema";
  const char *quote = engine_is("mysql") ? "`" : "\"";
  if (engine_is("postgres")) {
    native_run_once(engine_case.url, "create schema if not exists \"evd_Schema\";");
  }
  if (engine_is("mysql")) {
    native_run_once(engine_case.url, "create database if not exists evd_Schema;");
  }
  const char *name = text("%s.Order", schema);
  drop_tables(text("%s%s%s.", quote, schema, quote), "Order");
  struct migrate_result result;
  struct migrate_options strict = {.schema = {.strict_transitions = true}};
  evd_error error = engine_try_up(name, strict, &result);
  expect(error.code == EVD_OK, "%s", error.message);
  assert_int_equal(count_own_indexes(name), own_index_count());
  expect_table_works(name);
  assert_int_equal(engine_try_up(name, strict, &result).code, EVD_OK);
  assert_int_equal(result.steps, 0);
  drop_tables(text("%s%s%s.", quote, schema, quote), "Order");
  if (engine_is("postgres")) {
    native_run_once(engine_case.url, "drop schema \"evd_Schema\" cascade;");
  }
  if (engine_is("mysql")) {
    native_run_once(engine_case.url, "drop database evd_Schema;");
  }
}

/* The SQL for other tools. */

static void a_schema_that_is_none_of_the_file_is_refused(void **state) {
  static const char *const names[] = {"temp.tasks", "TEMP.tasks", "foo.tasks"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct migrate_result result;
    evd_error error = engine_try_up(names[i], (struct migrate_options){0}, &result);
    assert_int_equal(error.code, EVD_EINVAL);
    assert_string_equal(error.field, "table");

    struct table_name table = engine_table(names[i]);
    struct sql_client *client = engine_client();
    struct record record;
    assert_int_equal(record_read(client, &table, &record, &error), EVD_EINVAL);
    sql_client_close(client);

    evd_options options = {.table = names[i], .schema = EVD_SCHEMA_MIGRATE};
    error = await_error(evd_storage_open(suite.loop, engine_case.url, &options), EVD_EINVAL);
    assert_string_equal(error.field, "table");
  }
}

static void the_sql_for_other_tools_leaves_nothing_to_do(void **state) {
  struct table_name name = engine_table(engine_case.table);
  struct sql_client *client = engine_client();
  evd_schema_options options = {.strict_transitions = true};
  for (int number = 1; number <= SCHEMA_VERSION; number++) {
    for (int times = number == 1 ? 2 : 1; times > 0; times--) { /* the first may be run again */
      struct buffer sql = {0};
      evd_error error;
      migrate_sql(&sql, number, sql_client_dialect(client), &name, &options);
      expect(sql_client_execute(client, sql.text, &error) == EVD_OK, "%s: %s", error.message,
             sql.text);
      buffer_free(&sql);
    }
  }
  sql_client_close(client);
  assert_int_equal(count_records(), SCHEMA_VERSION);
  assert_int_equal(engine_up((struct migrate_options){.schema = options}), 0);
}

static void a_record_of_a_newer_library_is_shown_and_left_alone(void **state) {
  up();
  native_run_once(engine_case.url,
                  text("insert into %s_migrations values (7, 'wheels', 1750000000000, '9.9');",
                       engine_case.table));
  struct table_name name = engine_table(engine_case.table);
  struct sql_client *client = engine_client();
  struct record record;
  evd_error error;
  assert_int_equal(record_read(client, &name, &record, &error), EVD_OK);
  sql_client_close(client);
  assert_int_equal(record.count, (size_t)SCHEMA_VERSION + 1);
  assert_true(record.migrations[0].known && record.migrations[0].applied);
  const struct migration *newer = &record.migrations[SCHEMA_VERSION];
  assert_false(newer->known);
  assert_int_equal(newer->number, 7);
  assert_string_equal(newer->version, "9.9");
  assert_int_equal(up(), 0);
}

/* PostgreSQL's indexes beside writers. */

static void indexes_are_built_concurrently_on_request(void **state) {
  evd_execution rows[3];
  framework_table_make(engine_case.table, EVD_COLUMN_COUNT);
  fill(rows, 3);
  struct migrate_options options = {.schema = {.concurrently = true}};
  engine_up(options);
  assert_int_equal(engine_up(options), 0);
  if (!engine_is("mysql")) {
    assert_int_equal(count_own_indexes(engine_case.table), PARTIAL_INDEXES);
  }
  expect_filled(rows, 3);
}

/* What a build that was broken off leaves. */
static void an_invalid_index_is_built_anew(void **state) {
  up();
  evd_execution rows[3];
  fill(rows, 3);
  struct sql_client *client = engine_client();
  evd_error error;
  expect(sql_client_execute(client, text("drop index %s_ready", engine_case.table), &error) ==
             EVD_OK,
         "%s", error.message);
  assert_int_equal(
      sql_client_execute(client,
                         text("create unique index concurrently %s_ready on %s (is_finished)",
                              engine_case.table, engine_case.table),
                         &error),
      EVD_EDUPLICATE);
  sql_client_close(client);
  assert_int_equal(count_own_indexes(engine_case.table), own_index_count() - 1);
  assert_int_equal(engine_up((struct migrate_options){.schema = {.concurrently = true}}), 2);
  assert_int_equal(count_own_indexes(engine_case.table), own_index_count());
  expect_filled(rows, 3);
}

int main(int argc, char **argv) {
  static const struct engine_test tests[] = {
      engine_test(a_new_database_gets_the_table_its_indexes_and_a_record),
      engine_test(a_second_time_there_is_nothing_to_do),
      engine_test(a_table_in_the_frameworks_shape_is_made_on_request),
      engine_test(our_own_table_does_not_become_one_of_the_framework),
      engine_test(a_table_that_a_storage_created_is_only_recorded),
      engine_test(of_five_processes_at_once_one_does_it),
      engine_test(storages_that_open_at_once_migrate_once),
      engine_test_only(a_database_without_a_name_is_created, "sqlite"),
      engine_test(a_starter_that_dies_half_way_leaves_work_that_can_be_done),
      engine_test(an_adoption_that_dies_half_way_can_be_done_again),
      engine_test(a_table_of_the_framework_is_adopted_and_loses_nothing),
      engine_test(a_missing_column_is_added_with_its_default),
      engine_test(columns_are_added_with_their_constraints),
      engine_test(a_missing_column_that_rows_need_is_refused_by_name),
      engine_test(an_index_that_was_dropped_comes_back),
      engine_test(a_failure_names_its_step_and_what_stays),
      engine_test(another_migration_is_waited_for_only_so_long),
      engine_test(what_has_nothing_to_do_waits_for_nobody),
      engine_test(hostile_names_of_tables_are_quoted),
      engine_test(a_table_in_a_schema_is_migrated_there),
      engine_test_only(a_schema_that_is_none_of_the_file_is_refused, "sqlite"),
      engine_test(the_sql_for_other_tools_leaves_nothing_to_do),
      engine_test(a_record_of_a_newer_library_is_shown_and_left_alone),
      engine_test(indexes_are_built_concurrently_on_request),
      engine_test_only(an_invalid_index_is_built_anew, "postgres"),
  };
  if (argc == 5 && strcmp(argv[1], "starter") == 0) {
    return run_role(argv + 2);
  }
  return run_on_engines(tests, sizeof tests / sizeof tests[0]);
}
