/*
 * What the SQL of all dialects has in common: names, literals, column lists, and the key under
 * which an engine caches a statement. Each dialect's statements are in its own file.
 *
 * Enumerations and booleans of a WHERE clause are literals in the text (they are closed sets), so
 * that planners can use partial indexes; every other value is a parameter. So the text of a
 * statement depends only on what is in its key.
 */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/error.h>

#include "model/request.h"
#include "sql/buffer.h"
#include "sql/dialect.h"

/* A table's name as the caller gave it, in its parts. */
struct table_name {
  char schema[EVD_ID_MAX]; /* "" for none */
  char name[EVD_ID_MAX];
};

/*
 * Reads "table" or "schema.table". Each part is an identifier: a letter or underscore, then
 * letters, digits, underscores or $, at most 63 bytes (48 for the table's: index names are made
 * from it). EVD_EINVAL with field "table" otherwise.
 */
evd_code table_name_parse(const char *text, struct table_name *name, evd_error *error);

/* EVD_EINVAL with field "table" when the dialect's databases have no such schema: those of SQLite
 * have "main", and others only as long as a connection lives. */
evd_code table_name_check(const struct table_name *name, const struct dialect *dialect,
                          evd_error *error);

/* The table, quoted: "schema"."table" or `schema`.`table`. */
void sql_table(struct buffer *buffer, const struct dialect *dialect, const struct table_name *name);

/* A table's names, quoted. */
struct quoted_table {
  char schema[EVD_ID_MAX + 3]; /* with a dot after it; "" for none */
  char bare[EVD_ID_MAX + 2];   /* without the schema */
  char whole[2 * EVD_ID_MAX + 5];
};

struct quoted_table sql_quote_table(const struct dialect *dialect, const struct table_name *name);

/* A column or another single identifier, quoted where the dialect needs it. */
void sql_identifier(struct buffer *buffer, const struct dialect *dialect, const char *name);

/* A boolean literal: true or false, 1 or 0. */
void sql_bool(struct buffer *buffer, const struct dialect *dialect, bool value);

/* All columns, comma-separated, in the order of the column table; `prefix` (e.g. "t.") before
 * each. */
void sql_columns(struct buffer *buffer, const char *prefix);

/* What a statement's text depends on. Compare and hash it as bytes: it is zeroed before it is
 * filled in and has no padding. */
struct statement_key {
  uint64_t set;   /* columns set and not unset */
  uint64_t unset; /* columns unset */
  uint64_t add;   /* of the columns set, those that a number is added to; a sum that does not fit
                     is cut off, for a row with one must not be in the way of others */
  uint32_t rows;  /* rows in the statement where the text depends on it; else 0 */
  uint8_t operation;
  uint8_t part; /* which statement of the operation, by the dialect; 0 first */
  uint8_t filter_status;
  uint8_t filter_is_sleeping_task; /* evd_maybe */
  uint8_t filter_is_finished;      /* evd_maybe */
  uint8_t filter_owner;            /* FILTER_EXECUTOR_ID, FILTER_STARTED_AT: parameters */
  uint8_t status;
  uint8_t ocfp_status;
  uint8_t close_status;
  uint8_t flag;
  uint8_t attempts_left; /* evd_maybe */
  uint8_t by_tasks;      /* enum by_tasks */
};

/* How a claim chooses among tasks. */
enum by_tasks {
  BY_TASKS_ANY,
  BY_TASKS_FILTER, /* by a condition on each row that is due */
  BY_TASKS_INDEX   /* claim_by_start_at: task by task, by the index on task_id and start_at */
};

/* What of a filter is a parameter, in this order. */
enum { FILTER_EXECUTOR_ID = 1, FILTER_STARTED_AT = 2 };

/* The key of a request's statement. */
struct statement_key statement_key(const struct request *request, uint8_t part, uint32_t rows);

/* What sql_selection() has for parameters, in this order. (The task ids of a claim come after
 * `before`; see selection_writer.) */
enum selection_parameter {
  SELECTION_ID,            /* claim_by_cancellation, update_by_parent: the request's id */
  SELECTION_BEFORE,        /* claim_by_start_at, expiries: the request's `before` */
  SELECTION_EXTRA_ATTEMPTS /* expire_by_expires_at, where key.attempts_left has a value */
};

/* How the dialect, or the table, writes what sql_selection() leaves to it. */
struct selection_writer {
  void (*parameter)(struct buffer *buffer, enum selection_parameter parameter, void *data);
  void *data;
  /* The condition that the row's task_id is one of the request's. */
  void (*task_ids)(struct buffer *buffer, void *data);
  const char *max_attempts; /* the integer maxAttempts of the row's retry_options; 0 where there is
                               none. Must not fail, whatever the column holds. */
};

/*
 * The condition by which claims, expiries, update_by_parent and close_finished select, without
 * "where", e.g. "status = 'ready' and start_at < ?". And the column by which it is ordered
 * (EVD_COLUMN_COUNT where there is no order: update_by_parent).
 */
void sql_selection(struct buffer *buffer, const struct dialect *dialect,
                   const struct statement_key *key, const struct selection_writer *writer);
evd_column sql_selection_order(evd_operation operation);

#endif
