/*
 * A server that goes away at each call that its client library makes on a socket, one after the
 * other: in the middle of connecting, sending, receiving, and again while a lost connection is
 * replaced. A client library may close its socket in any of these calls. Whatever happens, every
 * operation ends, with success or EVD_EUNAVAILABLE, the loop goes on, and the storage works again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "config.h"
#include "support/await.h"
#include "support/check.h"
#include "support/mariadb_server.h"
#include "support/postgres_server.h"
#include "support/sample.h"
#include "support/socket_faults.h"
#include "support/watchdog.h"

static struct postgres_server postgres;
static struct mariadb_server mariadb;

/* How a test comes to its server. */
struct way {
  struct ev_loop *loop;
  unsigned port;
  const char *url; /* for a single connection */
  int call;        /* that is being tried; for messages */
};

static const enum socket_fault faults[] = {SOCKET_FAULT_CLOSED, SOCKET_FAULT_RESET};

static evd_future *open_storage(const struct way *way) {
  return evd_storage_open(way->loop, way->url, &(evd_options){.schema = EVD_SCHEMA_CREATE});
}

/* A fault may end an operation, but only so. */
static void await_end(const struct way *way, evd_future *future) {
  evd_future_await(future);
  evd_error error = *evd_future_error(future);
  evd_future_release(future);
  expect(error.code == EVD_OK || error.code == EVD_EUNAVAILABLE, "call %d: %s %s", way->call,
         evd_code_name(error.code), error.message);
}

/* Operations of several kinds, all under way at once: each ends. */
static void work(const struct way *way, evd_storage *storage) {
  static int number;
  const char *id = text("te_%d", number++);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_execution row = sample_execution(id);
  evd_future *futures[] = {
      evd_insert(storage, &row, 1),
      evd_get(storage, id, NULL),
      evd_update(storage, id, NULL, &changes),
      evd_claim_by_start_at(storage,
                            &(evd_due){.status = EVD_STATUS_READY,
                                       .start_at_before = INT64_C(1) << 50,
                                       .started_at = 0},
                            &changes, 1),
      evd_get_by_parent(storage, id),
      evd_get_tree(storage, id),
  };
  for (size_t i = 0; i < sizeof futures / sizeof futures[0]; i++) {
    await_end(way, futures[i]);
  }
}

static void await_recovery(evd_storage *storage) {
  while (await_code(evd_get(storage, "te_none", NULL)) != EVD_OK) {
    ;
  }
}

/* Opens, works and closes while the server goes at one call; whether that call was made. */
static bool open_and_work(const struct way *way, enum socket_fault fault) {
  evd_storage *storage;
  socket_faults_arm(way->port, fault, way->call, 0);
  evd_future *opened = open_storage(way);
  evd_future_await(opened);
  evd_code code = evd_future_storage(opened, &storage);
  await_end(way, opened);
  if (code == EVD_OK) {
    work(way, storage);
  }
  bool made = socket_faults_disarm();
  if (code == EVD_OK) {
    await_recovery(storage);
    await_ok(evd_storage_close(storage, -1));
  }
  return made;
}

/* Loses the connection of an open storage with all operations under way, and then loses the next
 * one, that they wait for, at one call; whether that call was made. */
static bool lose_and_work(const struct way *way, evd_storage *storage, enum socket_fault fault) {
  socket_faults_arm(way->port, fault, 1, way->call);
  work(way, storage);
  bool made = socket_faults_disarm();
  await_recovery(storage);
  return made;
}

/* After the last call that there was. */
static void check_calls(struct way *way) {
  release_kept_futures();
  watchdog(0);
  (void)printf("# %d calls\n", way->call - 1);
  expect(way->call > 5, "only %d calls: are they intercepted?", way->call - 1);
}

static void try_way(struct way way) {
  way.loop = ev_loop_new(EVFLAG_AUTO);
  evd_storage *storage = await_storage(open_storage(&way));
  for (int fault = 0; fault < 2; fault++) {
    for (way.call = 1, watchdog(600); open_and_work(&way, faults[fault]); way.call++) {
      watchdog(600);
    }
    check_calls(&way);
    for (way.call = 2, watchdog(600); lose_and_work(&way, storage, faults[fault]); way.call++) {
      watchdog(600);
    }
    check_calls(&way);
  }
  await_ok(evd_storage_close(storage, -1));
  ev_loop_destroy(way.loop);
}

static void postgres_may_go_at_any_call(void **state) {
  needs_postgres();
  const char *url = postgres_url_with(postgres.url, "pool_max=1&sslmode=disable");
  try_way((struct way){.port = (unsigned)postgres.port, .url = url});
}

static void postgres_may_go_at_any_call_over_tls(void **state) {
  needs_postgres();
  const char *url = postgres_url_with(postgres.url, "pool_max=1&sslmode=require");
  try_way((struct way){.port = (unsigned)postgres.port, .url = url});
}

static void mariadb_may_go_at_any_call(void **state) {
  needs_mysql();
  const char *url = mysql_url_with(mariadb.url, "pool_max=1&ssl=off");
  try_way((struct way){.port = mariadb.port, .url = url});
}

static void mariadb_may_go_at_any_call_over_tls(void **state) {
  needs_mysql();
  const char *url = mysql_url_with(mariadb.tls_user, "pool_max=1&ssl=on");
  try_way((struct way){.port = mariadb.port, .url = url});
}

static int set_up(void **state) {
  if (postgres_is_there()) {
    postgres_server_start(&postgres, true, "");
  }
  if (mysql_is_there()) {
    mariadb_server_start(&mariadb, "");
  }
  return 0;
}

static int tear_down(void **state) {
  if (postgres_is_there()) {
    postgres_server_end(&postgres);
  }
  if (mysql_is_there()) {
    mariadb_server_end(&mariadb);
  }
  release_kept();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
#ifdef EVD_WITH_POSTGRES
      cmocka_unit_test(postgres_may_go_at_any_call),
      cmocka_unit_test(postgres_may_go_at_any_call_over_tls),
#endif
#ifdef EVD_WITH_MYSQL
      cmocka_unit_test(mariadb_may_go_at_any_call),
      cmocka_unit_test(mariadb_may_go_at_any_call_over_tls),
#endif
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
