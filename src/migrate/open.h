/*
 * The migration that evd_storage_open() makes with EVD_SCHEMA_MIGRATE, before the engine opens: on
 * a worker's thread, for it blocks.
 */
#ifndef MIGRATE_OPEN_H
#define MIGRATE_OPEN_H

#include <stdbool.h>

#include <evdurable/error.h>

struct ev_loop;

/* What came of it; valid during the callback. */
struct migrated {
  const char *url; /* as they were given */
  const char *table;
  const char *steps; /* what was done, for the log; "" for nothing */
  evd_error error;
};

/* Begins. The callback comes once, from the loop, which is kept alive until then. It cannot be
 * called off: a migration half-way is no gain. EVD_OK, or the error, without a callback. */
evd_code migrate_open_start(struct ev_loop *loop, const char *url, const char *table,
                            void (*done)(const struct migrated *migrated, void *data), void *data,
                            evd_error *error);

/* Whether a URL is of a database that only its own connection sees: there is nothing to migrate in
 * it, only to create. */
bool migrate_open_is_private(const char *url);

#endif
