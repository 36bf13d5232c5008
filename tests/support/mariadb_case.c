/* The server and the loop of a test. */
#include "support/mariadb_case.h"

#include <time.h>

struct mariadb_case test;

int mariadb_case_start(void **state) {
  (void)state;
  if (mysql_is_there()) {
    mariadb_server_start(&test.server, "");
  }
  return 0;
}

int mariadb_case_end(void **state) {
  (void)state;
  if (mysql_is_there()) {
    mariadb_server_end(&test.server);
  }
  release_kept();
  return 0;
}

int mariadb_case_set_up(void **state) {
  (void)state;
  watchdog(600);
  test.loop = ev_loop_new(EVFLAG_AUTO);
  return test.loop != NULL ? 0 : -1;
}

int mariadb_case_tear_down(void **state) {
  (void)state;
  release_kept();
  ev_loop_destroy(test.loop);
  watchdog(0);
  return 0;
}

double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

evd_storage *open_at(const char *url, evd_options options) {
  options.schema = EVD_SCHEMA_CREATE;
  options.test_mode = true;
  return await_storage(evd_storage_open(test.loop, url, &options));
}

evd_storage *open_empty(const char *url, evd_options options) {
  evd_storage *storage = open_at(url, options);
  (void)await_count(evd_delete_all(storage));
  return storage;
}

void close_storage(evd_storage *storage) {
  await_ok(evd_storage_close(storage, -1));
}

evd_error open_error(const char *url) {
  return await_error(evd_storage_open(test.loop, url, NULL), EVD_EUNAVAILABLE);
}

static void on_end(struct ev_loop *of, ev_timer *timer, int events) {
  (void)timer;
  (void)events;
  ev_break(of, EVBREAK_ONE);
}

void run_for(double duration) {
  ev_timer timer;
  ev_now_update(test.loop);
  ev_timer_init(&timer, on_end, duration, 0);
  ev_timer_start(test.loop, &timer);
  ev_run(test.loop, 0);
}

void await_lock_wait(struct native *native) {
  do {
    run_for(0.2);
  } while (native_number(native, "select count(*) from information_schema.innodb_trx"
                                 " where trx_state = 'LOCK WAIT';") == 0);
}
