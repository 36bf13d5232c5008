/* A statement's parameters, in PostgreSQL's binary formats. */
#ifndef POSTGRES_ENCODE_H
#define POSTGRES_ENCODE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/postgres/flight.h"
#include "sql/buffer.h"
#include "sql/postgres.h"

/* Beside two arrays of ids and two of a filter, at most all columns for an update and all for the
 * children. */
enum { ENCODER_PARAMETERS_MAX = 2 * EVD_COLUMN_COUNT + 4 };

/* The parameters of one statement, as libpq takes them. Kept from one statement to the next, for
 * its memory. */
struct encoder {
  struct buffer bytes;
  size_t offsets[ENCODER_PARAMETERS_MAX]; /* of the values in the bytes */
  int count;
  const char *values[ENCODER_PARAMETERS_MAX];
  int lengths[ENCODER_PARAMETERS_MAX];
  int formats[ENCODER_PARAMETERS_MAX]; /* all binary */
  evd_column column;                   /* that is being encoded */
  const char *refusal;                 /* what the first document has that jsonb does not take */
  evd_column refused;                  /* the column of that document */
};

/* Encodes the parameters of a step, in the order of sql/postgres.h. False if memory ran out. */
bool postgres_encode(struct encoder *encoder, const struct postgres_table *table,
                     const struct step *step);

void postgres_encoder_free(struct encoder *encoder);

#endif
