/* An engine that holds its batches, and a loader on it. */
#include "support/scripted_engine.h"

#include <stdio.h>
#include <string.h>

#include "model/error.h"
#include "sql/dialect.h"
#include "support/watchdog.h"

static size_t scripted_capacity(const struct engine *engine) {
  const struct scripted *scripted = (const struct scripted *)engine;
  return scripted->capacity - scripted->held_count;
}

static void scripted_submit(struct engine *engine, struct batch *batch) {
  struct scripted *scripted = (struct scripted *)engine;
  assert_true(scripted->held_count < BATCHES_MAX);
  scripted->held[scripted->held_count++] = batch;
}

static const evd_error *scripted_trouble(const struct engine *engine) {
  const struct scripted *scripted = (const struct scripted *)engine;
  return scripted->trouble.code == EVD_OK ? NULL : &scripted->trouble;
}

static const struct dialect scripted_dialect = {.name = "scripted"};

static const struct engine_ops scripted_ops = {.dialect = &scripted_dialect,
                                               .capacity = scripted_capacity,
                                               .submit = scripted_submit,
                                               .trouble = scripted_trouble};

int loader_set_up(void **state) {
  struct fixture *fixture = test_calloc(1, sizeof *fixture);
  fixture->loop = ev_loop_new(EVFLAG_AUTO);
  fixture->reactor = reactor_new(fixture->loop);
  fixture->limits = (struct limits){.batch_requests = 8,
                                    .batch_bytes = 1 << 20,
                                    .pending_requests = 100,
                                    .pending_bytes = 1 << 20,
                                    .timeout_ms = -1,
                                    .attempts = 3};
  fixture->loader = loader_new(fixture->reactor, &fixture->limits, &fixture->log);
  fixture->engine.capacity = 2;
  loader_start(fixture->loader, &scripted_ops, (struct engine *)&fixture->engine);
  *state = fixture;
  return 0;
}

int loader_tear_down(void **state) {
  struct fixture *fixture = *state;
  assert_int_equal(fixture->loader->pending_requests, 0);
  assert_int_equal(fixture->loader->pending_bytes, 0);
  loader_free(fixture->loader);
  ev_run(fixture->loop, EVRUN_NOWAIT); /* callbacks that are due */
  reactor_release(fixture->reactor);
  ev_loop_destroy(fixture->loop);
  test_free(fixture);
  return 0;
}

void turn(struct fixture *fixture) {
  ev_run(fixture->loop, EVRUN_NOWAIT);
}

void turn_until_held(struct fixture *fixture, size_t count) {
  watchdog(600);
  while (fixture->engine.held_count < count) {
    turn(fixture);
  }
  watchdog(0);
  assert_int_equal(fixture->engine.held_count, count);
}

void answer(struct fixture *fixture, evd_code code, evd_outcome outcome) {
  struct scripted *engine = &fixture->engine;
  assert_true(engine->held_count > 0);
  struct batch *batch = engine->held[0];
  engine->held_count--;
  memmove(&engine->held[0], &engine->held[1], engine->held_count * sizeof(struct batch *));
  if (code == EVD_OK) {
    for (size_t i = 0; i < batch->count; i++) {
      batch->requests[i]->count = 1;
    }
  } else {
    error_set(&batch->error, code, "", "as the test says");
    batch->error.outcome = outcome;
  }
  batch->done(batch);
}

evd_future *submit_update(struct fixture *fixture, const char *id, int32_t attempts) {
  evd_changes changes = {.set = 0};
  evd_set(&changes, retry_attempts, attempts);
  struct request request = {.operation = EVD_OPERATION_UPDATE, .id = id, .changes = &changes};
  return loader_submit(fixture->loader, &request);
}

evd_future *submit_get(struct fixture *fixture, const char *id) {
  struct request request = {.operation = EVD_OPERATION_GET, .id = id};
  return loader_submit(fixture->loader, &request);
}

evd_future *submit_get_of(struct fixture *fixture, int number) {
  char id[16];
  snprintf(id, sizeof id, "%d", number);
  return submit_get(fixture, id);
}

evd_future *submit_update_of(struct fixture *fixture, int number) {
  char id[16];
  snprintf(id, sizeof id, "%d", number);
  return submit_update(fixture, id, number);
}

int32_t attempts_in(const struct batch *batch, size_t index) {
  return batch->requests[index]->changes->values.retry_attempts;
}
