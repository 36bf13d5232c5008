/* Users who may do with the table what the operations do, and no more; and what is said when they
 * may not do that. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "migrate/findings.h"
#include "migrate/migrate.h"
#include "migrate/privileges.h"
#include "suite/framework_table.h"
#include "suite/suite.h"
#include "support/await.h"
#include "support/engines.h"
#include "support/native_sql.h"
#include "support/sample.h"

static const char *user(void) {
  return text("evd_least_%d", (int)getpid());
}

/* The user as "grant" has it. */
static const char *grantee(void) {
  return engine_is("mysql") ? text("'%s'@'%%'", user()) : user();
}

static void run_as_owner(const char *sql) {
  native_run_once(engine_case.url, sql);
}

/* PostgreSQL keeps a user to whom something is granted. */
static void drop_user(void) {
  run_as_owner(text("drop table if exists %s; drop table if exists %s_migrations;",
                    engine_case.table, engine_case.table));
  run_as_owner(engine_is("mysql") ? text("drop user if exists %s;", grantee())
                                  : text("drop role if exists %s;", user()));
}

/* The URL of a new user who may do nothing yet. */
static const char *new_user(void) {
  const char *begin = strstr(engine_case.url, "://") + 3;
  const char *host = strchr(begin, '@') + 1;
  drop_user();
  if (engine_is("mysql")) {
    run_as_owner(text("create user %s identified by 'least';", grantee()));
  } else {
    run_as_owner(text("create role %s login password 'least';", user()));
  }
  return text("%.*s%s:least@%s", (int)(begin - engine_case.url), engine_case.url, user(), host);
}

static void give(const char *privileges) {
  run_as_owner(text("grant %s on %s to %s;", privileges, engine_case.table, grantee()));
}

static void take_back(const char *privileges) {
  run_as_owner(text("revoke %s on %s from %s;", privileges, engine_case.table, grantee()));
}

static evd_storage *open_as(const char *url, evd_schema_mode schema) {
  evd_options options = {.table = engine_case.table, .schema = schema};
  return await_storage(evd_storage_open(suite.loop, url, &options));
}

/* What a storage's life takes: an insert, a claim, an update. */
static void work_as(const char *url, evd_schema_mode schema) {
  static int number;
  evd_storage *storage = open_as(url, schema);
  evd_execution row = sample_execution(text("te_%d", ++number));
  await_ok(evd_insert(storage, &row, 1));
  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  assert_true(await_matched(evd_update(storage, row.execution_id, NULL, &changes)));
  engine_close(storage);
}

static evd_error migrate_as(const char *url, struct migrate_result *result) {
  struct table_name name = engine_table(engine_case.table);
  struct migrate_options options = {.wait_ms = 60000};
  evd_error error = {0};
  struct sql_client *client = sql_client_open(url, false, &error);
  expect(client != NULL, "%s", error.message);
  if (migrate_up(client, &name, &options, result, &error) == EVD_OK) {
    error = (evd_error){0};
  }
  sql_client_close(client);
  return error;
}

static void expect_nothing_to_do(const char *url) {
  struct migrate_result result;
  evd_error error = migrate_as(url, &result);
  expect(error.code == EVD_OK, "%s", error.message);
  assert_int_equal(result.steps, 0);
}

static void who_may_work_with_a_table_may_open_it_in_every_mode(void **state) {
  static const evd_schema_mode modes[] = {EVD_SCHEMA_CHECK, EVD_SCHEMA_CREATE, EVD_SCHEMA_SKIP,
                                          EVD_SCHEMA_MIGRATE};
  const char *url = new_user();
  (void)engine_up((struct migrate_options){0});
  give("select, insert, update");
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    work_as(url, modes[i]);
  }
  drop_user();
}

/* Made by a program with EVD_SCHEMA_CREATE, or by another tool: there is no record of
 * migrations. */
static void a_table_without_a_record_takes_no_more(void **state) {
  const char *url = new_user();
  engine_close(engine_open(engine_case.table, EVD_SCHEMA_CREATE));
  give("select, insert, update");
  expect_nothing_to_do(url);
  work_as(url, EVD_SCHEMA_CREATE);
  work_as(url, EVD_SCHEMA_MIGRATE);
  drop_user();
}

static void a_table_of_the_framework_takes_no_more(void **state) {
  const char *url = new_user();
  framework_table_make(engine_case.table, EVD_COLUMN_COUNT);
  (void)engine_up((struct migrate_options){0});
  give("select, insert, update");
  work_as(url, EVD_SCHEMA_CHECK);
  work_as(url, EVD_SCHEMA_MIGRATE);
  drop_user();
}

static void a_record_that_may_not_be_read_says_so(void **state) {
  const char *url = new_user();
  struct table_name name = engine_table(engine_case.table);
  struct record record;
  evd_error error = {0};
  (void)engine_up((struct migrate_options){0});
  give("select, insert, update");
  struct sql_client *client = sql_client_open(url, false, &error);
  expect(client != NULL, "%s", error.message);
  evd_code code = record_read(client, &name, &record, &error);
  expect(code == EVD_OK, "%s", error.message);
  assert_false(record.migrations[0].applied);
  assert_true(record.migrations[0].unread);
  sql_client_close(client);
  expect_nothing_to_do(url);
  drop_user();
}

static void what_is_missing_still_needs_its_privilege(void **state) {
  const char *url = new_user();
  struct migrate_result result;
  (void)engine_up((struct migrate_options){0});
  run_as_owner(engine_is("mysql")
                   ? text("drop index %s_ready on %s;", engine_case.table, engine_case.table)
                   : text("drop index %s_ready;", engine_case.table));
  give("select, insert, update");
  evd_error error = migrate_as(url, &result);
  assert_int_equal(error.code, EVD_EDATABASE);
  assert_true(dialect_is_denied(dialect_by_name(engine_case.engine, &error), error.native));
  drop_user();
}

/* What is found for the user; the level of the worst is checked, too. */
static struct findings find(const char *url, enum severity worst, bool is_hidden) {
  struct table_name name = engine_table(engine_case.table);
  struct findings findings = {0};
  bool hidden;
  evd_error error = {0};
  struct sql_client *client = sql_client_open(url, false, &error);
  expect(client != NULL, "%s", error.message);
  evd_code code = privileges_find(client, &name, &findings, &hidden, &error);
  expect(code == EVD_OK, "%s", error.message);
  sql_client_close(client);
  assert_false(findings.failed);
  assert_int_equal(hidden, is_hidden);
  expect(findings_worst(&findings) == worst, "%s",
         findings.first != NULL ? findings.first->problem : "nothing was found");
  return findings;
}

static void expect_nothing_found(const char *url) {
  struct findings findings = find(url, SEVERITY_NOTE, false);
  expect(findings.first == NULL, "%s", findings.first->problem);
}

/* Does what the first finding says, whose problem begins so; this URL is the owner's. */
static void apply_fix_at(const char *owner_url, const char *url, const char *problem,
                         enum severity severity, bool is_hidden) {
  struct findings findings = find(url, severity, is_hidden);
  const struct finding *finding = findings.first;
  assert_non_null(finding);
  expect(strncmp(finding->problem, problem, strlen(problem)) == 0, "%s", finding->problem);
  native_run_once(owner_url, text("%s;", finding->fix));
  findings_free(&findings);
}

static void apply_fix(const char *url, const char *problem, enum severity severity,
                      bool is_hidden) {
  apply_fix_at(engine_case.url, url, problem, severity, is_hidden);
}

static void a_privilege_that_is_missing_is_named_with_its_grant(void **state) {
  static const char *const privileges[] = {"insert", "update", "delete"};
  const char *url = new_user();
  (void)engine_up((struct migrate_options){0});
  give("select, insert, update, delete");
  expect_nothing_found(url);
  for (size_t i = 0; i < sizeof privileges / sizeof privileges[0]; i++) {
    take_back(privileges[i]);
    bool is_note = strcmp(privileges[i], "delete") == 0;
    apply_fix(url, text("%s on ", privileges[i]), is_note ? SEVERITY_NOTE : SEVERITY_ERROR, false);
    expect_nothing_found(url);
  }
  take_back("insert, update");
  apply_fix(url, "insert, update on ", SEVERITY_ERROR, false);
  take_back("select");
  apply_fix(url, "select", SEVERITY_ERROR, engine_is("mysql"));
  expect_nothing_found(url);
  drop_user();
}

static void privileges_of_columns_count(void **state) {
  const char *url = new_user();
  (void)engine_up((struct migrate_options){0});
  give("select, insert, delete");
  give("update (status)");
  apply_fix(url, "update on ", SEVERITY_ERROR, false);
  expect_nothing_found(url);
  drop_user();
}

static void a_schema_that_may_not_be_used_is_named(void **state) {
  const char *url = new_user();
  const char *schema = text("least_%d", (int)getpid());
  const char *table = text("%s.%s", schema, engine_case.table);
  run_as_owner(text("create schema %s;", schema));
  engine_close(engine_open(table, EVD_SCHEMA_CREATE));
  const char *own_table = engine_case.table;
  const char *search_path = text("?options=-csearch_path%%3D%s", schema);
  const char *tables[] = {table, own_table};
  const char *options[] = {"", search_path};
  for (size_t i = 0; i < 2; i++) {
    engine_case.table = tables[i];
    const char *owner_url = text("%s%s", engine_case.url, options[i]);
    const char *users_url = text("%s%s", url, options[i]);
    apply_fix_at(owner_url, users_url, text("usage on schema %s", schema), SEVERITY_ERROR, true);
    apply_fix_at(owner_url, users_url, "select, insert, update on ", SEVERITY_ERROR, false);
    run_as_owner(text("revoke usage on schema %s from %s;"
                      " revoke all on all tables in schema %s from %s;",
                      schema, user(), schema, user()));
  }
  engine_case.table = own_table;
  run_as_owner(text("drop schema %s cascade;", schema));
  drop_user();
}

static void the_sequence_of_the_frameworks_key_is_named(void **state) {
  const char *url = new_user();
  framework_table_make(engine_case.table, EVD_COLUMN_COUNT); /* its key is an identity */
  run_as_owner(text("alter table %s drop column id; alter table %s add column id bigserial;",
                    engine_case.table, engine_case.table));
  give("select, insert, update, delete");
  apply_fix(url, "usage on sequence ", SEVERITY_ERROR, false);
  expect_nothing_found(url);
  drop_user();
}

static void row_level_security_is_told(void **state) {
  const char *url = new_user();
  (void)engine_up((struct migrate_options){0});
  give("select, insert, update, delete");
  run_as_owner(text("alter table %s enable row level security;", engine_case.table));
  struct findings findings = find(url, SEVERITY_WARNING, false);
  assert_string_equal(findings.first->object, "row-level security");
  findings_free(&findings);
  drop_user();
}

int main(void) {
  static const struct engine_test tests[] = {
      engine_test_only(who_may_work_with_a_table_may_open_it_in_every_mode, "postgres mysql"),
      engine_test_only(a_table_without_a_record_takes_no_more, "postgres mysql"),
      engine_test_only(a_table_of_the_framework_takes_no_more, "postgres mysql"),
      engine_test_only(a_record_that_may_not_be_read_says_so, "postgres mysql"),
      engine_test_only(what_is_missing_still_needs_its_privilege, "postgres mysql"),
      engine_test_only(a_privilege_that_is_missing_is_named_with_its_grant, "postgres mysql"),
      engine_test_only(privileges_of_columns_count, "postgres mysql"),
      engine_test_only(a_schema_that_may_not_be_used_is_named, "postgres"),
      engine_test_only(the_sequence_of_the_frameworks_key_is_named, "postgres"),
      engine_test_only(row_level_security_is_told, "postgres"),
  };
  return run_on_engines(tests, sizeof tests / sizeof tests[0]);
}
