/* Batches: merged reads, limits, and one request's failure kept from its neighbours. */
#include "suite/suite.h"

static evd_operation_stats stats_of(evd_operation operation) {
  evd_stats stats;
  evd_storage_stats(suite.storage, &stats);
  return stats.operations[operation];
}

static void requests_of_one_tick_travel_together(void **state) {
  evd_future *futures[100];
  for (int i = 0; i < 100; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    futures[i] = evd_insert(suite.storage, &row, 1);
  }
  for (int i = 0; i < 100; i++) {
    await_ok(futures[i]);
  }
  evd_operation_stats stats = stats_of(EVD_OPERATION_INSERT);
  assert_int_equal(stats.requests, 100);
  assert_int_equal(stats.batched, 100);
  expect(stats.batches <= 10, "%d batches", (int)stats.batches);
}

static void equal_reads_of_one_tick_are_one_read(void **state) {
  evd_execution row = sample_sleeping("te_1", "unique");
  suite_insert(&row);
  evd_future *gets[10], *by_unique[10], *by_parent[10];
  for (int i = 0; i < 10; i++) {
    gets[i] = evd_get(suite.storage, "te_1", NULL);
    by_unique[i] = evd_get_by_sleeping_task_unique_id(suite.storage, "unique");
    by_parent[i] = evd_get_by_parent(suite.storage, "te_1");
  }
  for (int i = 0; i < 10; i++) {
    size_t count;
    expect_row(await_row(gets[i]), &row);
    expect_row(await_row(by_unique[i]), &row);
    await_rows(by_parent[i], &count);
    assert_int_equal(count, 0);
  }
  static const evd_operation reads[] = {
      EVD_OPERATION_GET, EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID, EVD_OPERATION_GET_BY_PARENT};
  for (int i = 0; i < 3; i++) {
    evd_operation_stats stats = stats_of(reads[i]);
    assert_int_equal(stats.requests, 10);
    assert_int_equal(stats.merged, 9);
    assert_int_equal(stats.batches, 1);
    assert_int_equal(stats.pending, 0);
  }
}

/* More than are merged into one: several equal ones are in a batch. */
static void each_of_many_equal_reads_of_one_tick_has_each_row_once(void **state) {
  enum { READS = 200, CHILDREN = 3 };
  evd_execution parent = sample_sleeping("te_parent", "unique");
  evd_execution children[CHILDREN];
  suite_insert(&parent);
  for (int i = 0; i < CHILDREN; i++) {
    children[i] = sample_child(text("te_%d", i), "te_parent", i);
  }
  await_ok(evd_insert(suite.storage, children, CHILDREN));
  evd_future *gets[READS], *by_unique[READS], *by_parent[READS];
  for (int i = 0; i < READS; i++) {
    gets[i] = evd_get(suite.storage, "te_parent", NULL);
    by_unique[i] = evd_get_by_sleeping_task_unique_id(suite.storage, "unique");
    by_parent[i] = evd_get_by_parent(suite.storage, "te_parent");
  }
  for (int i = 0; i < READS; i++) {
    size_t count;
    expect_row(await_row(gets[i]), &parent);
    expect_row(await_row(by_unique[i]), &parent);
    const evd_execution *rows = await_rows(by_parent[i], &count);
    assert_int_equal(count, CHILDREN);
    for (int j = 0; j < CHILDREN; j++) {
      expect_row(&rows[j], &children[j]);
    }
  }
}

static void reads_with_other_filters_are_not_merged(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  evd_future *futures[] = {
      evd_get(suite.storage, "te_1", NULL),
      evd_get(suite.storage, "te_1", &(evd_filter){.status = EVD_STATUS_RUNNING}),
      evd_get(suite.storage, "te_1", &(evd_filter){.is_finished = EVD_NO}),
      evd_get(suite.storage, "te_1", &(evd_filter){.is_finished = EVD_YES}),
      evd_get(suite.storage, "te_1", &(evd_filter){0}),
  };
  static const bool found[] = {true, false, true, false, true};
  for (int i = 0; i < 5; i++) {
    assert_true((await_row(futures[i]) != NULL) == found[i]);
  }
  assert_int_equal(stats_of(EVD_OPERATION_GET).merged, 1);
}

static void a_read_after_a_write_in_a_later_tick_sees_it(void **state) {
  for (int i = 0; i < 20; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    evd_future *before = evd_get(suite.storage, row.execution_id, NULL);
    (void)await_row(before);
    suite_insert(&row);
    suite_expect(&row);
  }
}

static void one_duplicate_among_256_inserts_fails_alone(void **state) {
  evd_execution there = sample_execution("te_100");
  suite_insert(&there);
  evd_future *futures[256];
  for (int i = 0; i < 256; i++) {
    evd_execution row = sample_full(text("te_%d", i));
    futures[i] = evd_insert(suite.storage, &row, 1);
  }
  for (int i = 0; i < 256; i++) {
    if (i == 100) {
      evd_error error = await_error(futures[i], EVD_EDUPLICATE);
      assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
      assert_string_equal(error.field, "execution_id");
    } else {
      await_ok(futures[i]);
      assert_non_null(suite_get(text("te_%d", i)));
    }
  }
  suite_expect(&there);
  assert_int_equal(stats_of(EVD_OPERATION_INSERT).failures, 1);
}

static void many_duplicates_among_inserts_of_several_rows_fail_alone(void **state) {
  enum { CALLS = 100 };
  evd_future *futures[CALLS];
  for (int i = 0; i < CALLS; i += 9) {
    evd_execution there = sample_execution(text("te_%d_1", i));
    suite_insert(&there);
  }
  for (int i = 0; i < CALLS; i++) {
    evd_execution rows[3];
    for (int j = 0; j < 3; j++) {
      rows[j] = sample_full(text("te_%d_%d", i, j));
    }
    futures[i] = evd_insert(suite.storage, rows, 3);
  }
  for (int i = 0; i < CALLS; i++) {
    bool good = i % 9 != 0;
    assert_int_equal(await_code(futures[i]), good ? EVD_OK : EVD_EDUPLICATE);
    assert_true((suite_get(text("te_%d_0", i)) != NULL) == good);
    assert_true((suite_get(text("te_%d_2", i)) != NULL) == good);
  }
}

static void of_two_inserts_of_one_id_in_a_tick_one_succeeds(void **state) {
  evd_execution rows[2] = {sample_execution("te_1"), sample_full("te_1")};
  evd_future *futures[2];
  for (int i = 0; i < 2; i++) {
    futures[i] = evd_insert(suite.storage, &rows[i], 1);
  }
  evd_code codes[2] = {await_code(futures[0]), await_code(futures[1])};
  assert_true((codes[0] == EVD_OK) != (codes[1] == EVD_OK));
  assert_true(codes[0] == EVD_EDUPLICATE || codes[1] == EVD_EDUPLICATE);
  suite_expect(codes[0] == EVD_OK ? &rows[0] : &rows[1]);
}

/* A bit of everything at once, for the tests of limits. */
static void do_a_bit_of_everything(void) {
  enum { ROWS = 60 };
  evd_execution rows[ROWS];
  evd_future *inserted[ROWS], *updated[ROWS], *got[ROWS], *claims[6];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_child(text("te_%02d", i), "te_parent", i);
    inserted[i] = evd_insert(suite.storage, &rows[i], 1);
  }
  for (int i = 0; i < ROWS; i++) {
    await_ok(inserted[i]);
  }
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  for (int i = 0; i < 6; i++) {
    claims[i] = evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME + 100), &changes, 10);
  }
  size_t claimed = 0;
  for (int i = 0; i < 6; i++) {
    size_t count;
    await_rows(claims[i], &count);
    claimed += count;
  }
  assert_int_equal(claimed, ROWS);
  evd_changes finish = sample_changes(EVD_STATUS_COMPLETED);
  for (int i = 0; i < ROWS; i++) {
    updated[i] = evd_update(suite.storage, rows[i].execution_id,
                            &(evd_filter){.status = EVD_STATUS_RUNNING}, &finish);
  }
  for (int i = 0; i < ROWS; i++) {
    assert_true(await_matched(updated[i]));
  }
  for (int i = 0; i < ROWS; i++) {
    got[i] = evd_get(suite.storage, rows[i].execution_id, NULL);
  }
  for (int i = 0; i < ROWS; i++) {
    assert_int_equal(await_row(got[i])->status, EVD_STATUS_COMPLETED);
  }
}

static void batching_can_be_switched_off(void **state) {
  suite_reopen((evd_options){.batch_max_requests = 1});
  do_a_bit_of_everything();
  for (evd_operation operation = 0; operation < EVD_OPERATION_COUNT; operation++) {
    assert_true(stats_of(operation).batch_max <= 1);
  }
  assert_int_equal(stats_of(EVD_OPERATION_INSERT).batches, 60);
}

static void batches_keep_to_their_limit_of_requests(void **state) {
  suite_reopen((evd_options){.batch_max_requests = 7});
  do_a_bit_of_everything();
  for (evd_operation operation = 0; operation < EVD_OPERATION_COUNT; operation++) {
    assert_true(stats_of(operation).batch_max <= 7);
  }
  assert_true(stats_of(EVD_OPERATION_INSERT).batches >= 9);
}

static void batches_keep_to_their_limit_of_bytes(void **state) {
  suite_reopen((evd_options){.batch_max_bytes = 5000});
  do_a_bit_of_everything();
  assert_true(stats_of(EVD_OPERATION_INSERT).batches >= 3);
  evd_execution large = sample_execution("te_large");
  large.input = text("\"%020000d\"", 0);
  suite_insert(&large);
  suite_expect(&large);
}

int batching_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(requests_of_one_tick_travel_together),
      suite_test(equal_reads_of_one_tick_are_one_read),
      suite_test(each_of_many_equal_reads_of_one_tick_has_each_row_once),
      suite_test(reads_with_other_filters_are_not_merged),
      suite_test(a_read_after_a_write_in_a_later_tick_sees_it),
      suite_test(one_duplicate_among_256_inserts_fails_alone),
      suite_test(many_duplicates_among_inserts_of_several_rows_fail_alone),
      suite_test(of_two_inserts_of_one_id_in_a_tick_one_succeeds),
      suite_test(batching_can_be_switched_off),
      suite_test(batches_keep_to_their_limit_of_requests),
      suite_test(batches_keep_to_their_limit_of_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
