/* What values columns can hold: text of all kinds, extreme numbers, large and odd JSON. */
#include "suite/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Texts that a careless engine gets wrong. */
static const char *const texts[] = {
    "plain",
    " ",
    "  spaces around  ",
    "quotes ' '' \" \"\" ` ``",
    "back\\slash \\\\ \\n \\0 \\x",
    "percent %s %n %% $1 ? :a @b #c",
    "'; drop table task_executions; --",
    "a\tb\nc\rd\x01\x1f\x7f",
    "null",
    "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f \xce\xb1\xce\xb2\xce\xb3 \xd0\xb6 \xd7\xa9\xd7\x9c",
    "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e \xed\x95\x9c\xea\xb8\x80",
    "\xf0\x9f\x98\x80 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa9 \xf0\x9f\x87\xaa\xf0\x9f\x87\xba",
    "e\xcc\x81 \xc3\xa9 \xef\xac\x81 \xe2\x80\xae\xe2\x80\xac",
    "\xef\xbb\xbf\xef\xbf\xbd\xef\xbf\xbf\xf4\x8f\xbf\xbf",
};

enum { TEXTS = sizeof texts / sizeof *texts };

/* The text as a JSON string. */
static const char *json_string(const char *plain) {
  char *json = keep_memory(6 * strlen(plain) + 3);
  char *to = json;
  *to++ = '"';
  for (const char *from = plain; *from; from++) {
    if ((unsigned char)*from < 0x20 || *from == '"' || *from == '\\') {
      to += sprintf(to, "\\u%04x", (unsigned)*from);
    } else {
      *to++ = *from;
    }
  }
  *to = '"';
  return json;
}

/* A record with this text wherever there is room for text. */
static evd_execution with_text(const char *plain) {
  evd_execution execution = sample_full(plain);
  const char *string = json_string(plain);
  execution.root_task_id = execution.root_execution_id = plain;
  execution.parent_task_id = execution.parent_execution_id = plain;
  execution.task_id = execution.executor_id = execution.sleeping_task_unique_id = plain;
  execution.input = execution.run_output = execution.output = string;
  execution.error = text("{\"errorType\":%s,\"message\":%s}", string, string);
  execution.children = text("[{\"taskId\":%s,\"executionId\":%s}]", string, string);
  execution.finalize = text("{%s:%s}", string, string);
  return execution;
}

static void any_text_comes_back_as_it_was(void **state) {
  evd_execution executions[TEXTS];
  for (int i = 0; i < TEXTS; i++) {
    executions[i] = with_text(texts[i]);
  }
  await_ok(evd_insert(suite.storage, executions, TEXTS));
  for (int i = 0; i < TEXTS; i++) {
    suite_expect(&executions[i]);
    expect_row(await_row(evd_get_by_sleeping_task_unique_id(suite.storage, texts[i])),
               &executions[i]);
    size_t count;
    expect_row(await_rows(evd_get_by_parent(suite.storage, texts[i]), &count), &executions[i]);
    assert_int_equal(count, 1);
  }
}

static void any_text_can_be_set_by_an_update(void **state) {
  evd_execution executions[TEXTS];
  evd_future *futures[TEXTS];
  for (int i = 0; i < TEXTS; i++) {
    executions[i] = sample_execution(texts[i]);
  }
  await_ok(evd_insert(suite.storage, executions, TEXTS));
  for (int i = 0; i < TEXTS; i++) {
    evd_execution wanted = with_text(texts[i]);
    evd_changes changes = sample_changes(0);
    evd_set(&changes, executor_id, wanted.executor_id);
    evd_set(&changes, run_output, wanted.run_output);
    evd_set(&changes, output, wanted.output);
    evd_set(&changes, error, wanted.error);
    evd_set(&changes, children, wanted.children);
    evd_set(&changes, finalize, wanted.finalize);
    sample_apply(&executions[i], &changes);
    futures[i] = evd_update(suite.storage, texts[i], NULL, &changes);
  }
  for (int i = 0; i < TEXTS; i++) {
    assert_true(await_matched(futures[i]));
  }
  for (int i = 0; i < TEXTS; i++) {
    suite_expect(&executions[i]);
  }
}

/* The framework's MySQL tables compare text by the server's collation: there this is not so. */
static void ids_that_look_alike_are_different(void **state) {
  static const char *const ids[] = {"te_a",  "te_A",        "te_a ",
                                    " te_a", "te_\xc3\xa1", "te_a\xcc\x81"};
  if (suite.framework && strcmp(suite.engine, "mysql") == 0) {
    skip();
  }
  evd_execution executions[6];
  for (int i = 0; i < 6; i++) {
    executions[i] = sample_sleeping(ids[i], ids[i]);
    executions[i].retry_attempts = i;
  }
  await_ok(evd_insert(suite.storage, executions, 6));
  for (int i = 0; i < 6; i++) {
    suite_expect(&executions[i]);
    expect_row(await_row(evd_get_by_sleeping_task_unique_id(suite.storage, ids[i])),
               &executions[i]);
  }
}

/* `bytes` bytes made of this text, repeated. */
static const char *filled(const char *unit, size_t bytes) {
  char *all = keep_memory(bytes + 1);
  for (size_t i = 0; i < bytes; i++) {
    all[i] = unit[i % strlen(unit)];
  }
  return all;
}

static void ids_may_be_as_long_as_they_may(void **state) {
  static const char *const units[] = {"a", "\xc3\xa4", "\xf0\x9f\x98\x80"};
  for (int i = 0; i < 3; i++) {
    evd_execution execution = with_text(filled(units[i], EVD_ID_MAX));
    execution.sleeping_task_unique_id =
        text("%s.", filled(i == 1 ? "\xc3\xa4" : "b", EVD_UNIQUE_ID_MAX - 1));
    suite_insert(&execution);
    suite_expect(&execution);
    expect_row(await_row(evd_get_by_sleeping_task_unique_id(suite.storage,
                                                            execution.sleeping_task_unique_id)),
               &execution);
    await_ok(evd_delete(suite.storage, execution.execution_id));
  }
}

static void ids_may_be_one_byte(void **state) {
  evd_execution execution = with_text("x");
  suite_insert(&execution);
  suite_expect(&execution);
}

/* Sets every integer column: counts and durations to `large`, times to `time`. */
static evd_execution with_numbers(const char *id, int32_t count, int64_t duration, int64_t time) {
  evd_execution execution = sample_full(id);
  execution.index_in_parent_children = execution.retry_attempts = count;
  execution.active_children_count = count;
  execution.sleep_ms_before_run = execution.timeout_ms = duration;
  for (evd_column column = evd_column_start_at; column < EVD_COLUMN_COUNT; column++) {
    if (sample_kind(column) == SAMPLE_INT64) {
      *(int64_t *)sample_member(&execution, column) = time;
    }
  }
  return execution;
}

static void numbers_keep_their_extremes(void **state) {
  evd_execution executions[] = {
      with_numbers("te_max", INT32_MAX, SAMPLE_MAX_TIME, SAMPLE_MAX_TIME),
      with_numbers("te_min", 0, 0, -SAMPLE_MAX_TIME),
      with_numbers("te_zero", 0, 0, 0),
      with_numbers("te_minus_one", 1, 1, -1),
      with_numbers("te_33_bits", 1 << 30, INT64_C(1) << 33, -(INT64_C(1) << 33)),
  };
  await_ok(evd_insert(suite.storage, executions, 5));
  for (int i = 0; i < 5; i++) {
    suite_expect(&executions[i]);
  }
}

static void updates_set_extreme_numbers(void **state) {
  evd_execution execution = sample_execution("te_1");
  suite_insert(&execution);
  static const int64_t times[] = {SAMPLE_MAX_TIME, -SAMPLE_MAX_TIME, 0, -1};
  for (int i = 0; i < 4; i++) {
    evd_changes changes = {0};
    for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
      if (sample_is_settable(column) && sample_kind(column) == SAMPLE_INT64) {
        changes.set |= UINT64_C(1) << column;
        *(int64_t *)sample_member(&changes.values, column) = times[i];
      }
    }
    evd_set(&changes, retry_attempts, i ? 0 : INT32_MAX);
    sample_apply(&execution, &changes);
    assert_true(await_matched(evd_update(suite.storage, "te_1", NULL, &changes)));
    suite_expect(&execution);
  }
}

static void any_json_value_can_be_input_and_output(void **state) {
  static const char *const documents[] = {
      "null",
      "true",
      "false",
      "0",
      "-0",
      "1e3",
      "1.5E-7",
      "-12.25",
      "9007199254740991",
      "\"\"",
      "[]",
      "{}",
      "[[],{},[{}]]",
      "{\"\":\"\"}",
      " \n\t{ \"b\" : 1 , \"a\" : [ ] } \r\n",
      "\"\\u00e4\\ud83d\\ude00\\n\\/\\\"\\\\\"",
      "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":null}}}}}",
  };
  for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
    evd_execution execution = sample_execution(text("te_%zu", i));
    execution.input = execution.output = execution.run_output = documents[i];
    suite_insert(&execution);
    suite_expect(&execution);
  }
}

/* Databases differ in what JSON they can store beyond plain documents; but each says so, by the
 * column, or stores the same value. */
static void json_is_stored_as_it_is_or_refused_with_its_column(void **state) {
  const char *documents[] = {
      "1e400",
      "-1e-400",
      "123456789012345678901234567890",
      "0.1234567890123456789012345",
      text("%s1%s", filled("[", 60), filled("]", 60)),
      text("%s1%s", filled("[", 400), filled("]", 400)),
      text("{\"%s\":1}", filled("k", 70000)),
  };
  for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
    evd_execution odd = sample_execution(text("te_odd_%zu", i));
    evd_execution plain = sample_execution(text("te_plain_%zu", i));
    odd.input = documents[i];
    evd_future *odd_inserted = keep_future(evd_insert(suite.storage, &odd, 1));
    await_ok(evd_insert(suite.storage, &plain, 1));
    if (evd_future_await(odd_inserted)) {
      const evd_error *error = evd_future_error(odd_inserted);
      expect(error->code == EVD_EINVAL, "%s: %s", evd_code_name(error->code), error->message);
      assert_string_equal(error->field, "input");
      assert_null(suite_get(odd.execution_id));
    } else {
      suite_expect(&odd);
    }
    suite_expect(&plain);
  }
}

static void a_megabyte_of_input_and_output_is_stored(void **state) {
  evd_execution execution = sample_execution("te_large");
  execution.input = text("{\"large\":\"%s\"}", filled("0123456789abcdef\xc3\xa4", 1 << 20));
  suite_insert(&execution);
  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&changes, output, text("[\"%s\"]", filled("large output ", 1 << 20)));
  evd_set(&changes, run_output, changes.values.output);
  sample_apply(&execution, &changes);
  assert_true(await_matched(evd_update(suite.storage, "te_large", NULL, &changes)));
  suite_expect(&execution);
}

static void a_claim_returns_large_rows(void **state) {
  evd_execution executions[12];
  const char *large = text("\"%s\"", filled("large ", 300000));
  for (int i = 0; i < 12; i++) {
    executions[i] = sample_execution(text("te_%02d", i));
    executions[i].start_at = SAMPLE_TIME + i;
    executions[i].input = large;
  }
  await_ok(evd_insert(suite.storage, executions, 12));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  const evd_execution *rows = await_rows(
      evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME + 100), &changes, 100), &count);
  assert_int_equal(count, 12);
  for (int i = 0; i < 12; i++) {
    sample_apply(&executions[i], &changes);
    executions[i].expires_at = SAMPLE_TIME + executions[i].timeout_ms;
    expect_row(&rows[i], &executions[i]);
  }
}

/* Whether the table keeps documents as PostgreSQL's jsonb. */
static bool has_jsonb(void) {
  return strcmp(suite.engine, "postgres") == 0 && !suite.framework;
}

/* Stores a document, which comes back as it is; or, where the column's type cannot hold it, is
 * refused with the column's name, and harms no neighbour. */
static void store_or_refuse(const char *id, const char *document, bool must_be_refused) {
  static const evd_column documents[] = {evd_column_input, evd_column_output};
  for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
    evd_execution row = sample_execution(text("%s_%zu", id, i));
    evd_execution neighbour = sample_execution(text("%s_%zu_neighbour", id, i));
    *(const char **)sample_member(&row, documents[i]) = document;
    evd_future *inserts[] = {evd_insert(suite.storage, &row, 1),
                             evd_insert(suite.storage, &neighbour, 1)};
    evd_error error = {0};
    evd_future_await(inserts[0]);
    error = *evd_future_error(inserts[0]);
    evd_future_release(inserts[0]);
    await_ok(inserts[1]);
    if (error.code == EVD_OK) {
      expect(!must_be_refused, "%s was taken", document);
      suite_expect(&row);
      char *json = evd_execution_to_json(suite_get(row.execution_id));
      expect(json != NULL, "%s has no JSON", row.execution_id);
      evd_execution *back = evd_execution_from_json(json, &error);
      expect(back != NULL, "%s", error.message);
      expect(sample_difference(&row, back) == EVD_COLUMN_COUNT, "%s", json);
      free(back);
      free(json);
    } else {
      assert_int_equal(error.code, EVD_EINVAL);
      assert_string_equal(error.field, evd_column_name(documents[i]));
      assert_null(suite_get(row.execution_id));
    }
  }
}

/* A thrown error is enough for one, in the framework's tables. */
static void zero_escapes_are_kept_where_the_type_can_hold_them(void **state) {
  (void)state;
  store_or_refuse("te_value", "{\"a\":\"x\\u0000y\"}", has_jsonb());
  store_or_refuse("te_key", "{\"a\\u0000\":1}", has_jsonb());
}

/* JSON.stringify() writes a cut emoji so. */
static void unpaired_surrogates_are_kept_where_the_type_can_hold_them(void **state) {
  (void)state;
  store_or_refuse("te_high", "{\"a\":\"x\\ud83d\"}", has_jsonb());
  store_or_refuse("te_low", "{\"\\ude00y\":1}", has_jsonb());
}

/* jsonb writes numbers out: a kilobyte would come back as megabytes. */
static void numbers_that_jsonb_would_swell_are_refused_there(void **state) {
  (void)state;
  const char *doubles =
      "[1.7976931348623157e308,-2.2250738585072014E-308,5e-324,1e+100,\"1e9999\"]";
  store_or_refuse("te_doubles", doubles, false);
  assert_non_null(suite_get("te_doubles_0"));
  if (has_jsonb()) {
    store_or_refuse("te_large", "[1e500]", true);
    store_or_refuse("te_small", "{\"a\":[1,2.5E-131000]}", true);
  }
}

/* Many that are within the bound, one by one, and are not all together. */
static void many_numbers_that_jsonb_would_swell_are_refused_there(void **state) {
  (void)state;
  enum { COUNT = 100000 };
  if (!has_jsonb()) {
    skip();
  }
  char *document = keep_memory(COUNT * 6 + 2);
  document[0] = '[';
  for (int i = 0; i < COUNT; i++) {
    for (int j = 0; j < 6; j++) {
      document[1 + i * 6L + j] = "1e300,"[j];
    }
  }
  document[COUNT * 6L] = ']';
  store_or_refuse("te_many", document, true);
}

/* The framework's own suite has both. */
static void what_the_frameworks_storage_takes_is_taken(void **state) {
  (void)state;
  evd_execution rows[] = {sample_sleeping("te_sleeping", NULL),
                          sample_child("te_child", "te_p", -1)};
  for (int i = 0; i < 2; i++) {
    suite_insert(&rows[i]);
    suite_expect(&rows[i]);
    char *json = evd_execution_to_json(&rows[i]);
    evd_error error;
    evd_execution *back = evd_execution_from_json(json, &error);
    expect(back != NULL, "%s", error.message);
    free(back);
    free(json);
  }
}

int values_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(any_text_comes_back_as_it_was),
      suite_test(any_text_can_be_set_by_an_update),
      suite_test(ids_that_look_alike_are_different),
      suite_test(ids_may_be_as_long_as_they_may),
      suite_test(ids_may_be_one_byte),
      suite_test(numbers_keep_their_extremes),
      suite_test(updates_set_extreme_numbers),
      suite_test(any_json_value_can_be_input_and_output),
      suite_test(json_is_stored_as_it_is_or_refused_with_its_column),
      suite_test(zero_escapes_are_kept_where_the_type_can_hold_them),
      suite_test(unpaired_surrogates_are_kept_where_the_type_can_hold_them),
      suite_test(numbers_that_jsonb_would_swell_are_refused_there),
      suite_test(many_numbers_that_jsonb_would_swell_are_refused_there),
      suite_test(what_the_frameworks_storage_takes_is_taken),
      suite_test(a_megabyte_of_input_and_output_is_stored),
      suite_test(a_claim_returns_large_rows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
