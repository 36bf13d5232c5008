/* Opens the file of a database, and explains why that fails. */
#include "engine/sqlite/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/sqlite/errors.h"
#include "model/error.h"

/* Why the directory of the database's file is not accessible like this (F_OK, W_OK), as an errno; 0
 * if it is. Of a URI, whose path is SQLite's to decode, it is taken to be. */
static int directory_errno(const struct sqlite_url *url, int mode) {
  const char *slash = strrchr(url->name, '/');
  if (url->is_uri) {
    return 0;
  }
  char *directory = slash == NULL
                        ? strdup(".")
                        : strndup(url->name, slash == url->name ? 1 : (size_t)(slash - url->name));
  int result = 0;
  if (directory != NULL && faccessat(AT_FDCWD, directory, mode, AT_EACCESS) != 0) {
    result = errno;
  }
  free(directory);
  return result;
}

/* For a database in a directory that may not be written: SQLite cannot have its files beside it. */
static const char immutable_advice[] =
    "to read only, while nobody writes to it, use a file: URI with immutable=1";

const char *sqlite_file_reading_advice(const struct sqlite_url *url) {
  return directory_errno(url, W_OK) != 0 ? immutable_advice
                                         : "to read only, use a file: URI with mode=ro";
}

/* Says why there is no such file. Where it may not be created, SQLite goes on to look whether it
 * can at least be read, and has only that one's errno. */
static evd_code set_missing(const struct sqlite_url *url, bool create, sqlite3 *db,
                            evd_error *error) {
  if (!create && directory_errno(url, F_OK) == 0) {
    return error_set(error, EVD_ESCHEMA, "url",
                     "there is no SQLite database %s; create it by opening with "
                     "EVD_SCHEMA_CREATE or by `evdurable migrate up`",
                     url->name);
  }
  int refusal = create ? directory_errno(url, W_OK) : 0;
  if (refusal == 0 || refusal == ENOENT) {
    return sqlite_error_set(error, db, SQLITE_CANTOPEN, "open");
  }
  char text[96];
  error_set(error, EVD_EDATABASE, "url", "its directory may not be written (%s)",
            strerror_r(refusal, text, sizeof text));
  error_set_native(error, sqlite_error_name(SQLITE_READONLY_DIRECTORY));
  return error->code;
}

/* Says why the database could not be opened. */
static evd_code set_failure(const struct sqlite_url *url, bool create, sqlite3 *db, int result,
                            evd_error *error) {
  if ((result & 0xff) == SQLITE_CANTOPEN && sqlite3_system_errno(db) == ENOENT) {
    return set_missing(url, create, db, error);
  }
  if (result == SQLITE_ERROR) { /* there is no such vfs, mode or host as the URI has */
    error_set(error, EVD_EINVAL, "url", "open: %s", sqlite3_errmsg(db));
    error_set_native(error, sqlite_error_name(result));
    return EVD_EINVAL;
  }
  return sqlite_error_set(error, db, result, "open");
}

evd_code sqlite_file_open(const struct sqlite_url *url, bool create, sqlite3 **db,
                          evd_error *error) {
  create = create || url->has_mode || url->is_private;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0) |
              (url->is_uri ? SQLITE_OPEN_URI : 0);
  errno = 0; /* SQLite reports it, even where no call of the system was made */
  int result = sqlite3_open_v2(url->name, db, flags, NULL);
  if (result != SQLITE_OK) {
    evd_code code = set_failure(url, create, *db, result, error);
    sqlite3_close(*db);
    *db = NULL;
    return code;
  }
  sqlite3_extended_result_codes(*db, 1);
  /* A mistaken column name shall be an error, not a string. */
  sqlite3_db_config(*db, SQLITE_DBCONFIG_DQS_DML, 0, (int *)NULL);
  return EVD_OK;
}

evd_code sqlite_file_probe(sqlite3 *db, evd_error *error) {
  int result = sqlite3_exec(db, "pragma schema_version", NULL, NULL, NULL);
  if (result == SQLITE_READONLY_DIRECTORY) {
    error_set(error, EVD_EDATABASE, "url", "its directory may not be written; %s",
              immutable_advice);
    error_set_native(error, sqlite_error_name(result));
    return EVD_EDATABASE;
  }
  return result == SQLITE_OK ? EVD_OK : sqlite_error_set(error, db, result, "read");
}

/* Whether what could not be opened now may be opened later: another has it locked, the disk or the
 * file's directory is not there. */
static bool may_pass(const evd_error *error) {
  return error->code == EVD_ECONFLICT || strcmp(error->native, "SQLITE_CANTOPEN") == 0 ||
         strncmp(error->native, "SQLITE_IOERR", strlen("SQLITE_IOERR")) == 0;
}

void sqlite_file_explain(const struct sqlite_url *url, evd_error *error) {
  if (error->code == EVD_ESCHEMA || error->code == EVD_ENOMEM || error->code == EVD_ECLOSED) {
    return;
  }
  evd_error cause = *error;
  error_set(error, may_pass(&cause) ? EVD_EUNAVAILABLE : cause.code,
            cause.field[0] != '\0' ? cause.field : "url", "cannot open the SQLite database %s: %s",
            url->name, cause.message);
  error_set_native(error, cause.native);
}
