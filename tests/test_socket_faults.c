/*
 * A server that goes away at each call that its client library makes on a socket, one after the other:
 * in the middle of connecting, sending, receiving, and again while a lost connection is replaced. A
 * client library may close its socket in any of these calls. Whatever happens, every operation ends,
 * with success or EVD_EUNAVAILABLE, the loop goes on, and the storage works again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "suite/suite.h"
#include "support/await.h"
#include "support/check.h"
#include "support/engines.h"
#include "support/sample.h"
#include "support/socket_faults.h"
#include "support/watchdog.h"

enum { ROWS = 3 };

static const enum socket_fault faults[] = {SOCKET_FAULT_CLOSED, SOCKET_FAULT_RESET};

/* The engine's URL, for a single connection without TLS. */
static const char *single_url(void) {
  return text("%s?pool_max=1%s", engine_case.url, engine_is("postgres") ? "&sslmode=disable" : "");
}

static unsigned server_port(void) {
  const char *port = strrchr(engine_case.url, ':');
  return (unsigned)strtoul(port + 1, NULL, 10);
}

static evd_future *open_storage(void) {
  evd_options options = {.table = engine_case.table, .schema = EVD_SCHEMA_CREATE};
  return evd_storage_open(suite.loop, single_url(), &options);
}

/* A fault may end an operation, but not with anything else. */
static void await_end(evd_future *future, int call) {
  evd_error error;
  evd_future_await(future);
  error = *evd_future_error(future);
  evd_future_release(future);
  expect(error.code == EVD_OK || error.code == EVD_EUNAVAILABLE, "call %d: %s %s", call,
         evd_code_name(error.code), error.message);
}

/* Operations of several kinds, all under way at once: each ends. */
static void work(evd_storage *storage, int call) {
  static int number;
  const char *id = text("te_%d", number++);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_execution row = sample_execution(id);
  evd_future *futures[] = {
      evd_insert(storage, &row, 1),
      evd_get(storage, id, NULL),
      evd_update(storage, id, NULL, &changes),
      evd_claim_by_start_at(storage, EVD_STATUS_READY, INT64_C(1) << 50, 0, &changes, ROWS),
      evd_get_by_parent(storage, id),
  };
  for (size_t i = 0; i < sizeof futures / sizeof futures[0]; i++) {
    await_end(futures[i], call);
  }
}

static void await_recovery(evd_storage *storage) {
  while (await_code(evd_get(storage, "te_none", NULL)) != EVD_OK) {
    ;
  }
}

/* Opens, works and closes while the server goes at one call; whether that call was made. */
static bool open_and_work(enum socket_fault fault, int call) {
  evd_storage *storage;
  socket_faults_arm(server_port(), fault, call, 0);
  evd_future *opened = open_storage();
  evd_future_await(opened);
  evd_code code = evd_future_storage(opened, &storage);
  await_end(opened, call);
  if (code == EVD_OK) {
    work(storage, call);
  }
  bool made = socket_faults_disarm();
  if (code == EVD_OK) {
    await_recovery(storage);
    await_ok(evd_storage_close(storage, -1));
  }
  return made;
}

/* Loses the connection of an open storage with all operations under way, and then loses the next one,
 * that they wait for, at one call; whether that call was made. */
static bool lose_and_work(evd_storage *storage, enum socket_fault fault, int call) {
  socket_faults_arm(server_port(), fault, 1, call);
  work(storage, call);
  bool made = socket_faults_disarm();
  await_recovery(storage);
  return made;
}

static void a_server_may_go_at_any_call_on_its_socket(void **state) {
  (void)state;
  await_ok(evd_storage_close(await_storage(open_storage()), -1)); /* makes the table */
  for (int fault = 0; fault < 2; fault++) {
    int call = 1;
    for (watchdog(60); open_and_work(faults[fault], call); call++) {
      watchdog(60);
      release_kept();
    }
    (void)printf("# %d calls\n", call - 1);
    expect(call > 5, "the client made %d calls: are they intercepted?", call - 1);
  }
}

static void a_server_may_go_again_at_any_call_while_its_connection_is_replaced(void **state) {
  (void)state;
  evd_storage *storage = await_storage(open_storage());
  for (int fault = 0; fault < 2; fault++) {
    int call = 2;
    for (watchdog(60); lose_and_work(storage, faults[fault], call); call++) {
      watchdog(60);
      release_kept_futures();
    }
    (void)printf("# %d calls\n", call - 2);
    expect(call > 5, "the client made %d calls: are they intercepted?", call - 2);
  }
  await_ok(evd_storage_close(storage, -1));
}

int main(void) {
  const struct engine_test tests[] = {
      engine_test_only(a_server_may_go_at_any_call_on_its_socket, "postgres mysql"),
      engine_test_only(a_server_may_go_again_at_any_call_while_its_connection_is_replaced,
                       "postgres mysql"),
  };
  return run_on_engines(tests, sizeof tests / sizeof tests[0]);
}
