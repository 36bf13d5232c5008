/*
 * The benchmark of making connections over TLS, which costs both sides more than any batch: how
 * long the loop is kept waiting meanwhile. Storages are opened, one after another, each with a pool
 * of several connections.
 */
#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "report.h"

enum { POOL = 4 };
#define POLL_SECONDS 0.001
enum { OPENING_SECONDS = 30 }; /* until a pool must be full */

/* A storage whose pool is filling. */
struct filling {
  evd_storage *storage;
  double since;
  bool full;
};

static void look(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)events;
  struct filling *filling = timer->data;
  evd_stats stats;
  evd_storage_stats(filling->storage, &stats);
  filling->full = stats.connections >= POOL;
  if (filling->full || bench_seconds() - filling->since > OPENING_SECONDS) {
    ev_timer_stop(loop, timer);
    ev_break(loop, EVBREAK_ONE);
  }
}

/* Runs the loop until the storage has all its connections. */
static bool await_pool(evd_storage *storage) {
  struct filling filling = {.storage = storage, .since = bench_seconds()};
  ev_timer timer;
  ev_timer_init(&timer, look, POLL_SECONDS, POLL_SECONDS);
  timer.data = &filling;
  ev_timer_start(EV_DEFAULT, &timer);
  ev_run(EV_DEFAULT, 0);
  return filling.full || bench_fail("connect: not all connections were made");
}

/* The target's URL, with TLS if it is a server of our own, and with the pool. */
static bool set_options(struct target *target, const struct bench_options *options) {
  const char *tls = "";
  if (options->url == NULL) {
    tls = strcmp(target->engine, "postgres") == 0 ? "sslmode=require&" : "ssl=on&";
    target->url[strcspn(target->url, "?")] = '\0'; /* it may say that there is to be none */
  }
  size_t length = strlen(target->url), room = sizeof target->url - length;
  int added = snprintf(target->url + length, room, "%c%spool_min=%d",
                       strchr(target->url, '?') != NULL ? '&' : '?', tls, POOL);
  return added < (int)room || bench_fail("connect: the URL is too long");
}

/* Opens and closes so many storages. Only what is opened is measured: a storage's end waits for its
 * threads. */
static bool open_and_close(const struct target *target, size_t count, struct loop_delay *delay,
                           double *seconds) {
  bool ok = true;
  *seconds = 0;
  for (size_t i = 0; i < count && ok; i++) {
    evd_options options = {0};
    bench_progress("%s: connect, %zu of %zu", target->engine, i + 1, count);
    double start = bench_seconds();
    loop_delay_go_on(delay);
    evd_storage *storage = target_open(target, &options);
    ok = storage != NULL && await_pool(storage);
    loop_delay_pause(delay);
    *seconds += bench_seconds() - start;
    ok = target_close(storage) && ok;
  }
  return ok;
}

/* One run: with the loop's thread as any other, or in real time. */
static bool measure(const struct target *target, size_t rounds, struct connect_result *result) {
  bool realtime = result->mode == MODE_REALTIME;
  double seconds;
  result->idle = loop_delay_idle(EV_DEFAULT, 0.5);
  if (realtime) {
    loop_delay_set_realtime(true);
  }
  struct loop_delay *delay = loop_delay_start(EV_DEFAULT);
  loop_delay_pause(delay);
  bool ok = open_and_close(target, rounds, delay, &seconds);
  loop_delay_stop(delay, &result->delay, &result->turns);
  if (realtime) {
    loop_delay_set_realtime(false);
  }
  result->connections = rounds * POOL;
  result->connections_per_s = (double)result->connections / seconds;
  return ok;
}

bool bench_connect(const char *engine, const struct bench_options *options) {
  struct target target;
  struct connect_result usual = {.engine = engine, .mode = MODE_USUAL};
  struct connect_result realtime = {.engine = engine, .mode = MODE_REALTIME};
  size_t rounds = options->quick ? 5 : 50;
  double seconds;
  bool with_realtime = loop_delay_may_be_realtime();
  if (strcmp(engine, "sqlite") == 0) {
    return true; /* no connections to be made */
  }
  if (!target_init(&target, engine, options)) {
    return false;
  }
  bool ok = set_options(&target, options) &&
            open_and_close(&target, 1, NULL, &seconds) && /* makes the table */
            measure(&target, rounds, &usual) &&
            (!with_realtime || measure(&target, rounds, &realtime));
  if (ok) {
    report_connect(options, (const struct connect_result *[MODE_COUNT]){
                                &usual, with_realtime ? &realtime : NULL});
  }
  return target_remove(&target) && ok;
}
