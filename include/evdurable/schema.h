/**
 * @file schema.h
 * The SQL that creates the table.
 */
#ifndef EVDURABLE_SCHEMA_H
#define EVDURABLE_SCHEMA_H

#include <evdurable/error.h>
#include <evdurable/export.h>

EVD_BEGIN_DECLS

/** How to create the schema; all zero is the default. */
typedef struct evd_schema_options {
  const char *table;       /**< NULL is "task_executions"; may be "schema.table". */
  bool framework_shape;    /**< Create the table as the TypeScript package does, for tables that
                             it must read: an extra id, input and outputs as text. */
  bool strict_transitions; /**< Add a trigger that refuses to change the status of a finished
                                execution (EVD_ECONSTRAINT). For its cost, see
                                docs/operations.md. */
  bool concurrently;       /**< PostgreSQL: build indexes without blocking writers. The statements
                                then cannot run in a transaction. No effect elsewhere. */
} evd_schema_options;

/**
 * The statements that create the table and its indexes if they are missing, each ending in ";\n".
 * (The statement that creates MySQL's trigger contains a ";".)
 *
 * @param engine  "sqlite", "postgres" or "mysql".
 * @param options may be NULL.
 * @param error   filled in on failure (EVD_EINVAL: engine, table); may be NULL.
 * @return text to be released with free(), or NULL.
 */
EVD_API char *evd_schema_sql(const char *engine, const evd_schema_options *options,
                             evd_error *error);

EVD_END_DECLS

#endif
