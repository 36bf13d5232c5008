/*
 * The floor of MySQL and MariaDB: a packet of statements a batch, on connections that block. A
 * connection carries one batch at a time, so there is a connection, with a thread, for each batch
 * in flight.
 */
#include <mysql.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/mysql/connect.h"
#include "engine/mysql/inspect.h"
#include "engine/mysql/url.h"
#include "floor.h"
#include "sql/mysql.h"

/* Batches in flight at most: as many connections as the engine has by default. */
enum { DEPTH_MAX = 4 };

struct floor {
  MYSQL *mysql;
  struct mydb_table table;
  struct buffer sql; /* of the next packet */
  struct floor
      *others[DEPTH_MAX - 1]; /* further connections, each with a floor of its own; owned */
  size_t other_count;
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
  for (size_t i = 0; i < floor->other_count; i++) {
    close_floor(floor->others[i]);
  }
  if (floor->mysql != NULL) {
    mysql_close(floor->mysql);
  }
  buffer_free(&floor->sql);
  free(floor);
}

/* Connects as the engine does. */
static bool connect_to(struct floor *floor, const char *url) {
  evd_error error;
  struct mydb_url *parsed = mydb_url_parse(url, &error);
  if (parsed == NULL) {
    return bench_fail("floor: %s", error.message);
  }
  floor->mysql = mysql_init(NULL);
  bool ok = floor->mysql != NULL &&
            (mydb_connect_dial(floor->mysql, parsed, CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS,
                               &error) == EVD_OK ||
             bench_fail("floor: %s", error.message));
  mydb_url_release(parsed);
  return ok && execute(floor, "set session transaction isolation level read committed");
}

static struct floor *open_floor(const struct target *target) {
  struct floor *floor = calloc(1, sizeof *floor);
  if (floor == NULL) {
    return NULL;
  }
  if (connect_to(floor, target->url) &&
      table_name_parse(target->table, &floor->table.name, NULL) == EVD_OK) {
    return floor;
  }
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
    for (unsigned field = 0; field < fields; field++) {
      if (row[field] != NULL) {
        bytes += lengths[field];
      }
    }
    if (answer->ids != NULL && fields > evd_column_execution_id) {
      memcpy(answer->ids[answer->rows % CLAIM_LIMIT], row[evd_column_execution_id], EVD_ID_SIZE);
    }
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
    request->id = op_id(work, i);
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
  struct mydb_writer writer = {.buffer = &floor->sql, .backslashes = true};
  struct answer answer = {0};
  make_requests(work, start, end, requests, pointers);
  if (work->op == OP_INSERT) {
    mydb_sql_insert(&writer, &floor->table);
    for (size_t i = start; i < end; i++) {
      mydb_sql_insert_row(&writer, &work->rows->executions[i], i == start);
    }
  } else if (work->op == OP_GET) {
    mydb_sql_get(&writer, &floor->table, pointers, end - start);
  } else {
    buffer_append(&floor->sql, "begin;");
    mydb_sql_lock(&writer, &floor->table, pointers, end - start);
    buffer_append(&floor->sql, ";");
    mydb_sql_update(&writer, &floor->table, pointers, end - start);
    buffer_append(&floor->sql, ";commit");
  }
  bool ok = send_packet(floor, &answer);
  *done += work->op == OP_GET ? answer.rows : answer.changed;
  return ok;
}

/* What the threads share: all rows, of which each takes the next batch. */
struct job {
  const struct op_work *work;
  size_t batch;
  atomic_size_t next, done;
};

/* One thread, with its connection. */
struct hand {
  struct floor *floor;
  struct job *job;
  pthread_t thread;
  bool ok;
};

/* Inserts, gets or updates rows until none are left. */
static bool run_by_id(struct floor *floor, struct job *job) {
  size_t batch = job->batch, count = op_total(job->work), start;
  struct request *requests = calloc(batch, sizeof *requests);
  struct request **pointers = calloc(batch, sizeof *pointers);
  bool ok = requests != NULL && pointers != NULL;
  if (!ok) {
    bench_fail("out of memory");
  }
  while (ok && (start = atomic_fetch_add(&job->next, batch)) < count) {
    size_t end = start + batch < count ? start + batch : count, done = 0;
    ok = run_batch(floor, job->work, start, end, requests, pointers, &done);
    atomic_fetch_add(&job->done, done);
  }
  free(requests);
  free(pointers);
  return ok;
}

/* Claims until all rows are claimed, two packets a claim. */
static bool run_claims(struct floor *floor, struct job *job) {
  const struct op_work *work = job->work;
  char ids[CLAIM_LIMIT][EVD_ID_SIZE];
  const char *pointers[CLAIM_LIMIT];
  struct mydb_writer writer = {.buffer = &floor->sql, .backslashes = true};
  struct request request = {.operation = EVD_OPERATION_CLAIM_BY_START_AT,
                            .changes = &work->changes,
                            .status = EVD_STATUS_READY,
                            .before = work->before,
                            .started_at = work->started_at,
                            .limit = CLAIM_LIMIT};
  struct answer answer = {.ids = ids};
  for (size_t i = 0; i < CLAIM_LIMIT; i++) {
    pointers[i] = ids[i];
  }
  while (atomic_load(&job->done) < work->rows->count) {
    buffer_append(&floor->sql, "begin;");
    mydb_sql_select(&writer, &floor->table, &request);
    if (!send_packet(floor, &answer)) {
      return false;
    }
    if (answer.rows > 0) { /* else the last are with another thread */
      mydb_sql_update_selected(&writer, &floor->table, &request, pointers, answer.rows);
      buffer_append(&floor->sql, ";");
    }
    buffer_append(&floor->sql, "commit");
    if (!send_packet(floor, &answer)) {
      return false;
    }
    atomic_fetch_add(&job->done, answer.changed);
  }
  return true;
}

static void *work_along(void *data) {
  struct hand *hand = data;
  mysql_thread_init();
  bool claims = hand->job->work->op == OP_CLAIM;
  hand->ok = (claims ? run_claims : run_by_id)(hand->floor, hand->job);
  mysql_thread_end();
  return NULL;
}

/* Reads the table, and opens a connection for each further batch in flight. */
static bool prepare(struct floor *floor, const struct op_work *work, size_t depth) {
  evd_error error;
  if (mydb_inspect(floor->mysql, EVD_SCHEMA_CHECK, &floor->table, &error) != EVD_OK) {
    return bench_fail("floor: %s", error.message);
  }
  while (floor->other_count + 1 < depth && floor->other_count + 1 < DEPTH_MAX) {
    struct floor *other = open_floor(work->target);
    if (other == NULL) {
      return false;
    }
    other->table = floor->table;
    floor->others[floor->other_count++] = other;
  }
  return true;
}

static bool run(struct floor *floor, const struct op_work *work, size_t batch, size_t depth,
                size_t *done) {
  (void)depth;
  struct job job = {.work = work, .batch = batch};
  struct hand hands[DEPTH_MAX] = {{0}};
  size_t started = 0, count = floor->other_count + 1;
  bool ok = true;
  for (; ok && started < count; started += ok) {
    struct hand *hand = &hands[started];
    *hand = (struct hand){.floor = started > 0 ? floor->others[started - 1] : floor, .job = &job};
    ok = pthread_create(&hand->thread, NULL, work_along, hand) == 0 ||
         bench_fail("floor: cannot start a thread");
  }
  for (size_t i = 0; i < started; i++) {
    pthread_join(hands[i].thread, NULL);
    ok = ok && hands[i].ok;
  }
  *done = atomic_load(&job.done);
  return ok;
}

const struct floor_ops floor_mysql = {
    .engine = "mysql",
    .open = open_floor,
    .execute = execute,
    .prepare = prepare,
    .run = run,
    .close = close_floor,
};
