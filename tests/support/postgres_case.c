/* The database and the storage of a test. */
#include "support/postgres_case.h"

struct postgres_case test;

void open_with(const char *options, const evd_options *storage_options) {
  evd_options defaults = {.schema = EVD_SCHEMA_CREATE, .test_mode = true};
  const char *url = options[0] != '\0' ? postgres_url_with(test.url, options) : test.url;
  test.storage = await_storage(
      evd_storage_open(test.loop, url, storage_options != NULL ? storage_options : &defaults));
}

void sql(const char *statements) {
  native_run_once(test.url, statements);
}

int64_t number(const char *query) {
  struct native *native = native_open(test.url);
  int64_t result = native_number(native, query);
  native_close(native);
  return result;
}

void insert_sample(const char *id) {
  evd_execution row = sample_execution(id);
  await_ok(evd_insert(test.storage, &row, 1));
}

int postgres_case_set_up(void **state) {
  if (!postgres_is_there()) {
    return 0;
  }
  test.loop = ev_loop_new(EVFLAG_AUTO);
  test.url = postgres_database();
  test.storage = NULL;
  return 0;
}

int postgres_case_tear_down(void **state) {
  if (!postgres_is_there()) {
    return 0;
  }
  if (test.storage != NULL) {
    await_code(evd_storage_close(test.storage, 0));
  }
  ev_run(test.loop, 0); /* for what could not be opened: it closes by itself */
  ev_loop_destroy(test.loop);
  postgres_drop_databases();
  release_kept();
  return 0;
}
