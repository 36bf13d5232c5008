/* Records as a whole: constructors, copies and changes. */

#include <evdurable.h>

#include <stdlib.h>
#include <string.h>

#include "model/columns.h"
#include "model/execution.h"
#include "support/check.h"
#include "support/sample.h"

/* --- constructors --- */

/* Made before main(), and before what the library might do then. */
static evd_execution early;

static void __attribute__((constructor)) make_early(void) {
  evd_execution_init(&early, "early", "task", "1", NULL);
}

static void an_execution_may_be_made_before_main(void **state) {
  (void)state;
  assert_int_equal(evd_execution_check(&early, NULL), EVD_OK);
  assert_true(early.started_at == EVD_NONE);
  assert_true(early.closed_at == EVD_NONE);
}

static void a_cleared_record_is_null_by_every_column(void **state) {
  evd_execution cleared;
  evd_execution null = {0};

  (void)state;
  execution_clear(&cleared);
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_column column = (evd_column)i;
    column_set_null(&null, column);
    struct value is = column_get(&cleared, column);
    struct value should = column_get(&null, column);
    expect(is.kind == should.kind && is.integer == should.integer, "%s", columns[i].name);
  }
}

static void a_new_execution_is_ready_and_starts_after_its_sleep(void **state) {
  evd_execution execution;

  (void)state;
  evd_execution_init(&execution, "id", "task", "1",
                     &(evd_run_options){.now = 1000,
                                        .retry_options = "{\"maxAttempts\":2}",
                                        .sleep_ms_before_run = 50,
                                        .timeout_ms = 7,
                                        .are_children_sequential = true});
  assert_int_equal(evd_execution_check(&execution, NULL), EVD_OK);
  assert_int_equal(execution.status, EVD_STATUS_READY);
  assert_int_equal(execution.start_at, 1050);
  assert_int_equal(execution.created_at, 1000);
  assert_int_equal(execution.updated_at, 1000);
  assert_int_equal(execution.timeout_ms, 7);
  assert_true(execution.started_at == EVD_NONE);
  assert_true(execution.expires_at == EVD_NONE);
  assert_true(execution.are_children_sequential);
  assert_false(execution.is_sleeping_task);
  assert_string_equal(execution.retry_options, "{\"maxAttempts\":2}");
  assert_int_equal(execution.on_children_finished_processing_status, EVD_OCFP_IDLE);
  assert_int_equal(execution.close_status, EVD_CLOSE_IDLE);
}

static void without_options_it_starts_now_and_is_tried_once(void **state) {
  int64_t before = evd_now();
  evd_execution execution;

  (void)state;
  evd_execution_init(&execution, "id", "task", "1", NULL);
  assert_int_equal(evd_execution_check(&execution, NULL), EVD_OK);
  assert_in_range(execution.start_at, before, evd_now());
  assert_string_equal(execution.retry_options, "{\"maxAttempts\":0}");
  assert_int_equal(execution.timeout_ms, EVD_TIMEOUT_DEFAULT_MS);
  evd_execution_init(&execution, "id", "task", "1", &(evd_run_options){.sleep_ms_before_run = 1});
  assert_int_equal(execution.timeout_ms, EVD_TIMEOUT_DEFAULT_MS);
}

static void a_sleeping_execution_runs_until_its_time_is_out(void **state) {
  evd_execution execution;

  (void)state;
  evd_execution_init_sleeping(
      &execution, "id", "task", "unique", "1",
      &(evd_run_options){.now = 1000, .sleep_ms_before_run = 50, .timeout_ms = 7});
  assert_int_equal(evd_execution_check(&execution, NULL), EVD_OK);
  assert_int_equal(execution.status, EVD_STATUS_RUNNING);
  assert_int_equal(execution.started_at, 1000);
  assert_int_equal(execution.expires_at, 1057);
  assert_true(execution.is_sleeping_task);
  assert_string_equal(execution.sleeping_task_unique_id, "unique");
}

static void a_sleeping_execution_too_has_the_default_time_out(void **state) {
  evd_execution execution;

  (void)state;
  evd_execution_init_sleeping(&execution, "id", "task", "unique", "1",
                              &(evd_run_options){.now = 1000});
  assert_int_equal(execution.expires_at, 1000 + EVD_TIMEOUT_DEFAULT_MS);
}

static void endless_sleep_is_refused_and_does_not_overflow(void **state) {
  evd_execution execution;
  evd_error error;

  (void)state;
  evd_execution_init_sleeping(
      &execution, "id", "task", "unique", "1",
      &(evd_run_options){.sleep_ms_before_run = INT64_MAX, .timeout_ms = INT64_MAX});
  assert_int_equal(evd_execution_check(&execution, &error), EVD_EINVAL);
  assert_string_equal(error.field, "sleep_ms_before_run");
}

static void a_childs_root_is_its_parents_root_or_the_parent(void **state) {
  evd_execution top = sample_execution("top");
  evd_execution middle = sample_execution("middle");
  evd_execution leaf = sample_execution("leaf");

  (void)state;
  middle.task_id = "middle_task";
  evd_execution_set_parent(&middle, &top, 2, false, true);
  evd_execution_set_parent(&leaf, &middle, 0, true, false);
  assert_string_equal(middle.root_execution_id, "top");
  assert_string_equal(middle.parent_execution_id, "top");
  assert_int_equal(middle.index_in_parent_children, 2);
  assert_false(middle.is_only_child_of_parent);
  assert_true(middle.is_finalize_of_parent);
  assert_string_equal(leaf.root_execution_id, "top");
  assert_string_equal(leaf.root_task_id, "task");
  assert_string_equal(leaf.parent_execution_id, "middle");
  assert_string_equal(leaf.parent_task_id, "middle_task");
  assert_true(leaf.is_only_child_of_parent);
  assert_int_equal(evd_execution_check(&leaf, NULL), EVD_OK);
}

/* Whether two records are equal, texts by their bytes and not their addresses. */
static bool same_bytes(const evd_execution *a, const evd_execution *b) {
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    struct value left = column_get(a, (evd_column)i);
    struct value right = column_get(b, (evd_column)i);
    if (left.kind != right.kind || left.integer != right.integer) {
      return false;
    }
    if (left.kind == VALUE_TEXT && strcmp(left.text, right.text) != 0) {
      return false;
    }
  }
  return true;
}

/* --- copies and changes --- */

static void a_copy_is_equal_and_shares_no_text(void **state) {
  evd_execution records[2] = {sample_full("full"), sample_execution("minimal")};

  (void)state;
  for (size_t i = 0; i < 2; i++) {
    evd_execution *copy = evd_execution_copy(&records[i]);
    assert_non_null(copy);
    assert_true(same_bytes(copy, &records[i]));
    for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
      const char *text = column_get(copy, (evd_column)column).text;
      if (column_is_text((evd_column)column) && text != NULL) {
        assert_ptr_not_equal(text, column_get(&records[i], (evd_column)column).text);
      }
    }
    free(copy);
  }
}

static void a_copy_takes_exactly_the_text_it_announced(void **state) {
  evd_execution full = sample_full("full");
  size_t size = execution_text_size(&full);
  char *block = malloc(size);
  char *text = block;
  evd_execution copy;

  (void)state;
  assert_non_null(block);
  execution_copy_into(&copy, &full, &text);
  assert_ptr_equal(text, block + size);
  assert_true(same_bytes(&copy, &full));
  free(block);
}

static void changes_copy_only_what_they_set(void **state) {
  evd_changes changes = {0};
  evd_changes copy;
  char *text;
  char *block;
  size_t size;

  (void)state;
  memset(&changes.values, 0x5a, sizeof changes.values); /* what is not set may be anything */
  evd_set(&changes, executor_id, "executor");
  evd_set(&changes, output, "[1]");
  evd_set(&changes, started_at, 5);
  evd_set(&changes, is_finished, true);
  evd_set(&changes, status, EVD_STATUS_FAILED);
  evd_set(&changes, run_output, "\"dropped, for it is unset too\"");
  evd_unset(&changes, run_output);
  size = changes_text_size(&changes);
  assert_int_equal(size, sizeof "executor" + sizeof "[1]");
  block = text = malloc(size);
  assert_non_null(block);
  changes_copy_into(&copy, &changes, &text);
  assert_ptr_equal(text, block + size);
  assert_true(copy.set == changes.set);
  assert_true(copy.unset == changes.unset);
  assert_string_equal(copy.values.executor_id, "executor");
  assert_ptr_not_equal(copy.values.executor_id, changes.values.executor_id);
  assert_string_equal(copy.values.output, "[1]");
  assert_int_equal(copy.values.started_at, 5);
  assert_true(copy.values.is_finished);
  assert_int_equal(copy.values.status, EVD_STATUS_FAILED);
  assert_null(copy.values.run_output);
  assert_null(copy.values.error);
  free(block);
}

static void each_column_set_alone_changes_that_column(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_execution row = sample_execution("row");
    evd_execution expected = row;
    evd_changes changes = {0};
    if (!sample_is_settable((evd_column)i)) {
      continue;
    }
    sample_set(&changes, (evd_column)i);
    sample_apply(&expected, &changes);
    changes_apply(&changes, &row);
    expect_row(&row, &expected);
  }
}

static void each_column_unset_becomes_null(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_execution row = sample_full("row");
    evd_execution expected = row;
    evd_changes changes = {.unset = COLUMN_BIT(i)};
    if (!sample_is_unsettable((evd_column)i)) {
      continue;
    }
    sample_apply(&expected, &changes);
    changes_apply(&changes, &row);
    expect_row(&row, &expected);
    assert_int_equal(column_get(&row, (evd_column)i).kind, VALUE_NULL);
  }
}

static void a_column_both_set_and_unset_ends_unset(void **state) {
  evd_execution row = sample_full("row");
  evd_changes changes = {0};

  (void)state;
  evd_set(&changes, executor_id, "new");
  evd_unset(&changes, executor_id);
  evd_set(&changes, expires_at, 5);
  evd_unset(&changes, expires_at);
  changes_apply(&changes, &row);
  assert_null(row.executor_id);
  assert_true(row.expires_at == EVD_NONE);
}

static int release(void **state) {
  (void)state;
  release_kept();
  return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, release)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_execution_may_be_made_before_main),
      TEST(a_cleared_record_is_null_by_every_column),
      TEST(a_new_execution_is_ready_and_starts_after_its_sleep),
      TEST(without_options_it_starts_now_and_is_tried_once),
      TEST(a_sleeping_execution_runs_until_its_time_is_out),
      TEST(a_sleeping_execution_too_has_the_default_time_out),
      TEST(endless_sleep_is_refused_and_does_not_overflow),
      TEST(a_childs_root_is_its_parents_root_or_the_parent),
      TEST(a_copy_is_equal_and_shares_no_text),
      TEST(a_copy_takes_exactly_the_text_it_announced),
      TEST(changes_copy_only_what_they_set),
      TEST(each_column_set_alone_changes_that_column),
      TEST(each_column_unset_becomes_null),
      TEST(a_column_both_set_and_unset_ends_unset),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
