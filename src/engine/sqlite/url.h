/*
 * Where an SQLite database is and how it is to be opened.
 *
 *   sqlite:path[?parameters]      the path as it stands: nothing in it is decoded
 *   sqlite::memory:[?parameters]  a database that lives as long as the storage
 *   file:...[?parameters]         SQLite's own URIs (https://www.sqlite.org/uri.html)
 *
 * Parameters, ours: synchronous=off|normal|full|extra (default full), busy_timeout=milliseconds
 * (default 5000: for opening, and for migrations; batches wait less), and
 * journal_mode=wal|delete|truncate|persist|memory (default wal). A file: URI may have SQLite's own
 * as well; in an sqlite: URL any other is an error.
 */
#ifndef ENGINE_SQLITE_URL_H
#define ENGINE_SQLITE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include <evdurable/error.h>

struct sqlite_url {
  char *name; /* what sqlite3_open_v2() gets; owned */
  bool is_uri;
  bool has_mode;   /* a URI that says itself whether the file may be created */
  bool is_private; /* a database that ends with its connection: in memory, or of an empty name */
  const char *synchronous;  /* static: a word of PRAGMA synchronous */
  const char *journal_mode; /* static: a word of PRAGMA journal_mode */
  int64_t busy_timeout_ms;
};

/* Whether a URL is SQLite's. */
bool sqlite_url_accepts(const char *url);

/* Reads a URL. EVD_EINVAL with the field "url" when it cannot be read; then nothing is owned. */
evd_code sqlite_url_parse(const char *url, struct sqlite_url *parsed, evd_error *error);

void sqlite_url_free(struct sqlite_url *url);

#endif
