/* Running a prepared statement: step, time it where somebody wants to know, reset, tell errors. */
#ifndef ENGINE_SQLITE_STEPS_H
#define ENGINE_SQLITE_STEPS_H

#include <evdurable/error.h>

#include "engine/sqlite/connection.h"

/* The statement of a key; NULL with the error. */
struct statement *sqlite_step_prepare(struct connection *connection,
                                      const struct statement_key *key, evd_error *error);

/* Steps a reading statement. `result` is that of binding: if it is not SQLITE_OK, it is returned
 * without a step. */
int sqlite_step_read(struct connection *connection, struct statement *statement, int result);

/* Ends a reading statement: `result` is what sqlite_step_read() gave last, or SQLITE_OK when it is
 * left early. */
evd_code sqlite_step_end(struct connection *connection, struct statement *statement, int result,
                         evd_error *error);

/* Runs a writing statement to its end; `result` as for sqlite_step_read(). *count (may be NULL) is
 * the number of rows it touched. */
evd_code sqlite_step_write(struct connection *connection, struct statement *statement, int result,
                           int64_t *count, evd_error *error);

#endif
