/* Opening SQLite databases: URLs, settings, and tables that will do or will not. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ev.h>
#include <evdurable.h>

#include "engine/sqlite/open.h"
#include "migrate/client.h"
#include "model/columns.h"
#include "sql/schema.h"
#include "support/check.h"
#include "support/engine_driver.h"
#include "support/native_sql.h"
#include "support/sample.h"
#include "support/scratch.h"

enum { NOBODY = 65534 };

/* --- URLs --- */

static void urls_are_known_by_their_scheme(void **state) {
  (void)state;
  static const char *const ours[] = {"sqlite:x", "sqlite::memory:", "SQLite:x",
                                     "sqlite:",  "file:x",          "file:///tmp/x?mode=ro"};
  static const char *const others[] = {"", "sqlite", "x.db", "/tmp/x.db", "postgres://x", "FILE:x"};
  for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
    expect(sqlite_url_accepts(ours[i]), "%s is not SQLite's", ours[i]);
  }
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    expect(!sqlite_url_accepts(others[i]), "%s is SQLite's", others[i]);
  }
}

static void a_url_is_taken_apart(void **state) {
  (void)state;
  static const struct {
    const char *url;
    const char *name;
    bool is_uri, has_mode, is_private;
    const char *synchronous, *journal_mode;
    int64_t busy_timeout_ms;
  } cases[] = {
      {"sqlite:a/b%20c#d.db", "a/b%20c#d.db", false, false, false, "full", "wal", 5000},
      {"sqlite:/x.db?", "/x.db", false, false, false, "full", "wal", 5000},
      {"sqlite:///x.db", "///x.db", false, false, false, "full", "wal", 5000},
      {"sqlite::memory:", ":memory:", false, false, true, "full", "wal", 5000},
      {"sqlite:file:x", "./file:x", false, false, false, "full", "wal", 5000},
      {"sqlite:x?synchronous=NORMAL&&busy_timeout=0&journal_mode=delete", "x", false, false, false,
       "normal", "delete", 0},
      {"file:x", "file:x", true, false, false, "full", "wal", 5000},
      {"file:x?cache=private&synchronous=off&mode=ro&busy_timeout=17&vfs=unix#f?y",
       "file:x?cache=private&mode=ro&vfs=unix", true, true, false, "off", "wal", 17},
      {"file::memory:", "file::memory:", true, false, true, "full", "wal", 5000},
      {"file:", "file:", true, false, true, "full", "wal", 5000},
      {"file:?cache=private#x", "file:?cache=private", true, false, true, "full", "wal", 5000},
      {"file://localhost", "file://localhost", true, false, true, "full", "wal", 5000},
      {"file:///x", "file:///x", true, false, false, "full", "wal", 5000},
      {"file:x?mode=memory&journal_mode=MEMORY", "file:x?mode=memory", true, true, true, "full",
       "memory", 5000},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sqlite_url url;
    evd_error error = {0};
    expect(sqlite_url_parse(cases[i].url, &url, &error) == EVD_OK, "%s: %s", cases[i].url,
           error.message);
    assert_string_equal(url.name, cases[i].name);
    assert_int_equal(url.is_uri, cases[i].is_uri);
    assert_int_equal(url.has_mode, cases[i].has_mode);
    assert_int_equal(url.is_private, cases[i].is_private);
    assert_string_equal(url.synchronous, cases[i].synchronous);
    assert_string_equal(url.journal_mode, cases[i].journal_mode);
    assert_int_equal(url.busy_timeout_ms, cases[i].busy_timeout_ms);
    sqlite_url_free(&url);
  }
}

static void a_bad_url_is_refused_and_what_is_bad_is_named(void **state) {
  (void)state;
  static const struct {
    const char *url;
    const char *named;
  } cases[] = {
      {"sqlite:", "path"},
      {"sqlite:?synchronous=full", "path"},
      {"sqlite://host/x.db", "host"},
      {"sqlite:x?cache=shared", "\"cache=shared\""},
      {"sqlite:x?synchronous=full&mode=ro", "\"mode=ro\""},
      {"sqlite:x?synchronous", "\"synchronous\""},
      {"sqlite:x?synchronous=", "\"synchronous=\""},
      {"sqlite:x?synchronous=sometimes", "\"synchronous=sometimes\""},
      {"sqlite:x?journal_mode=paper", "\"journal_mode=paper\""},
      {"sqlite:x?journal_mode=off", "rolled back"},
      {"file:x?mode=memory&journal_mode=OFF", "\"journal_mode=OFF\""},
      {"sqlite:x?busy_timeout=-1", "\"busy_timeout=-1\""},
      {"sqlite:x?busy_timeout=1s", "\"busy_timeout=1s\""},
      {"sqlite:x?busy_timeout=9999999999", "\"busy_timeout=9999999999\""},
      {"file:x?busy_timeout=", "\"busy_timeout=\""},
      {"file:x?synchronous=ful", "\"synchronous=ful\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    evd_error error = driver_open_fails(cases[i].url, NULL, EVD_SCHEMA_CREATE);
    expect(error.code == EVD_EINVAL, "%s: %s", cases[i].url, error.message);
    assert_string_equal(error.field, "url");
    expect(strstr(error.message, cases[i].named) != NULL, "%s: %s", cases[i].url, error.message);
  }
}

/* --- settings --- */

static atomic_bool not_aborting;

/* The answer of a pragma on a connection opened with this URL. */
static const char *pragma(const char *url, const char *name) {
  struct connection connection = {
      .aborting = &not_aborting, .schema = EVD_SCHEMA_CREATE, .table = {.name = "task_executions"}};
  evd_error error = {0};
  expect(sqlite_url_parse(url, &connection.url, &error) == EVD_OK, "%s", error.message);
  expect(sqlite_connection_open(&connection, &error) == EVD_OK, "%s", error.message);

  sqlite3_stmt *statement;
  sqlite3_prepare_v2(connection.db, text("pragma %s", name), -1, &statement, NULL);
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  const char *answer = text("%s", (const char *)sqlite3_column_text(statement, 0));
  sqlite3_finalize(statement);
  sqlite_connection_close(&connection);
  sqlite_url_free(&connection.url);
  return answer;
}

static void a_database_is_durable_unless_it_is_asked_not_to_be(void **state) {
  (void)state;
  const char *url = text("sqlite:%s", scratch_new());
  const char *other = text("sqlite:%s?synchronous=full&journal_mode=delete", scratch_new());
  assert_string_equal(pragma(url, "journal_mode"), "wal");
  assert_string_equal(pragma(url, "synchronous"), "3"); /* extra */
  assert_string_equal(pragma(other, "synchronous"), "3");
}

static void parameters_reach_the_database(void **state) {
  (void)state;
  const char *path = scratch_new();
  assert_string_equal(pragma(text("sqlite:%s?synchronous=normal", path), "synchronous"), "1");
  assert_string_equal(pragma(text("sqlite:%s?synchronous=extra", path), "synchronous"), "3");
  assert_string_equal(pragma(text("file:%s?synchronous=off", path), "synchronous"), "0");
  const char *other = scratch_new();
  assert_string_equal(pragma(text("sqlite:%s?journal_mode=delete", other), "journal_mode"),
                      "delete");
  assert_string_equal(pragma(text("sqlite:%s?journal_mode=truncate", other), "journal_mode"),
                      "truncate");
}

static void a_database_in_memory_journals_in_memory(void **state) {
  (void)state;
  assert_string_equal(pragma("sqlite::memory:", "journal_mode"), "memory");
}

/* --- files --- */

static void a_missing_file_is_not_made_by_a_check(void **state) {
  (void)state;
  const char *path = scratch_new();
  const char *urls[] = {text("sqlite:%s", path), text("file:%s", path)};
  for (size_t i = 0; i < 2; i++) {
    evd_error error = driver_open_fails(urls[i], NULL, EVD_SCHEMA_CHECK);
    assert_int_equal(error.code, EVD_ESCHEMA);
    assert_non_null(strstr(error.message, path));
    assert_non_null(strstr(error.message, "EVD_SCHEMA_CREATE"));
    assert_int_equal(access(path, F_OK), -1);
  }
}

static void a_missing_directory_is_unavailable(void **state) {
  (void)state;
  const char *path = scratch_path("no/such/x.db");
  for (int schema = EVD_SCHEMA_CHECK; schema <= EVD_SCHEMA_SKIP; schema++) {
    evd_error error = driver_open_fails(text("sqlite:%s", path), NULL, (evd_schema_mode)schema);
    assert_int_equal(error.code, EVD_EUNAVAILABLE);
    assert_non_null(strstr(error.message, path));
    assert_non_null(strstr(error.message, "No such file or directory"));
    assert_string_equal(error.native, "SQLITE_CANTOPEN");
    assert_true(error.retryable);
  }
}

static void a_file_that_is_no_database_is_refused_and_stays_as_it_is(void **state) {
  (void)state;
  const char *path = scratch_new();
  FILE *file = fopen(path, "w");
  for (int i = 0; i < 1000; i++) {
    (void)fprintf(file, "This is no database. ");
  }
  assert_int_equal(fclose(file), 0);

  evd_error error = driver_open_fails(text("sqlite:%s", path), NULL, EVD_SCHEMA_CREATE);
  assert_int_equal(error.code, EVD_EDATABASE);
  assert_string_equal(error.field, "url");
  assert_string_equal(error.native, "SQLITE_NOTADB");
  assert_non_null(strstr(error.message, path));
  assert_false(error.retryable);
  struct stat after;
  assert_int_equal(stat(path, &after), 0);
  assert_int_equal(after.st_size, 21000);
}

/* What opening says for the engine; the migrations' client must say the same. */
static evd_error both_say(const char *url, bool create) {
  struct driver driver;
  driver_open(&driver, url, NULL, create ? EVD_SCHEMA_CREATE : EVD_SCHEMA_CHECK);
  evd_error error = {0};
  struct sql_client *client = sql_client_open(url, create, &error);
  assert_null(client);
  assert_int_equal(error.code, driver.open_error.code);
  assert_string_equal(error.field, driver.open_error.field);
  assert_string_equal(error.native, driver.open_error.native);
  assert_string_equal(error.message, driver.open_error.message);
  return error;
}

static void migrations_say_what_the_engine_says(void **state) {
  (void)state;
  const char *file = scratch_new();
  const char *garbage = scratch_path("garbage.db");
  FILE *stream = fopen(garbage, "w");
  for (int i = 0; i < 1000; i++) {
    (void)fprintf(stream, "This is no database. ");
  }
  assert_int_equal(fclose(stream), 0);

  const struct {
    const char *url;
    bool create;
    evd_code code;
    const char *named;
  } cases[] = {
      {text("sqlite:%s", file), false, EVD_ESCHEMA, "evdurable migrate up"},
      {text("file:%s", file), false, EVD_ESCHEMA, "evdurable migrate up"},
      {text("sqlite:%s/x.db", file), false, EVD_EUNAVAILABLE, "No such file or directory"},
      {text("sqlite:%s/x.db", file), true, EVD_EUNAVAILABLE, "No such file or directory"},
      {text("sqlite:%s/x.db", garbage), true, EVD_EUNAVAILABLE, "Not a directory"},
      {text("sqlite:%s", garbage), false, EVD_EDATABASE, "file is not a database"},
      {text("sqlite:%s", garbage), true, EVD_EDATABASE, "file is not a database"},
      {text("file:%s?mode=ro", garbage), false, EVD_EDATABASE, "file is not a database"},
      {"sqlite:/", true, EVD_EUNAVAILABLE, "unable to open"},
      {text("file:%s?mode=bad", file), true, EVD_EINVAL, "bad"},
      {text("file:%s?vfs=nope", file), false, EVD_EINVAL, "nope"},
      {"file://host/x.db", false, EVD_EINVAL, "host"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    evd_error error = both_say(cases[i].url, cases[i].create);
    expect(error.code == cases[i].code, "%s: %s", cases[i].url, error.message);
    assert_string_equal(error.field, "url");
    expect(strstr(error.message, cases[i].named) != NULL, "%s", error.message);
    assert_null(strstr(error.message, "pragma"));
  }
  assert_int_equal(access(file, F_OK), -1);
}

static void a_locked_file_is_waited_for_as_long_as_the_url_says(void **state) {
  (void)state;
  const char *url = text("sqlite:%s", scratch_new());
  struct native *native = native_open(url);
  native_run(native, "create table t (a); begin exclusive;");
  double start = ev_time();
  evd_error error = both_say(text("%s?busy_timeout=200", url), false);
  double spent = ev_time() - start;
  expect(spent >= 0.4, "it took %g s", spent);
  assert_int_equal(error.code, EVD_EUNAVAILABLE);
  assert_string_equal(error.native, "SQLITE_BUSY");
  native_close(native);
}

/* Begins and ends to be a user to whom permissions mean something; whoever is none but root. */
static void shed_root(void) {
  if (getuid() == 0) {
    assert_int_equal(chmod(scratch_path("."), 0755), 0);
    assert_int_equal(seteuid(NOBODY), 0);
  }
}

static void regain_root(void) {
  if (getuid() == 0) {
    assert_int_equal(seteuid(0), 0);
  }
}

static void a_directory_that_may_not_be_written_is_told(void **state) {
  (void)state;
  const char *directory = scratch_path("shut");
  assert_int_equal(mkdir(directory, 0555), 0);
  shed_root();
  evd_error error = both_say(text("sqlite:%s/x.db", directory), true);
  regain_root();
  assert_int_equal(rmdir(directory), 0);
  assert_int_equal(error.code, EVD_EDATABASE);
  assert_false(error.retryable);
  assert_string_equal(error.native, "SQLITE_READONLY_DIRECTORY");
  assert_non_null(strstr(error.message, "directory may not be written (Permission denied)"));
}

static void a_database_in_such_a_directory_is_read_as_the_message_advises(void **state) {
  (void)state;
  const char *directory = scratch_path("shut");
  const char *file = text("%s/x.db", directory);
  assert_int_equal(mkdir(directory, 0755), 0);
  native_run_once(text("sqlite:%s", file), "pragma journal_mode = wal; create table t (a);");
  assert_int_equal(chmod(file, 0444), 0);
  assert_int_equal(chmod(directory, 0555), 0);
  evd_error errors[2];
  shed_root();
  errors[0] = driver_open_fails(text("sqlite:%s", file), NULL, EVD_SCHEMA_CHECK);
  errors[1] = both_say(text("file:%s?mode=ro", file), false);
  evd_error error = {0};
  struct sql_client *client = sql_client_open(text("file:%s?immutable=1", file), false, &error);
  regain_root();
  expect(client != NULL, "%s", error.message);
  sql_client_close(client);
  assert_int_equal(chmod(directory, 0755), 0);
  assert_int_equal(unlink(file), 0);
  assert_int_equal(rmdir(directory), 0);
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(errors[i].code, EVD_EDATABASE);
    assert_false(errors[i].retryable);
    assert_non_null(strstr(errors[i].message, "immutable=1"));
  }
}

static void a_directory_is_unavailable(void **state) {
  (void)state;
  evd_error error = driver_open_fails("sqlite:/", NULL, EVD_SCHEMA_CREATE);
  assert_int_equal(error.code, EVD_EUNAVAILABLE);
}

/* --- tables --- */

/* A URL of a new database in which this SQL was run. */
static const char *made_by(const char *sql) {
  const char *url = text("sqlite:%s", scratch_new());
  native_run_once(url, sql);
  return url;
}

/* The schema of a table "task_executions", with one text in it replaced by another. */
static const char *schema_but(bool framework_shape, const char *what, const char *by) {
  evd_schema_options options = {.framework_shape = framework_shape};
  char *sql = evd_schema_sql("sqlite", &options, NULL);
  assert_non_null(sql);
  const char *found = strstr(sql, what);
  expect(found != NULL, "no \"%s\" in the schema", what);
  const char *changed = text("%.*s%s%s", (int)(found - sql), sql, by, found + strlen(what));
  free(sql);
  return changed;
}

static void a_missing_table_is_named(void **state) {
  (void)state;
  const char *url = made_by("create table other (a);");
  evd_error error = driver_open_fails(url, "tasks", EVD_SCHEMA_CHECK);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_non_null(strstr(error.message, "tasks"));
  assert_non_null(strstr(error.message, "EVD_SCHEMA_CREATE"));
  assert_non_null(strstr(error.message, "evdurable migrate up"));

  error = driver_open_fails("sqlite::memory:", NULL, EVD_SCHEMA_CHECK);
  assert_int_equal(error.code, EVD_ESCHEMA);
}

static void every_missing_column_is_named(void **state) {
  (void)state;
  const char *sql = schema_but(true, "  closed_at integer,\n", "");
  for (int schema = EVD_SCHEMA_CHECK; schema <= EVD_SCHEMA_CREATE; schema++) {
    evd_error error = driver_open_fails(made_by(sql), NULL, (evd_schema_mode)schema);
    assert_int_equal(error.code, EVD_ESCHEMA);
    assert_string_equal(error.field, "closed_at");
    assert_non_null(strstr(error.message, "closed_at"));
    assert_non_null(strstr(error.message, "evdurable migrate up"));
  }
}

static void a_table_that_cannot_be_claimed_from_is_refused(void **state) {
  (void)state;
  const char *without_rowid = schema_but(false, ") strict;", ") without rowid;");
  const char *view = text("%s\nalter table task_executions rename to t;"
                          "create view task_executions as select * from t;",
                          schema_but(false, "", ""));
  const char *not_unique = schema_but(true,
                                      "create unique index if not exists "
                                      "\"ix_task_executions_execution_id\"",
                                      "create index if not exists \"x\"");
  const char *foreign = schema_but(false, "  task_id text not null,",
                                   "  task_id text not null,\n  tenant text not null,");
  assert_non_null(
      strstr(driver_open_fails(made_by(without_rowid), NULL, EVD_SCHEMA_CHECK).message, "ROWID"));
  assert_non_null(strstr(driver_open_fails(made_by(view), NULL, EVD_SCHEMA_CHECK).message, "view"));
  evd_error error = driver_open_fails(made_by(not_unique), NULL, EVD_SCHEMA_CHECK);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_string_equal(error.field, "execution_id");
  error = driver_open_fails(made_by(foreign), NULL, EVD_SCHEMA_CHECK);
  assert_int_equal(error.code, EVD_ESCHEMA);
  assert_string_equal(error.field, "tenant");
}

static void a_database_that_cannot_be_written_is_refused(void **state) {
  (void)state;
  const char *url = made_by("create table other (a);");
  evd_error error =
      driver_open_fails(text("file:%s?mode=ro", url + strlen("sqlite:")), NULL, EVD_SCHEMA_CREATE);
  assert_int_equal(error.code, EVD_EDATABASE);
  assert_string_equal(error.native, "SQLITE_READONLY");
  assert_false(error.retryable);
}

static void a_file_that_may_not_be_written_is_refused_unless_it_shall_only_be_read(void **state) {
  (void)state;
  const char *path = scratch_new();
  struct driver driver;
  driver_open_new(&driver, text("sqlite:%s?journal_mode=delete", path));
  evd_execution execution = sample_execution("id");
  driver_insert(&driver, &execution, 1);
  driver_close(&driver);
  assert_int_equal(chmod(path, 0444), 0);
  const char *refused[] = {text("sqlite:%s", path), text("file:%s", path),
                           text("file:%s?mode=rw", path), text("file:%s?immutable=0", path)};
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    shed_root();
    driver_open(&driver, refused[i], NULL, EVD_SCHEMA_CHECK);
    regain_root();
    assert_int_equal(driver.open_error.code, EVD_EDATABASE);
    assert_string_equal(driver.open_error.field, "url");
    assert_string_equal(driver.open_error.native, "SQLITE_READONLY");
    assert_non_null(strstr(driver.open_error.message, "may not be written"));
  }
  const char *read_only[] = {text("file:%s?mode=ro", path), text("file:%s?immutable=1", path)};
  for (size_t i = 0; i < sizeof read_only / sizeof read_only[0]; i++) {
    shed_root();
    driver_open(&driver, read_only[i], NULL, EVD_SCHEMA_CHECK);
    regain_root();
    expect(driver.open_error.code == EVD_OK, "%s", driver.open_error.message);
    assert_non_null(driver_get(&driver, "id"));
    driver_close(&driver);
  }
}

static void duplicates_that_keep_an_index_from_being_made_are_told(void **state) {
  (void)state;
  const char *url = text("sqlite:%s", scratch_new());
  struct driver driver;
  driver_open_new(&driver, url);
  evd_execution executions[2] = {sample_sleeping("a", "x"), sample_sleeping("b", "y")};
  driver_insert(&driver, executions, 2);
  driver_close(&driver);
  native_run_once(url, "drop index task_executions_sleeping_task_unique_id;"
                       "update task_executions set sleeping_task_unique_id = 'x';");
  evd_error error = driver_open_fails(url, NULL, EVD_SCHEMA_CREATE);
  assert_int_equal(error.code, EVD_EDUPLICATE);
  assert_string_equal(error.field, "sleeping_task_unique_id");
  assert_false(error.retryable);
}

/* Opens, inserts a row in which every column has a value, reads it, closes. */
static void check_round_trip(const char *url, const char *table, evd_schema_mode schema) {
  struct driver driver;
  driver_open(&driver, url, table, schema);
  expect(driver.open_error.code == EVD_OK, "%s", driver.open_error.message);
  evd_execution full = sample_full("full");
  driver_insert(&driver, &full, 1);
  const evd_execution *row = driver_get(&driver, "full");
  assert_non_null(row);
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    struct value expected = column_get(&full, (evd_column)column);
    struct value actual = column_get(row, (evd_column)column);
    assert_int_equal(actual.kind, expected.kind);
    expect(expected.kind == VALUE_TEXT ? strcmp(actual.text, expected.text) == 0
                                       : actual.integer == expected.integer,
           "%s differs", columns[column].name);
  }
  struct request all = {.operation = EVD_OPERATION_DELETE_ALL};
  driver_run_ok(&driver, &all, 1);
  assert_int_equal(all.count, 1);
  driver_close(&driver);
}

static void a_unique_id_that_the_database_does_not_keep_unique_is_refused(void **state) {
  (void)state;
  static const char *const good[] = {
      "create unique index u on task_executions (sleeping_task_unique_id)",
      "CREATE UNIQUE INDEX u ON task_executions ([sleeping_task_unique_id])\n"
      "  WHERE (\"sleeping_task_unique_id\" IS NOT NULL)",
      "create unique index u on task_executions (sleeping_task_unique_id) "
      "where sleeping_task_unique_id notnull",
  };
  static const char *const bad[] = {
      "",
      "create index u on task_executions (sleeping_task_unique_id)",
      "create unique index u on task_executions (sleeping_task_unique_id, task_id)",
      "create unique index u on task_executions (sleeping_task_unique_id, lower(task_id))",
      "create unique index u on task_executions (sleeping_task_unique_id) "
      "where status = 'running'",
      "create unique index u on task_executions (sleeping_task_unique_id) "
      "where status = 'running' and sleeping_task_unique_id is not null",
  };
  for (int framework = 0; framework < 2; framework++) {
    const char *sql = text("%s drop index %stask_executions_sleeping_task_unique_id;",
                           schema_but(framework, "", ""), framework ? "ix_" : "");
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
      check_round_trip(made_by(text("%s%s;", sql, good[i])), NULL, EVD_SCHEMA_CHECK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
      const char *url = made_by(text("%s%s;", sql, bad[i]));
      evd_error error = driver_open_fails(url, NULL, EVD_SCHEMA_CHECK);
      assert_int_equal(error.code, EVD_ESCHEMA);
      assert_string_equal(error.field, "sleeping_task_unique_id");
      assert_non_null(strstr(error.message, "evdurable migrate up"));
      check_round_trip(url, NULL, EVD_SCHEMA_CREATE);
    }
  }
}

static void a_table_in_another_schema_is_refused(void **state) {
  (void)state;
  evd_error error = driver_open_fails("sqlite::memory:", "app.tasks", EVD_SCHEMA_CREATE);
  assert_int_equal(error.code, EVD_EINVAL);
  assert_string_equal(error.field, "table");
  error = driver_open_fails("sqlite::memory:", "a;b", EVD_SCHEMA_CREATE);
  assert_int_equal(error.code, EVD_EINVAL);
  assert_string_equal(error.field, "table");
}

static void a_table_is_created_once_and_checked_from_then_on(void **state) {
  (void)state;
  const char *url = text("sqlite:%s", scratch_new());
  check_round_trip(url, "main.tasks", EVD_SCHEMA_CREATE);
  check_round_trip(url, "tasks", EVD_SCHEMA_CREATE);
  check_round_trip(url, "tasks", EVD_SCHEMA_CHECK);
  check_round_trip(url, "TASKS", EVD_SCHEMA_CHECK);
  check_round_trip(url, "tasks", EVD_SCHEMA_SKIP);
  check_round_trip(url, "task_executions_with_a_name_of_48_bytes_in_it_48", EVD_SCHEMA_CREATE);
  struct native *native = native_open(url);
  size_t indexes;
  schema_indexes(false, &indexes);
  assert_int_equal(native_number(native, "select count(*) from sqlite_schema where tbl_name = "
                                         "'tasks' and type = 'index' and sql is not null;"),
                   indexes);
  native_close(native);
}

static void the_frameworks_table_will_do(void **state) {
  (void)state;
  const char *url = made_by(schema_but(true, "", ""));
  check_round_trip(url, NULL, EVD_SCHEMA_CHECK);
  check_round_trip(url, NULL, EVD_SCHEMA_CREATE);
  struct native *native = native_open(url);
  size_t indexes;
  schema_indexes(true, &indexes);
  assert_int_equal(
      native_number(native, "select count(*) from sqlite_schema where type = 'index';"), indexes);
  native_close(native);
}

static void missing_indexes_are_created_where_tables_are(void **state) {
  (void)state;
  const char *url =
      made_by(text("%s drop index ix_task_executions_execution_id;", schema_but(true, "", "")));
  assert_int_equal(driver_open_fails(url, NULL, EVD_SCHEMA_CHECK).code, EVD_ESCHEMA);
  check_round_trip(url, NULL, EVD_SCHEMA_CREATE);
  check_round_trip(url, NULL, EVD_SCHEMA_CHECK);
}

static void a_database_in_memory_does_as_well(void **state) {
  (void)state;
  check_round_trip("sqlite::memory:", NULL, EVD_SCHEMA_CREATE);
  check_round_trip("file:x?mode=memory", NULL, EVD_SCHEMA_CREATE);
  check_round_trip("file:", NULL, EVD_SCHEMA_CREATE);
}

static int teardown(void **state) {
  (void)state;
  release_kept();
  return 0;
}

#define test(name) cmocka_unit_test_teardown(name, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(urls_are_known_by_their_scheme),
      test(a_url_is_taken_apart),
      test(a_bad_url_is_refused_and_what_is_bad_is_named),
      test(a_database_is_durable_unless_it_is_asked_not_to_be),
      test(parameters_reach_the_database),
      test(a_database_in_memory_journals_in_memory),
      test(a_missing_file_is_not_made_by_a_check),
      test(a_missing_directory_is_unavailable),
      test(a_file_that_is_no_database_is_refused_and_stays_as_it_is),
      test(a_database_that_cannot_be_written_is_refused),
      test(a_file_that_may_not_be_written_is_refused_unless_it_shall_only_be_read),
      test(duplicates_that_keep_an_index_from_being_made_are_told),
      test(migrations_say_what_the_engine_says),
      test(a_locked_file_is_waited_for_as_long_as_the_url_says),
      test(a_directory_that_may_not_be_written_is_told),
      test(a_database_in_such_a_directory_is_read_as_the_message_advises),
      test(a_directory_is_unavailable),
      test(a_missing_table_is_named),
      test(every_missing_column_is_named),
      test(a_table_that_cannot_be_claimed_from_is_refused),
      test(a_unique_id_that_the_database_does_not_keep_unique_is_refused),
      test(a_table_in_another_schema_is_refused),
      test(a_table_is_created_once_and_checked_from_then_on),
      test(the_frameworks_table_will_do),
      test(missing_indexes_are_created_where_tables_are),
      test(a_database_in_memory_does_as_well),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
