/*
 * A batch on its way: the statements that it takes.
 *
 * Requests that differ only in their values share a statement; those of a batch are brought
 * together by the statement they need, and then by id, so that rows are locked in one order by all.
 */
#ifndef POSTGRES_FLIGHT_H
#define POSTGRES_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"
#include "sql/sql.h"

struct postgres_table;

/* A row to insert. */
struct flight_row {
  const evd_execution *execution;
  const char *updated_id; /* of the row that it is a child of; with updates */
};

/* One statement of a flight. */
struct step {
  struct statement_key key;
  struct request **requests; /* those that it serves, ordered by id: a part of the flight's */
  size_t count;
  const struct flight_row *rows; /* that it inserts */
  size_t row_count;
  double sent_at;
};

/* Owned by a connection. */
struct flight {
  struct flight *prev, *next; /* the connection's list */
  struct batch *batch;
  struct request **requests; /* all, ordered by statement */
  struct flight_row *rows;   /* all that are inserted */
  size_t row_count;
  size_t rows_planned; /* of an insertion: those that are in steps */
  struct step *steps;
  size_t step_count; /* steps planned */
  size_t sent;       /* steps that were sent */
  size_t answered;   /* steps that were answered */
  bool synced;       /* all was sent, with a sync: the outcome is the server's */
};

/* A flight for the batch; NULL if memory ran out. */
struct flight *postgres_flight_new(const struct postgres_table *table, struct batch *batch);

/* Whether there is a step to be sent. */
bool postgres_flight_has_step(const struct flight *flight);

/* The step that is to be sent next, which now counts as sent. An insertion's steps are planned
 * here, one by one: it may have many rows. NULL if memory ran out. */
const struct step *postgres_flight_next_step(struct flight *flight);

/* The step that was last to be sent is not, nor is any other. */
void postgres_flight_give_up(struct flight *flight);

/* Frees it, not the batch. */
void postgres_flight_free(struct flight *flight);

#endif
