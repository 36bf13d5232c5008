/* The opening of a connection. The worker's thread only. */
#ifndef ENGINE_SQLITE_OPEN_H
#define ENGINE_SQLITE_OPEN_H

#include "engine/sqlite/connection.h"

/* Opens the database and looks at the table (creates it, where the schema mode says so). On failure
 * everything is closed again. */
evd_code sqlite_connection_open(struct connection *connection, evd_error *error);

#endif
