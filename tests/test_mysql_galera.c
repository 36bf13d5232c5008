/*
 * The MySQL engine on a Galera cluster of three nodes: what two nodes do at once is certified when
 * it commits, so that either may lose (1213) at any statement; and nodes die.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ev.h>
#include <evdurable.h>

#include "support/await.h"
#include "support/check.h"
#include "support/mariadb_server.h"
#include "support/sample.h"
#include "support/watchdog.h"

enum { ROWS = 1500, PARENTS = 10, NODES = 2, CLAIM = 20 };

static struct galera galera;
static const char *missing; /* why there is no cluster */
static struct ev_loop *loop;
static evd_storage *nodes[NODES];
static int family; /* the last that was made: each has ids of its own */

static int start_cluster(void **state) {
  (void)state;
  watchdog(250);
  missing = mysql_is_there() ? galera_start(&galera) : "EVD_TEST_MYSQL_URL is not set";
  if (missing != NULL) {
    print_message("GALERA IS NOT TESTED: %s\n", missing);
  }
  loop = ev_loop_new(EVFLAG_AUTO);
  return loop != NULL ? 0 : -1;
}

static int end_cluster(void **state) {
  (void)state;
  if (missing == NULL) {
    galera_end(&galera);
  }
  release_kept();
  ev_loop_destroy(loop);
  return 0;
}

static void open_nodes(int count) {
  for (int i = 0; i < count; i++) {
    evd_options options = {.schema = EVD_SCHEMA_CREATE,
                           .test_mode = true,
                           .operation_timeout_ms = 20000,
                           .conflict_retries_max = 100};
    nodes[i] = await_storage(evd_storage_open(loop, galera.urls[i], &options));
  }
}

static void close_nodes(int count) {
  for (int i = 0; i < count; i++) {
    await_ok(evd_storage_close(nodes[i], -1));
  }
}

/* Until the second node has so many rows of this parent: nodes follow each other with a delay. */
static void await_children(const char *parent, size_t wanted) {
  size_t count = 0;
  for (time_t end = time(NULL) + 30; time(NULL) < end && count != wanted;) {
    (void)await_rows(evd_get_by_parent(nodes[1], parent), &count);
  }
  assert_int_equal(count, wanted);
}

static const char *parent_id(int parent) {
  return text("te_%d_parent_%d", family, parent);
}

/* Makes PARENTS parents with ROWS children in all, and waits until both nodes have them. */
static void make_family(void) {
  family++;
  (void)await_count(evd_delete_all(nodes[0]));
  evd_execution *children = keep_memory(ROWS * sizeof *children);
  for (int i = 0; i < PARENTS; i++) {
    evd_execution parent = sample_parent(parent_id(i), ROWS / PARENTS);
    await_ok(evd_insert(nodes[0], &parent, 1));
  }
  for (int i = 0; i < ROWS; i++) {
    children[i] = sample_child(text("te_%d_child_%d", family, i), parent_id(i % PARENTS), i);
  }
  await_ok(evd_insert(nodes[0], children, ROWS));
  for (int i = 0; i < PARENTS; i++) {
    await_children(parent_id(i), ROWS / PARENTS);
  }
}

/* What is done on all nodes at once, for as long as it finds something. */
struct worker {
  evd_storage *storage;
  int *claimed; /* of all workers: how often each row */
  int rows;     /* claimed, or closed */
  int idle;     /* calls one after the other that found nothing */
  enum { CLAIMING, CLOSING } act;
  bool done;
};

static void go_on(struct worker *worker);

/* Whether an operation has succeeded; a conflict that all retries did not solve, or a node that was
 * lost before it did anything, is no defect. */
static bool has_succeeded(const evd_future *future) {
  const evd_error *error = evd_future_error(future);
  if (error->code == EVD_OK) {
    return true;
  }
  expect(error->code == EVD_ECONFLICT || error->code == EVD_EUNAVAILABLE, "%s: %s",
         evd_code_name(error->code), error->message);
  return false;
}

static void on_finished(evd_future *future, void *data) {
  (void)future;
  go_on(data);
}

/* Finishes the rows of a claim. */
static void finish(struct worker *worker, const evd_execution *rows, size_t count) {
  evd_future *futures[CLAIM];
  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&changes, is_finished, true);
  evd_set(&changes, output, "1");
  for (size_t i = 0; i < count; i++) {
    worker->claimed[sample_number(rows[i].execution_id)]++;
    futures[i] = evd_update(worker->storage, rows[i].execution_id,
                            &(evd_filter){.status = EVD_STATUS_RUNNING}, &changes);
  }
  worker->rows += (int)count;
  evd_future_then(evd_future_all(futures, count), on_finished, worker);
}

static void on_claimed(evd_future *future, void *data) {
  struct worker *worker = data;
  const evd_execution *rows = NULL;
  size_t count = 0;
  if (has_succeeded(future)) {
    assert_int_equal(evd_future_rows(future, &rows, &count), EVD_OK);
  }
  worker->idle = count > 0 ? 0 : worker->idle + 1;
  if (count > 0) {
    finish(worker, rows, count);
  } else {
    go_on(worker);
  }
}

static void on_closed(evd_future *future, void *data) {
  struct worker *worker = data;
  int64_t count = 0;
  if (has_succeeded(future)) {
    assert_int_equal(evd_future_count(future, &count), EVD_OK);
  }
  worker->rows += (int)count;
  worker->idle = count > 0 ? 0 : worker->idle + 1;
  go_on(worker);
}

static void go_on(struct worker *worker) {
  if (worker->idle >= 20) {
    worker->done = true;
    return;
  }
  evd_changes changes = {0};
  evd_set(&changes, updated_at, SAMPLE_TIME + 1);
  if (worker->act == CLAIMING) {
    evd_set(&changes, status, EVD_STATUS_RUNNING);
    evd_future_then(
        evd_claim_by_start_at(worker->storage, sample_due(INT64_C(1) << 50), &changes, CLAIM),
        on_claimed, worker);
  } else {
    evd_set(&changes, close_status, EVD_CLOSE_CLOSED);
    evd_future_then(evd_close_finished(worker->storage, true, EVD_CLOSE_IDLE, &changes, CLAIM),
                    on_closed, worker);
  }
}

/* Has a worker on each node do this until nothing is left. */
static void work(struct worker *workers, int act, int *claimed) {
  for (int i = 0; i < NODES; i++) {
    workers[i] = (struct worker){.storage = nodes[i], .claimed = claimed};
    workers[i].act = act;
    go_on(&workers[i]);
  }
  while (!workers[0].done || !workers[1].done) {
    ev_run(loop, EVRUN_ONCE);
  }
}

static void nodes_that_claim_at_once_share_the_rows_and_count_right(void **state) {
  (void)state;
  if (missing != NULL) {
    skip();
  }
  open_nodes(NODES);
  make_family();
  int *claimed = keep_memory(ROWS * sizeof *claimed);
  struct worker workers[NODES];
  work(workers, CLAIMING, claimed);
  for (int i = 0; i < ROWS; i++) {
    expect(claimed[i] == 1, "row %d was claimed %d times", i, claimed[i]);
  }
  print_message("claimed: %d and %d\n", workers[0].rows, workers[1].rows);
  work(workers, CLOSING, NULL);
  print_message("closed: %d and %d\n", workers[0].rows, workers[1].rows);
  assert_int_equal(workers[0].rows + workers[1].rows, ROWS);
  for (int i = 0; i < PARENTS; i++) {
    const evd_execution *parent = await_row(evd_get(nodes[0], parent_id(i), NULL));
    assert_int_equal(parent->active_children_count, 0);
  }
  close_nodes(NODES);
}

static void two_nodes_go_on_when_the_third_dies(void **state) {
  (void)state;
  if (missing != NULL) {
    skip();
  }
  open_nodes(NODES);
  make_family();
  int *claimed = keep_memory(ROWS * sizeof *claimed);
  struct worker workers[NODES];
  galera_kill(&galera, 2);
  work(workers, CLAIMING, claimed);
  for (int i = 0; i < ROWS; i++) {
    expect(claimed[i] == 1, "row %d was claimed %d times", i, claimed[i]);
  }
  close_nodes(NODES);
}

static void a_node_without_quorum_is_no_connection(void **state) {
  (void)state;
  if (missing != NULL) {
    skip();
  }
  open_nodes(1);
  evd_execution row = sample_execution("te_quorum");
  await_ok(evd_insert(nodes[0], &row, 1));
  galera_kill(&galera, 1);
  galera_kill(&galera, 2);
  evd_error error = {0};
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  while (strcmp(error.native, "1047") != 0) { /* the node takes a while to see that it is alone */
    evd_future *future = keep_future(evd_update(nodes[0], "te_quorum", NULL, &changes));
    if (evd_future_await(future) != EVD_OK) {
      error = *evd_future_error(future);
    }
  }
  assert_int_equal(error.code, EVD_EUNAVAILABLE);
  assert_string_equal(error.native, "1047");
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  error = await_error(evd_storage_open(loop, galera.urls[0], NULL), EVD_EUNAVAILABLE);
  assert_string_equal(error.native, "1047");
  close_nodes(1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_that_claim_at_once_share_the_rows_and_count_right),
      cmocka_unit_test(two_nodes_go_on_when_the_third_dies),
      cmocka_unit_test(a_node_without_quorum_is_no_connection),
  };
  return cmocka_run_group_tests(tests, start_cluster, end_cluster);
}
