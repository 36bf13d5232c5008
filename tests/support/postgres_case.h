/*
 * Tests of the PostgreSQL engine: each has a loop, a database of its own and a storage on it, on
 * the server of EVD_TEST_POSTGRES_URL.
 */
#ifndef SUPPORT_POSTGRES_CASE_H
#define SUPPORT_POSTGRES_CASE_H

#include <ev.h>

#include "support/await.h"
#include "support/check.h"
#include "support/native_sql.h"
#include "support/postgres_server.h"
#include "support/sample.h"

/* What a test works with. */
struct postgres_case {
  struct ev_loop *loop;
  const char *url;
  evd_storage *storage; /* NULL until the test opens it; closed after the test */
};

extern struct postgres_case test;

#define postgres_test(function) \
  cmocka_unit_test_setup_teardown(function, postgres_case_set_up, postgres_case_tear_down)

int postgres_case_set_up(void **state);
int postgres_case_tear_down(void **state);

/* Opens the storage with further URL options ("" for none); NULL: in test mode, and creates the
 * table. */
void open_with(const char *options, const evd_options *storage_options);

/* Runs statements past the storage. */
void sql(const char *statements);

/* The first column of the first row of a query. */
int64_t number(const char *query);

/* Inserts a sample_execution(). */
void insert_sample(const char *id);

#endif
