/* Section "bad input": the arguments of each operation. */
#include "suite/suite.h"

#include <string.h>

/* The call fails at its argument of this name. */
#define expect_refused(future, argument) \
  assert_string_equal(await_error((future), EVD_EINVAL).field, (argument))

/* Ids that no operation takes. */
static const char *const bad_ids[] = {NULL, "", "\xff", "te_\xc3("};

static void an_id_that_cannot_be_one_is_refused(void **state) {
  const char *long_id = text("%065d", 0);
  evd_changes changes = sample_changes(0);
  for (int i = 0; i < 5; i++) {
    const char *id = i < 4 ? bad_ids[i] : long_id;
    expect_refused(evd_get(suite.storage, id, NULL), "execution_id");
    expect_refused(evd_update(suite.storage, id, NULL, &changes), "execution_id");
    expect_refused(evd_update_and_insert_children(suite.storage, id, NULL, &changes, NULL, 0),
                   "execution_id");
    expect_refused(evd_delete(suite.storage, id), "execution_id");
    expect_refused(evd_get_by_parent(suite.storage, id), "parent_execution_id");
    expect_refused(evd_get_tree(suite.storage, id), "execution_id");
    expect_refused(evd_update_by_parent(suite.storage, id, true, &changes), "parent_execution_id");
    expect_refused(evd_claim_by_cancellation(suite.storage, id, true, &changes, 1), "executor_id");
  }
  for (int i = 0; i < 4; i++) {
    expect_refused(evd_get_by_sleeping_task_unique_id(suite.storage, bad_ids[i]),
                   "sleeping_task_unique_id");
  }
  expect_refused(evd_get_by_sleeping_task_unique_id(suite.storage, text("%0256d", 0)),
                 "sleeping_task_unique_id");
}

static void a_status_outside_its_set_is_refused(void **state) {
  evd_changes changes = sample_changes(0);
  static const int wrong[] = {0, 10, -1};
  for (int i = 0; i < 3; i++) {
    evd_status status = (evd_status)wrong[i];
    expect_refused(
        evd_claim_by_start_at(suite.storage,
                              &(evd_due){.status = status, .start_at_before = 1, .started_at = 1},
                              &changes, 1),
        "status");
    expect_refused(evd_claim_by_children_finished(
                       suite.storage,
                       &(evd_parents){.status = status, .ocfp_status = EVD_OCFP_IDLE}, &changes, 1),
                   "status");
    expect_refused(
        evd_expire_by_expires_at(
            suite.storage, &(evd_expired){.status = status, .expires_at_before = 1}, &changes, 1),
        "status");
    expect_refused(
        evd_claim_by_children_finished(
            suite.storage,
            &(evd_parents){.status = EVD_STATUS_READY, .ocfp_status = (evd_ocfp_status)wrong[i]},
            &changes, 1),
        "ocfp_status");
    expect_refused(
        evd_claim_by_close_status(suite.storage, (evd_close_status)wrong[i], &changes, 1),
        "close_status");
    expect_refused(evd_close_finished(suite.storage, true, (evd_close_status)wrong[i], &changes, 1),
                   "close_status");
  }
}

static void a_time_out_of_range_is_refused(void **state) {
  evd_changes changes = sample_changes(0);
  static const int64_t wrong[] = {SAMPLE_MAX_TIME + 1, INT64_MAX, EVD_NONE};
  for (int i = 0; i < 3; i++) {
    expect_refused(
        evd_claim_by_start_at(
            suite.storage,
            &(evd_due){.status = EVD_STATUS_READY, .start_at_before = wrong[i], .started_at = 1},
            &changes, 1),
        "start_at_before");
    expect_refused(
        evd_claim_by_start_at(
            suite.storage,
            &(evd_due){.status = EVD_STATUS_READY, .start_at_before = 1, .started_at = wrong[i]},
            &changes, 1),
        "started_at");
    expect_refused(evd_expire_by_expires_at(suite.storage, sample_expired(wrong[i]), &changes, 1),
                   "expires_at_before");
    expect_refused(evd_expire_by_ocfp_expires_at(suite.storage, wrong[i], &changes, 1), "before");
    expect_refused(evd_expire_by_close_expires_at(suite.storage, wrong[i], &changes, 1), "before");
  }
}

static void an_expiry_says_which_attempts_it_means(void **state) {
  evd_changes changes = sample_changes(0);
  evd_expired expired = *sample_expired(1);
  expired.attempts_left = (evd_maybe)3;
  expect_refused(evd_expire_by_expires_at(suite.storage, &expired, &changes, 1), "attempts_left");
  expired.attempts_left = EVD_NO;
  expired.extra_attempts = -1;
  expect_refused(evd_expire_by_expires_at(suite.storage, &expired, &changes, 1), "extra_attempts");
  expect_refused(evd_expire_by_expires_at(suite.storage, NULL, &changes, 1), "expired");
}

static void a_filter_outside_its_sets_is_refused(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  const evd_filter filters[] = {{.status = (evd_status)10},
                                {.is_sleeping_task = (evd_maybe)3},
                                {.is_finished = (evd_maybe)-1},
                                {.executor_id = ""},
                                {.executor_id = text("%0*d", EVD_ID_MAX + 1, 1)},
                                {.executor_id = "\xff"},
                                {.started_at = EVD_NONE},
                                {.started_at = SAMPLE_MAX_TIME + 1}};
  static const char *const fields[] = {"status",      "is_sleeping_task", "is_finished",
                                       "executor_id", "executor_id",      "executor_id",
                                       "started_at",  "started_at"};
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
    expect_refused(evd_get(suite.storage, "te_1", &filters[i]), fields[i]);
    expect_refused(evd_update(suite.storage, "te_1", &filters[i], &changes), fields[i]);
    expect_refused(
        evd_update_and_insert_children(suite.storage, "te_1", &filters[i], &changes, NULL, 0),
        fields[i]);
  }
  suite_expect(&row);
}

static void missing_arguments_are_refused(void **state) {
  evd_changes changes = sample_changes(0);
  expect_refused(evd_insert(suite.storage, NULL, 1), "executions");
  expect_refused(evd_update(suite.storage, "te_1", NULL, NULL), "changes");
  expect_refused(evd_claim_by_start_at(suite.storage, NULL, &changes, 1), "due");
  expect_refused(evd_update_and_insert_children(suite.storage, "te_1", NULL, NULL, NULL, 0),
                 "changes");
  expect_refused(evd_update_and_insert_children(suite.storage, "te_1", NULL, &changes, NULL, 1),
                 "children");
  evd_execution children[2] = {sample_execution("te_2"), sample_execution("")};
  evd_error error = await_error(
      evd_update_and_insert_children(suite.storage, "te_1", NULL, &changes, children, 2),
      EVD_EINVAL);
  expect(strncmp(error.message, "children[1].", 12) == 0, "%s", error.message);
  expect_refused(evd_update_by_parent(suite.storage, "te_1", true, NULL), "changes");
  expect_refused(evd_claim_by_start_at(
                     suite.storage,
                     &(evd_due){.status = EVD_STATUS_READY, .start_at_before = 1, .started_at = 1},
                     NULL, 1),
                 "changes");
  expect_refused(evd_claim_by_children_finished(suite.storage, sample_parents, NULL, 1), "changes");
  expect_refused(evd_claim_by_close_status(suite.storage, EVD_CLOSE_READY, NULL, 1), "changes");
  expect_refused(evd_claim_by_cancellation(suite.storage, "executor", true, NULL, 1), "changes");
  expect_refused(evd_expire_by_expires_at(suite.storage, sample_expired(1), NULL, 1), "changes");
  expect_refused(evd_expire_by_ocfp_expires_at(suite.storage, 1, NULL, 1), "changes");
  expect_refused(evd_expire_by_close_expires_at(suite.storage, 1, NULL, 1), "changes");
  expect_refused(evd_close_finished(suite.storage, true, EVD_CLOSE_IDLE, NULL, 1), "changes");
}

static void bad_changes_are_refused_by_every_operation(void **state) {
  evd_changes changes = sample_changes(0);
  evd_set(&changes, output, "not json");
  expect_refused(evd_update_and_insert_children(suite.storage, "te_1", NULL, &changes, NULL, 0),
                 "output");
  expect_refused(evd_update_by_parent(suite.storage, "te_1", true, &changes), "output");
  expect_refused(evd_claim_by_start_at(
                     suite.storage,
                     &(evd_due){.status = EVD_STATUS_READY, .start_at_before = 1, .started_at = 1},
                     &changes, 1),
                 "output");
  expect_refused(evd_claim_by_children_finished(suite.storage, sample_parents, &changes, 1),
                 "output");
  expect_refused(evd_claim_by_close_status(suite.storage, EVD_CLOSE_READY, &changes, 1), "output");
  expect_refused(evd_claim_by_cancellation(suite.storage, "executor", true, &changes, 1), "output");
  expect_refused(evd_expire_by_expires_at(suite.storage, sample_expired(1), &changes, 1), "output");
  expect_refused(evd_expire_by_ocfp_expires_at(suite.storage, 1, &changes, 1), "output");
  expect_refused(evd_expire_by_close_expires_at(suite.storage, 1, &changes, 1), "output");
  expect_refused(evd_close_finished(suite.storage, true, EVD_CLOSE_IDLE, &changes, 1), "output");
}

int bad_calls_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(an_id_that_cannot_be_one_is_refused),
      suite_test(a_status_outside_its_set_is_refused),
      suite_test(a_time_out_of_range_is_refused),
      suite_test(an_expiry_says_which_attempts_it_means),
      suite_test(a_filter_outside_its_sets_is_refused),
      suite_test(missing_arguments_are_refused),
      suite_test(bad_changes_are_refused_by_every_operation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
