/*
 * The column table: the one description of the record.
 *
 * Binding, decoding, SQL text, DDL, update masks, JSON, checking and the schema check of all
 * engines are driven by it. To add a column: a member of evd_execution and an evd_column
 * (include/evdurable/execution.h), and a line in columns.c, which names the migration that adds it
 * (migrate/record.c); for a time that may be NULL, also one in the empty record (execution.c). It
 * must be nullable or have a default: rows and exports without it are there, and older libraries
 * that insert.
 */
#ifndef MODEL_COLUMNS_H
#define MODEL_COLUMNS_H

#include <stdbool.h>
#include <stdint.h>

#include <evdurable/execution.h>

/* What a column holds, and so the C type of its member in evd_execution. In this order: texts, the
 * JSON among them last; integers; enumerations. */
enum column_type {
  COLUMN_ID,           /* const char *: 1 to EVD_ID_MAX bytes of UTF-8 */
  COLUMN_UNIQUE_ID,    /* const char *: 1 to EVD_UNIQUE_ID_MAX bytes of UTF-8 */
  COLUMN_JSON,         /* const char *: any JSON document */
  COLUMN_JSON_OBJECT,  /* const char *: a JSON object */
  COLUMN_JSON_ARRAY,   /* const char *: a JSON array */
  COLUMN_COUNT32,      /* int32_t, not negative; an index may be */
  COLUMN_DURATION,     /* int64_t milliseconds, not negative */
  COLUMN_TIME,         /* int64_t milliseconds since the epoch; EVD_NONE is NULL */
  COLUMN_BOOL,         /* bool */
  COLUMN_STATUS,       /* evd_status */
  COLUMN_OCFP_STATUS,  /* evd_ocfp_status */
  COLUMN_CLOSE_STATUS, /* evd_close_status */
};

#define COLUMN_TYPE_COUNT (COLUMN_CLOSE_STATUS + 1)

/* When a column is NULL. */
enum column_null {
  COLUMN_NOT_NULL,
  COLUMN_NULLABLE,    /* when the member is a null pointer or EVD_NONE */
  COLUMN_WITH_PARENT, /* exactly when parent_execution_id is NULL */
};

struct column {
  const char *name;     /* in SQL */
  const char *json_key; /* in JSON: camelCase */
  uint16_t offset;      /* of the member in evd_execution */
  uint16_t since;       /* the number of the migration that adds it */
  enum column_type type;
  enum column_null null;
  /* What it holds where no value is given: in rows from before it was there, in JSON without its
   * key. As in SQL, without quotes ("0", "false", "idle"); not for documents, whose defaults MySQL
   * spells in another way. NULL: a value must be given, or NULL is one. */
  const char *default_text;
  bool settable;   /* by an update */
  bool unsettable; /* to NULL, by an update */
  bool addable;    /* a number can be added to it, by an update: for a COLUMN_COUNT32 */
};

extern const struct column columns[EVD_COLUMN_COUNT];

/* The bound of times and durations: the largest integer that a JavaScript number holds exactly, as
 * do all below it. */
#define COLUMN_INTEGER_MAX ((INT64_C(1) << 53) - 1)

/* The bit of a column in the masks of evd_changes. */
#define COLUMN_BIT(column) (UINT64_C(1) << (column))

/* Whether a column holds text (ids and JSON), JSON, or an enumeration (text in the database). */
static inline bool column_is_text(evd_column column) {
  return columns[column].type <= COLUMN_JSON_ARRAY;
}

static inline bool column_is_json(evd_column column) {
  return columns[column].type >= COLUMN_JSON && columns[column].type <= COLUMN_JSON_ARRAY;
}

static inline bool column_is_enum(evd_column column) {
  return columns[column].type >= COLUMN_STATUS;
}

/* A column's value as the databases see it: NULL, a text (ids, JSON, enumerations by name) or an
 * integer (counts, times, and bools as 0 and 1). */
struct value {
  enum value_kind { VALUE_NULL, VALUE_TEXT, VALUE_INTEGER } kind;
  int64_t integer;
  const char *text; /* ended by zero; not owned */
};

/* A record's column as a value. An enumeration outside its set gives NULL. */
struct value column_get(const evd_execution *execution, evd_column column);

/* Sets a record's column; the text must live as long as the record. Return false when the column
 * cannot hold it: an unknown enumeration text, a text for an integer, an integer out of int32. */
bool column_set_text(evd_execution *execution, evd_column column, const char *text);
bool column_set_integer(evd_execution *execution, evd_column column, int64_t integer);
void column_set_null(evd_execution *execution, evd_column column);

/* Sets a record's column to its default. Returns false when it has none. */
bool column_set_default(evd_execution *execution, evd_column column);

/*
 * The same for what a database has, which anybody may have put there. Return false for what no
 * execution can have: what is out of bounds, a NULL where there is none. (Only
 * index_in_parent_children may be negative, and active_children_count: children that are closed are
 * taken off whatever their parent counts.) Columns are to be loaded in their order, into a record
 * that is clear. Real numbers are times and durations, which the framework may store with a
 * fraction of a millisecond: they are rounded.
 */
bool column_load_integer(evd_execution *execution, evd_column column, int64_t integer);
bool column_load_real(evd_execution *execution, evd_column column, double real);
bool column_load_null(const evd_execution *execution, evd_column column);

/* The column with this SQL name or JSON key; EVD_COLUMN_COUNT when there is none. */
evd_column column_from_name(const char *name);
evd_column column_from_json_key(const char *key);

#endif
