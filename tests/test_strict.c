/* Strict transitions: the database refuses to change the status of a finished execution. */

#include <string.h>

#include "suite/suite.h"
#include "support/engines.h"
#include "support/native_sql.h"

static const struct migrate_options strict = {.schema = {.strict_transitions = true}};

/* A storage on a table with the trigger. */
static evd_storage *open_strict(void) {
  engine_up(strict);
  return engine_open(engine_case.table, EVD_SCHEMA_CHECK);
}

static void insert_with_status(evd_storage *storage, const char *id, evd_status status) {
  evd_execution execution = sample_execution(id);
  execution.status = status;
  execution.is_finished = evd_status_is_finished(status);
  await_ok(evd_insert(storage, &execution, 1));
}

static evd_future *set_status(evd_storage *storage, const char *id, evd_status status) {
  evd_changes changes = sample_changes(status);
  return evd_update(storage, id, NULL, &changes);
}

static void no_finished_execution_changes_its_status(void **state) {
  evd_storage *storage = open_strict();
  for (evd_status from = EVD_STATUS_READY; from <= EVD_STATUS_CANCELLED; from++) {
    const char *id = text("te_%d", from);
    insert_with_status(storage, id, from);
    evd_status to = from == EVD_STATUS_COMPLETED ? EVD_STATUS_CANCELLED : EVD_STATUS_COMPLETED;
    if (evd_status_is_finished(from)) {
      (void)await_error(set_status(storage, id, to), EVD_ECONSTRAINT);
    } else {
      assert_true(await_matched(set_status(storage, id, to)));
    }
    const evd_execution *row = await_row(evd_get(storage, id, NULL));
    assert_int_equal(row->status, evd_status_is_finished(from) ? from : to);
  }
  engine_close(storage);
}

static void the_error_says_what_was_refused(void **state) {
  evd_storage *storage = open_strict();
  insert_with_status(storage, "te_1", EVD_STATUS_COMPLETED);
  evd_error error = await_error(set_status(storage, "te_1", EVD_STATUS_RUNNING), EVD_ECONSTRAINT);
  assert_non_null(strstr(error.message, "finished"));
  assert_non_null(strstr(error.message, "status"));
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  assert_false(error.retryable);
  engine_close(storage);
}

static void what_leaves_the_status_as_it_is_passes(void **state) {
  evd_storage *storage = open_strict();
  insert_with_status(storage, "te_1", EVD_STATUS_FAILED);
  assert_true(await_matched(set_status(storage, "te_1", EVD_STATUS_FAILED)));
  evd_changes changes = sample_changes(0);
  evd_set(&changes, close_status, EVD_CLOSE_CLOSED);
  assert_true(await_matched(evd_update(storage, "te_1", NULL, &changes)));
  assert_int_equal(await_count(evd_delete(storage, "te_1")), 1);
  engine_close(storage);
}

static void a_refusal_does_not_fail_others_in_its_batch(void **state) {
  enum { COUNT = 20, FINISHED = 7 };
  evd_future *futures[COUNT];
  evd_storage *storage = open_strict();
  for (int i = 0; i < COUNT; i++) {
    insert_with_status(storage, text("te_%02d", i),
                       i == FINISHED ? EVD_STATUS_CANCELLED : EVD_STATUS_RUNNING);
  }
  for (int i = 0; i < COUNT; i++) {
    futures[i] = set_status(storage, text("te_%02d", i), EVD_STATUS_COMPLETED);
  }
  for (int i = 0; i < COUNT; i++) {
    if (i == FINISHED) {
      (void)await_error(futures[i], EVD_ECONSTRAINT);
    } else {
      assert_true(await_matched(futures[i]));
    }
  }
  engine_close(storage);
}

/* One of several rows is finished though its is_finished does not say so. */
static void a_statement_over_many_rows_is_refused_whole(void **state) {
  evd_storage *storage = open_strict();
  evd_execution parent = sample_parent("te_p", 2);
  evd_execution children[] = {sample_child("te_a", "te_p", 0), sample_child("te_b", "te_p", 1)};
  children[1].status = EVD_STATUS_COMPLETED;
  await_ok(evd_insert(storage, &parent, 1));
  await_ok(evd_insert(storage, children, 2));
  evd_changes changes = sample_changes(EVD_STATUS_CANCELLED);
  (void)await_error(evd_update_by_parent(storage, "te_p", false, &changes), EVD_ECONSTRAINT);
  assert_int_equal(await_row(evd_get(storage, "te_a", NULL))->status, EVD_STATUS_READY);
  engine_close(storage);
}

static void the_trigger_comes_once_and_goes_on_request(void **state) {
  assert_true(engine_up((struct migrate_options){0}) > 0);
  assert_int_equal(engine_up(strict), 1);
  assert_int_equal(engine_up(strict), 0);
  assert_int_equal(engine_up((struct migrate_options){0}), 0);
  assert_int_equal(engine_up((struct migrate_options){.drop_strict = true}), 1);
  assert_int_equal(engine_up((struct migrate_options){.drop_strict = true}), 0);
  evd_storage *storage = engine_open(engine_case.table, EVD_SCHEMA_CHECK);
  insert_with_status(storage, "te_1", EVD_STATUS_COMPLETED);
  assert_true(await_matched(set_status(storage, "te_1", EVD_STATUS_READY)));
  engine_close(storage);
}

int main(void) {
  static const struct engine_test tests[] = {
      engine_test(no_finished_execution_changes_its_status),
      engine_test(the_error_says_what_was_refused),
      engine_test(what_leaves_the_status_as_it_is_passes),
      engine_test(a_refusal_does_not_fail_others_in_its_batch),
      engine_test(a_statement_over_many_rows_is_refused_whole),
      engine_test(the_trigger_comes_once_and_goes_on_request),
  };
  return run_on_engines(tests, sizeof tests / sizeof tests[0]);
}
