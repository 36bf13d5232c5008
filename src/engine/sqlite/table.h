/* The table of an SQLite database: creating it, and whether it will do. Worker's thread only. */
#ifndef ENGINE_SQLITE_TABLE_H
#define ENGINE_SQLITE_TABLE_H

#include "engine/sqlite/connection.h"

/* Does what the connection's schema mode says. EVD_ESCHEMA names what is missing. */
evd_code sqlite_table_prepare(struct connection *connection, evd_error *error);

#endif
