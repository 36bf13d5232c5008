/* All calls of libpq that read or write on an established connection, and its watchers. */
#include "engine/postgres/wire.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "async/quiet.h"
#include "engine/postgres/encode.h"

/* A message larger than this leaves libpq's buffer at once, as far as the socket takes it. */
enum { SENT_AT_ONCE = 8192 };

void postgres_wire_init(struct wire *wire, struct ev_loop *loop, const struct wire_events *events) {
  wire->loop = loop;
  ev_init(&wire->readable, events->on_readable);
  ev_init(&wire->writable, events->on_writable);
  ev_init(&wire->more, events->on_more);
  wire->readable.data = wire->writable.data = wire->more.data = events->data;
}

static void stop_io(struct wire *wire) {
  quiet_io_stop(wire->loop, &wire->readable);
  quiet_io_stop(wire->loop, &wire->writable);
}

void postgres_wire_go_on(struct wire *wire) {
  quiet_timer_start(wire->loop, &wire->more, 0);
}

void postgres_wire_break(struct wire *wire) {
  if (!wire->broken) {
    wire->broken = true;
    stop_io(wire);
    postgres_wire_go_on(wire);
  }
}

/* After each call into libpq that may read or write: whether it succeeded. A socket that libpq has
 * closed is no longer ours to watch. */
static void settle(struct wire *wire, bool succeeded) {
  if (!succeeded || PQsocket(wire->pg) != wire->readable.fd) {
    postgres_wire_break(wire);
  }
}

void postgres_wire_open(struct wire *wire, PGconn *pg) {
  wire->pg = pg;
  ev_io_set(&wire->readable, PQsocket(pg), EV_READ);
  ev_io_set(&wire->writable, PQsocket(pg), EV_WRITE);
  settle(wire, PQsetnonblocking(pg, 1) == 0 && PQenterPipelineMode(pg) == 1 && PQsocket(pg) >= 0);
  postgres_wire_pause(wire, false);
}

void postgres_wire_stop(struct wire *wire) {
  wire->broken = true;
  stop_io(wire);
  quiet_timer_stop(wire->loop, &wire->more);
}

void postgres_wire_free(struct wire *wire) {
  free(wire->expected);
  wire->expected = NULL;
}

bool postgres_wire_is_full(const struct wire *wire) {
  return ev_is_active(&wire->writable);
}

bool postgres_wire_is_ready(const struct wire *wire) {
  short writing = postgres_wire_is_full(wire) ? POLLOUT : 0;
  struct pollfd socket = {.fd = PQsocket(wire->pg), .events = (short)(POLLIN | writing)};
  return ev_is_active(&wire->more) || poll(&socket, 1, 0) > 0;
}

/* Sending. */

/* Where the expected answer of this number, from 0, is in the ring. */
static size_t place_of(const struct wire *wire, size_t number) {
  size_t place = wire->expected_first + number;
  return place < wire->expected_size ? place : place - wire->expected_size;
}

/* Makes room for one more expected answer; false if memory ran out. */
static bool reserve_expected(struct wire *wire) {
  if (wire->expected_count < wire->expected_size) {
    return true;
  }
  size_t size = wire->expected_size > 0 ? wire->expected_size * 2 : 16;
  struct expected *expected = malloc(size * sizeof *expected);
  if (expected == NULL) {
    return false;
  }
  for (size_t i = 0; i < wire->expected_count; i++) {
    expected[i] = wire->expected[place_of(wire, i)];
  }
  free(wire->expected);
  wire->expected = expected;
  wire->expected_size = size;
  wire->expected_first = 0;
  return true;
}

/* Whether something may be sent now, whose answer there is room to note. */
static bool may_send(struct wire *wire) {
  if (!wire->broken && !reserve_expected(wire)) {
    postgres_wire_break(wire);
  }
  return !wire->broken;
}

/* After sending: notes what the server will answer. */
static void sent(struct wire *wire, const struct expected *expected, int succeeded) {
  settle(wire, succeeded == 1);
  if (succeeded == 1) {
    wire->expected[place_of(wire, wire->expected_count)] = *expected;
    wire->expected_count++;
  }
}

/* libpq has written a large message, and may have read meanwhile: as after a flush. */
static void go_on_after(struct wire *wire, const struct encoder *encoder) {
  if (encoder != NULL && encoder->bytes.length > SENT_AT_ONCE) {
    postgres_wire_go_on(wire);
  }
}

void postgres_wire_query(struct wire *wire, const struct expected *expected, const char *sql,
                         const struct encoder *encoder) {
  static const struct encoder none;
  const struct encoder *given = encoder != NULL ? encoder : &none;
  if (may_send(wire)) {
    sent(wire, expected,
         PQsendQueryParams(wire->pg, sql, given->count, NULL, given->values, given->lengths,
                           given->formats, 1));
    go_on_after(wire, encoder);
  }
}

void postgres_wire_query_text(struct wire *wire, const struct expected *expected, const char *sql,
                              const char *parameter) {
  if (may_send(wire)) {
    sent(wire, expected, PQsendQueryParams(wire->pg, sql, 1, NULL, &parameter, NULL, NULL, 1));
  }
}

void postgres_wire_execute(struct wire *wire, const struct expected *expected, const char *name,
                           const struct encoder *encoder) {
  if (may_send(wire)) {
    sent(wire, expected,
         PQsendQueryPrepared(wire->pg, name, encoder->count, encoder->values, encoder->lengths,
                             encoder->formats, 1));
    go_on_after(wire, encoder);
  }
}

void postgres_wire_prepare(struct wire *wire, const struct expected *expected, const char *name,
                           const char *sql) {
  if (may_send(wire)) {
    sent(wire, expected, PQsendPrepare(wire->pg, name, sql, 0, NULL));
  }
}

void postgres_wire_sync(struct wire *wire, const struct expected *expected) {
  if (may_send(wire)) {
    sent(wire, expected, PQpipelineSync(wire->pg));
  }
}

void postgres_wire_flush(struct wire *wire) {
  if (wire->broken) {
    return;
  }
  int left = PQflush(wire->pg);
  settle(wire, left >= 0);
  if (wire->broken || left == 0) {
    quiet_io_stop(wire->loop, &wire->writable);
    return;
  }
  quiet_io_start(wire->loop, &wire->writable);
  postgres_wire_go_on(wire);
}

/* Receiving. */

/*
 * A record of TLS that is larger than libpq's free room stays in part within the TLS library, where
 * no event tells of it: as long as the socket had something, it is read again in the next
 * iteration.
 */
void postgres_wire_read(struct wire *wire) {
  if (wire->broken) {
    return;
  }
  int waiting = 0;
  wire->has_unread =
      PQsslInUse(wire->pg) && (ioctl(PQsocket(wire->pg), FIONREAD, &waiting) != 0 || waiting > 0);
  settle(wire, PQconsumeInput(wire->pg) == 1);
}

void postgres_wire_pause(struct wire *wire, bool pause) {
  wire->paused = pause;
  if (wire->broken) {
    return;
  }
  if (pause) {
    quiet_io_stop(wire->loop, &wire->readable);
    return;
  }
  quiet_io_start(wire->loop, &wire->readable);
  if (wire->has_unread) {
    postgres_wire_go_on(wire);
  }
}

const struct expected *postgres_wire_expected(const struct wire *wire) {
  return wire->expected_count > 0 ? &wire->expected[wire->expected_first] : NULL;
}

/* Whether a result is no answer of the server's: libpq makes it when the connection has broken. */
static bool is_libpqs(const PGresult *result) {
  return PQresultStatus(result) == PGRES_FATAL_ERROR &&
         PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL;
}

/* libpq marks the end of each statement's results by NULL, which says nothing here, where each has
 * one. */
static PGresult *take_result(struct wire *wire) {
  for (int marks = 0; marks < 2; marks++) {
    if (PQisBusy(wire->pg)) {
      return NULL;
    }
    PGresult *result = PQgetResult(wire->pg);
    if (result != NULL) {
      return result;
    }
  }
  return NULL;
}

PGresult *postgres_wire_result(struct wire *wire) {
  if (wire->is_exhausted || wire->expected_count == 0) {
    return NULL;
  }
  PGresult *result = take_result(wire);
  settle(wire, result == NULL || !is_libpqs(result));
  if (result != NULL && is_libpqs(result)) {
    wire->is_exhausted = true;
    PQclear(result);
    return NULL;
  }
  return result;
}

void postgres_wire_answered(struct wire *wire) {
  wire->expected_first = place_of(wire, 1);
  wire->expected_count--;
}

void postgres_wire_forget(struct wire *wire) {
  wire->expected_count = 0;
}
