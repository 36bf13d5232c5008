/* PostgreSQL: the server is asked what the user may do. */
#include <stdlib.h>

#include "migrate/privileges.h"
#include "model/columns.h"
#include "model/error.h"

static evd_code read_user(struct privilege_search *search, evd_error *error) {
  char *user;
  evd_code code = sql_client_text(search->client, "select current_user", NULL, &user, error);
  if (code == EVD_OK) {
    sql_identifier(&search->user, sql_client_dialect(search->client), user != NULL ? user : "");
    free(user);
  }
  return code == EVD_OK && search->user.failed ? error_set_no_memory(error) : code;
}

/* A schema that has the table, and may not be used. */
static const char hidden_sql[] =
    "select quote_ident(n.nspname) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " where c.relname = ? and c.relkind in ('r', 'p') and not has_schema_privilege(n.oid, 'usage')"
    " and case when ? = '' then to_regclass(?) is null else n.nspname = ? end";

/* What may not be done with all of our columns (their names follow); and whether rows may be
 * deleted. */
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
static void add_usage(struct privilege_search *search, const char *kind, const char *name,
                      const char *why) {
  struct buffer object = {0};
  buffer_printf(&object, "%s %s", kind, name);
  if (object.failed) {
    search->findings->failed = true;
  } else {
    privileges_add_grant(search, SEVERITY_ERROR, "usage", object.text, why);
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
  privileges_note_missing(data, values[0]);
  return true;
}

static evd_code ask_table_privileges(struct privilege_search *search, evd_error *error) {
  const char *const parameters[] = {search->quoted.whole, search->quoted.whole};
  struct buffer sql = {0};
  buffer_append(&sql, table_privileges_sql);
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    buffer_printf(&sql, "%s'%s'", i == 0 ? "" : ", ", columns[i].name);
  }
  buffer_append(&sql, delete_privilege_sql);
  evd_code code = sql.failed ? error_set_no_memory(error)
                             : sql_client_query(search->client, sql.text, parameters, add_missing,
                                                search, error);
  buffer_free(&sql);
  return code;
}

static evd_code warn_of_policies(struct privilege_search *search, evd_error *error) {
  int64_t active;
  evd_code code = sql_client_integer(
      search->client,
      "select row_security_active(to_regclass(?)::oid)::int where to_regclass(?) is not null",
      (const char *const[]){search->quoted.whole, search->quoted.whole}, 0, &active, error);
  if (code == EVD_OK && active != 0) {
    findings_add(search->findings, SEVERITY_WARNING, "row-level security", "",
                 "applies to this user: rows that its policies hide are not found, and those that "
                 "they refuse cannot be stored");
  }
  return code;
}

evd_code privileges_find_postgres(struct privilege_search *search, evd_error *error) {
  const struct table_name *table = search->table;
  const char *quoted = search->quoted.whole;
  const struct finding *last = search->findings->last;
  evd_code code = read_user(search, error);
  if (code != EVD_OK) {
    return code;
  }
  code = sql_client_query(search->client, hidden_sql,
                          (const char *const[]){table->name, table->schema, quoted, table->schema},
                          add_hidden_schema, search, error);
  search->hidden = search->findings->last != last;
  if (code != EVD_OK || search->hidden) {
    return code;
  }
  code = ask_table_privileges(search, error);
  if (code == EVD_OK) {
    privileges_add_table_grants(search);
    code = sql_client_query(search->client, sequence_sql, (const char *const[]){quoted, quoted},
                            add_sequence, search, error);
  }
  return code == EVD_OK ? warn_of_policies(search, error) : code;
}
