/*
 * Tests of the MySQL engine without the rooms above it: each has a database of its own with an
 * empty table, an engine on it and a session beside it, on the server of EVD_TEST_MYSQL_URL.
 */
#ifndef SUPPORT_MYSQL_CASE_H
#define SUPPORT_MYSQL_CASE_H

#include <ev.h>
#include <evdurable.h>

#include "support/check.h"
#include "support/engine_driver.h"
#include "support/mariadb_server.h"
#include "support/native_sql.h"
#include "support/sample.h"
#include "support/watchdog.h"

/* What a test works with, once it has opened it. */
struct mysql_case {
  struct driver driver;
  const char *url;
  struct native *native;
};

extern struct mysql_case test;

#define mysql_test(function) cmocka_unit_test_teardown(function, mysql_case_tear_down)

int mysql_case_tear_down(void **state);

/* Opens all three, the engine with further URL options; open_all() with one connection. */
void open_with(const char *options);
void open_all(void);

/* Runs the loop until the engine takes a batch. */
void wait_for_capacity(void);

/* Runs the loop until the engine's session waits for a lock. InnoDB renews what it shows here only
 * when nobody has looked for a moment. */
void await_lock_wait(void);

/* A claim of at most one row that is ready. */
struct request claiming(const evd_changes *changes);

/* Inserts samples with these ids. */
void insert_ids(const char *const *ids, size_t count);
void insert_id(const char *id);

evd_status status_of(const char *id);

/* The number of the engine's connection, for KILL. */
int64_t engine_session(void);

void kill_engine_session(void);

/* Kills the engine's connection, and waits for the next. */
void replace_connection(void);

bool is_mariadb(void);

#endif
