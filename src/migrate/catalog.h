/*
 * What a database has under a table's name: its columns, its indexes, its trigger.
 */
#ifndef MIGRATE_CATALOG_H
#define MIGRATE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

#include <evdurable/execution.h>

#include "migrate/client.h"
#include "sql/schema.h"
#include "sql/sql.h"

enum { CATALOG_INDEX_COLUMNS = 8, CATALOG_NAME_SIZE = 65 * 4, CATALOG_TYPE_SIZE = 64 };

/* What has a name. */
enum catalog_kind {
  CATALOG_NOTHING,
  CATALOG_TABLE,
  CATALOG_OTHER /* a view, or what else keeps a table from having the name */
};

struct catalog_column {
  bool present;
  bool not_null;
  char type[CATALOG_TYPE_SIZE]; /* as the database names it, in lower case */
};

struct catalog_index {
  struct catalog_index *next;
  bool unique;
  bool valid;   /* whole, and of whole columns */
  bool partial; /* it has a predicate */
  size_t column_count;
  evd_column columns[CATALOG_INDEX_COLUMNS]; /* EVD_COLUMN_COUNT: none of ours */
  char name[CATALOG_NAME_SIZE];
};

/* Owns its indexes. */
struct catalog {
  const struct dialect *dialect;
  bool exists;
  bool is_other;        /* it does not, and cannot: CATALOG_OTHER */
  bool framework_shape; /* it has a key column beside ours: id */
  bool has_rows;
  bool strict; /* the trigger of sql/strict.h is there */
  struct catalog_column columns[EVD_COLUMN_COUNT];
  char
      foreign[CATALOG_TYPE_SIZE]; /* a column, not ours, that an insert would have to fill; or "" */
  struct catalog_index *indexes;
  bool failed; /* memory ran out */
};

/* Reads it; a table that is not there is no error. */
evd_code catalog_read(struct sql_client *client, const struct table_name *table,
                      struct catalog *catalog, evd_error *error);

void catalog_free(struct catalog *catalog);

/* Finds out what has this name. */
evd_code catalog_find(struct sql_client *client, const struct table_name *table,
                      enum catalog_kind *kind, evd_error *error);

/* The index of this name; NULL when there is none. */
const struct catalog_index *catalog_find_index(const struct catalog *catalog, const char *name);

/* Whether an index is just what the definition says: its columns in that order, and a predicate
 * only where the definition has one. */
bool catalog_index_matches(const struct catalog *catalog, const struct catalog_index *index,
                           const struct index_definition *definition);

/* Whether some index does the same work: a whole one that begins with the columns that the
 * definition's queries compare with "=", in any order, and goes on with the one they order by. */
bool catalog_is_served(const struct catalog *catalog, const struct index_definition *definition);

/* Whether the database itself keeps execution_id unique. */
bool catalog_has_unique_id(const struct catalog *catalog);

#endif
