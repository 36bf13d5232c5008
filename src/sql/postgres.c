/* The statements of PostgreSQL. */
#include "sql/postgres.h"

#include <string.h>

#include "model/columns.h"

/* varchar's values travel as text. */
static const struct postgres_type types[] = {
    {25, 25, "text", POSTGRES_TEXT},    {1043, 25, "text", POSTGRES_TEXT},
    {114, 114, "json", POSTGRES_TEXT},  {3802, 3802, "jsonb", POSTGRES_JSONB},
    {23, 23, "integer", POSTGRES_INT4}, {20, 20, "bigint", POSTGRES_INT8},
    {16, 16, "boolean", POSTGRES_BOOL},
};

const char *const postgres_planner_settings[] = {"plan_cache_mode=force_generic_plan",
                                                 "enable_seqscan=off",
                                                 "enable_bitmapscan=off",
                                                 "enable_sort=off",
                                                 "jit=off",
                                                 NULL};

static const uint64_t all_columns = (UINT64_C(1) << EVD_COLUMN_COUNT) - 1;

enum { OID_TEXT = 25, OID_JSONB = 3802, OID_INT4 = 23, OID_INT8 = 20, OID_BOOL = 16 };

/* What a column's type may be. */
static bool format_fits(evd_column column, const struct postgres_type *type) {
  bool is_json = type->oid == OID_JSONB || strcmp(type->name, "json") == 0;
  switch (columns[column].type) {
  case COLUMN_ID:
  case COLUMN_UNIQUE_ID:
  case COLUMN_STATUS:
  case COLUMN_OCFP_STATUS:
  case COLUMN_CLOSE_STATUS: return type->format == POSTGRES_TEXT && !is_json;
  case COLUMN_JSON:
  case COLUMN_JSON_OBJECT:
  case COLUMN_JSON_ARRAY: return type->format == POSTGRES_TEXT || is_json;
  case COLUMN_COUNT32: return type->format == POSTGRES_INT4 || type->format == POSTGRES_INT8;
  case COLUMN_DURATION:
  case COLUMN_TIME: return type->format == POSTGRES_INT8;
  case COLUMN_BOOL: return type->format == POSTGRES_BOOL;
  }
  return false;
}

const struct postgres_type *postgres_type_for(evd_column column, uint32_t oid) {
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    if (types[i].oid == oid) {
      return format_fits(column, &types[i]) ? &types[i] : NULL;
    }
  }
  return NULL;
}

/* The type of a column in our own schema. */
static uint32_t own_type(enum column_type type) {
  switch (type) {
  case COLUMN_JSON:
  case COLUMN_JSON_OBJECT:
  case COLUMN_JSON_ARRAY: return OID_JSONB;
  case COLUMN_COUNT32: return OID_INT4;
  case COLUMN_DURATION:
  case COLUMN_TIME: return OID_INT8;
  case COLUMN_BOOL: return OID_BOOL;
  default: return OID_TEXT;
  }
}

void postgres_table_init(struct postgres_table *table, const struct table_name *name) {
  table->name = *name;
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    table->types[column] = postgres_type_for((evd_column)column, own_type(columns[column].type));
  }
}

struct statement_key postgres_insert_key(uint64_t present) {
  struct statement_key key;
  memset(&key, 0, sizeof key);
  key.operation = EVD_OPERATION_INSERT;
  key.set = present;
  return key;
}

struct statement_key postgres_statement_key(const struct postgres_table *table,
                                            const struct request *request) {
  uint8_t part = request->ids_only ? POSTGRES_PART_IDS : POSTGRES_PART_ROWS;
  struct statement_key key = statement_key(request, part, 0);
  if (request->operation == EVD_OPERATION_CLAIM_BY_START_AT) { /* it sets expires_at by itself */
    key.set &= ~COLUMN_BIT(evd_column_expires_at);
    key.unset &= ~COLUMN_BIT(evd_column_expires_at);
    bool by_index = key.by_tasks != BY_TASKS_ANY && table->has_task_index &&
                    request->status == EVD_STATUS_READY;
    key.by_tasks = by_index ? BY_TASKS_INDEX : key.by_tasks;
  }
  if (request->operation == EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN &&
      request->execution_count == 0) {
    key.operation = EVD_OPERATION_UPDATE;
  }
  if (request->operation == EVD_OPERATION_GET) {
    key.filter_owner = 0;
  }
  return key;
}

/* The column that has the bit of this rank, from 0, in a mask. */
static evd_column column_of_rank(uint64_t mask, unsigned rank) {
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if ((mask & COLUMN_BIT(column)) != 0 && rank-- == 0) {
      return (evd_column)column;
    }
  }
  return EVD_COLUMN_COUNT;
}

/* How many parameters a selection has. */
static unsigned selection_parameters(const struct statement_key *key) {
  unsigned task_ids = key->by_tasks != BY_TASKS_ANY;
  switch ((evd_operation)key->operation) {
  case EVD_OPERATION_CLAIM_BY_START_AT: return 1 + task_ids;
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED: return task_ids;
  case EVD_OPERATION_EXPIRE_BY_EXPIRES_AT: return key->attempts_left != EVD_ANY ? 2 : 1;
  case EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT:
  case EVD_OPERATION_CLAIM_BY_CANCELLATION:
  case EVD_OPERATION_UPDATE_BY_PARENT: return 1;
  default: return 0;
  }
}

evd_column postgres_parameter_column(const struct statement_key *key, unsigned parameter) {
  unsigned set = (unsigned)__builtin_popcountll(key->set);
  unsigned before = 1 + (unsigned)__builtin_popcount(key->filter_owner); /* ids and filter */
  switch ((evd_operation)key->operation) {
  case EVD_OPERATION_INSERT: return column_of_rank(key->set, parameter - 1);
  case EVD_OPERATION_UPDATE: return column_of_rank(key->set, parameter - before - 1);
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN:
    return parameter <= before + set ? column_of_rank(key->set, parameter - before - 1)
                                     : column_of_rank(all_columns, parameter - before - set - 2);
  case EVD_OPERATION_UPDATE_BY_PARENT:
    return column_of_rank(key->set, parameter - selection_parameters(key) - 1);
  case EVD_OPERATION_CLAIM_BY_START_AT:
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
  case EVD_OPERATION_CLAIM_BY_CANCELLATION:
  case EVD_OPERATION_EXPIRE_BY_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT:
  case EVD_OPERATION_CLOSE_FINISHED: /* the limit comes between */
    return column_of_rank(key->set, parameter - selection_parameters(key) - 2);
  default: return EVD_COLUMN_COUNT;
  }
}

/* A statement in the making. */
struct writer {
  struct buffer *buffer;
  const struct postgres_table *table;
  const struct statement_key *key;
  unsigned parameters; /* so far */
};

static void append(struct writer *writer, const char *text) {
  buffer_append(writer->buffer, text);
}

static void append_table(struct writer *writer) {
  sql_table(writer->buffer, &dialect_postgres, &writer->table->name);
}

/* Appends the next parameter: "$1". */
static void append_parameter(struct writer *writer) {
  buffer_printf(writer->buffer, "$%u", ++writer->parameters);
}

/* Appends the next parameter with its type: "$1::bigint" or, for an array, "$1::bigint[]". */
static void append_typed(struct writer *writer, const char *type, bool array) {
  append_parameter(writer);
  buffer_printf(writer->buffer, "::%s%s", type, array ? "[]" : "");
}

/* Appends a column's parameter with its type. */
static void append_value(struct writer *writer, evd_column column, bool array) {
  append_typed(writer, writer->table->types[column]->name, array);
}

/* What a filter may have for parameters. */
static const struct {
  uint8_t bit;
  const char *column, *type;
} owner_filters[] = {{FILTER_EXECUTOR_ID, "executor_id", "text"},
                     {FILTER_STARTED_AT, "started_at", "bigint"}};

enum { OWNER_FILTERS = sizeof owner_filters / sizeof *owner_filters };

/* Appends the conditions by which a filter admits a row by its owner, "filter_..." being columns of
 * the list v. */
static void append_owner_filter(struct writer *writer) {
  for (int i = 0; i < OWNER_FILTERS; i++) {
    if ((writer->key->filter_owner & owner_filters[i].bit) != 0) {
      buffer_printf(writer->buffer, " and case when t.%s = v.filter_%s then true else false end",
                    owner_filters[i].column, owner_filters[i].column);
    }
  }
}

/* Appends the condition, if any, by which a request's filter admits a row. It stands in a "case",
 * so that it matches no index: a row that is found by its key must be found by nothing else,
 * whatever the statistics say of the other columns. */
static void append_filter(struct writer *writer) {
  const struct statement_key *key = writer->key;
  struct buffer *buffer = writer->buffer;
  if (key->filter_status != 0) {
    buffer_printf(buffer, " and case when t.status = '%s' then true else false end",
                  evd_status_name((evd_status)key->filter_status));
  }
  if (key->filter_is_sleeping_task != EVD_ANY) {
    buffer_printf(buffer, " and case when t.is_sleeping_task then %s end",
                  key->filter_is_sleeping_task == EVD_YES ? "true else false" : "false else true");
  }
  if (key->filter_is_finished != EVD_ANY) {
    buffer_printf(buffer, " and case when t.is_finished then %s end",
                  key->filter_is_finished == EVD_YES ? "true else false" : "false else true");
  }
  append_owner_filter(writer);
}

/* Appends the condition that finds a row of the table by an id in another list. As "=
 * any(array[id])", which the planner neither merges nor hashes, it leaves one way only: the index
 * on the id, for each id. With "=", a table that the planner takes for (nearly) empty may be read
 * whole, once an id. */
static void append_match(struct writer *writer, const char *id) {
  buffer_printf(writer->buffer, "t.execution_id = any(array[%s])", id);
}

/* Appends "column, ..." of a mask; `prefix` before each. */
static void append_columns(struct writer *writer, uint64_t mask, const char *prefix) {
  const char *comma = "";
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if ((mask & COLUMN_BIT(column)) != 0) {
      buffer_printf(writer->buffer, "%s%s%s", comma, prefix, columns[column].name);
      comma = ", ";
    }
  }
}

/* Appends "$1::text[], ..." for a mask of columns, after what stands there already. */
static void append_arrays(struct writer *writer, uint64_t mask, const char *comma) {
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if ((mask & COLUMN_BIT(column)) != 0) {
      append(writer, comma);
      append_value(writer, (evd_column)column, true);
      comma = ", ";
    }
  }
}

/* insert into t (...) select v.a, null, ... from unnest($1::text[], ...) as v(a, ...) */
static void append_insert(struct writer *writer) {
  uint64_t present = writer->key->set;
  append(writer, "insert into ");
  append_table(writer);
  append(writer, " (");
  append_columns(writer, all_columns, "");
  append(writer, ") select ");
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    bool is_present = (present & COLUMN_BIT(column)) != 0;
    buffer_printf(writer->buffer, "%s%s%s", column > 0 ? ", " : "", is_present ? "v." : "",
                  is_present ? columns[column].name : "null");
  }
  append(writer, " from unnest(");
  append_arrays(writer, present, "");
  append(writer, ") as v(");
  append_columns(writer, present, "");
  append(writer, ")");
}

/* select ... from t where <column> = any($1::text[]) */
static void append_get(struct writer *writer, evd_column by) {
  append(writer, "select ");
  append_columns(writer, all_columns, "t.");
  append(writer, " from ");
  append_table(writer);
  buffer_printf(writer->buffer, " as t where t.%s = any(", columns[by].name);
  append_typed(writer, "text", true);
  append(writer, ")");
}

/* The children of each parent, in their order. Parent by parent: without statistics the planner
 * supposes that a hundred parents have half of all rows, and would read the whole table. */
static void append_get_by_parent(struct writer *writer) {
  append(writer, "select c.* from unnest(");
  append_typed(writer, "text", true);
  append(writer, ") as v(id) cross join lateral (select ");
  append_columns(writer, all_columns, "t.");
  append(writer, " from ");
  append_table(writer);
  append(writer, " as t where t.parent_execution_id = v.id order by t.index_in_parent_children, "
                 "t.execution_id collate \"C\") as c");
}

/* An execution and all below it. The ids first, each once: a table of others' may have a circle.
 * With "offset 0" the planner must look up the children of one parent after the other: it might
 * read all children once, and compare them with each parent. */
static void append_get_tree(struct writer *writer) {
  append(writer, "with recursive tree as (select execution_id from ");
  append_table(writer);
  append(writer, " where execution_id = ");
  append_typed(writer, "text", false);
  append(writer, " union select c.execution_id from tree as p cross join lateral (select "
                 "execution_id from ");
  append_table(writer);
  append(writer, " where parent_execution_id = p.execution_id offset 0) as c) select ");
  append_columns(writer, all_columns, "t.");
  append(writer, " from tree as i cross join lateral (select * from ");
  append_table(writer);
  append(writer,
         " where execution_id = any(array[i.execution_id])) as t order by t.created_at, "
         "t.parent_execution_id collate \"C\" nulls first, t.index_in_parent_children nulls first, "
         "t.execution_id collate \"C\"");
}

/* Appends what a column gets that a number is added to. `table` is "" or the table's name with a
 * dot; the number is a parameter, or the column of a list. */
static void append_sum(struct writer *writer, evd_column column, const char *table,
                       const char *list) {
  const char *name = columns[column].name;
  buffer_printf(writer->buffer, "least(%d, %s%s::bigint + ", INT32_MAX, table, name);
  if (list != NULL) {
    buffer_printf(writer->buffer, "%s%s", list, name);
  } else {
    append_value(writer, column, false);
  }
  append(writer, ")");
}

/* Writes a parameter of a selection. */
static void append_selection_parameter(struct buffer *buffer, enum selection_parameter parameter,
                                       void *data) {
  (void)buffer;
  append_parameter(data);
  append(data, parameter == SELECTION_EXTRA_ATTEMPTS ? "::bigint" : "");
}

/* Appends the condition that the row is of one of the tasks, hidden from the planner. */
static void append_task_ids(struct buffer *buffer, void *data) {
  (void)buffer;
  append(data, "case when task_id = any(");
  append_typed(data, "text", true);
  append(data, ") then true else false end");
}

/* maxAttempts of retry_options. In a document that is no jsonb it is looked for as text: operators
 * on json fail on some of what json may hold, and a text may hold anything. */
static const char *max_attempts(const struct postgres_table *table) {
  return table->types[evd_column_retry_options]->format == POSTGRES_JSONB
             ? "case when (retry_options -> 'maxAttempts')::text ~ '^-?[0-9]+$' then "
               "(retry_options -> 'maxAttempts')::numeric else 0 end"
             : "coalesce(substring(retry_options::text from "
               "'\"maxAttempts\"\\s*:\\s*(-?[0-9]{1,18})\\s*[,}]')::bigint, 0)";
}

/* Appends the condition by which an operation selects. */
static void append_selection(struct writer *writer) {
  const struct selection_writer selection = {.parameter = append_selection_parameter,
                                             .data = writer,
                                             .task_ids = append_task_ids,
                                             .max_attempts = max_attempts(writer->table)};
  sql_selection(writer->buffer, &dialect_postgres, writer->key, &selection);
}

/* update t set a = v.a, b = null from unnest(...) as v(execution_id, a) where ... returning id */
static void append_update(struct writer *writer) {
  const struct statement_key *key = writer->key;
  append(writer, "update ");
  append_table(writer);
  append(writer, " as t set ");
  const char *comma = "";
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    const char *name = columns[column].name;
    if ((key->add & COLUMN_BIT(column)) != 0) {
      buffer_printf(writer->buffer, "%s%s = ", comma, name);
      append_sum(writer, (evd_column)column, "t.", "v.");
      comma = ", ";
    } else if ((key->set & COLUMN_BIT(column)) != 0) {
      buffer_printf(writer->buffer, "%s%s = v.%s", comma, name, name);
      comma = ", ";
    } else if ((key->unset & COLUMN_BIT(column)) != 0) {
      buffer_printf(writer->buffer, "%s%s = null", comma, name);
      comma = ", ";
    }
  }
  append(writer, " from unnest(");
  append_typed(writer, "text", true);
  for (int i = 0; i < OWNER_FILTERS; i++) {
    if ((key->filter_owner & owner_filters[i].bit) != 0) {
      append(writer, ", ");
      append_typed(writer, owner_filters[i].type, true);
    }
  }
  append_arrays(writer, key->set, ", ");
  append(writer, ") as v(execution_id");
  for (int i = 0; i < OWNER_FILTERS; i++) {
    if ((key->filter_owner & owner_filters[i].bit) != 0) {
      buffer_printf(writer->buffer, ", filter_%s", owner_filters[i].column);
    }
  }
  append(writer, key->set != 0 ? ", " : "");
  append_columns(writer, key->set, "");
  append(writer, ") where ");
  append_match(writer, "v.execution_id");
  append_filter(writer);
  append(writer, " returning t.execution_id");
}

/* The children are inserted for those rows only that the update touched. That stands in a "case",
 * which makes it a look-up in a hash table, and never a comparison of each child with each row. */
static void append_update_and_insert(struct writer *writer) {
  append(writer, "with updated as (");
  append_update(writer);
  append(writer, "), inserted as (insert into ");
  append_table(writer);
  append(writer, " (");
  append_columns(writer, all_columns, "");
  append(writer, ") select ");
  append_columns(writer, all_columns, "v.");
  append(writer, " from unnest(");
  append_typed(writer, "text", true);
  append_arrays(writer, all_columns, ", ");
  append(writer, ") as v(updated_id, ");
  append_columns(writer, all_columns, "");
  append(writer,
         ") where case when v.updated_id in (select execution_id from updated) then true end)"
         " select execution_id from updated");
}

/* Appends what a column becomes that the changes set or unset, as one parameter or null. */
static void append_new_value(struct writer *writer, evd_column column) {
  if ((writer->key->add & COLUMN_BIT(column)) != 0) {
    append_sum(writer, column, "", NULL);
  } else if ((writer->key->set & COLUMN_BIT(column)) != 0) {
    append_value(writer, column, false);
  } else {
    append(writer, "null");
  }
}

/* Appends "a = $1::text, b = null" for what the changes set and unset. */
static void append_changes(struct writer *writer) {
  const struct statement_key *key = writer->key;
  const char *comma = "";
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    if (((key->set | key->unset) & COLUMN_BIT(column)) == 0) {
      continue;
    }
    buffer_printf(writer->buffer, "%s%s = ", comma, columns[column].name);
    append_new_value(writer, (evd_column)column);
    comma = ", ";
  }
}

/* Appends the rows that are due of one task, whose id is an expression: "from t where ... limit ".
 * The comparison of rows leaves only the index on task_id and start_at: with "=" the planner may
 * take that on start_at, in whose order the rows are as well. */
static void append_due_of_task(struct writer *writer, const char *task_id) {
  append(writer, " from ");
  append_table(writer);
  buffer_printf(writer->buffer,
                " where status = '%s' and (task_id, start_at) >= (%s, '%lld'::bigint) and "
                "(task_id, start_at) < (%s, $1::bigint) order by task_id, start_at limit ",
                evd_status_name((evd_status)writer->key->status), task_id, (long long)INT64_MIN,
                task_id);
}

/*
 * The same by the index of tasks, in which the rows of each task are in their order, but not those
 * of several. So it is first found out, without locks, how many of the rows that are due first
 * belong to each task; then so many are locked of each. Rows that others have locked are passed
 * over for the task's next ones, and no more are locked than are claimed.
 */
static void append_picked_by_tasks(struct writer *writer) {
  writer->parameters = 3; /* before, task ids, limit */
  append(writer, "with shares as materialized (select id, count(*) as n from (select w.id from "
                 "unnest($2::text[]) as w(id) cross join lateral (select start_at");
  append_due_of_task(writer, "w.id");
  append(writer,
         "$3::bigint) as s order by s.start_at limit $3::bigint) as u group by id), picked "
         "as materialized (select p.execution_id, p.start_at from shares cross join lateral "
         "(select execution_id, start_at");
  append_due_of_task(writer, "shares.id");
  append(writer, "shares.n for update skip locked) as p)");
}

/* with picked as materialized (select execution_id<also> from t where ... for update skip
 * locked) */
static void append_picked(struct writer *writer, const char *also) {
  if (writer->key->by_tasks == BY_TASKS_INDEX) {
    append_picked_by_tasks(writer);
    return;
  }
  const char *order = columns[sql_selection_order((evd_operation)writer->key->operation)].name;
  buffer_printf(writer->buffer, "with picked as materialized (select execution_id, %s%s from ",
                also, order);
  append_table(writer);
  append(writer, " where ");
  append_selection(writer);
  buffer_printf(writer->buffer, " order by %s limit ", order);
  append_typed(writer, "bigint", false);
  append(writer, " for update skip locked)");
}

/* Claims and expiries: update exactly the rows picked; a claim returns them with the column that
 * ordered them, as it was. A time-out longer than any can be must not fail the claim of all by the
 * sum's overflow. */
static void append_claim(struct writer *writer, bool returning) {
  evd_operation operation = (evd_operation)writer->key->operation;
  append_picked(writer, "");
  append(writer, " update ");
  append_table(writer);
  append(writer, " as t set ");
  append_changes(writer);
  if (operation == EVD_OPERATION_CLAIM_BY_START_AT) {
    long long most = COLUMN_INTEGER_MAX; /* as execution_expires_at() has it */
    buffer_printf(writer->buffer,
                  ", expires_at = least(%lld, greatest(0, least(%lld, t.timeout_ms)) + ", most,
                  most);
    append_typed(writer, "bigint", false);
    append(writer, ")");
  }
  append(writer, " from picked where ");
  append_match(writer, "picked.execution_id");
  if (returning && writer->key->part == POSTGRES_PART_IDS) {
    append(writer, " returning t.execution_id");
  } else if (returning) {
    append(writer, " returning ");
    append_columns(writer, all_columns, "t.");
    buffer_printf(writer->buffer, ", picked.%s", columns[sql_selection_order(operation)].name);
  }
}

/* update t set ... where parent_execution_id = $1 and is_finished = ... The condition's parameters
 * come first, as in claims. */
static void append_update_by_parent(struct writer *writer) {
  struct buffer where = {0};
  struct writer condition = *writer;
  condition.buffer = &where;
  append_selection(&condition);
  writer->parameters = condition.parameters;
  append(writer, "update ");
  append_table(writer);
  append(writer, " set ");
  append_changes(writer);
  append(writer, " where ");
  append(writer, where.failed ? "" : where.text);
  writer->buffer->failed = writer->buffer->failed || where.failed;
  buffer_free(&where);
}

/* Appends the changes of closing; see append_close_finished(). Returns the number of the parameter
 * of updated_at. */
static unsigned append_closing_changes(struct writer *writer) {
  const struct statement_key *others = writer->key;
  bool sets_count = (others->set & COLUMN_BIT(evd_column_active_children_count)) != 0;
  unsigned updated_at = 0;
  const char *comma = "";
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    bool is_count = column == evd_column_active_children_count;
    if (!is_count && ((others->set | others->unset) & COLUMN_BIT(column)) == 0) {
      continue;
    }
    buffer_printf(writer->buffer, "%s%s = ", comma, columns[column].name);
    if (is_count && !sets_count) {
      append(writer, "t.active_children_count");
    } else {
      append_new_value(writer, (evd_column)column);
    }
    append(writer, is_count ? " - touched.n" : "");
    updated_at = column == evd_column_updated_at ? writer->parameters : updated_at;
    comma = ", ";
  }
  return updated_at;
}

/*
 * Closing touches each row once, as PostgreSQL demands of one statement: the rows picked get the
 * changes, less their own closed children if they are parents; the other parents are decremented.
 * "touched" has each once, with how many of its children are closed and whether it is closed
 * itself. The other parents are locked in the order of their ids, which is that of "touched",
 * before any is decremented, so that two closings do not wait for each other. That each step is a
 * materialized list and no subquery of a condition matters where a row was changed by a transaction
 * that has just committed: PostgreSQL then evaluates the conditions on it again, and would run
 * their subqueries again, too.
 */
static void append_close_finished(struct writer *writer) {
  append_picked(writer, "parent_execution_id, ");
  append(
      writer,
      ", touched as materialized (select id, sum(children)::integer as n, bool_or(picked) as picked "
      "from (select execution_id as id, 0 as children, true as picked from picked union all "
      "select parent_execution_id, 1, false from picked where parent_execution_id is not null) "
      "as u group by id order by id), "
      "parents as materialized (select t.execution_id, touched.n from touched join ");
  append_table(writer);
  append(writer, " as t on ");
  append_match(writer, "touched.id");
  append(writer, " where not touched.picked for update of t), "
                 "closed as (update ");
  append_table(writer);
  append(writer, " as t set ");
  unsigned updated_at = append_closing_changes(writer);
  append(writer, " from touched where touched.picked and ");
  append_match(writer, "touched.id");
  append(writer, " returning 1), decremented as (update ");
  append_table(writer);
  append(writer, " as t set active_children_count = t.active_children_count - parents.n, "
                 "updated_at = ");
  buffer_printf(writer->buffer, "$%u::bigint", updated_at);
  append(writer, " from parents where ");
  append_match(writer, "parents.execution_id");
  append(writer, ") select count(*) from closed");
}

static void append_delete(struct writer *writer) {
  append(writer, "delete from ");
  append_table(writer);
  if (writer->key->operation == EVD_OPERATION_DELETE) {
    append(writer, " where execution_id = any(");
    append_typed(writer, "text", true);
    append(writer, ") returning execution_id");
  }
}

void postgres_statement(struct buffer *buffer, const struct postgres_table *table,
                        const struct statement_key *key) {
  struct writer writer = {.buffer = buffer, .table = table, .key = key};
  switch ((evd_operation)key->operation) {
  case EVD_OPERATION_INSERT: append_insert(&writer); break;
  case EVD_OPERATION_GET:
    append_get(&writer, evd_column_execution_id);
    append_filter(&writer);
    break;
  case EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID:
    append_get(&writer, evd_column_sleeping_task_unique_id);
    break;
  case EVD_OPERATION_GET_BY_PARENT: append_get_by_parent(&writer); break;
  case EVD_OPERATION_GET_TREE: append_get_tree(&writer); break;
  case EVD_OPERATION_UPDATE: append_update(&writer); break;
  case EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN: append_update_and_insert(&writer); break;
  case EVD_OPERATION_CLAIM_BY_START_AT:
  case EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED:
  case EVD_OPERATION_CLAIM_BY_CLOSE_STATUS:
  case EVD_OPERATION_CLAIM_BY_CANCELLATION: append_claim(&writer, true); break;
  case EVD_OPERATION_EXPIRE_BY_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT:
  case EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT: append_claim(&writer, false); break;
  case EVD_OPERATION_UPDATE_BY_PARENT: append_update_by_parent(&writer); break;
  case EVD_OPERATION_CLOSE_FINISHED: append_close_finished(&writer); break;
  case EVD_OPERATION_DELETE:
  case EVD_OPERATION_DELETE_ALL: append_delete(&writer); break;
  case EVD_OPERATION_COUNT: break;
  }
}
