/* Which column an error is about, where MySQL does not say. */
#ifndef ENGINE_MYSQL_BLAME_H
#define ENGINE_MYSQL_BLAME_H

#include "engine/engine.h"

/* Names the column of a batch's first JSON document that is what this error says: nested too deeply
 * (3157), or with a key that is too long (3151). Leaves other errors, and those that have a field,
 * as they are. */
void mydb_blame(unsigned number, const struct batch *batch, evd_error *error);

/* Names the longest text of a batch of one request, which no packet holds. */
void mydb_blame_longest(const struct batch *batch, evd_error *error);

#endif
