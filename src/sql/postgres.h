/*
 * PostgreSQL's statements: set-based, so that a batch is one statement for each signature of its
 * requests, and one round trip.
 *
 * Parameters of a statement, in this order ("set" in the order of the column table):
 *
 *   insert                      an array for each column of key.set, an element for each row
 *   get, delete                 an array of distinct ids
 *   get by unique id, by parent an array of distinct ids
 *   get tree                    id
 *   update                      an array of ids; arrays of executor_id and started_at, where the
 *                               filter has them (key.filter_owner); an array for each column that
 *                               is set
 *   update and insert children  as update; then an array of the ids of the rows that the children
 *                               are inserted for, and an array for every column of the children
 *   claims, expiries            what sql_selection() wants; an array of task ids, where the request
 *                               has them; limit; a value for each column that is set; started_at
 *                               (claim by start_at)
 *   update by parent            id; a value for each column that is set
 *   close finished              limit; a value for each column that is set
 *   delete all                  none
 *
 * A get's filter by executor_id and started_at is left to the reader, like its id.
 *
 * Results: get, get by unique id and get by parent have all columns; claims have all columns, as
 * after the update, and then the column that orders them, as before it; update, update and insert
 * children and delete have the execution_id of each row they touched; expiries, update by parent
 * and delete all have their count in the command's tag; close finished has it as its one value.
 */
#ifndef SQL_POSTGRES_H
#define SQL_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <evdurable/error.h>
#include <evdurable/execution.h>

#include "sql/buffer.h"
#include "sql/sql.h"

/*
 * What a session should set, as "name=value", up to NULL. A statement's plan is made once: to plan
 * an insert of 128 rows anew costs more than the insert. So a plan must be right whatever the table
 * was like when it was made, and whatever the planner believed of it. Without sequential and bitmap
 * scans, each statement has just one: by the index that it is meant for, in that index's order.
 */
extern const char *const postgres_planner_settings[];

/* A type that a column may have. */
struct postgres_type {
  uint32_t oid;
  uint32_t element_oid; /* of arrays of its values, as parameters */
  const char *name;     /* of the parameter's element */
  enum postgres_format {
    POSTGRES_TEXT,
    POSTGRES_JSONB, /* a version byte, then text */
    POSTGRES_INT4,
    POSTGRES_INT8,
    POSTGRES_BOOL
  } format; /* in binary */
};

/* A table, as it is in the database. */
struct postgres_table {
  struct table_name name;
  bool has_task_index; /* for claims by tasks */
  const struct postgres_type *types[EVD_COLUMN_COUNT];
};

/* The type with this OID, when it can hold what the column holds; else NULL. */
const struct postgres_type *postgres_type_for(evd_column column, uint32_t oid);

/* Supposes that the table has the types of our own schema. */
void postgres_table_init(struct postgres_table *table, const struct table_name *name);

/* The parts of a claim: it returns whole rows, or ids alone. */
enum { POSTGRES_PART_ROWS, POSTGRES_PART_IDS };

/* The key of the insertion of rows in which only these columns are not NULL. */
struct statement_key postgres_insert_key(uint64_t present);

/* The key of a request's statement. An update that inserts no children is an update. A claim by
 * tasks is one by their index where the table has that. */
struct statement_key postgres_statement_key(const struct postgres_table *table,
                                            const struct request *request);

/* The column whose values are a statement's parameter, from 1; EVD_COLUMN_COUNT when it is
 * none's. */
evd_column postgres_parameter_column(const struct statement_key *key, unsigned parameter);

/* Appends the statement. */
void postgres_statement(struct buffer *buffer, const struct postgres_table *table,
                        const struct statement_key *key);

#endif
