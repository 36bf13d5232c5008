/* Opens and closes storages, and gives their statistics. */
#include "storage.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

#include "async/timer.h"
#include "migrate/open.h"
#include "model/error.h"
#include "sql/dialect.h"

/* The defaults of evd_options; storage.h of the interface names them. */
enum { BATCH_MAX_REQUESTS = 128 };
#define BATCH_MAX_BYTES (4u << 20)
enum { PENDING_MAX_REQUESTS = 100000 };
#define PENDING_MAX_BYTES (256u << 20)
enum { OPERATION_TIMEOUT_MS = 30000 };
enum { RETRIES = 10 };

static size_t size_or(size_t value, size_t standard) {
  return value > 0 ? value : standard;
}

/* How often a batch may be sent in all. */
static int attempts_of(int retries) {
  if (retries < 0) {
    return 1;
  }
  return 1 + (retries == 0 ? RETRIES : retries < INT_MAX ? retries : INT_MAX - 1);
}

static struct limits limits_of(const evd_options *options) {
  int64_t timeout = options->operation_timeout_ms;
  return (struct limits){
      .batch_requests = size_or(options->batch_max_requests, BATCH_MAX_REQUESTS),
      .batch_bytes = size_or(options->batch_max_bytes, BATCH_MAX_BYTES),
      .pending_requests = size_or(options->pending_max_requests, PENDING_MAX_REQUESTS),
      .pending_bytes = size_or(options->pending_max_bytes, PENDING_MAX_BYTES),
      .timeout_ms = timeout == 0 ? OPERATION_TIMEOUT_MS : timeout,
      .attempts = attempts_of(options->conflict_retries_max),
  };
}

static evd_code check_options(const evd_options *options, evd_error *error) {
  if (options->schema < EVD_SCHEMA_CHECK || options->schema > EVD_SCHEMA_MIGRATE) {
    return error_set(error, EVD_EINVAL, "schema", "schema is not an evd_schema_mode");
  }
  if (options->operation_timeout_ms < -1) {
    return error_set(error, EVD_EINVAL, "operation_timeout_ms",
                     "operation_timeout_ms is negative; -1 is no time-out");
  }
  if (options->conflict_retries_max < -1) {
    return error_set(error, EVD_EINVAL, "conflict_retries_max",
                     "conflict_retries_max is negative; -1 is no retry");
  }
  if (options->log_level < 0 || options->log_level > EVD_LOG_QUERY) {
    return error_set(error, EVD_EINVAL, "log_level", "log_level is not an evd_log_level");
  }
  return EVD_OK;
}

static void storage_free(evd_storage *storage) {
  if (storage == NULL) {
    return;
  }
  loader_free(storage->loader);
  if (storage->reactor != NULL) {
    reactor_release(storage->reactor);
  }
  free(storage);
}

static void let_go(void *owned) {
  storage_free(owned);
}

/* What the engine tells us. */

static void when_opened(void *owner, const evd_error *error) {
  evd_storage *storage = owner;
  evd_future *opening = storage->opening;
  storage->opening = NULL;
  if (error != NULL) {
    if (opening != NULL) {
      future_fail(opening, error);
    }
    return; /* the engine closes itself */
  }
  if (opening != NULL && future_is_observed(opening)) {
    loader_start(storage->loader, storage->ops, storage->engine);
    future_succeed(opening, &(struct result){.kind = RESULT_STORAGE, .storage = storage});
    return;
  }
  if (opening != NULL) {
    future_succeed(opening, &(struct result){.kind = RESULT_NOTHING});
  }
  storage->ops->close(storage->engine, false); /* nobody is there to close it */
}

static void when_capacity_grew(void *owner) {
  evd_storage *storage = owner;
  loader_capacity_grew(storage->loader);
}

static void when_told(void *owner, evd_log_level level, const char *message) {
  evd_storage *storage = owner;
  log_message(&storage->log, level, "%s", message);
}

/* The storage goes with the future of its closing: the program may use it until it knows that this
 * one is finished, which it may see in its callback only, behind others that have been queued
 * meanwhile. */
static void end(struct deferred *ending) {
  evd_storage *storage = (evd_storage *)((char *)ending - offsetof(evd_storage, ending));
  if (storage->closing != NULL) {
    future_succeed(storage->closing,
                   &(struct result){.kind = RESULT_NOTHING, .owned = storage, .let_go = let_go});
  } else {
    storage_free(storage);
  }
}

/* Callbacks of operations may still wait for their turn: the end comes behind them. */
static void when_closed(void *owner) {
  evd_storage *storage = owner;
  ev_timer_stop(storage->reactor->loop, &storage->drain);
  storage->engine = NULL;
  loader_stop(storage->loader);
  storage->ending.run = end;
  reactor_defer(storage->reactor, &storage->ending);
}

/* Opening. */

static evd_storage *storage_new(struct ev_loop *loop, const evd_options *options) {
  evd_storage *storage = calloc(1, sizeof *storage);
  if (storage == NULL) {
    return NULL;
  }
  struct limits limits = limits_of(options);
  storage->test_mode = options->test_mode;
  storage->log = (struct log){.callback = options->log,
                              .data = options->log_data,
                              .level = options->log_level ? options->log_level : EVD_LOG_WARNING};
  storage->reactor = reactor_new(loop);
  storage->loader =
      storage->reactor != NULL ? loader_new(storage->reactor, &limits, &storage->log) : NULL;
  storage->opening = storage->loader != NULL ? future_new(storage->reactor) : NULL;
  if (storage->opening == NULL) {
    storage_free(storage);
    return NULL;
  }
  return storage;
}

static evd_code open_engine(evd_storage *storage, const char *url, const char *table,
                            evd_schema_mode schema, evd_error *error) {
  struct engine_config config = {
      .loop = storage->reactor->loop,
      .url = url,
      .table = table,
      .schema = schema,
      .test_mode = storage->test_mode,
      .timeout_ms = loader_timeout_ms(storage->loader),
      .callbacks = {.opened = when_opened,
                    .capacity_grew = when_capacity_grew,
                    .log = when_told,
                    .closed = when_closed,
                    .owner = storage},
  };
  storage->engine = storage->ops->open(&config, error);
  return storage->engine != NULL ? EVD_OK : error->code;
}

/* The table is up to date, or cannot be brought there: the engine opens, or nothing does. */
static void when_migrated(const struct migrated *migrated, void *data) {
  evd_storage *storage = data;
  evd_error error = migrated->error;
  if (migrated->steps[0] != '\0') {
    log_message(&storage->log, EVD_LOG_INFO, "migrated table %s: %s", migrated->table,
                migrated->steps);
  }
  if (storage->opening != NULL && error.code == EVD_OK) {
    open_engine(storage, migrated->url, migrated->table, EVD_SCHEMA_CHECK, &error);
  }
  if (storage->engine == NULL) {
    if (storage->opening != NULL) { /* else it was cancelled */
      future_fail(storage->opening, &error);
    }
    storage_free(storage);
  }
}

static evd_code begin_opening(evd_storage *storage, const char *url, const evd_options *options,
                              evd_error *error) {
  const char *table = options->table != NULL ? options->table : "task_executions";
  if (url == NULL) {
    return error_set(error, EVD_EINVAL, "url", "url is NULL");
  }
  if (check_options(options, error) != EVD_OK) {
    return error->code;
  }
  storage->changes_table =
      options->schema == EVD_SCHEMA_CREATE || options->schema == EVD_SCHEMA_MIGRATE;
  storage->ops = engine_for_url(url, error);
  if (storage->ops == NULL) {
    return error->code;
  }
  if (options->schema != EVD_SCHEMA_MIGRATE) {
    return open_engine(storage, url, table, options->schema, error);
  }
  if (migrate_open_is_private(url)) {
    return open_engine(storage, url, table, EVD_SCHEMA_CREATE, error);
  }
  return migrate_open_start(storage->reactor->loop, url, table, when_migrated, storage, error);
}

static evd_outcome cancel_opening(evd_future *future, void *maker) {
  (void)future;
  evd_storage *storage = maker;
  storage->opening = NULL;
  if (storage->engine != NULL) { /* else when_migrated() sees it: a migration goes on to its end */
    storage->ops->close(storage->engine, true);
  }
  return storage->changes_table ? EVD_OUTCOME_UNKNOWN : EVD_OUTCOME_NOT_APPLIED;
}

evd_future *evd_storage_open(struct ev_loop *loop, const char *url, const evd_options *options) {
  static const evd_options defaults = {.table = NULL};
  evd_storage *storage = storage_new(loop, options != NULL ? options : &defaults);
  if (storage == NULL) {
    return NULL;
  }
  evd_future *future = storage->opening;
  evd_error error;
  if (begin_opening(storage, url, options != NULL ? options : &defaults, &error) != EVD_OK) {
    future_fail(future, &error);
    storage_free(storage);
    return future;
  }
  future_set_maker(future, cancel_opening, storage);
  return future;
}

/* Closing. */

static evd_outcome cancel_closing(evd_future *future, void *maker) {
  (void)future;
  evd_storage *storage = maker;
  storage->closing = NULL; /* it is closed all the same */
  return EVD_OUTCOME_UNKNOWN;
}

static void when_emptied(void *owner) {
  evd_storage *storage = owner;
  storage->ops->close(storage->engine, false);
}

static void when_aborted(void *owner) {
  evd_storage *storage = owner;
  storage->ops->close(storage->engine, true);
}

static void abort_pending(evd_storage *storage) {
  evd_error error;
  error_set(&error, EVD_ECLOSED, "", "the storage was closed before the operation was sent");
  loader_abort(storage->loader, &error, when_aborted, storage);
}

static void end_drain(struct ev_loop *loop, ev_timer *drain, int events) {
  (void)loop;
  (void)events;
  abort_pending(drain->data);
}

evd_future *evd_storage_close(evd_storage *storage, int64_t drain_ms) {
  if (storage == NULL) {
    return NULL;
  }
  struct reactor *reactor = storage->reactor;
  evd_future *future = future_new(reactor);
  if (future == NULL) {
    return NULL;
  }
  if (loader_is_refusing(storage->loader)) {
    evd_error error;
    error_set(&error, EVD_EMISUSE, "", "the storage is closing already");
    future_fail(future, &error);
    return future;
  }
  future_set_maker(future, cancel_closing, storage);
  storage->closing = future;
  if (drain_ms == 0) {
    abort_pending(storage);
    return future;
  }
  loader_drain(storage->loader, when_emptied, storage);
  if (drain_ms > 0) {
    ev_init(&storage->drain, end_drain);
    storage->drain.data = storage;
    timer_start(reactor->loop, &storage->drain, (double)drain_ms / 1000, 0.);
  }
  return future;
}

/* Looking. */

const char *evd_storage_engine(const evd_storage *storage) {
  return storage->ops->dialect->name;
}

void evd_storage_stats(const evd_storage *storage, evd_stats *stats) {
  struct engine_stats engine = {0};
  loader_stats(storage->loader, stats);
  if (storage->engine != NULL) {
    storage->ops->stats(storage->engine, &engine);
  }
  stats->connections = engine.connections;
  stats->reconnections = engine.reconnections;
}
