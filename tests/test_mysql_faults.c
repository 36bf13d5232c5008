/*
 * The MySQL engine when servers and networks fail, on a server of its own: killed and started
 * again, connections cut at random bytes, servers that stall, sessions that time out.
 *
 * EVD_TEST_SECONDS is how long connections are cut (10); EVD_TEST_SEED repeats a run's random
 * choices, as far as that can be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/mariadb_case.h"
#include "support/proxy.h"

static void sessions_are_read_committed(void **state) {
  (void)state;
  needs_mysql();
  evd_storage *storage = open_empty(test.server.url, (evd_options){0});
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  struct native *native = native_open(test.server.root);
  native_run(native, "begin; select * from task_executions for update;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *future = keep_future(evd_update(storage, "te_1", NULL, &changes));
  await_lock_wait(native);
  assert_string_equal(native_text(native,
                                  "select trx_isolation_level from information_schema.innodb_trx"
                                  " where trx_mysql_thread_id <> connection_id();"),
                      "READ COMMITTED");
  native_run(native, "rollback;");
  assert_int_equal(evd_future_await(future), EVD_OK);
  native_close(native);
  close_storage(storage);
}

/* Whether others see that the row is running. */
static bool others_see_it_running(const char *id) {
  struct native *native = native_open(test.server.root);
  const char *status = native_text(
      native, text("select status from task_executions where execution_id = '%s';", id));
  native_close(native);
  return strcmp(status, "running") == 0;
}

static void a_commit_is_the_end_whatever_the_server_chains(void **state) {
  (void)state;
  needs_mysql();
  native_run_once(test.server.root, "set global completion_type = 1;");
  evd_storage *storage =
      open_empty(mysql_url_with(test.server.url, "pool_max=1"), (evd_options){0});
  evd_execution rows[] = {sample_execution("te_1"), sample_execution("te_2"),
                          sample_execution("te_3")};
  await_ok(evd_insert(storage, rows, 3));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *both[] = {evd_update(storage, "te_1", NULL, &changes),
                        evd_update(storage, "te_2", NULL, &changes)};
  assert_true(await_matched(both[0]));
  assert_true(await_matched(both[1]));
  assert_true(await_matched(evd_update(storage, "te_3", NULL, &changes)));
  assert_true(others_see_it_running("te_2"));
  assert_true(others_see_it_running("te_3"));
  evd_stats stats;
  evd_storage_stats(storage, &stats);
  assert_int_equal(stats.reconnections, 0);
  close_storage(storage);
  native_run_once(test.server.root, "set global completion_type = 0;");
}

/* As a proxy might leave one, or the server's init_connect. */
static void nothing_is_acknowledged_in_a_transaction_that_was_not_begun(void **state) {
  (void)state;
  needs_mysql();
  evd_storage *storage = open_empty(test.server.url, (evd_options){0});
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  close_storage(storage);
  native_run_once(test.server.root, "set global init_connect = 'begin';");
  const char *url =
      mysql_url_with(test.server.url, "pool_max=1"); /* or another connection takes over */
  storage = await_storage(evd_storage_open(test.loop, url, NULL));
  native_run_once(test.server.root, "set global init_connect = '';");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  assert_true(await_matched(evd_update(storage, "te_1", NULL, &changes)));
  assert_true(others_see_it_running("te_1"));
  evd_stats stats;
  evd_storage_stats(storage, &stats);
  assert_true(stats.reconnections >= 1);
  close_storage(storage);
}

static void sessions_that_the_server_times_out_are_replaced_unseen(void **state) {
  (void)state;
  needs_mysql();
  native_run_once(test.server.root, "set global wait_timeout = 1;");
  evd_storage *storage =
      open_empty(mysql_url_with(test.server.url, "pool_min=2"), (evd_options){0});
  run_for(2.5);
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  run_for(2.5);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  assert_true(await_matched(evd_update(storage, "te_1", NULL, &changes)));
  evd_stats stats;
  evd_storage_stats(storage, &stats);
  assert_true(stats.reconnections >= 2);
  close_storage(storage);
  native_run_once(test.server.root, "set global wait_timeout = 28800;");
}

static void a_server_that_stalls_is_given_up_after_the_read_timeout(void **state) {
  (void)state;
  needs_mysql();
  struct proxy *proxy = proxy_start(test.server.port);
  for (int tls = 0; tls < 2; tls++) {
    const char *url = mysql_url_at(tls ? test.server.tls_user : test.server.url, proxy_port(proxy));
    evd_storage *storage = open_empty(
        mysql_url_with(url, tls ? "read_timeout=1&ssl=on" : "read_timeout=1"), (evd_options){0});
    evd_execution row = sample_execution("te_1");
    await_ok(evd_insert(storage, &row, 1));
    proxy_stall(proxy, 1);
    evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
    double begin = seconds();
    evd_error error = await_error(evd_update(storage, "te_1", NULL, &changes), EVD_EUNAVAILABLE);
    double took = seconds() - begin;
    expect(took > 0.8, "took %g s", took);
    assert_int_equal(error.outcome, EVD_OUTCOME_UNKNOWN);
    proxy_stall(proxy, 0);
    proxy_cut_all(proxy);
    const evd_execution *found = await_row(evd_get(storage, "te_1", NULL));
    assert_non_null(found);
    close_storage(storage);
  }
  proxy_stop(proxy);
}

/* The claim has its rows, and the answer does not come through: nobody tells the server of the
 * end. */
static void rows_are_not_locked_for_long_by_a_host_that_is_lost(void **state) {
  (void)state;
  needs_mysql();
  struct proxy *proxy = proxy_start(test.server.port);
  struct native *native = native_open(test.server.root);
  const char *url = mysql_url_at(test.server.url, proxy_port(proxy));
  evd_storage *storage =
      open_empty(mysql_url_with(url, "read_timeout=1&pool_max=1"), (evd_options){0});
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  native_run(native, "begin; select * from task_executions for update;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *future =
      keep_future(evd_update_and_insert_children(storage, "te_1", NULL, &changes, NULL, 0));
  await_lock_wait(native);
  proxy_stall(proxy, 1);
  native_run(native, "rollback; set innodb_lock_wait_timeout = 600;");
  double begin = seconds();
  native_run(native, "update task_executions set retry_attempts = 1 where execution_id = 'te_1';");
  (void)printf("# the row was locked for %g s\n", seconds() - begin);
  proxy_stall(proxy, 0);
  proxy_cut_all(proxy);
  (void)evd_future_await(future);
  native_close(native);
  close_storage(storage);
  proxy_stop(proxy);
}

/* Inserts a row of more bytes than the socket's buffers take, after the proxy has come to a
 * stand. */
static evd_future *insert_into_a_stall(struct proxy *proxy, evd_storage *storage, size_t size) {
  proxy_stall(proxy, 1);
  char *input = keep_memory(size + 1);
  memset(input, '1', size);
  evd_execution row = sample_execution("te_1");
  row.input = input;
  return keep_future(evd_insert(storage, &row, 1));
}

static void a_server_that_takes_nothing_is_given_up_after_the_write_timeout(void **state) {
  (void)state;
  needs_mysql();
  struct proxy *proxy = proxy_start(test.server.port);
  for (int tls = 0; tls < 2; tls++) {
    const char *url = mysql_url_at(tls ? test.server.tls_user : test.server.url, proxy_port(proxy));
    evd_storage *storage =
        open_empty(mysql_url_with(url, text("read_timeout=60&write_timeout=1&pool_max=1&ssl=%s",
                                            tls ? "on" : "off")),
                   (evd_options){0});
    evd_future *future = insert_into_a_stall(proxy, storage, 8000000);
    run_for(2);
    proxy_stall(proxy, 0);
    assert_int_equal(evd_future_await(future), EVD_OK);
    evd_stats stats;
    evd_storage_stats(storage, &stats);
    assert_int_equal(stats.reconnections, 1);
    close_storage(storage);
  }
  proxy_stop(proxy);
}

static void closing_by_force_waits_for_nobody(void **state) {
  (void)state;
  needs_mysql();
  struct proxy *proxy = proxy_start(test.server.port);
  for (int tls = 0; tls < 2; tls++) {
    const char *url = mysql_url_at(tls ? test.server.tls_user : test.server.url, proxy_port(proxy));
    evd_storage *storage =
        open_empty(mysql_url_with(url, text("read_timeout=1000&write_timeout=1000&ssl=%s",
                                            tls ? "on" : "off")),
                   (evd_options){.operation_timeout_ms = -1});
    evd_future *future = insert_into_a_stall(proxy, storage, 3000000);
    run_for(0.1);
    await_ok(evd_storage_close(storage, 0)); /* the watchdog is sooner than the time-outs' end */
    assert_int_equal(evd_future_await(future), EVD_ECLOSED);
    proxy_stall(proxy, 0);
    proxy_cut_all(proxy);
  }
  proxy_stop(proxy);
}

/* A chain of operations on rows of its own: insert, claim it by an update, finish it; again. What
 * is known of each row is noted, and compared with the table at the end. */
enum { CHAINS = 20, ROWS_MAX = 60000 };

enum step { INSERTING, RUNNING, FINISHING };

/* What is known of a row's step: not done, done, or maybe. */
struct fate {
  char inserted, running, finished; /* 'n', 'y', '?' */
};

struct work {
  evd_storage *storage;
  struct fate *fates;
  int rows;
  int under_way;
  bool ending;
  unsigned succeeded, unknown, refused;
};

struct chain {
  struct work *work;
  int row;
  enum step step;
};

static void chain_on(struct chain *chain);

/* Notes what came of a step. */
static char fate_of(struct work *work, evd_future *future) {
  const evd_error *error = evd_future_error(future);
  if (error->code == EVD_OK) {
    work->succeeded++;
    return 'y';
  }
  expect(error->code == EVD_EUNAVAILABLE || error->code == EVD_ETIMEDOUT ||
             error->code == EVD_ECONFLICT,
         "%s: %s", evd_code_name(error->code), error->message);
  bool unknown = error->outcome == EVD_OUTCOME_UNKNOWN;
  *(unknown ? &work->unknown : &work->refused) += 1;
  return unknown ? '?' : 'n';
}

static void step_done(evd_future *future, void *data) {
  struct chain *chain = data;
  struct work *work = chain->work;
  struct fate *fate = &work->fates[chain->row];
  work->under_way--;
  char came = fate_of(work, future);
  bool on = came == 'y';
  switch (chain->step) {
  case INSERTING: fate->inserted = came; break;
  case RUNNING: fate->running = came; break;
  case FINISHING: fate->finished = came; break;
  }
  chain->step = on && chain->step != FINISHING ? chain->step + 1 : INSERTING;
  chain_on(chain);
}

/* Begins the chain's next step. */
static void chain_on(struct chain *chain) {
  struct work *work = chain->work;
  evd_future *future;
  if (chain->step == INSERTING) {
    if (work->ending || work->rows == ROWS_MAX) {
      return;
    }
    chain->row = work->rows++;
    work->fates[chain->row] = (struct fate){'n', 'n', 'n'};
  }
  char id[32];
  snprintf(id, sizeof id, "te_%06d", chain->row);
  if (chain->step == INSERTING) {
    evd_execution row = sample_execution(id);
    future = evd_insert(work->storage, &row, 1);
  } else {
    bool finishing = chain->step == FINISHING;
    evd_changes changes = sample_changes(finishing ? EVD_STATUS_COMPLETED : EVD_STATUS_RUNNING);
    evd_filter filter = {.status = finishing ? EVD_STATUS_RUNNING : EVD_STATUS_READY};
    future = evd_update(work->storage, id, &filter, &changes);
  }
  work->under_way++;
  evd_future_then(future, step_done, chain);
}

static void check_row(const struct fate *fate, int number, const char *status) {
  const char *what = status != NULL ? status : "missing";
  if (fate->inserted == 'y') {
    expect(status != NULL, "te_%06d was inserted and is %s", number, what);
  }
  if (fate->inserted == 'n') {
    expect(status == NULL, "te_%06d was not inserted and is %s", number, what);
  }
  if (fate->finished == 'y') {
    expect(strcmp(what, "completed") == 0, "te_%06d was finished and is %s", number, what);
  }
  if (fate->running == 'y' && fate->finished == 'n') {
    expect(strcmp(what, "running") == 0, "te_%06d was running and is %s", number, what);
  }
  if (fate->running == 'n' && status != NULL) {
    expect(strcmp(what, "ready") == 0, "te_%06d was not running and is %s", number, what);
  }
}

/* Waits until the server is back, which on a busy machine may take longer than the work. */
static void wait_for_server(void) {
  evd_future *future = evd_storage_open(test.loop, test.server.url, NULL);
  while (evd_future_await(future) != EVD_OK) {
    evd_future_release(future);
    run_for(0.2);
    future = evd_storage_open(test.loop, test.server.url, NULL);
  }
  close_storage(await_storage(future));
}

/* Compares all rows with what is known of them. */
static void check_rows(const struct work *work) {
  wait_for_server();
  struct native *native = native_open(test.server.root);
  for (int row = 0; row < work->rows; row++) {
    const char *status = native_text(
        native, text("select status from task_executions where execution_id = 'te_%06d';", row));
    check_row(&work->fates[row], row, status);
    if (row % 500 == 0) {
      release_kept();
    }
  }
  native_close(native);
}

/* Lets the chains work, calls `disturb` every `pause` seconds, then ends and checks. */
static void work_through(const char *url, int times, double pause, void (*disturb)(void *data),
                         void *data) {
  struct work work = {.fates = calloc(ROWS_MAX, sizeof *work.fates)};
  struct chain chains[CHAINS];
  assert_non_null(work.fates);
  work.storage = open_empty(mysql_url_with(url, "connect_timeout=3&read_timeout=5"),
                            (evd_options){.operation_timeout_ms = 10000});
  for (int i = 0; i < CHAINS; i++) {
    chains[i] = (struct chain){.work = &work};
    chain_on(&chains[i]);
  }
  for (int i = 0; i < times; i++) {
    run_for(pause);
    disturb(data);
  }
  run_for(pause);
  work.ending = true;
  while (work.under_way > 0) {
    run_for(0.05);
  }
  close_storage(work.storage);
  print_message("%d rows, %u steps done, %u unknown, %u refused\n", work.rows, work.succeeded,
                work.unknown, work.refused);
  assert_true(work.succeeded > 0);
  check_rows(&work);
  free(work.fates);
}

static void bounce(void *data) {
  (void)data;
  mariadb_server_bounce(&test.server);
}

static void what_was_acknowledged_survives_the_servers_death(void **state) {
  (void)state;
  needs_mysql();
  work_through(test.server.url, 3, 3, bounce, NULL);
}

static double cutting_seconds(void) {
  const char *given = getenv("EVD_TEST_SECONDS");
  double duration = given != NULL ? strtod(given, NULL) : 0;
  return duration > 0 ? duration : 10;
}

static void cut_otherwise(void *data) {
  struct proxy *proxy = data;
  static const uint32_t lengths[] = {200, 2000, 20000, 200000};
  proxy_cut_within(proxy, lengths[(unsigned)random() % 4]);
}

static void nothing_is_lost_or_done_twice_when_connections_are_cut(void **state) {
  (void)state;
  needs_mysql();
  const char *seed = getenv("EVD_TEST_SEED");
  srandom(seed != NULL ? (unsigned)strtoul(seed, NULL, 10) : (unsigned)time(NULL));
  struct proxy *proxy = proxy_start(test.server.port);
  const char *urls[] = {
      text("%s", mysql_url_at(test.server.url, proxy_port(proxy))),
      text("%s", mysql_url_with(mysql_url_at(test.server.tls_user, proxy_port(proxy)), "ssl=on"))};
  char plain[2][256];
  for (int i = 0; i < 2; i++) {
    snprintf(plain[i], sizeof plain[i], "%s", urls[i]);
  }
  for (int tls = 0; tls < 2; tls++) {
    proxy_cut_within(proxy, 0);
    uint32_t cuts = proxy_cuts(proxy);
    work_through(plain[tls], (int)(cutting_seconds() / 2), 1, cut_otherwise, proxy);
    expect(proxy_cuts(proxy) - cuts >= 3, "%u cuts", proxy_cuts(proxy) - cuts); /* mostly many */
  }
  proxy_stop(proxy);
}

static void a_server_that_is_away_is_waited_for_until_the_operations_time_is_over(void **state) {
  (void)state;
  needs_mysql();
  evd_storage *storage = open_empty(test.server.url, (evd_options){0});
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  close_storage(storage);
  storage = open_at(test.server.url, (evd_options){.operation_timeout_ms = 1500});
  mariadb_server_stop(&test.server);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_error error = await_error(evd_update(storage, "te_1", NULL, &changes), EVD_EUNAVAILABLE);
  expect(strstr(error.message, "127.0.0.1") != NULL, "%s", error.message);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  mariadb_server_restart(&test.server);
  while (await_code(evd_update(storage, "te_1", NULL, &changes)) != EVD_OK) {
    ; /* until the pause between attempts to connect is over */
  }
  assert_true(others_see_it_running("te_1"));
  close_storage(storage);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      mariadb_test(sessions_are_read_committed),
      mariadb_test(a_commit_is_the_end_whatever_the_server_chains),
      mariadb_test(nothing_is_acknowledged_in_a_transaction_that_was_not_begun),
      mariadb_test(sessions_that_the_server_times_out_are_replaced_unseen),
      mariadb_test(a_server_that_stalls_is_given_up_after_the_read_timeout),
      mariadb_test(rows_are_not_locked_for_long_by_a_host_that_is_lost),
      mariadb_test(a_server_that_takes_nothing_is_given_up_after_the_write_timeout),
      mariadb_test(closing_by_force_waits_for_nobody),
      mariadb_test(nothing_is_lost_or_done_twice_when_connections_are_cut),
      mariadb_test(what_was_acknowledged_survives_the_servers_death),
      mariadb_test(a_server_that_is_away_is_waited_for_until_the_operations_time_is_over),
  };
  return cmocka_run_group_tests(tests, mariadb_case_start, mariadb_case_end);
}
