/*
 * What is peculiar to each database: one description, which everything else asks. Statements of the
 * operations are in sqlite.c, postgres.c and mysql.c; what needs a connection is in engine/ and
 * migrate/.
 *
 * Some members are templates (sql/template.h). Their names:
 *   {table}      the table, quoted, with its schema where it has one
 *   {schema}     the schema, quoted, with a dot after it; "" where it has none
 *   {bare}       the table without its schema
 *   {name}       the object that the statement is about (an index, a trigger), quoted
 *   {column}     a column's name; {type} its type; {definition} as in "create table"; {key} its key
 *                in JSON
 *   {condition}  when the trigger of strict transitions refuses; {message} what it says then
 */
#ifndef SQL_DIALECT_H
#define SQL_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/error.h>

#include "model/columns.h"
#include "sql/buffer.h"

/* How bad it is that something is not as it should be. */
enum severity {
  SEVERITY_NOTE,    /* nothing need be done */
  SEVERITY_WARNING, /* it works, but slowly, not always or not for every value */
  SEVERITY_ERROR    /* it does not work */
};

/* A setting of the database, and what it should be. */
struct setting {
  const char *name;
  const char *sql;  /* its value, as text */
  const char *good; /* values that are good, "|" between; NULL: any is */
  int64_t least;    /* or: a number at least so large; 0: any is */
  enum severity severity;
  const char *advice; /* why another is not good */
};

/* The queries about a table as it is. Their first two parameters ("?") are the table's schema, ""
 * for none, and its name. */
struct catalog_queries {
  const char *table;   /* a row if anything has that name: whether it is a table */
  const char *columns; /* name, type, not null, whether an insert need not fill it */
  const char *indexes; /* name, unique, valid, predicate, columns with "," between */
  const char *trigger; /* a row if there is a trigger with the name of the third parameter */
};

/* The lock of migrations. Where DDL is transactional, it lasts as long as a transaction, else as
 * the session. Queries have the parameters of catalog_queries and give 1. */
struct lock_statements {
  const char *begin; /* begins the transaction; EVD_ECONFLICT: another has the lock */
  const char
      *try_transaction;    /* takes the lock within it, without waiting; NULL: it has it already */
  const char *try_session; /* takes it for the session, without waiting */
  const char *release_session;
};

/* How a column's value stands in an execution's JSON. */
enum json_kind_of_column {
  JSON_COLUMN_TEXT,
  JSON_COLUMN_INTEGER,
  JSON_COLUMN_BOOL,
  JSON_COLUMN_ANY,      /* any document: null is one */
  JSON_COLUMN_DOCUMENT, /* an object or an array: null is no value */
  JSON_COLUMN_KINDS
};

/* The rows of a statement's one parameter, a JSON array of executions: begin, a definition for each
 * column where the database wants one (templates, each after a comma), end. And each column's value
 * in it (templates, {key} being its key). */
struct json_rows {
  const char *now; /* the time when the statement began, in milliseconds since the epoch */
  const char *begin, *end;
  const char *columns[JSON_COLUMN_KINDS]; /* NULL: none */
  const char *values[JSON_COLUMN_KINDS];
};

struct dialect {
  const char *name;           /* of the engine: "sqlite" */
  const char *const *schemes; /* of its URLs: "sqlite:"; ended by NULL */
  bool is_server;             /* with users and a clock of its own, not a file */

  /* How SQL is spelt. */
  char quote;                 /* around identifiers */
  const char *booleans[2];    /* false and true */
  const char *now;            /* the database's time, in milliseconds since the epoch */
  const char *insert_missing; /* begins an insert that skips duplicates */
  const char *on_duplicate;   /* ends it */

  struct json_rows json_rows;

  /* Tables. */
  const char *types[COLUMN_TYPE_COUNT];           /* of our own shape's columns */
  const char *framework_types[COLUMN_TYPE_COUNT]; /* of the framework's; NULL: as ours */
  const char *framework_key;     /* the framework's column "id", in "create table" */
  const char *table_options;     /* of our own shape, after the closing parenthesis */
  const char *framework_options; /* of the framework's, and of other tables */
  bool has_schemas;              /* a table may be in a schema; else only in "main" */
  bool checks_json;              /* documents are texts, of which a constraint makes JSON */
  bool checks_by_column;  /* of a constraint that is broken only the name is told: the column's */
  bool checks_by_or;      /* "a = 1 or a = 2" is cheaper than "a in (1, 2)" */
  bool adds_check_inline; /* a constraint of a column that is added stands in its definition */
  bool adds_with_default; /* a column that is added and is not null must have a default */
  bool has_ddl_transactions;
  const char *change_type; /* SQL or a command that gives a column its type (template) */
  const char *allow_null;  /* that lets it be NULL (template) */

  /* Types of a foreign table. */
  bool has_json_type;
  bool has_small_text;   /* "text" holds 64 KB */
  bool has_any_integers; /* an integer type of any name holds 64 bits, and booleans */

  /* Indexes. */
  bool has_partial_indexes;    /* else the columns of the terms come before the index's own */
  bool has_concurrent_indexes; /* "create index concurrently"; a failure leaves an invalid index */
  bool creates_indexes_apart;  /* "create index if not exists"; else they are made with the table */
  bool index_has_schema;       /* the index's name has the schema before it, not the table's */

  /* The trigger of strict transitions (templates). */
  const char *create_trigger;
  const char *drop_trigger;

  struct catalog_queries catalog;
  bool hides_tables; /* from the catalog of a user who has no privilege on them */
  struct lock_statements lock;

  /* The database's own error codes. */
  const char *const *denied;   /* a privilege is missing; ended by NULL */
  const char *unknown_setting; /* it has no such setting; or NULL */

  const struct setting *settings; /* ended by one without a name */
};

extern const struct dialect dialect_sqlite, dialect_postgres, dialect_mysql;

/* All of them, ended by NULL: also those whose engines are not built in. */
extern const struct dialect *const dialects[];

/* The dialect of an engine's name; NULL, with EVD_EINVAL and field "engine", for another. */
const struct dialect *dialect_by_name(const char *name, evd_error *error);

/* The scheme that a URL begins with, by a comparison like strncmp() or strncasecmp(); NULL for
 * none. */
const char *dialect_scheme(const struct dialect *dialect, const char *url,
                           int (*compare)(const char *a, const char *b, size_t length));

/* EVD_EINVAL with field "url": no engine that is built in takes it. */
evd_code dialect_error_no_scheme(evd_error *error);

/* Whether a native error code says that a privilege is missing. */
bool dialect_is_denied(const struct dialect *dialect, const char *native);

#endif
