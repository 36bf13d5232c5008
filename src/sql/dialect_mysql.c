/* The description of MySQL and MariaDB. */
#include "sql/dialect.h"

static const struct setting settings[] = {
    {"version", "select version()", NULL, 0, SEVERITY_NOTE, NULL},
    {"read_only", "select @@global.read_only", "0", 0, SEVERITY_ERROR,
     "the server accepts no writes"},
    {"innodb_flush_log_at_trx_commit", "select @@global.innodb_flush_log_at_trx_commit", "1|3", 0,
     SEVERITY_WARNING, "a crash loses what was acknowledged in the second before it"},
    {"innodb_doublewrite", "select @@global.innodb_doublewrite", "1|ON|DETECT_AND_RECOVER", 0,
     SEVERITY_WARNING, "a system crash can destroy pages"},
    {"log_bin", "select @@global.log_bin", NULL, 0, SEVERITY_NOTE, NULL},
    {"sync_binlog", "select if(@@global.log_bin, @@global.sync_binlog, 'no log')", "1|no log", 0,
     SEVERITY_WARNING, "after a crash, this server and its replicas may differ"},
    {"innodb_lock_wait_timeout", "select @@global.innodb_lock_wait_timeout", NULL, 0, SEVERITY_NOTE,
     NULL},
    {"max_allowed_packet", "select @@global.max_allowed_packet", NULL, 4 << 20, SEVERITY_WARNING,
     "batches are limited to it, and larger executions are refused: use 16 MB or more"},
    {"wait_timeout", "select @@global.wait_timeout", NULL, 0, SEVERITY_NOTE, NULL},
    {"max_connections", "select @@global.max_connections", NULL, 0, SEVERITY_NOTE, NULL},
    {"connections", "select count(*) from information_schema.processlist", NULL, 0, SEVERITY_NOTE,
     NULL},
    {NULL, NULL, NULL, 0, SEVERITY_NOTE, NULL}};

static const char *const schemes[] = {"mysql://", "mariadb://", NULL};

/* Of a database, a table, a column, and others. */
static const char *const denied[] = {"1044", "1142", "1143", "1227", NULL};

/* The lock's name, of the parameters schema and name: at most 64 characters. */
#define LOCK_NAME \
  "concat('evdurable ', left(sha2(concat(coalesce(nullif(?, ''), database()), '.', ?), 256), 40))"

const struct dialect dialect_mysql = {
    .name = "mysql",
    .schemes = schemes,
    .is_server = true,
    .quote = '`',
    .booleans = {"0", "1"},
    .now = "cast(unix_timestamp(sysdate(3)) * 1000 as signed)",
    .insert_missing = "insert ignore into",
    .on_duplicate = "",
    /* Texts are cut off at the length that is given here: it is more than any column takes. An
     * integer is a text, for MariaDB makes 0 of what is none, where the insert refuses it. A null
     * that is a document is none in a column of MySQL's json_table. */
    .json_rows =
        {
            .now = "cast(unix_timestamp(now(3)) * 1000 as signed)",
            .begin = " from json_table(?, '$[*]' columns (element json path '$'",
            .end = ")) as e",
            .columns = {[JSON_COLUMN_TEXT] = "{column} varchar(1024) path '$.{key}'",
                        [JSON_COLUMN_INTEGER] = "{column} varchar(64) path '$.{key}'",
                        [JSON_COLUMN_BOOL] = "{column} boolean path '$.{key}' error on error",
                        [JSON_COLUMN_DOCUMENT] = "{column} json path '$.{key}'"},
            .values = {[JSON_COLUMN_TEXT] = "e.{column}",
                       [JSON_COLUMN_INTEGER] = "e.{column}",
                       [JSON_COLUMN_BOOL] = "e.{column}",
                       [JSON_COLUMN_ANY] = "json_extract(e.element, '$.{key}')",
                       [JSON_COLUMN_DOCUMENT] =
                           "case when json_type(e.{column}) <> 'NULL' then e.{column} end"},
        },
    .types = {[COLUMN_ID] = "varchar(64)",
              [COLUMN_UNIQUE_ID] = "varchar(255)",
              [COLUMN_JSON] = "json",
              [COLUMN_JSON_OBJECT] = "json",
              [COLUMN_JSON_ARRAY] = "json",
              [COLUMN_COUNT32] = "int",
              [COLUMN_DURATION] = "bigint",
              [COLUMN_TIME] = "bigint",
              [COLUMN_BOOL] = "boolean",
              [COLUMN_STATUS] = "varchar(64)",
              [COLUMN_OCFP_STATUS] = "varchar(64)",
              [COLUMN_CLOSE_STATUS] = "varchar(64)"},
    .framework_types = {[COLUMN_JSON] = "longtext"},
    .framework_key = "id bigint unsigned not null auto_increment primary key",
    /* Ids that differ in case, or in a space at the end, are different ids. The collation for that
     * has a name of its own on MariaDB and on MySQL, each of which skips the other's comment. */
    .table_options = " engine = InnoDB default character set utf8mb4"
                     " /*M! collate utf8mb4_nopad_bin */ /*!80017 collate utf8mb4_0900_bin */",
    .framework_options = " engine = InnoDB",
    .has_schemas = true,
    .change_type = "alter table {table} modify column {definition}",
    .allow_null = "alter table {table} modify column {definition}",
    .has_json_type = true,
    .has_small_text = true,
    .create_trigger = "drop trigger if exists {schema}{name};\n"
                      "create trigger {schema}{name} before update on {table}\n"
                      "for each row if {condition} then\n"
                      "  signal sqlstate '45000' set message_text = '{message}',\n"
                      "    column_name = 'status';\n"
                      "end if;\n",
    .drop_trigger = "drop trigger if exists {schema}{name};\n",
    .catalog =
        {
            .table = "select table_type = 'BASE TABLE' from information_schema.tables"
                     " where table_schema = coalesce(nullif(?, ''), database()) and table_name = ?",
            .columns = "select column_name, column_type, is_nullable = 'NO',"
                       " column_default is not null or extra <> ''"
                       " from information_schema.columns"
                       " where table_schema = coalesce(nullif(?, ''), database())"
                       " and table_name = ?",
            .indexes =
                "select index_name, min(non_unique) = 0, max(sub_part is not null) = 0, null,"
                " group_concat(coalesce(column_name, '') order by seq_in_index)"
                " from information_schema.statistics"
                " where table_schema = coalesce(nullif(?, ''), database())"
                " and table_name = ? and index_type = 'BTREE' group by index_name",
            .trigger = "select 1 from information_schema.triggers"
                       " where event_object_schema = coalesce(nullif(?, ''), database())"
                       " and event_object_table = ? and trigger_name = ?",
        },
    .hides_tables = true,
    .lock = {.try_session = "select get_lock(" LOCK_NAME ", 0)",
             .release_session = "select release_lock(" LOCK_NAME ")"},
    .denied = denied,
    .unknown_setting = "1193",
    .settings = settings,
};
