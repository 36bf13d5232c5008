/* Creates the table when a connection is set up, and checks its columns. */
#include "sql/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/postgres/postgres.h"
#include "model/columns.h"
#include "model/error.h"

enum { OLDEST_SERVER = 140000 };

/* Processes that create the schema at once would get in each other's way: the second waits. */
static const char lock_sql[] =
    "select pg_advisory_xact_lock(hashtext('evdurable'), hashtext($1::text))";

/* One row for each column, with what may keep us from using it, and whether there is one of the
 * indexes for claims by tasks (a format: their names, quoted). A domain counts as its base. An
 * index of those rows only where the column is not null makes it unique, too, but is no key. */
static const char columns_sql[] =
    "select a.attname, coalesce(nullif(y.typbasetype, 0), a.atttypid)::integer, "
    "a.attnotnull and not a.atthasdef and a.attidentity = '' and a.attgenerated = '', "
    "exists (select from pg_catalog.pg_index as i where i.indrelid = a.attrelid and i.indisunique "
    "and i.indisvalid and i.indexprs is null and i.indnkeyatts = 1 and i.indkey[0] = a.attnum "
    "and (i.indpred is null or (not a.attnotnull and pg_catalog.pg_get_expr(i.indpred, i.indrelid) "
    "= pg_catalog.format('(%%I IS NOT NULL)', a.attname)))), y.typname, "
    "exists (select from pg_catalog.pg_index as i join pg_catalog.pg_class as c on c.oid = "
    "i.indexrelid where i.indrelid = a.attrelid and i.indisvalid and c.relname in ('%s')) "
    "from pg_catalog.pg_attribute as a join pg_catalog.pg_type as y on y.oid = a.atttypid "
    "where a.attrelid = pg_catalog.to_regclass($1::text) and a.attnum > 0 and not a.attisdropped";

enum {
  FIELD_NAME,
  FIELD_TYPE,
  FIELD_MUST_BE_GIVEN,
  FIELD_UNIQUE,
  FIELD_TYPE_NAME,
  FIELD_HAS_TASK_INDEX /* the same in each row */
};

/* Whether the table or one of its indexes is missing; the names of these and their number follow.
 * What is there needs no privilege to make it. */
static const char lacks_sql[] =
    "select (select count(*) from pg_catalog.pg_index as i join pg_catalog.pg_class as c "
    "on c.oid = i.indexrelid where i.indrelid = pg_catalog.to_regclass($1::text) "
    "and c.relname in (";

static bool field_bool(const PGresult *result, int row, int field) {
  return PQgetvalue(result, row, field)[0] != 0;
}

static void send_sync(struct connection *connection, enum expected_kind kind) {
  postgres_wire_sync(&connection->wire, &(struct expected){.kind = kind});
}

/* Gives what follows in its transaction the time that it should have, where that of an operation is
 * shorter. */
static void send_patience(struct connection *connection) {
  static const char sql[] = "select pg_catalog.set_config('statement_timeout', $1::text, true)";
  const struct postgres_url *url = &connection->source->url;
  int64_t timeout_ms = connection->postgres->timeout_ms;
  char text[16];
  if (url->prepare && url->statement_timeout_ms < 0 && timeout_ms > 0 &&
      timeout_ms < SCHEMA_TIME_MS) {
    snprintf(text, sizeof text, "%d", SCHEMA_TIME_MS);
    postgres_wire_query_text(&connection->wire, &(struct expected){.kind = EXPECT_CREATION}, sql,
                             text);
  }
}

/* Sends a statement of the table's making; if memory runs out, gives the connection up. */
static void send_made(struct connection *connection, const struct buffer *sql) {
  if (sql->failed) {
    postgres_wire_break(&connection->wire);
  } else {
    postgres_wire_query(&connection->wire, &(struct expected){.kind = EXPECT_CREATION}, sql->text,
                        NULL);
  }
}

/* Asks whether there is anything to make. */
static void send_look(struct connection *connection, const char *table) {
  size_t count;
  const struct index_definition *indexes = schema_indexes(false, &count);
  struct buffer sql = {0};
  buffer_append(&sql, lacks_sql);
  for (size_t i = 0; i < count; i++) {
    buffer_append(&sql, i == 0 ? "'" : ", '");
    schema_index_name(&sql, &connection->source->table.name, false, indexes[i].suffix);
    buffer_append(&sql, "'");
  }
  buffer_printf(&sql, ")) < %zu", count);
  if (sql.failed) {
    postgres_wire_break(&connection->wire);
  } else {
    send_patience(connection);
    postgres_wire_query_text(&connection->wire, &(struct expected){.kind = EXPECT_LACKS}, sql.text,
                             table);
    send_sync(connection, EXPECT_LACKS_SYNC);
  }
  buffer_free(&sql);
}

/* Sends what makes the table and its indexes. It is a transaction of its own, so that the columns
 * are asked for whatever becomes of it, and, if it had to wait for another process that made them,
 * as they are after that at any level of isolation. */
static void send_creation(struct connection *connection, const char *table) {
  const struct table_name *name = &connection->source->table.name;
  size_t count;
  const struct index_definition *indexes = schema_indexes(false, &count);
  struct buffer sql = {0};
  schema_create_table(&sql, &dialect_postgres, name, false, SCHEMA_VERSION);
  send_patience(connection);
  postgres_wire_query_text(&connection->wire, &(struct expected){.kind = EXPECT_CREATION}, lock_sql,
                           table);
  send_made(connection, &sql);
  for (size_t i = 0; i < count; i++) {
    buffer_reset(&sql);
    schema_create_index(&sql, &dialect_postgres, name, false, &indexes[i], false);
    send_made(connection, &sql);
  }
  buffer_free(&sql);
  send_sync(connection, EXPECT_CREATION_SYNC);
}

static void send_columns(struct connection *connection, const char *table) {
  const struct table_name *name = &connection->source->table.name;
  struct buffer names = {0};
  struct buffer sql = {0};
  schema_index_name(&names, name, false, INDEX_BY_TASK);
  buffer_append(&names, "', '");
  schema_index_name(&names, name, true, INDEX_STATUS_TASK_START_AT);
  buffer_printf(&sql, columns_sql, names.failed ? "" : names.text);
  if (names.failed || sql.failed) {
    postgres_wire_break(&connection->wire);
  } else {
    send_patience(connection);
    postgres_wire_query_text(&connection->wire, &(struct expected){.kind = EXPECT_COLUMNS},
                             sql.text, table);
    send_sync(connection, EXPECT_COLUMNS_SYNC);
  }
  buffer_free(&names);
  buffer_free(&sql);
}

/* Sends something about the table, whose quoted name it is given. */
static void send_about_table(struct connection *connection,
                             void (*send)(struct connection *connection, const char *table)) {
  struct buffer table = {0};
  sql_table(&table, &dialect_postgres, &connection->source->table.name);
  if (table.failed) {
    postgres_wire_break(&connection->wire);
  } else {
    send(connection, table.text);
  }
  buffer_free(&table);
}

void postgres_schema_send(struct connection *connection) {
  bool creates = connection->postgres->schema_mode == EVD_SCHEMA_CREATE;
  send_about_table(connection, creates ? send_look : send_columns);
  postgres_wire_flush(&connection->wire);
}

void postgres_schema_looked(struct connection *connection) {
  if (connection->schema_lacks) {
    send_about_table(connection, send_creation);
  }
  send_about_table(connection, send_columns);
  postgres_wire_flush(&connection->wire);
}

void postgres_schema_note_lacks(struct connection *connection, const PGresult *result) {
  connection->schema_lacks = field_bool(result, 0, 0);
}

static uint32_t field_oid(const PGresult *result, int row, int field) {
  const unsigned char *bytes = (const unsigned char *)PQgetvalue(result, row, field);
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Whether a column must be unique, but is not. */
static bool lacks_index(evd_column column, const PGresult *result, int row) {
  bool must_be = column == evd_column_execution_id || column == evd_column_sleeping_task_unique_id;
  return must_be && !field_bool(result, row, FIELD_UNIQUE);
}

/* One column of the table: its type goes into `table`, its bit into *present. */
static evd_code read_column(struct postgres_table *table, const PGresult *result, int row,
                            uint64_t *present, evd_error *error) {
  const char *name = PQgetvalue(result, row, FIELD_NAME);
  evd_column column = column_from_name(name);
  if (column == EVD_COLUMN_COUNT) {
    return field_bool(result, row, FIELD_MUST_BE_GIVEN)
               ? error_set(error, EVD_ESCHEMA, name,
                           "column %s of table %s is not null and has no default, so that no "
                           "execution could be inserted",
                           name, table->name.name)
               : EVD_OK;
  }
  const struct postgres_type *type = postgres_type_for(column, field_oid(result, row, FIELD_TYPE));
  if (type == NULL) {
    return error_set(error, EVD_ESCHEMA, name, "column %s of table %s has the unsupported type %s",
                     name, table->name.name, PQgetvalue(result, row, FIELD_TYPE_NAME));
  }
  table->types[column] = type;
  *present |= COLUMN_BIT(column);
  if (lacks_index(column, result, row)) {
    return error_set(error, EVD_ESCHEMA, name,
                     "column %s of table %s is not unique; make it so by `evdurable migrate up`",
                     name, table->name.name);
  }
  return EVD_OK;
}

evd_code postgres_schema_read(struct source *source, const PGresult *result, evd_error *error) {
  const struct table_name *name = &source->table.name;
  bool checks = source->postgres->schema_mode != EVD_SCHEMA_SKIP;
  int rows = PQntuples(result);
  if (rows == 0 && checks) {
    return schema_error_no_table(name, error);
  }
  struct postgres_table table = source->table;
  table.has_task_index = rows > 0 && field_bool(result, 0, FIELD_HAS_TASK_INDEX);
  uint64_t present = 0;
  evd_code code = EVD_OK;
  for (int row = 0; row < rows && code == EVD_OK; row++) {
    code = read_column(&table, result, row, &present, checks ? error : NULL);
    code = checks ? code : EVD_OK;
  }
  if (code == EVD_OK && checks) {
    code = schema_check_columns(name, present, error);
  }
  if (code == EVD_OK) {
    source->table = table;
  }
  return code;
}

evd_code postgres_schema_adopt(struct source *source, const PGresult *result, evd_error *error) {
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    uint32_t oid = PQftype(result, column);
    if (oid == source->table.types[column]->oid) {
      continue;
    }
    const struct postgres_type *type = postgres_type_for((evd_column)column, oid);
    if (type == NULL) {
      return error_set(error, EVD_ESCHEMA, columns[column].name,
                       "the type of column %s has changed to an unsupported one",
                       columns[column].name);
    }
    source->table.types[column] = type;
    source->table_version++;
  }
  return EVD_OK;
}
