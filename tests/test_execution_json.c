/* Whole records, and retry options, to and from JSON. */

#include <evdurable.h>

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "model/columns.h"
#include "support/check.h"
#include "support/sample.h"

/* The members of a small record; tests put others before, after or in place of them. */
#define TASK "\"taskId\":\"t\","
#define START "\"startAt\":1,"
#define REST                                                                                   \
  "\"executionId\":\"e\",\"isSleepingTask\":false,\"retryOptions\":{},\"sleepMsBeforeRun\":0," \
  "\"timeoutMs\":0,\"areChildrenSequential\":false,\"input\":1,\"status\":\"ready\","          \
  "\"isFinished\":false,\"retryAttempts\":0,\"activeChildrenCount\":0,"                        \
  "\"onChildrenFinishedProcessingStatus\":\"idle\",\"closeStatus\":\"idle\","                  \
  "\"needsPromiseCancellation\":false,\"createdAt\":1,\"updatedAt\":1"
#define RECORD TASK START REST

/* To JSON and back. */
static evd_execution *round_trip(const evd_execution *execution) {
  char *json = evd_execution_to_json(execution);
  evd_execution *back;
  evd_error error;

  assert_non_null(json);
  back = evd_execution_from_json(json, &error);
  expect(back != NULL, "%s: %s", error.message, json);
  free(json);
  return back;
}

static void expect_round_trip(const evd_execution *execution) {
  evd_execution *back = round_trip(execution);

  expect_row(back, execution);
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    if (column_is_json((evd_column)i)) { /* to the letter, not only by value */
      const char *before = column_get(execution, (evd_column)i).text;
      const char *after = column_get(back, (evd_column)i).text;
      assert_true((before == NULL) == (after == NULL));
      if (before != NULL) {
        assert_string_equal(before, after);
      }
    }
  }
  free(back);
}

static void a_full_record_survives(void **state) {
  evd_execution full = sample_full("full");

  (void)state;
  expect_round_trip(&full);
}

static void a_minimal_record_survives(void **state) {
  evd_execution minimal = sample_execution("minimal");

  (void)state;
  expect_round_trip(&minimal);
}

/* Reads a text that is good. */
static evd_execution *read_good(const char *json) {
  evd_error error;
  evd_execution *execution = evd_execution_from_json(json, &error);

  expect(execution != NULL, "%s", error.message);
  return execution;
}

/* In the nested form and back. */
static void expect_nested_round_trip(const evd_execution *execution) {
  char *json = evd_execution_to_nested_json(execution);
  assert_non_null(json);
  evd_error error;
  evd_execution *back = evd_execution_from_json(json, &error);
  expect(back != NULL, "%s: %s", error.message, json);
  expect_row(back, execution);
  free(back);
  free(json);
}

static void the_nested_form_has_root_and_parent_as_objects(void **state) {
  evd_execution full = sample_full("full");
  evd_execution minimal = sample_execution("minimal");
  evd_execution child = sample_child("child", "parent \"1\"", 3);

  (void)state;
  expect_nested_round_trip(&full);
  expect_nested_round_trip(&minimal);
  expect_nested_round_trip(&child);
  child.root_task_id = "r";
  child.root_execution_id = "te_r";
  child.parent_task_id = "p";
  child.is_only_child_of_parent = true;
  char *json = evd_execution_to_nested_json(&child);
  static const char begin[] =
      "{\"root\":{\"taskId\":\"r\",\"executionId\":\"te_r\"},"
      "\"parent\":{\"taskId\":\"p\",\"executionId\":\"parent \\\"1\\\"\","
      "\"indexInParentChildren\":3,\"isOnlyChildOfParent\":true,\"isFinalizeOfParent\":false},"
      "\"taskId\":";
  expect(strncmp(json, begin, strlen(begin)) == 0, "%s", json);
  free(json);
  json = evd_execution_to_nested_json(&minimal);
  assert_null(strstr(json, "root"));
  assert_null(strstr(json, "\"parent\""));
  free(json);
  evd_execution *read = read_good("{" RECORD ",\"root\":null,\"parent\":{}}");
  assert_null(read->parent_execution_id);
  free(read);
}

static void a_full_record_without_one_column_survives(void **state) {
  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_execution execution = sample_full("id");
    if (!sample_is_nullable((evd_column)i)) {
      continue;
    }
    sample_clear(&execution, (evd_column)i);
    expect_round_trip(&execution);
  }
}

static void the_largest_integers_survive(void **state) {
  evd_execution execution = sample_execution("id");

  (void)state;
  execution.start_at = SAMPLE_MAX_TIME;
  execution.started_at = -SAMPLE_MAX_TIME;
  execution.timeout_ms = SAMPLE_MAX_TIME;
  execution.retry_attempts = INT32_MAX;
  execution.finished_at = 1000000000000000;
  expect_round_trip(&execution);
}

static void a_parent_whose_finalize_task_was_closed_survives(void **state) {
  evd_execution parent = sample_full("parent");

  (void)state;
  parent.active_children_count = -1;
  expect_round_trip(&parent);
}

static void documents_keep_their_numbers_and_spelling(void **state) {
  evd_execution execution = sample_execution("id");

  (void)state;
  execution.input = "{\"big\":12345678901234567890123456789,\"e\":1.50e+3,\"z\":-0}";
  execution.run_output = "[9007199254740993,\"\\u00e9\\/\"]";
  execution.output = "null";
  expect_round_trip(&execution);
}

static void a_record_is_one_line_whatever_its_documents_are(void **state) {
  evd_execution execution = sample_execution("id");
  evd_execution *back;
  char *json;

  (void)state;
  execution.input = "\r\n{\n\t\"a\" : [ 1 ,\n2 ] , \"b c\" : \" \\\" \\\\\" }\n";
  execution.retry_options = "{ \"maxAttempts\" :\n1 }";
  json = evd_execution_to_json(&execution);
  assert_null(strpbrk(json, "\r\n"));
  free(json);
  back = round_trip(&execution);
  assert_string_equal(back->input, "{\"a\":[1,2],\"b c\":\" \\\" \\\\\"}");
  assert_string_equal(back->retry_options, "{\"maxAttempts\":1}");
  free(back);
}

static void texts_with_special_characters_survive(void **state) {
  evd_execution execution = sample_execution("id \"quoted\" \\ / \n\t\x01");

  (void)state;
  execution.task_id = "\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80";
  expect_round_trip(&execution);
}

static void the_deepest_document_survives(void **state) {
  evd_execution execution = sample_execution("id");
  char deep[1025];

  (void)state;
  memset(deep, '[', 512);
  memset(deep + 512, ']', 512);
  deep[1024] = '\0';
  execution.input = deep;
  assert_int_equal(evd_execution_check(&execution, NULL), EVD_OK);
  expect_round_trip(&execution);
}

static void keys_are_in_camel_case_and_null_columns_left_out(void **state) {
  evd_execution execution = sample_execution("e");
  char *json = evd_execution_to_json(&execution);
  cJSON *object = cJSON_Parse(json);

  (void)state;
  assert_non_null(object);
  assert_string_equal(cJSON_GetObjectItemCaseSensitive(object, "executionId")->valuestring, "e");
  assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(object, "isFinished")));
  assert_true(cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(object, "input")));
  assert_string_equal(cJSON_GetObjectItemCaseSensitive(object, "closeStatus")->valuestring, "idle");
  assert_null(cJSON_GetObjectItemCaseSensitive(object, "parentExecutionId"));
  assert_null(cJSON_GetObjectItemCaseSensitive(object, "indexInParentChildren"));
  assert_null(cJSON_GetObjectItemCaseSensitive(object, "startedAt"));
  cJSON_Delete(object);
  free(json);
}

static void a_record_with_broken_json_is_not_written(void **state) {
  evd_execution execution = sample_execution("e");

  (void)state;
  execution.output = "{\"broken\":";
  assert_null(evd_execution_to_json(&execution));
}

static void a_small_record_is_read(void **state) {
  evd_execution *execution = read_good(" { " RECORD " } ");

  (void)state;
  assert_string_equal(execution->task_id, "t");
  assert_string_equal(execution->execution_id, "e");
  assert_string_equal(execution->input, "1");
  assert_int_equal(execution->status, EVD_STATUS_READY);
  assert_true(execution->started_at == EVD_NONE);
  assert_null(execution->error);
  free(execution);
}

static void null_stands_for_a_column_left_out_but_is_a_document(void **state) {
  evd_execution *execution = read_good("{" RECORD ",\"executorId\":null,\"expiresAt\":null,"
                                       "\"error\":null,\"indexInParentChildren\":null,"
                                       "\"runOutput\":null}");

  (void)state;
  assert_null(execution->executor_id);
  assert_true(execution->expires_at == EVD_NONE);
  assert_null(execution->error);
  assert_string_equal(execution->run_output, "null");
  free(execution);
}

/* As in an export from before the column was there. */
static void only_columns_with_a_default_and_nullable_ones_may_be_left_out(void **state) {
  evd_execution sample = sample_execution("e");
  char *json = evd_execution_to_json(&sample);
  size_t defaults = 0;

  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    cJSON *object = cJSON_Parse(json);
    evd_error error;
    cJSON_DeleteItemFromObjectCaseSensitive(object, columns[i].json_key);
    char *older = cJSON_PrintUnformatted(object);
    evd_execution *execution = evd_execution_from_json(older, &error);
    if (columns[i].null == COLUMN_NOT_NULL && columns[i].default_text == NULL) {
      assert_null(execution);
      assert_string_equal(error.field, columns[i].name);
    } else {
      expect(execution != NULL, "%s", error.message);
      evd_execution expected = sample; /* which has but one value that is no default */
      expected.sleep_ms_before_run = i == evd_column_sleep_ms_before_run ? 0 : 5;
      expect_row(execution, &expected);
      defaults += columns[i].default_text != NULL;
    }
    free(execution);
    free(older);
    cJSON_Delete(object);
  }
  assert_int_equal(defaults, 7);
  free(json);
}

static void escaped_keys_and_texts_are_understood(void **state) {
  evd_execution *execution =
      read_good("{" RECORD ",\"\\u0065xecutorId\":\"\\u00e9\\ud83d\\ude00\\n\"}");

  (void)state;
  assert_string_equal(execution->executor_id, "\xc3\xa9\xf0\x9f\x98\x80\n");
  free(execution);
}

static const struct {
  const char *json, *field, *message;
} refused[] = {
    {"", "", "not valid JSON: unexpected end at byte 1"},
    {"[]", "", "not a JSON object"},
    {"{" RECORD, "", "not valid JSON"},
    {"{}", "task_id", "taskId is missing"},
    {"{" TASK REST "}", "start_at", "startAt is missing"},
    {"{" TASK "\"startAt\":null," REST "}", "start_at", "startAt is missing"},
    {"{" TASK "\"startAt\":1.5," REST "}", "start_at", "startAt is not an integer in range"},
    {"{" TASK "\"startAt\":1e3," REST "}", "start_at", "startAt is not an integer in range"},
    {"{" TASK "\"startAt\":\"1\"," REST "}", "start_at", "startAt is not an integer in range"},
    {"{" TASK "\"startAt\":9007199254740992," REST "}", "start_at", "2^53 - 1"},
    {"{" TASK "\"startAt\":99999999999999999999," REST "}", "start_at", "not an integer in range"},
    {"{" START REST ",\"taskId\":7}", "task_id", "taskId is not a string"},
    {"{" START REST ",\"taskId\":[\"t\"]}", "task_id", "taskId is not a string"},
    {"{" START REST ",\"taskId\":\"\"}", "task_id", "task_id is empty"},
    {"{" RECORD ",\"taskId\":\"t\"}", "task_id", "taskId occurs twice"},
    {"{" RECORD ",\"nonsense\":1}", "nonsense", "nonsense is not a key of an execution"},
    {"{" RECORD ",\"task_id\":1}", "task_id", "task_id is not a key of an execution"},
    {"{" RECORD ",\"error\":[]}", "error", "error is not a JSON object"},
    {"{" RECORD ",\"children\":{}}", "children", "children is not a JSON array"},
    {"{" RECORD ",\"parentTaskId\":\"p\"}", "parent_execution_id", "is missing beside"},
    {"{" RECORD ",\"parentTaskId\":\"p\",\"parentExecutionId\":\"p\"}", "index_in_parent_children",
     "indexInParentChildren is missing"},
    {"{" RECORD ",\"isFinalizeOfParent\":true}", "is_finalize_of_parent", "without a parent"},
    {"{" RECORD ",\"sleepingTaskUniqueId\":\"u\"}", "sleeping_task_unique_id", "not sleeping"},
    {"{" RECORD ",\"root\":\"te_1\"}", "root", "root is not an object"},
    {"{" RECORD ",\"parent\":[]}", "parent", "parent is not an object"},
    {"{" RECORD ",\"root\":{\"taskId\":7}}", "root_task_id", "is not a string"},
    {"{" RECORD ",\"root\":{\"taskId\":\"r\"}}", "root_execution_id", "is missing beside"},
    {"{" RECORD ",\"root\":{\"isFinalizeOfParent\":true}}", "isFinalizeOfParent",
     "root.isFinalizeOfParent is not a key"},
    {"{" RECORD ",\"root\":{\"root\":{}}}", "root", "root.root is not a key"},
    {"{" RECORD ",\"parent\":{\"isFinalizeOfParent\":true}}", "is_finalize_of_parent",
     "without a parent"},
    {"{" RECORD ",\"parent\":{\"taskId\":\"p\",\"executionId\":\"p\"}}", "index_in_parent_children",
     "is missing"},
    {"{" RECORD ",\"rootTaskId\":\"r\",\"root\":{\"taskId\":\"r\",\"executionId\":\"r\"}}",
     "root_task_id", "root.taskId occurs twice"},
    {"{" RECORD ",\"root\":{\"taskId\":\"r\",\"executionId\":\"r\",\"taskId\":\"r\"}}",
     "root_task_id", "root.taskId occurs twice"},
};

static void what_is_not_a_record_is_refused_by_field_and_reason(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    evd_error error;
    expect(evd_execution_from_json(refused[i].json, &error) == NULL, "%s", refused[i].json);
    assert_int_equal(error.code, EVD_EINVAL);
    expect(strcmp(error.field, refused[i].field) == 0 &&
               strstr(error.message, refused[i].message) != NULL,
           "%s: %s: %s", refused[i].json, error.field, error.message);
    assert_null(evd_execution_from_json(refused[i].json, NULL));
  }
}

/* Each column with a value of every other kind. */
static void every_column_refuses_values_of_another_kind(void **state) {
  static const char *const values[] = {"\"text\"", "5", "true", "{}", "[]", "1.5"};

  (void)state;
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
      enum column_type type = columns[i].type;
      bool fits = type == COLUMN_JSON || (v == 0 && column_is_text((evd_column)i)) ||
                  (v == 1 && !column_is_text((evd_column)i) && !column_is_enum((evd_column)i)) ||
                  (v == 2 && type == COLUMN_BOOL) || (v == 3 && type == COLUMN_JSON_OBJECT) ||
                  (v == 4 && type == COLUMN_JSON_ARRAY);
      evd_error error;
      if (fits) {
        continue;
      }
      assert_null(
          evd_execution_from_json(text("{\"%s\":%s}", columns[i].json_key, values[v]), &error));
      if (!column_is_json((evd_column)i)) { /* documents are looked at when all are there */
        assert_string_equal(error.field, columns[i].name);
      }
    }
  }
}

static void there_must_be_a_text(void **state) {
  evd_error error;

  (void)state;
  assert_null(evd_execution_from_json(NULL, &error));
  assert_int_equal(error.code, EVD_EINVAL);
}

static void a_key_may_have_any_length(void **state) {
  char *key = keep_memory(1001);
  evd_error error;

  (void)state;
  memset(key, 'k', 1000);
  assert_null(evd_execution_from_json(text("{\"%s\":1}", key), &error));
  assert_int_equal(error.code, EVD_EINVAL);
}

/* --- retry options --- */

static void retry_options_survive(void **state) {
  evd_retry_options options = {3, 100, 1.1, INT64_C(9007199254740991)};
  evd_retry_options back;
  char *json = evd_retry_options_to_json(&options);

  (void)state;
  assert_string_equal(json, "{\"maxAttempts\":3,\"baseDelayMs\":100,\"delayMultiplier\":1.1,"
                            "\"maxDelayMs\":9007199254740991}");
  assert_int_equal(evd_retry_options_from_json(json, &back, NULL), EVD_OK);
  assert_memory_equal(&back.base_delay_ms, &options.base_delay_ms, sizeof back.base_delay_ms);
  assert_int_equal(back.max_attempts, 3);
  assert_true(back.delay_multiplier == 1.1);
  assert_true(back.max_delay_ms == options.max_delay_ms);
  free(json);
}

static void retry_options_not_given_are_left_out(void **state) {
  evd_retry_options options = {5, EVD_NONE, 0, EVD_NONE};
  evd_retry_options back;
  char *json = evd_retry_options_to_json(&options);

  (void)state;
  assert_string_equal(json, "{\"maxAttempts\":5}");
  assert_int_equal(evd_retry_options_from_json(
                       "{\"other\":[1],\"maxAttempts\":5,\"baseDelayMs\":null}", &back, NULL),
                   EVD_OK);
  assert_int_equal(back.max_attempts, 5);
  assert_true(back.base_delay_ms == EVD_NONE);
  assert_true(back.max_delay_ms == EVD_NONE);
  assert_true(back.delay_multiplier == 0);
  free(json);
}

static void retry_options_of_another_form_are_refused_by_field(void **state) {
  static const struct {
    const char *json, *field;
  } cases[] = {
      {NULL, "retry_options"},
      {"{", "retry_options"},
      {"[]", "retry_options"},
      {"{}", "maxAttempts"},
      {"{\"maxAttempts\":-1}", "maxAttempts"},
      {"{\"maxAttempts\":2147483648}", "maxAttempts"},
      {"{\"maxAttempts\":\"1\"}", "maxAttempts"},
      {"{\"maxAttempts\":1.5}", "maxAttempts"},
      {"{\"maxAttempts\":1,\"baseDelayMs\":-1}", "baseDelayMs"},
      {"{\"maxAttempts\":1,\"maxDelayMs\":9007199254740992}", "maxDelayMs"},
      {"{\"maxAttempts\":1,\"delayMultiplier\":true}", "delayMultiplier"},
      {"{\"maxAttempts\":1,\"delayMultiplier\":-2}", "delayMultiplier"},
      {"{\"maxAttempts\":1,\"delayMultiplier\":1e999}", "delayMultiplier"},
  };

  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    evd_retry_options options;
    evd_error error;
    assert_int_equal(evd_retry_options_from_json(cases[i].json, &options, &error), EVD_EINVAL);
    assert_string_equal(error.field, cases[i].field);
  }
}

static int release(void **state) {
  (void)state;
  release_kept();
  return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, release)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_full_record_survives),
      TEST(a_minimal_record_survives),
      TEST(the_nested_form_has_root_and_parent_as_objects),
      TEST(a_full_record_without_one_column_survives),
      TEST(the_largest_integers_survive),
      TEST(a_parent_whose_finalize_task_was_closed_survives),
      TEST(documents_keep_their_numbers_and_spelling),
      TEST(a_record_is_one_line_whatever_its_documents_are),
      TEST(texts_with_special_characters_survive),
      TEST(the_deepest_document_survives),
      TEST(keys_are_in_camel_case_and_null_columns_left_out),
      TEST(a_record_with_broken_json_is_not_written),
      TEST(a_small_record_is_read),
      TEST(null_stands_for_a_column_left_out_but_is_a_document),
      TEST(only_columns_with_a_default_and_nullable_ones_may_be_left_out),
      TEST(escaped_keys_and_texts_are_understood),
      TEST(what_is_not_a_record_is_refused_by_field_and_reason),
      TEST(every_column_refuses_values_of_another_kind),
      TEST(there_must_be_a_text),
      TEST(a_key_may_have_any_length),
      TEST(retry_options_survive),
      TEST(retry_options_not_given_are_left_out),
      TEST(retry_options_of_another_form_are_refused_by_field),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
