#include "migrate/privileges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/columns.h"
#include "model/error.h"

/* Asking for them. */
struct search {
  struct sql_client *client;
  const struct table_name *table;
  struct findings *findings;
  struct buffer quoted;  /* the table's name */
  struct buffer user;    /* as "grant" has it */
  struct buffer missing; /* "insert, update" */
  bool lacks_delete;
};

static evd_code out_of_memory(evd_error *error) {
  return error_set(error, EVD_ENOMEM, "", "memory ran out");
}

/* Notes that a privilege of the table is missing. */
static void note_missing(struct search *search, const char *privilege) {
  if (strcmp(privilege, "delete") == 0) {
    search->lacks_delete = true;
  } else {
    buffer_printf(&search->missing, "%s%s", search->missing.length > 0 ? ", " : "", privilege);
  }
}

/* Adds a finding of what is to be granted on something. */
static void add_grant(struct search *search, enum finding_level level, const char *privileges,
                      const char *on, const char *why) {
  struct buffer fix = {0};
  buffer_printf(&fix, "grant %s on %s to %s", privileges, on,
                search->user.failed ? "" : search->user.text);
  if (fix.failed) {
    search->findings->failed = true;
  } else {
    findings_add(search->findings, level, "privilege", fix.text, "%s on %s is missing: %s",
                 privileges, on, why);
  }
  buffer_free(&fix);
}

static void add_table_grants(struct search *search) {
  const char *table = search->quoted.text;
  if (search->missing.length > 0) {
    add_grant(search, FINDING_ERROR, search->missing.text, table, "operations fail");
  }
  if (search->lacks_delete) {
    add_grant(search, FINDING_NOTE, "delete", table, "`evdurable prune` cannot delete");
  }
}

/* PostgreSQL: the server is asked what the user may do. */

/* A schema that has the table, and may not be used. */
static const char hidden_sql[] =
    "select quote_ident(n.nspname) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " where c.relname = ? and c.relkind in ('r', 'p') and not has_schema_privilege(n.oid, 'usage')"
    " and case when ? = '' then to_regclass(?) is null else n.nspname = ? end";

/* What may not be done with all of our columns (their names follow); and whether rows may be deleted. */
static const char table_privileges_sql[] =
    "select p from unnest(array['select', 'insert', 'update']) p where exists (select from"
    " pg_attribute a where a.attrelid = to_regclass(?) and a.attnum > 0 and not a.attisdropped"
    " and not has_column_privilege(a.attrelid, a.attnum, p) and a.attname in (";
static const char delete_privilege_sql[] =
    ")) union all select 'delete' where not has_table_privilege(to_regclass(?)::oid, 'delete')";

/* The sequence of the framework's key, if it may not be used. */
static const char sequence_sql[] =
    "select s from (select pg_get_serial_sequence(?, a.attname) s from pg_attribute a"
    " where a.attrelid = to_regclass(?) and a.attname = 'id' and a.atthasdef"
    " and a.attidentity = '') q where s is not null and not has_sequence_privilege(s, 'usage')"
    " and not has_sequence_privilege(s, 'update')";

/* The use of a schema or a sequence, whose name is as SQL has it. */
static void add_usage(struct search *search, const char *kind, const char *name, const char *why) {
  struct buffer object = {0};
  buffer_printf(&object, "%s %s", kind, name);
  if (object.failed) {
    search->findings->failed = true;
  } else {
    add_grant(search, FINDING_ERROR, "usage", object.text, why);
  }
  buffer_free(&object);
}

static bool add_hidden_schema(const char *const *values, void *data) {
  add_usage(data, "schema", values[0], "the table is not visible");
  return true;
}

static bool add_sequence(const char *const *values, void *data) {
  add_usage(data, "sequence", values[0], "inserts fail");
  return true;
}

static bool add_missing(const char *const *values, void *data) {
  note_missing(data, values[0]);
  return true;
}

static evd_code ask_table_privileges(struct search *search, evd_error *error) {
  const char *const parameters[] = {search->quoted.text, search->quoted.text};
  struct buffer sql = {0};
  buffer_append(&sql, table_privileges_sql);
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    buffer_printf(&sql, "%s'%s'", i == 0 ? "" : ", ", columns[i].name);
  }
  buffer_append(&sql, delete_privilege_sql);
  evd_code code = sql.failed ? out_of_memory(error)
                             : sql_client_query(search->client, sql.text, parameters, add_missing,
                                                search, error);
  buffer_free(&sql);
  return code;
}

static evd_code warn_of_policies(struct search *search, evd_error *error) {
  int64_t active;
  evd_code code = sql_client_integer(
      search->client,
      "select row_security_active(to_regclass(?)::oid)::int where to_regclass(?) is not null",
      (const char *const[]){search->quoted.text, search->quoted.text}, 0, &active, error);
  if (code == EVD_OK && active != 0) {
    findings_add(search->findings, FINDING_WARNING, "row-level security", "",
                 "applies to this user: rows that its policies hide are not found, and those that "
                 "they refuse cannot be stored");
  }
  return code;
}

static evd_code find_postgres(struct search *search, bool *hidden, evd_error *error) {
  const struct table_name *table = search->table;
  const char *quoted = search->quoted.text;
  const struct finding *last = search->findings->last;
  evd_code code =
      sql_client_query(search->client, hidden_sql,
                       (const char *const[]){table->name, table->schema, quoted, table->schema},
                       add_hidden_schema, search, error);
  *hidden = search->findings->last != last;
  if (code != EVD_OK || *hidden) {
    return code;
  }
  code = ask_table_privileges(search, error);
  if (code == EVD_OK) {
    add_table_grants(search);
    code = sql_client_query(search->client, sequence_sql, (const char *const[]){quoted, quoted},
                            add_sequence, search, error);
  }
  return code == EVD_OK ? warn_of_policies(search, error) : code;
}

/* MySQL: what the server would do is explained, which takes the privilege to do it. */

/* Explains a statement; *denied when that takes a privilege that is missing. A table that is not there, or
 * lacks a column, is for others to tell of. */
static evd_code explain(struct search *search, const struct buffer *sql, bool *denied,
                        evd_error *error) {
  *denied = false;
  if (sql->failed) {
    return out_of_memory(error);
  }
  evd_code code = sql_client_execute(search->client, sql->text, error);
  *denied = code != EVD_OK && sql_client_is_denied(error);
  return code == EVD_EUNAVAILABLE || code == EVD_ENOMEM ? code : EVD_OK;
}

static void append_select(struct buffer *sql, const struct search *search) {
  buffer_append(sql, "select ");
  sql_columns(sql, DIALECT_MYSQL, "");
  buffer_printf(sql, " from %s where execution_id = ''", search->quoted.text);
}

static void append_explained(struct buffer *sql, const struct search *search,
                             const char *privilege) {
  const char *table = search->quoted.text;
  buffer_append(sql, "explain ");
  if (strcmp(privilege, "select") == 0) {
    append_select(sql, search);
  } else if (strcmp(privilege, "insert") == 0) {
    buffer_printf(sql, "insert into %s (", table);
    sql_columns(sql, DIALECT_MYSQL, "");
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

static evd_code find_mysql(struct search *search, bool *hidden, evd_error *error) {
  static const char *const privileges[] = {"select", "insert", "update", "delete"};
  for (size_t i = 0; i < sizeof(privileges) / sizeof(privileges[0]); i++) {
    struct buffer sql = {0};
    bool denied;
    append_explained(&sql, search, privileges[i]);
    evd_code code = explain(search, &sql, &denied, error);
    buffer_free(&sql);
    if (code != EVD_OK) {
      return code;
    }
    if (denied) {
      note_missing(search, privileges[i]);
    }
    *hidden = *hidden || (denied && i == 0);
  }
  if (*hidden) {
    /* Without SELECT the others could not be explained, nor seen whether the table is there. */
    add_grant(search, FINDING_ERROR, "select, insert, update", search->quoted.text,
              "at least SELECT is not granted, or the table is not there");
  } else {
    add_table_grants(search);
  }
  return EVD_OK;
}

/* Appends user@host as "grant" has it: 'user'@'host'. */
static void append_account(struct buffer *buffer, const char *account) {
  const char *at = strrchr(account, '@');
  size_t length = at != NULL ? (size_t)(at - account) : strlen(account);
  buffer_printf(buffer, "'%.*s'@'%s'", (int)length, account, at != NULL ? at + 1 : "%");
}

static evd_code read_user(struct search *search, evd_error *error) {
  bool is_postgres = sql_client_dialect(search->client) == DIALECT_POSTGRES;
  char *user;
  evd_code code =
      sql_client_text(search->client, is_postgres ? "select current_user" : "select current_user()",
                      NULL, &user, error);
  if (code != EVD_OK) {
    return code;
  }
  if (is_postgres) {
    sql_identifier(&search->user, DIALECT_POSTGRES, user != NULL ? user : "");
  } else {
    append_account(&search->user, user != NULL ? user : "");
  }
  free(user);
  return search->user.failed ? out_of_memory(error) : EVD_OK;
}

evd_code privileges_find(struct sql_client *client, const struct table_name *table,
                         struct findings *findings, bool *hidden, evd_error *error) {
  enum dialect dialect = sql_client_dialect(client);
  struct search search = {.client = client, .table = table, .findings = findings};
  *hidden = false;
  if (dialect == DIALECT_SQLITE) {
    return EVD_OK;
  }
  sql_table(&search.quoted, dialect, table);
  evd_code code = search.quoted.failed ? out_of_memory(error) : read_user(&search, error);
  if (code == EVD_OK) {
    code = dialect == DIALECT_POSTGRES ? find_postgres(&search, hidden, error)
                                       : find_mysql(&search, hidden, error);
  }
  findings->failed = findings->failed || search.missing.failed;
  buffer_free(&search.quoted);
  buffer_free(&search.user);
  buffer_free(&search.missing);
  return code;
}
