/* The record's column table, names and errors. */

#include <evdurable.h>

#include <string.h>

#include "config.h"
#include "model/columns.h"
#include "model/error.h"
#include "model/execution.h"
#include "model/json.h"
#include "support/check.h"
#include "support/sample.h"

/* --- columns --- */

static void every_column_of_a_full_record_has_a_value(void **state) {
  evd_execution full = sample_full("full");

  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    struct value value = column_get(&full, (evd_column)i);
    expect(value.kind != VALUE_NULL, "%s is NULL", columns[i].name);
    expect((value.kind == VALUE_TEXT) ==
               (column_is_text((evd_column)i) || column_is_enum((evd_column)i)),
           "%s is of the wrong kind", columns[i].name);
  }
}

static void every_column_set_from_its_value_is_the_same_again(void **state) {
  evd_execution full = sample_full("full");
  evd_execution other;

  (void)state;
  execution_clear(&other);
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_column column = (evd_column)i;
    struct value value = column_get(&full, column);
    expect(value.kind == VALUE_TEXT ? column_set_text(&other, column, value.text)
                                    : column_set_integer(&other, column, value.integer),
           "%s does not take its own value", columns[i].name);
  }
  assert_int_equal(sample_difference(&full, &other), EVD_COLUMN_COUNT);
}

static void the_table_agrees_with_the_contract(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_column column = (evd_column)i;
    evd_execution full = sample_full("full");
    const void *member = (const char *)&full + columns[i].offset;
    expect(member == sample_member(&full, column), "%s has another offset", columns[i].name);
    expect(columns[i].settable == sample_is_settable(column), "%s: settable", columns[i].name);
    expect(columns[i].unsettable == sample_is_unsettable(column), "%s: unsettable",
           columns[i].name);
    expect(column_is_json(column) == (sample_kind(column) == SAMPLE_JSON), "%s: JSON",
           columns[i].name);
  }
}

static void the_version_is_that_of_the_package(void **state) {
  (void)state;
  assert_string_equal(EVD_VERSION, PACKAGE_VERSION);
  assert_string_equal(evd_version(), EVD_VERSION);
  assert_string_equal(text("%d.%d.%d", EVD_VERSION_MAJOR, EVD_VERSION_MINOR, EVD_VERSION_PATCH),
                      EVD_VERSION);
}

static void columns_are_found_by_name_and_by_key(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    assert_string_equal(evd_column_name((evd_column)i), columns[i].name);
    assert_int_equal(column_from_name(columns[i].name), i);
    assert_int_equal(column_from_json_key(columns[i].json_key), i);
  }
  assert_int_equal(column_from_name("executionId"), EVD_COLUMN_COUNT);
  assert_int_equal(column_from_json_key("execution_id"), EVD_COLUMN_COUNT);
  assert_null(evd_column_name(EVD_COLUMN_COUNT));
  assert_null(evd_column_name((evd_column)-1));
}

/* The key is the name without underscores, each letter after one in upper case. */
static void keys_are_the_names_in_camel_case(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    const char *key = columns[i].json_key;
    for (const char *name = columns[i].name; *name != '\0'; name++, key++) {
      char expected = *name;
      if (*name == '_') {
        expected = (char)(*++name - 'a' + 'A');
      }
      expect(*key == expected, "%s has the key %s", columns[i].name, columns[i].json_key);
    }
    assert_int_equal(*key, '\0');
  }
}

static void a_column_refuses_what_its_member_cannot_hold(void **state) {
  evd_execution execution;

  (void)state;
  execution_clear(&execution);
  assert_false(column_set_text(&execution, evd_column_status, "sleeping"));
  assert_false(column_set_text(&execution, evd_column_close_status, "ready "));
  assert_false(column_set_text(&execution, evd_column_on_children_finished_processing_status, ""));
  assert_false(column_set_text(&execution, evd_column_timeout_ms, "1"));
  assert_false(column_set_text(&execution, evd_column_is_finished, "true"));
  assert_false(column_set_integer(&execution, evd_column_task_id, 1));
  assert_false(column_set_integer(&execution, evd_column_status, 1));
  assert_false(column_set_integer(&execution, evd_column_retry_attempts, INT64_C(1) << 31));
  assert_false(column_set_integer(&execution, evd_column_retry_attempts, -(INT64_C(1) << 31) - 1));
  assert_true(column_set_integer(&execution, evd_column_retry_attempts, INT32_MAX));
  assert_int_equal(execution.retry_attempts, INT32_MAX);
}

static void a_column_set_to_null_reads_as_null_or_nothing(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_execution full = sample_full("full");
    struct value value;
    column_set_null(&full, (evd_column)i);
    value = column_get(&full, (evd_column)i);
    if (columns[i].null == COLUMN_NULLABLE || column_is_text((evd_column)i) ||
        column_is_enum((evd_column)i)) {
      expect(value.kind == VALUE_NULL, "%s is not NULL", columns[i].name);
    } else {
      expect(value.kind == VALUE_INTEGER && value.integer == 0, "%s is not 0", columns[i].name);
    }
  }
}

static void columns_about_a_parent_are_null_without_one(void **state) {
  evd_execution full = sample_full("full");
  int count = 0;

  (void)state;
  full.parent_execution_id = NULL;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    if (columns[i].null == COLUMN_WITH_PARENT) {
      assert_int_equal(column_get(&full, (evd_column)i).kind, VALUE_NULL);
      count++;
    }
  }
  assert_int_equal(count, 3);
}

static void a_cleared_record_has_no_values(void **state) {
  evd_execution execution;

  (void)state;
  memset(&execution, 0x5a, sizeof execution);
  execution_clear(&execution);
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    struct value value = column_get(&execution, (evd_column)i);
    expect(value.kind == VALUE_NULL || (value.kind == VALUE_INTEGER && value.integer == 0),
           "%s has a value", columns[i].name);
    if (columns[i].null == COLUMN_NULLABLE) {
      expect(value.kind == VALUE_NULL, "%s is not NULL", columns[i].name);
    }
  }
}

/* --- names and errors --- */

static void names_of_enumerations_lead_back_to_them(void **state) {
  static const char *const statuses[] = {"ready",
                                         "running",
                                         "failed",
                                         "timed_out",
                                         "waiting_for_children",
                                         "waiting_for_finalize",
                                         "finalize_failed",
                                         "completed",
                                         "cancelled"};

  (void)state;
  for (int i = 1; i <= 9; i++) {
    assert_string_equal(evd_status_name((evd_status)i), statuses[i - 1]);
    assert_int_equal(evd_status_from_name(statuses[i - 1]), i);
  }
  assert_string_equal(evd_ocfp_status_name(EVD_OCFP_PROCESSED), "processed");
  assert_int_equal(evd_ocfp_status_from_name("processing"), EVD_OCFP_PROCESSING);
  assert_string_equal(evd_close_status_name(EVD_CLOSE_CLOSING), "closing");
  assert_int_equal(evd_close_status_from_name("closed"), EVD_CLOSE_CLOSED);
}

static void what_is_no_enumeration_has_no_name(void **state) {
  (void)state;
  assert_null(evd_status_name((evd_status)0));
  assert_null(evd_status_name((evd_status)10));
  assert_null(evd_status_name((evd_status)-1));
  assert_null(evd_ocfp_status_name((evd_ocfp_status)4));
  assert_null(evd_close_status_name((evd_close_status)5));
  assert_int_equal(evd_status_from_name("Ready"), 0);
  assert_int_equal(evd_status_from_name(NULL), 0);
  assert_int_equal(evd_ocfp_status_from_name("ready"), 0);
  assert_int_equal(evd_close_status_from_name(""), 0);
}

static void five_statuses_are_final(void **state) {
  static const evd_status finished[] = {EVD_STATUS_FAILED, EVD_STATUS_TIMED_OUT,
                                        EVD_STATUS_FINALIZE_FAILED, EVD_STATUS_COMPLETED,
                                        EVD_STATUS_CANCELLED};
  int count = 0;

  (void)state;
  for (size_t i = 0; i < sizeof finished / sizeof finished[0]; i++) {
    assert_true(evd_status_is_finished(finished[i]));
  }
  for (int status = 0; status <= 10; status++) {
    count += evd_status_is_finished((evd_status)status);
  }
  assert_int_equal(count, 5);
}

static void every_code_has_its_name(void **state) {
  (void)state;
  assert_string_equal(evd_code_name(EVD_OK), "EVD_OK");
  assert_string_equal(evd_code_name(EVD_EMISUSE), "EVD_EMISUSE");
  for (int code = 0; code < EVD_CODE_COUNT; code++) {
    assert_memory_equal(evd_code_name((evd_code)code), "EVD_", 4);
  }
  assert_string_equal(evd_code_name(EVD_CODE_COUNT), "EVD_?");
  assert_string_equal(evd_code_name((evd_code)-1), "EVD_?");
}

static void an_error_has_what_it_was_set_to(void **state) {
  evd_error error;

  (void)state;
  memset(&error, 0x5a, sizeof error);
  assert_int_equal(error_set(&error, EVD_EINVAL, "input", "%d is too much", 9), EVD_EINVAL);
  assert_int_equal(error.code, EVD_EINVAL);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_false(error.retryable);
  assert_string_equal(error.field, "input");
  assert_string_equal(error.native, "");
  assert_string_equal(error.message, "9 is too much");
  error_set_native(&error, "23505");
  assert_string_equal(error.native, "23505");
  assert_int_equal(error_set(NULL, EVD_EBUSY, "", "nobody reads this"), EVD_EBUSY);
  error_set_native(NULL, "1");
}

static void four_codes_are_worth_trying_again(void **state) {
  int count = 0;

  (void)state;
  for (int code = 0; code < EVD_CODE_COUNT; code++) {
    evd_error error;
    error_set(&error, (evd_code)code, "", "so it is");
    count += error.retryable;
    if (code == EVD_EBUSY || code == EVD_ETIMEDOUT || code == EVD_EUNAVAILABLE ||
        code == EVD_ECONFLICT) {
      assert_true(error.retryable);
    }
  }
  assert_int_equal(count, 4);
}

/* A message of characters of 1 to 4 bytes, shifted against the end, is never cut inside one. */
static void a_long_message_is_cut_between_characters(void **state) {
  static const char *const characters[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
  evd_error error;

  (void)state;
  for (size_t i = 0; i < 4; i++) {
    for (size_t shift = 0; shift < 4; shift++) {
      char long_text[1024] = "";
      size_t size = strlen(characters[i]);
      memset(long_text, 'a', shift);
      for (size_t at = shift; at + 5 < 600; at += size) {
        memcpy(long_text + at, characters[i], size + 1);
      }
      error_set(&error, EVD_EDATABASE, long_text, "%s", long_text);
      assert_memory_equal(error.message, long_text, strlen(error.message));
      assert_int_equal((strlen(error.message) - shift) % size, 0);
      assert_in_range(strlen(error.message), sizeof error.message - size, sizeof error.message - 1);
      assert_int_equal((strlen(error.field) - shift) % size, 0);
      assert_in_range(strlen(error.field), sizeof error.field - size, sizeof error.field - 1);
    }
  }
}

/* What a database or an operating system has put into a message raw. */
static void a_message_is_valid_utf8_whatever_went_into_it(void **state) {
  static const struct {
    const char *raw, *valid;
  } cases[] = {
      {"caf\xe9 is no table", "caf\xef\xbf\xbd is no table"},
      {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
      {"half \xe2\x82", "half \xef\xbf\xbd\xef\xbf\xbd"},
      {"\xe2\x82\xac\xed\xa0\x80", "\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
  };
  evd_error error;

  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    error_set(&error, EVD_EDATABASE, cases[i].raw, "%s", cases[i].raw);
    assert_string_equal(error.message, cases[i].valid);
    assert_string_equal(error.field, cases[i].valid);
  }
  char long_text[1024];
  memset(long_text, 0xff, sizeof long_text);
  long_text[sizeof long_text - 1] = '\0';
  error_set(&error, EVD_EDATABASE, "", "%s", long_text);
  assert_true(utf8_is_valid(error.message, strlen(error.message)));
  assert_in_range(strlen(error.message), sizeof error.message - 4, sizeof error.message - 1);
}

static int release(void **state) {
  (void)state;
  release_kept();
  return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, release)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(every_column_of_a_full_record_has_a_value),
      TEST(every_column_set_from_its_value_is_the_same_again),
      TEST(the_version_is_that_of_the_package),
      TEST(the_table_agrees_with_the_contract),
      TEST(columns_are_found_by_name_and_by_key),
      TEST(keys_are_the_names_in_camel_case),
      TEST(a_column_refuses_what_its_member_cannot_hold),
      TEST(a_column_set_to_null_reads_as_null_or_nothing),
      TEST(columns_about_a_parent_are_null_without_one),
      TEST(a_cleared_record_has_no_values),
      TEST(names_of_enumerations_lead_back_to_them),
      TEST(what_is_no_enumeration_has_no_name),
      TEST(five_statuses_are_final),
      TEST(every_code_has_its_name),
      TEST(an_error_has_what_it_was_set_to),
      TEST(four_codes_are_worth_trying_again),
      TEST(a_long_message_is_cut_between_characters),
      TEST(a_message_is_valid_utf8_whatever_went_into_it),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
