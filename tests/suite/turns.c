/* What a turn of the loop computes: large requests are dealt with bit by bit. */
#include "suite/suite.h"

#include <stdio.h>
#include <string.h>

#include "support/turns.h"

/* The CPU time that a turn may take, in ms: far above what was seen (1 to 4 for rows, 15 for
 * documents, of which each connection sends one), since machines differ: it catches what is worked
 * on in one piece. Sanitizers are slow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LONGEST 600
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LONGEST 600
#endif
#endif
#ifndef LONGEST
#define LONGEST 120
#endif

enum { ROWS = 20000 };

/* Awaits an operation, and checks its code and its turns. */
static void expect_short_turns(const char *what, evd_future *future) {
  keep_future(future);
  double longest = turns_await(suite.loop, future) * 1e3;
  printf("# %s: %.2f ms\n", what, longest);
  expect(evd_future_code(future) == EVD_OK, "%s: %s", what, evd_future_error(future)->message);
  expect(longest < LONGEST, "%s: a turn took %g ms of CPU time", what, longest);
}

static void many_rows_are_inserted_claimed_and_closed_in_short_turns(void **state) {
  evd_execution *rows = keep_memory((ROWS + 1) * sizeof *rows);
  rows[ROWS] = sample_execution("te_parent");
  suite_insert(&rows[ROWS]);
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%05d", i));
    evd_execution_set_parent(&rows[i], &rows[ROWS], i, false, false);
  }
  expect_short_turns("insert", evd_insert(suite.storage, rows, ROWS));
  expect_short_turns("get by parent", evd_get_by_parent(suite.storage, "te_parent"));

  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  expect_short_turns(
      "claim", evd_claim_by_start_at(suite.storage, sample_due(SAMPLE_TIME * 2), &changes, ROWS));
  changes = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&changes, is_finished, true);
  expect_short_turns("update by parent",
                     evd_update_by_parent(suite.storage, "te_parent", false, &changes));
  evd_changes close = {0};
  evd_set(&close, close_status, EVD_CLOSE_CLOSED);
  evd_set(&close, updated_at, SAMPLE_TIME);
  expect_short_turns("close",
                     evd_close_finished(suite.storage, true, EVD_CLOSE_IDLE, &close, ROWS));
}

static void large_documents_go_both_ways_in_short_turns(void **state) {
  enum { DOCUMENTS = 32, BYTES = 1000000 };
  char *document = keep_memory(BYTES + 3);
  memset(document, 'x', BYTES + 2);
  document[0] = document[BYTES + 1] = '"';
  document[BYTES + 2] = '\0';
  evd_future *inserts[DOCUMENTS], *gets[DOCUMENTS];
  for (int i = 0; i < DOCUMENTS; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    row.input = document;
    inserts[i] = evd_insert(suite.storage, &row, 1);
  }
  expect_short_turns("inserts of 1 MB", evd_future_all(inserts, DOCUMENTS));
  for (int i = 0; i < DOCUMENTS; i++) {
    gets[i] = evd_get(suite.storage, text("te_%d", i), NULL);
  }
  expect_short_turns("gets of 1 MB", evd_future_all(gets, DOCUMENTS));
}

int turns_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(many_rows_are_inserted_claimed_and_closed_in_short_turns),
      suite_test(large_documents_go_both_ways_in_short_turns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
