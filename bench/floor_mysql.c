/* The floor of MySQL and MariaDB: one connection that blocks, a packet of statements a batch. */
#include <mysql.h>
#include <stdlib.h>
#include <string.h>

#include "engine/mysql/inspect.h"
#include "engine/mysql/url.h"
#include "floor.h"
#include "sql/mysql.h"

struct floor {
  MYSQL *mysql;
  struct mysql_table table;
  struct buffer sql; /* of the next packet */
};

/* What came back for a packet. */
struct answer {
  size_t rows;              /* of all its results */
  size_t changed;           /* by its statements */
  char (*ids)[EVD_ID_SIZE]; /* where to note the ids of the rows; NULL for nowhere */
};

static bool fail(struct floor *floor, const char *what) {
  return bench_fail("floor: %s: %s", what, mysql_error(floor->mysql));
}

static bool execute(struct floor *floor, const char *sql) {
  return mysql_query(floor->mysql, sql) == 0 || fail(floor, sql);
}

static void close_floor(struct floor *floor) {
  if (floor->mysql != NULL)
    mysql_close(floor->mysql);
  buffer_free(&floor->sql);
  free(floor);
}

/* Connects as the engine does. */
static bool connect_to(struct floor *floor, const char *url) {
  evd_error error;
  struct mysql_url *parsed = mysql_url_parse(url, &error);
  if (parsed == NULL)
    return bench_fail("floor: %s", error.message);
  floor->mysql = mysql_init(NULL);
  bool ok = floor->mysql != NULL &&
            mysql_options(floor->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4") == 0 &&
            mysql_real_connect(floor->mysql, parsed->host, parsed->user, parsed->password,
                               parsed->database, parsed->port, parsed->socket,
                               CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS) != NULL;
  mysql_url_release(parsed);
  return (ok && execute(floor, "set session transaction isolation level read committed")) ||
         fail(floor, "connecting");
}

static struct floor *open_floor(const struct target *target) {
  struct floor *floor = calloc(1, sizeof *floor);
  if (floor == NULL)
    return NULL;
  if (connect_to(floor, target->url) &&
      table_name_parse(target->table, &floor->table.name, NULL) == EVD_OK)
    return floor;
  close_floor(floor);
  return NULL;
}

/* Reads every value of a result. */
static void read_rows(MYSQL_RES *result, struct answer *answer) {
  MYSQL_ROW row;
  unsigned fields = mysql_num_fields(result);
  while ((row = mysql_fetch_row(result)) != NULL) {
    const unsigned long *lengths = mysql_fetch_lengths(result);
    size_t bytes = 0;
    for (unsigned field = 0; field < fields; field++)
      if (row[field] != NULL)
        bytes += lengths[field];
    if (answer->ids != NULL && fields > evd_column_execution_id)
      memcpy(answer->ids[answer->rows % CLAIM_LIMIT], row[evd_column_execution_id], EVD_ID_SIZE);
    answer->rows += bytes > 0;
  }
}

/* Sends the packet and reads all that comes back. */
static bool send_packet(struct floor *floor, struct answer *answer) {
  int more = mysql_real_query(floor->mysql, floor->sql.text, floor->sql.length);
  answer->rows = answer->changed = 0;
  while (more == 0) {
    MYSQL_RES *result = mysql_use_result(floor->mysql);
    if (result != NULL) {
      read_rows(result, answer);
      mysql_free_result(result);
    } else {
      answer->changed += (size_t)mysql_affected_rows(floor->mysql);
    }
    more = mysql_next_result(floor->mysql);
  }
  buffer_reset(&floor->sql);
  return more < 0 || fail(floor, "a batch");
}

/* The requests of a get or an update of the rows from start to end. */
static void make_requests(const struct op_work *work, size_t start, size_t end,
                          struct request *requests, struct request **pointers) {
  for (size_t i = start; i < end; i++) {
    struct request *request = &requests[i - start];
    *request = (struct request){.operation = EVD_OPERATION_GET};
    request->id = work->rows->ids[work->rows->random[i]];
    if (work->op == OP_UPDATE) {
      request->operation = EVD_OPERATION_UPDATE;
      request->filter = work->filter;
      request->changes = &work->changes;
    }
    pointers[i - start] = request;
  }
}

/* Inserts, gets or updates the rows from start to end. */
static bool run_batch(struct floor *floor, const struct op_work *work, size_t start, size_t end,
                      struct request *requests, struct request **pointers, size_t *done) {
  struct mysql_writer writer = {.buffer = &floor->sql, .backslashes = true};
  struct answer answer = {0};
  make_requests(work, start, end, requests, pointers);
  if (work->op == OP_INSERT) {
    mysql_sql_insert(&writer, &floor->table);
    for (size_t i = start; i < end; i++)
      mysql_sql_insert_row(&writer, &work->rows->executions[i], i == start);
  } else if (work->op == OP_GET) {
    mysql_sql_get(&writer, &floor->table, pointers, end - start);
  } else {
    buffer_append(&floor->sql, "begin;");
    mysql_sql_lock(&writer, &floor->table, pointers, end - start);
    buffer_append(&floor->sql, ";");
    mysql_sql_update(&writer, &floor->table, pointers, end - start);
    buffer_append(&floor->sql, ";commit");
  }
  bool ok = send_packet(floor, &answer);
  *done += work->op == OP_GET ? answer.rows : answer.changed;
  return ok;
}

/* Inserts, gets or updates all rows. */
static bool run_by_id(struct floor *floor, const struct op_work *work, size_t batch, size_t *done) {
  struct request *requests = calloc(batch, sizeof *requests);
  struct request **pointers = calloc(batch, sizeof *pointers);
  bool ok = requests != NULL && pointers != NULL;
  if (!ok)
    bench_fail("out of memory");
  for (size_t start = 0; start < work->rows->count && ok; start += batch) {
    size_t end = start + batch < work->rows->count ? start + batch : work->rows->count;
    ok = run_batch(floor, work, start, end, requests, pointers, done);
  }
  free(requests);
  free(pointers);
  return ok;
}

/* Claims until all rows are claimed, two packets a claim. */
static bool run_claims(struct floor *floor, const struct op_work *work, size_t *done) {
  char ids[CLAIM_LIMIT][EVD_ID_SIZE];
  const char *pointers[CLAIM_LIMIT];
  struct mysql_writer writer = {.buffer = &floor->sql, .backslashes = true};
  struct request request = {.operation = EVD_OPERATION_CLAIM_BY_START_AT,
                            .changes = &work->changes,
                            .status = EVD_STATUS_READY,
                            .before = work->before,
                            .started_at = work->started_at,
                            .limit = CLAIM_LIMIT};
  struct answer answer = {.ids = ids};
  for (size_t i = 0; i < CLAIM_LIMIT; i++)
    pointers[i] = ids[i];
  while (*done < work->rows->count) {
    buffer_append(&floor->sql, "begin;");
    mysql_sql_select(&writer, &floor->table, &request);
    if (!send_packet(floor, &answer) || answer.rows == 0)
      return false;
    mysql_sql_update_selected(&writer, &floor->table, &request, pointers, answer.rows);
    buffer_append(&floor->sql, ";commit");
    if (!send_packet(floor, &answer))
      return false;
    *done += answer.changed;
  }
  return true;
}

static bool run(struct floor *floor, const struct op_work *work, size_t batch, size_t depth,
                size_t *done) {
  (void)depth;
  evd_error error;
  if (mysql_inspect(floor->mysql, EVD_SCHEMA_CHECK, &floor->table, &error) != EVD_OK)
    return bench_fail("floor: %s", error.message);
  return work->op == OP_CLAIM ? run_claims(floor, work, done) : run_by_id(floor, work, batch, done);
}

const struct floor_ops floor_mysql = {
    .engine = "mysql",
    .open = open_floor,
    .execute = execute,
    .run = run,
    .close = close_floor,
};
