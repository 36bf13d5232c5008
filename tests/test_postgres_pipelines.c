/* PostgreSQL's pipelines: full sockets, large rows, batches of several statements. */
#include <string.h>

#include "engine/postgres/flight.h"
#include "sql/postgres.h"
#include "support/postgres_case.h"
#include "support/watchdog.h"

/* A document of so many bytes. */
static char *document(size_t size) {
  char *input = keep_memory(size + 1);
  memset(input, 'x', size);
  input[0] = input[size - 1] = '"';
  return input;
}

static void both_directions_may_be_full_at_once(void **state) {
  needs_postgres();
  enum { ROWS = 24, MEGABYTE = 1000000 };
  watchdog(600);
  open_with("pool_max=1&pipeline_depth=16",
            &(evd_options){.schema = EVD_SCHEMA_CREATE, .batch_max_requests = 2});
  const char *input = document(MEGABYTE);
  evd_future *futures[3 * ROWS];
  for (int i = 0; i < ROWS; i++) {
    evd_execution row = sample_execution(text("te_a%d", i));
    row.input = input;
    await_ok(evd_insert(test.storage, &row, 1));
  }
  for (int i = 0; i < ROWS; i++) {
    evd_execution row = sample_execution(text("te_b%d", i));
    evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
    row.input = input;
    evd_set(&changes, output, input);
    futures[3 * i] = evd_get(test.storage, text("te_a%d", i), NULL);
    futures[3 * i + 1] = evd_insert(test.storage, &row, 1);
    futures[3 * i + 2] = evd_update(test.storage, text("te_a%d", i), NULL, &changes);
  }
  for (int i = 0; i < 3 * ROWS; i++) {
    await_ok(futures[i]);
  }
  assert_int_equal(number("select count(*) from task_executions where "
                          "length(input #>> '{}') = 999998"),
                   2 * ROWS);
  watchdog(0);
}

/* The answer to an update comes while the insertion behind it fills the socket, which the server
 * does not empty: its first row waits for another session's. */
static void an_answer_that_comes_while_the_socket_is_full_is_seen(void **state) {
  needs_postgres();
  enum { ROUNDS = 12, STEP = 8000000, LARGE = 16000000 };
  watchdog(600);
  open_with("pool_max=1&pipeline_depth=2",
            &(evd_options){.schema = EVD_SCHEMA_CREATE, .operation_timeout_ms = 20000});
  insert_sample("te_1");
  sql("create function dawdle() returns trigger language plpgsql as $$ begin "
      "perform pg_sleep(new.retry_attempts * 0.001); return new; end $$;"
      "create trigger dawdle before update on task_executions for each row execute function "
      "dawdle();");
  const char *step = document(STEP);
  const char *large = document(LARGE);
  for (int round = 0; round < ROUNDS; round++) {
    struct native *other = native_open(test.url);
    native_run(other, text("begin; insert into task_executions select (jsonb_populate_record(t, "
                           "'{\"execution_id\":\"te_a_%d\"}')).* from task_executions as t where "
                           "execution_id = 'te_1'",
                           round));
    evd_execution rows[] = {sample_execution(text("te_a_%d", round)),
                            sample_execution(text("te_b_%d", round))};
    rows[0].input = step;
    rows[1].input = large;
    evd_changes changes = sample_changes(0);
    evd_set(&changes, retry_attempts, round);
    evd_future *updated = evd_update(test.storage, "te_1", NULL, &changes);
    evd_future *inserted = evd_insert(test.storage, rows, 2);
    assert_true(await_matched(updated));
    native_run(other, "rollback");
    native_close(other);
    await_ok(inserted);
  }
  watchdog(0);
}

static void one_large_row_does_not_make_a_claim_of_many_fail(void **state) {
  needs_postgres();
  enum { ROWS = 6000, LARGE = 16000000 };
  open_with("", NULL);
  evd_execution *rows = keep_memory(ROWS * sizeof *rows);
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].start_at += i;
  }
  rows[0].input = document(LARGE);
  await_ok(evd_insert(test.storage, rows, ROWS));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  size_t count;
  const evd_execution *claimed = await_rows(
      evd_claim_by_start_at(test.storage, sample_due(SAMPLE_TIME * 2), &changes, ROWS), &count);
  assert_int_equal(count, ROWS);
  assert_int_equal(strlen(claimed[0].input), LARGE);
}

/* Of the statements that insert. */
struct durations {
  int statements;
  double longest, shortest; /* milliseconds */
};

static void note_duration(const evd_log_event *event, void *data) {
  struct durations *durations = data;
  if (event->level == EVD_LOG_QUERY && event->operation == EVD_OPERATION_INSERT) {
    bool is_first = durations->statements++ == 0;
    double ms = event->duration_ms;
    durations->longest = is_first || ms > durations->longest ? ms : durations->longest;
    durations->shortest = is_first || ms < durations->shortest ? ms : durations->shortest;
  }
}

/* The first is answered before the last is sent: a notice makes the server send what it has. */
static void each_statement_of_a_batch_has_its_own_duration(void **state) {
  needs_postgres();
  enum { ROWS = 24, SIZE = 1100000 };
  struct durations durations = {0};
  open_with("pool_max=1", &(evd_options){.schema = EVD_SCHEMA_CREATE,
                                         .log = note_duration,
                                         .log_level = EVD_LOG_QUERY,
                                         .log_data = &durations});
  sql("create function tell() returns trigger language plpgsql as $$ begin raise notice 'hear'; "
      "return null; end $$;"
      "create trigger tell before insert on task_executions execute function tell()");
  evd_execution rows[ROWS];
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].input = document(SIZE);
  }
  double start = ev_time();
  await_ok(evd_insert(test.storage, rows, ROWS));
  double took = (ev_time() - start) * 1000;
  assert_int_equal(durations.statements, ROWS);
  expect(durations.shortest > 0 && durations.longest <= took, "from %g to %g ms, of %g in all",
         durations.shortest, durations.longest, took);
}

static void large_updates_are_several_statements(void **state) {
  enum { COUNT = 16, SIZE = 300000, STEPS = 4 };
  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&changes, output, document(SIZE));
  struct request requests[COUNT];
  struct request *pointers[COUNT];
  for (int i = 0; i < COUNT; i++) {
    requests[i] = (struct request){
        .operation = EVD_OPERATION_UPDATE, .id = text("te_%d", i), .changes = &changes};
    pointers[i] = &requests[i];
  }
  struct batch batch = {.operation = EVD_OPERATION_UPDATE, .count = COUNT, .requests = pointers};
  struct flight *flight = postgres_flight_new(&(struct postgres_table){0}, &batch);
  assert_int_equal(flight->step_count, STEPS);
  for (int i = 0; i < STEPS; i++) {
    assert_int_equal(flight->steps[i].count, COUNT / STEPS);
    assert_ptr_equal(flight->steps[i].requests, &flight->requests[i * COUNT / STEPS]);
  }
  postgres_flight_free(flight);
  release_kept();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      postgres_test(both_directions_may_be_full_at_once),
      postgres_test(an_answer_that_comes_while_the_socket_is_full_is_seen),
      postgres_test(each_statement_of_a_batch_has_its_own_duration),
      cmocka_unit_test(large_updates_are_several_statements),
      postgres_test(one_large_row_does_not_make_a_claim_of_many_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
