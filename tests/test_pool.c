/* The pool of connections, with an engine that only pretends. */
#include <stdlib.h>
#include <string.h>

#include <ev.h>
#include <utlist.h>

#include "async/clock.h"
#include "engine/pool.h"
#include "model/error.h"
#include "support/check.h"
#include "support/watchdog.h"

enum { ATTEMPTS_MAX = 64 };

/* A connection of the pretended engine. */
struct pretended {
  struct pool_connection link; /* first */
  struct pretended *prev, *next;
};

/* The pretended engine. */
static struct {
  struct ev_loop *loop;
  struct pool *pool;
  struct pretended *connections;
  int count, most, opened, failed, grew, troubles;
  bool closed;
  bool answers;                  /* connections become ready at once */
  bool refuses;                  /* they are lost at once */
  double closing_takes;          /* seconds of the loop's thread */
  double attempts[ATTEMPTS_MAX]; /* when each began */
  struct ev_timer answer;
} engine;

static struct pool_connection *on_connect(void *owner, evd_error *error) {
  struct pretended *connection = calloc(1, sizeof *connection);
  DL_APPEND(engine.connections, connection);
  engine.count++;
  engine.most = engine.count > engine.most ? engine.count : engine.most;
  if (engine.opened < ATTEMPTS_MAX) {
    engine.attempts[engine.opened] = clock_seconds();
  }
  engine.opened++;
  ev_feed_event(engine.loop, &engine.answer, EV_TIMER);
  return &connection->link;
}

/* Answers what is connecting. */
static void on_answer(struct ev_loop *loop, ev_timer *timer, int events) {
  struct pretended *connection;
  for (connection = engine.connections; connection != NULL; connection = connection->next) {
    evd_error error;
    if (connection->link.state == POOL_CONNECTING && engine.refuses) {
      error_set(&error, EVD_EUNAVAILABLE, "", "refused");
      pool_connection_lost(&connection->link, &error);
    } else if (connection->link.state == POOL_CONNECTING && engine.answers) {
      pool_connection_ready(&connection->link);
    }
  }
}

/* A batch, and the connection that it was sent on. */
struct sent {
  struct batch batch; /* first */
  struct pool_connection *on;
};

static void on_send(struct pool_connection *link, struct batch *batch) {
  ((struct sent *)batch)->on = link;
}

static void on_fail(struct pool_connection *link, const evd_error *error) {
  engine.failed++;
}

static void on_close(struct pool_connection *link) {
  struct pretended *connection = (struct pretended *)link;
  assert_int_equal(link->in_flight, 0);
  ev_sleep(engine.closing_takes);
  pool_connection_closed(link);
  DL_DELETE(engine.connections, connection);
  engine.count--;
  free(connection);
}

static void on_grew(void *owner) {
  engine.grew++;
}

static void on_trouble(void *owner, const evd_error *error) {
  engine.troubles++;
}

static void on_closed(void *owner) {
  engine.closed = true;
}

static void start(struct pool_config config) {
  struct pool_callbacks callbacks = {on_connect, on_send,    on_fail,   on_close,
                                     on_grew,    on_trouble, on_closed, NULL};
  watchdog(600);
  memset(&engine, 0, sizeof engine);
  engine.loop = ev_loop_new(EVFLAG_AUTO);
  engine.answers = true;
  ev_init(&engine.answer, on_answer);
  config.loop = engine.loop;
  config.backoff_min = config.backoff_min > 0 ? config.backoff_min : 0.01;
  config.backoff_max = config.backoff_max > 0 ? config.backoff_max : 0.01;
  engine.pool = pool_new(&config, &callbacks);
  assert_non_null(engine.pool);
  pool_start(engine.pool);
}

static void end_run(struct ev_loop *loop, ev_timer *timer, int events) {
  ev_break(loop, EVBREAK_ONE);
}

static void run_for(double seconds) {
  ev_timer timer;
  ev_now_update(engine.loop);
  ev_timer_init(&timer, end_run, seconds, 0);
  ev_timer_start(engine.loop, &timer);
  ev_run(engine.loop, 0);
  ev_timer_stop(engine.loop, &timer);
}

/* Runs the loop until the condition holds. */
#define run_until(condition) \
  while (!(condition)) {     \
    run_for(0.001);          \
  }

static void end(void) {
  if (!engine.closed) {
    pool_close(engine.pool, true);
  }
  ev_run(engine.loop, 0);
  assert_true(engine.closed);
  assert_int_equal(engine.count, 0);
  pool_free(engine.pool);
  ev_loop_destroy(engine.loop);
  watchdog(0);
}

static struct engine_stats stats(void) {
  struct engine_stats figures = {0};
  pool_stats(engine.pool, &figures);
  return figures;
}

static void the_least_number_of_connections_is_opened_and_kept(void **state) {
  start((struct pool_config){.min = 3, .max = 5, .depth = 2, .idle_timeout = 0.02});
  assert_int_equal(pool_capacity(engine.pool), 0);
  run_until(engine.grew == 3);
  run_for(0.1);
  assert_int_equal(engine.count, 3);
  assert_int_equal(engine.grew, 3);
  assert_int_equal(pool_capacity(engine.pool), 6);
  assert_int_equal(stats().connections, 3);
  end();
}

static void an_idle_pool_does_not_keep_the_loop_alive(void **state) {
  start((struct pool_config){.min = 2, .max = 2, .depth = 1, .idle_timeout = 60, .max_age = 60});
  ev_run(engine.loop, 0);
  run_until(engine.grew == 2);
  ev_run(engine.loop, 0);
  struct sent sent = {.on = NULL};
  pool_submit(engine.pool, &sent.batch);
  run_for(0.02);
  pool_batch_done(sent.on);
  ev_run(engine.loop, 0);
  end();
}

static void an_optional_pool_never_keeps_the_loop_alive(void **state) {
  start((struct pool_config){.min = 1, .max = 1, .depth = 1, .optional = true});
  engine.refuses = true;
  ev_run(engine.loop, 0);
  end();
}

static void closing_drops_what_is_being_made_where_that_may_be(void **state) {
  start((struct pool_config){.min = 1, .max = 1, .depth = 1, .drops = true});
  engine.answers = false;
  run_until(engine.count == 1);
  pool_close(engine.pool, false);
  run_until(engine.closed);
  end();
}

static void more_are_opened_while_batches_queue_and_closed_when_idle(void **state) {
  start((struct pool_config){.min = 1, .max = 3, .depth = 4, .idle_timeout = 0.05});
  run_until(engine.grew == 1);
  assert_int_equal(engine.count, 1);
  struct sent batches[12] = {{.on = NULL}};
  for (int i = 0; i < 12; i++) {
    run_until(pool_capacity(engine.pool) > 0);
    pool_submit(engine.pool, &batches[i].batch);
  }
  assert_int_equal(engine.count, 3);
  assert_int_equal(pool_capacity(engine.pool), 0);
  struct pretended *connection;
  for (connection = engine.connections; connection != NULL; connection = connection->next) {
    assert_int_equal(connection->link.in_flight, 4);
  }
  for (int i = 0; i < 12; i++) {
    pool_batch_done(batches[i].on);
  }
  run_until(engine.count == 1);
  assert_int_equal(engine.failed, 0);
  end();
}

static void an_old_connection_is_replaced_before_it_goes(void **state) {
  start((struct pool_config){.min = 1, .max = 2, .depth = 1, .max_age = 0.05});
  run_until(engine.grew == 1);
  while (engine.opened < 4) {
    run_for(0.001);
    assert_true(pool_capacity(engine.pool) > 0);
    assert_true(engine.count <= 2);
  }
  assert_int_equal(stats().reconnections, 0);
  end();
}

static void an_old_connection_goes_before_it_is_replaced_where_there_is_no_room(void **state) {
  start((struct pool_config){.min = 3, .max = 3, .depth = 1, .max_age = 0.05});
  run_until(engine.grew == 3);
  while (engine.opened < 12) {
    run_for(0.001);
    assert_true(pool_capacity(engine.pool) >= 1);
  }
  assert_int_equal(engine.most, 3);
  assert_int_equal(stats().reconnections, 0);
  end();
}

/* The pauses before the attempts from one on: the least of them doubles up to the most that there
 * is, less a jitter of a half. */
static void expect_growing_pauses(int first) {
  for (int i = first; i < engine.opened && i < ATTEMPTS_MAX; i++) {
    double least = 0.02 * (1 << (i - first < 3 ? i - first : 3)) / 2;
    double pause = engine.attempts[i] - engine.attempts[i - 1];
    expect(pause >= least * 0.9, "pause %d was %g s, of at least %g", i, pause, least);
  }
}

/* As where the server lets nobody else in: what works goes on, and the attempts become rare. */
static void work_of_older_connections_does_not_hasten_attempts_that_fail(void **state) {
  start((struct pool_config){
      .min = 1, .max = 2, .depth = 1, .max_age = 0.05, .backoff_min = 0.02, .backoff_max = 0.16});
  run_until(engine.grew == 1);
  engine.refuses = true;
  while (engine.opened < 8) {
    run_for(0.002);
    struct sent sent = {.on = NULL};
    assert_true(pool_capacity(engine.pool) > 0);
    pool_submit(engine.pool, &sent.batch);
    pool_batch_done(sent.on);
  }
  expect_growing_pauses(2);
  end();
}

/* As by a server that ends connections which idle. */
static void the_loss_of_what_was_good_for_long_is_made_good_soon(void **state) {
  enum { LOSSES = 6 };
  start((struct pool_config){
      .min = 1, .max = 1, .depth = 1, .backoff_min = 0.02, .backoff_max = 0.2});
  run_until(engine.grew == 1);
  double waited = 1;
  for (int i = 0; i < LOSSES || waited > 0.05; i++) { /* growing, it would be 0.1 to 0.2 */
    run_for(0.25);
    assert_int_equal(pool_capacity(engine.pool), 1);
    evd_error error;
    error_set(&error, EVD_EUNAVAILABLE, "", "idle");
    pool_connection_lost(&engine.connections->link, &error);
    double begin = clock_seconds();
    run_until(pool_capacity(engine.pool) > 0);
    waited = clock_seconds() - begin;
  }
  end();
}

static void a_batch_is_finished_before_its_old_connection_goes(void **state) {
  start((struct pool_config){.min = 1, .max = 1, .depth = 1, .max_age = 0.02});
  run_until(pool_capacity(engine.pool) > 0);
  struct sent sent = {.on = NULL};
  pool_submit(engine.pool, &sent.batch);
  struct pool_connection *old = sent.on;
  run_until(old->state == POOL_DRAINING);
  run_for(0.05);
  assert_int_equal(old->in_flight, 1);
  pool_batch_done(old);
  run_for(0.01);
  end();
}

static void a_lost_connection_is_replaced(void **state) {
  start((struct pool_config){.min = 1, .max = 1, .depth = 1});
  run_until(engine.grew == 1);
  struct sent sent = {.on = NULL};
  pool_submit(engine.pool, &sent.batch);
  evd_error error;
  error_set(&error, EVD_EUNAVAILABLE, "", "cut");
  pool_connection_lost(sent.on, &error);
  assert_int_equal(pool_capacity(engine.pool), 0);
  assert_string_equal(pool_trouble(engine.pool)->message, "cut");
  run_until(pool_capacity(engine.pool) == 1);
  assert_null(pool_trouble(engine.pool));
  assert_int_equal(stats().reconnections, 1);
  end();
}

static void a_pause_that_is_over_before_the_pool_has_looked_round_ends(void **state) {
  start((struct pool_config){.min = 1, .max = 1, .depth = 1});
  run_until(engine.grew == 1);
  engine.closing_takes = 0.05; /* longer than the pause */
  evd_error error;
  error_set(&error, EVD_EUNAVAILABLE, "", "lost");
  pool_connection_lost(&engine.connections->link, &error);
  run_until(engine.grew == 2);
  end();
}

static void attempts_come_at_growing_intervals_one_at_a_time(void **state) {
  start((struct pool_config){
      .min = 3, .max = 3, .depth = 1, .backoff_min = 0.02, .backoff_max = 0.16});
  engine.refuses = true;
  run_until(engine.troubles == 8);
  assert_int_equal(engine.opened, 8);
  expect_growing_pauses(1);
  engine.refuses = false;
  run_until(engine.grew == 3);
  assert_int_equal(engine.count, 3);
  end();
}

static void connecting_takes_no_longer_than_it_may(void **state) {
  start((struct pool_config){.min = 1, .max = 1, .depth = 1, .connect_timeout = 0.03});
  engine.answers = false;
  while (engine.opened < 3) {
    run_for(0.001);
    assert_true(engine.count <= 1);
  }
  assert_non_null(strstr(pool_trouble(engine.pool)->message, "longer than"));
  end();
}

static void closing_waits_for_what_is_under_way(void **state) {
  start((struct pool_config){.min = 2, .max = 2, .depth = 1});
  run_until(engine.grew == 2);
  struct sent sent = {.on = NULL};
  pool_submit(engine.pool, &sent.batch);
  pool_close(engine.pool, false);
  run_until(engine.count == 1);
  run_for(0.05);
  assert_false(engine.closed);
  pool_batch_done(sent.on);
  ev_run(engine.loop, 0);
  assert_true(engine.closed);
  assert_int_equal(engine.failed, 1); /* the idle one */
  end();
}

static void aborting_fails_what_is_under_way(void **state) {
  start((struct pool_config){.min = 1, .max = 1, .depth = 2});
  run_until(engine.grew == 1);
  struct sent batches[2] = {{.on = NULL}};
  pool_submit(engine.pool, &batches[0].batch);
  pool_submit(engine.pool, &batches[1].batch);
  pool_close(engine.pool, false);
  run_for(0.01);
  pool_close(engine.pool, true);
  ev_run(engine.loop, 0);
  assert_true(engine.closed);
  assert_int_equal(engine.failed, 1);
  end();
}

static void a_retired_connection_takes_no_more(void **state) {
  start((struct pool_config){.min = 1, .max = 1, .depth = 2});
  run_until(engine.grew == 1);
  struct sent sent = {.on = NULL};
  pool_submit(engine.pool, &sent.batch);
  pool_connection_retire(sent.on);
  assert_int_equal(pool_capacity(engine.pool), 0);
  run_until(pool_capacity(engine.pool) == 2);
  assert_int_equal(engine.count, 2);
  pool_batch_done(sent.on);
  run_until(engine.count == 1);
  end();
}

/* Retires a connection for its answer to a batch, after so many batches that it answered well. */
static void retire_after_a_batch(int well) {
  for (int i = 0; i < well; i++) {
    struct sent good = {.on = NULL};
    pool_submit(engine.pool, &good.batch);
    pool_batch_done(good.on);
  }
  struct sent sent = {.on = NULL};
  pool_submit(engine.pool, &sent.batch);
  pool_connection_retire(sent.on);
  pool_batch_done(sent.on);
}

/* Every connection is retired for the answer to its first batch, as by a standby that was the
 * primary. */
static void retired_connections_are_replaced_at_growing_intervals(void **state) {
  start((struct pool_config){
      .min = 1, .max = 1, .depth = 1, .backoff_min = 0.02, .backoff_max = 0.16});
  for (int i = 0; i < 8; i++) {
    run_until(pool_capacity(engine.pool) > 0);
    retire_after_a_batch(0);
  }
  expect_growing_pauses(1);
  double waited;
  do { /* growing, it would be 0.08 to 0.16 */
    run_until(pool_capacity(engine.pool) > 0);
    retire_after_a_batch(1);
    double begin = clock_seconds();
    int opened = engine.opened;
    run_until(engine.opened > opened);
    waited = clock_seconds() - begin;
  } while (waited > 0.05);
  end();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_least_number_of_connections_is_opened_and_kept),
      cmocka_unit_test(an_idle_pool_does_not_keep_the_loop_alive),
      cmocka_unit_test(an_optional_pool_never_keeps_the_loop_alive),
      cmocka_unit_test(closing_drops_what_is_being_made_where_that_may_be),
      cmocka_unit_test(more_are_opened_while_batches_queue_and_closed_when_idle),
      cmocka_unit_test(an_old_connection_is_replaced_before_it_goes),
      cmocka_unit_test(an_old_connection_goes_before_it_is_replaced_where_there_is_no_room),
      cmocka_unit_test(work_of_older_connections_does_not_hasten_attempts_that_fail),
      cmocka_unit_test(the_loss_of_what_was_good_for_long_is_made_good_soon),
      cmocka_unit_test(a_batch_is_finished_before_its_old_connection_goes),
      cmocka_unit_test(a_lost_connection_is_replaced),
      cmocka_unit_test(a_pause_that_is_over_before_the_pool_has_looked_round_ends),
      cmocka_unit_test(attempts_come_at_growing_intervals_one_at_a_time),
      cmocka_unit_test(connecting_takes_no_longer_than_it_may),
      cmocka_unit_test(closing_waits_for_what_is_under_way),
      cmocka_unit_test(aborting_fails_what_is_under_way),
      cmocka_unit_test(a_retired_connection_takes_no_more),
      cmocka_unit_test(retired_connections_are_replaced_at_growing_intervals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
