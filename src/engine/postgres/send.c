#include <stdio.h>
#include <stdlib.h>

#include <utlist.h>

#include "engine/clock.h"
#include "engine/postgres/postgres.h"
#include "engine/quiet.h"
#include "model/error.h"

/* A message larger than this leaves libpq's buffer at once, as far as the socket takes it. */
enum { SENT_AT_ONCE = 8192 };

/* The server ends a session that sends it a larger message; of it, so much is not values. */
enum { MESSAGE_MAX = 0x3fffffff - 64 * 1024 };

/* What a connection can take no more, it says from the loop. */
static void break_later(struct connection *connection) {
  connection->broken = true;
  postgres_connection_go_on(connection);
}

bool postgres_send_expect(struct connection *connection, enum expected_kind kind, unsigned number) {
  if (connection->expected_count == connection->expected_size) {
    size_t size = connection->expected_size > 0 ? connection->expected_size * 2 : 16;
    struct expected *expected = malloc(size * sizeof(*expected));
    if (expected == NULL) {
      return false;
    }
    for (size_t i = 0; i < connection->expected_count; i++) {
      expected[i] =
          connection->expected[(connection->expected_first + i) % connection->expected_size];
    }
    free(connection->expected);
    connection->expected = expected;
    connection->expected_size = size;
    connection->expected_first = 0;
  }
  size_t place =
      (connection->expected_first + connection->expected_count) % connection->expected_size;
  connection->expected[place] = (struct expected){kind, number};
  connection->expected_count++;
  return true;
}

/* The statement's text, in the engine's buffer; NULL when memory is out. */
static const char *statement_text(const struct source *source, const struct statement_key *key) {
  struct buffer *sql = &source->postgres->sql;
  buffer_reset(sql);
  postgres_statement(sql, &source->table, key);
  return sql->failed ? NULL : sql->text;
}

/* Gives a statement beyond the bound back. */
static bool deallocate(struct connection *connection, unsigned number) {
  char name[PREPARED_NAME_SIZE];
  char sql[PREPARED_NAME_SIZE + 16];
  prepared_name(number, name);
  snprintf(sql, sizeof(sql), "deallocate %s", name);
  return PQsendQueryParams(connection->pg, sql, 0, NULL, NULL, NULL, NULL, 0) == 1 &&
         postgres_send_expect(connection, EXPECT_DEALLOCATE, number);
}

/* Prepares a statement ahead of its first use; its number, or 0. */
static unsigned prepare(struct connection *connection, const struct statement_key *key) {
  const char *sql = statement_text(connection->source, key);
  unsigned number = sql != NULL ? prepared_add(&connection->prepared, key) : 0;
  if (number == 0) {
    return 0;
  }
  char name[PREPARED_NAME_SIZE];
  prepared_name(number, name);
  bool ok = PQsendPrepare(connection->pg, name, sql, 0, NULL) == 1 &&
            postgres_send_expect(connection, EXPECT_PREPARE, number);
  unsigned evicted = prepared_evict(&connection->prepared);
  ok = ok && (evicted == 0 || deallocate(connection, evicted));
  return ok ? number : 0;
}

/* The number of the prepared statement with this key, prepared now if it must be; 0 on failure. */
static unsigned find_prepared(struct connection *connection, const struct statement_key *key) {
  if (connection->table_version != connection->source->table_version) {
    prepared_clear(&connection->prepared);
    connection->table_version = connection->source->table_version;
  }
  unsigned number = prepared_find(&connection->prepared, key);
  return number != 0 ? number : prepare(connection, key);
}

/* Sends a statement whose parameters are encoded. */
static bool send_encoded(struct connection *connection, const struct step *step) {
  const struct encoder *encoder = &connection->postgres->encoder;
  bool sent;
  if (connection->source->url.prepare) {
    unsigned number = find_prepared(connection, &step->key);
    char name[PREPARED_NAME_SIZE];
    prepared_name(number, name);
    sent = number != 0 && PQsendQueryPrepared(connection->pg, name, encoder->count, encoder->values,
                                              encoder->lengths, encoder->formats, 1) == 1;
  } else {
    const char *sql = statement_text(connection->source, &step->key);
    sent =
        sql != NULL && PQsendQueryParams(connection->pg, sql, encoder->count, NULL, encoder->values,
                                         encoder->lengths, encoder->formats, 1) == 1;
  }
  if (encoder->bytes.length > SENT_AT_ONCE) {
    postgres_connection_go_on(connection); /* as after a flush */
  }
  return sent && postgres_send_expect(connection, EXPECT_STATEMENT, 0);
}

/* Gives a flight up that cannot be sent whole. What was sent is rolled back by a statement that fails;
 * no other flight is hurt. */
static bool give_up(struct connection *connection, struct flight *flight) {
  flight_give_up(flight);
  return PQsendQueryParams(connection->pg, "select 1/0", 0, NULL, NULL, NULL, NULL, 1) == 1 &&
         postgres_send_expect(connection, EXPECT_ROLLBACK, 0);
}

static bool send_step(struct connection *connection, struct flight *flight,
                      const struct step *step) {
  struct encoder *encoder = &connection->postgres->encoder;
  evd_error *error = &flight->batch->error;
  if (!postgres_encode(encoder, &connection->source->table, step)) {
    error_set(error, EVD_ENOMEM, "", "memory ran out");
    return give_up(connection, flight);
  }
  if (encoder->bytes.length > MESSAGE_MAX) {
    error_set(error, EVD_EINVAL, "", "a statement of %zu bytes is more than PostgreSQL takes, 1 GB",
              encoder->bytes.length);
    return give_up(connection, flight);
  }
  return send_encoded(connection, step);
}

/* Sends the next thing of a flight: a statement, or after the last, the sync. */
static bool send_next(struct connection *connection, struct flight *flight) {
  if (flight_has_step(flight)) {
    const struct step *step = flight_next_step(flight);
    return step != NULL && send_step(connection, flight, step);
  }
  flight->synced = true;
  connection->sending = flight->next;
  return PQpipelineSync(connection->pg) == 1 && postgres_send_expect(connection, EXPECT_SYNC, 0);
}

/* Where the socket is full, libpq reads, so that the server can go on; and what it has read makes no
 * socket readable. So it is looked at in the next iteration. */
void postgres_send_flush(struct connection *connection) {
  struct ev_loop *loop = connection->postgres->loop;
  switch (PQflush(connection->pg)) {
  case 0: quiet_io_stop(loop, &connection->writable); break;
  case 1:
    quiet_io_start(loop, &connection->writable);
    postgres_connection_go_on(connection);
    break;
  default: break_later(connection);
  }
}

void postgres_send_more(struct connection *connection) {
  double end = connection->sending != NULL ? clock_seconds() + CONNECTION_TURN : 0;
  while (connection->sending != NULL && !connection->broken) {
    if (ev_is_active(&connection->writable)) {
      return; /* the socket takes no more; on_writable goes on */
    }
    const struct flight *flight = connection->sending;
    bool is_last = !flight_has_step(flight);
    if (!send_next(connection, connection->sending)) {
      break_later(connection);
      return;
    }
    if (is_last || flight_has_step(flight)) {
      postgres_send_flush(connection);
    }
    if (connection->sending != NULL && clock_seconds() > end) {
      postgres_connection_go_on(connection);
      return;
    }
  }
}

void postgres_connection_send(struct pool_connection *link, struct batch *batch) {
  struct connection *connection = (struct connection *)link;
  struct flight *flight = flight_new(batch);
  if (flight == NULL) {
    LL_APPEND(connection->refused, batch);
    postgres_connection_go_on(connection);
    return;
  }
  if (connection->flights == NULL) {
    postgres_connection_watch(connection);
  }
  DL_APPEND(connection->flights, flight);
  if (connection->sending == NULL) { /* else it has its turn after those before it */
    connection->sending = flight;
    postgres_send_more(connection);
  }
}
