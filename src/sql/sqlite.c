/* The statements of SQLite. */
#include "sql/sqlite.h"

#include <string.h>

#include "model/columns.h"

/* The key of a statement; see sqlite.h. */
struct statement_key sqlite_statement_key(const struct request *request, enum sqlite_part part) {
  struct statement_key key = statement_key(request, (uint8_t)part, 0);

  switch (request->operation) {
  case EVD_OPERATION_CLAIM_BY_START_AT:
    key.set &= ~COLUMN_BIT(evd_column_expires_at);
    key.unset &= ~COLUMN_BIT(evd_column_expires_at);
    break;
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
  case EVD_OPERATION_CLAIM_BY_CANCELLATION:
  case EVD_OPERATION_CLOSE_FINISHED: break;
  default: return key;
  }

  /* Two statements: the selection does not depend on the changes, nor the other way round. */
  if (part == SQLITE_PART_MAIN) {
    key.set = key.unset = key.add = 0;
  } else {
    key.status = key.ocfp_status = key.close_status = key.flag = key.by_tasks = 0;
  }
  if (part == SQLITE_PART_PARENT) {
    key.set = key.unset = key.add = 0;
  }
  return key;
}

/* The key of the insertion. */
struct statement_key sqlite_insert_key(void) {
  struct statement_key key;
  memset(&key, 0, sizeof key);
  key.operation = EVD_OPERATION_INSERT;
  return key;
}

/* Writes a parameter of sql_selection(). */
static void append_parameter(struct buffer *buffer, enum selection_parameter parameter,
                             void *data) {
  (void)parameter, (void)data;
  buffer_append(buffer, "?");
}

static void append_task_ids(struct buffer *buffer, void *data) {
  (void)data;
  buffer_append(buffer, "+task_id in (select value from json_each(?))");
}

static const struct selection_writer selection_writer = {
    .parameter = append_parameter,
    .task_ids = append_task_ids,
    .max_attempts =
        "case when json_valid(retry_options) and json_type(retry_options, '$.maxAttempts') = "
        "'integer' then json_extract(retry_options, '$.maxAttempts') else 0 end",
};

/* Appends "insert into t (...) values (?, ...)". */
static void append_insert(struct buffer *buffer, const struct table_name *table) {
  buffer_append(buffer, "insert into ");
  sql_table(buffer, &dialect_sqlite, table);
  buffer_append(buffer, " (");
  sql_columns(buffer, "");
  buffer_append(buffer, ") values (");
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    buffer_append(buffer, column > 0 ? ", ?" : "?");
  }
  buffer_append(buffer, ")");
}

/* Appends "select <first><all columns> from t where ". */
static void append_select(struct buffer *buffer, const struct table_name *table,
                          const char *first) {
  buffer_printf(buffer, "select %s", first);
  sql_columns(buffer, "");
  buffer_append(buffer, " from ");
  sql_table(buffer, &dialect_sqlite, table);
  buffer_append(buffer, " where ");
}

/* Appends "update t set ... where ", with a parameter for each column that is set. */
static void append_update(struct buffer *buffer, const struct table_name *table,
                          const struct statement_key *key) {
  buffer_append(buffer, "update ");
  sql_table(buffer, &dialect_sqlite, table);

  const char *separator = " set ";
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if ((key->set & COLUMN_BIT(column)) != 0) {
      const char *name = columns[column].name;
      buffer_printf(buffer, "%s%s = ", separator, name);
      if ((key->add & COLUMN_BIT(column)) != 0) {
        buffer_printf(buffer, "min(%d, %s + ?)", INT32_MAX, name);
      } else {
        buffer_append(buffer, "?");
      }
      separator = ", ";
    }
  }
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if ((key->unset & COLUMN_BIT(column)) != 0) {
      buffer_printf(buffer, "%s%s = null", separator, columns[column].name);
      separator = ", ";
    }
  }
  if (key->operation == EVD_OPERATION_CLAIM_BY_START_AT) {
    buffer_printf(buffer, "%sexpires_at = ?", separator);
  }
  buffer_append(buffer, " where ");
}

/* Appends the filter of an operation by id. The unary plus keeps the planner from reading another
 * index than that of the id. */
static void append_filter(struct buffer *buffer, const struct statement_key *key) {
  if (key->filter_status != 0) {
    buffer_printf(buffer, " and +status = '%s'", evd_status_name((evd_status)key->filter_status));
  }
  if (key->filter_is_sleeping_task != EVD_ANY) {
    buffer_append(buffer, " and +is_sleeping_task = ");
    sql_bool(buffer, &dialect_sqlite, key->filter_is_sleeping_task == EVD_YES);
  }
  if (key->filter_is_finished != EVD_ANY) {
    buffer_append(buffer, " and +is_finished = ");
    sql_bool(buffer, &dialect_sqlite, key->filter_is_finished == EVD_YES);
  }
  buffer_append(buffer, key->filter_owner & FILTER_EXECUTOR_ID ? " and +executor_id = ?" : "");
  buffer_append(buffer, key->filter_owner & FILTER_STARTED_AT ? " and +started_at = ?" : "");
}

/* Appends the selection of a claim, an expiry or close_finished: the condition, the order and the
 * limit. */
static void append_selection(struct buffer *buffer, const struct statement_key *key) {
  sql_selection(buffer, &dialect_sqlite, key, &selection_writer);
  evd_column order = sql_selection_order((evd_operation)key->operation);
  buffer_printf(buffer, " order by %s limit ?", columns[order].name);
}

/* Appends the selection of a claim by the index of tasks: for each task those that are due first,
 * no more than the limit, and of all these the first. */
static void append_select_by_tasks(struct buffer *buffer, const struct table_name *table,
                                   const struct statement_key *key) {
  buffer_append(buffer, "select t.rowid, ");
  sql_columns(buffer, "t.");
  buffer_append(buffer, " from json_each(?2) as w cross join ");
  sql_table(buffer, &dialect_sqlite, table);
  buffer_append(buffer, " as t on t.rowid in (select u.rowid from ");
  sql_table(buffer, &dialect_sqlite, table);
  buffer_printf(buffer,
                " as u where u.status = '%s' and u.task_id = w.value and u.start_at < ?1 order by "
                "u.start_at limit ?3) order by t.start_at limit ?3",
                evd_status_name((evd_status)key->status));
}

/* Appends the statement that gets an execution and all below it. The ids first, each once: a table
 * of others' may have a circle. */
static void append_get_tree(struct buffer *buffer, const struct table_name *table) {
  buffer_append(buffer, "with recursive tree(id) as (select execution_id from ");
  sql_table(buffer, &dialect_sqlite, table);
  buffer_append(buffer,
                " where execution_id = ? union select c.execution_id from tree cross join ");
  sql_table(buffer, &dialect_sqlite, table);
  buffer_append(buffer, " as c on c.parent_execution_id = tree.id) select ");
  sql_columns(buffer, "t.");
  buffer_append(buffer, " from tree cross join ");
  sql_table(buffer, &dialect_sqlite, table);
  buffer_append(buffer, " as t on t.execution_id = tree.id order by t.created_at, "
                        "t.parent_execution_id, t.index_in_parent_children, t.execution_id");
}

/* Appends the statement that changes one selected row. */
static void append_update_row(struct buffer *buffer, const struct table_name *table,
                              const struct statement_key *key) {
  append_update(buffer, table, key);
  buffer_append(buffer, "rowid = ?");
}

/* Appends the statement that takes children off a parent. */
static void append_update_parent(struct buffer *buffer, const struct table_name *table) {
  buffer_append(buffer, "update ");
  sql_table(buffer, &dialect_sqlite, table);
  buffer_append(buffer, " set active_children_count = active_children_count - ?, updated_at = ? "
                        "where execution_id = ?");
}

/* Appends an operation's main statement. */
static void append_main(struct buffer *buffer, const struct table_name *table,
                        const struct statement_key *key) {
  switch ((evd_operation)key->operation) {
  case EVD_OPERATION_INSERT: append_insert(buffer, table); break;
  case EVD_OPERATION_GET:
    append_select(buffer, table, "");
    buffer_append(buffer, "execution_id = ?");
    append_filter(buffer, key);
    break;
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
    append_select(buffer, table, "");
    buffer_append(buffer, "sleeping_task_unique_id = ?");
    break;
  case EVD_OPERATION_UPDATE:
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
    append_update(buffer, table, key);
    buffer_append(buffer, "execution_id = ?");
    append_filter(buffer, key);
    break;
  case EVD_OPERATION_CLAIM_BY_START_AT:
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
  case EVD_OPERATION_CLAIM_BY_CANCELLATION:
    if (key->by_tasks == BY_TASKS_INDEX) {
      append_select_by_tasks(buffer, table, key);
      break;
    }
    append_select(buffer, table, "rowid, ");
    append_selection(buffer, key);
    break;
  case EVD_OPERATION_EXPIRE_BY_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT:
    append_update(buffer, table, key);
    buffer_append(buffer, "rowid in (select rowid from ");
    sql_table(buffer, &dialect_sqlite, table);
    buffer_append(buffer, " where ");
    append_selection(buffer, key);
    buffer_append(buffer, ")");
    break;
  case EVD_OPERATION_GET_BY_PARENT:
    append_select(buffer, table, "");
    buffer_append(buffer, "parent_execution_id = ? order by index_in_parent_children, "
                          "execution_id");
    break;
  case EVD_OPERATION_GET_TREE: append_get_tree(buffer, table); break;
  case EVD_OPERATION_UPDATE_BY_PARENT:
    append_update(buffer, table, key);
    sql_selection(buffer, &dialect_sqlite, key, &selection_writer);
    break;
  case EVD_OPERATION_CLOSE_FINISHED:
    buffer_append(buffer, "select rowid, parent_execution_id from ");
    sql_table(buffer, &dialect_sqlite, table);
    buffer_append(buffer, " where ");
    append_selection(buffer, key);
    break;
  case EVD_OPERATION_DELETE:
  case EVD_OPERATION_DELETE_ALL:
    buffer_append(buffer, "delete from ");
    sql_table(buffer, &dialect_sqlite, table);
    if (key->operation == EVD_OPERATION_DELETE) {
      buffer_append(buffer, " where execution_id = ?");
    }
    break;
  case EVD_OPERATION_COUNT: break;
  }
}

/* The statement of a key; see sqlite.h. */
void sqlite_statement(struct buffer *buffer, const struct table_name *table,
                      const struct statement_key *key) {
  switch ((enum sqlite_part)key->part) {
  case SQLITE_PART_MAIN: append_main(buffer, table, key); break;
  case SQLITE_PART_ROW: append_update_row(buffer, table, key); break;
  case SQLITE_PART_PARENT: append_update_parent(buffer, table); break;
  }
}
