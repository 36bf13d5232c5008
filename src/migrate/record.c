/* The list of migrations, and the table that records them. */
#include "migrate/record.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "migrate/catalog.h"
#include "model/error.h"
#include "sql/schema.h"

/* The migrations by number, from 1, and the version of the library that brought each. */
static const struct {
  const char *name;
  const char *version;
} known[] = {
    {"table_and_indexes", "0.1.0"},
    {"index_by_task", "0.2.0"},
};

_Static_assert(sizeof known / sizeof known[0] == SCHEMA_VERSION, "each migration has a name");

const char *record_migration_name(int number) {
  return known[number - 1].name;
}

/* Writing. */

static struct table_name record_name(const struct table_name *table) {
  struct table_name name = *table;
  snprintf(name.name, sizeof name.name, "%.48s_migrations", table->name);
  return name;
}

void record_append_table(struct buffer *buffer, const struct dialect *dialect,
                         const struct table_name *table) {
  struct table_name record = record_name(table);
  const char *text = dialect->types[COLUMN_ID];
  buffer_append(buffer, "create table if not exists ");
  sql_table(buffer, dialect, &record);
  buffer_printf(buffer,
                " (\n  number integer primary key,\n  name %s not null,\n"
                "  applied_at bigint not null,\n  version %s not null\n)%s;\n",
                text, text, dialect->framework_options);
}

void record_append(struct buffer *buffer, int number, const char *version,
                   const struct dialect *dialect, const struct table_name *table) {
  struct table_name record = record_name(table);
  buffer_printf(buffer, "%s ", dialect->insert_missing);
  sql_table(buffer, dialect, &record);
  buffer_printf(buffer, " (number, name, applied_at, version)\n  values (%d, '%s', %s, '%s')%s;\n",
                number, known[number - 1].name, dialect->now,
                version != NULL ? version : known[number - 1].version, dialect->on_duplicate);
}

/* Reading. */

struct reading {
  struct record *record;
  bool unfit; /* a row is of no migration */
};

/* A number as a database prints it. */
static bool read_number(const char *text, int64_t *number) {
  char *end;
  errno = 0;
  *number = text != NULL ? strtoll(text, &end, 10) : 0;
  return text != NULL && end > text && *end == '\0' && errno == 0;
}

/* The migration with this number; one of a later library is added. NULL when there are too many. */
static struct migration *find_or_add(struct record *record, int number, const char *name) {
  for (size_t i = 0; i < record->count; i++) {
    if (record->migrations[i].number == number) {
      return &record->migrations[i];
    }
  }
  if (record->count == RECORD_MIGRATIONS_MAX) {
    return NULL;
  }
  struct migration *migration = &record->migrations[record->count++];
  *migration = (struct migration){.number = number};
  snprintf(migration->name, sizeof migration->name, "%s", name);
  return migration;
}

/* Takes a row of the record. The table may be another's, or have been made without "not null". */
static bool take_row(const char *const *values, void *data) {
  struct reading *reading = data;
  const char *name = values[1];
  const char *version = values[3];
  int64_t number;
  int64_t applied_at;
  if (!read_number(values[0], &number) || number < 1 || number > INT_MAX || name == NULL ||
      !read_number(values[2], &applied_at) || version == NULL) {
    reading->unfit = true;
    return false;
  }
  struct migration *migration = find_or_add(reading->record, (int)number, name);
  if (migration == NULL) {
    return false;
  }
  migration->applied = true;
  migration->applied_at = applied_at;
  snprintf(migration->version, sizeof migration->version, "%s", version);
  return true;
}

/* Says that a table with the record's name is none. */
static evd_code refuse(const struct table_name *name, const char *why, evd_error *error) {
  return error_set(error, EVD_ESCHEMA, "table",
                   "%s%s%s is not evdurable's record of migrations (%.128s); rename it, or use "
                   "another name for the table of executions",
                   name->schema, name->schema[0] != '\0' ? "." : "", name->name, why);
}

static evd_code read_rows(struct sql_client *client, const struct table_name *name,
                          struct record *record, evd_error *error) {
  struct reading reading = {.record = record};
  struct buffer sql = {0};
  buffer_append(&sql, "select number, name, applied_at, version from ");
  sql_table(&sql, sql_client_dialect(client), name);
  buffer_append(&sql, " order by number");
  evd_code code = sql.failed ? error_set_no_memory(error)
                             : sql_client_query(client, sql.text, NULL, take_row, &reading, error);
  buffer_free(&sql);
  if (code == EVD_ESCHEMA) {
    evd_error cause = *error;
    return refuse(name, cause.message, error);
  }
  if (code == EVD_OK && reading.unfit) {
    return refuse(name, "a row is not a migration", error);
  }
  return code;
}

/* Looks for a record that the catalog does not show: only the refusal to read it tells. */
static evd_code look_for_hidden(struct sql_client *client, const struct table_name *name,
                                evd_error *error) {
  const struct dialect *dialect = sql_client_dialect(client);
  if (!dialect->hides_tables) {
    return EVD_OK;
  }
  struct buffer sql = {0};
  buffer_append(&sql, "select 1 from ");
  sql_table(&sql, dialect, name);
  buffer_append(&sql, " limit 0");
  evd_code code =
      sql.failed ? error_set_no_memory(error) : sql_client_execute(client, sql.text, error);
  buffer_free(&sql);
  return code == EVD_ESCHEMA ? EVD_OK : code;
}

/* Begins with what this library knows, of which nothing is applied. */
static void begin(struct record *record) {
  *record = (struct record){.count = SCHEMA_VERSION};
  for (int number = 1; number <= SCHEMA_VERSION; number++) {
    struct migration *migration = &record->migrations[number - 1];
    *migration = (struct migration){.number = number, .known = true};
    snprintf(migration->name, sizeof migration->name, "%s", known[number - 1].name);
  }
}

/* Notes that the record may be there, but may not be read. */
static void note_unread(struct record *record) {
  for (size_t i = 0; i < record->count; i++) {
    record->migrations[i].unread = true;
  }
}

evd_code record_read(struct sql_client *client, const struct table_name *table,
                     struct record *record, evd_error *error) {
  begin(record);
  if (table_name_check(table, sql_client_dialect(client), error) != EVD_OK) {
    return error->code;
  }
  struct table_name name = record_name(table);
  enum catalog_kind kind;
  evd_code code = catalog_find(client, &name, &kind, error);
  if (code == EVD_OK && kind == CATALOG_OTHER) {
    code = refuse(&name, "it is not a table", error);
  } else if (code == EVD_OK && kind == CATALOG_TABLE) {
    code = read_rows(client, &name, record, error);
  } else if (code == EVD_OK) {
    code = look_for_hidden(client, &name, error);
  }
  if (code != EVD_OK && sql_client_is_denied(client, error)) {
    note_unread(record);
    code = EVD_OK;
  }
  return code;
}

bool record_is_complete(const struct record *record) {
  for (int i = 0; i < SCHEMA_VERSION; i++) {
    if (!record->migrations[i].applied && !record->migrations[i].unread) {
      return false;
    }
  }
  return true;
}
