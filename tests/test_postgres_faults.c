/*
 * PostgreSQL in trouble: killed, restarted, stuck, cut off at any byte, in deadlock. Three things
 * hold all the while: nothing that was acknowledged is lost, nothing is done twice, nothing hangs.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "support/await.h"
#include "support/check.h"
#include "support/native_sql.h"
#include "support/postgres_server.h"
#include "support/process.h"
#include "support/proxy.h"
#include "support/sample.h"
#include "support/watchdog.h"

static struct postgres_server server;

/*
 * A load: rows that are inserted, then set to running and given a child, if they are still ready.
 *
 *   INSERTING ──> INSERTED ──> UPDATING ──> UPDATED
 *       └──> GONE, UNKNOWN        └──> INSERTED (not applied), UNKNOWN_UPDATE
 */
enum row_state { NEW, INSERTING, GONE, UNKNOWN, INSERTED, UPDATING, UPDATED, UNKNOWN_UPDATE };

enum { ROWS_MAX = 2000000, IN_FLIGHT = 64 };

struct load_row {
  struct load *load;
  unsigned char state; /* a row_state */
};

struct load {
  struct ev_loop *loop;
  evd_storage *storage;
  bool (*is_over)(struct load *load); /* asked again and again: whether there is to be no new row */
  bool over;
  int next;
  int in_flight;
  int updates; /* that have succeeded */
  int failures;
  int reads, failed_reads;
  evd_error read_error; /* of the first read that failed */
  const char *violated; /* the first violation; NULL for none */
  evd_error violation;
  ev_timer timer; /* new rows */
  struct load_row *rows;
};

static void violate(struct load *load, const char *what, const evd_error *error) {
  if (load->violated == NULL) {
    load->violated = what;
    load->violation = *error;
  }
}

/* Errors that trouble may bring; all others are violations. */
static void check_error(struct load *load, const evd_error *error) {
  load->failures++;
  if (error->code != EVD_EUNAVAILABLE && error->code != EVD_ETIMEDOUT &&
      error->code != EVD_ECONFLICT) {
    violate(load, "an unexpected error", error);
  }
}

static const char *row_id(const struct load_row *row, const char *kind, char id[32]) {
  snprintf(id, 32, "te_%s_%06d", kind, (int)(row - row->load->rows));
  return id;
}

static void on_updated(evd_future *future, void *data) {
  struct load_row *row = data;
  const evd_error *error = evd_future_error(future);
  bool matched = false;
  row->load->in_flight--;
  if (evd_future_matched(future, &matched) == EVD_OK) {
    if (!matched) {
      violate(row->load, "an update was made twice", error);
    }
    row->state = UPDATED;
    row->load->updates++;
    return;
  }
  check_error(row->load, error);
  row->state = error->outcome == EVD_OUTCOME_UNKNOWN ? UNKNOWN_UPDATE : INSERTED;
}

static void on_read(evd_future *future, void *data) {
  struct load *load = data;
  const evd_execution *row;
  load->in_flight--;
  load->reads++;
  if (evd_future_row(future, &row) != EVD_OK) {
    if (load->failed_reads++ == 0) {
      load->read_error = *evd_future_error(future);
    }
  } else if (row == NULL) {
    violate(load, "an acknowledged row is lost", evd_future_error(future));
  }
}

static void start_update(struct load_row *row) {
  char id[32], child_id[32];
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_execution child = sample_child(row_id(row, "c", child_id), row_id(row, "p", id), 0);
  row->state = UPDATING;
  row->load->in_flight += 2;
  evd_future_then(evd_update_and_insert_children(row->load->storage, id,
                                                 &(evd_filter){.status = EVD_STATUS_READY},
                                                 &changes, &child, 1),
                  on_updated, row);
  evd_future_then(evd_get(row->load->storage, id, NULL), on_read, row->load);
}

static void on_inserted(evd_future *future, void *data) {
  struct load_row *row = data;
  const evd_error *error = evd_future_error(future);
  row->load->in_flight--;
  if (error->code == EVD_OK) {
    row->state = INSERTED;
    start_update(row);
    return;
  }
  check_error(row->load, error);
  row->state = error->outcome == EVD_OUTCOME_UNKNOWN ? UNKNOWN : GONE;
}

static void add_rows(struct ev_loop *loop, ev_timer *timer, int events) {
  struct load *load = timer->data;
  load->over = load->over || load->is_over(load);
  while (load->in_flight < IN_FLIGHT && load->next < ROWS_MAX && !load->over) {
    struct load_row *row = &load->rows[load->next++];
    *row = (struct load_row){load, INSERTING};
    char id[32];
    evd_execution execution = sample_execution(row_id(row, "p", id));
    load->in_flight++;
    evd_future_then(evd_insert(load->storage, &execution, 1), on_inserted, row);
  }
  if (load->in_flight == 0 && load->over) {
    ev_timer_stop(loop, timer);
  }
}

/* Runs a load until it is over, and to its end. */
static void run_load(struct load *load, const char *url) {
  evd_options options = {.schema = EVD_SCHEMA_CREATE, .operation_timeout_ms = 10000};
  load->storage = await_storage(evd_storage_open(load->loop, url, &options));
  load->rows = keep_memory(ROWS_MAX * sizeof *load->rows);
  ev_timer_init(&load->timer, add_rows, 0.002, 0.002);
  load->timer.data = load;
  ev_timer_start(load->loop, &load->timer);
  watchdog(600);
  ev_run(load->loop, 0);
  watchdog(0);
  await_ok(evd_storage_close(load->storage, -1));
}

/* Looks at the table past the library. */
static void check_load(const struct load *load, const char *url) {
  expect(load->violated == NULL, "%s: %s %s", load->violated, evd_code_name(load->violation.code),
         load->violation.message);
  assert_int_equal(load->in_flight, 0);
  struct native *native = native_open(url);
  struct {
    const char *name, *sql;
    int least, most;
  } counts[] = {
      {"rows", "select count(*) from task_executions where execution_id like 'te_p%'", 0, 0},
      {"updates", "select count(*) from task_executions where status = 'running'", 0, 0},
      {"children", "select count(*) from task_executions where execution_id like 'te_c%'", 0, 0},
  };
  for (int i = 0; i < load->next; i++) {
    enum row_state state = (enum row_state)load->rows[i].state;
    counts[0].least += state >= INSERTED;
    counts[0].most += state >= UNKNOWN;
    counts[1].least += state == UPDATED;
    counts[1].most += state == UPDATED || state == UNKNOWN_UPDATE;
  }
  counts[2].least = counts[1].least;
  counts[2].most = counts[1].most;
  for (int i = 0; i < 3; i++) {
    int64_t count = native_number(native, counts[i].sql);
    expect(count >= counts[i].least && count <= counts[i].most, "%s: %d, not %d to %d",
           counts[i].name, (int)count, counts[i].least, counts[i].most);
  }
  assert_int_equal(native_number(native, "select count(*) from task_executions as c left join "
                                         "task_executions as p on p.execution_id = "
                                         "c.parent_execution_id and p.status = 'running' where "
                                         "c.execution_id like 'te_c%' and p.execution_id is null"),
                   0);
  native_run(native, "truncate task_executions");
  native_close(native);
  (void)printf("# %d rows, %d failures, %d reads, of which %d failed\n", load->next, load->failures,
               load->reads, load->failed_reads);
}

/* Trouble: a child process kills the server and starts it again, whenever the load is at work. */

static int role(int count, char **arguments) {
  (void)count;
  snprintf(server.dir, sizeof server.dir, "%s", arguments[2]);
  postgres_server_kill(&server);
  postgres_server_restart(&server);
  release_kept();
  return 0;
}

static struct {
  struct process process;
  bool at_work;
  int count;
  int updates; /* of the load, when the last kill was over */
} killer;

static bool was_killed_often(struct load *load) {
  enum { KILLS = 3, UPDATES = 200 };
  int status;
  if (killer.at_work) {
    if (!process_is_over(&killer.process, &status)) {
      return false;
    }
    expect(status == 0, "killing the server and starting it again failed");
    killer.at_work = false;
    killer.count++;
    killer.updates = load->updates;
  }
  if (killer.count >= KILLS && load->failures > 0) {
    return true;
  }
  if (load->updates >= killer.updates + UPDATES) {
    killer.process = process_start((const char *const[]){"kill", server.dir, NULL});
    killer.at_work = true;
  }
  return false;
}

static void a_server_that_is_killed_loses_and_doubles_nothing(void **state) {
  needs_postgres();
  struct load load = {.loop = ev_loop_new(EVFLAG_AUTO), .is_over = was_killed_often};
  run_load(&load, server.url);
  expect(load.failed_reads == 0, "%d reads failed: %s", load.failed_reads, load.read_error.message);
  check_load(&load, server.url);
  ev_loop_destroy(load.loop);
}

/* The server's URL by way of the proxy. */
static const char *url_by(const struct proxy *by) {
  return text("postgresql://postgres:evd@127.0.0.1:%u/evd", proxy_port(by));
}

static struct proxy *proxy;

/* EVD_TEST_FAULT_CUTS says how often, for a longer test. */
static bool was_cut_often(struct load *load) {
  enum { CUTS = 50 };
  const char *cuts = getenv("EVD_TEST_FAULT_CUTS");
  return load->failures > 0 && proxy_cuts(proxy) >= (cuts != NULL ? strtoul(cuts, NULL, 10) : CUTS);
}

static void connections_cut_at_any_byte_lose_and_double_nothing(void **state) {
  needs_postgres();
  struct load load = {.loop = ev_loop_new(EVFLAG_AUTO), .is_over = was_cut_often};
  proxy = proxy_start((unsigned)server.port);
  native_run_once(url_by(proxy), "select 1;");
  proxy_cut_within(proxy, 100000);
  run_load(&load, text("%s?connect_timeout=2", url_by(proxy)));
  (void)printf("# %u cuts\n", proxy_cuts(proxy));
  proxy_stop(proxy);
  check_load(&load, server.url);
  ev_loop_destroy(load.loop);
}

static void a_server_that_does_not_answer_any_more_is_given_up(void **state) {
  needs_postgres();
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  evd_options options = {.schema = EVD_SCHEMA_CREATE, .operation_timeout_ms = 500};
  proxy = proxy_start((unsigned)server.port);
  evd_storage *storage =
      await_storage(evd_storage_open(loop, text("%s?pool_max=1", url_by(proxy)), &options));
  watchdog(600);
  evd_execution row = sample_execution("te_stuck");
  evd_code code = await_code(evd_insert(storage, &row, 1));
  assert_true(code == EVD_OK || code == EVD_ETIMEDOUT); /* where the machine is slow */
  proxy_stall(proxy, 1);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_error error = await_error(evd_update(storage, "te_stuck", NULL, &changes), EVD_ETIMEDOUT);
  assert_int_equal(error.outcome, EVD_OUTCOME_UNKNOWN);
  proxy_cut_all(proxy);
  proxy_stall(proxy, 0);
  while ((code = await_code(evd_get(storage, "te_stuck", NULL))) != EVD_OK) {
    assert_true(code == EVD_ETIMEDOUT || code == EVD_EUNAVAILABLE);
  }
  watchdog(0);
  await_ok(evd_storage_close(storage, -1));
  proxy_stop(proxy);
  native_run_once(server.url, "truncate task_executions");
  ev_loop_destroy(loop);
}

/* The process of the storage's session. */
static int backend(const char *application) {
  struct native *native = native_open(server.url);
  int pid = (int)native_number(
      native, text("select pid from pg_stat_activity where application_name = '%s'", application));
  native_close(native);
  return pid;
}

static void a_session_that_is_stuck_is_replaced(void **state) {
  needs_postgres();
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  evd_options options = {.schema = EVD_SCHEMA_CREATE, .operation_timeout_ms = 300};
  evd_storage *storage = await_storage(evd_storage_open(
      loop, postgres_url_with(server.url, "pool_max=1&application_name=stuck"), &options));
  int pid = backend("stuck");
  assert_int_equal(kill(pid, SIGSTOP), 0);
  watchdog(600);
  evd_execution row = sample_execution("te_stuck");
  evd_error error = await_error(evd_insert(storage, &row, 1), EVD_ETIMEDOUT);
  assert_int_equal(error.outcome, EVD_OUTCOME_UNKNOWN);
  while (await_code(evd_get(storage, "te_none", NULL)) != EVD_OK) {
    ;
  }
  assert_int_equal(kill(pid, SIGCONT), 0);
  watchdog(0);
  await_ok(evd_storage_close(storage, -1));
  ev_loop_destroy(loop);
}

/* The server has answered meanwhile. */
static void a_loop_that_is_busy_for_too_long_loses_no_connection(void **state) {
  needs_postgres();
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  evd_options options = {.schema = EVD_SCHEMA_CREATE, .operation_timeout_ms = 500};
  evd_storage *storage =
      await_storage(evd_storage_open(loop, postgres_url_with(server.url, "pool_max=1"), &options));
  evd_future *getting = keep_future(evd_get(storage, "te_none", NULL));
  ev_run(loop, EVRUN_NOWAIT);
  ev_sleep(7); /* longer than the server may be silent */
  (void)evd_future_await(getting);
  while (await_code(evd_get(storage, "te_none", NULL)) == EVD_ETIMEDOUT) {
    ; /* where the machine is slow */
  }
  evd_stats stats;
  evd_storage_stats(storage, &stats);
  assert_int_equal(stats.reconnections, 0);
  await_ok(evd_storage_close(storage, -1));
  ev_loop_destroy(loop);
}

static void a_session_that_the_administrator_ends_is_replaced(void **state) {
  needs_postgres();
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  evd_options options = {.schema = EVD_SCHEMA_CREATE};
  evd_storage *storage = await_storage(evd_storage_open(
      loop, postgres_url_with(server.url, "pool_max=1&application_name=ended"), &options));
  native_run_once(server.url, text("select pg_terminate_backend(%d)", backend("ended")));
  for (int i = 0; i < 20; i++) {
    await_ok(evd_get(storage, "te_none", NULL));
  }
  evd_stats stats;
  evd_storage_stats(storage, &stats);
  assert_int_equal(stats.connections, 1);
  assert_int_equal(stats.reconnections, 1);
  await_ok(evd_storage_close(storage, -1));
  ev_loop_destroy(loop);
}

static void the_victim_of_a_deadlock_is_run_again(void **state) {
  needs_postgres();
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  evd_options options = {.schema = EVD_SCHEMA_CREATE};
  evd_storage *storage = await_storage(evd_storage_open(
      loop, postgres_url_with(server.url, "options=-c%20deadlock_timeout%3D100ms"), &options));
  evd_execution rows[] = {sample_execution("te_dead_1"), sample_execution("te_dead_2")};
  await_ok(evd_insert(storage, rows, 2));

  /* They lock the second and want the first; the library's batch locks the first. */
  struct native *other = native_open(server.url);
  native_run(other, "set deadlock_timeout = '1min'; begin; select 1 from task_executions where "
                    "execution_id = 'te_dead_2' for update;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *first = evd_update(storage, "te_dead_1", NULL, &changes);
  evd_future *second = evd_update(storage, "te_dead_2", NULL, &changes);
  ev_tstamp soon = ev_time() + 0.05;
  while (ev_time() < soon) {
    ev_run(loop, EVRUN_NOWAIT);
  }
  native_run(other, "update task_executions set executor_id = 'other' where "
                    "execution_id = 'te_dead_1'; commit;");
  native_close(other);
  assert_true(await_matched(first));
  assert_true(await_matched(second));
  evd_stats stats;
  evd_storage_stats(storage, &stats);
  expect(stats.operations[EVD_OPERATION_UPDATE].retries > 0, "no retry was counted");
  await_ok(evd_storage_close(storage, -1));
  native_run_once(server.url, "truncate task_executions");
  ev_loop_destroy(loop);
}

static int set_up(void **state) {
  if (postgres_is_there()) {
    postgres_server_start(&server, false, "");
  }
  return 0;
}

static int tear_down(void **state) {
  if (postgres_is_there()) {
    postgres_server_end(&server);
  }
  release_kept();
  return 0;
}

int main(int count, char **arguments) {
  if (count == 3 && strcmp(arguments[1], "kill") == 0) {
    return role(count, arguments);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_server_that_is_killed_loses_and_doubles_nothing),
      cmocka_unit_test(connections_cut_at_any_byte_lose_and_double_nothing),
      cmocka_unit_test(a_server_that_does_not_answer_any_more_is_given_up),
      cmocka_unit_test(a_session_that_is_stuck_is_replaced),
      cmocka_unit_test(a_loop_that_is_busy_for_too_long_loses_no_connection),
      cmocka_unit_test(a_session_that_the_administrator_ends_is_replaced),
      cmocka_unit_test(the_victim_of_a_deadlock_is_run_again),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
