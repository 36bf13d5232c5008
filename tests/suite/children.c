/* Operation 5: updating one by id and inserting its children, in one transaction. */
#include "suite/suite.h"

/* A running parent, inserted. */
static evd_execution insert_parent(const char *id) {
  evd_execution parent = sample_execution(id);
  parent.status = EVD_STATUS_RUNNING;
  suite_insert(&parent);
  return parent;
}

/* What a parent with so many children becomes. */
static evd_changes waiting(int32_t children) {
  evd_changes changes = sample_changes(EVD_STATUS_WAITING_FOR_CHILDREN);
  evd_set(&changes, active_children_count, children);
  evd_unset(&changes, expires_at);
  return changes;
}

static evd_future *update_and_insert(const char *parent_id, const evd_changes *changes,
                                     const evd_execution *children, size_t count) {
  return evd_update_and_insert_children(suite.storage, parent_id,
                                        &(evd_filter){.status = EVD_STATUS_RUNNING}, changes,
                                        children, count);
}

static void a_matched_parent_is_updated_and_its_children_inserted(void **state) {
  evd_execution parent = insert_parent("te_parent");
  evd_execution children[3] = {sample_child("te_0", "te_parent", 0), sample_full("te_1"),
                               sample_sleeping("te_2", "unique")};
  evd_changes changes = waiting(3);
  assert_true(await_matched(update_and_insert("te_parent", &changes, children, 3)));
  sample_apply(&parent, &changes);
  suite_expect(&parent);
  for (int i = 0; i < 3; i++) {
    suite_expect(&children[i]);
  }
}

static void a_parent_that_the_filter_refuses_gets_no_children(void **state) {
  evd_execution parent = sample_execution("te_parent");
  suite_insert(&parent);
  evd_execution child = sample_child("te_child", "te_parent", 0);
  evd_changes changes = waiting(1);
  assert_false(await_matched(update_and_insert("te_parent", &changes, &child, 1)));
  suite_expect(&parent);
  assert_null(suite_get("te_child"));
}

static void an_unknown_parent_gets_no_children(void **state) {
  evd_execution child = sample_child("te_child", "te_parent", 0);
  evd_changes changes = waiting(1);
  assert_false(await_matched(
      evd_update_and_insert_children(suite.storage, "te_parent", NULL, &changes, &child, 1)));
  assert_null(suite_get("te_child"));
}

static void without_children_it_is_an_update(void **state) {
  evd_execution parent = insert_parent("te_parent");
  evd_changes changes = waiting(0);
  assert_true(await_matched(update_and_insert("te_parent", &changes, NULL, 0)));
  sample_apply(&parent, &changes);
  suite_expect(&parent);
  assert_false(await_matched(update_and_insert("te_parent", &changes, NULL, 0)));
}

static void a_duplicate_among_the_children_undoes_the_update(void **state) {
  evd_execution parent = insert_parent("te_parent");
  evd_execution there = sample_execution("te_1");
  suite_insert(&there);
  evd_execution children[3];
  for (int i = 0; i < 3; i++) {
    children[i] = sample_child(text("te_%d", i), "te_parent", i);
  }
  evd_changes changes = waiting(3);
  evd_error error =
      await_error(update_and_insert("te_parent", &changes, children, 3), EVD_EDUPLICATE);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  suite_expect(&parent);
  suite_expect(&there);
  assert_null(suite_get("te_0"));
  assert_null(suite_get("te_2"));
}

static void two_children_of_one_id_undo_the_update(void **state) {
  evd_execution parent = insert_parent("te_parent");
  evd_execution children[2] = {sample_child("te_0", "te_parent", 0),
                               sample_child("te_0", "te_parent", 1)};
  evd_changes changes = waiting(2);
  await_error(update_and_insert("te_parent", &changes, children, 2), EVD_EDUPLICATE);
  suite_expect(&parent);
  assert_null(suite_get("te_0"));
}

static void a_child_with_its_parents_id_undoes_the_update(void **state) {
  evd_execution parent = insert_parent("te_parent");
  evd_execution child = sample_child("te_parent", "te_parent", 0);
  evd_changes changes = waiting(1);
  await_error(update_and_insert("te_parent", &changes, &child, 1), EVD_EDUPLICATE);
  suite_expect(&parent);
}

static void duplicate_children_of_a_refused_parent_do_not_matter(void **state) {
  evd_execution parent = sample_execution("te_parent");
  evd_execution there = sample_execution("te_child");
  suite_insert(&parent);
  suite_insert(&there);
  evd_execution child = sample_child("te_child", "te_parent", 0);
  evd_changes changes = waiting(1);
  assert_false(await_matched(update_and_insert("te_parent", &changes, &child, 1)));
  suite_expect(&parent);
  suite_expect(&there);
}

static void a_bad_child_is_refused_by_its_field_and_changes_nothing(void **state) {
  evd_execution parent = insert_parent("te_parent");
  evd_execution children[2] = {sample_child("te_0", "te_parent", 0),
                               sample_child("te_1", "te_parent", 1)};
  children[1].input = "{not json";
  evd_changes changes = waiting(2);
  evd_error error = await_error(update_and_insert("te_parent", &changes, children, 2), EVD_EINVAL);
  assert_string_equal(error.field, "input");
  suite_expect(&parent);
  assert_null(suite_get("te_0"));
}

static void a_parent_may_have_a_thousand_children(void **state) {
  enum { CHILDREN = 1000 };
  insert_parent("te_parent");
  evd_execution *children = keep_memory(CHILDREN * sizeof *children);
  for (int i = 0; i < CHILDREN; i++) {
    children[i] = sample_child(text("te_%d", i), "te_parent", i);
  }
  evd_changes changes = waiting(CHILDREN);
  assert_true(await_matched(update_and_insert("te_parent", &changes, children, CHILDREN)));
  size_t count;
  const evd_execution *rows = await_rows(evd_get_by_parent(suite.storage, "te_parent"), &count);
  assert_int_equal(count, CHILDREN);
  for (int i = 0; i < CHILDREN; i++) {
    expect_row(&rows[i], &children[i]);
  }
}

/* Many parents in one tick: some refused by the filter, some whose children are duplicates. */
static void parents_in_one_tick_do_not_harm_each_other(void **state) {
  enum { PARENTS = 60, CHILDREN = 3 };
  evd_execution parents[PARENTS];
  evd_future *futures[PARENTS];
  evd_execution there = sample_execution("te_there");
  suite_insert(&there);
  for (int i = 0; i < PARENTS; i++) {
    parents[i] = sample_execution(text("te_parent_%d", i));
    parents[i].status = i % 5 ? EVD_STATUS_RUNNING : EVD_STATUS_CANCELLED;
  }
  await_ok(evd_insert(suite.storage, parents, PARENTS));
  for (int i = 0; i < PARENTS; i++) {
    evd_execution children[CHILDREN];
    for (int j = 0; j < CHILDREN; j++) {
      children[j] = sample_child(text("te_%d_%d", i, j), parents[i].execution_id, j);
    }
    if (i % 7 == 3) {
      children[1].execution_id = "te_there";
    }
    evd_changes changes = waiting(i);
    futures[i] = update_and_insert(parents[i].execution_id, &changes, children, CHILDREN);
  }
  for (int i = 0; i < PARENTS; i++) {
    bool inserted = i % 5 && i % 7 != 3;
    if (i % 5 && !inserted) {
      await_error(futures[i], EVD_EDUPLICATE);
    } else {
      assert_true(await_matched(futures[i]) == inserted);
    }
    evd_changes changes = waiting(i);
    if (inserted) {
      sample_apply(&parents[i], &changes);
    }
    suite_expect(&parents[i]);
    size_t count;
    await_rows(evd_get_by_parent(suite.storage, parents[i].execution_id), &count);
    assert_int_equal(count, inserted ? CHILDREN : 0);
  }
}

static void two_parents_with_the_same_child_in_one_tick_have_it_once(void **state) {
  insert_parent("te_a");
  insert_parent("te_b");
  evd_execution child_of_a = sample_child("te_child", "te_a", 0);
  evd_execution child_of_b = sample_child("te_child", "te_b", 0);
  evd_changes changes = waiting(1);
  evd_future *first = update_and_insert("te_a", &changes, &child_of_a, 1);
  evd_future *second = update_and_insert("te_b", &changes, &child_of_b, 1);
  evd_code codes[2] = {await_code(first), await_code(second)};
  assert_true((codes[0] == EVD_OK) != (codes[1] == EVD_OK));
  assert_true(codes[0] == EVD_EDUPLICATE || codes[1] == EVD_EDUPLICATE);
  suite_expect(codes[0] == EVD_OK ? &child_of_a : &child_of_b);
  assert_int_equal(suite_get("te_a")->active_children_count, codes[0] == EVD_OK);
  assert_int_equal(suite_get("te_b")->active_children_count, codes[1] == EVD_OK);
}

int children_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_matched_parent_is_updated_and_its_children_inserted),
      suite_test(a_parent_that_the_filter_refuses_gets_no_children),
      suite_test(an_unknown_parent_gets_no_children),
      suite_test(without_children_it_is_an_update),
      suite_test(a_duplicate_among_the_children_undoes_the_update),
      suite_test(two_children_of_one_id_undo_the_update),
      suite_test(a_child_with_its_parents_id_undoes_the_update),
      suite_test(duplicate_children_of_a_refused_parent_do_not_matter),
      suite_test(a_bad_child_is_refused_by_its_field_and_changes_nothing),
      suite_test(a_parent_may_have_a_thousand_children),
      suite_test(parents_in_one_tick_do_not_harm_each_other),
      suite_test(two_parents_with_the_same_child_in_one_tick_have_it_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
