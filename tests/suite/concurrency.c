/* Many tasks, storages and processes at once: nothing claimed twice, nothing lost. */
#include "suite/suite.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "suite/processes.h"
#include "support/process.h"

/* Inserts parents with so many ready children each, te_PARENT_CHILD. */
static void insert_families(int parents, int children) {
  evd_execution *rows = keep_memory((size_t)children * sizeof *rows);
  for (int i = 0; i < parents; i++) {
    evd_execution parent = sample_parent(text("te_parent_%d", i), children);
    suite_insert(&parent);
    for (int j = 0; j < children; j++) {
      rows[j] = sample_child(text("te_%d", i * children + j), parent.execution_id, j);
    }
    await_ok(evd_insert(suite.storage, rows, (size_t)children));
  }
}

/* Every counter is at zero and every child closed. */
static void expect_families_done(int parents, int children) {
  for (int i = 0; i < parents; i++) {
    const evd_execution *parent = suite_get(text("te_parent_%d", i));
    expect(parent->active_children_count == 0, "parent %d has %d active children", i,
           parent->active_children_count);
    size_t count;
    const evd_execution *rows =
        await_rows(evd_get_by_parent(suite.storage, parent->execution_id), &count);
    assert_int_equal(count, children);
    for (size_t j = 0; j < count; j++) {
      assert_int_equal(rows[j].status, EVD_STATUS_COMPLETED);
      assert_int_equal(rows[j].close_status, EVD_CLOSE_READY);
    }
  }
}

/* A life of many tasks at once: each is inserted, claimed, updated and closed; when one is done,
 * the next begins. */
struct life {
  evd_storage *storage;
  int started, in_flight, done, claims;
  int unclaimed; /* inserted, and not claimed as far as the callbacks have told */
  int times_claimed[1200];
};

enum { LIVES = 1200, AT_ONCE = 300, FAMILIES = 10 };

static void start_tasks(struct life *life);
static void claim_tasks(struct life *life);

static void when_closed(evd_future *future, void *data) {
  struct life *life = data;
  int64_t count;
  assert_int_equal(evd_future_count(future, &count), EVD_OK);
  life->done += (int)count;
  life->in_flight -= (int)count;
  start_tasks(life);
}

static void when_finished(evd_future *future, void *data) {
  struct life *life = data;
  bool matched;
  assert_int_equal(evd_future_matched(future, &matched), EVD_OK);
  assert_true(matched);
  evd_changes changes = sample_changes(0);
  evd_set(&changes, close_status, EVD_CLOSE_READY);
  evd_future_then(evd_close_finished(life->storage, true, EVD_CLOSE_IDLE, &changes, 3), when_closed,
                  life);
}

static void when_claimed(evd_future *future, void *data) {
  struct life *life = data;
  const evd_execution *rows;
  size_t count;
  assert_int_equal(evd_future_rows(future, &rows, &count), EVD_OK);
  life->claims--;
  life->unclaimed -= (int)count;
  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&changes, is_finished, true);
  evd_set(&changes, output, "\"done\"");
  for (size_t i = 0; i < count; i++) {
    life->times_claimed[sample_number(rows[i].execution_id)]++;
    evd_future_then(evd_update(life->storage, rows[i].execution_id,
                               &(evd_filter){.status = EVD_STATUS_RUNNING}, &changes),
                    when_finished, life);
  }
  if (life->unclaimed > 0) {
    claim_tasks(life);
  }
}

static void claim_tasks(struct life *life) {
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  while (life->claims < 2) {
    life->claims++;
    evd_future_then(
        evd_claim_by_start_at(life->storage, sample_due(SAMPLE_TIME + 1000), &changes, 50),
        when_claimed, life);
  }
}

static void when_inserted(evd_future *future, void *data) {
  struct life *life = data;
  assert_int_equal(evd_future_code(future), EVD_OK);
  life->unclaimed++;
  claim_tasks(life);
}

static void start_tasks(struct life *life) {
  while (life->in_flight < AT_ONCE && life->started < LIVES) {
    int number = life->started++;
    life->in_flight++;
    char id[32], parent[32];
    snprintf(id, sizeof id, "te_%d", number);
    snprintf(parent, sizeof parent, "te_parent_%d", number % FAMILIES);
    evd_execution row = sample_child(id, parent, number / FAMILIES);
    evd_future_then(evd_insert(life->storage, &row, 1), when_inserted, life);
  }
}

static void three_hundred_tasks_at_a_time_live_their_lives(void **state) {
  static struct life life;
  memset(&life, 0, sizeof life);
  life.storage = suite.storage;
  for (int i = 0; i < FAMILIES; i++) {
    evd_execution parent = sample_parent(text("te_parent_%d", i), LIVES / FAMILIES);
    suite_insert(&parent);
  }
  start_tasks(&life);
  ev_run(suite.loop, 0);
  assert_int_equal(life.done, LIVES);
  for (int i = 0; i < LIVES; i++) {
    expect(life.times_claimed[i] == 1, "te_%d was claimed %d times", i, life.times_claimed[i]);
  }
  expect_families_done(FAMILIES, LIVES / FAMILIES);
}

static void storages_that_claim_at_once_share_the_rows_out(void **state) {
  enum { STORAGES = 4, ROWS = 1000 };
  suite_needs_shared();
  insert_families(10, ROWS / 10);
  evd_storage *storages[STORAGES];
  static int times[ROWS];
  memset(times, 0, sizeof times);
  for (int i = 0; i < STORAGES; i++) {
    storages[i] = suite_open((evd_options){0});
  }
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t claimed = 1;
  while (claimed > 0) {
    evd_future *futures[STORAGES];
    claimed = 0;
    for (int i = 0; i < STORAGES; i++) {
      futures[i] = evd_claim_by_start_at(storages[i], sample_due(SAMPLE_TIME + 1000), &changes, 7);
    }
    for (int i = 0; i < STORAGES; i++) {
      size_t count;
      const evd_execution *rows = await_rows(futures[i], &count);
      claimed += count;
      for (size_t j = 0; j < count; j++) {
        times[sample_number(rows[j].execution_id)]++;
      }
    }
  }
  for (int i = 0; i < ROWS; i++) {
    expect(times[i] == 1, "te_%d was claimed %d times", i, times[i]);
  }
  for (int i = 0; i < STORAGES; i++) {
    suite_close(storages[i]);
  }
}

static void storages_that_close_at_once_lose_no_decrement(void **state) {
  enum { STORAGES = 4, PARENTS = 5, CHILDREN = 80 };
  suite_needs_shared();
  insert_families(PARENTS, CHILDREN);
  for (int i = 0; i < PARENTS; i++) {
    evd_changes finish = sample_changes(EVD_STATUS_COMPLETED);
    evd_set(&finish, is_finished, true);
    await_ok(evd_update_by_parent(suite.storage, text("te_parent_%d", i), false, &finish));
  }
  evd_storage *storages[STORAGES];
  evd_future *futures[STORAGES * 20];
  for (int i = 0; i < STORAGES; i++) {
    storages[i] = suite_open((evd_options){0});
  }
  evd_changes changes = sample_changes(0);
  evd_set(&changes, close_status, EVD_CLOSE_READY);
  int64_t sum = 0, closed = 1;
  while (closed > 0) {
    closed = 0;
    for (int i = 0; i < STORAGES * 20; i++) {
      futures[i] =
          evd_close_finished(storages[i % STORAGES], true, EVD_CLOSE_IDLE, &changes, 1 + i % 9);
    }
    for (int i = 0; i < STORAGES * 20; i++) {
      closed += await_count(futures[i]);
    }
    sum += closed;
  }
  assert_int_equal(sum, PARENTS * CHILDREN);
  expect_families_done(PARENTS, CHILDREN);
  for (int i = 0; i < STORAGES; i++) {
    suite_close(storages[i]);
  }
}

static void of_storages_that_update_one_row_at_once_one_wins(void **state) {
  enum { STORAGES = 4, ROWS = 50 };
  suite_needs_shared();
  evd_storage *storages[STORAGES];
  evd_execution rows[ROWS];
  static evd_future *futures[STORAGES][ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
  }
  await_ok(evd_insert(suite.storage, rows, ROWS));
  for (int i = 0; i < STORAGES; i++) {
    storages[i] = suite_open((evd_options){0});
  }
  for (int i = 0; i < STORAGES; i++) {
    evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
    evd_set(&changes, retry_attempts, 1 + i);
    for (int j = 0; j < ROWS; j++) { /* each in another order: what may deadlock, must be retried */
      futures[i][j] = evd_update(storages[i], rows[(j * 3 * (i + 1) + i) % ROWS].execution_id,
                                 &(evd_filter){.status = EVD_STATUS_READY}, &changes);
    }
  }
  int wins = 0;
  for (int i = 0; i < STORAGES; i++) {
    for (int j = 0; j < ROWS; j++) {
      wins += await_matched(futures[i][j]);
    }
  }
  int updated = 0;
  for (int i = 0; i < ROWS; i++) {
    updated += suite_get(rows[i].execution_id)->status == EVD_STATUS_RUNNING;
  }
  assert_int_equal(wins, updated);
  for (int i = 0; i < STORAGES; i++) {
    suite_close(storages[i]);
  }
}

/* Counts the ids in a process's output. */
static void count_ids(struct process *process, int *times, int rows) {
  FILE *output = fdopen(dup(process->output), "r");
  char line[64];
  while (output != NULL && fgets(line, sizeof line, output) != NULL) {
    int number = sample_number(line);
    expect(number >= 0 && number < rows, "a strange id: %s", line);
    times[number]++;
  }
  if (output != NULL) {
    fclose(output);
  }
}

static void three_processes_finish_three_thousand_rows_each_once(void **state) {
  enum { PROCESSES = 3, PARENTS = 30, CHILDREN = 100, ROWS = PARENTS * CHILDREN };
  suite_needs_shared();
  insert_families(PARENTS, CHILDREN);
  const char *const arguments[] = {WORK_ROLE, suite.url, suite.table, NULL};
  struct process processes[PROCESSES];
  static int times[ROWS];
  memset(times, 0, sizeof times);
  for (int i = 0; i < PROCESSES; i++) {
    processes[i] = process_start(arguments);
  }
  for (int i = 0; i < PROCESSES; i++) {
    count_ids(&processes[i], times, ROWS);
  }
  for (int i = 0; i < PROCESSES; i++) {
    assert_int_equal(process_wait(&processes[i]), 0);
  }
  for (int i = 0; i < ROWS; i++) {
    expect(times[i] == 1, "te_%d was claimed %d times", i, times[i]);
  }
  /* The last to leave may have seen nothing to close while another still held its rows. */
  evd_changes changes = sample_changes(0);
  evd_set(&changes, close_status, EVD_CLOSE_READY);
  await_ok(evd_close_finished(suite.storage, true, EVD_CLOSE_IDLE, &changes, ROWS));
  expect_families_done(PARENTS, CHILDREN);
}

enum { RACE_IDS = 5, RACE_ROUNDS = 100 };

/* What becomes of rows that are inserted and updated at once. */
struct race {
  const char *ids[RACE_IDS];
  evd_future *inserts[RACE_IDS], *updates[RACE_IDS];
  int matched;
};

/* Submits each row's insertion and its update together. */
static void start_race(struct race *race, int round, bool with_children) {
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  for (int i = 0; i < RACE_IDS; i++) {
    const char *id = race->ids[i] = text("te_race_%d_%d", round, i);
    evd_execution row = sample_execution(id);
    evd_execution child = sample_child(text("%s_child", id), id, 0);
    race->inserts[i] = evd_insert(suite.storage, &row, 1);
    race->updates[i] =
        with_children ? evd_update_and_insert_children(suite.storage, id, NULL, &changes, &child, 1)
                      : evd_update(suite.storage, id, NULL, &changes);
  }
}

/* Every update has an answer, and what it says is what was done. */
static void end_race(struct race *race, bool with_children) {
  for (int i = 0; i < RACE_IDS; i++) {
    await_ok(race->inserts[i]);
    bool matched = await_matched(race->updates[i]);
    const evd_execution *row = suite_get(race->ids[i]);
    assert_int_equal(row->status, matched ? EVD_STATUS_RUNNING : EVD_STATUS_READY);
    bool has_child = suite_get(text("%s_child", race->ids[i])) != NULL;
    assert_int_equal(has_child, matched && with_children);
    race->matched += matched;
  }
}

static void updates_of_rows_inserted_at_once_match_or_do_not(void **state) {
  struct race race = {0};
  for (int round = 0; round < RACE_ROUNDS; round++) {
    bool with_children = round % 2 == 1;
    start_race(&race, round, with_children);
    end_race(&race, with_children);
  }
  print_message("# %d of %d updates matched\n", race.matched, RACE_IDS * RACE_ROUNDS);
}

int concurrency_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(three_hundred_tasks_at_a_time_live_their_lives),
      suite_test(storages_that_claim_at_once_share_the_rows_out),
      suite_test(storages_that_close_at_once_lose_no_decrement),
      suite_test(of_storages_that_update_one_row_at_once_one_wins),
      suite_test(updates_of_rows_inserted_at_once_match_or_do_not),
      suite_test(three_processes_finish_three_thousand_rows_each_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
