/* A batch as one transaction. The worker's thread only. */
#ifndef ENGINE_SQLITE_BATCHES_H
#define ENGINE_SQLITE_BATCHES_H

#include "engine/engine.h"
#include "engine/sqlite/connection.h"

/* Runs a batch and fills in its answer. Whatever fails, nothing of it is left in the database, and
 * none of its requests has an answer. */
void sqlite_batch_run(struct connection *connection, struct batch *batch);

#endif
