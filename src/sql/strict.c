#include "sql/strict.h"

#include <evdurable/execution.h>

#include "sql/schema.h"

/* What the caller reads. MySQL takes at most 128 characters. */
#define REFUSAL "this execution is finished: nothing may change its status"

/* The trigger's name, shortened as an index's. */
void strict_name(struct buffer *buffer, const struct table_name *table) {
  schema_index_name(buffer, table, false, "strict_transitions");
}

/* Appends the trigger's name, quoted, with the table's schema before it if `with_schema`. */
static void append_name(struct buffer *buffer, enum dialect dialect, const struct table_name *table,
                        bool with_schema) {
  struct buffer name = {0};
  strict_name(&name, table);
  if (with_schema && table->schema[0] != '\0') {
    sql_identifier(buffer, dialect, table->schema);
    buffer_append(buffer, ".");
  }
  sql_identifier(buffer, dialect, name.failed ? "" : name.text);
  buffer->failed = buffer->failed || name.failed;
  buffer_free(&name);
}

/* Appends the condition under which a change is refused. */
static void append_condition(struct buffer *buffer) {
  const char *comma = "";
  buffer_append(buffer, "old.status in (");
  for (int status = EVD_STATUS_READY; status <= EVD_STATUS_CANCELLED; status++) {
    if (evd_status_is_finished((evd_status)status)) {
      buffer_printf(buffer, "%s'%s'", comma, evd_status_name((evd_status)status));
      comma = ", ";
    }
  }
  buffer_append(buffer, ") and new.status <> old.status");
}

static void create_sqlite(struct buffer *buffer, const struct table_name *table) {
  struct table_name on = *table;
  on.schema[0] = '\0'; /* a trigger is in the schema of its table */
  strict_drop(buffer, DIALECT_SQLITE, table);
  buffer_append(buffer, "create trigger ");
  append_name(buffer, DIALECT_SQLITE, table, true);
  buffer_append(buffer, " before update of status on ");
  sql_table(buffer, DIALECT_SQLITE, &on);
  buffer_append(buffer, "\nwhen ");
  append_condition(buffer);
  buffer_append(buffer, "\nbegin select raise(abort, '" REFUSAL "'); end;\n");
}

/* The function is only called for what it refuses: the condition is the trigger's own. */
static void create_postgres(struct buffer *buffer, const struct table_name *table) {
  buffer_append(buffer, "create or replace function ");
  append_name(buffer, DIALECT_POSTGRES, table, true);
  buffer_append(buffer, "() returns trigger language plpgsql as $$\n"
                        "begin\n"
                        "  raise exception '" REFUSAL "'\n"
                        "    using errcode = 'check_violation', schema = tg_table_schema,\n"
                        "      table = tg_table_name, column = 'status', constraint = tg_name,\n"
                        "      detail = format('%s is %s and would become %s', old.execution_id, "
                        "old.status, new.status);\n"
                        "end $$;\n"
                        "create or replace trigger ");
  append_name(buffer, DIALECT_POSTGRES, table, false);
  buffer_append(buffer, " before update of status on ");
  sql_table(buffer, DIALECT_POSTGRES, table);
  buffer_append(buffer, "\nfor each row when (");
  append_condition(buffer);
  buffer_append(buffer, ")\nexecute function ");
  append_name(buffer, DIALECT_POSTGRES, table, true);
  buffer_append(buffer, "();\n");
}

static void create_mysql(struct buffer *buffer, const struct table_name *table) {
  strict_drop(buffer, DIALECT_MYSQL, table);
  buffer_append(buffer, "create trigger ");
  append_name(buffer, DIALECT_MYSQL, table, true);
  buffer_append(buffer, " before update on ");
  sql_table(buffer, DIALECT_MYSQL, table);
  buffer_append(buffer, "\nfor each row if ");
  append_condition(buffer);
  buffer_append(buffer, " then\n"
                        "  signal sqlstate '45000' set message_text = '" REFUSAL "',\n"
                        "    column_name = 'status';\n"
                        "end if;\n");
}

/* Makes the trigger; see strict.h. */
void strict_create(struct buffer *buffer, enum dialect dialect, const struct table_name *table) {
  switch (dialect) {
  case DIALECT_SQLITE: create_sqlite(buffer, table); break;
  case DIALECT_POSTGRES: create_postgres(buffer, table); break;
  case DIALECT_MYSQL: create_mysql(buffer, table); break;
  }
}

/* Takes it away; see strict.h. */
void strict_drop(struct buffer *buffer, enum dialect dialect, const struct table_name *table) {
  buffer_append(buffer, "drop trigger if exists ");
  append_name(buffer, dialect, table, dialect != DIALECT_POSTGRES);
  if (dialect == DIALECT_POSTGRES) {
    buffer_append(buffer, " on ");
    sql_table(buffer, dialect, table);
    buffer_append(buffer, ";\ndrop function if exists ");
    append_name(buffer, dialect, table, true);
    buffer_append(buffer, "()");
  }
  buffer_append(buffer, ";\n");
}
