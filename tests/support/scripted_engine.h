/*
 * A loader with an engine that holds its batches until the test answers them: for conflicts, lost
 * connections and slow answers, which a real database gives only by chance.
 */
#ifndef SUPPORT_SCRIPTED_ENGINE_H
#define SUPPORT_SCRIPTED_ENGINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ev.h>
#include <evdurable.h>

#include "batch/queue.h"

enum { BATCHES_MAX = 16 };

/* An engine that holds its batches until the test answers them. */
struct scripted {
  size_t capacity;
  struct batch *held[BATCHES_MAX]; /* oldest first */
  size_t held_count;
  evd_error trouble;
};

struct fixture {
  struct ev_loop *loop;
  struct reactor *reactor;
  struct log log;
  struct limits limits;
  struct loader *loader;
  struct scripted engine;
};

/* A test whose state is a struct fixture: attempts are limited to 3, batches to 8 requests, and the
 * engine takes 2 batches at once. */
#define loader_test(function) \
  cmocka_unit_test_setup_teardown(function, loader_set_up, loader_tear_down)

int loader_set_up(void **state);
int loader_tear_down(void **state);

/* Turns the loop once. */
void turn(struct fixture *fixture);

/* Turns the loop until the engine holds this many batches. */
void turn_until_held(struct fixture *fixture, size_t count);

/* Answers the oldest batch that the engine holds. */
void answer(struct fixture *fixture, evd_code code, evd_outcome outcome);

/* Submits an operation on the row of an id, or of a number. */
evd_future *submit_update(struct fixture *fixture, const char *id, int32_t attempts);
evd_future *submit_get(struct fixture *fixture, const char *id);
evd_future *submit_update_of(struct fixture *fixture, int number);
evd_future *submit_get_of(struct fixture *fixture, int number);

/* The attempts that a request of a batch of updates sets. */
int32_t attempts_in(const struct batch *batch, size_t index);

#endif
