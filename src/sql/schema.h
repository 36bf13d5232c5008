/*
 * The table and its indexes, for all dialects: how they are made, and what a table must have.
 * Own shape: execution_id is the primary key, JSON is JSON, enumerations are constrained. The
 * framework's shape: as its TypeScript package makes it.
 */
#ifndef SQL_SCHEMA_H
#define SQL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/error.h>
#include <evdurable/execution.h>

#include "sql/buffer.h"
#include "sql/sql.h"

/* The number of the newest migration: the version of the schema that this library makes. A
 * column (model/columns.h) and an index say which migration adds them; what version n makes
 * never changes. */
enum { SCHEMA_VERSION = 2 };

enum { INDEX_COLUMNS_MAX = 4, INDEX_TERMS_MAX = 3 };

/* What a partial index demands of one column. The terms read as they stand in the queries, which is
 * how a planner knows that the index serves them. */
struct index_term {
  enum index_term_kind {
    INDEX_TERM_END, /* no further terms */
    INDEX_TERM_EQUALS,
    INDEX_TERM_TRUE,
    INDEX_TERM_ZERO,
    INDEX_TERM_NOT_NULL
  } kind;
  evd_column column;
  const char *text; /* of INDEX_TERM_EQUALS */
};

/* An index. In a dialect that has no partial ones, the columns of its terms (but NOT_NULL) come
 * before its own. */
struct index_definition {
  int since;          /* the migration that adds it */
  const char *suffix; /* of its name, after the table's */
  bool unique;
  size_t column_count;
  evd_column columns[INDEX_COLUMNS_MAX];
  struct index_term terms[INDEX_TERMS_MAX];
};

/* The suffixes of the index for claims by tasks, which a table may lack that was made before. */
#define INDEX_BY_TASK "by_task"
#define INDEX_STATUS_TASK_START_AT "status_task_id_start_at"

/* The indexes of a shape, beside the primary key. Static. */
const struct index_definition *schema_indexes(bool framework_shape, size_t *count);

/* Appends "create table if not exists ..." as a version had it, without ";", the indexes in it
 * where the dialect has no "create index if not exists". */
void schema_create_table(struct buffer *buffer, const struct dialect *dialect,
                         const struct table_name *table, bool framework_shape, int version);

/* Appends "alter table ... add column ..." without ";". A column that may not be NULL and has no
 * default gets one where the dialect demands it: there must be no rows. */
void schema_add_column(struct buffer *buffer, const struct dialect *dialect,
                       const struct table_name *table, bool framework_shape, evd_column column);

/* The type of a column's values in a shape: "text". */
const char *schema_type(const struct dialect *dialect, bool framework_shape, enum column_type type);

/* Appends a column as "create table" has it: "name type", "not null" where it is so, and the
 * default of one that the first version had not, for libraries that do not know it. */
void schema_column(struct buffer *buffer, const struct dialect *dialect, bool framework_shape,
                   evd_column column);

/* Appends "create [unique] index ..." without ";". `concurrently`: without blocking writers, where
 * the dialect can. */
void schema_create_index(struct buffer *buffer, const struct dialect *dialect,
                         const struct table_name *table, bool framework_shape,
                         const struct index_definition *index, bool concurrently);

/* Appends an index's columns as the dialect has them, "a, b". */
void schema_index_columns(struct buffer *buffer, const struct dialect *dialect,
                          const struct index_definition *index);

/* Appends an index's name (or, with the suffix "<column>_check", a constraint's): the table's name,
 * "_" and the suffix, "ix_" before it in the framework's shape, not quoted. A name past 63 bytes is
 * shortened in the table's part, with a hash of the whole, so that it stays unique. */
void schema_index_name(struct buffer *buffer, const struct table_name *table, bool framework_shape,
                       const char *suffix);

/* EVD_ESCHEMA: there is no such table; the message says how to create it. Always that code. */
evd_code schema_error_no_table(const struct table_name *table, evd_error *error);

/* EVD_OK when the bits of all columns are in `present`, else EVD_ESCHEMA: the field is the first
 * column that is missing, the message names them all (as many as fit) and says how to migrate. */
evd_code schema_check_columns(const struct table_name *table, uint64_t present, evd_error *error);

#endif
