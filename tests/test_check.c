/* What is refused, and that the error names the field and the reason. */

#include <evdurable.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/check.h"
#include "model/columns.h"
#include "support/check.h"
#include "support/sample.h"

#define TIME_MAX ((INT64_C(1) << 53) - 1)

/* Fails the test unless the record is refused for this field, and for this reason in the
 * message. */
#define expect_refused(execution, field, reason) \
  expect_refused_at(execution, field, reason, __FILE__, __LINE__)

static void expect_refused_at(const evd_execution *execution, const char *field, const char *reason,
                              const char *file, int line) {
  evd_error error;

  if (evd_execution_check(execution, &error) != EVD_EINVAL || error.code != EVD_EINVAL) {
    fail_at(file, line, "accepted, though %s %s", field, reason);
  }
  if (strcmp(error.field, field) != 0 || strstr(error.message, reason) == NULL) {
    fail_at(file, line, "%s: %s", error.field, error.message);
  }
  if (strncmp(error.message, field, strlen(field)) != 0) {
    fail_at(file, line, "the message does not begin with %s: %s", field, error.message);
  }
}

static void expect_good(const evd_execution *execution) {
  evd_error error;

  expect(evd_execution_check(execution, &error) == EVD_OK, "%s", error.message);
}

/* A text of so many bytes. */
static const char *long_text(size_t length) {
  return memset(keep_memory(length + 1), 'x', length);
}

static void full_and_minimal_records_are_good(void **state) {
  evd_execution full = sample_full("full");
  evd_execution minimal = sample_execution("minimal");
  evd_execution sleeping = sample_sleeping("sleeping", "unique");
  evd_execution child = sample_child("child", "parent", 0);

  (void)state;
  expect_good(&full);
  expect_good(&minimal);
  expect_good(&sleeping);
  expect_good(&child);
  assert_int_equal(evd_execution_check(&full, NULL), EVD_OK);
}

static void every_column_that_may_not_be_null_must_be_there(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_column column = (evd_column)i;
    enum column_type type = columns[i].type;
    evd_execution execution = sample_execution("id");
    if (columns[i].null != COLUMN_NOT_NULL) {
      continue;
    }
    if (type == COLUMN_TIME) {
      *(int64_t *)sample_member(&execution, column) = EVD_NONE;
    } else if (column_is_text(column) || column_is_enum(column)) {
      column_set_null(&execution, column);
    } else {
      continue;
    }
    expect_refused(&execution, columns[i].name, "is missing");
  }
}

static void every_column_that_may_be_null_may_be_left_out(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_execution execution = sample_full("id");
    if (!sample_is_nullable((evd_column)i)) {
      continue;
    }
    sample_clear(&execution, (evd_column)i);
    expect_good(&execution);
  }
}

static void every_id_is_1_to_64_bytes_of_utf8(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    const char *name = columns[i].name;
    evd_execution execution = sample_full("id");
    const char **member = sample_member(&execution, (evd_column)i);
    if (columns[i].type != COLUMN_ID) {
      continue;
    }
    *member = long_text(64);
    expect_good(&execution);
    *member = long_text(65);
    expect_refused(&execution, name, "longer than 64 bytes");
    *member = "";
    expect_refused(&execution, name, "is empty");
    *member = "id \xc3\x28";
    expect_refused(&execution, name, "not valid UTF-8");
    *member = "\xed\xa0\x80";
    expect_refused(&execution, name, "not valid UTF-8");
    *member = "\xe6\x97\xa5\xe6\x9c\xac";
    expect_good(&execution);
  }
}

static void a_unique_id_is_1_to_255_bytes_of_utf8(void **state) {
  evd_execution execution = sample_sleeping("id", long_text(255));

  (void)state;
  expect_good(&execution);
  execution.sleeping_task_unique_id = long_text(256);
  expect_refused(&execution, "sleeping_task_unique_id", "longer than 255 bytes");
  execution.sleeping_task_unique_id = "";
  expect_refused(&execution, "sleeping_task_unique_id", "is empty");
  execution.sleeping_task_unique_id = "\xff";
  expect_refused(&execution, "sleeping_task_unique_id", "not valid UTF-8");
}

static void every_json_column_is_json_of_its_kind(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    const char *name = columns[i].name;
    evd_execution execution = sample_full("id");
    const char **member = sample_member(&execution, (evd_column)i);
    if (!column_is_json((evd_column)i)) {
      continue;
    }
    *member = "{\"a\":";
    expect_refused(&execution, name, "is not valid JSON: unexpected end at byte 6");
    *member = "";
    expect_refused(&execution, name, "is not valid JSON: unexpected end at byte 1");
    *member = "{\"a\":\"\xff\"}";
    expect_refused(&execution, name, "invalid UTF-8 at byte 7");
    *member = "1";
    if (columns[i].type == COLUMN_JSON_OBJECT) {
      expect_refused(&execution, name, "is not a JSON object");
    } else if (columns[i].type == COLUMN_JSON_ARRAY) {
      expect_refused(&execution, name, "is not a JSON array");
    } else {
      expect_good(&execution);
    }
  }
}

static void no_count_or_duration_is_negative(void **state) {
  int count = 0;

  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    enum column_type type = columns[i].type;
    evd_execution execution = sample_full("id");
    if ((type != COLUMN_COUNT32 && type != COLUMN_DURATION) ||
        i == evd_column_index_in_parent_children) {
      continue;
    }
    execution.finalize = NULL;
    assert_true(column_set_integer(&execution, (evd_column)i, -1));
    expect_refused(&execution, columns[i].name, "is negative");
    assert_true(column_set_integer(&execution, (evd_column)i, 0));
    expect_good(&execution);
    count++;
  }
  assert_int_equal(count, 4);
}

/* As evd_close_finished() leaves it. */
static void the_counter_of_a_parent_with_a_finalize_task_may_be_minus_1(void **state) {
  evd_execution execution = sample_full("id");

  (void)state;
  execution.active_children_count = -1;
  expect_good(&execution);
  execution.active_children_count = -2;
  expect_refused(&execution, "active_children_count", "is negative");
  execution.active_children_count = -1;
  execution.finalize = NULL;
  expect_refused(&execution, "active_children_count", "is negative");
}

static void times_are_what_javascript_can_hold(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_execution execution = sample_full("id");
    int64_t *member = sample_member(&execution, (evd_column)i);
    if (columns[i].type != COLUMN_TIME && columns[i].type != COLUMN_DURATION) {
      continue;
    }
    *member = TIME_MAX;
    expect_good(&execution);
    *member = TIME_MAX + 1;
    expect_refused(&execution, columns[i].name, "2^53 - 1");
    if (columns[i].type == COLUMN_DURATION) {
      continue;
    }
    *member = -TIME_MAX;
    expect_good(&execution);
    *member = -TIME_MAX - 1;
    expect_refused(&execution, columns[i].name, "2^53 - 1");
  }
}

static void an_enumeration_is_one_of_its_values(void **state) {
  evd_execution execution = sample_execution("id");

  (void)state;
  execution.status = (evd_status)10;
  expect_refused(&execution, "status", "has an invalid value");
  execution = sample_execution("id");
  execution.on_children_finished_processing_status = (evd_ocfp_status)4;
  expect_refused(&execution, "on_children_finished_processing_status", "has an invalid value");
  execution = sample_execution("id");
  execution.close_status = (evd_close_status)5;
  expect_refused(&execution, "close_status", "has an invalid value");
}

static void parent_and_root_are_given_whole(void **state) {
  evd_execution execution = sample_child("child", "parent", 0);

  (void)state;
  execution.parent_task_id = NULL;
  expect_refused(&execution, "parent_task_id", "is missing beside parent_execution_id");
  execution = sample_child("child", "parent", 0);
  execution.parent_execution_id = NULL;
  expect_refused(&execution, "parent_execution_id", "is missing beside parent_task_id");
  execution = sample_child("child", "parent", 0);
  execution.root_task_id = NULL;
  expect_refused(&execution, "root_task_id", "is missing beside root_execution_id");
  execution = sample_child("child", "parent", 0);
  execution.root_execution_id = NULL;
  expect_refused(&execution, "root_execution_id", "is missing beside root_task_id");
}

static void without_a_parent_nobody_looks_at_its_columns(void **state) {
  evd_execution execution = sample_execution("id");

  (void)state;
  execution.index_in_parent_children = -5;
  expect_good(&execution);
}

static void a_unique_id_is_for_sleeping_tasks(void **state) {
  evd_execution execution = sample_sleeping("id", NULL);

  (void)state;
  expect_good(&execution); /* as the framework's storage takes it */
  execution = sample_execution("id");
  execution.sleeping_task_unique_id = "unique";
  expect_refused(&execution, "sleeping_task_unique_id", "not sleeping");
}

static void of_several_records_the_message_says_which(void **state) {
  evd_execution executions[3] = {sample_execution("a"), sample_execution("b"),
                                 sample_execution("c")};
  evd_error error;

  (void)state;
  assert_int_equal(check_executions(executions, 3, "children", &error), EVD_OK);
  executions[2].input = "[1,]";
  assert_int_equal(check_executions(executions, 3, "children", &error), EVD_EINVAL);
  assert_string_equal(error.field, "input");
  assert_string_equal(error.message, "children[2].input is not valid JSON: unexpected character "
                                     "at byte 4");
  assert_int_equal(check_executions(&executions[2], 1, "children", &error), EVD_EINVAL);
  assert_string_equal(error.message, "input is not valid JSON: unexpected character at byte 4");
  assert_int_equal(evd_execution_check(&executions[2], NULL), EVD_EINVAL);
}

/* Fails the test unless the changes are refused for this field and reason. */
static void expect_changes_refused(const evd_changes *changes, const char *field,
                                   const char *reason) {
  evd_error error;

  assert_int_equal(check_changes(changes, &error), EVD_EINVAL);
  expect(strcmp(error.field, field) == 0 && strstr(error.message, reason) != NULL, "%s: %s",
         error.field, error.message);
}

static void changes_set_the_settable_only(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_changes changes = {.set = COLUMN_BIT(i), .values = sample_full("id")};
    if (sample_is_settable((evd_column)i)) {
      assert_int_equal(check_changes(&changes, NULL), EVD_OK);
    } else {
      expect_changes_refused(&changes, columns[i].name, "cannot be changed");
    }
  }
}

static void changes_unset_the_unsettable_only(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_changes changes = {.unset = COLUMN_BIT(i)};
    if (sample_is_unsettable((evd_column)i)) {
      assert_int_equal(check_changes(&changes, NULL), EVD_OK);
    } else {
      expect_changes_refused(&changes, columns[i].name, "cannot be unset");
    }
  }
}

static void changes_set_nothing_to_null(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_changes changes = {.set = COLUMN_BIT(i), .values = sample_full("id")};
    if (!sample_is_settable((evd_column)i) || !sample_is_nullable((evd_column)i)) {
      continue;
    }
    sample_clear(&changes.values, (evd_column)i);
    expect_changes_refused(&changes, columns[i].name, "set to NULL");
  }
}

static void changes_are_checked_by_value(void **state) {
  evd_changes changes = {0};

  (void)state;
  evd_set(&changes, output, "[1");
  expect_changes_refused(&changes, "output", "is not valid JSON");
  changes = (evd_changes){0};
  evd_set(&changes, active_children_count, -1);
  expect_changes_refused(&changes, "active_children_count", "is negative");
  changes = (evd_changes){0};
  evd_set(&changes, status, (evd_status)0);
  expect_changes_refused(&changes, "status", "is missing");
  changes = (evd_changes){0};
  evd_set(&changes, error, "[]");
  expect_changes_refused(&changes, "error", "is not a JSON object");
}

static void what_is_unset_too_may_have_any_value(void **state) {
  evd_changes changes = {0};

  (void)state;
  evd_set(&changes, run_output, "no JSON");
  evd_unset(&changes, run_output);
  assert_int_equal(check_changes(&changes, NULL), EVD_OK);
}

static void changes_name_columns_that_exist(void **state) {
  evd_changes changes = {.set = COLUMN_BIT(EVD_COLUMN_COUNT)};

  (void)state;
  expect_changes_refused(&changes, "changes", "does not exist");
  changes = (evd_changes){.unset = UINT64_C(1) << 63};
  expect_changes_refused(&changes, "changes", "does not exist");
}

static void a_filter_is_one_of_its_values(void **state) {
  evd_error error;

  (void)state;
  assert_int_equal(check_filter(&(evd_filter){0}, &error), EVD_OK);
  assert_int_equal(check_filter(&(evd_filter){.status = EVD_STATUS_CANCELLED,
                                              .is_sleeping_task = EVD_YES,
                                              .is_finished = EVD_NO},
                                &error),
                   EVD_OK);
  assert_int_equal(check_filter(&(evd_filter){.status = (evd_status)12}, &error), EVD_EINVAL);
  assert_string_equal(error.field, "status");
  assert_int_equal(check_filter(&(evd_filter){.is_sleeping_task = (evd_maybe)3}, &error),
                   EVD_EINVAL);
  assert_string_equal(error.field, "is_sleeping_task");
  assert_int_equal(check_filter(&(evd_filter){.is_finished = (evd_maybe)3}, &error), EVD_EINVAL);
  assert_string_equal(error.field, "is_finished");
}

static int release(void **state) {
  (void)state;
  release_kept();
  return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, release)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(full_and_minimal_records_are_good),
      TEST(every_column_that_may_not_be_null_must_be_there),
      TEST(every_column_that_may_be_null_may_be_left_out),
      TEST(every_id_is_1_to_64_bytes_of_utf8),
      TEST(a_unique_id_is_1_to_255_bytes_of_utf8),
      TEST(every_json_column_is_json_of_its_kind),
      TEST(no_count_or_duration_is_negative),
      TEST(the_counter_of_a_parent_with_a_finalize_task_may_be_minus_1),
      TEST(times_are_what_javascript_can_hold),
      TEST(an_enumeration_is_one_of_its_values),
      TEST(parent_and_root_are_given_whole),
      TEST(without_a_parent_nobody_looks_at_its_columns),
      TEST(a_unique_id_is_for_sleeping_tasks),
      TEST(of_several_records_the_message_says_which),
      TEST(changes_set_the_settable_only),
      TEST(changes_unset_the_unsettable_only),
      TEST(changes_set_nothing_to_null),
      TEST(changes_are_checked_by_value),
      TEST(what_is_unset_too_may_have_any_value),
      TEST(changes_name_columns_that_exist),
      TEST(a_filter_is_one_of_its_values),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
