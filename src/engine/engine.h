/*
 * The engine contract: what the loader needs of a database, and all that it knows of it.
 *
 * An engine takes batches, each of requests of one operation, and answers each batch once. It knows
 * no futures, no queues, no retries. All functions here are called on the loop's thread and return
 * at once; all callbacks come on the loop's thread, never from within a call into the engine.
 *
 * States of an engine:
 *
 *   engine_open ──> OPENING ──opened(NULL)──> OPEN ──close──> CLOSING ──closed──> (freed)
 *                      └──────opened(error), closed──> (freed)
 *
 * A batch is atomic in failure: either every request of it was applied and has its answer, or its
 * error says what happened and nothing of the batch was applied (outcome NOT_APPLIED), or nobody
 * knows (UNKNOWN, then for the whole batch). It need not be one transaction when it succeeds
 * (unrelated requests may commit apart), but one request always is.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/error.h>
#include <evdurable/schema.h>
#include <evdurable/storage.h>

#include "model/request.h"

struct ev_loop;
struct dialect;
struct engine;
struct batch;

/* Rows that a claim has updated, but that cannot be read: somebody else wrote values that no
 * execution can have, or that the database cannot send. They are in no answer; the loader gives
 * them back. */
struct left_out {
  size_t count;
  evd_error why; /* of the first of them; its message names the execution */
  struct left_out_row {
    struct left_out_row *next;
    char id[]; /* flexible */
  } * rows;    /* without memory for one, it is only counted: it stays claimed until it expires */
};

/* Notes a row, and why. Any thread that owns the batch. */
void left_out_add(struct left_out *left_out, const char *id, const evd_error *why);

/* Adds all of one to another: there are none in it after. */
void left_out_move(struct left_out *to, struct left_out *from);

/* Frees the rows: there are none after. */
void left_out_free(struct left_out *left_out);

/* A statement that a batch ran, kept for the log when somebody wants to see queries. */
struct query_record {
  struct query_record *next;
  double duration_ms;
  char sql[]; /* flexible */
};

/* Several requests on their way through an engine. Made and freed by the loader. */
struct batch {
  struct batch *next; /* for whoever holds it: one list at a time */
  evd_operation operation;
  size_t count;
  struct request **requests; /* in the order of submission; ids of updates by id are distinct */
  bool record_queries;       /* the loader wants query_records */

  /* Called by the engine when the batch is answered, which belongs to the loader again. The loop's
   * thread. */
  void (*done)(struct batch *batch);

  /* The answer. error.code EVD_OK: each request has its own. */
  evd_error error;
  struct left_out left_out;     /* of a claim that succeeded; begins as zero */
  struct query_record *queries; /* in the order they were run; the loader frees them */
};

/* Notes a statement of a batch if somebody wants to see it. Any thread that owns the batch. */
void batch_record_query(struct batch *batch, const char *sql, double duration_ms);

/* Forgets the answers of all requests of a batch. Any thread that owns the batch. */
void batch_clear_answers(struct batch *batch);

/* What the engine tells its owner. */
struct engine_callbacks {
  /* Opening ended: NULL, or why it failed (the engine then closes itself: closed follows). */
  void (*opened)(void *owner, const evd_error *error);
  /* capacity() has risen for a reason other than a batch done, e.g. a connection is ready. */
  void (*capacity_grew)(void *owner);
  /* Something to tell people, at a level up to EVD_LOG_INFO. */
  void (*log)(void *owner, evd_log_level level, const char *message);
  /* Everything is closed and freed; the last callback. */
  void (*closed)(void *owner);
  void *owner;
};

struct engine_config {
  struct ev_loop *loop;
  const char *url;   /* whole, scheme included */
  const char *table; /* never NULL; the engine checks and quotes it */
  evd_schema_mode schema;
  bool test_mode;     /* deletions delete */
  int64_t timeout_ms; /* of an operation; -1 is none: for statement time-outs */
  struct engine_callbacks callbacks;
};

/* What an engine counts itself. */
struct engine_stats {
  uint64_t connections;
  uint64_t reconnections;
};

struct engine_ops {
  const struct dialect *dialect; /* has the engine's name */

  /* Whether one row that the database cannot send fails a claim, for it claims and returns rows in
   * one statement; so it takes claims of `ids_only`. */
  bool claims_ids;

  /* Whether a URL is this engine's (by its scheme). */
  bool (*accepts)(const char *url);

  /* Begins to open. NULL with the error when that fails at once (bad URL, no memory). All strings
   * of the config are copied. */
  struct engine *(*open)(const struct engine_config *config, evd_error *error);

  /* How many more batches it would take now. Batches past that wait in the loader, where they
   * grow. 0 while there is no connection. */
  size_t (*capacity)(const struct engine *engine);

  /* Takes a batch; its done() follows, always. Only with capacity. */
  void (*submit)(struct engine *engine, struct batch *batch);

  /* Why there is no connection now; NULL when all is well. For the message of a time-out. */
  const evd_error *(*trouble)(const struct engine *engine);

  void (*stats)(const struct engine *engine, struct engine_stats *stats);

  /* Closes: batches under way are finished first, or (abort) ended as fast as may be, each with
   * done(). May be called a second time, with abort. closed follows. */
  void (*close)(struct engine *engine, bool abort);
};

/* The first member of every engine's own struct. */
extern const struct engine_ops engine_sqlite, engine_postgres, engine_mysql;

/* The engine for this URL; NULL with the error when there is none or it was not built in. */
const struct engine_ops *engine_for_url(const char *url, evd_error *error);

#endif
