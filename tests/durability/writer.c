/* A process that writes, and notes what was acknowledged, until it is killed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "durability/durability.h"
#include "support/sample.h"

struct writer {
  evd_storage *storage;
  int32_t round, families;
  int claims; /* under way */
};

/* A family, or a child of one, on its way. */
struct step {
  struct writer *writer;
  int32_t round, family, child;
};

static void __attribute__((noreturn)) give_up(const char *what, const evd_error *error) {
  fprintf(stderr, "the writer: %s: %s\n", what, error->message);
  exit(EXIT_FAILURE);
}

static void expect_ok(evd_future *future, const char *what) {
  if (evd_future_code(future)) {
    give_up(what, evd_future_error(future));
  }
}

static void expect_matched(evd_future *future, const char *what) {
  bool matched;
  expect_ok(future, what);
  if (evd_future_matched(future, &matched) || !matched) {
    give_up(what, &(evd_error){.message = "not matched"});
  }
}

static void acknowledge(const struct acknowledged *acknowledged) {
  if (write(STDOUT_FILENO, acknowledged, sizeof *acknowledged) != sizeof *acknowledged) {
    exit(EXIT_FAILURE);
  }
}

static void acknowledge_step(enum act act, const struct step *step) {
  acknowledge(&(struct acknowledged){
      .act = (int32_t)act, .round = step->round, .family = step->family, .child = step->child});
}

static struct step *step_new(struct writer *writer, int32_t family) {
  struct step *step = malloc(sizeof *step);
  if (step == NULL) {
    abort();
  }
  *step = (struct step){.writer = writer, .round = writer->round, .family = family};
  return step;
}

static void begin_family(struct writer *writer);
static void claim(struct writer *writer);

static void when_closed(evd_future *future, void *data) {
  struct writer *writer = data;
  int64_t count = 0;
  expect_ok(future, "close");
  (void)evd_future_count(future, &count);
  acknowledge(
      &(struct acknowledged){.act = CLOSED, .round = writer->round, .count = (int32_t)count});
}

static void when_finished(evd_future *future, void *data) {
  struct step *step = data;
  struct writer *writer = step->writer;
  expect_matched(future, "finish");
  acknowledge_step(FINISHED, step);
  evd_changes changes = sample_changes(0);
  evd_set(&changes, close_status, EVD_CLOSE_READY);
  evd_future_then(evd_close_finished(writer->storage, true, EVD_CLOSE_IDLE, &changes, 4),
                  when_closed, writer);
  if (step->child == CHILDREN - 1) {
    begin_family(writer);
  }
  free(step);
}

static void finish(struct writer *writer, const evd_execution *row) {
  struct step *step = step_new(writer, 0);
  char *end = NULL;
  if (strncmp(row->execution_id, "child_", strlen("child_")) == 0) {
    step->round = (int32_t)strtol(row->execution_id + strlen("child_"), &end, 10);
    step->family = (int32_t)strtol(end + 1, &end, 10);
    step->child = (int32_t)strtol(end + 1, &end, 10);
  }
  if (end == NULL || *end) {
    give_up(row->execution_id, &(evd_error){.message = "claimed, but no child"});
  }
  acknowledge_step(CLAIMED, step);
  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&changes, is_finished, true);
  evd_set(&changes, output, "{\"done\":true}");
  evd_future_then(evd_update(writer->storage, row->execution_id,
                             &(evd_filter){.status = EVD_STATUS_RUNNING}, &changes),
                  when_finished, step);
}

static void when_claimed(evd_future *future, void *data) {
  struct writer *writer = data;
  const evd_execution *rows;
  size_t count;
  expect_ok(future, "claim");
  (void)evd_future_rows(future, &rows, &count);
  writer->claims--;
  for (size_t i = 0; i < count; i++) {
    finish(writer, &rows[i]);
  }
  if (count > 0) {
    claim(writer);
  }
}

/* Only children start this early. */
static void claim(struct writer *writer) {
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&changes, executor_id, "writer");
  if (writer->claims > 1) {
    return;
  }
  writer->claims++;
  evd_future_then(
      evd_claim_by_start_at(writer->storage, sample_due(SAMPLE_TIME + 1000), &changes, 20),
      when_claimed, writer);
}

static void when_parented(evd_future *future, void *data) {
  struct step *step = data;
  expect_matched(future, "insert children");
  acknowledge_step(PARENTED, step);
  claim(step->writer);
  free(step);
}

static void when_started(evd_future *future, void *data) {
  struct step *step = data;
  char parent_id[64], ids[CHILDREN][64];
  evd_execution children[CHILDREN];
  expect_matched(future, "start");
  acknowledge_step(STARTED, step);
  snprintf(parent_id, sizeof parent_id, "parent_%d_%d", step->round, step->family);
  for (int32_t i = 0; i < CHILDREN; i++) {
    snprintf(ids[i], sizeof ids[i], "child_%d_%d_%d", step->round, step->family, i);
    children[i] = sample_child(ids[i], parent_id, i);
  }
  evd_changes changes = sample_changes(EVD_STATUS_WAITING_FOR_CHILDREN);
  evd_set(&changes, active_children_count, CHILDREN);
  evd_future_then(evd_update_and_insert_children(step->writer->storage, parent_id,
                                                 &(evd_filter){.status = EVD_STATUS_RUNNING},
                                                 &changes, children, CHILDREN),
                  when_parented, step);
}

static void when_inserted(evd_future *future, void *data) {
  struct step *step = data;
  char parent_id[64];
  expect_ok(future, "insert");
  acknowledge_step(INSERTED, step);
  snprintf(parent_id, sizeof parent_id, "parent_%d_%d", step->round, step->family);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&changes, executor_id, "writer");
  evd_future_then(evd_update(step->writer->storage, parent_id,
                             &(evd_filter){.status = EVD_STATUS_READY}, &changes),
                  when_started, step);
}

static void begin_family(struct writer *writer) {
  struct step *step = step_new(writer, writer->families++);
  char ids[2][64];
  evd_execution rows[2];
  snprintf(ids[0], sizeof ids[0], "parent_%d_%d", step->round, step->family);
  snprintf(ids[1], sizeof ids[1], "twin_%d_%d", step->round, step->family);
  for (int i = 0; i < 2; i++) {
    rows[i] = sample_execution(ids[i]);
    rows[i].start_at = SAMPLE_TIME + 100000;
  }
  evd_future_then(evd_insert(writer->storage, rows, 2), when_inserted, step);
}

int write_role(const char *url, const char *table, const char *round) {
  struct ev_loop *loop = ev_default_loop(0);
  struct writer writer = {.round = (int32_t)strtol(round, NULL, 10)};
  evd_future *opening =
      evd_storage_open(loop, url, &(evd_options){.table = table, .schema = EVD_SCHEMA_CREATE});
  if (evd_future_await(opening) || evd_future_storage(opening, &writer.storage)) {
    give_up("open", evd_future_error(opening));
  }
  evd_future_release(opening);
  for (int i = 0; i < IN_FLIGHT; i++) {
    begin_family(&writer);
  }
  ev_run(loop, 0);
  give_up("the loop", &(evd_error){.message = "ended with work pending"});
}
