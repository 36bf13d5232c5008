/* Turns SQLite's result codes into errors of the library. */
#include "engine/sqlite/errors.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "model/columns.h"
#include "model/error.h"

static const struct {
  int result;
  const char *name;
} names[] = {
    {SQLITE_ERROR, "SQLITE_ERROR"},
    {SQLITE_INTERNAL, "SQLITE_INTERNAL"},
    {SQLITE_PERM, "SQLITE_PERM"},
    {SQLITE_ABORT, "SQLITE_ABORT"},
    {SQLITE_BUSY, "SQLITE_BUSY"},
    {SQLITE_BUSY_RECOVERY, "SQLITE_BUSY_RECOVERY"},
    {SQLITE_BUSY_SNAPSHOT, "SQLITE_BUSY_SNAPSHOT"},
    {SQLITE_BUSY_TIMEOUT, "SQLITE_BUSY_TIMEOUT"},
    {SQLITE_LOCKED, "SQLITE_LOCKED"},
    {SQLITE_LOCKED_SHAREDCACHE, "SQLITE_LOCKED_SHAREDCACHE"},
    {SQLITE_NOMEM, "SQLITE_NOMEM"},
    {SQLITE_READONLY, "SQLITE_READONLY"},
    {SQLITE_READONLY_RECOVERY, "SQLITE_READONLY_RECOVERY"},
    {SQLITE_READONLY_CANTLOCK, "SQLITE_READONLY_CANTLOCK"},
    {SQLITE_READONLY_ROLLBACK, "SQLITE_READONLY_ROLLBACK"},
    {SQLITE_READONLY_DBMOVED, "SQLITE_READONLY_DBMOVED"},
    {SQLITE_READONLY_CANTINIT, "SQLITE_READONLY_CANTINIT"},
    {SQLITE_READONLY_DIRECTORY, "SQLITE_READONLY_DIRECTORY"},
    {SQLITE_INTERRUPT, "SQLITE_INTERRUPT"},
    {SQLITE_IOERR, "SQLITE_IOERR"},
    {SQLITE_IOERR_READ, "SQLITE_IOERR_READ"},
    {SQLITE_IOERR_SHORT_READ, "SQLITE_IOERR_SHORT_READ"},
    {SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE"},
    {SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"},
    {SQLITE_IOERR_DIR_FSYNC, "SQLITE_IOERR_DIR_FSYNC"},
    {SQLITE_IOERR_TRUNCATE, "SQLITE_IOERR_TRUNCATE"},
    {SQLITE_IOERR_FSTAT, "SQLITE_IOERR_FSTAT"},
    {SQLITE_IOERR_UNLOCK, "SQLITE_IOERR_UNLOCK"},
    {SQLITE_IOERR_RDLOCK, "SQLITE_IOERR_RDLOCK"},
    {SQLITE_IOERR_DELETE, "SQLITE_IOERR_DELETE"},
    {SQLITE_IOERR_NOMEM, "SQLITE_IOERR_NOMEM"},
    {SQLITE_IOERR_ACCESS, "SQLITE_IOERR_ACCESS"},
    {SQLITE_IOERR_LOCK, "SQLITE_IOERR_LOCK"},
    {SQLITE_IOERR_CLOSE, "SQLITE_IOERR_CLOSE"},
    {SQLITE_IOERR_SHMOPEN, "SQLITE_IOERR_SHMOPEN"},
    {SQLITE_IOERR_SHMSIZE, "SQLITE_IOERR_SHMSIZE"},
    {SQLITE_IOERR_SHMLOCK, "SQLITE_IOERR_SHMLOCK"},
    {SQLITE_IOERR_SHMMAP, "SQLITE_IOERR_SHMMAP"},
    {SQLITE_IOERR_SEEK, "SQLITE_IOERR_SEEK"},
    {SQLITE_IOERR_MMAP, "SQLITE_IOERR_MMAP"},
    {SQLITE_CORRUPT, "SQLITE_CORRUPT"},
    {SQLITE_CORRUPT_INDEX, "SQLITE_CORRUPT_INDEX"},
    {SQLITE_NOTFOUND, "SQLITE_NOTFOUND"},
    {SQLITE_FULL, "SQLITE_FULL"},
    {SQLITE_CANTOPEN, "SQLITE_CANTOPEN"},
    {SQLITE_CANTOPEN_ISDIR, "SQLITE_CANTOPEN_ISDIR"},
    {SQLITE_CANTOPEN_SYMLINK, "SQLITE_CANTOPEN_SYMLINK"},
    {SQLITE_PROTOCOL, "SQLITE_PROTOCOL"},
    {SQLITE_SCHEMA, "SQLITE_SCHEMA"},
    {SQLITE_TOOBIG, "SQLITE_TOOBIG"},
    {SQLITE_CONSTRAINT, "SQLITE_CONSTRAINT"},
    {SQLITE_CONSTRAINT_CHECK, "SQLITE_CONSTRAINT_CHECK"},
    {SQLITE_CONSTRAINT_FOREIGNKEY, "SQLITE_CONSTRAINT_FOREIGNKEY"},
    {SQLITE_CONSTRAINT_NOTNULL, "SQLITE_CONSTRAINT_NOTNULL"},
    {SQLITE_CONSTRAINT_PRIMARYKEY, "SQLITE_CONSTRAINT_PRIMARYKEY"},
    {SQLITE_CONSTRAINT_TRIGGER, "SQLITE_CONSTRAINT_TRIGGER"},
    {SQLITE_CONSTRAINT_UNIQUE, "SQLITE_CONSTRAINT_UNIQUE"},
    {SQLITE_CONSTRAINT_ROWID, "SQLITE_CONSTRAINT_ROWID"},
    {SQLITE_CONSTRAINT_DATATYPE, "SQLITE_CONSTRAINT_DATATYPE"},
    {SQLITE_MISMATCH, "SQLITE_MISMATCH"},
    {SQLITE_MISUSE, "SQLITE_MISUSE"},
    {SQLITE_NOLFS, "SQLITE_NOLFS"},
    {SQLITE_AUTH, "SQLITE_AUTH"},
    {SQLITE_RANGE, "SQLITE_RANGE"},
    {SQLITE_NOTADB, "SQLITE_NOTADB"},
};

enum { PRIMARY_BITS = 0xff };

/* A result code's name; see errors.h. */
const char *sqlite_error_name(int result) {
  const char *name = "SQLITE_?";
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (names[i].result == result) {
      return names[i].name;
    }
    if (names[i].result == (result & PRIMARY_BITS)) {
      name = names[i].name;
    }
  }
  return name;
}

/* The kind of error that a result is; the message tells a missing table from other errors. */
static evd_code code_of(int result, const char *message) {
  switch (result) {
  case SQLITE_CONSTRAINT_UNIQUE:
  case SQLITE_CONSTRAINT_PRIMARYKEY:
  case SQLITE_CONSTRAINT_ROWID: return EVD_EDUPLICATE;
  case SQLITE_IOERR_NOMEM: return EVD_ENOMEM;
  default: break;
  }

  switch (result & PRIMARY_BITS) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
  case SQLITE_PROTOCOL: return EVD_ECONFLICT;
  case SQLITE_CONSTRAINT:
  case SQLITE_MISMATCH: return EVD_ECONSTRAINT;
  case SQLITE_TOOBIG: return EVD_EINVAL;
  case SQLITE_NOMEM: return EVD_ENOMEM;
  case SQLITE_INTERRUPT: return EVD_ECLOSED;
  case SQLITE_ERROR:
    return strstr(message, "no such table") != NULL || strstr(message, "no such column") != NULL ||
                   strstr(message, "has no column named") != NULL
               ? EVD_ESCHEMA
               : EVD_EDATABASE;
  default: return EVD_EDATABASE;
  }
}

/* The column that a message about a constraint ends in: "UNIQUE constraint failed: t.execution_id",
 * "CHECK constraint failed: status", "cannot store TEXT value in INTEGER column t.start_at". */
static const char *column_in(const char *message) {
  const char *space = strrchr(message, ' ');
  const char *dot = strrchr(message, '.');
  const char *name = dot != NULL && (space == NULL || dot > space) ? dot + 1
                     : space != NULL                               ? space + 1
                                                                   : message;
  evd_column column = column_from_name(name);
  return column < EVD_COLUMN_COUNT ? columns[column].name : "";
}

/* Whether a constraint has failed that is ours, by its name: it is that of its column of JSON. What
 * is stored was found to be JSON before, so json_valid() failed because memory ran out. */
static bool is_out_of_memory(int result, const char *message) {
  static const char failed[] = "CHECK constraint failed: ";
  if (result != SQLITE_CONSTRAINT_CHECK || strncmp(message, failed, strlen(failed)) != 0) {
    return false;
  }
  evd_column column = column_from_name(message + strlen(failed));
  return column < EVD_COLUMN_COUNT && column_is_json(column);
}

/* Fills in an error from a result; see errors.h. */
evd_code sqlite_error_set(evd_error *error, sqlite3 *db, int result, const char *doing) {
  const char *message = db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(result);
  evd_code code = is_out_of_memory(result, message) ? EVD_ENOMEM : code_of(result, message);
  const char *field = code == EVD_EDUPLICATE || code == EVD_ECONSTRAINT ? column_in(message) : "";

  int system_errno = db != NULL ? sqlite3_system_errno(db) : 0;
  bool is_io =
      (result & PRIMARY_BITS) == SQLITE_IOERR || (result & PRIMARY_BITS) == SQLITE_CANTOPEN;
  char reason[128] = "";
  if (is_io && system_errno != 0) {
    char text[96];
    snprintf(reason, sizeof reason, " (%s)", strerror_r(system_errno, text, sizeof text));
  }

  error_set(error, code, field, "%s: %s%s", doing, message, reason);
  error_set_native(error, sqlite_error_name(result));
  return code;
}
