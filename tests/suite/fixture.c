/* The storage, the table and the rows that each test of the suite begins with. */
#include "suite/suite.h"

#include <stdio.h>
#include <string.h>

#include "suite/framework_table.h"
#include "support/native_sql.h"
#include "support/watchdog.h"

struct suite suite;

bool suite_is_shared(void) {
  return strstr(suite.url, ":memory:") == NULL && strstr(suite.url, "mode=memory") == NULL;
}

void suite_needs_shared(void) {
  if (!suite_is_shared()) {
    skip();
  }
}

evd_storage *suite_open(evd_options options) {
  if (options.table == NULL) {
    options.table = suite.table;
  }
  options.test_mode = true;
  options.schema = suite.framework ? EVD_SCHEMA_CHECK : EVD_SCHEMA_CREATE;
  return await_storage(evd_storage_open(suite.loop, suite.url, &options));
}

void suite_close(evd_storage *storage) {
  if (storage != NULL) {
    await_ok(evd_storage_close(storage, -1));
  }
}

void suite_reopen(evd_options options) {
  evd_storage *storage = suite.storage;
  suite.storage = NULL; /* so that the test may end here */
  suite_close(storage);
  suite.storage = suite_open(options);
}

int suite_set_up(void **state) {
  (void)state;
  watchdog(600);
  suite.loop = ev_loop_new(EVFLAG_AUTO);
  suite.storage = suite_open((evd_options){0});
  suite.engine = evd_storage_engine(suite.storage);
  await_ok(evd_delete_all(suite.storage));
  return 0;
}

/* When all is closed, nothing may be left that keeps the loop running. */
int suite_tear_down(void **state) {
  (void)state;
  evd_storage *storage = suite.storage;
  suite.storage = NULL;
  suite_unlock();
  suite_close(storage);
  release_kept();
  ev_run(suite.loop, 0);
  ev_loop_destroy(suite.loop);
  suite.loop = NULL;
  watchdog(0);
  return 0;
}

void suite_insert(const evd_execution *execution) {
  await_ok(evd_insert(suite.storage, execution, 1));
}

const evd_execution *suite_get(const char *id) {
  return await_row(evd_get(suite.storage, id, NULL));
}

int64_t suite_count(const char *where) {
  if (!suite_is_shared()) {
    return -1;
  }
  struct native *native = native_open(suite.url);
  int64_t count = native_number(
      native, text("select count(*) from %s%s%s", suite.table, *where ? " where " : "", where));
  native_close(native);
  return count;
}

void suite_lock(const char *where) {
  suite.lock = native_open(suite.url);
  if (strcmp(suite.engine, "sqlite") == 0) {
    native_run(suite.lock, "begin immediate");
  } else {
    native_run(suite.lock,
               text("begin; select execution_id from %s where %s for update", suite.table, where));
  }
}

/* Rolls back first: a server may release the locks of a session that has gone a little later. */
void suite_unlock(void) {
  if (suite.lock != NULL) {
    native_run(suite.lock, "rollback");
    native_close(suite.lock);
  }
  suite.lock = NULL;
}

static void end_run(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)timer;
  (void)events;
  ev_break(loop, EVBREAK_ONE);
}

void suite_run_loop(double seconds) {
  ev_timer timer;
  ev_now_update(suite.loop);
  ev_timer_init(&timer, end_run, seconds, 0);
  ev_timer_start(suite.loop, &timer);
  ev_run(suite.loop, 0);
  ev_timer_stop(suite.loop, &timer);
}
