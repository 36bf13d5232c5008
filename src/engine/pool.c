/* Opens, lends and closes connections; shared by the PostgreSQL and MySQL engines. */
#include "engine/pool.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "async/clock.h"
#include "async/quiet.h"
#include "model/error.h"

struct pool {
  struct pool_config config;
  struct pool_callbacks callbacks;
  struct pool_connection *connections; /* all that are not closed */
  size_t in_flight;                    /* on all of them */
  size_t ready;                        /* connections that take batches */
  bool started;
  bool opened;     /* a connection was ready at some time */
  bool wants_more; /* a batch had to queue behind another */
  bool closing;
  bool aborting;
  bool held; /* a reference on the loop */

  unsigned failures; /* since a connection that was made after the last one did work */
  double failed_at;  /* the last one */
  double retry_at;   /* no connecting before */
  bool in_trouble;
  evd_error trouble; /* the last failure, when in_trouble */

  ev_timer timer; /* when there is next something to do; holds no reference on the loop */
  size_t to_replace;
  uint64_t reconnections;
  unsigned short random[3];
};

/* Calls attend() soon, from the loop. */
static void wake(struct pool *pool) {
  ev_feed_event(pool->config.loop, &pool->timer, EV_TIMER);
}

/* Keeps the loop alive while somebody waits for the pool; see pool.h. */
static void hold_loop(struct pool *pool) {
  bool opening = pool->started && !pool->opened && !pool->config.optional;
  bool hold = pool->in_flight > 0 || opening || pool->closing;
  if (hold == pool->held) {
    return;
  }
  pool->held = hold;
  if (hold) {
    ev_ref(pool->config.loop);
  } else {
    ev_unref(pool->config.loop);
  }
}

/* A random number in [from, to). */
static double jitter(struct pool *pool, double from, double to) {
  return from + erand48(pool->random) * (to - from);
}

/* The pause before the next attempt grows, after a failure or a loss; those that come during it are
 * of the same trouble. */
static void back_off(struct pool *pool) {
  double now = clock_seconds();
  if (now < pool->retry_at) {
    return;
  }
  double pause = pool->config.backoff_min;
  for (unsigned i = 0; i < pool->failures && pause < pool->config.backoff_max; i++) {
    pause *= 2;
  }
  if (pause > pool->config.backoff_max) {
    pause = pool->config.backoff_max;
  }
  pool->failures++;
  pool->failed_at = now;
  pool->retry_at = now + pause * jitter(pool, 0.5, 1);
}

static void note_trouble(struct pool *pool, const evd_error *error) {
  pool->trouble = *error;
  pool->in_trouble = true;
  back_off(pool);
  if (!pool->closing) {
    pool->callbacks.trouble(pool->callbacks.owner, error);
  }
}

/* Takes a connection out of READY or whatever it was in. */
static void set_state(struct pool_connection *connection, enum pool_state state) {
  struct pool *pool = connection->pool;
  if (connection->state == POOL_READY) {
    pool->ready--;
  }
  connection->state = state;
  if (state == POOL_READY) {
    pool->ready++;
  }
}

/* Tells the engine to close a connection; it may be gone after. */
static void close_connection(struct pool_connection *connection) {
  set_state(connection, POOL_CLOSING);
  connection->close_called = true;
  connection->pool->callbacks.close(connection);
}

/* Ends a connection's work with an error, and the connection. */
static void fail_connection(struct pool_connection *connection, const evd_error *error) {
  struct pool *pool = connection->pool;
  set_state(connection, POOL_CLOSING);
  pool->in_flight -= connection->in_flight;
  connection->in_flight = 0;
  pool->callbacks.fail(connection, error);
  close_connection(connection);
}

/* What the pool does by itself, in the order of attend(). */

/* Closes those that were lost, and those that have drained. */
static void close_finished(struct pool *pool) {
  struct pool_connection *connection;
  struct pool_connection *next;
  DL_FOREACH_SAFE (pool->connections, connection, next) {
    bool drained = connection->state == POOL_DRAINING && connection->in_flight == 0;
    bool lost = connection->state == POOL_CLOSING && !connection->close_called;
    if (drained || lost) {
      close_connection(connection);
    }
  }
}

/* Gives up on connections that take too long to be made. */
static void time_out_connecting(struct pool *pool, double now) {
  struct pool_connection *connection;
  struct pool_connection *next;
  if (pool->config.connect_timeout <= 0) {
    return;
  }
  DL_FOREACH_SAFE (pool->connections, connection, next) {
    if (connection->state == POOL_CONNECTING &&
        now - connection->born >= pool->config.connect_timeout) {
      evd_error error;
      error_set(&error, EVD_EUNAVAILABLE, "", "connecting to %s took longer than %g s",
                connection->where != NULL ? connection->where : "the server",
                pool->config.connect_timeout);
      fail_connection(connection, &error);
      note_trouble(pool, &error);
    }
  }
}

static bool is_old(const struct pool_connection *connection, double now) {
  return connection->state == POOL_READY && connection->expires_at > 0 &&
         now >= connection->expires_at;
}

static bool is_idle(const struct pool *pool, const struct pool_connection *connection, double now) {
  return connection->state == POOL_READY && connection->in_flight == 0 &&
         pool->config.idle_timeout > 0 && now - connection->idle_since >= pool->config.idle_timeout;
}

/* How many there are of `max`: ready, being made, or going for their age. */
static size_t count_of_max(const struct pool *pool) {
  size_t count = 0;
  const struct pool_connection *connection;
  DL_FOREACH (pool->connections, connection) {
    count +=
        connection->state == POOL_READY || connection->state == POOL_CONNECTING || connection->aged;
  }
  return count;
}

/* Retires the connections that are too old or idle, as long as `min` others stay; and one that is
 * too old where there is no room for another. */
static void retire_superfluous(struct pool *pool, double now) {
  struct pool_connection *connection;
  DL_FOREACH (pool->connections, connection) {
    bool old = is_old(connection, now);
    if (pool->ready > pool->config.min && (old || is_idle(pool, connection, now))) {
      set_state(connection, POOL_DRAINING);
    } else if (old && pool->ready == pool->config.max) {
      connection->aged = true;
      set_state(connection, POOL_DRAINING);
    }
  }
}

/* How many connections there should be now, those in CONNECTING included. */
static size_t wanted(const struct pool *pool, size_t connecting, size_t old) {
  if (pool->ready == 0) {
    return 1; /* a probe: when it is ready, the others follow */
  }
  if (old > 0 && pool->ready <= pool->config.min) {
    return pool->ready + 1; /* for the old one to be retired; there may be no room for it */
  }
  size_t count = pool->ready + connecting;
  if (pool->wants_more && connecting == 0 && count < pool->config.max) {
    count++;
  }
  return count > pool->config.min ? count : pool->config.min;
}

/* Begins to connect. False when that failed at once. */
static bool open_connection(struct pool *pool, double now) {
  evd_error error;
  struct pool_connection *connection = pool->callbacks.connect(pool->callbacks.owner, &error);
  if (connection == NULL) {
    note_trouble(pool, &error);
    return false;
  }
  connection->pool = pool;
  connection->state = POOL_CONNECTING;
  connection->born = now;
  DL_APPEND(pool->connections, connection);
  return true;
}

/* Opens what is missing, unless it is too early after a failure. */
static void open_missing(struct pool *pool, double now) {
  size_t connecting = 0;
  size_t old = 0;
  const struct pool_connection *connection;
  DL_FOREACH (pool->connections, connection) {
    connecting += connection->state == POOL_CONNECTING;
    old += is_old(connection, now);
  }
  if (!pool->started || pool->closing || now < pool->retry_at) {
    return;
  }
  size_t count_now = count_of_max(pool);
  size_t room = count_now < pool->config.max ? pool->config.max - count_now : 0;
  for (size_t count = wanted(pool, connecting, old); pool->ready + connecting < count && room > 0;
       connecting++, room--) {
    if (!open_connection(pool, now)) {
      return;
    }
  }
  pool->wants_more = false;
}

/*
 * Closes as pool_close() asked for. A connection that is being made may be with a library on
 * another thread, which must not outlive the program: there only an abort leaves it behind.
 */
static void close_all(struct pool *pool) {
  struct pool_connection *connection;
  struct pool_connection *next;
  evd_error error;
  error_set(&error, EVD_ECLOSED, "", "the storage was closed");
  DL_FOREACH_SAFE (pool->connections, connection, next) {
    bool connecting = connection->state == POOL_CONNECTING && !pool->config.drops;
    bool busy = connecting || connection->in_flight > 0;
    if (connection->state == POOL_CLOSING) {
      continue;
    }
    if (pool->aborting || !busy) {
      fail_connection(connection, &error);
    } else if (connection->state == POOL_READY) {
      set_state(connection, POOL_DRAINING);
    }
  }
}

/* The earliest of two moments, of which 0 is never. */
static double earliest(double a, double b) {
  return a == 0 || (b != 0 && b < a) ? b : a;
}

/* When the pool has to look at a connection again; 0 for never. */
static double next_look(const struct pool *pool, const struct pool_connection *connection,
                        double now) {
  double at = 0;
  if (connection->state == POOL_CONNECTING && pool->config.connect_timeout > 0) {
    at = connection->born + pool->config.connect_timeout;
  }
  if (connection->state == POOL_READY && connection->expires_at > now) {
    at = connection->expires_at;
  }
  if (connection->state == POOL_READY && pool->ready > pool->config.min &&
      pool->config.idle_timeout > 0) {
    double since = connection->in_flight > 0 ? now : connection->idle_since;
    at = earliest(at, since + pool->config.idle_timeout);
  }
  return at;
}

/* Sets the timer for the next thing to do after `now`, or stops it. All that was due then is done;
 * what has become due since is not, however long that took. */
static void set_timer(struct pool *pool, double now) {
  double at = pool->retry_at > now ? pool->retry_at : 0;
  const struct pool_connection *connection;
  DL_FOREACH (pool->connections, connection) {
    at = earliest(at, next_look(pool, connection, now));
  }

  if (at == 0 || !pool->started) {
    quiet_timer_stop(pool->config.loop, &pool->timer);
  } else {
    double pause = at - clock_seconds();
    quiet_timer_start(pool->config.loop, &pool->timer, pause > 0.001 ? pause : 0.001);
  }
}

/* Everything that the pool does by itself. */
static void attend(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop;
  (void)events;
  struct pool *pool = timer->data;
  double now = clock_seconds();

  close_finished(pool);
  time_out_connecting(pool, now);
  if (pool->closing) {
    close_all(pool);
    close_finished(pool);
  } else {
    retire_superfluous(pool, now);
    close_finished(pool);
    open_missing(pool, now);
  }
  hold_loop(pool);
  set_timer(pool, now);

  if (pool->closing && pool->connections == NULL && pool->started) {
    pool->started = false;
    pool->closing = false;
    hold_loop(pool);
    set_timer(pool, now);
    pool->callbacks.closed(pool->callbacks.owner);
  }
}

struct pool *pool_new(const struct pool_config *config, const struct pool_callbacks *callbacks) {
  struct pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL) {
    return NULL;
  }
  pool->config = *config;
  pool->callbacks = *callbacks;
  ev_init(&pool->timer, attend);
  pool->timer.data = pool;

  double now = clock_seconds();
  uint64_t seed = (uint64_t)(now * 1e9) ^ (uint64_t)(uintptr_t)pool;
  memcpy(pool->random, &seed, sizeof pool->random);
  return pool;
}

void pool_start(struct pool *pool) {
  pool->started = true;
  hold_loop(pool);
  wake(pool);
}

void pool_free(struct pool *pool) {
  if (pool == NULL) {
    return;
  }
  pool->started = pool->closing = false;
  hold_loop(pool);
  set_timer(pool, 0);
  ev_clear_pending(pool->config.loop, &pool->timer);
  free(pool);
}

size_t pool_capacity(const struct pool *pool) {
  size_t capacity = 0;
  const struct pool_connection *connection;
  DL_FOREACH (pool->connections, connection) {
    if (connection->state == POOL_READY && connection->in_flight < pool->config.depth) {
      capacity += pool->config.depth - connection->in_flight;
    }
  }
  return capacity;
}

/* The ready connection with the least under way; NULL when none is ready. */
static struct pool_connection *least_loaded(const struct pool *pool) {
  struct pool_connection *least = NULL;
  struct pool_connection *connection;
  DL_FOREACH (pool->connections, connection) {
    bool less = least == NULL || connection->in_flight < least->in_flight;
    if (connection->state == POOL_READY && less) {
      least = connection;
    }
  }
  return least;
}

void pool_submit(struct pool *pool, struct batch *batch) {
  struct pool_connection *connection = least_loaded(pool);
  bool queued = connection->in_flight > 0;
  connection->in_flight++;
  pool->in_flight++;
  bool full = pool_capacity(pool) == 0; /* with a depth of 1 nothing ever queues here */
  if ((queued || full) && pool->ready < pool->config.max && !pool->wants_more) {
    pool->wants_more = true;
    wake(pool);
  }
  hold_loop(pool);
  pool->callbacks.send(connection, batch);
}

void pool_batch_done(struct pool_connection *connection) {
  struct pool *pool = connection->pool;
  pool->in_flight--;
  /* It does work, and was not retired for its answer. */
  if (connection->state == POOL_READY && connection->ready_at > pool->failed_at) {
    pool->failures = 0;
  }
  if (--connection->in_flight == 0) {
    connection->idle_since = clock_seconds();
    if (connection->state == POOL_DRAINING) {
      wake(pool);
    }
  }
  hold_loop(pool);
}

void pool_connection_ready(struct pool_connection *connection) {
  struct pool *pool = connection->pool;
  double now = clock_seconds();
  connection->was_ready = true;
  connection->ready_at = now;
  connection->idle_since = now;
  if (pool->config.max_age > 0) {
    connection->expires_at = now + pool->config.max_age * jitter(pool, 0.9, 1.1);
  }
  set_state(connection, POOL_READY);
  pool->opened = true;
  pool->in_trouble = false;
  pool->retry_at = 0;
  if (pool->to_replace > 0) {
    pool->to_replace--;
    pool->reconnections++;
  }
  hold_loop(pool);
  wake(pool);
  pool->callbacks.grew(pool->callbacks.owner);
}

void pool_connection_lost(struct pool_connection *connection, const evd_error *error) {
  struct pool *pool = connection->pool;
  if (connection->state == POOL_CLOSING) {
    return;
  }
  double now = clock_seconds();
  if (connection->was_ready && now - connection->ready_at > pool->config.backoff_max) {
    pool->failures = 0; /* it was good for long */
  }
  pool->to_replace += connection->was_ready;
  pool->in_flight -= connection->in_flight;
  connection->in_flight = 0;
  set_state(connection, POOL_CLOSING);
  hold_loop(pool);
  wake(pool);
  note_trouble(pool, error);
}

void pool_connection_retire(struct pool_connection *connection) {
  if (connection->state == POOL_READY) {
    set_state(connection, POOL_DRAINING);
    back_off(connection->pool);
    wake(connection->pool);
  }
}

void pool_connection_closed(struct pool_connection *connection) {
  struct pool *pool = connection->pool;
  DL_DELETE(pool->connections, connection);
  wake(pool);
}

void pool_close(struct pool *pool, bool abort) {
  pool->closing = true;
  pool->aborting = pool->aborting || abort;
  pool->started = true; /* so that closed is called, even if nothing was ever opened */
  hold_loop(pool);
  wake(pool);
}

const evd_error *pool_trouble(const struct pool *pool) {
  return pool->in_trouble && pool->ready == 0 ? &pool->trouble : NULL;
}

void pool_stats(const struct pool *pool, struct engine_stats *stats) {
  stats->connections += pool->ready;
  const struct pool_connection *connection;
  DL_FOREACH (pool->connections, connection) {
    stats->connections += connection->state == POOL_DRAINING;
  }
  stats->reconnections += pool->reconnections;
}
