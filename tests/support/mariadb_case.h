/*
 * Tests of the MySQL engine on a server of their own, which they may stop and kill: one for all
 * tests of a program, where EVD_TEST_MYSQL_URL is set. Each test has a loop.
 */
#ifndef SUPPORT_MARIADB_CASE_H
#define SUPPORT_MARIADB_CASE_H

#include <ev.h>
#include <evdurable.h>

#include "support/await.h"
#include "support/check.h"
#include "support/mariadb_server.h"
#include "support/native_sql.h"
#include "support/sample.h"
#include "support/watchdog.h"

struct mariadb_case {
  struct mariadb_server server; /* of all tests */
  struct ev_loop *loop;
};

extern struct mariadb_case test;

#define mariadb_test(function) \
  cmocka_unit_test_setup_teardown(function, mariadb_case_set_up, mariadb_case_tear_down)

int mariadb_case_start(void **state);
int mariadb_case_end(void **state);
int mariadb_case_set_up(void **state);
int mariadb_case_tear_down(void **state);

/* A clock that nobody sets, in seconds. */
double seconds(void);

/* Opens a storage in test mode, which creates the table; with the second, the table is empty. */
evd_storage *open_at(const char *url, evd_options options);
evd_storage *open_empty(const char *url, evd_options options);

void close_storage(evd_storage *storage);

/* The error with which opening fails: EVD_EUNAVAILABLE. */
evd_error open_error(const char *url);

/* Runs the loop for a time in seconds. */
void run_for(double duration);

/* Runs the loop until a session waits for a lock. InnoDB renews what it shows here only when nobody
 * has looked for a moment. */
void await_lock_wait(struct native *native);

#endif
