/* Sessions of the databases' own clients. */
#include "support/native_sql.h"

#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef EVD_WITH_POSTGRES
#include <libpq-fe.h>
#endif
#ifdef EVD_WITH_MYSQL
#include <mysql.h>
#endif
#ifdef EVD_WITH_SQLITE
#include <sqlite3.h>
#endif

#include "support/check.h"
#include "support/mysql_url.h"

struct native {
#ifdef EVD_WITH_POSTGRES
  PGconn *postgres;
#endif
#ifdef EVD_WITH_MYSQL
  MYSQL *mysql;
#endif
#ifdef EVD_WITH_SQLITE
  sqlite3 *sqlite;
#endif
};

static void __attribute__((noreturn)) fail_with(const char *what, const char *why) {
  fprintf(stderr, "native SQL: %s: %s\n", what, why);
  exit(99);
}

#ifdef EVD_WITH_SQLITE
static bool is_sqlite(const char *url) {
  return strncasecmp(url, "sqlite:", 7) == 0 || strncasecmp(url, "file:", 5) == 0;
}

static void open_sqlite(struct native *native, const char *url) {
  const char *name = strncasecmp(url, "sqlite:", 7) == 0 ? url + 7 : url;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
  if (sqlite3_open_v2(name, &native->sqlite, flags, NULL)) {
    fail_with(url, sqlite3_errmsg(native->sqlite));
  }
  sqlite3_busy_timeout(native->sqlite, 10000);
}

/* Runs all statements; the first column of the last one's first row. */
static const char *run_sqlite(sqlite3 *sqlite, const char *sql) {
  const char *result = NULL;
  while (*sql) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(sqlite, sql, -1, &statement, &sql)) {
      fail_with(sql, sqlite3_errmsg(sqlite));
    }
    int code = sqlite3_step(statement);
    result = NULL;
    if (code == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL) {
      result = text("%s", (const char *)sqlite3_column_text(statement, 0));
    }
    while (code == SQLITE_ROW) {
      code = sqlite3_step(statement);
    }
    if (statement != NULL && code != SQLITE_DONE) {
      fail_with(sqlite3_sql(statement), sqlite3_errmsg(sqlite));
    }
    sqlite3_finalize(statement);
  }
  return result;
}

static const char *try_sqlite(sqlite3 *sqlite, const char *sql, const char *parameter) {
  sqlite3_stmt *statement = NULL;
  bool good = sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL) == SQLITE_OK &&
              sqlite3_bind_parameter_count(statement) == 1 &&
              sqlite3_bind_text(statement, 1, parameter, -1, SQLITE_STATIC) == SQLITE_OK &&
              sqlite3_step(statement) == SQLITE_DONE;
  const char *wrong = good ? NULL : text("%s", sqlite3_errmsg(sqlite));
  sqlite3_finalize(statement);
  return wrong;
}
#endif

#ifdef EVD_WITH_MYSQL
static bool is_mysql(const char *url) {
  return strncasecmp(url, "mysql:", 6) == 0 || strncasecmp(url, "mariadb:", 8) == 0;
}

static void open_mysql(struct native *native, const char *url) {
  struct mydb_parts parts;
  mysql_parts_read(&parts, url);
  native->mysql = mysql_init(NULL);
  mysql_options(native->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  if (mysql_real_connect(native->mysql, parts.host, parts.user, parts.password, parts.database,
                         parts.port, parts.socket, CLIENT_MULTI_STATEMENTS) == NULL) {
    fail_with(url, mysql_error(native->mysql));
  }
}

static const char *run_mysql(MYSQL *mysql, const char *sql) {
  const char *result = NULL;
  int more = mysql_query(mysql, sql);
  while (more == 0) {
    MYSQL_RES *rows = mysql_store_result(mysql);
    if (rows != NULL) {
      MYSQL_ROW row = mysql_fetch_row(rows);
      result = row != NULL && row[0] != NULL ? text("%s", row[0]) : NULL;
      mysql_free_result(rows);
    }
    more = mysql_next_result(mysql);
  }
  if (more > 0 || mysql_errno(mysql)) {
    fail_with(sql, mysql_error(mysql));
  }
  return result;
}
#endif

#ifdef EVD_WITH_MYSQL
static const char *try_mysql(MYSQL *mysql, const char *sql, const char *parameter) {
  MYSQL_STMT *statement = mysql_stmt_init(mysql);
  MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_STRING,
                     .buffer = (char *)(size_t)parameter,
                     .buffer_length = strlen(parameter)};
  bool good = mysql_stmt_prepare(statement, sql, strlen(sql)) == 0 &&
              mysql_stmt_param_count(statement) == 1 &&
              mysql_stmt_bind_param(statement, &bind) == 0 && mysql_stmt_execute(statement) == 0;
  const char *wrong = good ? NULL : text("%s", mysql_stmt_error(statement));
  mysql_stmt_close(statement);
  return wrong;
}
#endif

#ifdef EVD_WITH_POSTGRES
static const char *try_postgres(PGconn *postgres, const char *sql, const char *parameter) {
  PGresult *answer = PQexecParams(postgres, sql, 1, NULL, &parameter, NULL, NULL, 0);
  bool good = PQresultStatus(answer) == PGRES_COMMAND_OK;
  const char *wrong = good ? NULL : text("%s", PQresultErrorMessage(answer));
  PQclear(answer);
  return wrong;
}

static void open_postgres(struct native *native, const char *url) {
  native->postgres = PQconnectdb(url);
  if (PQstatus(native->postgres) != CONNECTION_OK) {
    fail_with(url, PQerrorMessage(native->postgres));
  }
  PQclear(PQexec(native->postgres, "set client_min_messages = warning"));
}

static const char *run_postgres(PGconn *postgres, const char *sql) {
  PGresult *answer = PQexec(postgres, sql);
  ExecStatusType status = PQresultStatus(answer);
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    fail_with(sql, PQerrorMessage(postgres));
  }
  const char *result = NULL;
  if (PQntuples(answer) > 0 && !PQgetisnull(answer, 0, 0)) {
    result = text("%s", PQgetvalue(answer, 0, 0));
  }
  PQclear(answer);
  return result;
}
#endif

struct native *native_open(const char *url) {
  struct native *native = calloc(1, sizeof *native);
  if (native == NULL) {
    abort();
  }
#ifdef EVD_WITH_SQLITE
  if (is_sqlite(url)) {
    open_sqlite(native, url);
    return native;
  }
#endif
#ifdef EVD_WITH_MYSQL
  if (is_mysql(url)) {
    open_mysql(native, url);
    return native;
  }
#endif
#ifdef EVD_WITH_POSTGRES
  open_postgres(native, url);
  return native;
#endif
  fail_with(url, "no client was built in");
}

const char *native_text(struct native *native, const char *sql) {
#ifdef EVD_WITH_SQLITE
  if (native->sqlite != NULL) {
    return run_sqlite(native->sqlite, sql);
  }
#endif
#ifdef EVD_WITH_MYSQL
  if (native->mysql != NULL) {
    return run_mysql(native->mysql, sql);
  }
#endif
#ifdef EVD_WITH_POSTGRES
  if (native->postgres != NULL) {
    return run_postgres(native->postgres, sql);
  }
#endif
  fail_with(sql, "no connection");
}

const char *native_try(struct native *native, const char *sql, const char *parameter) {
#ifdef EVD_WITH_SQLITE
  if (native->sqlite != NULL) {
    return try_sqlite(native->sqlite, sql, parameter);
  }
#endif
#ifdef EVD_WITH_MYSQL
  if (native->mysql != NULL) {
    return try_mysql(native->mysql, sql, parameter);
  }
#endif
#ifdef EVD_WITH_POSTGRES
  if (native->postgres != NULL) {
    return try_postgres(native->postgres, sql, parameter);
  }
#endif
  fail_with(sql, "no connection");
}

void native_run(struct native *native, const char *sql) {
  (void)native_text(native, sql);
}

int64_t native_number(struct native *native, const char *sql) {
  const char *number = native_text(native, sql);
  return number != NULL ? strtoll(number, NULL, 10) : -1;
}

void native_close(struct native *native) {
#ifdef EVD_WITH_SQLITE
  sqlite3_close(native->sqlite);
#endif
#ifdef EVD_WITH_MYSQL
  if (native->mysql != NULL) {
    mysql_close(native->mysql);
  }
#endif
#ifdef EVD_WITH_POSTGRES
  PQfinish(native->postgres);
#endif
  free(native);
}

void native_run_once(const char *url, const char *sql) {
  struct native *native = native_open(url);
  native_run(native, sql);
  native_close(native);
}
