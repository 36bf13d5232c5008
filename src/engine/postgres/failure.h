/* What an error of the database means to a caller. */
#ifndef POSTGRES_FAILURE_H
#define POSTGRES_FAILURE_H

#include <stdbool.h>

#include <libpq-fe.h>

#include <evdurable/error.h>

#include "sql/sql.h"

/* What the connection has to do about an error, beside answering with it. */
enum failure_remedy {
  FAILURE_NO_REMEDY,
  FAILURE_PREPARE_ANEW, /* the server's prepared statements are not those that we think */
  FAILURE_RECONNECT     /* the server takes no writes any more, or is going away */
};

/* Fills in the error of a result that is a failure, as of what was not applied. `key` is that of
 * the statement, NULL when it is none. */
enum failure_remedy postgres_failure_read(const PGresult *result, const struct statement_key *key,
                                          evd_error *error);

/* Whether a transaction that was sent whole, and failed so, may have been committed all the same:
 * its commit was interrupted; or a pooler that lost the server says so in the server's place. */
bool postgres_failure_is_unclear(const PGresult *result, bool at_commit);

/* Whether a statement failed for an id that the database's character set does not have: no row can
 * have it. All statements that look rows up by ids have these as their first parameter. */
bool postgres_failure_is_of_foreign_id(const PGresult *result, evd_operation operation);

/* The error of a connection that broke: why, as libpq says. */
void postgres_failure_of_connection(const PGconn *pg, const char *where, evd_error *error);

#endif
