/*
 * Rows that a PostgreSQL server cannot send, and ids and texts that it cannot take: those outside
 * its character set, and broken ones in a database without any. None of them stands in the way of
 * others.
 */
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "support/await.h"
#include "support/check.h"
#include "support/native_sql.h"
#include "support/postgres_server.h"
#include "support/sample.h"
#include "support/watchdog.h"

static struct {
  struct ev_loop *loop;
  const char *url;
  struct native *native;
  evd_storage *storage;
} test;

/* Opens a storage on a new database with this encoding. */
static void begin(const char *encoding) {
  const char *url = postgres_database();
  const char *name = strrchr(url, '/') + 1;
  test.loop = ev_loop_new(EVFLAG_AUTO);
  const char *server = getenv("EVD_TEST_POSTGRES_URL");
  native_run_once(server, text("drop database %s", name));
  native_run_once(server, text("create database %s encoding '%s' locale 'C' template template0",
                               name, encoding));
  test.url = url;
  test.storage = await_storage(evd_storage_open(
      test.loop, url, &(evd_options){.schema = EVD_SCHEMA_CREATE, .test_mode = true}));
  test.native = native_open(url);
  watchdog(600);
}

static void end(void) {
  watchdog(0);
  await_ok(evd_storage_close(test.storage, -1));
  native_close(test.native);
  ev_loop_destroy(test.loop);
  postgres_drop_databases();
  release_kept();
}

static void insert(const char *id, int64_t later) {
  evd_execution row = sample_execution(id);
  row.start_at += later;
  await_ok(evd_insert(test.storage, &row, 1));
}

static evd_future *claim(int64_t limit) {
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&changes, executor_id, "e");
  return evd_claim_by_start_at(test.storage, sample_due(SAMPLE_TIME * 2), &changes, limit);
}

/* Until no row is claimed but this one. */
static void await_given_back(const char *but) {
  const char *query = text("select count(*) from task_executions where status = 'running' and "
                           "execution_id <> '%s'",
                           but);
  while (native_number(test.native, query) > 0) {
    ev_run(test.loop, EVRUN_NOWAIT);
    ev_sleep(0.001);
  }
}

/* In a database without a character set anything can be in a text; it cannot be sent as UTF-8. */
static void rows_that_cannot_be_sent_are_given_back_and_the_others_claimed(void **state) {
  (void)state;
  needs_postgres();
  enum { BAD = 60 };
  begin("SQL_ASCII");
  for (int i = 0; i <= BAD; i++) {
    insert(text("te_%02d", i), i);
  }
  native_run(test.native, text("set client_encoding = 'SQL_ASCII'; update task_executions set "
                               "task_id = E'broken \\xff' where execution_id <> 'te_%02d'",
                               BAD));
  size_t count;
  const evd_execution *rows = await_rows(claim(10), &count);
  assert_int_equal(count, 1);
  assert_string_equal(rows[0].execution_id, text("te_%02d", BAD));
  await_given_back(rows[0].execution_id);
  assert_int_equal(
      native_number(test.native, text("select count(*) from task_executions where status = 'ready' "
                                      "and start_at = %lld and executor_id is null",
                                      (long long)SAMPLE_TIME * 2 + 60000)),
      BAD);
  evd_stats stats;
  evd_storage_stats(test.storage, &stats);
  assert_int_equal(stats.rows_unreadable, BAD);
  evd_future *gets[] = {evd_get(test.storage, "te_00", NULL),
                        evd_get(test.storage, rows[0].execution_id, NULL)};
  evd_error error = await_error(gets[0], EVD_EDATABASE);
  assert_non_null(strstr(error.message, "te_00"));
  assert_non_null(await_row(gets[1]));
  end();
}

/* A claim that fails for another reason than a row is not repeated for ever. */
static void a_claim_whose_changes_cannot_be_taken_fails(void **state) {
  (void)state;
  needs_postgres();
  begin("LATIN1");
  insert("te_1", 0);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&changes, executor_id, "é\u4e2d");
  evd_error error = await_error(
      evd_claim_by_start_at(test.storage, sample_due(SAMPLE_TIME * 2), &changes, 100), EVD_EINVAL);
  assert_string_equal(error.field, "executor_id");
  assert_int_equal(native_number(test.native, "select count(*) from task_executions where status = "
                                              "'ready'"),
                   1);
  end();
}

/* No row can have an id that the character set does not have. */
static void ids_outside_the_character_set_match_nothing(void **state) {
  (void)state;
  needs_postgres();
  static const char *const foreign = "te_\u4e2d";
  begin("LATIN1");
  insert("te_\u00e9", 0);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_execution child = sample_child("te_child", "te_\u00e9", 0);
  evd_future *got = evd_get(test.storage, foreign, NULL);
  evd_future *there = evd_get(test.storage, "te_\u00e9", NULL);
  evd_future *sleeping = evd_get_by_sleeping_task_unique_id(test.storage, foreign);
  evd_future *children = evd_get_by_parent(test.storage, foreign);
  evd_future *updates[] = {
      evd_update(test.storage, foreign, NULL, &changes),
      evd_update(test.storage, "te_\u00e9", NULL, &changes),
      evd_update_and_insert_children(test.storage, foreign, NULL, &changes, &child, 1)};
  size_t count;
  assert_null(await_row(got));
  assert_non_null(await_row(there));
  assert_null(await_row(sleeping));
  await_rows(children, &count);
  assert_int_equal(count, 0);
  assert_false(await_matched(updates[0]));
  assert_true(await_matched(updates[1]));
  assert_false(await_matched(updates[2]));
  assert_int_equal(await_count(evd_update_by_parent(test.storage, foreign, false, &changes)), 0);
  await_rows(evd_claim_by_cancellation(test.storage, foreign, true, &changes, 10), &count);
  assert_int_equal(count, 0);
  await_ok(evd_delete(test.storage, foreign));
  end();
}

static void texts_outside_the_character_set_are_refused_with_their_column(void **state) {
  (void)state;
  needs_postgres();
  begin("LATIN1");
  evd_execution rows[] = {sample_execution("te_1"), sample_execution("te_2")};
  rows[0].task_id = "\u4e2d";
  evd_future *inserts[] = {evd_insert(test.storage, &rows[0], 1),
                           evd_insert(test.storage, &rows[1], 1)};
  evd_error error = await_error(inserts[0], EVD_EINVAL);
  assert_string_equal(error.field, "task_id");
  await_ok(inserts[1]);
  rows[0] = sample_execution("te_\u4e2d");
  error = await_error(evd_insert(test.storage, &rows[0], 1), EVD_EINVAL);
  assert_string_equal(error.field, "execution_id");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&changes, executor_id, "\u4e2d");
  error = await_error(evd_update(test.storage, "te_2", NULL, &changes), EVD_EINVAL);
  assert_string_equal(error.field, "executor_id");
  rows[0] = sample_execution("te_3");
  rows[0].input = "\"\u4e2d\"";
  error = await_error(evd_insert(test.storage, &rows[0], 1), EVD_EINVAL);
  assert_string_equal(error.field, "input");
  end();
}

/* An escape stands for a character, which a database without a character set does not have. */
static void escapes_in_a_database_without_a_character_set_are_refused_with_their_column(
    void **state) {
  (void)state;
  needs_postgres();
  begin("SQL_ASCII");
  evd_execution rows[] = {sample_execution("te_1"), sample_execution("te_2")};
  rows[0].input = "\"\\u00e9\"";
  rows[1].input = "\"\u00e9\"";
  evd_future *inserts[] = {evd_insert(test.storage, &rows[0], 1),
                           evd_insert(test.storage, &rows[1], 1)};
  evd_error error = await_error(inserts[0], EVD_EINVAL);
  assert_string_equal(error.field, "input");
  await_ok(inserts[1]);
  expect_row(await_row(evd_get(test.storage, "te_2", NULL)), &rows[1]);
  evd_changes changes = sample_changes(0);
  evd_set(&changes, output, "\"\\u00e9\"");
  error = await_error(evd_update(test.storage, "te_2", NULL, &changes), EVD_EINVAL);
  assert_string_equal(error.field, "output");
  end();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_that_cannot_be_sent_are_given_back_and_the_others_claimed),
      cmocka_unit_test(a_claim_whose_changes_cannot_be_taken_fails),
      cmocka_unit_test(ids_outside_the_character_set_match_nothing),
      cmocka_unit_test(texts_outside_the_character_set_are_refused_with_their_column),
      cmocka_unit_test(escapes_in_a_database_without_a_character_set_are_refused_with_their_column),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
