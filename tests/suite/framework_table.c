/* Makes tables as the TypeScript framework does. */
#include "suite/framework_table.h"

#include <stdio.h>
#include <string.h>

#include "suite/suite.h"
#include "support/native_sql.h"

enum type { ID, UNIQUE_ID, ENUMERATION, JSON, DOCUMENT, INTEGER, LARGE, BOOLEAN };

/* The package's types. Its bodies of JSON that users write are text. */
static const char *type_name(enum type type) {
  static const char *const sqlite[] = {"text", "text",    "text",    "text",
                                       "text", "integer", "integer", "integer"};
  static const char *const postgres[] = {"text", "text",    "text",   "json",
                                         "text", "integer", "bigint", "boolean"};
  static const char *const mysql[] = {"varchar(64)", "varchar(255)", "varchar(64)", "json",
                                      "longtext",    "int",          "bigint",      "boolean"};
  if (strcmp(suite.engine, "sqlite") == 0) {
    return sqlite[type];
  }
  return strcmp(suite.engine, "postgres") == 0 ? postgres[type] : mysql[type];
}

static enum type type_of(evd_column column) {
  switch (column) {
  case evd_column_sleeping_task_unique_id: return UNIQUE_ID;
  case evd_column_input:
  case evd_column_run_output:
  case evd_column_output: return DOCUMENT;
  default: break;
  }
  switch (sample_kind(column)) {
  case SAMPLE_JSON: return JSON;
  case SAMPLE_INT32: return INTEGER;
  case SAMPLE_INT64: return LARGE;
  case SAMPLE_BOOL: return BOOLEAN;
  case SAMPLE_ENUM: return ENUMERATION;
  case SAMPLE_TEXT: break;
  }
  return ID;
}

static bool is_not_null(evd_column column) {
  return !sample_is_nullable(column) && column != evd_column_sleeping_task_unique_id &&
         column > evd_column_is_finalize_of_parent;
}

static const char *columns_text(evd_column missing) {
  const char *all = "";
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (column != missing) {
      all = text("%s, %s %s%s", all, evd_column_name(column), type_name(type_of(column)),
                 is_not_null(column) ? " not null" : "");
    }
  }
  return all;
}

static const char *key_text(void) {
  if (strcmp(suite.engine, "sqlite") == 0) {
    return "id integer primary key autoincrement not null";
  }
  if (strcmp(suite.engine, "postgres") == 0) {
    return "id bigint primary key generated always as identity";
  }
  return "id serial primary key";
}

void framework_table_make(const char *table, evd_column missing) {
  static const char *const indexes[] = {
      "status, start_at",
      "status, on_children_finished_processing_status, active_children_count, updated_at",
      "close_status, updated_at",
      "status, is_sleeping_task, expires_at",
      "on_children_finished_processing_expires_at",
      "close_expires_at",
      "executor_id, needs_promise_cancellation, updated_at",
      "parent_execution_id, is_finished",
      "is_finished, close_status, updated_at",
  };
  const char *sql = text("create table %s (%s%s);", table, key_text(), columns_text(missing));
  sql = text("%screate unique index ix_%s_e on %s (execution_id);"
             "create unique index ix_%s_u on %s (sleeping_task_unique_id);",
             sql, table, table, table, table);
  for (size_t i = 0; i < 9 && missing == EVD_COLUMN_COUNT; i++) {
    sql = text("%screate index ix_%s_%zu on %s (%s);", sql, table, i, table, indexes[i]);
  }
  native_run_once(suite.url, sql);
}

void framework_table_drop(const char *table) {
  native_run_once(suite.url, text("drop table %s;", table));
}
