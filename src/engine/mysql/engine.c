/* The engine's life, and the batches that it gives to its connections. */
#include "engine/mysql/engine.h"

#include <stdlib.h>

#include "engine/mysql/connect.h"
#include "engine/mysql/session.h"
#include "model/error.h"
#include "sql/dialect.h"

/* Connector/C's limit is for each address of a name: a second one is to be reached, too. */
enum { ADDRESSES_TRIED = 2 };

/* Seconds. */
#define BACKOFF_MIN 0.05
#define BACKOFF_MAX 5.0

static struct mydb_engine *own(struct engine *engine) {
  return (struct mydb_engine *)engine;
}

static const struct mydb_engine *own_const(const struct engine *engine) {
  return (const struct mydb_engine *)engine;
}

static void free_engine(struct mydb_engine *engine) {
  pool_free(engine->pool);
  spares_free(&engine->spares);
  mydb_url_release(engine->url);
  free(engine);
}

/* The pool's callbacks. */

static void on_grew(void *owner) {
  struct mydb_engine *engine = owner;
  if (engine->state == MYDB_OPEN) {
    engine->callbacks.capacity_grew(engine->callbacks.owner);
  }
}

/* The first trouble ends the opening; later the pool goes on trying. */
static void on_trouble(void *owner, const evd_error *error) {
  struct mydb_engine *engine = owner;
  switch (engine->state) {
  case MYDB_OPENING:
    engine->state = MYDB_CLOSING;
    pool_close(engine->pool, true);
    engine->callbacks.opened(engine->callbacks.owner, error);
    break;
  case MYDB_OPEN:
    engine->callbacks.log(engine->callbacks.owner, EVD_LOG_WARNING, error->message);
    break;
  case MYDB_CLOSING: break;
  }
}

static void on_closed(void *owner) {
  struct mydb_engine *engine = owner;
  struct engine_callbacks callbacks = engine->callbacks;
  free_engine(engine);
  callbacks.closed(callbacks.owner);
}

static void on_opened(struct mydb_engine *engine, const struct mydb_table *table) {
  engine->table = *table;
  engine->state = MYDB_OPEN;
  engine->callbacks.opened(engine->callbacks.owner, NULL);
}

/* The engine's operations. */

/* One batch at a time on a connection: the protocol knows no pipelines. */
static struct pool *make_pool(struct mydb_engine *engine) {
  const struct mydb_url *url = engine->url;
  struct pool_config config = {
      .loop = engine->loop,
      .min = url->pool_min,
      .max = url->pool_max,
      .depth = 1,
      .connect_timeout = ADDRESSES_TRIED * (double)url->connect_timeout,
      .idle_timeout = url->pool_idle_timeout,
      .max_age = url->pool_max_age,
      .backoff_min = BACKOFF_MIN,
      .backoff_max = BACKOFF_MAX,
  };
  struct pool_callbacks callbacks = {
      .connect = mydb_session_connect,
      .send = mydb_session_send,
      .fail = mydb_session_fail,
      .close = mydb_session_close,
      .grew = on_grew,
      .trouble = on_trouble,
      .closed = on_closed,
      .owner = engine,
  };
  return pool_new(&config, &callbacks);
}

/* Fills in what the configuration says. */
static evd_code configure(struct mydb_engine *engine, const struct engine_config *config,
                          evd_error *error) {
  engine->state = MYDB_OPENING;
  engine->opened = on_opened;
  engine->loop = config->loop;
  engine->callbacks = config->callbacks;
  engine->schema = config->schema;
  engine->test_mode = config->test_mode;
  /* The servers know no longer time: it is as good as none. */
  engine->timeout_ms = config->timeout_ms <= UINT32_MAX ? config->timeout_ms : -1;
  evd_code code = table_name_parse(config->table, &engine->table.name, error);
  if (code != EVD_OK) {
    return code;
  }
  engine->url = mydb_url_parse(config->url, error);
  if (engine->url == NULL) {
    return error->code;
  }
  engine->answer_timeout = mydb_connect_read_timeout(engine->url, engine->timeout_ms);
  engine->write_timeout = mydb_connect_write_timeout(engine->url, engine->timeout_ms);
  if (!spares_init(&engine->spares, engine->url->pool_max)) {
    return error_set_no_memory(error);
  }
  engine->pool = make_pool(engine);
  return engine->pool != NULL ? EVD_OK : error_set_no_memory(error);
}

static struct engine *open_engine(const struct engine_config *config, evd_error *error) {
  struct mydb_engine *engine = calloc(1, sizeof *engine);
  if (engine == NULL) {
    error_set_no_memory(error);
    return NULL;
  }
  if (configure(engine, config, error) != EVD_OK) {
    free_engine(engine);
    return NULL;
  }
  pool_start(engine->pool);
  return (struct engine *)engine;
}

static size_t get_capacity(const struct engine *engine) {
  const struct mydb_engine *mysql = own_const(engine);
  return mysql->state == MYDB_OPEN ? pool_capacity(mysql->pool) : 0;
}

static void submit(struct engine *engine, struct batch *batch) {
  pool_submit(own(engine)->pool, batch);
}

static const evd_error *get_trouble(const struct engine *engine) {
  return pool_trouble(own_const(engine)->pool);
}

static void get_stats(const struct engine *engine, struct engine_stats *stats) {
  pool_stats(own_const(engine)->pool, stats);
}

static void close_engine(struct engine *engine, bool abort) {
  own(engine)->state = MYDB_CLOSING;
  pool_close(own(engine)->pool, abort);
}

const struct engine_ops engine_mysql = {
    .dialect = &dialect_mysql,
    .accepts = mydb_url_accepts,
    .open = open_engine,
    .capacity = get_capacity,
    .submit = submit,
    .trouble = get_trouble,
    .stats = get_stats,
    .close = close_engine,
};
