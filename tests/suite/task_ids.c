/* Claims of some tasks only: by start_at, and of parents whose children have finished. */
#include <stdlib.h>
#include <string.h>

#include "suite/suite.h"
#include "support/native_sql.h"

/* Ids that differ in case, or by a space at the end, are those of different tasks. */
static const char *const tasks[] = {"paint", "Paint", "paint ", "mail",
                                    "it's \"quoted\" \\ \xc3\xa9"};

enum { TASKS = sizeof tasks / sizeof *tasks, ROWS = 60 };

#define DUE (SAMPLE_TIME + ROWS)

/* Rows of all tasks in turn, each due a little later than the one before it; inserted in another
 * order. One more row of each task is not due, and one has finished. */
static evd_execution *insert_rows(evd_storage *storage) {
  evd_execution *rows = keep_memory((ROWS + 2 * TASKS) * sizeof *rows);
  evd_execution *mixed = keep_memory(ROWS * sizeof *mixed);
  for (int i = 0; i < ROWS + 2 * TASKS; i++) {
    rows[i] = sample_execution(text("te_%02d", i * 37 % 101));
    rows[i].task_id = tasks[i % TASKS];
    rows[i].start_at = i < ROWS ? SAMPLE_TIME + i : DUE;
    if (i >= ROWS + TASKS) {
      rows[i].start_at = SAMPLE_TIME;
      rows[i].status = EVD_STATUS_COMPLETED;
    }
  }
  for (int i = 0; i < ROWS; i++) {
    mixed[i] = rows[i * 7 % ROWS];
  }
  await_ok(evd_insert(storage, mixed, ROWS));
  await_ok(evd_insert(storage, rows + ROWS, 2 * TASKS));
  return rows;
}

static bool is_listed(const char *const *list, size_t count, const char *task) {
  bool is = false;
  for (size_t i = 0; i < count; i++) {
    is = is || strcmp(list[i], task) == 0;
  }
  return is;
}

static evd_future *claim(evd_storage *storage, const char *const *list, size_t count,
                         int64_t limit) {
  evd_due due = *sample_due(DUE);
  due.task_ids = list;
  due.task_id_count = count;
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  return evd_claim_by_start_at(storage, &due, &changes, limit);
}

/* Claims, and checks that it was the first of those of the list that are ready. */
static void claim_and_expect(evd_storage *storage, evd_execution *rows, const char *const *list,
                             size_t list_count, int64_t limit) {
  size_t count;
  const evd_execution *claimed = await_rows(claim(storage, list, list_count, limit), &count);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t expected = 0;
  for (int i = 0; i < ROWS && expected < (size_t)limit; i++) {
    if (rows[i].status != EVD_STATUS_READY || !is_listed(list, list_count, rows[i].task_id)) {
      continue;
    }
    expect(expected < count, "%zu rows were claimed, and %s not", count, rows[i].execution_id);
    sample_apply(&rows[i], &changes);
    rows[i].expires_at = SAMPLE_TIME + rows[i].timeout_ms;
    expect_row(&claimed[expected], &rows[i]);
    expected++;
  }
  assert_int_equal(count, expected);
  for (int i = 0; i < ROWS + 2 * TASKS; i++) {
    expect_row(await_row(evd_get(storage, rows[i].execution_id, NULL)), &rows[i]);
  }
}

/* Claims by lists of every kind until nothing is left. */
static void claim_by_all_lists(evd_storage *storage) {
  const char *const unknown[] = {"mai", "mailx", "PAINT", "paint  "};
  const char *const twice[] = {"mail", tasks[4], "mail", "unknown", "mail"};
  evd_execution *rows = insert_rows(storage);
  claim_and_expect(storage, rows, unknown, 4, 100);
  claim_and_expect(storage, rows, tasks, 1, 2);
  claim_and_expect(storage, rows, tasks + 4, 1, 1);
  claim_and_expect(storage, rows, tasks + 1, 2, 5);
  claim_and_expect(storage, rows, twice, 5, 7);
  claim_and_expect(storage, rows, tasks, TASKS, 9);
  claim_and_expect(storage, rows, tasks, 3, 100);
  claim_and_expect(storage, rows, tasks, 3, 100);
  claim_and_expect(storage, rows, tasks, TASKS, 100);
  claim_and_expect(storage, rows, tasks, TASKS, 100);
}

static void a_claim_takes_the_first_of_the_tasks_listed(void **state) {
  claim_by_all_lists(suite.storage);
}

/* As a table was before there was an index for it, and one whose index goes. */
static void a_table_without_the_index_serves_as_well(void **state) {
  suite_needs_shared();
  if (suite.framework) {
    skip();
  }
  const char *table = text("%s_old", suite.table);
  evd_storage *storage = suite_open((evd_options){.table = table});
  bool is_mysql = strcmp(suite.engine, "mysql") == 0;
  native_run_once(suite.url,
                  text("drop index %s_by_task%s;", table, is_mysql ? text(" on %s", table) : ""));
  claim_by_all_lists(storage);
  await_ok(evd_delete_all(storage));
  suite_close(storage);
  evd_options options = {.table = table, .test_mode = true};
  storage = await_storage(evd_storage_open(suite.loop, suite.url, &options));
  claim_by_all_lists(storage);
  suite_close(storage);
  native_run_once(suite.url, text("drop table %s;", table));
}

static void an_empty_list_is_of_no_task(void **state) {
  evd_execution *rows = insert_rows(suite.storage);
  size_t count;
  await_rows(claim(suite.storage, tasks, 0, 100), &count);
  assert_int_equal(count, 0);
  evd_parents parents = *sample_parents;
  evd_changes changes = sample_changes(0);
  parents.task_ids = tasks;
  await_rows(evd_claim_by_children_finished(suite.storage, &parents, &changes, 100), &count);
  assert_int_equal(count, 0);
  suite_expect(&rows[0]);
}

static void very_many_tasks_may_be_listed(void **state) {
  const char **list = keep_memory(EVD_TASK_IDS_MAX * sizeof *list);
  for (int i = 0; i < EVD_TASK_IDS_MAX; i++) {
    list[i] = text("task_%d", i);
  }
  evd_execution rows[30];
  for (int i = 0; i < 30; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].task_id = i % 3 == 0 ? "another" : list[i * 33];
    rows[i].start_at = SAMPLE_TIME + i;
  }
  await_ok(evd_insert(suite.storage, rows, 30));
  size_t count;
  const evd_execution *claimed =
      await_rows(claim(suite.storage, list, EVD_TASK_IDS_MAX, 15), &count);
  assert_int_equal(count, 15);
  for (int i = 0; i < 15; i++) {
    assert_string_equal(claimed[i].execution_id, rows[i / 2 * 3 + i % 2 + 1].execution_id);
  }
}

static void a_bad_list_is_refused(void **state) {
  const char *const bad[] = {"good", ""};
  const char *const missing[] = {NULL};
  const char **many = keep_memory((EVD_TASK_IDS_MAX + 1) * sizeof *many);
  for (int i = 0; i <= EVD_TASK_IDS_MAX; i++) {
    many[i] = "task";
  }
  const struct {
    const char *const *list;
    size_t count;
  } cases[] = {{bad, 2}, {missing, 1}, {NULL, 1}, {many, EVD_TASK_IDS_MAX + 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    evd_error error =
        await_error(claim(suite.storage, cases[i].list, cases[i].count, 1), EVD_EINVAL);
    assert_string_equal(error.field, "task_ids");
    evd_parents parents = *sample_parents;
    evd_changes changes = sample_changes(0);
    parents.task_ids = cases[i].list;
    parents.task_id_count = cases[i].count;
    error = await_error(evd_claim_by_children_finished(suite.storage, &parents, &changes, 1),
                        EVD_EINVAL);
    assert_string_equal(error.field, "task_ids");
  }
}

static void parents_are_claimed_by_their_tasks(void **state) {
  evd_execution rows[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_parent(text("te_%02d", i), i % 7 == 0);
    rows[i].task_id = tasks[i % TASKS];
    rows[i].updated_at = SAMPLE_TIME + i;
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  evd_parents parents = *sample_parents;
  parents.task_ids = tasks + 2;
  parents.task_id_count = 2;
  evd_changes changes = sample_changes(0);
  evd_set(&changes, on_children_finished_processing_status, EVD_OCFP_PROCESSING);
  for (int i = 0; i < ROWS;) {
    size_t count;
    const evd_execution *claimed =
        await_rows(evd_claim_by_children_finished(suite.storage, &parents, &changes, 6), &count);
    size_t expected = 0;
    for (; i < ROWS && expected < 6; i++) {
      if (rows[i].active_children_count == 0 && is_listed(tasks + 2, 2, rows[i].task_id)) {
        sample_apply(&rows[i], &changes);
        expect_row(&claimed[expected++], &rows[i]);
      }
    }
    assert_int_equal(count, expected);
  }
  for (int i = 0; i < ROWS; i++) {
    suite_expect(&rows[i]);
  }
}

/* Storages whose lists overlap claim at once until nothing is left: each row once. */
static void claims_at_once_share_the_rows_out(void **state) {
  enum { STORAGES = 4, MANY = 1200, LIMIT = 10 };
  suite_needs_shared();
  evd_execution *rows = keep_memory(MANY * sizeof *rows);
  for (int i = 0; i < MANY; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].task_id = tasks[i * i % TASKS];
  }
  await_ok(evd_insert(suite.storage, rows, MANY));
  evd_storage *storages[STORAGES];
  for (int i = 0; i < STORAGES; i++) {
    storages[i] = suite_open((evd_options){0});
  }
  int *times = keep_memory(MANY * sizeof *times);
  int claimed = 0;
  while (claimed < MANY) {
    evd_future *futures[STORAGES];
    for (int i = 0; i < STORAGES; i++) {
      futures[i] = claim(storages[i], tasks + i % 2, i < 2 ? TASKS - 1 : TASKS - i % 2, LIMIT);
    }
    for (int i = 0; i < STORAGES; i++) {
      size_t count;
      const evd_execution *got = await_rows(futures[i], &count);
      for (size_t j = 0; j < count; j++) {
        times[sample_number(got[j].execution_id)]++;
        claimed++;
      }
    }
  }
  for (int i = 0; i < MANY; i++) {
    expect(times[i] == 1, "te_%d was claimed %d times", i, times[i]);
  }
  for (int i = 0; i < STORAGES; i++) {
    suite_close(storages[i]);
  }
}

int task_ids_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_claim_takes_the_first_of_the_tasks_listed),
      suite_test(a_table_without_the_index_serves_as_well),
      suite_test(an_empty_list_is_of_no_task),
      suite_test(very_many_tasks_may_be_listed),
      suite_test(a_bad_list_is_refused),
      suite_test(parents_are_claimed_by_their_tasks),
      suite_test(claims_at_once_share_the_rows_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
