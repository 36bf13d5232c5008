/* evd_get_tree(): an execution and all below it. */
#include <string.h>

#include "suite/suite.h"
#include "support/native_sql.h"

/* Rows whose ids are those of their parents and a letter: te, tea, teab, ... */
static evd_execution *insert_tree(int levels, int children, size_t *count) {
  size_t all = 1;
  for (int level = 1, width = 1; level < levels; level++) {
    width *= children;
    all += (size_t)width;
  }
  evd_execution *rows = keep_memory(all * sizeof *rows);
  rows[0] = sample_execution("te");
  rows[0].created_at = SAMPLE_TIME;
  for (size_t i = 1; i < all; i++) { /* parents are before their children */
    const evd_execution *parent = &rows[(i - 1) / (size_t)children];
    int32_t index = (int32_t)((i - 1) % (size_t)children);
    rows[i] = sample_execution(text("%s%c", parent->execution_id, 'a' + (int)index));
    evd_execution_set_parent(&rows[i], parent, index, false, index == children - 1);
    rows[i].created_at = parent->created_at + 1;
  }
  await_ok(evd_insert(suite.storage, rows, all));
  *count = all;
  return rows;
}

/* The tree of an id has those rows whose ids begin with it, in their order. */
static void expect_tree(const char *id, const evd_execution *rows, size_t count) {
  size_t got_count;
  const evd_execution *got = await_rows(evd_get_tree(suite.storage, id), &got_count);
  size_t found = 0;
  for (size_t i = 0; i < count; i++) {
    if (strncmp(rows[i].execution_id, id, strlen(id)) == 0) {
      expect(found < got_count, "%s lacks %s", id, rows[i].execution_id);
      expect_row(&got[found++], &rows[i]);
    }
  }
  assert_int_equal(found, got_count);
}

static void a_tree_is_an_execution_and_all_below_it(void **state) {
  size_t count;
  evd_execution *rows = insert_tree(4, 3, &count);
  evd_execution stranger = sample_execution("stranger");
  await_ok(evd_insert(suite.storage, &stranger, 1));
  for (size_t i = 0; i < count; i++) {
    expect_tree(rows[i].execution_id, rows, count);
  }
}

static void a_tree_of_nobody_is_empty(void **state) {
  size_t count;
  insert_tree(2, 2, &count);
  await_rows(evd_get_tree(suite.storage, "tec"), &count);
  assert_int_equal(count, 0);
  await_rows(evd_get_tree(suite.storage, "TE"), &count);
  assert_int_equal(count, 0);
}

static void trees_at_once_are_each_their_own(void **state) {
  enum { TREES = 20 };
  size_t count;
  evd_execution *rows = insert_tree(3, TREES, &count);
  evd_future *futures[TREES];
  for (int i = 0; i < TREES; i++) {
    futures[i] = evd_get_tree(suite.storage, rows[1 + i].execution_id);
  }
  for (int i = 0; i < TREES; i++) {
    size_t got;
    const evd_execution *tree = await_rows(futures[i], &got);
    assert_int_equal(got, 1 + TREES);
    expect_row(&tree[0], &rows[1 + i]);
    expect_row(&tree[TREES], &rows[1 + TREES * (i + 2) - 1]);
  }
}

static void a_tree_may_be_deep(void **state) {
  enum { LEVELS = 1500 }; /* more than MySQL and MariaDB descend by default */
  evd_execution *rows = keep_memory(LEVELS * sizeof *rows);
  for (int i = 0; i < LEVELS; i++) {
    rows[i] = sample_execution(text("te_%04d", i));
    rows[i].created_at = SAMPLE_TIME + i;
    if (i > 0) {
      evd_execution_set_parent(&rows[i], &rows[i - 1], 0, true, false);
    }
  }
  await_ok(evd_insert(suite.storage, rows, LEVELS));
  size_t count;
  const evd_execution *got = await_rows(evd_get_tree(suite.storage, "te_0000"), &count);
  assert_int_equal(count, LEVELS);
  for (int i = 0; i < LEVELS; i++) {
    expect_row(&got[i], &rows[i]);
  }
}

/* No library makes a circle; somebody's hand may. */
static void a_circle_of_parents_ends(void **state) {
  suite_needs_shared();
  size_t count;
  insert_tree(3, 1, &count);
  native_run_once(suite.url,
                  text("update %s set parent_execution_id = 'teaa', parent_task_id = 'task', "
                       "index_in_parent_children = 0, is_only_child_of_parent = false, "
                       "is_finalize_of_parent = false where execution_id = 'te';",
                       suite.table));
  await_rows(evd_get_tree(suite.storage, "tea"), &count);
  assert_int_equal(count, 3);
}

static void a_tree_with_a_row_that_cannot_be_read_is_an_error(void **state) {
  if (!suite.framework) {
    skip(); /* our own table takes nothing else */
  }
  suite_needs_shared();
  size_t count;
  insert_tree(3, 1, &count);
  native_run_once(suite.url,
                  text("update %s set status = 'bogus' where execution_id = 'teaa';", suite.table));
  evd_error error = await_error(evd_get_tree(suite.storage, "te"), EVD_EDATABASE);
  assert_string_equal(error.field, "status");
  assert_non_null(strstr(error.message, "teaa"));
}

int trees_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_tree_is_an_execution_and_all_below_it),
      suite_test(a_tree_of_nobody_is_empty),
      suite_test(trees_at_once_are_each_their_own),
      suite_test(a_tree_may_be_deep),
      suite_test(a_circle_of_parents_ends),
      suite_test(a_tree_with_a_row_that_cannot_be_read_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
