/* Sends the statements of a batch into the pipeline. */
#include <stdio.h>
#include <stdlib.h>

#include <utlist.h>

#include "async/clock.h"
#include "async/quiet.h"
#include "engine/postgres/postgres.h"
#include "model/columns.h"
#include "model/error.h"
#include "model/json.h"

/* The largest message that a server accepts (it ends the session otherwise), less what is not
 * values. */
enum { MESSAGE_MAX = 0x3fffffff - 64 * 1024 };

/* The statement's text, in the engine's buffer; NULL if memory ran out. */
static const char *statement_text(const struct source *source, const struct statement_key *key) {
  struct buffer *sql = &source->postgres->sql;
  buffer_reset(sql);
  postgres_statement(sql, &source->table, key);
  return sql->failed ? NULL : sql->text;
}

/* Gives a statement beyond the bound back. */
static void deallocate(struct wire *wire, unsigned number) {
  char name[PREPARED_NAME_SIZE];
  char sql[PREPARED_NAME_SIZE + 16];
  postgres_prepared_name(number, name);
  snprintf(sql, sizeof sql, "deallocate %s", name);
  postgres_wire_query(wire, &(struct expected){EXPECT_DEALLOCATE, number}, sql, NULL);
}

/* Prepares a statement ahead of its first use; its number, or 0 if memory ran out. */
static unsigned prepare(struct connection *connection, const struct statement_key *key) {
  const char *sql = statement_text(connection->source, key);
  unsigned number = sql != NULL ? postgres_prepared_add(&connection->prepared, key) : 0;
  if (number == 0) {
    return 0;
  }
  char name[PREPARED_NAME_SIZE];
  postgres_prepared_name(number, name);
  postgres_wire_prepare(&connection->wire, &(struct expected){EXPECT_PREPARE, number}, name, sql);
  unsigned evicted = postgres_prepared_evict(&connection->prepared);
  if (evicted != 0) {
    deallocate(&connection->wire, evicted);
  }
  return number;
}

/* The number of the prepared statement with this key, prepared now if it must be; 0 when memory is
 * out. */
static unsigned find_prepared(struct connection *connection, const struct statement_key *key) {
  if (connection->table_version != connection->source->table_version) {
    postgres_prepared_clear(&connection->prepared);
    connection->table_version = connection->source->table_version;
  }
  unsigned number = postgres_prepared_find(&connection->prepared, key);
  return number != 0 ? number : prepare(connection, key);
}

/* Sends a statement whose parameters are encoded. */
static void send_encoded(struct connection *connection, const struct step *step) {
  static const struct expected answer = {.kind = EXPECT_STATEMENT};
  const struct encoder *encoder = &connection->postgres->encoder;
  struct wire *wire = &connection->wire;
  if (connection->source->url.prepare) {
    unsigned number = find_prepared(connection, &step->key);
    char name[PREPARED_NAME_SIZE];
    postgres_prepared_name(number, name);
    if (number != 0) {
      postgres_wire_execute(wire, &answer, name, encoder);
      return;
    }
  } else {
    const char *sql = statement_text(connection->source, &step->key);
    if (sql != NULL) {
      postgres_wire_query(wire, &answer, sql, encoder);
      return;
    }
  }
  postgres_wire_break(wire); /* memory ran out */
}

/* Gives a flight up that cannot be sent whole. What was sent is rolled back by a statement that
 * fails; no other flight is hurt. */
static void give_up(struct connection *connection, struct flight *flight) {
  postgres_flight_give_up(flight);
  postgres_wire_query(&connection->wire, &(struct expected){.kind = EXPECT_ROLLBACK}, "select 1/0",
                      NULL);
}

static void send_step(struct connection *connection, struct flight *flight,
                      const struct step *step) {
  struct encoder *encoder = &connection->postgres->encoder;
  evd_error *error = &flight->batch->error;
  if (!postgres_encode(encoder, &connection->source->table, step)) {
    error_set_no_memory(error);
    give_up(connection, flight);
  } else if (encoder->refusal != NULL) {
    const char *field = columns[encoder->refused].name;
    error_set(error, EVD_EINVAL, field, "%s has %s", field, encoder->refusal);
    give_up(connection, flight);
  } else if (encoder->bytes.length > MESSAGE_MAX) {
    error_set(error, EVD_EINVAL, "", "a statement of %zu bytes is more than PostgreSQL takes, 1 GB",
              encoder->bytes.length);
    give_up(connection, flight);
  } else {
    send_encoded(connection, step);
  }
}

/* Sends the next thing of a flight: a statement, or after the last, the sync. */
static void send_next(struct connection *connection, struct flight *flight) {
  if (!postgres_flight_has_step(flight)) {
    flight->synced = true;
    connection->sending = flight->next;
    postgres_wire_sync(&connection->wire, &(struct expected){.kind = EXPECT_SYNC});
    return;
  }
  const struct step *step = postgres_flight_next_step(flight);
  if (step != NULL) {
    send_step(connection, flight, step);
  } else {
    postgres_wire_break(&connection->wire); /* memory ran out */
  }
}

void postgres_send_more(struct connection *connection) {
  struct wire *wire = &connection->wire;
  double end = connection->sending != NULL ? clock_seconds() + CONNECTION_TURN : 0;
  /* Where the socket takes no more, on_writable goes on. */
  while (connection->sending != NULL && !wire->broken && !postgres_wire_is_full(wire)) {
    struct flight *flight = connection->sending;
    bool is_last = !postgres_flight_has_step(flight);
    send_next(connection, flight);
    if (is_last || postgres_flight_has_step(flight)) {
      postgres_wire_flush(wire);
    }
    if (connection->sending != NULL && clock_seconds() > end) {
      postgres_wire_go_on(wire);
      return;
    }
  }
}

void postgres_connection_send(struct pool_connection *pooled, struct batch *batch) {
  struct connection *connection = (struct connection *)pooled;
  struct flight *flight = postgres_flight_new(&connection->source->table, batch);
  if (flight == NULL) {
    LL_APPEND(connection->refused, batch);
    postgres_wire_go_on(&connection->wire);
    return;
  }
  if (connection->flights == NULL) {
    postgres_link_watch(connection);
  }
  DL_APPEND(connection->flights, flight);
  if (connection->sending == NULL) { /* else it has its turn after those before it */
    connection->sending = flight;
    postgres_send_more(connection);
  }
}
