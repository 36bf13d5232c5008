/* The engine's life, and the primary and the replica that it connects to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "async/clock.h"
#include "async/worker.h"
#include "engine/postgres/postgres.h"
#include "model/error.h"
#include "sql/postgres.h"

/* How long the replica is passed over after a failure, in seconds. */
#define SHUN_TIME 1.0

/* Pauses between attempts to connect, in seconds. */
#define BACKOFF_MIN 0.05
#define BACKOFF_MAX 5.0

static void postgres_free(struct postgres *postgres);
static void on_opened(struct postgres *postgres, const evd_error *error);

static void tell(struct postgres *postgres, evd_log_level level, const char *message) {
  postgres->callbacks.log(postgres->callbacks.owner, level, message);
}

/* The pools' callbacks. */

static struct pool_connection *source_connect(void *owner, evd_error *error) {
  struct connection *connection = postgres_connection_new(owner);
  if (connection == NULL) {
    error_set_no_memory(error);
    return NULL;
  }
  return &connection->pooled;
}

static void source_grew(void *owner) {
  struct source *source = owner;
  struct postgres *postgres = source->postgres;
  if (postgres->state == POSTGRES_OPEN) {
    postgres->callbacks.capacity_grew(postgres->callbacks.owner);
  }
}

static void source_trouble(void *owner, const evd_error *error) {
  struct source *source = owner;
  struct postgres *postgres = source->postgres;
  if (postgres->state == POSTGRES_OPENING) {
    on_opened(postgres, error);
    return;
  }
  char message[sizeof error->message + 32];
  snprintf(message, sizeof message, "%s%s", source == &postgres->replica ? "replica: " : "",
           error->message);
  tell(postgres, EVD_LOG_WARNING, message);
}

static void source_closed(void *owner) {
  struct source *source = owner;
  struct postgres *postgres = source->postgres;
  pool_free(source->pool);
  source->pool = NULL;
  if (postgres->primary.pool == NULL && postgres->replica.pool == NULL) {
    struct engine_callbacks callbacks = postgres->callbacks;
    postgres_free(postgres);
    callbacks.closed(callbacks.owner);
  }
}

/* The connections' callback. */
static void shun_replica(struct source *replica, struct batch *batch) {
  replica->shunned_until = clock_seconds() + SHUN_TIME;
  tell(replica->postgres, EVD_LOG_WARNING, "a read failed on the replica; the primary takes over");
  batch->error.code = EVD_EUNAVAILABLE;
  batch->error.retryable = true;
}

/* Opening. */

/* What the server is told to end a statement after; it takes no more than 31 bits, 24 days. */
static int64_t statement_timeout(const struct postgres_url *url, int64_t timeout_ms) {
  if (url->statement_timeout_ms >= 0) {
    return url->statement_timeout_ms;
  }
  return timeout_ms < 0 ? 0 : timeout_ms < INT32_MAX ? timeout_ms : INT32_MAX;
}

/* The settings of a session. Behind a pooler (prepare=off) a session is not ours to set. */
static char *session_settings(const struct postgres_url *url, int64_t timeout_ms) {
  struct buffer settings = {0};
  if (url->prepare) {
    int64_t timeout = statement_timeout(url, timeout_ms);
    for (const char *const *setting = postgres_planner_settings; *setting != NULL; setting++) {
      buffer_printf(&settings, "-c %s ", *setting);
    }
    buffer_printf(&settings, "-c statement_timeout=%lld -c lock_timeout=%lld", (long long)timeout,
                  (long long)url->lock_timeout_ms);
    const char *isolation = url->isolation != NULL ? url->isolation : "read committed";
    buffer_append(&settings, " -c default_transaction_isolation=");
    for (; *isolation != '\0'; isolation++) {
      buffer_printf(&settings, *isolation == ' ' ? "\\%c" : "%c", *isolation);
    }
  }
  return buffer_take(&settings);
}

static struct pool *make_pool(struct source *source) {
  const struct postgres_url *url = &source->url;
  struct pool_config config = {
      .loop = source->postgres->loop,
      .min = (size_t)url->pool_min,
      .max = (size_t)url->pool_max,
      .depth = (size_t)url->pipeline_depth,
      .idle_timeout = (double)url->pool_idle_timeout,
      .max_age = (double)url->pool_max_age,
      .backoff_min = BACKOFF_MIN,
      .backoff_max = BACKOFF_MAX,
      .optional = source == &source->postgres->replica,
      .drops = true,
  };
  struct pool_callbacks callbacks = {
      .connect = source_connect,
      .send = postgres_connection_send,
      .fail = postgres_link_fail,
      .close = postgres_connection_close,
      .grew = source_grew,
      .trouble = source_trouble,
      .closed = source_closed,
      .owner = source,
  };
  return pool_new(&config, &callbacks);
}

/* Makes ready what is needed to connect to a URL. */
static evd_code init_source(struct source *source, struct postgres *postgres, const char *url,
                            const struct table_name *table, evd_error *error) {
  source->postgres = postgres;
  postgres_table_init(&source->table, table);
  evd_code code = postgres_url_parse(url, &source->url, error);
  if (code != EVD_OK) {
    return code;
  }
  source->session = session_settings(&source->url, postgres->timeout_ms);
  source->worker = worker_new(postgres->loop, error);
  if (source->worker == NULL) {
    return error != NULL ? error->code : EVD_ENOMEM;
  }
  bool ok = source->session != NULL && spares_init(&source->spares, (size_t)source->url.pool_max);
  source->pool = ok ? make_pool(source) : NULL;
  return source->pool != NULL ? EVD_OK : error_set_no_memory(error);
}

static void free_source(struct source *source) {
  pool_free(source->pool);
  worker_free(source->worker);
  spares_free(&source->spares);
  free(source->session);
  postgres_url_free(&source->url);
}

static void postgres_free(struct postgres *postgres) {
  free_source(&postgres->primary);
  free_source(&postgres->replica);
  buffer_free(&postgres->sql);
  postgres_encoder_free(&postgres->encoder);
  free(postgres);
}

/* Everything but the pools' start. */
static evd_code init(struct postgres *postgres, const struct engine_config *config,
                     evd_error *error) {
  struct table_name name;
  evd_code code = table_name_parse(config->table, &name, error);
  if (code != EVD_OK) {
    return code;
  }
  code = init_source(&postgres->primary, postgres, config->url, &name, error);
  const char *replica = postgres->primary.url.replica;
  if (code == EVD_OK && replica != NULL) {
    code = init_source(&postgres->replica, postgres, replica, &name, error);
  }
  return code;
}

static struct engine *open_engine(const struct engine_config *config, evd_error *error) {
  struct postgres *postgres = calloc(1, sizeof *postgres);
  if (postgres == NULL) {
    error_set_no_memory(error);
    return NULL;
  }
  postgres->loop = config->loop;
  postgres->callbacks = config->callbacks;
  postgres->schema_mode = config->schema;
  postgres->timeout_ms = config->timeout_ms;
  postgres->opened = on_opened;
  postgres->shun = shun_replica;
  if (init(postgres, config, error) != EVD_OK) {
    postgres_free(postgres);
    return NULL;
  }
  pool_start(postgres->primary.pool);
  return (struct engine *)postgres;
}

static void close_engine(struct engine *engine, bool abort) {
  struct postgres *postgres = (struct postgres *)engine;
  postgres->state = POSTGRES_CLOSING;
  if (postgres->replica.pool != NULL) {
    pool_close(postgres->replica.pool, abort);
  }
  if (postgres->primary.pool != NULL) {
    pool_close(postgres->primary.pool, abort);
  }
}

static void on_opened(struct postgres *postgres, const evd_error *error) {
  if (postgres->state != POSTGRES_OPENING) {
    return;
  }
  if (error != NULL) {
    close_engine((struct engine *)postgres, true);
  } else {
    postgres->state = POSTGRES_OPEN;
    postgres->replica.table = postgres->primary.table;
    if (postgres->replica.pool != NULL) {
      pool_start(postgres->replica.pool);
    }
  }
  postgres->callbacks.opened(postgres->callbacks.owner, error);
}

/* Batches. */

static bool replica_is_fit(const struct postgres *postgres) {
  const struct source *replica = &postgres->replica;
  return replica->pool != NULL && pool_capacity(replica->pool) > 0 &&
         (replica->shunned_until == 0 || clock_seconds() >= replica->shunned_until);
}

static void submit(struct engine *engine, struct batch *batch) {
  struct postgres *postgres = (struct postgres *)engine;
  bool to_replica = operation_is_read(batch->operation) && replica_is_fit(postgres);
  pool_submit(to_replica ? postgres->replica.pool : postgres->primary.pool, batch);
}

static size_t capacity(const struct engine *engine) {
  const struct postgres *postgres = (const struct postgres *)engine;
  return postgres->state == POSTGRES_OPEN ? pool_capacity(postgres->primary.pool) : 0;
}

static const evd_error *trouble(const struct engine *engine) {
  const struct postgres *postgres = (const struct postgres *)engine;
  return postgres->primary.pool != NULL ? pool_trouble(postgres->primary.pool) : NULL;
}

static void stats(const struct engine *engine, struct engine_stats *figures) {
  const struct postgres *postgres = (const struct postgres *)engine;
  *figures = (struct engine_stats){0};
  if (postgres->primary.pool != NULL) {
    pool_stats(postgres->primary.pool, figures);
  }
  if (postgres->replica.pool != NULL) {
    pool_stats(postgres->replica.pool, figures);
  }
}

const struct engine_ops engine_postgres = {
    .dialect = &dialect_postgres,
    .claims_ids = true,
    .accepts = postgres_url_accepts,
    .open = open_engine,
    .capacity = capacity,
    .submit = submit,
    .trouble = trouble,
    .stats = stats,
    .close = close_engine,
};
