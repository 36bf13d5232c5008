/* The database, the engine and the session of a test. */
#include "support/mysql_case.h"

#include <string.h>
#include <unistd.h>

struct mysql_case test;

void open_with(const char *options) {
  watchdog(600);
  test.url = mysql_database();
  test.native = native_open(test.url);
  driver_open_new(&test.driver, mysql_url_with(test.url, options));
}

void open_all(void) {
  open_with("pool_max=1");
}

int mysql_case_tear_down(void **state) {
  (void)state;
  if (test.native != NULL) {
    native_close(test.native);
    driver_close(&test.driver);
    mysql_drop_databases();
  }
  test.native = NULL;
  release_kept();
  watchdog(0);
  return 0;
}

void wait_for_capacity(void) {
  while (test.driver.ops->capacity(test.driver.engine) == 0) {
    ev_run(test.driver.loop, EVRUN_ONCE);
  }
}

void await_lock_wait(void) {
  do {
    usleep(200000);
    ev_run(test.driver.loop, EVRUN_NOWAIT);
  } while (native_number(test.native,
                         "select count(*) from information_schema.innodb_trx"
                         " join information_schema.processlist on id = trx_mysql_thread_id"
                         " where trx_state = 'LOCK WAIT' and db = database();") == 0);
}

struct request claiming(const evd_changes *changes) {
  return (struct request){.operation = EVD_OPERATION_CLAIM_BY_START_AT,
                          .changes = changes,
                          .status = EVD_STATUS_READY,
                          .before = INT64_MAX,
                          .limit = 1};
}

void insert_ids(const char *const *ids, size_t count) {
  evd_execution *rows = keep_memory(count * sizeof *rows);
  for (size_t i = 0; i < count; i++) {
    rows[i] = sample_execution(ids[i]);
  }
  driver_insert(&test.driver, rows, count);
}

void insert_id(const char *id) {
  insert_ids(&id, 1);
}

evd_status status_of(const char *id) {
  const evd_execution *row = driver_get(&test.driver, id);
  assert_non_null(row);
  return row->status;
}

int64_t engine_session(void) {
  return native_number(test.native,
                       "select id from information_schema.processlist where db = database()"
                       " and id <> connection_id() order by id limit 1;");
}

void kill_engine_session(void) {
  native_run(test.native, text("kill %lld;", (long long)engine_session()));
}

void replace_connection(void) {
  kill_engine_session();
  while (test.driver.ops->trouble(test.driver.engine) == NULL) {
    ev_run(test.driver.loop, EVRUN_ONCE);
  }
  wait_for_capacity();
}

bool is_mariadb(void) {
  return strstr(native_text(test.native, "select version();"), "MariaDB") != NULL;
}
