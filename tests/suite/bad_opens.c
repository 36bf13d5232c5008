/* Opening a storage: bad URLs and options, databases that are not there, tables that do not fit. */
#include "suite/suite.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "suite/framework_table.h"

static evd_error open_fails_at(const char *url, const evd_options *options, evd_code code,
                               const char *file, int line) {
  return await_error_at(evd_storage_open(suite.loop, url, options), code, file, line);
}

#define open_fails(url, options, code) open_fails_at((url), (options), (code), __FILE__, __LINE__)

static void a_url_that_is_none_is_refused(void **state) {
  static const char *const urls[] = {NULL,  "",       "nonsense", "http://example.org/",
                                     "://", "sqlite", "oracle:x"};
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
    evd_error error = open_fails(urls[i], NULL, EVD_EINVAL);
    assert_string_equal(error.field, "url");
  }
}

static void a_url_that_does_not_parse_is_refused(void **state) {
  static const char *const sqlite[] = {"sqlite:", NULL};
  static const char *const postgres[] = {"postgresql://[::1", "postgresql://localhost/%zz",
                                         "postgresql://localhost/x?nonsense=1", NULL};
  static const char *const mysql[] = {"mysql://", "mysql://localhost:0x/db", "mysql://h:99999/db",
                                      "mysql://localhost/%zz", NULL};
  const char *const *urls = strcmp(suite.engine, "sqlite") == 0     ? sqlite
                            : strcmp(suite.engine, "postgres") == 0 ? postgres
                                                                    : mysql;
  for (; *urls != NULL; urls++) {
    evd_error error = open_fails(*urls, NULL, EVD_EINVAL);
    assert_string_equal(error.field, "url");
  }
}

static void a_database_that_is_not_there_is_unavailable(void **state) {
  const char *url = strcmp(suite.engine, "sqlite") == 0     ? "sqlite:/nowhere/at/all/x.db"
                    : strcmp(suite.engine, "postgres") == 0 ? "postgresql://u:secret@127.0.0.1:1/x"
                                                            : "mysql://u:secret@127.0.0.1:1/x";
  evd_error error = open_fails(url, NULL, EVD_EUNAVAILABLE);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_null(strstr(error.message, "secret"));
  bool says_where = strstr(error.message, "/nowhere/at/all/x.db") != NULL ||
                    strstr(error.message, "127.0.0.1") != NULL;
  expect(says_where, "where? %s", error.message);
}

static void a_table_name_that_is_no_identifier_is_refused(void **state) {
  const char *names[] = {"",
                         "1a",
                         "a b",
                         "a-b",
                         "a\"b",
                         "a`b",
                         "a'b",
                         "a;drop table x",
                         "a.b.c",
                         ".a",
                         "a.",
                         "\xc3\xa4",
                         "a\n",
                         text("%0*d", 64, 0),
                         text("a%0*d", 63, 0)};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    evd_options options = {.table = names[i], .schema = EVD_SCHEMA_CREATE};
    evd_error error = open_fails(suite.url, &options, EVD_EINVAL);
    assert_string_equal(error.field, "table");
  }
}

static void options_out_of_range_are_refused(void **state) {
  const struct {
    const char *field;
    evd_options options;
  } wrong[] = {
      {"schema", {.schema = (evd_schema_mode)99}},
      {"log_level", {.log_level = (evd_log_level)5}},
      {"operation_timeout_ms", {.operation_timeout_ms = -2}},
      {"conflict_retries_max", {.conflict_retries_max = -2}},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    evd_error error = open_fails(suite.url, &wrong[i].options, EVD_EINVAL);
    assert_string_equal(error.field, wrong[i].field);
  }
}

static void a_table_that_is_missing_is_named(void **state) {
  evd_options options = {.table = "suite_no_such_table"};
  evd_error error = open_fails(suite.url, &options, EVD_ESCHEMA);
  expect(strstr(error.message, "suite_no_such_table"), "no name in: %s", error.message);
  assert_false(error.retryable);
}

static void a_table_that_lacks_a_column_has_it_named(void **state) {
  suite_needs_shared();
  static const evd_column missing[] = {evd_column_run_output, evd_column_root_task_id,
                                       evd_column_updated_at};
  for (int i = 0; i < 3; i++) {
    const char *table = text("%s_lacking", suite.table);
    framework_table_make(table, missing[i]);
    for (evd_schema_mode mode = EVD_SCHEMA_CHECK; mode <= EVD_SCHEMA_CREATE; mode++) {
      evd_options options = {.table = table, .schema = mode};
      evd_error error = open_fails(suite.url, &options, EVD_ESCHEMA);
      expect(strstr(error.message, evd_column_name(missing[i])), "no column in: %s", error.message);
    }
    framework_table_drop(table);
  }
}

static void a_table_is_made_once_and_found_again(void **state) {
  suite_needs_shared();
  const char *table = text("%s_made", suite.table);
  evd_options create = {.table = table, .schema = EVD_SCHEMA_CREATE, .test_mode = true};
  evd_options check = {.table = table, .schema = EVD_SCHEMA_CHECK, .test_mode = true};
  evd_options skip_check = {.table = table, .schema = EVD_SCHEMA_SKIP, .test_mode = true};
  const evd_options *all[] = {&create, &create, &check, &skip_check};
  evd_execution row = sample_full("te_1");
  for (int i = 0; i < 4; i++) {
    evd_storage *storage = await_storage(evd_storage_open(suite.loop, suite.url, all[i]));
    if (i == 0) {
      await_ok(evd_insert(storage, &row, 1));
    }
    expect_row(await_row(evd_get(storage, "te_1", NULL)), &row);
    suite_close(storage);
  }
  framework_table_drop(table);
}

static void storages_that_make_the_table_at_once_all_open(void **state) {
  suite_needs_shared();
  const char *table = text("%s_at_once", suite.table);
  evd_options create = {.table = table, .schema = EVD_SCHEMA_CREATE};
  evd_future *opening[6];
  for (int i = 0; i < 6; i++) {
    opening[i] = evd_storage_open(suite.loop, suite.url, &create);
  }
  for (int i = 0; i < 6; i++) {
    suite_close(await_storage(opening[i]));
  }
  framework_table_drop(table);
}

static void the_longest_table_name_works(void **state) {
  suite_needs_shared();
  const char *table = text("suite_%042d", (int)getpid());
  evd_options create = {.table = table, .schema = EVD_SCHEMA_CREATE};
  evd_storage *storage = await_storage(evd_storage_open(suite.loop, suite.url, &create));
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  suite_close(storage);
  framework_table_drop(table);
}

static void opening_can_be_cancelled(void **state) {
  evd_future *opening = keep_future(evd_storage_open(
      suite.loop, suite.url, &(evd_options){.table = suite.table, .schema = EVD_SCHEMA_SKIP}));
  evd_future_cancel(opening);
  assert_int_equal(evd_future_await(opening), EVD_ECANCELED);
  assert_int_equal(evd_future_error(opening)->outcome, EVD_OUTCOME_NOT_APPLIED);
  ev_run(suite.loop, 0);
}

static void what_a_cancelled_opening_did_to_the_table_is_not_known(void **state) {
  static const evd_schema_mode modes[] = {EVD_SCHEMA_CREATE, EVD_SCHEMA_MIGRATE};
  if (suite.framework) {
    skip(); /* its table stays as it is */
  }
  for (int i = 0; i < 2; i++) {
    evd_options options = {.table = suite.table, .schema = modes[i]};
    evd_future *opening = keep_future(evd_storage_open(suite.loop, suite.url, &options));
    evd_future_cancel(opening);
    assert_int_equal(evd_future_code(opening), EVD_ECANCELED);
    assert_int_equal(evd_future_error(opening)->outcome, EVD_OUTCOME_UNKNOWN);
    ev_run(suite.loop, 0);
  }
}

/* A server that takes connections and says nothing. */
static int listen_silently(int *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listening = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(listening, (struct sockaddr *)&address, size), 0);
  assert_int_equal(listen(listening, 10), 0);
  assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &size), 0);
  *port = ntohs(address.sin_port);
  return listening;
}

static void a_cancelled_opening_does_not_hold_the_loop(void **state) {
  suite_needs_shared();
  bool is_sqlite = strcmp(suite.engine, "sqlite") == 0;
  const char *url = suite.url;
  int port, listening = -1;
  if (is_sqlite) {
    url = text("%s%cbusy_timeout=1000000", url, strchr(url, '?') != NULL ? '&' : '?');
    suite_lock("true"); /* which making the table waits for */
  } else {
    listening = listen_silently(&port);
    url = text("%s://u:secret@127.0.0.1:%d/x?connect_timeout=1000",
               strcmp(suite.engine, "postgres") == 0 ? "postgresql" : "mysql", port);
  }
  evd_options create = {.table = suite.table, .schema = EVD_SCHEMA_CREATE};
  evd_future *opening = keep_future(evd_storage_open(suite.loop, url, &create));
  suite_run_loop(0.1);
  assert_int_equal(evd_future_code(opening), EVD_EPENDING);
  evd_future_cancel(opening);
  ev_run(suite.loop, 0); /* the watchdog is sooner than the end of the wait */
  assert_int_equal(evd_future_code(opening), EVD_ECANCELED);
  if (listening >= 0) {
    close(listening);
  }
}

static void opening_that_nobody_waits_for_closes_again(void **state) {
  evd_future_release(evd_storage_open(
      suite.loop, suite.url, &(evd_options){.table = suite.table, .schema = EVD_SCHEMA_SKIP}));
  ev_run(suite.loop, 0);
}

int bad_opens_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_url_that_is_none_is_refused),
      suite_test(a_url_that_does_not_parse_is_refused),
      suite_test(a_database_that_is_not_there_is_unavailable),
      suite_test(a_table_name_that_is_no_identifier_is_refused),
      suite_test(options_out_of_range_are_refused),
      suite_test(a_table_that_is_missing_is_named),
      suite_test(a_table_that_lacks_a_column_has_it_named),
      suite_test(a_table_is_made_once_and_found_again),
      suite_test(storages_that_make_the_table_at_once_all_open),
      suite_test(the_longest_table_name_works),
      suite_test(opening_can_be_cancelled),
      suite_test(what_a_cancelled_opening_did_to_the_table_is_not_known),
      suite_test(a_cancelled_opening_does_not_hold_the_loop),
      suite_test(opening_that_nobody_waits_for_closes_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
