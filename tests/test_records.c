/* The rows of a result. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/records.h"
#include "support/check.h"

static void records_made_for_few_rows_take_many(void **state) {
  struct records *records = records_new(1, 10);

  (void)state;
  assert_non_null(records);
  for (int i = 0; i < 5000; i++) {
    char text[32];
    int length = snprintf(text, sizeof text, "execution %d", i);
    evd_execution *row = records_add(records);
    assert_non_null(row);
    assert_null(row->execution_id);
    row->execution_id = records_text(records, text, (size_t)length);
    row->start_at = i;
    assert_string_equal(row->execution_id, text);
  }
  assert_int_equal(records_count(records), 5000);
  for (int i = 0; i < 5000; i++) {
    char text[32];
    snprintf(text, sizeof text, "execution %d", i);
    assert_string_equal(records_rows(records)[i].execution_id, text);
    assert_int_equal(records_rows(records)[i].start_at, i);
  }
  records_release(records);
}

static void records_made_for_nothing_take_rows_and_text(void **state) {
  struct records *records = records_new(0, 0);
  evd_execution *row;

  (void)state;
  assert_int_equal(records_count(records), 0);
  row = records_add(records);
  row->input = records_text(records, "", 0);
  assert_string_equal(row->input, "");
  assert_int_equal(records_count(records), 1);
  records_release(records);
}

static void a_row_that_is_taken_off_leaves_an_empty_one_for_the_next(void **state) {
  struct records *records = records_new(2, 8);

  (void)state;
  records_add(records)->start_at = 1;
  records_add(records)->start_at = 2;
  records_remove_last(records);
  assert_int_equal(records_count(records), 1);
  assert_int_equal(records_add(records)->start_at, 0);
  assert_int_equal(records_rows(records)[0].start_at, 1);
  records_release(records);
}

/* The foreseen room is used to its last byte, and no further. */
static void the_first_block_holds_what_was_foreseen(void **state) {
  struct records *records = records_new(2, 8);
  evd_execution *first = records_add(records);
  evd_execution *second = records_add(records);

  (void)state;
  assert_ptr_equal(second, first + 1);
  first->task_id = records_text(records, "abc", 3);
  second->task_id = records_text(records, "def", 3);
  assert_ptr_equal(first->task_id, (const char *)(first + 2));
  assert_ptr_equal(second->task_id, first->task_id + 4);
  assert_string_equal(records_text(records, "g", 1), "g");
  assert_string_equal(first->task_id, "abc");
  records_release(records);
}

static void texts_of_all_sizes_stay_whole(void **state) {
  enum { TEXTS = 400 };
  struct records *records = records_new(4, 100);
  const char *texts[TEXTS];
  size_t lengths[TEXTS];
  char *large = keep_memory(3000000);

  (void)state;
  for (int i = 0; i < TEXTS; i++) {
    lengths[i] = i % 50 == 49 ? (size_t)i * 7000 : (size_t)(i * i) % 5000;
    memset(large, 'a' + i % 26, lengths[i]);
    texts[i] = records_text(records, large, lengths[i]);
    assert_non_null(texts[i]);
  }
  for (int i = 0; i < TEXTS; i++) {
    assert_int_equal(strlen(texts[i]), lengths[i]);
    memset(large, 'a' + i % 26, lengths[i]);
    assert_memory_equal(texts[i], large, lengths[i]);
  }
  records_release(records);
}

static void a_text_need_not_end_with_zero(void **state) {
  struct records *records = records_new(1, 16);

  (void)state;
  assert_string_equal(records_text(records, "abcdef", 3), "abc");
  records_release(records);
}

static void records_live_until_the_last_release(void **state) {
  struct records *records = records_new(1, 0);

  (void)state;
  records_add(records)->start_at = 5;
  assert_ptr_equal(records_retain(records), records);
  records_release(records);
  assert_int_equal(records_rows(records)[0].start_at, 5);
  records_release(records);
}

static void no_records_are_no_rows(void **state) {
  (void)state;
  assert_int_equal(records_count(NULL), 0);
  assert_null(records_rows(NULL));
  records_release(NULL);
}

static void more_than_memory_can_hold_is_refused(void **state) {
  (void)state;
  assert_null(records_new(SIZE_MAX / 2, 0));
  assert_null(records_new(1, SIZE_MAX));
}

/* Rows numbered from 0, brought into an order. */
static void expect_reordered(const size_t *order, size_t count) {
  size_t *used = keep_memory(count * sizeof *used);
  struct records *records = records_new(count, 0);

  for (size_t i = 0; i < count; i++) {
    records_add(records)->start_at = (int64_t)i;
    used[i] = order[i];
  }
  records_reorder(records, used);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(records_rows(records)[i].start_at, order[i]);
  }
  records_release(records);
}

static void rows_come_into_any_order(void **state) {
  size_t order[1000];

  (void)state;
  for (size_t i = 0; i < 1000; i++) {
    order[i] = (i * 387 + 11) % 1000;
  }
  expect_reordered(order, 1000);
  expect_reordered((const size_t[]){0}, 1);
  expect_reordered((const size_t[]){0, 1, 2}, 3);
  expect_reordered((const size_t[]){2, 0, 1}, 3);
  expect_reordered((const size_t[]){1, 2, 3, 0}, 4);
  expect_reordered((const size_t[]){1, 0, 3, 2}, 4);
}

static int release(void **state) {
  (void)state;
  release_kept();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(records_made_for_few_rows_take_many),
      cmocka_unit_test(records_made_for_nothing_take_rows_and_text),
      cmocka_unit_test(a_row_that_is_taken_off_leaves_an_empty_one_for_the_next),
      cmocka_unit_test(the_first_block_holds_what_was_foreseen),
      cmocka_unit_test_teardown(texts_of_all_sizes_stay_whole, release),
      cmocka_unit_test(a_text_need_not_end_with_zero),
      cmocka_unit_test(records_live_until_the_last_release),
      cmocka_unit_test(no_records_are_no_rows),
      cmocka_unit_test(more_than_memory_can_hold_is_refused),
      cmocka_unit_test_teardown(rows_come_into_any_order, release),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
