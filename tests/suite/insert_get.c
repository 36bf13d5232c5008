/* Operations 1, 2, 3 and 13: inserting and reading. */
#include "suite/suite.h"

#include <string.h>

static void an_inserted_execution_is_read_back_whole(void **state) {
  evd_execution execution = sample_full("te_full");
  assert_int_equal(await_count(evd_insert(suite.storage, &execution, 1)), 1);
  suite_expect(&execution);
}

static void what_is_null_comes_back_as_null(void **state) {
  evd_execution execution = sample_execution("te_minimal");
  suite_insert(&execution);
  suite_expect(&execution);
}

static void each_column_that_may_be_null_can_be_it_alone(void **state) {
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (!sample_is_nullable(column)) {
      continue;
    }
    evd_execution execution = sample_full(text("te_%d", (int)column));
    sample_clear(&execution, column);
    suite_insert(&execution);
    suite_expect(&execution);
  }
}

static void a_child_of_a_parent_without_root_is_stored_as_given(void **state) {
  evd_execution child = sample_child("te_child", "te_parent", 0);
  child.root_task_id = NULL;
  child.root_execution_id = NULL;
  suite_insert(&child);
  suite_expect(&child);
}

static void one_call_inserts_many(void **state) {
  enum { COUNT = 700 };
  evd_execution *executions = keep_memory(COUNT * sizeof *executions);
  for (int i = 0; i < COUNT; i++) {
    executions[i] = i % 2 ? sample_full(text("te_%03d", i)) : sample_execution(text("te_%03d", i));
  }
  assert_int_equal(await_count(evd_insert(suite.storage, executions, COUNT)), COUNT);
  for (int i = 0; i < COUNT; i += 33) {
    suite_expect(&executions[i]);
  }
  suite_expect(&executions[COUNT - 1]);
}

static void inserting_none_succeeds(void **state) {
  assert_int_equal(await_count(evd_insert(suite.storage, NULL, 0)), 0);
}

static void a_duplicate_id_is_an_error(void **state) {
  evd_execution execution = sample_execution("te_1");
  suite_insert(&execution);
  evd_execution again = sample_full("te_1");
  evd_error error = await_error(evd_insert(suite.storage, &again, 1), EVD_EDUPLICATE);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_false(error.retryable);
  assert_string_equal(error.field, "execution_id");
  suite_expect(&execution);
}

static void a_duplicate_unique_id_is_an_error(void **state) {
  evd_execution execution = sample_sleeping("te_1", "unique");
  suite_insert(&execution);
  evd_execution again = sample_sleeping("te_2", "unique");
  evd_error error = await_error(evd_insert(suite.storage, &again, 1), EVD_EDUPLICATE);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_string_equal(error.field, "sleeping_task_unique_id");
  assert_null(suite_get("te_2"));
  suite_expect(&execution);
}

static void a_duplicate_among_many_inserts_none_of_the_call(void **state) {
  evd_execution there = sample_execution("te_50");
  suite_insert(&there);
  evd_execution executions[100];
  for (int i = 0; i < 100; i++) {
    executions[i] = sample_execution(text("te_%d", i));
  }
  await_error(evd_insert(suite.storage, executions, 100), EVD_EDUPLICATE);
  for (int i = 0; i < 100; i++) {
    assert_true((suite_get(executions[i].execution_id) != NULL) == (i == 50));
  }
}

static void two_of_one_id_in_one_call_insert_nothing(void **state) {
  evd_execution executions[3] = {sample_execution("te_1"), sample_execution("te_2"),
                                 sample_execution("te_1")};
  await_error(evd_insert(suite.storage, executions, 3), EVD_EDUPLICATE);
  assert_null(suite_get("te_1"));
  assert_null(suite_get("te_2"));
}

static void two_of_one_unique_id_in_one_call_insert_nothing(void **state) {
  evd_execution executions[2] = {sample_sleeping("te_1", "unique"),
                                 sample_sleeping("te_2", "unique")};
  await_error(evd_insert(suite.storage, executions, 2), EVD_EDUPLICATE);
  assert_null(suite_get("te_1"));
  assert_null(suite_get("te_2"));
}

static void many_executions_may_have_no_unique_id(void **state) {
  evd_execution executions[2] = {sample_execution("te_1"), sample_execution("te_2")};
  assert_int_equal(await_count(evd_insert(suite.storage, executions, 2)), 2);
}

static void an_unknown_id_is_no_row_and_no_error(void **state) {
  evd_execution execution = sample_execution("te_1");
  suite_insert(&execution);
  assert_null(await_row(evd_get(suite.storage, "te_2", NULL)));
}

static void the_rows_and_count_of_a_get_are_its_row(void **state) {
  evd_execution execution = sample_execution("te_1");
  suite_insert(&execution);
  size_t count;
  const evd_execution *rows = await_rows(evd_get(suite.storage, "te_1", NULL), &count);
  assert_int_equal(count, 1);
  expect_row(rows, &execution);
  await_rows(evd_get(suite.storage, "te_2", NULL), &count);
  assert_int_equal(count, 0);
}

static void a_sleeping_task_is_found_by_its_unique_id(void **state) {
  evd_execution executions[3] = {sample_sleeping("te_1", "unique 1"),
                                 sample_sleeping("te_2", "unique 2"), sample_execution("te_3")};
  await_ok(evd_insert(suite.storage, executions, 3));
  const evd_execution *row =
      await_row(evd_get_by_sleeping_task_unique_id(suite.storage, "unique 2"));
  expect_row(row, &executions[1]);
  assert_null(await_row(evd_get_by_sleeping_task_unique_id(suite.storage, "unique 3")));
  assert_null(await_row(evd_get_by_sleeping_task_unique_id(suite.storage, "te_1")));
}

static void the_children_of_a_parent_come_in_their_order(void **state) {
  evd_execution executions[] = {
      sample_child("te_d", "te_parent", 2),
      sample_child("te_c", "te_parent", 0),
      sample_child("te_b", "te_parent", 1),
      sample_child("te_a", "te_parent", 1),
      sample_child("te_e", "te_another", 0),
      sample_execution("te_parent"),
      sample_execution("te_f"),
  };
  static const int order[] = {1, 3, 2, 0};
  await_ok(evd_insert(suite.storage, executions, 7));
  size_t count;
  const evd_execution *rows = await_rows(evd_get_by_parent(suite.storage, "te_parent"), &count);
  assert_int_equal(count, 4);
  for (size_t i = 0; i < count; i++) {
    expect_row(&rows[i], &executions[order[i]]);
  }
}

static void a_parent_without_children_has_no_rows(void **state) {
  evd_execution execution = sample_execution("te_parent");
  suite_insert(&execution);
  size_t count = 1;
  await_rows(evd_get_by_parent(suite.storage, "te_parent"), &count);
  assert_int_equal(count, 0);
}

static void children_of_several_parents_are_kept_apart_in_one_tick(void **state) {
  enum { PARENTS = 30, CHILDREN = 7 };
  evd_execution executions[PARENTS * CHILDREN];
  for (int i = 0; i < PARENTS * CHILDREN; i++) {
    executions[i] =
        sample_child(text("te_%03d", i), text("te_parent_%d", i % PARENTS), i / PARENTS);
  }
  await_ok(evd_insert(suite.storage, executions, PARENTS * CHILDREN));
  evd_future *futures[PARENTS];
  for (int i = 0; i < PARENTS; i++) {
    futures[i] = evd_get_by_parent(suite.storage, text("te_parent_%d", i));
  }
  for (int i = 0; i < PARENTS; i++) {
    size_t count;
    const evd_execution *rows = await_rows(futures[i], &count);
    assert_int_equal(count, CHILDREN);
    for (int j = 0; j < CHILDREN; j++) {
      expect_row(&rows[j], &executions[j * PARENTS + i]);
    }
  }
}

static void strings_need_not_outlive_the_call(void **state) {
  char id[] = "te_1", task[] = "task", input[] = "{\"a\":1}", unique[] = "unique";
  evd_execution execution = sample_sleeping(id, unique);
  execution.task_id = task;
  execution.input = input;
  evd_execution expected = sample_sleeping("te_1", "unique");
  expected.task_id = "task";
  expected.input = "{\"a\":1}";
  evd_future *inserted = evd_insert(suite.storage, &execution, 1);
  memset(id, 'x', sizeof id - 1);
  memset(task, 'x', sizeof task - 1);
  memset(input, 'x', sizeof input - 1);
  memset(unique, 'x', sizeof unique - 1);
  memset(&execution, 0, sizeof execution);
  await_ok(inserted);

  char wanted[] = "te_1";
  evd_future *got = evd_get(suite.storage, wanted, NULL);
  memset(wanted, 'x', sizeof wanted - 1);
  expect_row(await_row(got), &expected);
}

int insert_get_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(an_inserted_execution_is_read_back_whole),
      suite_test(what_is_null_comes_back_as_null),
      suite_test(each_column_that_may_be_null_can_be_it_alone),
      suite_test(a_child_of_a_parent_without_root_is_stored_as_given),
      suite_test(one_call_inserts_many),
      suite_test(inserting_none_succeeds),
      suite_test(a_duplicate_id_is_an_error),
      suite_test(a_duplicate_unique_id_is_an_error),
      suite_test(a_duplicate_among_many_inserts_none_of_the_call),
      suite_test(two_of_one_id_in_one_call_insert_nothing),
      suite_test(two_of_one_unique_id_in_one_call_insert_nothing),
      suite_test(many_executions_may_have_no_unique_id),
      suite_test(an_unknown_id_is_no_row_and_no_error),
      suite_test(the_rows_and_count_of_a_get_are_its_row),
      suite_test(a_sleeping_task_is_found_by_its_unique_id),
      suite_test(the_children_of_a_parent_come_in_their_order),
      suite_test(a_parent_without_children_has_no_rows),
      suite_test(children_of_several_parents_are_kept_apart_in_one_tick),
      suite_test(strings_need_not_outlive_the_call),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
