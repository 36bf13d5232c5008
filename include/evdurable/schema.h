/**
 * @file schema.h
 * The SQL that makes the table.
 */
#ifndef EVDURABLE_SCHEMA_H
#define EVDURABLE_SCHEMA_H

#include <evdurable/error.h>
#include <evdurable/export.h>

EVD_BEGIN_DECLS

/** How the schema is made; all zero is the default. */
typedef struct evd_schema_options {
  const char *table;       /**< NULL is "task_executions"; may be "schema.table". */
  bool framework_shape;    /**< As the TypeScript package makes it, for tables that it must read:
                             an extra id, input and outputs as text. */
  bool strict_transitions; /**< A trigger refuses to change the status of a finished execution:
                                the caller gets EVD_ECONSTRAINT. docs/operations.md has its cost. */
  bool concurrently;       /**< PostgreSQL: indexes are built without blocking who writes; then
                                the statements cannot run in a transaction. Others: no effect. */
} evd_schema_options;

/**
 * The statements that create the table and its indexes where they are missing, each ended by ";\n".
 * (In MySQL's trigger there is a ";" within a statement.)
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
