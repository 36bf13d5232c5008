/* Section "bad input": records and changes that cannot be stored are refused by their field. */
#include "suite/suite.h"

#include <string.h>

static const char bad_utf8[] = "te_\xc3(";

/* Checks that the insert fails by this field and that nothing of its call was inserted, while its
 * neighbours in the same tick are. */
static void expect_refused_at(const evd_execution *bad, const char *field, int line) {
  evd_execution good[2] = {sample_execution("te_good"), sample_execution("te_beside")};
  evd_execution beside[2] = {good[1], *bad};
  evd_future *refused_together = keep_future(evd_insert(suite.storage, beside, 2));
  evd_future *refused = keep_future(evd_insert(suite.storage, bad, 1));
  evd_future *inserted = keep_future(evd_insert(suite.storage, &good[0], 1));
  evd_future_await(refused_together);
  evd_future_await(refused);
  const evd_error *errors[2] = {evd_future_error(refused), evd_future_error(refused_together)};
  for (int i = 0; i < 2; i++) {
    if (errors[i]->code != EVD_EINVAL || strcmp(errors[i]->field, field) != 0) {
      fail_at(__FILE__, line, "%s by \"%s\", not EVD_EINVAL by \"%s\": %s",
              evd_code_name(errors[i]->code), errors[i]->field, field, errors[i]->message);
    }
    if (errors[i]->outcome != EVD_OUTCOME_NOT_APPLIED || errors[i]->retryable) {
      fail_at(__FILE__, line, "it was not applied, and will never be");
    }
    if (strstr(errors[i]->message, field) == NULL) {
      fail_at(__FILE__, line, "the message names no %s: %s", field, errors[i]->message);
    }
  }
  if (evd_future_await(inserted)) {
    fail_at(__FILE__, line, "a neighbour failed: %s", evd_future_error(inserted)->message);
  }
  if (suite_get("te_beside") != NULL) {
    fail_at(__FILE__, line, "half of a bad call was inserted");
  }
  await_ok(evd_delete(suite.storage, "te_good"));
}

#define expect_refused(bad, field) expect_refused_at((bad), (field), __LINE__)

/* A record that can be stored but for one column. */
static evd_execution bad_text(evd_column column, const char *value) {
  evd_execution bad = sample_full("te_bad");
  *(const char **)sample_member(&bad, column) = value;
  return bad;
}

static void text_that_is_not_utf8_is_refused(void **state) {
  static const char *const wrong[] = {bad_utf8,           "\xff",        "\xc0\x80", "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80", "cut \xe6\x97"};
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
      evd_execution bad = bad_text(evd_column_task_id, "t");
      if (sample_kind(column) == SAMPLE_TEXT) {
        bad = bad_text(column, wrong[i]);
      } else if (sample_kind(column) == SAMPLE_JSON) {
        bad = bad_text(column, text("{\"a\":\"%s\"}", wrong[i]));
      } else {
        continue;
      }
      expect_refused(&bad, evd_column_name(column));
    }
  }
}

static void an_empty_id_is_refused(void **state) {
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (sample_kind(column) == SAMPLE_TEXT) {
      evd_execution bad = bad_text(column, "");
      expect_refused(&bad, evd_column_name(column));
    }
  }
}

static void an_id_that_is_too_long_is_refused(void **state) {
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (sample_kind(column) != SAMPLE_TEXT) {
      continue;
    }
    int max = column == evd_column_sleeping_task_unique_id ? EVD_UNIQUE_ID_MAX : EVD_ID_MAX;
    evd_execution bad = bad_text(column, text("%0*d", max + 1, 0));
    expect_refused(&bad, evd_column_name(column));
    bad = bad_text(column, text("%0*d", 1 << 20, 0));
    expect_refused(&bad, evd_column_name(column));
  }
}

static void what_must_be_there_is_asked_for(void **state) {
  static const evd_column needed[] = {evd_column_task_id, evd_column_execution_id,
                                      evd_column_retry_options, evd_column_input};
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
    evd_execution bad = bad_text(needed[i], NULL);
    expect_refused(&bad, evd_column_name(needed[i]));
  }
  static const evd_column times[] = {evd_column_start_at, evd_column_created_at,
                                     evd_column_updated_at};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    evd_execution bad = sample_full("te_bad");
    sample_clear(&bad, times[i]);
    expect_refused(&bad, evd_column_name(times[i]));
  }
}

static void json_that_does_not_parse_is_refused(void **state) {
  static const char *const wrong[] = {
      "",       " ",       "{",         "{]",    "[1,]",  "{\"a\":1,}", "{a:1}", "{'a':1}",
      "nul",    "NaN",     "01",        "1.",    ".5",    "+1",         "1e",    "\"a",
      "\"\t\"", "\"\\x\"", "\"\\u12\"", "{} {}", "[1] x", "{\"a\" 1}",  "/**/1",
  };
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (sample_kind(column) != SAMPLE_JSON) {
      continue;
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
      evd_execution bad = bad_text(column, wrong[i]);
      expect_refused(&bad, evd_column_name(column));
    }
  }
}

static void json_of_the_wrong_kind_is_refused(void **state) {
  static const evd_column objects[] = {evd_column_retry_options, evd_column_error,
                                       evd_column_finalize};
  static const char *const others[] = {"null", "1", "\"x\"", "[]", "true"};
  for (size_t i = 0; i < 3; i++) {
    for (size_t j = 0; j < 5; j++) {
      evd_execution bad = bad_text(objects[i], others[j]);
      expect_refused(&bad, evd_column_name(objects[i]));
    }
  }
  evd_execution bad = bad_text(evd_column_children, "{}");
  expect_refused(&bad, "children");
  bad = bad_text(evd_column_children, "null");
  expect_refused(&bad, "children");
}

static void json_nested_without_end_is_refused(void **state) {
  enum { DEPTH = 100000 };
  char *deep = keep_memory(2 * DEPTH + 2);
  memset(deep, '[', DEPTH);
  memset(deep + DEPTH, ']', DEPTH);
  evd_execution bad = bad_text(evd_column_input, deep);
  expect_refused(&bad, "input");
}

static void numbers_out_of_range_are_refused(void **state) {
  static const int64_t large[] = {SAMPLE_MAX_TIME + 1, -SAMPLE_MAX_TIME - 1, INT64_MAX,
                                  INT64_MIN + 1};
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    evd_execution bad = sample_full("te_bad");
    void *member = sample_member(&bad, column);
    if (sample_kind(column) == SAMPLE_INT32 && column != evd_column_index_in_parent_children) {
      bad.finalize = NULL; /* beside it, a counter of -1 is good */
      *(int32_t *)member = -1;
      expect_refused(&bad, evd_column_name(column));
    }
    for (int i = 0; i < 4 && sample_kind(column) == SAMPLE_INT64; i++) {
      *(int64_t *)member = large[i];
      expect_refused(&bad, evd_column_name(column));
    }
  }
  evd_execution bad = sample_full("te_bad");
  bad.timeout_ms = -1;
  expect_refused(&bad, "timeout_ms");
  bad = sample_full("te_bad");
  bad.sleep_ms_before_run = -1;
  expect_refused(&bad, "sleep_ms_before_run");
}

static void an_enumeration_outside_its_set_is_refused(void **state) {
  static const int wrong[] = {0, 10, -1, 1 << 20};
  for (int i = 0; i < 4; i++) {
    evd_execution bad = sample_full("te_bad");
    bad.status = (evd_status)wrong[i];
    expect_refused(&bad, "status");
    bad = sample_full("te_bad");
    bad.on_children_finished_processing_status = (evd_ocfp_status)wrong[i];
    expect_refused(&bad, "on_children_finished_processing_status");
    bad = sample_full("te_bad");
    bad.close_status = (evd_close_status)wrong[i];
    expect_refused(&bad, "close_status");
  }
}

static void half_a_parent_or_root_is_refused(void **state) {
  static const evd_column halves[] = {evd_column_root_task_id, evd_column_root_execution_id,
                                      evd_column_parent_task_id, evd_column_parent_execution_id};
  for (int i = 0; i < 4; i++) {
    evd_execution bad = bad_text(halves[i], NULL);
    expect_refused(&bad, evd_column_name(halves[i]));
  }
}

static void a_unique_id_is_for_sleeping_tasks_only(void **state) {
  evd_execution bad = sample_full("te_bad");
  bad.is_sleeping_task = false;
  expect_refused(&bad, "sleeping_task_unique_id");
}

/* Checks that the changes are refused by this field, and that the row is as it was. */
static void expect_changes_refused_at(const evd_execution *row, const evd_changes *changes,
                                      const char *field, int line) {
  evd_changes good = sample_changes(0);
  evd_set(&good, updated_at, row->updated_at);
  evd_future *refused = keep_future(evd_update(suite.storage, row->execution_id, NULL, changes));
  evd_future *updated = keep_future(evd_update(suite.storage, row->execution_id, NULL, &good));
  evd_future_await(refused);
  const evd_error *error = evd_future_error(refused);
  if (error->code != EVD_EINVAL || strcmp(error->field, field) != 0 ||
      error->outcome != EVD_OUTCOME_NOT_APPLIED || strstr(error->message, field) == NULL) {
    fail_at(__FILE__, line, "%s by \"%s\", not EVD_EINVAL by \"%s\": %s",
            evd_code_name(error->code), error->field, field, error->message);
  }
  if (evd_future_await(updated)) {
    fail_at(__FILE__, line, "a neighbour failed: %s", evd_future_error(updated)->message);
  }
  expect_row_at(suite_get(row->execution_id), row, __FILE__, line);
}

#define expect_changes_refused(row, changes, field) \
  expect_changes_refused_at((row), (changes), (field), __LINE__)

static void other_columns_cannot_be_set_or_unset(void **state) {
  evd_execution row = sample_full("te_full");
  suite_insert(&row);
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    evd_changes changes = {0};
    if (!sample_is_settable(column)) {
      sample_set(&changes, column);
      expect_changes_refused(&row, &changes, evd_column_name(column));
    }
    changes = sample_changes(0);
    if (!sample_is_unsettable(column)) {
      changes.unset = UINT64_C(1) << column;
      expect_changes_refused(&row, &changes, evd_column_name(column));
    }
  }
  evd_changes changes = sample_changes(0);
  changes.set |= UINT64_C(1) << EVD_COLUMN_COUNT;
  expect_changes_refused(&row, &changes, "changes");
  changes = sample_changes(0);
  changes.unset |= UINT64_C(1) << 63;
  expect_changes_refused(&row, &changes, "changes");
}

static void columns_cannot_be_set_to_null(void **state) {
  evd_execution row = sample_full("te_full");
  suite_insert(&row);
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    evd_changes changes = {0};
    if (!sample_is_settable(column) || !sample_is_nullable(column)) {
      continue;
    }
    sample_set(&changes, column);
    sample_clear(&changes.values, column);
    expect_changes_refused(&row, &changes, evd_column_name(column));
  }
}

static void bad_values_cannot_be_set(void **state) {
  evd_execution row = sample_full("te_full");
  suite_insert(&row);
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    evd_changes changes = {0};
    if (!sample_is_settable(column) || sample_kind(column) == SAMPLE_BOOL) {
      continue;
    }
    sample_set(&changes, column);
    void *member = sample_member(&changes.values, column);
    switch (sample_kind(column)) {
    case SAMPLE_TEXT: *(const char **)member = bad_utf8; break;
    case SAMPLE_JSON: *(const char **)member = "{\"a\":"; break;
    case SAMPLE_INT32: *(int32_t *)member = -1; break;
    case SAMPLE_INT64: *(int64_t *)member = SAMPLE_MAX_TIME + 1; break;
    case SAMPLE_ENUM: *(int32_t *)member = 77; break;
    case SAMPLE_BOOL: break;
    }
    expect_changes_refused(&row, &changes, evd_column_name(column));
  }
}

static void what_is_unset_need_not_be_good(void **state) {
  evd_execution row = sample_full("te_full");
  suite_insert(&row);
  evd_changes changes = sample_changes(0);
  evd_set(&changes, error, "not json");
  evd_set(&changes, executor_id, NULL);
  evd_unset(&changes, error);
  evd_unset(&changes, executor_id);
  assert_true(await_matched(evd_update(suite.storage, "te_full", NULL, &changes)));
  sample_apply(&row, &changes);
  suite_expect(&row);
}

int bad_records_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(text_that_is_not_utf8_is_refused),
      suite_test(an_empty_id_is_refused),
      suite_test(an_id_that_is_too_long_is_refused),
      suite_test(what_must_be_there_is_asked_for),
      suite_test(json_that_does_not_parse_is_refused),
      suite_test(json_of_the_wrong_kind_is_refused),
      suite_test(json_nested_without_end_is_refused),
      suite_test(numbers_out_of_range_are_refused),
      suite_test(an_enumeration_outside_its_set_is_refused),
      suite_test(half_a_parent_or_root_is_refused),
      suite_test(a_unique_id_is_for_sleeping_tasks_only),
      suite_test(other_columns_cannot_be_set_or_unset),
      suite_test(columns_cannot_be_set_to_null),
      suite_test(bad_values_cannot_be_set),
      suite_test(what_is_unset_need_not_be_good),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
