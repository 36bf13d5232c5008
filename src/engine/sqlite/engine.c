/*
 * The SQLite engine: one connection, owned by one worker thread. The loop's thread never calls
 * SQLite, except to interrupt it.
 *
 *   OPENING ──opened──> OPEN ──close──> CLOSING ──all batches done──> (close job) ──> freed
 *      │                                   ^
 *      ├──close────────────────────────────┤ (when the opening has ended)
 *      └──opened(error)────────────────────┘
 */
#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "async/worker.h"
#include "engine/engine.h"
#include "engine/sqlite/batches.h"
#include "engine/sqlite/connection.h"
#include "engine/sqlite/open.h"
#include "engine/sqlite/url.h"
#include "model/error.h"
#include "sql/sql.h"

/* One batch that the worker runs, and one behind it: so that the database has work while the loop
 * looks at what was done. More would only make batches smaller. */
enum { SLOTS = 2 };

/* The longest that a batch waits for another's lock at a time. */
enum { BATCH_PATIENCE_MS = 1000 };

struct sqlite_engine;

/* A batch on its way through the worker. */
struct slot {
  struct job job; /* first: the job is the slot */
  struct sqlite_engine *engine;
  struct batch *batch; /* NULL while the slot is free */
};

enum state { STATE_OPENING, STATE_OPEN, STATE_CLOSING };

struct sqlite_engine {
  /* Loop's thread. */
  struct engine_callbacks callbacks;
  struct worker *worker;
  enum state state;
  bool connected;       /* the connection is open: it may be interrupted */
  bool close_submitted; /* not any more */
  size_t under_way;     /* slots in use, and 1 for the opening */
  struct job life;      /* opens, later closes */
  evd_error open_error; /* written by the worker while `life` is its */

  /* Both: set by the loop's thread, seen by the worker's. */
  atomic_bool aborting;

  /* Worker's thread, while a job is under way. */
  struct connection connection;

  struct slot slots[SLOTS];
};

static struct sqlite_engine *from_life(struct job *job) {
  return (struct sqlite_engine *)((char *)job - offsetof(struct sqlite_engine, life));
}

/* Closing. */

static void run_close(struct job *job) {
  sqlite_connection_close(&from_life(job)->connection);
}

static void free_engine(struct sqlite_engine *engine) {
  worker_free(engine->worker);
  sqlite_url_free(&engine->connection.url);
  free(engine);
}

static void close_done(struct job *job) {
  struct sqlite_engine *engine = from_life(job);
  struct engine_callbacks callbacks = engine->callbacks;
  free_engine(engine);
  callbacks.closed(callbacks.owner);
}

/* Closes the connection when nothing uses it any more. */
static void close_if_idle(struct sqlite_engine *engine) {
  if (engine->state != STATE_CLOSING || engine->under_way > 0 || engine->close_submitted) {
    return;
  }
  engine->close_submitted = true;
  engine->life.run = run_close;
  engine->life.done = close_done;
  worker_submit(engine->worker, &engine->life);
}

/* Opening. */

static void run_open(struct job *job) {
  struct sqlite_engine *engine = from_life(job);
  sqlite_connection_open(&engine->connection, &engine->open_error);
}

/* Tells how the opening ended. The callback may close the engine, but not under our feet: the
 * opening is still under way then. */
static void open_done(struct job *job) {
  struct sqlite_engine *engine = from_life(job);
  const struct engine_callbacks *callbacks = &engine->callbacks;
  evd_error *error = &engine->open_error;

  engine->connected = error->code == EVD_OK;
  if (engine->state == STATE_CLOSING) {
    error_set(error, EVD_ECLOSED, "", "the storage was closed");
  }
  engine->state = error->code == EVD_OK ? STATE_OPEN : STATE_CLOSING;
  if (engine->connected && engine->connection.warning[0] != '\0') {
    callbacks->log(callbacks->owner, EVD_LOG_WARNING, engine->connection.warning);
  }
  callbacks->opened(callbacks->owner, error->code == EVD_OK ? NULL : error);

  engine->under_way--;
  close_if_idle(engine);
}

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* How long to wait for another's lock. A batch that waits holds up all that is behind it, reads
 * too: so it comes back soon, and the loader tries again. */
static void set_patience(struct connection *connection, int64_t timeout_ms) {
  int64_t *busy_timeout_ms = &connection->url.busy_timeout_ms;
  connection->batch_patience_ms = smaller(*busy_timeout_ms, BATCH_PATIENCE_MS);
  if (timeout_ms >= 0) {
    *busy_timeout_ms = smaller(*busy_timeout_ms, timeout_ms);
    connection->batch_patience_ms = smaller(connection->batch_patience_ms, timeout_ms / 4);
  }
}

/* Copies what the worker needs of the configuration. */
static evd_code configure(struct sqlite_engine *engine, const struct engine_config *config,
                          evd_error *error) {
  struct connection *connection = &engine->connection;
  connection->schema = config->schema;
  connection->test_mode = config->test_mode;
  connection->aborting = &engine->aborting;

  evd_code code = table_name_parse(config->table, &connection->table, error);
  if (code == EVD_OK) {
    code = table_name_check(&connection->table, &dialect_sqlite, error);
  }
  if (code == EVD_OK) {
    code = sqlite_url_parse(config->url, &connection->url, error);
  }
  if (code == EVD_OK) {
    set_patience(connection, config->timeout_ms);
  }
  return code;
}

static struct engine *sqlite_open(const struct engine_config *config, evd_error *error) {
  struct sqlite_engine *engine = calloc(1, sizeof *engine);
  if (engine == NULL) {
    error_set_no_memory(error);
    return NULL;
  }
  engine->callbacks = config->callbacks;
  atomic_init(&engine->aborting, false);
  if (configure(engine, config, error) != EVD_OK ||
      (engine->worker = worker_new(config->loop, error)) == NULL) {
    free_engine(engine);
    return NULL;
  }
  engine->life.run = run_open;
  engine->life.done = open_done;
  engine->under_way = 1;
  worker_submit(engine->worker, &engine->life);
  return (struct engine *)engine;
}

/* Batches. */

static void run_batch(struct job *job) {
  struct slot *slot = (struct slot *)job;
  sqlite_batch_run(&slot->engine->connection, slot->batch);
}

static void batch_done(struct job *job) {
  struct slot *slot = (struct slot *)job;
  struct sqlite_engine *engine = slot->engine;
  struct batch *batch = slot->batch;

  slot->batch = NULL;
  batch->done(batch);
  /* Only now: the callback may close the engine, but not under our feet. */
  engine->under_way--;
  close_if_idle(engine);
}

static size_t sqlite_capacity(const struct engine *base) {
  const struct sqlite_engine *engine = (const struct sqlite_engine *)base;
  size_t capacity = 0;
  for (size_t i = 0; engine->state == STATE_OPEN && i < SLOTS; i++) {
    capacity += engine->slots[i].batch == NULL;
  }
  return capacity;
}

static void sqlite_submit(struct engine *base, struct batch *batch) {
  struct sqlite_engine *engine = (struct sqlite_engine *)base;
  struct slot *slot = engine->slots;
  while (slot->batch != NULL) {
    slot++; /* the caller looked at the capacity */
  }
  slot->engine = engine;
  slot->batch = batch;
  slot->job.run = run_batch;
  slot->job.done = batch_done;
  engine->under_way++;
  worker_submit(engine->worker, &slot->job);
}

/* The rest of the contract. */

static const evd_error *sqlite_trouble(const struct engine *engine) {
  (void)engine; /* a file does not go away */
  return NULL;
}

static void sqlite_stats(const struct engine *base, struct engine_stats *stats) {
  const struct sqlite_engine *engine = (const struct sqlite_engine *)base;
  *stats = (struct engine_stats){.connections = engine->state == STATE_OPEN ? 1 : 0};
}

static void sqlite_close(struct engine *base, bool abort) {
  struct sqlite_engine *engine = (struct sqlite_engine *)base;
  engine->state = STATE_CLOSING;
  if (abort) {
    atomic_store(&engine->aborting, true);
    /* The worker closes the connection in the last job: until that is submitted, it is there. */
    if (engine->connected && !engine->close_submitted) {
      sqlite3_interrupt(engine->connection.db);
    }
  }
  close_if_idle(engine);
}

static bool sqlite_accepts(const char *url) {
  return sqlite_url_accepts(url);
}

const struct engine_ops engine_sqlite = {
    .dialect = &dialect_sqlite,
    .accepts = sqlite_accepts,
    .open = sqlite_open,
    .capacity = sqlite_capacity,
    .submit = sqlite_submit,
    .trouble = sqlite_trouble,
    .stats = sqlite_stats,
    .close = sqlite_close,
};
