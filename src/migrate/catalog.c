/* Reads what a table has, from the database's own catalog. */
#include "migrate/catalog.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "model/columns.h"
#include "model/error.h"
#include "sql/strict.h"

/* Runs one of the queries about a table. */
static evd_code ask(struct sql_client *client, const char *sql, const struct table_name *table,
                    const char *last, sql_row row, void *data, evd_error *error) {
  const char *const parameters[] = {table->schema, table->name, last};
  return sql_client_query(client, sql, parameters, row, data, error);
}

static bool note_row(const char *const *values, void *data) {
  (void)values;
  *(bool *)data = true;
  return false;
}

static bool is_true(const char *value) {
  return value != NULL && strcmp(value, "1") == 0;
}

static bool note_kind(const char *const *values, void *data) {
  *(enum catalog_kind *)data = is_true(values[0]) ? CATALOG_TABLE : CATALOG_OTHER;
  return false;
}

evd_code catalog_find(struct sql_client *client, const struct table_name *table,
                      enum catalog_kind *kind, evd_error *error) {
  *kind = CATALOG_NOTHING;
  return ask(client, sql_client_dialect(client)->catalog.table, table, NULL, note_kind, kind,
             error);
}

static bool add_column(const char *const *values, void *data) {
  struct catalog *catalog = data;
  evd_column column = column_from_name(values[0]);
  if (column != EVD_COLUMN_COUNT) {
    struct catalog_column *found = &catalog->columns[column];
    found->present = true;
    found->not_null = is_true(values[2]);
    snprintf(found->type, sizeof found->type, "%s", values[1] != NULL ? values[1] : "");
    for (char *c = found->type; *c != '\0'; c++) {
      *c = (char)tolower((unsigned char)*c);
    }
  } else if (strcmp(values[0], "id") == 0) {
    catalog->framework_shape = true;
  } else if (is_true(values[2]) && !is_true(values[3])) {
    snprintf(catalog->foreign, sizeof catalog->foreign, "%s", values[0]);
  }
  return true;
}

/* Reads "a,b,c". */
static void read_index_columns(struct catalog_index *index, const char *names) {
  while (names != NULL && *names != '\0' && index->column_count < CATALOG_INDEX_COLUMNS) {
    char name[CATALOG_NAME_SIZE];
    size_t length = strcspn(names, ",");
    snprintf(name, sizeof name, "%.*s", (int)length, names);
    index->columns[index->column_count++] = column_from_name(name);
    names += length + (names[length] == ',');
  }
}

static bool add_index(const char *const *values, void *data) {
  struct catalog *catalog = data;
  struct catalog_index *index = calloc(1, sizeof *index);
  if (index == NULL) {
    catalog->failed = true;
    return false;
  }
  snprintf(index->name, sizeof index->name, "%s", values[0]);
  index->unique = is_true(values[1]);
  index->valid = is_true(values[2]);
  index->partial = values[3] != NULL;
  read_index_columns(index, values[4]);
  LL_PREPEND(catalog->indexes, index);
  return true;
}

/* Whether the table has any row. */
static evd_code read_rows(struct sql_client *client, const struct table_name *table,
                          struct catalog *catalog, evd_error *error) {
  struct buffer sql = {0};
  buffer_append(&sql, "select 1 from ");
  sql_table(&sql, catalog->dialect, table);
  buffer_append(&sql, " limit 1");
  evd_code code =
      sql.failed ? error_set_no_memory(error)
                 : sql_client_query(client, sql.text, NULL, note_row, &catalog->has_rows, error);
  buffer_free(&sql);
  return code;
}

static evd_code read_trigger(struct sql_client *client, const struct table_name *table,
                             struct catalog *catalog, evd_error *error) {
  struct buffer name = {0};
  strict_name(&name, table);
  evd_code code = name.failed ? error_set_no_memory(error)
                              : ask(client, catalog->dialect->catalog.trigger, table, name.text,
                                    note_row, &catalog->strict, error);
  buffer_free(&name);
  return code;
}

evd_code catalog_read(struct sql_client *client, const struct table_name *table,
                      struct catalog *catalog, evd_error *error) {
  *catalog = (struct catalog){.dialect = sql_client_dialect(client)};
  const struct catalog_queries *all = &catalog->dialect->catalog;
  enum catalog_kind kind;
  evd_code code = catalog_find(client, table, &kind, error);
  catalog->exists = kind == CATALOG_TABLE;
  catalog->is_other = kind == CATALOG_OTHER;
  if (code != EVD_OK || !catalog->exists) {
    return code;
  }
  code = ask(client, all->columns, table, NULL, add_column, catalog, error);
  if (code == EVD_OK) {
    code = ask(client, all->indexes, table, NULL, add_index, catalog, error);
  }
  if (code == EVD_OK) {
    code = read_trigger(client, table, catalog, error);
  }
  if (code == EVD_OK) {
    code = read_rows(client, table, catalog, error);
  }
  if (code == EVD_OK && catalog->failed) {
    code = error_set_no_memory(error);
  }
  if (code != EVD_OK) {
    catalog_free(catalog);
  }
  return code;
}

void catalog_free(struct catalog *catalog) {
  struct catalog_index *index;
  struct catalog_index *next;
  LL_FOREACH_SAFE (catalog->indexes, index, next) {
    free(index);
  }
  catalog->indexes = NULL;
}

const struct catalog_index *catalog_find_index(const struct catalog *catalog, const char *name) {
  const struct catalog_index *index;
  LL_FOREACH (catalog->indexes, index) {
    if (strcmp(index->name, name) == 0) {
      return index;
    }
  }
  return NULL;
}

/* The columns that a definition compares with "=": its terms', and its own but the last. */
static size_t equal_columns(const struct index_definition *definition, evd_column *equal) {
  size_t count = 0;
  for (size_t i = 0; i < INDEX_TERMS_MAX; i++) {
    enum index_term_kind kind = definition->terms[i].kind;
    if (kind != INDEX_TERM_END && kind != INDEX_TERM_NOT_NULL) {
      equal[count++] = definition->terms[i].column;
    }
  }
  for (size_t i = 0; i + 1 < definition->column_count; i++) {
    equal[count++] = definition->columns[i];
  }
  return count;
}

bool catalog_index_matches(const struct catalog *catalog, const struct catalog_index *index,
                           const struct index_definition *definition) {
  evd_column wanted[INDEX_TERMS_MAX + INDEX_COLUMNS_MAX];
  size_t count = 0;
  bool has_terms = definition->terms[0].kind != INDEX_TERM_END;
  for (size_t i = 0; !catalog->dialect->has_partial_indexes && i < INDEX_TERMS_MAX; i++) {
    enum index_term_kind kind = definition->terms[i].kind;
    if (kind != INDEX_TERM_END && kind != INDEX_TERM_NOT_NULL) {
      wanted[count++] = definition->terms[i].column;
    }
  }
  for (size_t i = 0; i < definition->column_count; i++) {
    wanted[count++] = definition->columns[i];
  }
  return index->valid && (index->unique || !definition->unique) &&
         index->partial == (has_terms && catalog->dialect->has_partial_indexes) &&
         index->column_count == count &&
         memcmp(index->columns, wanted, count * sizeof wanted[0]) == 0;
}

/* Whether one index does the work of a definition; see catalog_is_served(). */
static bool serves(const struct catalog_index *index, const struct index_definition *definition) {
  evd_column equal[INDEX_TERMS_MAX + INDEX_COLUMNS_MAX];
  size_t count = equal_columns(definition, equal);
  evd_column last = definition->columns[definition->column_count - 1];
  if (!index->valid || index->partial || index->column_count <= count ||
      index->columns[count] != last ||
      (definition->unique && (!index->unique || index->column_count != 1))) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    bool found = false;
    for (size_t j = 0; j < count; j++) {
      found = found || index->columns[j] == equal[i];
    }
    if (!found) {
      return false;
    }
  }
  return true;
}

bool catalog_is_served(const struct catalog *catalog, const struct index_definition *definition) {
  const struct catalog_index *index;
  LL_FOREACH (catalog->indexes, index) {
    if (serves(index, definition)) {
      return true;
    }
  }
  return false;
}

bool catalog_has_unique_id(const struct catalog *catalog) {
  const struct catalog_index *index;
  LL_FOREACH (catalog->indexes, index) {
    if (index->valid && index->unique && !index->partial && index->column_count == 1 &&
        index->columns[0] == evd_column_execution_id) {
      return true;
    }
  }
  return false;
}
