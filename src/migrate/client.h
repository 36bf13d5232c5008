/*
 * A plain SQL session that blocks: for the migrations and the command, which have no loop to keep
 * going. Requests are served by the engines; this shares their URLs, their errors and, on
 * PostgreSQL, the way they connect. One thread at a time.
 */
#ifndef MIGRATE_CLIENT_H
#define MIGRATE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <evdurable/error.h>

#include "sql/sql.h"

/* The most columns of a row. */
enum { SQL_COLUMNS_MAX = 64 };

struct sql_client;

/* A row: as many texts as the query has columns, NULL for NULL, valid during the call. False: the
 * rest is not wanted (it may be read and dropped all the same). It must not use the client. */
typedef bool (*sql_row)(const char *const *values, void *data);

/*
 * Connects to the database of a storage's URL. NULL with the error: EVD_EINVAL (the URL),
 * EVD_EUNAVAILABLE, EVD_EDATABASE (e.g. an SQLite file that is no database), EVD_ESCHEMA (one that
 * is not there, unless `create` is true).
 */
struct sql_client *sql_client_open(const char *url, bool create, evd_error *error);

const struct dialect *sql_client_dialect(const struct sql_client *client);

/* Where it is connected to, for people; without a password. */
const char *sql_client_place(const struct sql_client *client);

/* Runs statements without parameters, several with ";" between them. What they return is
 * dropped. */
evd_code sql_client_execute(struct sql_client *client, const char *sql, evd_error *error);

/*
 * Runs one statement. Rows come as they arrive: the memory that it takes does not grow with their
 * number.
 *
 * @param sql        "?" stands for each parameter, in all dialects; in it, "?" is nothing else.
 *                   (SQL for SQLite alone may number them, as in "?2".)
 * @param parameters as many texts as there are "?"; NULL is NULL. May be NULL when there are none.
 *                   They are for texts: numbers belong in the SQL, for SQLite takes no text for a
 *                   number where the other side of a comparison is not a column.
 * @param row        may be NULL.
 */
evd_code sql_client_query(struct sql_client *client, const char *sql, const char *const *parameters,
                          sql_row row, void *data, evd_error *error);

/* How many rows the last sql_client_query() changed. */
int64_t sql_client_changed(const struct sql_client *client);

/* The first column of the first row, as text to be released with free(); NULL (with EVD_OK) when
 * there is no row, or it is NULL. */
evd_code sql_client_text(struct sql_client *client, const char *sql, const char *const *parameters,
                         char **text, evd_error *error);

/* The same as an integer; `otherwise` when there is none. */
evd_code sql_client_integer(struct sql_client *client, const char *sql,
                            const char *const *parameters, int64_t otherwise, int64_t *integer,
                            evd_error *error);

/* Whether an error says that a privilege is missing. */
bool sql_client_is_denied(const struct sql_client *client, const evd_error *error);

void sql_client_close(struct sql_client *client); /* NULL is fine */

/* Within the room: what a dialect's client is made of. */

struct privilege_search;

struct sql_client_ops {
  const struct dialect *dialect;
  bool (*accepts)(const char *url);
  struct sql_client *(*open)(const char *url, bool create, evd_error *error);
  evd_code (*execute)(struct sql_client *client, const char *sql, evd_error *error);
  evd_code (*query)(struct sql_client *client, const char *sql, const char *const *parameters,
                    sql_row row, void *data, evd_error *error);
  /* Adds findings of what the user may not do (migrate/privileges.h). NULL where there are no
   * users. */
  evd_code (*find_privileges)(struct privilege_search *search, evd_error *error);
  void (*close)(struct sql_client *client);
};

/* The first member of each dialect's own struct. */
struct sql_client {
  const struct sql_client_ops *ops;
  int64_t changed;
  char place[256];
};

extern const struct sql_client_ops sql_client_sqlite, sql_client_postgres, sql_client_mysql;

/* Appends the statement with each "?" outside of quotes replaced by what `parameter` writes for it
 * (its index from 0). */
void sql_client_place_parameters(struct buffer *buffer, const char *sql,
                                 void (*parameter)(struct buffer *buffer, size_t index, void *data),
                                 void *data);

#endif
