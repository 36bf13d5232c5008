/* The description of PostgreSQL. */
#include "sql/dialect.h"

#define POSTGRES_SETTING(name) "select current_setting('" name "')"

static const struct setting settings[] = {
    {"version", "select current_setting('server_version_num')", NULL, 140000, SEVERITY_ERROR,
     "evdurable needs PostgreSQL 14 or later"},
    {"in recovery", "select pg_is_in_recovery()::int", "0", 0, SEVERITY_ERROR,
     "this is a standby: it accepts no writes"},
    {"fsync", POSTGRES_SETTING("fsync"), "on", 0, SEVERITY_ERROR,
     "a system crash can destroy the database"},
    {"full_page_writes", POSTGRES_SETTING("full_page_writes"), "on", 0, SEVERITY_ERROR,
     "a system crash can destroy pages"},
    {"synchronous_commit", POSTGRES_SETTING("synchronous_commit"),
     "on|local|remote_write|remote_apply", 0, SEVERITY_WARNING,
     "a crash loses what was acknowledged just before it"},
    {"autovacuum", POSTGRES_SETTING("autovacuum"), "on", 0, SEVERITY_WARNING,
     "each execution is updated several times: without vacuum the table grows without limit"},
    {"default_transaction_isolation", POSTGRES_SETTING("default_transaction_isolation"),
     "read committed", 0, SEVERITY_WARNING,
     "concurrent claims then fail with serialization errors and are retried, unless the URL sets "
     "isolation"},
    {"server_encoding", POSTGRES_SETTING("server_encoding"), "UTF8|SQL_ASCII", 0, SEVERITY_WARNING,
     "texts with characters outside it are refused"},
    {"no encoding", "select (current_setting('server_encoding') = 'SQL_ASCII')::int", "0", 0,
     SEVERITY_WARNING,
     "SQL_ASCII accepts any bytes: texts from other programs that are not UTF-8 cannot be read, and "
     "JSON with \\u escapes beyond ASCII is refused"},
    {"max_connections", POSTGRES_SETTING("max_connections"), NULL, 0, SEVERITY_NOTE, NULL},
    {"connections", "select count(*) from pg_stat_activity where backend_type = 'client backend'",
     NULL, 0, SEVERITY_NOTE, NULL},
    {"statement_timeout", POSTGRES_SETTING("statement_timeout"), NULL, 0, SEVERITY_NOTE, NULL},
    {"lock_timeout", POSTGRES_SETTING("lock_timeout"), NULL, 0, SEVERITY_NOTE, NULL},
    {"idle_in_transaction_session_timeout", POSTGRES_SETTING("idle_in_transaction_session_timeout"),
     NULL, 0, SEVERITY_NOTE, NULL},
    {"deadlock_timeout", POSTGRES_SETTING("deadlock_timeout"), NULL, 0, SEVERITY_NOTE, NULL},
    {NULL, NULL, NULL, 0, SEVERITY_NOTE, NULL}};

static const char *const schemes[] = {"postgresql://", "postgres://", NULL};
static const char *const denied[] = {"42501", NULL};

/* The table as sql_table() writes it, of the parameters schema and name. */
#define TABLE "coalesce('\"' || nullif(?, '') || '\".', '') || '\"' || ? || '\"'"
#define TABLE_OID "to_regclass(" TABLE ")"

/* The key of the lock: also that under which a storage creates its table when it is opened. */
#define LOCK_KEY "(hashtext('evdurable'), hashtext(" TABLE "))::int"

const struct dialect dialect_postgres = {
    .name = "postgres",
    .schemes = schemes,
    .is_server = true,
    .quote = '"',
    .booleans = {"false", "true"},
    .now = "cast(floor(extract(epoch from clock_timestamp()) * 1000) as bigint)",
    .insert_missing = "insert into",
    .on_duplicate = "\n  on conflict do nothing",
    .json_rows =
        {
            .now = "cast(floor(extract(epoch from statement_timestamp()) * 1000) as bigint)",
            .begin = " from jsonb_array_elements($1::jsonb) as e",
            .end = "",
            .values = {[JSON_COLUMN_TEXT] = "e.value ->> '{key}'",
                       [JSON_COLUMN_INTEGER] = "(e.value ->> '{key}')::{type}",
                       [JSON_COLUMN_BOOL] = "(e.value ->> '{key}')::{type}",
                       [JSON_COLUMN_ANY] = "(e.value -> '{key}')::{type}",
                       [JSON_COLUMN_DOCUMENT] = "nullif(e.value -> '{key}', 'null')::{type}"},
        },
    .types = {[COLUMN_ID] = "text",
              [COLUMN_UNIQUE_ID] = "text",
              [COLUMN_JSON] = "jsonb",
              [COLUMN_JSON_OBJECT] = "jsonb",
              [COLUMN_JSON_ARRAY] = "jsonb",
              [COLUMN_COUNT32] = "integer",
              [COLUMN_DURATION] = "bigint",
              [COLUMN_TIME] = "bigint",
              [COLUMN_BOOL] = "boolean",
              [COLUMN_STATUS] = "text",
              [COLUMN_OCFP_STATUS] = "text",
              [COLUMN_CLOSE_STATUS] = "text"},
    .framework_types =
        {[COLUMN_JSON] = "text", [COLUMN_JSON_OBJECT] = "json", [COLUMN_JSON_ARRAY] = "json"},
    .framework_key = "id bigint primary key generated always as identity",
    .table_options = "",
    .framework_options = "",
    .has_schemas = true,
    .has_ddl_transactions = true,
    .change_type = "alter table {table} alter column {column} type {type} using {column}::{type}",
    .allow_null = "alter table {table} alter column {column} drop not null",
    .has_json_type = true,
    .has_partial_indexes = true,
    .has_concurrent_indexes = true,
    .creates_indexes_apart = true,
    /* The function is only called for what it refuses: the condition is the trigger's. */
    .create_trigger =
        "create or replace function {schema}{name}() returns trigger language plpgsql as $$\n"
        "begin\n"
        "  raise exception '{message}'\n"
        "    using errcode = 'check_violation', schema = tg_table_schema,\n"
        "      table = tg_table_name, column = 'status', constraint = tg_name,\n"
        "      detail = format('%s is %s and would become %s', old.execution_id, old.status,"
        " new.status);\n"
        "end $$;\n"
        "create or replace trigger {name} before update of status on {table}\n"
        "for each row when ({condition})\nexecute function {schema}{name}();\n",
    .drop_trigger = "drop trigger if exists {name} on {table};\n"
                    "drop function if exists {schema}{name}();\n",
    .catalog =
        {
            .table = "select (relkind in ('r', 'p'))::int from pg_class where oid = " TABLE_OID,
            .columns = "select attname, format_type(atttypid, atttypmod), attnotnull::int,"
                       " (atthasdef or attidentity <> '')::int from pg_attribute"
                       " where attrelid = " TABLE_OID " and attnum > 0 and not attisdropped",
            .indexes =
                "select c.relname, i.indisunique::int, (i.indisvalid and i.indisready)::int,"
                " pg_get_expr(i.indpred, i.indrelid),"
                " (select string_agg(coalesce(a.attname, ''), ',' order by k.place)"
                "  from unnest(i.indkey) with ordinality k (number, place) left join pg_attribute a"
                "  on a.attrelid = i.indrelid and a.attnum = k.number"
                "  where k.place <= i.indnkeyatts)"
                " from pg_index i join pg_class c on c.oid = i.indexrelid"
                " where i.indrelid = " TABLE_OID,
            .trigger = "select 1 from pg_trigger where tgrelid = " TABLE_OID " and tgname = ?"
                       " and tgenabled <> 'D'",
        },
    .lock = /* none waits in the server: "create index concurrently" waits for all who wait there */
    {.begin = "begin",
     .try_transaction = "select pg_try_advisory_xact_lock" LOCK_KEY,
     .try_session = "select pg_try_advisory_lock" LOCK_KEY,
     .release_session = "select pg_advisory_unlock" LOCK_KEY},
    .denied = denied,
    .unknown_setting = "42704", /* undefined_object */
    .settings = settings,
};
