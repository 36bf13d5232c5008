/* Errors of the server and of Connector/C as ours. Any thread. */
#ifndef ENGINE_MYSQL_ERRORS_H
#define ENGINE_MYSQL_ERRORS_H

#include <stdbool.h>

#include <evdurable/error.h>

#include "sql/mysql.h"

/*
 * Fills in an error from a number and a message of the server or of Connector/C. Outcome: not
 * applied; only the caller knows whether a commit was under way.
 *
 * @param table names the columns of duplicates; NULL while there is none.
 */
void mydb_errors_fill(unsigned number, const char *message, const struct mydb_table *table,
                      evd_error *error);

/* Whether the connection is of no more use: broken, ended by the server, or to one that cannot
 * serve (a Galera node outside the quorum, a server that has become read-only). */
bool mydb_errors_is_lost(unsigned number);

/* Whether such an error, as the server's answer, says that it did not begin with the statement. */
bool mydb_errors_is_refusal(unsigned number);

/* Whether it says that an index which a statement forces is not there, or hidden. */
bool mydb_errors_is_of_index(unsigned number);

/* Whether such an error can come of committing, after the statement itself has been done: by then
 * it may be applied, here or on another server. */
bool mydb_errors_is_of_commit(unsigned number);

#endif
