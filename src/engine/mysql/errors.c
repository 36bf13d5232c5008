/* Turns errors of the server and of Connector/C into errors of the library. */
#include "engine/mysql/errors.h"

#include <stdio.h>
#include <string.h>

#include "model/columns.h"
#include "model/error.h"

/* The numbers that matter. Connector/C names only its own (2000 to 2999 and 5000 to 5999), and the
 * server's are the same on MariaDB and MySQL unless it is said here. */
enum {
  SERVER_TOO_MANY_CONNECTIONS = 1040,
  SERVER_WRITE_FAILED = 1026,    /* of the binary log, say */
  SERVER_WSREP_NOT_READY = 1047, /* Galera without quorum; else an unknown command */
  SERVER_NULL = 1048,
  SERVER_SHUTDOWN = 1053,
  SERVER_NO_COLUMN = 1054,
  SERVER_DUPLICATE = 1062,
  SERVER_NO_TABLE = 1146,
  SERVER_PACKET_TOO_LARGE = 1153,
  SERVER_NO_INDEX = 1176,
  SERVER_COMMIT_FAILED = 1180,
  SERVER_LOCK_TIMEOUT = 1205,
  SERVER_DEADLOCK = 1213,
  SERVER_OUT_OF_RANGE = 1264,
  SERVER_READ_ONLY_OPTION = 1290,
  SERVER_NO_DEFAULT = 1364,
  SERVER_BAD_VALUE = 1366,
  SERVER_TOO_LONG = 1406,
  SERVER_TABLE_CHANGED = 1412,
  SERVER_SIGNAL = 1644, /* a trigger's own refusal */
  SERVER_READ_ONLY = 1836,
  SERVER_CHECKREAD = 1020, /* MariaDB: the row has changed since it was read */
  SERVER_CONNECTION_KILLED = 1927,
  SERVER_STATEMENT_TIMEOUT = 1969,       /* MariaDB */
  SERVER_MYSQL_STATEMENT_TIMEOUT = 3024, /* MySQL */
  SERVER_HOOK_FAILED = 3100,             /* MySQL's group replication, around a commit */
  SERVER_NOT_CERTIFIED = 3101,           /* MySQL's group replication, at a commit */
  SERVER_BAD_JSON = 3140,
  SERVER_JSON_CHARSET = 3144,
  SERVER_JSON_TOO_LARGE = 3150,
  SERVER_JSON_KEY_TOO_LONG = 3151,
  SERVER_JSON_TOO_DEEP = 3157,
  SERVER_LOCK_NOWAIT = 3572,
  SERVER_CHECK_VIOLATED = 3819,    /* MySQL */
  SERVER_CONSTRAINT_FAILED = 4025, /* MariaDB: a check, or json_valid() of a JSON column */
  SERVER_DISCONNECTED_IDLE = 4031, /* MySQL */
  CLIENT_OUT_OF_MEMORY = 2008,
  CLIENT_PACKET_TOO_LARGE = 2020
};

bool mydb_errors_is_lost(unsigned number) {
  switch (number) {
  case SERVER_WSREP_NOT_READY:
  case SERVER_SHUTDOWN:
  case SERVER_PACKET_TOO_LARGE:
  case SERVER_READ_ONLY_OPTION:
  case SERVER_READ_ONLY:
  case SERVER_CONNECTION_KILLED:
  case SERVER_DISCONNECTED_IDLE: return true;
  default: /* Connector/C's own: the state of the connection is not known any more */
    return (number >= 2000 && number < 3000) || (number >= 5000 && number < 6000);
  }
}

bool mydb_errors_is_refusal(unsigned number) {
  switch (number) {
  case SERVER_WSREP_NOT_READY:
  case SERVER_PACKET_TOO_LARGE:
  case SERVER_READ_ONLY_OPTION:
  case SERVER_READ_ONLY:
  case SERVER_DISCONNECTED_IDLE: return true;
  default: return false;
  }
}

bool mydb_errors_is_of_commit(unsigned number) {
  return number == SERVER_WRITE_FAILED || number == SERVER_COMMIT_FAILED ||
         number == SERVER_HOOK_FAILED;
}

bool mydb_errors_is_of_index(unsigned number) {
  return number == SERVER_NO_INDEX;
}

/* Our code for a number. */
static evd_code code_of(unsigned number) {
  switch (number) {
  case SERVER_DUPLICATE: return EVD_EDUPLICATE;
  case SERVER_CHECKREAD:
  case SERVER_NO_INDEX: /* it will not be forced again */
  case SERVER_LOCK_TIMEOUT:
  case SERVER_DEADLOCK:
  case SERVER_TABLE_CHANGED:
  case SERVER_NOT_CERTIFIED:
  case SERVER_LOCK_NOWAIT: return EVD_ECONFLICT;
  case SERVER_NULL:
  case SERVER_OUT_OF_RANGE:
  case SERVER_BAD_VALUE:
  case SERVER_TOO_LONG:
  case SERVER_BAD_JSON:
  case SERVER_JSON_CHARSET:
  case SERVER_JSON_TOO_LARGE:
  case SERVER_JSON_KEY_TOO_LONG:
  case SERVER_JSON_TOO_DEEP:
  case SERVER_PACKET_TOO_LARGE:
  case CLIENT_PACKET_TOO_LARGE: return EVD_EINVAL;
  case SERVER_SIGNAL:
  case SERVER_CHECK_VIOLATED:
  case SERVER_CONSTRAINT_FAILED: return EVD_ECONSTRAINT;
  case SERVER_NO_TABLE:
  case SERVER_NO_COLUMN:
  case SERVER_NO_DEFAULT: return EVD_ESCHEMA;
  case SERVER_STATEMENT_TIMEOUT:
  case SERVER_MYSQL_STATEMENT_TIMEOUT: return EVD_ETIMEDOUT;
  case SERVER_TOO_MANY_CONNECTIONS: return EVD_EUNAVAILABLE;
  case CLIENT_OUT_OF_MEMORY: return EVD_ENOMEM;
  default: return mydb_errors_is_lost(number) ? EVD_EUNAVAILABLE : EVD_EDATABASE;
  }
}

/* The last name in '...' or `...` of a message; its length, 0 when there is none. */
static size_t last_quoted(const char *message, const char **name) {
  const char *close = NULL;
  for (const char *at = message; *at != '\0'; at++) {
    if (*at == '\'' || *at == '`') {
      close = at;
    }
  }
  if (close == NULL) {
    return 0;
  }
  const char *open = close;
  while (open > message && open[-1] != *close) {
    open--;
  }
  *name = open;
  return open > message ? (size_t)(close - open) : 0;
}

/* The part of a name after its last dot: MySQL says "table.column" and "table.index". */
static const char *after_dot(const char *name, size_t *length) {
  for (size_t i = *length; i > 0; i--) {
    if (name[i - 1] == '.') {
      *length -= i;
      return name + i;
    }
  }
  return name;
}

static bool is_text(const char *name, size_t length, const char *text) {
  return length > 0 && strlen(text) == length && memcmp(name, text, length) == 0;
}

/* The column of a unique index; EVD_COLUMN_COUNT when it is none of ours. */
static evd_column column_of_index(const char *message, const struct mydb_table *table) {
  const char *name = "";
  size_t length = last_quoted(message, &name);
  name = after_dot(name, &length);
  if (is_text(name, length, table->id_index)) {
    return evd_column_execution_id;
  }
  if (is_text(name, length, table->unique_id_index)) {
    return evd_column_sleeping_task_unique_id;
  }
  return EVD_COLUMN_COUNT;
}

/* Whether a column's name stands in a text, not as a part of a longer name. Underscores count as
 * the end of one, since constraints are named table_column_check. */
static bool mentions(const char *text, const char *name) {
  size_t length = strlen(name);
  for (const char *at = strstr(text, name); at != NULL; at = strstr(at + 1, name)) {
    bool begins = at == text || strchr(" '`._", at[-1]) != NULL;
    bool ends = at[length] == '\0' || strchr(" '`_", at[length]) != NULL;
    if (begins && ends) {
      return true;
    }
  }
  return false;
}

/* The column that a message is about: the longest name in what follows `key`. */
static evd_column column_in(const char *message, const char *key) {
  const char *from = strstr(message, key);
  evd_column found = EVD_COLUMN_COUNT;
  for (int i = 0; from != NULL && i < EVD_COLUMN_COUNT; i++) {
    bool longer =
        found == EVD_COLUMN_COUNT || strlen(columns[i].name) > strlen(columns[found].name);
    if (longer && mentions(from, columns[i].name)) {
      found = (evd_column)i;
    }
  }
  return found;
}

/* The column that an error is about; EVD_COLUMN_COUNT when it is about none. */
static evd_column column_of(unsigned number, const char *message, const struct mydb_table *table) {
  char constraint[200];
  switch (number) {
  case SERVER_DUPLICATE: return table != NULL ? column_of_index(message, table) : EVD_COLUMN_COUNT;
  case SERVER_NULL:
  case SERVER_OUT_OF_RANGE:
  case SERVER_BAD_VALUE:
  case SERVER_TOO_LONG:
  case SERVER_BAD_JSON:
  case SERVER_JSON_CHARSET: {
    /* "... for column `db`.`table`.`input` at row 1", "Column 'input' cannot be null" */
    const char *last = strstr(message, "olumn ");
    for (const char *next = last; next != NULL; next = strstr(next + 1, "olumn ")) {
      last = next;
    }
    return column_in(last != NULL ? last : message, "");
  }
  case SERVER_CHECK_VIOLATED: return column_in(message, "constraint '");
  case SERVER_CONSTRAINT_FAILED:
    /* "CONSTRAINT `table.input` failed for `db`.`table`" */
    if (sscanf(message, "CONSTRAINT `%199[^`]", constraint) == 1) {
      return column_in(constraint, "");
    }
    return EVD_COLUMN_COUNT;
  default: return EVD_COLUMN_COUNT;
  }
}

/* MariaDB's JSON columns are checked by a constraint with the column's name. */
static bool is_json_constraint(unsigned number, const char *message, evd_column column) {
  return number == SERVER_CONSTRAINT_FAILED && column != EVD_COLUMN_COUNT &&
         column_is_json(column) && strstr(message, "_check`") == NULL;
}

void mydb_errors_fill(unsigned number, const char *message, const struct mydb_table *table,
                      evd_error *error) {
  evd_code code = code_of(number);
  evd_column column = column_of(number, message, table);
  const char *field = column != EVD_COLUMN_COUNT ? columns[column].name : "";
  if (is_json_constraint(number, message, column)) {
    error_set(error, EVD_EINVAL, field, "%s: the database rejects this JSON: %s", field, message);
  } else {
    error_set(error, code, field, "%s", message);
  }
  error->retryable = error->retryable || code == EVD_ETIMEDOUT;

  char native[16];
  snprintf(native, sizeof native, "%u", number);
  error_set_native(error, native);
}
