/* SQLite's result codes as errors of ours. */
#ifndef ENGINE_SQLITE_ERRORS_H
#define ENGINE_SQLITE_ERRORS_H

#include <sqlite3.h>

#include <evdurable/error.h>

/* Fills in the error from an (extended) result code and the connection's message. `doing` is what
 * failed, for people: "insert". Outcome: not applied. Returns the code. */
evd_code sqlite_error_set(evd_error *error, sqlite3 *db, int result, const char *doing);

/* A result code's name, e.g. "SQLITE_FULL"; that of its primary code where it has none of its own.
 * Static. */
const char *sqlite_error_name(int result);

#endif
