/* A statement's result, in binary, into the answers of the requests that it served. */
#ifndef POSTGRES_DECODE_H
#define POSTGRES_DECODE_H

#include <libpq-fe.h>

#include <evdurable/error.h>

#include "engine/postgres/flight.h"
#include "sql/postgres.h"

/*
 * Decodes rows from *row on, some at a time, so that the loop is not held up; moves *row on. Is
 * called again until *row is the number of rows (at least once). The result must be a success.
 */
evd_code postgres_decode(const struct postgres_table *table, const struct step *step,
                         const PGresult *result, int *row, evd_error *error);

#endif
