/* Statistics and the log. */
#include "suite/suite.h"

#include <stdlib.h>
#include <string.h>

static evd_stats stats_now(void) {
  evd_stats stats;
  evd_storage_stats(suite.storage, &stats);
  return stats;
}

static void requests_and_failures_are_counted_by_operation(void **state) {
  evd_execution row = sample_execution("te_1");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  suite_insert(&row);
  await_error(evd_insert(suite.storage, &row, 1), EVD_EDUPLICATE);
  for (int i = 0; i < 3; i++) {
    await_ok(evd_update(suite.storage, "te_1", NULL, &changes));
  }
  evd_stats stats = stats_now();
  const evd_operation_stats *insert = &stats.operations[EVD_OPERATION_INSERT];
  const evd_operation_stats *update = &stats.operations[EVD_OPERATION_UPDATE];
  assert_int_equal(insert->requests, 2);
  assert_int_equal(insert->failures, 1);
  assert_int_equal(update->requests, 3);
  assert_int_equal(update->failures, 0);
  assert_int_equal(update->batches, 3);
  assert_int_equal(update->batched, 3);
  assert_int_equal(update->batch_max, 1);
  assert_int_equal(stats.operations[EVD_OPERATION_GET].requests, 0);
  assert_true(stats.connections >= 1);
  assert_int_equal(stats.reconnections, 0);
}

static void what_is_pending_is_counted_until_it_is_done(void **state) {
  evd_stats before = stats_now();
  assert_int_equal(before.pending_requests, 0);
  assert_int_equal(before.pending_bytes, 0);
  evd_future *futures[5];
  for (int i = 0; i < 5; i++) {
    futures[i] = evd_get(suite.storage, text("te_%d", i), NULL);
  }
  evd_stats during = stats_now();
  assert_int_equal(during.pending_requests, 5);
  assert_int_equal(during.operations[EVD_OPERATION_GET].pending, 5);
  assert_true(during.pending_bytes > 0);
  for (int i = 0; i < 5; i++) {
    await_ok(futures[i]);
  }
  evd_stats after = stats_now();
  assert_int_equal(after.pending_requests, 0);
  assert_int_equal(after.pending_bytes, 0);
  assert_int_equal(after.operations[EVD_OPERATION_GET].pending, 0);
}

static void latencies_are_ordered_and_plausible(void **state) {
  int64_t start = evd_now();
  for (int i = 0; i < 50; i++) {
    await_ok(evd_get(suite.storage, text("te_%d", i), NULL));
  }
  double took = (double)(evd_now() - start) + 2;
  evd_stats stats = stats_now();
  evd_latency latency = stats.operations[EVD_OPERATION_GET].latency;
  assert_true(latency.p50 > 0 && latency.p50 <= latency.p90 && latency.p90 <= latency.p99);
  assert_true(latency.p99 <= latency.p999 && latency.p999 <= latency.max);
  expect(latency.max <= took && latency.p50 * 25 <= took * 1.1, "max %f, median %f, all took %f",
         latency.max, latency.p50, took);
}

static void statistics_have_a_text(void **state) {
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  evd_stats stats = stats_now();
  char *as_text = evd_stats_text(&stats);
  assert_non_null(as_text);
  assert_non_null(strstr(as_text, "insert"));
  assert_non_null(strchr(as_text, '\n'));
  free(as_text);
}

static void operations_have_names(void **state) {
  assert_string_equal(evd_operation_name(EVD_OPERATION_INSERT), "insert");
  assert_string_equal(evd_operation_name(EVD_OPERATION_CLAIM_BY_START_AT), "claim_by_start_at");
  assert_string_equal(evd_operation_name(EVD_OPERATION_DELETE_ALL), "delete_all");
  assert_null(evd_operation_name(EVD_OPERATION_COUNT));
}

/* What the log has seen. */
struct log {
  int events, queries, wrong;
  size_t largest_batch;
  bool saw_insert, saw_value;
};

static void note_event(const evd_log_event *event, void *data) {
  struct log *log = data;
  log->events++;
  log->wrong += event->message == NULL;
  if (event->level != EVD_LOG_QUERY) {
    log->wrong += event->sql != NULL;
    return;
  }
  log->queries++;
  log->wrong += event->sql == NULL || event->duration_ms < 0 || event->batch_size < 1 ||
                event->operation >= EVD_OPERATION_COUNT;
  if (event->sql == NULL) {
    return;
  }
  if (event->operation == EVD_OPERATION_INSERT && strstr(event->sql, suite.table) != NULL) {
    log->saw_insert = true;
    if (event->batch_size > log->largest_batch) {
      log->largest_batch = event->batch_size;
    }
  }
  log->saw_value |= strstr(event->sql, "secret value") != NULL;
}

static void every_statement_is_logged_when_asked_for(void **state) {
  struct log log = {0};
  suite_reopen((evd_options){.log = note_event, .log_data = &log, .log_level = EVD_LOG_QUERY});
  evd_future *futures[10];
  for (int i = 0; i < 10; i++) {
    evd_execution row = sample_execution(text("te_%d", i));
    row.input = "\"secret value\"";
    futures[i] = evd_insert(suite.storage, &row, 1);
  }
  for (int i = 0; i < 10; i++) {
    await_ok(futures[i]);
  }
  await_ok(evd_get(suite.storage, "te_1", NULL));
  suite_close(suite.storage);
  suite.storage = NULL;
  assert_true(log.queries >= 2);
  assert_int_equal(log.wrong, 0);
  assert_true(log.saw_insert);
  assert_false(log.saw_value);
  expect(log.largest_batch == 10, "largest batch %zu", log.largest_batch);
}

static void without_queries_the_log_has_none(void **state) {
  struct log log = {0};
  suite_reopen((evd_options){.log = note_event, .log_data = &log, .log_level = EVD_LOG_INFO});
  evd_execution row = sample_execution("te_1");
  suite_insert(&row);
  suite_close(suite.storage);
  suite.storage = NULL;
  assert_int_equal(log.queries, 0);
  assert_int_equal(log.wrong, 0);
}

static void the_engine_has_a_name(void **state) {
  const char *engine = evd_storage_engine(suite.storage);
  assert_true(!strcmp(engine, "sqlite") || !strcmp(engine, "postgres") || !strcmp(engine, "mysql"));
}

int stats_tests(void) {
  const struct CMUnitTest tests[] = {
      suite_test(requests_and_failures_are_counted_by_operation),
      suite_test(what_is_pending_is_counted_until_it_is_done),
      suite_test(latencies_are_ordered_and_plausible),
      suite_test(statistics_have_a_text),
      suite_test(operations_have_names),
      suite_test(every_statement_is_logged_when_asked_for),
      suite_test(without_queries_the_log_has_none),
      suite_test(the_engine_has_a_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
