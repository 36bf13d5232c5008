/* Operations 16 and 17: deleting, in test mode only. */
#include "suite/suite.h"

static void one_is_deleted_by_id_in_test_mode(void **state) {
  evd_execution rows[2] = {sample_execution("te_1"), sample_execution("te_2")};
  await_ok(evd_insert(suite.storage, rows, 2));
  assert_int_equal(await_count(evd_delete(suite.storage, "te_1")), 1);
  assert_null(suite_get("te_1"));
  suite_expect(&rows[1]);
  assert_int_equal(await_count(evd_delete(suite.storage, "te_1")), 0);
}

static void all_are_deleted_in_test_mode(void **state) {
  evd_execution rows[2] = {sample_execution("te_1"), sample_execution("te_2")};
  await_ok(evd_insert(suite.storage, rows, 2));
  assert_int_equal(await_count(evd_delete_all(suite.storage)), 2);
  assert_null(suite_get("te_1"));
  assert_null(suite_get("te_2"));
  assert_int_equal(await_count(evd_delete_all(suite.storage)), 0);
}

static void deletions_do_nothing_without_test_mode(void **state) {
  suite_close(suite.storage);
  suite.storage = await_storage(evd_storage_open(
      suite.loop, suite.url,
      &(evd_options){.table = suite.table,
                     .schema = suite.framework ? EVD_SCHEMA_CHECK : EVD_SCHEMA_CREATE}));
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  assert_int_equal(await_count(evd_delete(suite.storage, "te_1")), 0);
  assert_int_equal(await_count(evd_delete_all(suite.storage)), 0);
  suite_expect(&row);
}

static void many_are_deleted_by_id_in_one_tick(void **state) {
  enum { ROWS = 50 };
  evd_execution rows[ROWS];
  evd_future *futures[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  for (int i = 0; i < ROWS; i += 2) {
    futures[i] = evd_delete(suite.storage, rows[i].execution_id);
  }
  for (int i = 0; i < ROWS; i += 2) {
    assert_int_equal(await_count(futures[i]), 1);
  }
  for (int i = 0; i < ROWS; i++) {
    assert_true((suite_get(rows[i].execution_id) != NULL) == (i % 2));
  }
}

int delete_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(one_is_deleted_by_id_in_test_mode),
      suite_test(all_are_deleted_in_test_mode),
      suite_test(deletions_do_nothing_without_test_mode),
      suite_test(many_are_deleted_by_id_in_one_tick),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
