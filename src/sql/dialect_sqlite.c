/* The description of SQLite. */
#include "sql/dialect.h"

static const struct setting settings[] = {
    {"version", "select sqlite_version()", NULL, 0, SEVERITY_NOTE, NULL},
    {"journal_mode", "pragma journal_mode", "wal", 0, SEVERITY_WARNING,
     "in modes other than wal, readers and writers block each other; a storage switches to wal when "
     "it opens the database, unless its URL says otherwise"},
    {"page_size", "pragma page_size", NULL, 0, SEVERITY_NOTE, NULL},
    {"page_count", "pragma page_count", NULL, 0, SEVERITY_NOTE, NULL},
    {"freelist_count", "pragma freelist_count", NULL, 0, SEVERITY_NOTE, NULL},
    {"auto_vacuum", "pragma auto_vacuum", NULL, 0, SEVERITY_NOTE, NULL},
    {"encoding", "pragma encoding", "UTF-8", 0, SEVERITY_WARNING,
     "every statement converts its texts to UTF-8 and back"},
    {NULL, NULL, NULL, 0, SEVERITY_NOTE, NULL}};

static const char *const schemes[] = {"sqlite:", "file:", NULL};
static const char *const denied[] = {NULL}; /* there are no users */

/* What is said of a column that "alter table" cannot change. */
static const char new_table[] = "evdurable export, migrate up on a new table, import";

#define NOW "cast((julianday('now') - 2440587.5) * 86400000 as integer)"

const struct dialect dialect_sqlite = {
    .name = "sqlite",
    .schemes = schemes,
    .quote = '"',
    .booleans = {"0", "1"},
    .now = NOW,
    .insert_missing = "insert into",
    .on_duplicate = "\n  on conflict do nothing",
    .json_rows =
        {
            .now = NOW,
            .begin = " from json_each(?1) as e",
            .end = "",
            .values = {[JSON_COLUMN_TEXT] = "e.value ->> '$.{key}'",
                       [JSON_COLUMN_INTEGER] = "e.value ->> '$.{key}'",
                       [JSON_COLUMN_BOOL] = "e.value ->> '$.{key}'",
                       [JSON_COLUMN_ANY] = "e.value -> '$.{key}'",
                       [JSON_COLUMN_DOCUMENT] = "nullif(e.value -> '$.{key}', 'null')"},
        },
    .types = {[COLUMN_ID] = "text",
              [COLUMN_UNIQUE_ID] = "text",
              [COLUMN_JSON] = "text",
              [COLUMN_JSON_OBJECT] = "text",
              [COLUMN_JSON_ARRAY] = "text",
              [COLUMN_COUNT32] = "integer",
              [COLUMN_DURATION] = "integer",
              [COLUMN_TIME] = "integer",
              [COLUMN_BOOL] = "integer",
              [COLUMN_STATUS] = "text",
              [COLUMN_OCFP_STATUS] = "text",
              [COLUMN_CLOSE_STATUS] = "text"},
    .framework_key = "id integer primary key autoincrement not null",
    .table_options = " strict",
    .framework_options = "",
    .checks_json = true,
    .checks_by_column = true,
    .checks_by_or = true, /* for "in" it would build a table in memory, each time that it looks */
    .adds_check_inline = true,
    .adds_with_default = true,
    .has_ddl_transactions = true,
    .change_type = new_table,
    .allow_null = new_table,
    .has_any_integers = true,
    .has_partial_indexes = true,
    .creates_indexes_apart = true,
    .index_has_schema = true,
    .create_trigger = "drop trigger if exists {schema}{name};\n"
                      "create trigger {schema}{name} before update of status on {bare}\n"
                      "when {condition}\nbegin select raise(abort, '{message}'); end;\n",
    .drop_trigger = "drop trigger if exists {schema}{name};\n",
    .catalog = /* names, which have no case, come in lower case; the schema is always main */
    {
        .table = "select type = 'table' from main.sqlite_schema where type in ('table', 'view')"
                 " and name = ?2 collate nocase",
        .columns = "select lower(name), type, \"notnull\", dflt_value is not null or pk > 0"
                   " from pragma_table_info(?2, 'main')",
        .indexes = "select l.name, l.\"unique\", 1, case when l.partial then 'partial' end,"
                   " (select group_concat(coalesce(lower(name), ''))"
                   "  from (select name from pragma_index_info(l.name, 'main') order by seqno))"
                   " from pragma_index_list(?2, 'main') l",
        .trigger = "select 1 from main.sqlite_schema where type = 'trigger'"
                   " and tbl_name = ?2 collate nocase and name = ?3 collate nocase",
    },
    .lock = {.begin = "begin immediate"},
    .denied = denied,
    .settings = settings,
};
