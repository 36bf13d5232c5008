/* The executor: parents, finalize tasks, sequences, trees. */
#include <stdlib.h>
#include <string.h>

#include "suite/executor_case.h"

/* Parents. */

static void spawn_three(evd_run *run, void *data) {
  (void)data;
  const evd_spec children[] = {{.task_id = "echo", .input = "1"},
                               {.task_id = "echo", .input = "2"},
                               {.task_id = "fail", .input = "3"}};
  evd_run_spawn(run, "\"mine\"", children, 3);
}

static void sum_up(evd_run *run, void *data) {
  (void)data;
  const evd_execution *children;
  size_t count;
  assert_int_equal(evd_run_children(run, &children, &count), EVD_OK);
  assert_int_equal(count, 3);
  assert_string_equal(children[1].output, "2");
  assert_int_equal(children[2].status, EVD_STATUS_FAILED);
  assert_string_equal(evd_run_execution(run)->run_output, "\"mine\"");
  evd_run_complete(run, "6");
}

static void snooze(evd_run *run, void *data) {
  (void)data;
  evd_run_snooze(run, 1, NULL);
}

static void spawn_nothing(evd_run *run, void *data) {
  (void)data;
  evd_run_spawn(run, NULL, NULL, 0);
}

static const evd_task leaves[] = {{.id = "echo", .run = echo}, {.id = "fail", .run = fail_once}};

/* Starts with one more task. */
static void start_with(evd_task task) {
  const evd_task tasks[] = {task, leaves[0], leaves[1]};
  executor_start(tasks, 3, (evd_executor_options){0});
}

/* Runs one execution of it to its end, and to that of all below. */
static const evd_execution *run_tree(const char *task_id, const char *input, size_t expected) {
  size_t count;
  const char *id = executor_enqueue((evd_spec){.task_id = task_id, .input = input});
  const evd_execution *row = executor_finished(id);
  const evd_execution *rows = executor_tree_closed(id, &count);
  assert_int_equal(count, expected);
  for (size_t i = 1; i < count; i++) {
    assert_string_equal(rows[i].root_execution_id, id);
    assert_non_null(rows[i].parent_execution_id);
  }
  return row;
}

static void a_parent_is_finalized_when_its_children_have_finished(void **state) {
  (void)state;
  start_with((evd_task){.id = "parent", .run = spawn_three, .finalize = sum_up});
  const evd_execution *row = run_tree("parent", NULL, 4);
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  assert_string_equal(row->output, "6");
  assert_int_equal(row->on_children_finished_processing_status, EVD_OCFP_PROCESSED);
  executor_stop();
}

static void without_finalize_its_output_has_the_children(void **state) {
  (void)state;
  start_with((evd_task){.id = "parent", .run = spawn_three});
  const evd_execution *row = run_tree("parent", NULL, 4);
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  assert_non_null(strstr(row->output, "\"mine\""));
  assert_non_null(strstr(row->output, "completed"));
  assert_non_null(strstr(row->output, "\"no\""));
  executor_stop();
}

static void a_parent_without_children_goes_on_at_once(void **state) {
  (void)state;
  start_with((evd_task){.id = "parent", .run = spawn_nothing});
  const evd_execution *row = run_tree("parent", NULL, 1);
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  assert_non_null(strstr(row->output, "children"));
  executor_stop();
}

static void what_fails_in_finalize_fails_the_parent(void **state) {
  (void)state;
  static const evd_run_callback bad[] = {fail_once, snooze, spawn_nothing};
  for (int i = 0; i < 3; i++) {
    start_with((evd_task){
        .id = "parent", .run = spawn_three, .finalize = bad[i], .retry = {.max_attempts = 3}});
    const evd_execution *row = run_tree("parent", NULL, 4);
    assert_int_equal(row->status, EVD_STATUS_FINALIZE_FAILED);
    assert_non_null(row->error);
    assert_int_equal(row->retry_attempts, 0);
    executor_stop();
  }
}

static void spawn_bad(evd_run *run, void *data) {
  (void)data;
  const evd_spec children[] = {{.task_id = "echo", .input = "1"},
                               {.task_id = "echo", .input = "{"}};
  evd_run_spawn(run, NULL, children, 2);
}

static void a_bad_child_fails_its_parent(void **state) {
  (void)state;
  start_with((evd_task){.id = "parent", .run = spawn_bad, .retry = {.max_attempts = 3}});
  const evd_execution *row = run_tree("parent", NULL, 1);
  assert_int_equal(row->status, EVD_STATUS_FAILED);
  assert_non_null(strstr(row->error, "input"));
  executor_stop();
}

static void a_child_spawned_on_a_thread_is_like_any_other(void **state) {
  (void)state;
  start_with((evd_task){.id = "parent", .run = spawn_three, .finalize = sum_up, .blocking = true});
  assert_string_equal(run_tree("parent", NULL, 4)->output, "6");
  executor_stop();
}

enum { CHILDREN = 1000 };

static void spawn_many(evd_run *run, void *data) {
  (void)data;
  evd_spec *children = calloc(CHILDREN, sizeof *children);
  assert_non_null(children);
  for (int i = 0; i < CHILDREN; i++) {
    children[i] = (evd_spec){.task_id = "echo", .input = "7"};
  }
  evd_run_spawn(run, NULL, children, CHILDREN);
  free(children);
}

static void count_children(evd_run *run, void *data) {
  (void)data;
  const evd_execution *children;
  size_t count;
  assert_int_equal(evd_run_children(run, &children, &count), EVD_OK);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(children[i].index_in_parent_children, i);
    assert_string_equal(children[i].output, "7");
  }
  evd_run_complete(run, text("%zu", count));
}

static void a_parent_has_a_thousand_children(void **state) {
  (void)state;
  start_with((evd_task){.id = "parent", .run = spawn_many, .finalize = count_children});
  assert_string_equal(run_tree("parent", NULL, CHILDREN + 1)->output, "1000");
  assert_int_equal(calls, CHILDREN);
  executor_stop();
}

/* A parent of one child of its own kind, until its input is 0. */
static void go_down(evd_run *run, void *data) {
  (void)data;
  long depth = number(evd_run_execution(run)->input);
  const evd_spec child = {.task_id = "down", .input = text("%ld", depth - 1)};
  if (depth == 0) {
    evd_run_complete(run, "0");
  } else {
    evd_run_spawn(run, NULL, &child, 1);
  }
}

static void come_up(evd_run *run, void *data) {
  (void)data;
  const evd_execution *children;
  size_t count;
  assert_int_equal(evd_run_children(run, &children, &count), EVD_OK);
  assert_int_equal(count, 1);
  assert_true(children[0].is_only_child_of_parent);
  evd_run_complete(run, text("%ld", number(children[0].output) + 1));
}

static void trees_are_deep(void **state) {
  (void)state;
  start_with((evd_task){.id = "down", .run = go_down, .finalize = come_up});
  assert_string_equal(run_tree("down", "20", 21)->output, "20");
  executor_stop();
}

/* Finalize tasks. */

static void a_finalize_task_has_the_last_word(void **state) {
  (void)state;
  start_with((evd_task){.id = "parent", .run = spawn_three, .finalize_task = "echo"});
  const evd_execution *row = run_tree("parent", NULL, 5);
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  assert_non_null(strstr(row->output, "\"mine\""));
  assert_non_null(row->finalize);
  executor_stop();
}

static void a_finalize_task_that_fails_fails_the_parent(void **state) {
  (void)state;
  start_with((evd_task){.id = "parent", .run = spawn_three, .finalize_task = "fail"});
  const evd_execution *row = run_tree("parent", NULL, 5);
  assert_int_equal(row->status, EVD_STATUS_FINALIZE_FAILED);
  assert_non_null(strstr(row->error, "\"no\""));
  executor_stop();
}

static void a_finalize_task_may_be_a_parent(void **state) {
  (void)state;
  const evd_task tasks[] = {
      {.id = "parent", .run = spawn_three, .finalize_task = "again"},
      {.id = "again", .run = spawn_three, .finalize_task = "sum"},
      {.id = "sum", .run = echo},
      leaves[0],
      leaves[1],
  };
  executor_start(tasks, 5, (evd_executor_options){0});
  const evd_execution *row = run_tree("parent", NULL, 9);
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  executor_stop();
}

static void a_finalize_task_is_cancelled_with_its_parent(void **state) {
  (void)state;
  const evd_task tasks[] = {{.id = "parent", .run = spawn_three, .finalize_task = "hold"},
                            {.id = "hold", .run = hold},
                            leaves[0],
                            leaves[1]};
  executor_start(tasks, 4, (evd_executor_options){.cancel_poll_ms = 20});
  const char *id = executor_enqueue((evd_spec){.task_id = "parent"});
  run_until(held != NULL);
  assert_int_equal(suite_get(id)->status, EVD_STATUS_WAITING_FOR_FINALIZE);
  assert_true(await_matched(evd_cancel(executor, id)));
  run_until(evd_run_stopped(held) == EVD_STOP_CANCELLED);
  evd_run_complete(held, "1");
  size_t count;
  const evd_execution *rows = executor_tree_closed(id, &count);
  assert_int_equal(count, 5);
  for (size_t i = 0; i < count; i++) {
    bool is_leaf = strcmp(rows[i].task_id, "echo") == 0 || strcmp(rows[i].task_id, "fail") == 0;
    expect(is_leaf || rows[i].status == EVD_STATUS_CANCELLED, "%s: %s", rows[i].task_id,
           evd_status_name(rows[i].status));
  }
  executor_stop();
}

/* Sequences. */

static void add_one(evd_run *run, void *data) {
  (void)data;
  evd_run_complete(run, text("%ld", number(evd_run_execution(run)->input) + 1));
}

static const char *const adding[] = {"add", "add", "add", "add", NULL};
static const char *const failing[] = {"add", "fail", "add", NULL};
static const char *const single[] = {"add", NULL};
static const char *const nested[] = {"add", "four", "add", NULL};

static void a_sequence_passes_outputs_on(void **state) {
  (void)state;
  const evd_task tasks[] = {
      {.id = "four", .sequence = adding}, {.id = "broken", .sequence = failing},
      {.id = "one", .sequence = single},  {.id = "nested", .sequence = nested},
      {.id = "add", .run = add_one},      leaves[1]};
  executor_start(tasks, 6, (evd_executor_options){0});
  const evd_execution *row = run_tree("four", "10", 5);
  assert_int_equal(row->status, EVD_STATUS_COMPLETED);
  assert_string_equal(row->output, "14");
  assert_true(row->are_children_sequential);
  assert_null(strstr(row->children, "dummy"));
  assert_string_equal(run_tree("one", "10", 2)->output, "11");
  assert_string_equal(run_tree("nested", "10", 8)->output, "16");
  row = run_tree("broken", "10", 3);
  assert_int_equal(row->status, EVD_STATUS_FINALIZE_FAILED);
  assert_non_null(strstr(row->error, "task 2"));
  executor_stop();
}

/* The child's id follows from the parent's, as far as there is room. */
static void a_sequence_with_a_long_id_is_no_different(void **state) {
  (void)state;
  const evd_task tasks[] = {{.id = "four", .sequence = adding}, {.id = "add", .run = add_one}};
  char id[EVD_ID_MAX + 1];
  memset(id, 'x', EVD_ID_MAX);
  id[EVD_ID_MAX] = '\0';
  executor_start(tasks, 2, (evd_executor_options){0});
  const evd_spec spec = {.task_id = "four", .input = "1", .execution_id = id};
  assert_int_equal(await_count(evd_enqueue(executor, &spec, NULL)), 1);
  assert_string_equal(executor_finished(id)->output, "5");
  executor_stop();
}

/* A sequence whose first task has finished; and an execution with the id of the next. */
static void insert_sequence(const evd_execution *other) {
  evd_execution row;
  evd_execution child;
  evd_execution_init(&row, "te_sequence", "four", "1",
                     &(evd_run_options){.are_children_sequential = true});
  row.status = EVD_STATUS_WAITING_FOR_CHILDREN;
  row.waiting_for_children_started_at = SAMPLE_TIME;
  row.children = "[]";
  evd_execution_init(&child, "te_sequence.0", "add", "1", NULL);
  evd_execution_set_parent(&child, &row, 0, false, false);
  child.status = EVD_STATUS_COMPLETED;
  child.is_finished = true;
  child.finished_at = SAMPLE_TIME;
  child.output = "2";
  child.close_status = EVD_CLOSE_CLOSED;
  child.closed_at = SAMPLE_TIME;
  suite_insert(&child);
  suite_insert(other);
  suite_insert(&row);
}

/* Another executor has gone on with the sequence since this one claimed it. */
static void a_sequence_is_gone_on_with_once(void **state) {
  (void)state;
  const evd_task task = {.id = "four", .sequence = adding};
  evd_execution next;
  evd_execution parent;
  evd_execution_init(&parent, "te_sequence", "four", "1", NULL);
  evd_execution_init(&next, "te_sequence.1", "add", "2", NULL);
  evd_execution_set_parent(&next, &parent, 1, false, false);
  insert_sequence(&next);
  executor_start(&task, 1, (evd_executor_options){.maintain_ms = 3600000});
  run_until(executor_stats().given_back == 1);
  const evd_execution *row = suite_get("te_sequence");
  assert_int_equal(row->status, EVD_STATUS_WAITING_FOR_CHILDREN);
  assert_int_equal(row->on_children_finished_processing_status, EVD_OCFP_IDLE);
  executor_stop();
}

static void its_next_task_is_stored_once(void **state) {
  (void)state;
  const evd_task task = {.id = "four", .sequence = adding};
  evd_execution next;
  evd_execution_init(&next, "te_sequence.1", "add", "2", NULL);
  insert_sequence(&next);
  executor_start(&task, 1, (evd_executor_options){.maintain_ms = 3600000});
  run_until(executor_stats().lost == 1);
  const evd_execution *row = suite_get("te_sequence");
  assert_int_equal(row->status, EVD_STATUS_WAITING_FOR_CHILDREN);
  assert_int_equal(row->active_children_count, 0);
  executor_stop();
}

/* Cancelling. */

static void spawn_holding(evd_run *run, void *data) {
  (void)data;
  const evd_spec children[] = {{.task_id = "hold"},
                               {.task_id = "echo", .input = "1", .sleep_ms_before_run = 3600000},
                               {.task_id = "sleep", .unique_id = "nobody"}};
  evd_run_spawn(run, NULL, children, 3);
}

static void a_tree_is_cancelled(void **state) {
  (void)state;
  const evd_task tasks[] = {{.id = "parent", .run = spawn_holding},
                            {.id = "hold", .run = hold},
                            {.id = "sleep"},
                            leaves[0]};
  executor_start(tasks, 4, (evd_executor_options){.cancel_poll_ms = 20});
  const char *id = executor_enqueue((evd_spec){.task_id = "parent"});
  run_until(held != NULL);
  assert_true(await_matched(evd_cancel(executor, id)));
  run_until(evd_run_stopped(held) == EVD_STOP_CANCELLED);
  evd_run_complete(held, "1");
  size_t count;
  const evd_execution *rows = executor_tree_closed(id, &count);
  assert_int_equal(count, 4);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(rows[i].status, EVD_STATUS_CANCELLED);
  }
  assert_false(await_matched(evd_cancel(executor, id)));
  executor_stop();
}

int executor_families_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(a_parent_is_finalized_when_its_children_have_finished),
      suite_test(without_finalize_its_output_has_the_children),
      suite_test(a_parent_without_children_goes_on_at_once),
      suite_test(what_fails_in_finalize_fails_the_parent),
      suite_test(a_bad_child_fails_its_parent),
      suite_test(a_child_spawned_on_a_thread_is_like_any_other),
      suite_test(a_parent_has_a_thousand_children),
      suite_test(trees_are_deep),
      suite_test(a_finalize_task_has_the_last_word),
      suite_test(a_finalize_task_that_fails_fails_the_parent),
      suite_test(a_finalize_task_may_be_a_parent),
      suite_test(a_finalize_task_is_cancelled_with_its_parent),
      suite_test(a_sequence_passes_outputs_on),
      suite_test(a_sequence_with_a_long_id_is_no_different),
      suite_test(a_sequence_is_gone_on_with_once),
      suite_test(its_next_task_is_stored_once),
      suite_test(a_tree_is_cancelled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
