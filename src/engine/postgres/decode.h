/* A statement's result, in binary, into the answers of the requests that it served. */
#ifndef POSTGRES_DECODE_H
#define POSTGRES_DECODE_H

#include <stdbool.h>

#include <libpq-fe.h>

#include <evdurable/error.h>

#include "engine/engine.h"
#include "engine/postgres/flight.h"
#include "sql/postgres.h"

/* How far a result is decoded. It begins as zero, with the result. */
struct decoding {
  PGresult *result;          /* a success; NULL when there is none */
  int row;                   /* the next of its rows */
  bool is_unsorted;          /* of a claim: the rows so far are not in its order */
  struct left_out *left_out; /* of the batch */
};

/*
 * Decodes the next rows, some at a time, so that the loop is not held up. Is called again until
 * postgres_is_decoded() (at least once).
 *
 * A row with a value that cannot be is an error; but a claim, which has happened already, leaves it
 * out, so that the others are not lost with it.
 */
evd_code postgres_decode(const struct postgres_table *table, const struct step *step,
                         struct decoding *decoding, evd_error *error);

bool postgres_is_decoded(const struct decoding *decoding);

#endif
