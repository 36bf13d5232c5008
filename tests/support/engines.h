/*
 * Tests that run once on each engine: SQLite on a file of its own, PostgreSQL and MySQL where the
 * environment says where they are (EVD_TEST_POSTGRES_URL, EVD_TEST_MYSQL_URL); else they are
 * skipped.
 */
#ifndef SUPPORT_ENGINES_H
#define SUPPORT_ENGINES_H

#include <stdbool.h>
#include <stddef.h>

#include "migrate/catalog.h"
#include "migrate/migrate.h"

/* Where the test runs. */
struct engine_case {
  const char *engine; /* as evd_storage_engine() */
  const char *url;
  const char *table; /* a name of its own; the table is dropped after the test, if it is there */
};

extern struct engine_case engine_case;

struct engine_test {
  const char *name;
  void (*run)(void **state);
  const char *engines; /* the names of those that it is for; NULL is all */
};

#define engine_test(function) \
  { #function, function, NULL }
#define engine_test_only(function, engines) \
  { #function, function, engines }

/* Whether the test runs on this engine. */
bool engine_is(const char *name);

/* What the test works with; whatever fails, fails the test. */

struct table_name engine_table(const char *table);
struct sql_client *engine_client(void);

/* The catalog of a table; for catalog_free(). */
struct catalog engine_catalog(const char *table);

/* Migrates a table; its error, whose code is EVD_OK when there is none. */
evd_error engine_try_up(const char *table, struct migrate_options options,
                        struct migrate_result *result);

/* Migrates the test's table; how many steps that took. */
size_t engine_up(struct migrate_options options);

/* A storage in test mode, on suite.loop, which is made for the test. */
evd_storage *engine_open(const char *table, evd_schema_mode schema);
void engine_close(evd_storage *storage);

/* Runs all tests on all engines; returns how many failed. */
int run_on_engines(const struct engine_test *tests, size_t count);

#endif
