/* The statements of MySQL and MariaDB. */
#include "sql/mysql.h"

#include <string.h>

/* Appends plain SQL. */
static void put(struct mydb_writer *writer, const char *sql) {
  buffer_append(writer->buffer, sql);
}

/* Appends the table's name and another one for it, and forces an index on it unless that is "" or
 * may be gone. */
static void put_table_as(struct mydb_writer *writer, const struct mydb_table *table,
                         const char *alias, const char *index) {
  sql_table(writer->buffer, &dialect_mysql, &table->name);
  put(writer, alias);
  if (index[0] != '\0' && !table->stale) {
    put(writer, " force index (");
    sql_identifier(writer->buffer, &dialect_mysql, index);
    put(writer, ")");
  }
}

static void put_table(struct mydb_writer *writer, const struct mydb_table *table,
                      const char *index) {
  put_table_as(writer, table, "", index);
}

/* Whether the table's comparison of ids is not that of bytes: 'a' finds what is not 'a'. */
static bool is_inexact(const struct mydb_table *table) {
  return table->comparison != MYDB_COMPARES_BYTES;
}

/* Appends a column, as bytes if `binary`. */
static void put_column(struct mydb_writer *writer, evd_column column, bool binary) {
  buffer_printf(writer->buffer, binary ? "cast(convert(%s using utf8mb4) as binary)" : "%s",
                columns[column].name);
}

/* Appends an id, as bytes if `binary`. */
static void put_id(struct mydb_writer *writer, const char *id, bool binary) {
  put(writer, binary ? "cast(" : "");
  mydb_literal_text(writer, id);
  put(writer, binary ? " as binary)" : "");
}

/* Appends an id to be looked up in a column; NULL if the column cannot hold it, which no row
 * has. */
static void put_key(struct mydb_writer *writer, const struct mydb_table *table, evd_column column,
                    const char *id) {
  if (mydb_charset_holds(table->charsets[column], id)) {
    mydb_literal_text(writer, id);
  } else {
    put(writer, "null");
  }
}

/* Ids of a condition, from one place or another: the text of number i. */
struct id_list {
  const char *(*get)(const void *from, size_t i);
  const void *from;
  size_t count;
};

static const char *id_of_request(const void *from, size_t i) {
  struct request *const *requests = from;
  return requests[i]->id;
}

static const char *id_of_text(const void *from, size_t i) {
  const char *const *ids = from;
  return ids[i];
}

static const char *id_of_decrement(const void *from, size_t i) {
  const struct mydb_decrement *decrements = from;
  return decrements[i].parent_id;
}

/* Appends " in ('a', 'b')", each a key of the column, or as bytes if `binary`. */
static void put_id_list(struct mydb_writer *writer, const struct mydb_table *table,
                        evd_column column, const struct id_list *list, bool binary) {
  put_column(writer, column, binary);
  put(writer, " in (");
  for (size_t i = 0; i < list->count; i++) {
    const char *id = list->get(list->from, i);
    put(writer, i > 0 ? ", " : "");
    if (binary) {
      put_id(writer, id, true);
    } else {
      put_key(writer, table, column, id);
    }
    if (writer->outline) {
      break;
    }
  }
  put(writer, ")");
}

/* Appends "column in (...)", for the index, and where the table's comparison is too generous the
 * exact one. */
static void put_in(struct mydb_writer *writer, const struct mydb_table *table, evd_column column,
                   const struct id_list *list) {
  put_id_list(writer, table, column, list, false);
  if (is_inexact(table)) {
    put(writer, " and ");
    put_id_list(writer, table, column, list, true);
  }
}

void mydb_sql_insert(struct mydb_writer *writer, const struct mydb_table *table) {
  put(writer, "insert into ");
  put_table(writer, table, "");
  put(writer, " (");
  sql_columns(writer->buffer, "");
  put(writer, ") values ");
}

void mydb_sql_insert_row(struct mydb_writer *writer, const evd_execution *execution, bool first) {
  if (writer->outline && !first) {
    return;
  }
  put(writer, first ? "(" : ",(");
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    struct value value = column_get(execution, (evd_column)column);
    put(writer, column > 0 ? "," : "");
    mydb_literal_value(writer, &value);
  }
  put(writer, ")");
}

/* The column by which an operation finds its rows, and the index for it. */
static evd_column lookup_column(const struct mydb_table *table, evd_operation operation,
                                const char **index) {
  switch (operation) {
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
    *index = table->unique_id_index;
    return evd_column_sleeping_task_unique_id;
  case EVD_OPERATION_GET_BY_PARENT:
  case EVD_OPERATION_UPDATE_BY_PARENT:
    *index = table->selection_index[EVD_OPERATION_GET_BY_PARENT];
    return evd_column_parent_execution_id;
  default: *index = table->id_index; return evd_column_execution_id;
  }
}

void mydb_sql_get(struct mydb_writer *writer, const struct mydb_table *table,
                  struct request *const *requests, size_t count) {
  const char *index;
  evd_operation operation = requests[0]->operation;
  evd_column column = lookup_column(table, operation, &index);
  put(writer, "select ");
  sql_columns(writer->buffer, "");
  put(writer, " from ");
  put_table(writer, table, index);
  /* Plain: the reader compares ids by bytes. */
  struct id_list ids = {id_of_request, requests, count};
  put(writer, " where ");
  put_id_list(writer, table, column, &ids, false);
  if (operation == EVD_OPERATION_GET_BY_PARENT) {
    put(writer, " order by index_in_parent_children, execution_id");
  }
}

void mydb_sql_get_tree(struct mydb_writer *writer, const struct mydb_table *table,
                       const struct request *request) {
  const char *by_parent = table->selection_index[EVD_OPERATION_GET_BY_PARENT];
  struct id_list ids = {id_of_text, &request->id, 1};
  /* Past its bound of levels, MariaDB sends a part of the tree, with no more than a warning. */
  put(writer, "/*M! set statement max_recursive_iterations = 4294967295 for */ ");
  put(writer, "with recursive tree (id) as (select execution_id from ");
  put_table(writer, table, table->id_index);
  put(writer, " where ");
  put_in(writer, table, evd_column_execution_id, &ids);
  put(writer, " union select c.execution_id from tree straight_join ");
  put_table_as(writer, table, " as c", by_parent);
  put(writer, " where c.parent_execution_id = tree.id");
  if (is_inexact(table)) {
    put(writer, " and ");
    put_column(writer, evd_column_parent_execution_id, true);
    put(writer, " = cast(convert(tree.id using utf8mb4) as binary)");
  }
  put(writer, ") select /*+ set_var(cte_max_recursion_depth = 4294967295) */ "); /* MySQL's bound */
  sql_columns(writer->buffer, "t.");
  put(writer, " from tree straight_join ");
  put_table_as(writer, table, " as t", table->id_index);
  put(writer, " where t.execution_id = tree.id order by t.created_at, t.parent_execution_id, "
              "t.index_in_parent_children, t.execution_id");
}

void mydb_sql_lock(struct mydb_writer *writer, const struct mydb_table *table,
                   struct request *const *requests, size_t count) {
  put(writer, "select execution_id, status, is_sleeping_task, is_finished, executor_id, started_at "
              "from ");
  put_table(writer, table, table->id_index);
  put(writer, " where ");
  struct id_list ids = {id_of_request, requests, count};
  put_in(writer, table, evd_column_execution_id, &ids);
  put(writer, " for update");
}

/* The columns that a request sets to a value, those left out that it also unsets. */
static uint64_t set_columns(const struct request *request) {
  return request->changes->set & ~request->changes->unset;
}

bool mydb_sql_same_update(const struct request *a, const struct request *b) {
  return set_columns(a) == set_columns(b) && a->changes->unset == b->changes->unset &&
         a->changes->add == b->changes->add && a->filter.status == b->filter.status &&
         a->filter.is_sleeping_task == b->filter.is_sleeping_task &&
         a->filter.is_finished == b->filter.is_finished &&
         (a->filter.executor_id == NULL) == (b->filter.executor_id == NULL) &&
         (a->filter.started_at == 0) == (b->filter.started_at == 0);
}

static bool values_equal(const struct value *a, const struct value *b) {
  if (a->kind != b->kind) {
    return false;
  }
  switch (a->kind) {
  case VALUE_NULL: return true;
  case VALUE_TEXT: return strcmp(a->text, b->text) == 0;
  case VALUE_INTEGER: return a->integer == b->integer;
  }
  return false;
}

/* A request's value for a column: the new one, or the filter's. */
typedef struct value (*value_getter)(const struct request *request, evd_column column);

static struct value new_value(const struct request *request, evd_column column) {
  return column_get(&request->changes->values, column);
}

static struct value filter_value(const struct request *request, evd_column column) {
  const evd_filter *filter = &request->filter;
  return column == evd_column_executor_id
             ? (struct value){.kind = VALUE_TEXT, .text = filter->executor_id}
             : (struct value){.kind = VALUE_INTEGER, .integer = filter->started_at};
}

/* Whether all requests have the same value for a column. */
static bool is_common(struct request *const *requests, size_t count, evd_column column,
                      value_getter get) {
  struct value first = get(requests[0], column);
  for (size_t i = 1; i < count; i++) {
    struct value value = get(requests[i], column);
    if (!values_equal(&first, &value)) {
      return false;
    }
  }
  return true;
}

/* Appends the requests' value for a column: one, or each row its own. */
static void put_values(struct mydb_writer *writer, const struct mydb_table *table,
                       struct request *const *requests, size_t count, evd_column column,
                       value_getter get) {
  if (is_common(requests, count, column, get)) {
    struct value value = get(requests[0], column);
    mydb_literal_value(writer, &value);
    return;
  }
  put(writer, "case ");
  put_column(writer, evd_column_execution_id, is_inexact(table));
  for (size_t i = 0; i < count; i++) {
    struct value value = get(requests[i], column);
    put(writer, " when ");
    put_id(writer, requests[i]->id, is_inexact(table));
    put(writer, " then ");
    mydb_literal_value(writer, &value);
    if (writer->outline) {
      break;
    }
  }
  put(writer, " end");
}

/* Appends "a = ..., b = null" for the changes of requests that set and unset the same columns, but
 * for those in `except`. */
static void put_changes(struct mydb_writer *writer, const struct mydb_table *table,
                        struct request *const *requests, size_t count, uint64_t except) {
  uint64_t set = set_columns(requests[0]);
  uint64_t unset = requests[0]->changes->unset;
  const char *comma = "";
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (((set | unset) & ~except & COLUMN_BIT(column)) == 0) {
      continue;
    }
    buffer_printf(writer->buffer, "%s%s = ", comma, columns[column].name);
    comma = ", ";
    bool is_sum = (requests[0]->changes->add & set & COLUMN_BIT(column)) != 0;
    if ((unset & COLUMN_BIT(column)) != 0) {
      put(writer, "null");
      continue;
    }
    if (is_sum) {
      buffer_printf(writer->buffer, "least(%d, %s + ", INT32_MAX, columns[column].name);
    }
    put_values(writer, table, requests, count, (evd_column)column, new_value);
    put(writer, is_sum ? ")" : "");
  }
}

/* Appends " and column = 1", or 0, unless either will do. */
static void put_maybe(struct mydb_writer *writer, evd_column column, evd_maybe wanted) {
  if (wanted != EVD_ANY) {
    buffer_printf(writer->buffer, " and %s = %d", columns[column].name, wanted == EVD_YES);
  }
}

/* Appends " and ..." for what the filters of requests want that are alike but for their owners. */
static void put_filter(struct mydb_writer *writer, const struct mydb_table *table,
                       struct request *const *requests, size_t count) {
  const evd_filter *filter = &requests[0]->filter;
  if (filter->status != 0) {
    buffer_printf(writer->buffer, " and status = '%s'", evd_status_name(filter->status));
  }
  put_maybe(writer, evd_column_is_sleeping_task, filter->is_sleeping_task);
  put_maybe(writer, evd_column_is_finished, filter->is_finished);
  if (filter->executor_id != NULL) { /* by bytes, whatever the column's collation */
    put(writer, " and ");
    put_column(writer, evd_column_executor_id, true);
    put(writer, " = ");
    put_values(writer, table, requests, count, evd_column_executor_id, filter_value);
  }
  if (filter->started_at != 0) {
    put(writer, " and started_at = ");
    put_values(writer, table, requests, count, evd_column_started_at, filter_value);
  }
}

void mydb_sql_update(struct mydb_writer *writer, const struct mydb_table *table,
                     struct request *const *requests, size_t count) {
  put(writer, "update ");
  put_table(writer, table, table->id_index);
  put(writer, " set ");
  put_changes(writer, table, requests, count, 0);
  put(writer, " where ");
  struct id_list ids = {id_of_request, requests, count};
  put_in(writer, table, evd_column_execution_id, &ids);
  put_filter(writer, table, requests, count);
}

bool mydb_sql_selects_all(evd_operation operation) {
  switch (operation) {
  case EVD_OPERATION_CLAIM_BY_START_AT:
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
  case EVD_OPERATION_CLAIM_BY_CANCELLATION: return true;
  default: return false;
  }
}

/* What sql_selection() asks for: the values of a request, in its order. */
struct selection_values {
  struct mydb_writer *writer;
  const struct mydb_table *table;
  const struct request *request;
};

/* The column of a condition's id; EVD_COLUMN_COUNT where it has none. */
static evd_column selection_id(evd_operation operation) {
  switch (operation) {
  case EVD_OPERATION_UPDATE_BY_PARENT: return evd_column_parent_execution_id;
  case EVD_OPERATION_CLAIM_BY_CANCELLATION: return evd_column_executor_id;
  default: return EVD_COLUMN_COUNT;
  }
}

/* Appends a value of a condition. */
static void put_selection_value(struct buffer *buffer, enum selection_parameter parameter,
                                void *data) {
  (void)buffer; /* the writer's */
  const struct selection_values *values = data;
  const struct request *request = values->request;
  switch (parameter) {
  case SELECTION_ID:
    put_key(values->writer, values->table, selection_id(request->operation), request->id);
    break;
  case SELECTION_BEFORE: mydb_literal_integer(values->writer, request->before); break;
  case SELECTION_EXTRA_ATTEMPTS:
    mydb_literal_integer(values->writer, request->extra_attempts);
    break;
  }
}

static void put_selection_tasks(struct buffer *buffer, void *data) {
  (void)buffer; /* the writer's */
  const struct selection_values *values = data;
  struct id_list ids = {id_of_text, values->request->task_ids, values->request->task_id_count};
  put_in(values->writer, values->table, evd_column_task_id, &ids);
}

/* maxAttempts of retry_options. It is looked at as text first: a string in the place of a number
 * would be an error, and json_type() of MariaDB takes 1e99999 for an integer. */
static const char max_attempts[] =
    "case when json_valid(retry_options) and cast(json_extract(retry_options, '$.maxAttempts') as "
    "char) regexp '^-?[0-9]+$' "
    "then json_extract(retry_options, '$.maxAttempts') + 0 else 0 end";

/* Appends the condition by which an operation selects. */
static void put_selection(struct mydb_writer *writer, const struct mydb_table *table,
                          const struct request *request) {
  struct statement_key key = statement_key(request, 0, 0);
  struct selection_values values = {writer, table, request};
  const struct selection_writer selection = {.parameter = put_selection_value,
                                             .data = &values,
                                             .task_ids = put_selection_tasks,
                                             .max_attempts = max_attempts};
  sql_selection(writer->buffer, &dialect_mysql, &key, &selection);

  evd_column column = selection_id(request->operation);
  if (column != EVD_COLUMN_COUNT && is_inexact(table)) {
    put(writer, " and ");
    put_column(writer, column, true);
    put(writer, " = ");
    put_id(writer, request->id, true);
  }
}

void mydb_sql_select(struct mydb_writer *writer, const struct mydb_table *table,
                     const struct request *request) {
  put(writer, "select ");
  if (mydb_sql_selects_all(request->operation)) {
    sql_columns(writer->buffer, "");
  } else {
    put(writer, "execution_id, parent_execution_id");
  }
  put(writer, " from ");
  put_table(writer, table, table->selection_index[request->operation]);
  put(writer, " where ");
  put_selection(writer, table, request);
  buffer_printf(writer->buffer, " order by %s limit ",
                columns[sql_selection_order(request->operation)].name);
  mydb_literal_integer(writer, request->limit);
  put(writer, " for update skip locked");
}

bool mydb_sql_claims_by_task(const struct mydb_table *table, const struct request *request) {
  return request->operation == EVD_OPERATION_CLAIM_BY_START_AT && request->task_id_count > 0 &&
         table->task_index[0] != '\0' && !table->stale;
}

/* Appends the rows of one task that are due, in their order: "from t where ... limit 7". */
static void put_due_of_task(struct mydb_writer *writer, const struct mydb_table *table,
                            const struct request *request, size_t task, int64_t limit) {
  const char *task_id = request->task_ids[task];
  struct id_list ids = {id_of_text, &task_id, 1};
  put(writer, " from ");
  put_table(writer, table, table->task_index);
  buffer_printf(writer->buffer, " where status = '%s' and ", evd_status_name(request->status));
  put_in(writer, table, evd_column_task_id, &ids);
  put(writer, " and start_at < ");
  mydb_literal_integer(writer, request->before);
  put(writer, " order by start_at limit ");
  mydb_literal_integer(writer, limit);
}

void mydb_sql_share(struct mydb_writer *writer, const struct mydb_table *table,
                    const struct request *request) {
  put(writer, "select task, count(*) from (");
  for (size_t i = 0; i < request->task_id_count; i++) {
    buffer_printf(writer->buffer, "%s(select %zu as task, start_at", i > 0 ? " union all " : "", i);
    put_due_of_task(writer, table, request, i, request->limit);
    put(writer, ")");
    if (writer->outline) {
      break;
    }
  }
  put(writer, " order by start_at limit ");
  mydb_literal_integer(writer, request->limit);
  put(writer, ") as due group by task");
}

void mydb_sql_select_task(struct mydb_writer *writer, const struct mydb_table *table,
                          const struct request *request, size_t task, int64_t limit) {
  put(writer, "select ");
  sql_columns(writer->buffer, "");
  put_due_of_task(writer, table, request, task, limit);
  put(writer, " for update skip locked");
}

void mydb_sql_update_selected(struct mydb_writer *writer, const struct mydb_table *table,
                              const struct request *request, const char *const *ids, size_t count) {
  bool expires = request->operation == EVD_OPERATION_CLAIM_BY_START_AT;
  struct request *one[] = {(struct request *)request};
  put(writer, "update ");
  put_table(writer, table, table->id_index);
  put(writer, " set ");
  put_changes(writer, table, one, 1, expires ? COLUMN_BIT(evd_column_expires_at) : 0);
  if (expires) {
    put(writer, ", expires_at = greatest(0, least(timeout_ms, "); /* execution_expires_at() */
    mydb_literal_integer(writer, COLUMN_INTEGER_MAX - request->started_at);
    put(writer, ")) + ");
    mydb_literal_integer(writer, request->started_at);
  }
  put(writer, " where ");
  struct id_list list = {id_of_text, ids, count};
  put_in(writer, table, evd_column_execution_id, &list);
  put(writer, " and ");
  put_selection(writer, table, request);
}

void mydb_sql_decrement(struct mydb_writer *writer, const struct mydb_table *table,
                        const struct mydb_decrement *decrements, size_t count, int64_t updated_at) {
  put(writer, "update ");
  put_table(writer, table, table->id_index);
  put(writer, " set active_children_count = active_children_count - case ");
  put_column(writer, evd_column_execution_id, is_inexact(table));
  for (size_t i = 0; i < count; i++) {
    put(writer, " when ");
    put_id(writer, decrements[i].parent_id, is_inexact(table));
    put(writer, " then ");
    mydb_literal_integer(writer, decrements[i].by);
    if (writer->outline) {
      break;
    }
  }
  put(writer, " end, updated_at = ");
  mydb_literal_integer(writer, updated_at);
  put(writer, " where ");
  struct id_list list = {id_of_decrement, decrements, count};
  put_in(writer, table, evd_column_execution_id, &list);
}

void mydb_sql_update_by_parent(struct mydb_writer *writer, const struct mydb_table *table,
                               const struct request *request) {
  const char *index;
  struct request *one[] = {(struct request *)request};
  (void)lookup_column(table, request->operation, &index);
  put(writer, "update ");
  put_table(writer, table, index);
  put(writer, " set ");
  put_changes(writer, table, one, 1, 0);
  put(writer, " where ");
  put_selection(writer, table, request);
}

void mydb_sql_delete(struct mydb_writer *writer, const struct mydb_table *table,
                     const struct request *request) {
  put(writer, "delete from ");
  put_table(writer, table, "");
  if (request->operation == EVD_OPERATION_DELETE) {
    const char *ids[] = {request->id};
    struct id_list list = {id_of_text, ids, 1};
    put(writer, " where ");
    put_in(writer, table, evd_column_execution_id, &list);
  }
}
