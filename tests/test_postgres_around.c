/* What stands around a PostgreSQL server: a replica that takes the reads, a pooler, TLS. */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ev.h>

#include "support/await.h"
#include "support/check.h"
#include "support/native_sql.h"
#include "support/postgres_server.h"
#include "support/sample.h"
#include "support/watchdog.h"

static struct postgres_server primary;
static struct ev_loop *loop;

static const evd_options creating = {.schema = EVD_SCHEMA_CREATE, .test_mode = true};

/* A URL as the value of an option. */
static const char *encoded(const char *url) {
  char *result = keep_memory(3 * strlen(url) + 1);
  char *to = result;
  for (; *url != '\0'; url++) {
    if (strchr(":/?=&%@", *url) != NULL) {
      to += sprintf(to, "%%%02X", (unsigned char)*url);
    } else {
      *to++ = *url;
    }
  }
  return result;
}

static int64_t number(const char *url, const char *query) {
  struct native *native = native_open(url);
  int64_t result = native_number(native, query);
  native_close(native);
  return result;
}

/* Runs the loop until a query has this answer. */
static void wait_until(const char *url, const char *query, int64_t answer) {
  for (int i = 0; i < 500 && number(url, query) != answer; i++) {
    ev_sleep(0.02);
  }
  assert_int_equal(number(url, query), answer);
}

static void set_executor(evd_storage *storage, const char *executor) {
  evd_changes changes = sample_changes(0);
  evd_set(&changes, executor_id, executor);
  assert_true(await_matched(evd_update(storage, "te_1", NULL, &changes)));
}

static const char *read_executor(evd_storage *storage) {
  return await_row(evd_get(storage, "te_1", NULL))->executor_id;
}

/* The replay of changes is paused, so that the replica's rows can be told from the primary's. */
static void reads_go_to_the_replica_while_there_is_one(void **state) {
  needs_postgres();
  struct postgres_server standby = {0};
  postgres_server_start_standby(&standby, &primary);
  watchdog(600);
  evd_storage *storage = await_storage(
      evd_storage_open(loop, text("%s?replica=%s", primary.url, encoded(standby.url)), &creating));
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  set_executor(storage, "early");
  wait_until(standby.url, "select count(*) from pg_class where relname = 'task_executions'", 1);
  wait_until(standby.url, "select count(*) from task_executions where executor_id = 'early'", 1);
  while (strcmp(read_executor(storage), "early") != 0) {
    ;
  }
  native_run_once(standby.url, "select pg_wal_replay_pause();");
  wait_until(standby.url, "select (pg_get_wal_replay_pause_state() = 'paused')::integer", 1);
  set_executor(storage, "late");
  evd_stats stats;
  do {
    evd_storage_stats(storage, &stats);
  } while (stats.connections < 2 && await_code(evd_get(storage, "te_1", NULL)) == EVD_OK);
  assert_string_equal(read_executor(storage), "early");

  postgres_server_kill(&standby);
  assert_string_equal(read_executor(storage), "late");
  set_executor(storage, "later");
  assert_string_equal(read_executor(storage), "later");

  postgres_server_restart(&standby);
  wait_until(standby.url, "select count(*) from task_executions where executor_id = 'later'", 1);
  ev_sleep(1.2);
  do {
    assert_string_equal(read_executor(storage), "later");
    evd_storage_stats(storage, &stats);
  } while (stats.connections < 2);
  await_ok(evd_storage_close(storage, -1));
  postgres_server_end(&standby);
  watchdog(0);
}

static void a_replica_that_was_never_there_is_no_obstacle(void **state) {
  needs_postgres();
  evd_storage *storage = await_storage(evd_storage_open(
      loop, text("%s?replica=%s", primary.url, encoded("postgresql://127.0.0.1:1/evd")),
      &creating));
  assert_null(await_row(evd_get(storage, "te_1", NULL)));
  await_ok(evd_storage_close(storage, -1));
}

/* As one that has not replayed a change of a type yet: another schema of the same server stands
 * for it. Its column is text, and the primary's jsonb, to which PostgreSQL does not convert by
 * itself. */
static void writes_know_nothing_of_the_types_that_a_replica_has(void **state) {
  needs_postgres();
  watchdog(600);
  await_ok(evd_storage_close(await_storage(evd_storage_open(loop, primary.url, &creating)), -1));
  native_run_once(primary.url,
                  "create schema behind;"
                  "create table behind.task_executions (like task_executions including all);"
                  "alter table behind.task_executions alter input type text;");
  const char *replica = text("%s?options=-csearch_path%%3Dbehind", primary.url);
  evd_storage *storage = await_storage(
      evd_storage_open(loop, text("%s?replica=%s", primary.url, encoded(replica)), &creating));
  evd_execution row = sample_execution("te_1");
  row.input = "{\"n\":  1}";
  await_ok(evd_insert(storage, &row, 1));
  native_run_once(primary.url, "insert into behind.task_executions select * from task_executions;"
                               "update behind.task_executions set input = '{\"n\":  2}';");
  const char *input = "";
  while (strcmp(input, "{\"n\":  2}") != 0) {
    input = await_row(evd_get(storage, "te_1", NULL))->input;
  }
  evd_execution later = sample_execution("te_2");
  await_ok(evd_insert(storage, &later, 1));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  await_rows(evd_claim_by_start_at(storage, sample_due(SAMPLE_TIME * 2), &changes, 10), &count);
  assert_int_equal(count, 2);
  assert_string_equal(await_row(evd_get(storage, "te_1", NULL))->input, "{\"n\":  2}");
  await_ok(evd_storage_close(storage, -1));
  native_run_once(primary.url, "drop schema behind cascade;");
  watchdog(0);
}

/* The pooler. */

static struct {
  pid_t pid;
  const char *url;
} pooler;

static void needs_pooler(void) {
  if (access("/usr/sbin/pgbouncer", X_OK) != 0) {
    (void)printf("# no pgbouncer\n");
    skip();
  }
}

/* Writes its configuration, with these settings beside ours, and starts it, as the user who owns
 * the directory. */
static void start_pooler(const char *settings) {
  enum { PORT_OFFSET = 7 };
  const char *dir = text("%s/server", primary.dir);
  int port = primary.port + PORT_OFFSET;
  FILE *file = fopen(text("%s/pgbouncer.ini", dir), "w");
  assert_non_null(file);
  (void)fprintf(file,
                "[databases]\nevd = host=127.0.0.1 port=%d dbname=evd user=postgres password=evd\n"
                "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n"
                "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n%s\n",
                primary.port, port, settings);
  (void)fclose(file);
  const char *command = text("cd %s && . \"${SRCDIR-.}\"/tests/lib/servers.sh && "
                             "exec_as_server %s pgbouncer -q pgbouncer.ini >pgbouncer.log 2>&1",
                             dir, dir);
  char shell[] = "bash";
  char option[] = "-c";
  char *const arguments[] = {shell, option, (char *)(size_t)command, NULL};
  assert_int_equal(posix_spawnp(&pooler.pid, "bash", NULL, NULL, arguments, environ), 0);
  pooler.url = text("postgresql://postgres@127.0.0.1:%d/evd", port);
}

static void stop_pooler(void) {
  if (pooler.pid > 0) {
    (void)kill(pooler.pid, SIGTERM);
    (void)waitpid(pooler.pid, NULL, 0);
  }
  pooler.pid = 0;
}

/* Opens as soon as the pooler is up. */
static evd_storage *open_by_pooler(void) {
  const char *url = text("%s?prepare=off&pool_min=4", pooler.url);
  for (int i = 0; i < 200; i++) {
    evd_future *opening = keep_future(evd_storage_open(loop, url, &creating));
    evd_storage *storage;
    if (evd_future_await(opening) == EVD_OK && evd_future_storage(opening, &storage) == EVD_OK) {
      return storage;
    }
    ev_sleep(0.05);
  }
  fail_at(__FILE__, __LINE__, "the pooler does not come up");
}

static void everything_works_by_a_pooler_in_transaction_mode(void **state) {
  needs_postgres();
  enum { ROWS = 500, ROUNDS = 10 };
  needs_pooler();
  start_pooler("");
  watchdog(600);
  evd_storage *storage = open_by_pooler();
  for (int round = 0; round < ROUNDS; round++) {
    evd_future *futures[2 * ROWS];
    for (int i = 0; i < ROWS; i++) {
      evd_execution row = sample_execution(text("te_%d_%d", round, i));
      futures[i] = evd_insert(storage, &row, 1);
      ev_run(loop, EVRUN_NOWAIT);
    }
    for (int i = 0; i < ROWS; i++) {
      await_ok(futures[i]);
    }
    evd_execution again = sample_execution(text("te_%d_0", round));
    evd_future *duplicate = evd_insert(storage, &again, 1);
    for (int i = 0; i < ROWS; i++) {
      evd_changes changes = sample_changes(i % 2 ? EVD_STATUS_COMPLETED : EVD_STATUS_FAILED);
      const char *id = text("te_%d_%d", round, i);
      evd_filter filter = {.status = i % 3 ? EVD_STATUS_READY : 0};
      futures[i] = evd_update(storage, id, &filter, &changes);
      futures[ROWS + i] = evd_get(storage, id, NULL);
      ev_run(loop, EVRUN_NOWAIT);
    }
    for (int i = 0; i < ROWS; i++) {
      assert_true(await_matched(futures[i]));
      assert_string_equal(await_row(futures[ROWS + i])->execution_id, text("te_%d_%d", round, i));
    }
    await_error(duplicate, EVD_EDUPLICATE);
  }
  assert_int_equal(
      number(primary.url, "select count(*) from task_executions where status = 'completed'"),
      ROUNDS * ROWS / 2);
  await_ok(evd_storage_close(storage, -1));
  stop_pooler();
  watchdog(0);
}

/* The pooler gives the commit up, and says so in the server's place; the server goes on with it. */
static void a_commit_that_the_pooler_gives_up_is_of_unknown_outcome(void **state) {
  needs_postgres();
  needs_pooler();
  start_pooler("query_timeout = 1");
  watchdog(600);
  evd_storage *storage = open_by_pooler();
  native_run_once(primary.url,
                  "create or replace function dawdle() returns trigger language plpgsql as "
                  "$$ begin perform pg_sleep(3); return null; end $$;"
                  "create constraint trigger dawdle after insert on task_executions deferrable "
                  "initially deferred for each row execute function dawdle();");
  evd_execution row = sample_execution("te_1");
  evd_error error = await_error(evd_insert(storage, &row, 1), EVD_EUNAVAILABLE);
  expect(strstr(error.message, "timeout") != NULL, "%s", error.message);
  assert_int_equal(error.outcome, EVD_OUTCOME_UNKNOWN);
  wait_until(primary.url, "select count(*) from task_executions", 1);
  await_ok(evd_storage_close(storage, -1));
  stop_pooler();
  watchdog(0);
}

/* Languages. Where the server's catalogue of messages is not installed, this one speaks English. */

static void a_server_that_speaks_german_is_understood(void **state) {
  needs_postgres();
  struct postgres_server german = {0};
  assert_int_equal(setenv("LANGUAGE", "de", 1), 0);
  postgres_server_start(&german, false, "lc_messages = 'C.UTF-8'");
  assert_int_equal(unsetenv("LANGUAGE"), 0);
  evd_storage *storage =
      await_storage(evd_storage_open(loop, text("%s?pool_max=1", german.url), &creating));
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  evd_error error = await_error(evd_insert(storage, &row, 1), EVD_EDUPLICATE);
  assert_string_equal(error.field, "execution_id");
  expect_row(await_row(evd_get(storage, "te_1", NULL)), &row);
  native_run_once(german.url, "alter table task_executions alter input type json;");
  expect_row(await_row(evd_get(storage, "te_1", NULL)), &row);
  await_ok(evd_storage_close(storage, -1));
  postgres_server_end(&german);
}

/* TLS. */

static void a_connection_may_be_encrypted(void **state) {
  needs_postgres();
  const char *url = text("%s?sslmode=verify-full&sslrootcert=%s/server/ca.pem&application_name=tls",
                         primary.url, primary.dir);
  evd_storage *storage = await_storage(evd_storage_open(loop, url, &creating));
  assert_int_equal(number(primary.url,
                          "select count(*) from pg_stat_ssl join pg_stat_activity using "
                          "(pid) where application_name = 'tls' and ssl"),
                   1);
  evd_execution row = sample_execution("te_1");
  row.input = "\"encrypted\"";
  await_ok(evd_insert(storage, &row, 1));
  expect_row(await_row(evd_get(storage, "te_1", NULL)), &row);
  await_ok(evd_storage_close(storage, -1));
}

/* Records of every size, beside what is left of libpq's room. */
static void answers_of_all_sizes_come_by_an_encrypted_connection(void **state) {
  needs_postgres();
  enum { SIZES = 400, GROWTH = 97 };
  watchdog(600);
  evd_options options = creating;
  options.operation_timeout_ms = 3000;
  evd_storage *storage = await_storage(
      evd_storage_open(loop, text("%s?sslmode=require&pool_max=1", primary.url), &options));
  char *input = keep_memory(SIZES * GROWTH + 3);
  memset(input, 'x', SIZES * GROWTH + 2);
  input[0] = '"';
  for (int i = 0; i < SIZES; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    input[i * GROWTH + 1] = '"';
    input[i * GROWTH + 2] = '\0';
    row.input = input;
    await_ok(evd_insert(storage, &row, 1));
    input[i * GROWTH + 1] = input[i * GROWTH + 2] = 'x';
  }
  for (int i = 0; i < SIZES; i++) {
    evd_future *futures[8];
    for (int j = 0; j < 8; j++) {
      futures[j] = evd_get(storage, text("te_%d", (i * (j + 1)) % SIZES), NULL);
      if (j % 3 == 0) {
        ev_run(loop, EVRUN_NOWAIT);
      }
    }
    for (int j = 0; j < 8; j++) {
      size_t size = (size_t)((i * (j + 1)) % SIZES) * GROWTH + 2;
      assert_int_equal(strlen(await_row(futures[j])->input), size);
    }
  }
  await_ok(evd_storage_close(storage, -1));
  watchdog(0);
}

static void a_certificate_that_is_not_trusted_is_refused(void **state) {
  needs_postgres();
  const char *url = text("%s?sslmode=verify-full&sslrootcert=/dev/null", primary.url);
  evd_error error = await_error(evd_storage_open(loop, url, &creating), EVD_EUNAVAILABLE);
  expect(error.message[0] != '\0', "no message");
}

static int start_primary(void **state) {
  if (postgres_is_there()) {
    postgres_server_start(&primary, true, "");
  }
  return 0;
}

static int end_primary(void **state) {
  stop_pooler();
  if (postgres_is_there()) {
    postgres_server_end(&primary);
  }
  return 0;
}

static int set_up(void **state) {
  loop = ev_loop_new(EVFLAG_AUTO);
  return 0;
}

static int tear_down(void **state) {
  if (postgres_is_there()) {
    native_run_once(primary.url, "drop table if exists task_executions;");
  }
  ev_loop_destroy(loop);
  release_kept();
  return 0;
}

#define around_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      around_test(reads_go_to_the_replica_while_there_is_one),
      around_test(a_replica_that_was_never_there_is_no_obstacle),
      around_test(writes_know_nothing_of_the_types_that_a_replica_has),
      around_test(everything_works_by_a_pooler_in_transaction_mode),
      around_test(a_commit_that_the_pooler_gives_up_is_of_unknown_outcome),
      around_test(a_server_that_speaks_german_is_understood),
      around_test(a_connection_may_be_encrypted),
      around_test(answers_of_all_sizes_come_by_an_encrypted_connection),
      around_test(a_certificate_that_is_not_trusted_is_refused),
  };
  return cmocka_run_group_tests(tests, start_primary, end_primary);
}
