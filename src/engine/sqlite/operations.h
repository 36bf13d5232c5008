/* What the operations do in SQLite. The worker's thread only. */
#ifndef ENGINE_SQLITE_OPERATIONS_H
#define ENGINE_SQLITE_OPERATIONS_H

#include <evdurable/error.h>

#include "engine/sqlite/connection.h"
#include "model/request.h"

/* Runs one request within the present transaction and fills in its answer. On failure what it has
 * done so far is still in the transaction, and statements may be under way: roll back. */
evd_code sqlite_operation_run(struct connection *connection, struct request *request,
                              evd_error *error);

#endif
