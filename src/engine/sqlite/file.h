/*
 * The file of a database: opening it, and what it means when that fails. For the engine and for the
 * migrations, so that both say the same. Blocks.
 */
#ifndef ENGINE_SQLITE_FILE_H
#define ENGINE_SQLITE_FILE_H

#include <sqlite3.h>
#include <stdbool.h>

#include <evdurable/error.h>

#include "engine/sqlite/url.h"

/* Opens the database of a URL. The file is created only if `create` is true, or where a URI says so
 * itself; EVD_ESCHEMA when it is missing. *db is NULL on failure; else the caller closes it. */
evd_code sqlite_file_open(const struct sqlite_url *url, bool create, sqlite3 **db,
                          evd_error *error);

/* Reads the file for the first time, which opening does not: what is no database, or is locked, is
 * found out here. Waits for a lock as the connection was told to. */
evd_code sqlite_file_probe(sqlite3 *db, evd_error *error);

/* For whoever may not write the file: how it can be read. */
const char *sqlite_file_reading_advice(const struct sqlite_url *url);

/* Makes an error of the functions above, or of what comes after them while a database is opened,
 * one that says what could not be opened: EVD_EUNAVAILABLE when it may be possible later. What has
 * to do with the table stays as it is. */
void sqlite_file_explain(const struct sqlite_url *url, evd_error *error);

#endif
