/* The table: made if that is asked for, and read as it is, when a storage is opened. Blocks:
 * on a worker's thread only. */
#ifndef ENGINE_MYSQL_INSPECT_H
#define ENGINE_MYSQL_INSPECT_H

#include <mysql.h>

#include <evdurable/error.h>
#include <evdurable/schema.h>
#include <evdurable/storage.h>

#include "sql/mysql.h"

/*
 * Creates the table (EVD_SCHEMA_CREATE) and finds out what struct mydb_table says.
 *
 * @param table with its name filled in.
 * @return EVD_ESCHEMA when the table is missing or unfit, with the field "table" or the column's
 *         name (with EVD_SCHEMA_SKIP, EVD_OK: where it is missing, it is stale); or the error of
 *         the database.
 */
evd_code mydb_inspect(MYSQL *mysql, evd_schema_mode mode, struct mydb_table *table,
                      evd_error *error);

#endif
