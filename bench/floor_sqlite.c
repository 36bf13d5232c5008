/* The floor of SQLite: its statements one after the other, one transaction a batch, no thread. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "floor.h"
#include "model/columns.h"
#include "sql/sqlite.h"

struct floor {
  sqlite3 *connection;
};

static bool fail(struct floor *floor, const char *what) {
  return bench_fail("floor: %s: %s", what, sqlite3_errmsg(floor->connection));
}

static bool execute(struct floor *floor, const char *sql) {
  return sqlite3_exec(floor->connection, sql, NULL, NULL, NULL) == SQLITE_OK || fail(floor, sql);
}

static void close_floor(struct floor *floor) {
  sqlite3_close(floor->connection);
  free(floor);
}

static struct floor *open_floor(const struct target *target) {
  const char *path = strncmp(target->url, "sqlite:", 7) == 0 ? target->url + 7 : target->url;
  struct floor *floor = calloc(1, sizeof *floor);
  if (floor == NULL || sqlite3_open_v2(path, &floor->connection,
                                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                           SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
                                       NULL) != SQLITE_OK) {
    bench_fail("floor: cannot open %s", path);
  } else if (execute(floor, "pragma journal_mode = wal; pragma synchronous = extra; "
                            "pragma cache_size = -16384; pragma wal_autocheckpoint = 4000; "
                            "pragma journal_size_limit = 67108864")) {
    return floor;
  }
  if (floor != NULL) {
    close_floor(floor);
  }
  return NULL;
}

/* Prepares the statement that the engine runs for this work. */
static sqlite3_stmt *prepare(struct floor *floor, const struct op_work *work,
                             enum sqlite_part part) {
  static const evd_operation operations[OP_COUNT] = {EVD_OPERATION_INSERT, EVD_OPERATION_GET,
                                                     EVD_OPERATION_UPDATE,
                                                     EVD_OPERATION_CLAIM_BY_START_AT};
  struct request request = {.operation = operations[work->op]};
  struct statement_key key;
  struct table_name table;
  struct buffer sql = {0};
  sqlite3_stmt *statement = NULL;
  if (work->op == OP_UPDATE) {
    request.filter = work->filter;
  }
  if (work->op == OP_UPDATE || work->op == OP_CLAIM) {
    request.changes = &work->changes;
  }
  request.status = EVD_STATUS_READY;
  key = work->op == OP_INSERT ? sqlite_insert_key() : sqlite_statement_key(&request, part);
  if (table_name_parse(work->target->table, &table, NULL) == EVD_OK) {
    sqlite_statement(&sql, &table, &key);
  }
  if (sql.text == NULL ||
      sqlite3_prepare_v3(floor->connection, sql.text, -1, SQLITE_PREPARE_PERSISTENT, &statement,
                         NULL) != SQLITE_OK) {
    fail(floor, "preparing");
  }
  buffer_free(&sql);
  return statement;
}

/* Binds one column of a record. */
static void bind(sqlite3_stmt *statement, int index, const evd_execution *execution,
                 evd_column column) {
  struct value value = column_get(execution, column);
  switch (value.kind) {
  case VALUE_NULL: sqlite3_bind_null(statement, index); break;
  case VALUE_INTEGER: sqlite3_bind_int64(statement, index, value.integer); break;
  case VALUE_TEXT: sqlite3_bind_text(statement, index, value.text, -1, SQLITE_STATIC); break;
  }
}

/* Binds what the changes set, but for `leave_out`; returns the next parameter's index. */
static int bind_changes(sqlite3_stmt *statement, const evd_changes *changes, uint64_t leave_out) {
  int index = 1;
  uint64_t set = changes->set & ~changes->unset & ~leave_out;
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    if ((set & COLUMN_BIT(column)) != 0) {
      bind(statement, index++, &changes->values, column);
    }
  }
  return index;
}

/* Reads all columns of a row, from the first that is the record's; a false sum is a missing row. */
static bool read_row(sqlite3_stmt *statement, int first) {
  size_t sum = 0;
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    int index = first + (int)column;
    if (sqlite3_column_type(statement, index) == SQLITE_NULL) {
      continue;
    }
    if (column_is_text(column) || column_is_enum(column)) {
      sum += sqlite3_column_text(statement, index)[0] != '\0';
    } else {
      sum += (size_t)sqlite3_column_int64(statement, index);
    }
  }
  return sum > 0;
}

/* Runs a statement for its effect; returns the rows it changed. */
static size_t run_statement(struct floor *floor, sqlite3_stmt *statement) {
  bool ok = sqlite3_step(statement) == SQLITE_DONE;
  sqlite3_reset(statement);
  return ok ? (size_t)sqlite3_changes(floor->connection) : 0;
}

static size_t insert_one(struct floor *floor, const struct op_work *work, sqlite3_stmt *statement,
                         size_t index) {
  for (evd_column column = 0; column < EVD_COLUMN_COUNT; column++) {
    bind(statement, (int)column + 1, &work->rows->executions[index], column);
  }
  return run_statement(floor, statement);
}

static size_t get_one(struct floor *floor, const struct op_work *work, sqlite3_stmt *statement,
                      size_t index) {
  (void)floor;
  sqlite3_bind_text(statement, 1, op_id(work, index), -1, SQLITE_STATIC);
  bool found = sqlite3_step(statement) == SQLITE_ROW && read_row(statement, 0);
  sqlite3_reset(statement);
  return found;
}

static size_t update_one(struct floor *floor, const struct op_work *work, sqlite3_stmt *statement,
                         size_t index) {
  int next = bind_changes(statement, &work->changes, 0);
  sqlite3_bind_text(statement, next, op_id(work, index), -1, SQLITE_STATIC);
  return run_statement(floor, statement);
}

/* Inserts, gets or updates, one transaction a batch. */
static bool run_by_id(struct floor *floor, const struct op_work *work, size_t batch, size_t *done) {
  static size_t (*const one[OP_COUNT])(struct floor *, const struct op_work *, sqlite3_stmt *,
                                       size_t) = {insert_one, get_one, update_one, NULL};
  sqlite3_stmt *statement = prepare(floor, work, SQLITE_PART_MAIN);
  bool ok = statement != NULL;
  size_t total = op_total(work);
  for (size_t start = 0; start < total && ok; start += batch) {
    size_t end = start + batch < total ? start + batch : total;
    ok = execute(floor, work->op == OP_GET ? "begin" : "begin immediate");
    for (size_t i = start; i < end && ok; i++) {
      *done += one[work->op](floor, work, statement, i);
    }
    ok = ok && execute(floor, "commit");
  }
  sqlite3_finalize(statement);
  return ok;
}

/* One claim: selects, reads, and changes each row. Returns the rows claimed. */
static size_t claim_once(struct floor *floor, const struct op_work *work, sqlite3_stmt *select,
                         sqlite3_stmt *update) {
  int64_t ids[CLAIM_LIMIT], timeouts[CLAIM_LIMIT];
  size_t count = 0, changed = 0;
  sqlite3_bind_int64(select, 1, work->before);
  sqlite3_bind_int64(select, 2, CLAIM_LIMIT);
  for (; count < CLAIM_LIMIT && sqlite3_step(select) == SQLITE_ROW; count++) {
    ids[count] = sqlite3_column_int64(select, 0);
    timeouts[count] = sqlite3_column_int64(select, 1 + evd_column_timeout_ms);
    read_row(select, 1);
  }
  sqlite3_reset(select);
  for (size_t i = 0; i < count; i++) {
    int next = bind_changes(update, &work->changes, COLUMN_BIT(evd_column_expires_at));
    sqlite3_bind_int64(update, next, work->started_at + timeouts[i]);
    sqlite3_bind_int64(update, next + 1, ids[i]);
    changed += run_statement(floor, update);
  }
  return changed;
}

/* Claims until all rows are claimed, one transaction a claim. */
static bool run_claims(struct floor *floor, const struct op_work *work, size_t *done) {
  sqlite3_stmt *select = prepare(floor, work, SQLITE_PART_MAIN);
  sqlite3_stmt *update = prepare(floor, work, SQLITE_PART_ROW);
  size_t claimed = 1;
  bool ok = select != NULL && update != NULL;
  while (ok && claimed > 0 && *done < work->rows->count) {
    ok = execute(floor, "begin immediate");
    claimed = ok ? claim_once(floor, work, select, update) : 0;
    *done += claimed;
    ok = ok && execute(floor, "commit");
  }
  sqlite3_finalize(select);
  sqlite3_finalize(update);
  return ok;
}

static bool run(struct floor *floor, const struct op_work *work, size_t batch, size_t depth,
                size_t *done) {
  (void)depth;
  return work->op == OP_CLAIM ? run_claims(floor, work, done) : run_by_id(floor, work, batch, done);
}

const struct floor_ops floor_sqlite = {
    .engine = "sqlite",
    .open = open_floor,
    .execute = execute,
    .run = run,
    .close = close_floor,
};
