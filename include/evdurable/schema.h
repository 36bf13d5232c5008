/**
 * @file schema.h
 * SQL that other programs run: to create the table, and to insert into it.
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

/**
 * The statement with which any program, in any language, inserts executions on a connection of its
 * own and in a transaction of its own: the task is enqueued exactly if what it belongs to is
 * committed. It has one parameter ($1 in PostgreSQL, else ?): a JSON array of executions, as
 * evd_executions_to_json() writes it.
 *
 * Keys that are not given have the column's default, or what evd_execution_init() writes; only
 * taskId and executionId are needed. Other keys are ignored. The database checks what its columns
 * and constraints check, and no more: check values by evd_executions_to_json(). The statement fails
 * as a whole; a used execution_id or sleeping_task_unique_id violates the unique key. It does not
 * change as long as the table has the same version.
 *
 * @param engine  "sqlite", "postgres" (14 or later) or "mysql" (MySQL 8, MariaDB 10.6 or later).
 * @param options the table and its shape (framework_shape); may be NULL.
 * @param error   filled in on failure (EVD_EINVAL: engine, table); may be NULL.
 * @return text without ";", to be released with free(), or NULL.
 */
EVD_API char *evd_insert_sql(const char *engine, const evd_schema_options *options,
                             evd_error *error);

EVD_END_DECLS

#endif
