/* MySQL: what the server would do is explained, which takes the privilege to do it. */
#include <stdlib.h>
#include <string.h>

#include "migrate/privileges.h"
#include "model/columns.h"
#include "model/error.h"

/* Explains a statement; *denied when that takes a privilege that is missing. A table that is not
 * there, or lacks a column, is for others to tell of. */
static evd_code explain(struct privilege_search *search, const struct buffer *sql, bool *denied,
                        evd_error *error) {
  *denied = false;
  if (sql->failed) {
    return error_set_no_memory(error);
  }
  evd_code code = sql_client_execute(search->client, sql->text, error);
  *denied = code != EVD_OK && sql_client_is_denied(search->client, error);
  return code == EVD_EUNAVAILABLE || code == EVD_ENOMEM ? code : EVD_OK;
}

static void append_select(struct buffer *sql, const struct privilege_search *search) {
  buffer_append(sql, "select ");
  sql_columns(sql, "");
  buffer_printf(sql, " from %s where execution_id = ''", search->quoted.whole);
}

static void append_explained(struct buffer *sql, const struct privilege_search *search,
                             const char *privilege) {
  const char *table = search->quoted.whole;
  buffer_append(sql, "explain ");
  if (strcmp(privilege, "select") == 0) {
    append_select(sql, search);
  } else if (strcmp(privilege, "insert") == 0) {
    buffer_printf(sql, "insert into %s (", table);
    sql_columns(sql, "");
    buffer_append(sql, ") ");
    append_select(sql, search);
  } else if (strcmp(privilege, "update") == 0) {
    buffer_printf(sql, "update %s set ", table);
    for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
      buffer_printf(sql, "%s%s = %s", i == 0 ? "" : ", ", columns[i].name, columns[i].name);
    }
    buffer_append(sql, " where execution_id = ''");
  } else {
    buffer_printf(sql, "delete from %s where execution_id = ''", table);
  }
}

/* Appends user@host as "grant" has it: 'user'@'host'. */
static void append_account(struct buffer *buffer, const char *account) {
  const char *at = strrchr(account, '@');
  size_t length = at != NULL ? (size_t)(at - account) : strlen(account);
  buffer_printf(buffer, "'%.*s'@'%s'", (int)length, account, at != NULL ? at + 1 : "%");
}

static evd_code read_user(struct privilege_search *search, evd_error *error) {
  char *user;
  evd_code code = sql_client_text(search->client, "select current_user()", NULL, &user, error);
  if (code == EVD_OK) {
    append_account(&search->user, user != NULL ? user : "");
    free(user);
  }
  return code == EVD_OK && search->user.failed ? error_set_no_memory(error) : code;
}

evd_code privileges_find_mysql(struct privilege_search *search, evd_error *error) {
  static const char *const privileges[] = {"select", "insert", "update", "delete"};
  evd_code code = read_user(search, error);
  for (size_t i = 0; code == EVD_OK && i < sizeof privileges / sizeof privileges[0]; i++) {
    struct buffer sql = {0};
    bool denied;
    append_explained(&sql, search, privileges[i]);
    code = explain(search, &sql, &denied, error);
    buffer_free(&sql);
    if (denied) {
      privileges_note_missing(search, privileges[i]);
    }
    search->hidden = search->hidden || (denied && i == 0);
  }
  if (code != EVD_OK) {
    return code;
  }
  if (search->hidden) {
    /* Without SELECT the others could not be explained, nor seen whether the table is there. */
    privileges_add_grant(search, SEVERITY_ERROR, "select, insert, update", search->quoted.whole,
                         "at least SELECT is not granted, or the table is not there");
  } else {
    privileges_add_table_grants(search);
  }
  return EVD_OK;
}
