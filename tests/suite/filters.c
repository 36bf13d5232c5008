/* Filters: every combination of the three, over every state of a row. */
#include "suite/suite.h"

enum { STATUSES = EVD_STATUS_CANCELLED, ROWS = STATUSES * 4, FILTERS = (STATUSES + 1) * 9 };

/* Row i: each status, sleeping or not, finished or not. */
static evd_execution row_of(int i) {
  const char *id = text("te_%02d", i);
  evd_execution row = i & 1 ? sample_sleeping(id, id) : sample_execution(id);
  row.is_finished = i & 2;
  row.status = (evd_status)(1 + i / 4);
  return row;
}

static evd_filter filter_of(int i) {
  return (evd_filter){.is_sleeping_task = (evd_maybe)(i % 3),
                      .is_finished = (evd_maybe)(i / 3 % 3),
                      .status = (evd_status)(i / 9)};
}

static void a_filter_that_is_true_means_yes(void **state) {
  evd_execution active = sample_execution("te_1"), finished = sample_execution("te_2");
  finished.status = EVD_STATUS_COMPLETED;
  finished.is_finished = true;
  suite_insert(&active);
  suite_insert(&finished);
  evd_filter filter = {.is_finished = true};
  assert_null(await_row(evd_get(suite.storage, "te_1", &filter)));
  assert_non_null(await_row(evd_get(suite.storage, "te_2", &filter)));
}

static bool admits(evd_maybe filter, bool value) {
  return filter == EVD_ANY || (filter == EVD_YES) == value;
}

static bool filter_admits(const evd_filter *filter, const evd_execution *row) {
  return (!filter->status || filter->status == row->status) &&
         admits(filter->is_sleeping_task, row->is_sleeping_task) &&
         admits(filter->is_finished, row->is_finished);
}

static evd_execution *insert_rows(void) {
  evd_execution *rows = keep_memory(ROWS * sizeof *rows);
  for (int i = 0; i < ROWS; i++) {
    rows[i] = row_of(i);
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  return rows;
}

static const char *filter_text(const evd_filter *filter) {
  const char *status = evd_status_name(filter->status);
  return text("filter of status %s, sleeping %d, finished %d", status != NULL ? status : "any",
              filter->is_sleeping_task, filter->is_finished);
}

static void a_get_returns_what_the_filter_admits(void **state) {
  evd_execution *rows = insert_rows();
  static evd_future *futures[FILTERS][ROWS];
  for (int i = 0; i < FILTERS; i++) {
    evd_filter filter = filter_of(i);
    for (int j = 0; j < ROWS; j++) {
      futures[i][j] = evd_get(suite.storage, rows[j].execution_id, &filter);
    }
  }
  for (int i = 0; i < FILTERS; i++) {
    evd_filter filter = filter_of(i);
    for (int j = 0; j < ROWS; j++) {
      const evd_execution *row = await_row(futures[i][j]);
      bool admitted = filter_admits(&filter, &rows[j]);
      expect((row != NULL) == admitted, "%s, row of status %s, sleeping %d, finished %d",
             filter_text(&filter), evd_status_name(rows[j].status), rows[j].is_sleeping_task,
             rows[j].is_finished);
      if (row != NULL) {
        expect_row(row, &rows[j]);
      }
    }
  }
}

/* Each round has another filter, and leaves its number in the rows that it admits. */
static void an_update_touches_what_the_filter_admits(void **state) {
  evd_execution *rows = insert_rows();
  for (int i = 0; i < FILTERS; i++) {
    evd_filter filter = filter_of(i);
    evd_changes changes = {0};
    evd_set(&changes, retry_attempts, 1 + i);
    evd_set(&changes, updated_at, SAMPLE_TIME + i);
    evd_future *futures[ROWS];
    for (int j = 0; j < ROWS; j++) {
      futures[j] = evd_update(suite.storage, rows[j].execution_id, &filter, &changes);
    }
    for (int j = 0; j < ROWS; j++) {
      bool admitted = filter_admits(&filter, &rows[j]);
      expect(await_matched(futures[j]) == admitted, "%s, row of status %s", filter_text(&filter),
             evd_status_name(rows[j].status));
      if (admitted) {
        sample_apply(&rows[j], &changes);
      }
    }
    for (int j = i % 4; j < ROWS; j += 4) {
      suite_expect(&rows[j]);
    }
  }
}

static void children_are_inserted_when_the_filter_admits(void **state) {
  evd_execution *rows = insert_rows();
  evd_future *futures[FILTERS];
  for (int i = 0; i < FILTERS; i++) {
    evd_filter filter = filter_of(i);
    evd_execution *row = &rows[i % ROWS];
    evd_execution child = sample_child(text("te_child_%d", i), row->execution_id, i);
    evd_changes changes = {0};
    evd_set(&changes, updated_at, SAMPLE_TIME + 1);
    futures[i] = evd_update_and_insert_children(suite.storage, row->execution_id, &filter, &changes,
                                                &child, 1);
  }
  for (int i = 0; i < FILTERS; i++) {
    evd_filter filter = filter_of(i);
    bool admitted = filter_admits(&filter, &rows[i % ROWS]);
    expect(await_matched(futures[i]) == admitted, "%s", filter_text(&filter));
    expect((suite_get(text("te_child_%d", i)) != NULL) == admitted, "%s", filter_text(&filter));
  }
}

int filters_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_filter_that_is_true_means_yes),
      suite_test(a_get_returns_what_the_filter_admits),
      suite_test(an_update_touches_what_the_filter_admits),
      suite_test(children_are_inserted_when_the_filter_admits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
