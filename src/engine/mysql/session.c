/* A connection's states: sends packets, reads answers, and times them out. */
#include "engine/mysql/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "async/clock.h"
#include "async/quiet.h"
#include "engine/mysql/blame.h"
#include "engine/mysql/disconnect.h"
#include "engine/mysql/engine.h"
#include "engine/mysql/errors.h"
#include "engine/mysql/tls.h"
#include "model/error.h"

/* What is decoded in one go, before the loop gets its turn. */
enum { ROWS_AT_ONCE = 64, BYTES_AT_ONCE = 256 * 1024 };

/* Bytes of a packet beside the statement's text. */
enum { PACKET_OVERHEAD = 64, SMALLEST_MAX_PACKET = 4096 };

/* Numbers of Connector/C's own errors begin here. */
enum { CLIENT_ERRORS = 2000, SERVER_ERRORS_AGAIN = 3000, CLIENT_ERRORS_AGAIN = 5000 };

static const char rollback[] = "rollback";

/* Watchers. They never keep the loop alive: the pool does while a batch is under way. */

/* Watches the socket for these events. */
static void set_io(struct session *session, int events) {
  if (ev_is_active(&session->io) && (session->io.events & (EV_READ | EV_WRITE)) == events) {
    return;
  }
  quiet_io_stop(session->engine->loop, &session->io);
  ev_io_set(&session->io, mysql_get_socket(session->mysql), events);
  quiet_io_start(session->engine->loop, &session->io);
}

static void stop_watchers(struct session *session) {
  quiet_io_stop(session->engine->loop, &session->io);
  quiet_timer_stop(session->engine->loop, &session->timer);
}

/* Has on_timer() called in the loop's next turn, and not before. */
static void yield(struct session *session) {
  stop_watchers(session);
  ev_timer_set(&session->timer, 0., 1.); /* repeating, so that it does not stop by itself */
  ev_timer_start(session->engine->loop, &session->timer);
  ev_unref(session->engine->loop);
}

/* Waits for what a call asked for, or the time-out. */
static void wait_for(struct session *session, int waits_for) {
  int events = (waits_for & MYSQL_WAIT_WRITE) != 0 ? EV_WRITE : 0;
  if ((waits_for & (MYSQL_WAIT_READ | MYSQL_WAIT_EXCEPT)) != 0) {
    events |= EV_READ;
  }
  session->waits_for = waits_for;
  set_io(session, events);

  /* Over TLS, Connector/C asks for none. */
  const struct mydb_engine *engine = session->engine;
  ev_tstamp timeout =
      session->state == SESSION_SENDING ? engine->write_timeout : engine->answer_timeout;
  if ((waits_for & MYSQL_WAIT_TIMEOUT) != 0) {
    timeout = mysql_get_timeout_value_ms(session->mysql) / 1e3;
  }
  if (timeout > 0) {
    quiet_timer_start(session->engine->loop, &session->timer, timeout);
  } else {
    quiet_timer_stop(session->engine->loop, &session->timer);
  }
}

/* The end of a batch. */

/* Takes the batch off the session, with its answer. */
static struct batch *take_batch(struct session *session, const evd_error *error) {
  struct batch *batch = session->script.batch;
  if (error != NULL) {
    batch->error = *error;
    batch_clear_answers(batch);
  } else {
    batch->error = (evd_error){0};
  }
  mydb_script_end(&session->script);
  session->failed = false;
  session->rolling_back = false;
  return batch;
}

/* Answers the batch; the session is free for the next one, which may come before this returns. */
static void answer(struct session *session, const evd_error *error) {
  struct batch *batch = take_batch(session, error);
  session->state = SESSION_IDLE;
  quiet_timer_stop(session->engine->loop, &session->timer);
  set_io(session, EV_READ);
  pool_batch_done(&session->pooled);
  batch->done(batch);
}

/* Frees a result; what is left of it is not read. */
static void drop_result(struct session *session) {
  if (session->result != NULL) {
    session->mysql->status = MYSQL_STATUS_READY;
    mysql_free_result(session->result);
    session->result = NULL;
  }
}

/* The connection is of no more use. */
static void break_off(struct session *session) {
  session->state = SESSION_BROKEN;
  session->suspended = false;
  stop_watchers(session);
}

/* The connection has ended with an error: answers the batch, if there is one, as it says. */
static void lose_and_answer(struct session *session, const evd_error *error,
                            const evd_error *batch_error) {
  evd_error copy = *error; /* it may be the session's own */
  struct batch *batch = session->script.batch != NULL ? take_batch(session, batch_error) : NULL;
  break_off(session);
  pool_connection_lost(&session->pooled, &copy);
  if (batch != NULL) {
    batch->done(batch);
  }
}

/* The same, when the error is the batch's, too. */
static void lose(struct session *session, const evd_error *error) {
  lose_and_answer(session, error, error);
}

/* Answers the batch when the transaction has ended. Where the server says that one is open all the
 * same, what follows would not last: the connection is given up, and what was done without a commit
 * of its own is undone. */
static void settle(struct session *session, const evd_error *error) {
  if ((session->mysql->server_status & SERVER_STATUS_IN_TRANS) == 0) {
    answer(session, error);
    return;
  }
  evd_error open;
  error_set(&open, EVD_EUNAVAILABLE, "",
            "%s: the session has an open transaction that was not begun here",
            session->pooled.where);
  bool undone =
      error == NULL && session->script.commits && !mydb_script_has_commit(&session->script);
  lose_and_answer(session, &open, undone ? &open : error);
}

/* Whether a commit may have been made, when no answer will come any more. */
static evd_outcome outcome_unanswered(const struct session *session) {
  bool sent = session->state == SESSION_READING || session->state == SESSION_FETCHING ||
              session->state == SESSION_PAUSED;
  return sent && session->script.commits && !session->rolling_back ? EVD_OUTCOME_UNKNOWN
                                                                   : EVD_OUTCOME_NOT_APPLIED;
}

/* Whether a number is of Connector/C's, not of an answer of the server. */
static bool is_client_error(unsigned number) {
  return (number >= CLIENT_ERRORS && number < SERVER_ERRORS_AGAIN) || number >= CLIENT_ERRORS_AGAIN;
}

/* Whether a commit may have been made, when a call has failed. The server runs nothing of a packet
 * past the statement that failed. */
static evd_outcome outcome_failed(const struct session *session, unsigned number, evd_code code) {
  if (is_client_error(number)) {
    return outcome_unanswered(session);
  }
  if (!mydb_script_is_committing(&session->script) || session->rolling_back ||
      mydb_errors_is_refusal(number)) {
    return EVD_OUTCOME_NOT_APPLIED;
  }
  if (session->script.in_transaction) {
    return code == EVD_ECONFLICT ? EVD_OUTCOME_NOT_APPLIED : EVD_OUTCOME_UNKNOWN;
  }
  return mydb_errors_is_lost(number) || mydb_errors_is_of_commit(number) ? EVD_OUTCOME_UNKNOWN
                                                                         : EVD_OUTCOME_NOT_APPLIED;
}

/* Calls. A function says whether there is another call to be begun at once. */

/* Begins to send a packet; true. */
static bool send_packet(struct session *session) {
  session->state = SESSION_SENDING;
  session->packet_began = session->script.batch->record_queries ? clock_seconds() : 0;
  return true;
}

/* The batch has failed, and the connection is whole: ends the transaction, then answers. */
static bool give_up(struct session *session) {
  session->failed = true;
  if (session->script.in_transaction) {
    session->rolling_back = true;
    return send_packet(session);
  }
  answer(session, &session->error);
  return false;
}

/* A call has failed: the connection is lost, or only the statement. */
static bool call_failed(struct session *session) {
  unsigned number = mysql_errno(session->mysql);
  if (session->tls) {
    mydb_tls_forget_errors();
  }
  evd_error error;
  mydb_errors_fill(number, mysql_error(session->mysql), &session->engine->table, &error);
  mydb_blame(number, session->script.batch, &error);
  error.outcome = outcome_failed(session, number, error.code);
  bool lost = mydb_errors_is_lost(number) || session->rolling_back;
  if (mydb_errors_is_of_index(number)) {
    session->engine->table.stale = true; /* until a new connection has read it again */
  }
  if (!session->failed) {
    session->error = error;
  }
  if (lost) {
    lose(session, &session->error);
    return false;
  }
  return give_up(session);
}

/* Makes and sends the next packet, or answers. */
static bool next_packet(struct session *session) {
  struct script *script = &session->script;
  script->backslashes = (session->mysql->server_status & SERVER_STATUS_NO_BACKSLASH_ESCAPES) == 0;
  switch (mydb_script_next(script, &session->error)) {
  case SCRIPT_SEND: return send_packet(session);
  case SCRIPT_DONE: settle(session, NULL); return false;
  case SCRIPT_FAILED: return give_up(session);
  }
  return false;
}

/* All answers to a packet are read. */
static bool packet_answered(struct session *session) {
  struct script *script = &session->script;
  if (session->rolling_back) {
    settle(session, &session->error);
    return false;
  }
  if (script->batch->record_queries) {
    batch_record_query(script->batch, script->outline.text != NULL ? script->outline.text : "",
                       (clock_seconds() - session->packet_began) * 1e3);
  }
  return session->failed ? give_up(session) : next_packet(session);
}

/* One answer is read whole: the next of the packet, or the end. */
static bool statement_answered(struct session *session, uint64_t affected) {
  if (!session->rolling_back &&
      mydb_script_answered(&session->script, affected, &session->error) != EVD_OK) {
    lose(session, &session->error);
    return false;
  }
  if (mysql_more_results(session->mysql)) {
    session->state = SESSION_READING;
    return true;
  }
  return packet_answered(session);
}

/* The head of an answer has been read. */
static bool head_read(struct session *session, bool failed) {
  if (failed) {
    return call_failed(session);
  }
  session->first = false;
  if (mysql_field_count(session->mysql) == 0) {
    return statement_answered(session, mysql_affected_rows(session->mysql));
  }
  session->result = mysql_use_result(session->mysql);
  if (session->result == NULL) {
    return call_failed(session);
  }
  session->state = SESSION_FETCHING;
  return true;
}

/* A row has been read; NULL is the end. `bytes` grows by its size. */
static bool row_read(struct session *session, MYSQL_ROW row, size_t *bytes) {
  if (row == NULL) {
    drop_result(session);
    return mysql_errno(session->mysql) != 0 ? call_failed(session) : statement_answered(session, 0);
  }
  const unsigned long *lengths = mysql_fetch_lengths(session->result);
  unsigned fields = mysql_num_fields(session->result);
  for (unsigned i = 0; i < fields; i++) {
    *bytes += lengths[i];
  }
  if (!session->failed &&
      mydb_script_row(&session->script, row, lengths, &session->error) != EVD_OK) {
    session->failed = true; /* the rest is read, and dropped */
  }
  return true;
}

/* What a call gave back when it ended. */
struct outcome {
  int status; /* 0 is success */
  MYSQL_ROW row;
};

/* Begins the call of the state, or goes on with it. What it waits for; 0 when it has ended. */
static int make_call(struct session *session, int occurred, struct outcome *outcome) {
  MYSQL *mysql = session->mysql;
  bool resumed = session->suspended;
  my_bool failed = 0;
  int waits_for;
  if (session->tls) {
    mydb_tls_forget_errors();
  }
  switch (session->state) {
  case SESSION_SENDING:
    if (resumed) {
      return mysql_send_query_cont(&outcome->status, mysql, occurred);
    }
    if (session->rolling_back) {
      return mysql_send_query_start(&outcome->status, mysql, rollback, sizeof rollback - 1);
    }
    return mysql_send_query_start(&outcome->status, mysql, session->script.sql.text,
                                  session->script.sql.length);
  case SESSION_READING:
    if (!session->first) {
      return resumed ? mysql_next_result_cont(&outcome->status, mysql, occurred)
                     : mysql_next_result_start(&outcome->status, mysql);
    }
    waits_for = resumed ? mysql_read_query_result_cont(&failed, mysql, occurred)
                        : mysql_read_query_result_start(&failed, mysql);
    outcome->status = failed != 0;
    return waits_for;
  default:
    return resumed ? mysql_fetch_row_cont(&outcome->row, session->result, occurred)
                   : mysql_fetch_row_start(&outcome->row, session->result);
  }
}

/* A packet has been sent, or has not. */
static bool packet_sent(struct session *session, bool failed) {
  if (failed) { /* to be told from the loop: this may be within mydb_session_send() */
    session->state = SESSION_UNSENT;
    yield(session);
    return false;
  }
  session->state = SESSION_READING;
  session->first = true;
  wait_for(session, MYSQL_WAIT_READ); /* no answer can be there yet */
  return false;
}

/* Makes or goes on with the call of the state, and does what follows from its end. False when there
 * is nothing more to be done now. */
static bool call(struct session *session, int occurred, size_t *bytes) {
  struct outcome outcome = {0, NULL};
  int waits_for = make_call(session, occurred, &outcome);
  session->suspended = waits_for != 0;
  if (session->suspended) {
    wait_for(session, waits_for);
    return false;
  }
  switch (session->state) {
  case SESSION_SENDING: return packet_sent(session, outcome.status != 0);
  case SESSION_READING: return head_read(session, outcome.status != 0);
  default: return row_read(session, outcome.row, bytes);
  }
}

/* Goes on until the server must be waited for, the batch is answered, or it is another's turn. */
static void advance(struct session *session, int occurred) {
  size_t bytes = 0;
  for (size_t calls = 0; call(session, occurred, &bytes); calls++) {
    occurred = 0;
    if ((calls >= ROWS_AT_ONCE || bytes >= BYTES_AT_ONCE) && session->state == SESSION_FETCHING) {
      session->state = SESSION_PAUSED;
      yield(session);
      return;
    }
  }
}

/* The watchers' callbacks. */

/* The server closed a connection that had nothing to say, or said why it will. */
static void error_closed(const struct session *session, evd_error *error) {
  error_set(error, EVD_EUNAVAILABLE, "", "%s: the server closed the connection",
            session->pooled.where);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events) {
  (void)loop;
  struct session *session = io->data;
  if (session->state == SESSION_IDLE) {
    evd_error error;
    error_closed(session, &error);
    lose(session, &error);
    return;
  }
  int occurred =
      (events & EV_READ) != 0 ? session->waits_for & (MYSQL_WAIT_READ | MYSQL_WAIT_EXCEPT) : 0;
  if ((events & EV_WRITE) != 0) {
    occurred |= session->waits_for & MYSQL_WAIT_WRITE;
  }
  advance(session, occurred);
}

/* The server takes too long. */
static void time_out(struct session *session) {
  if (session->suspended && (session->waits_for & MYSQL_WAIT_TIMEOUT) != 0) {
    advance(session, MYSQL_WAIT_TIMEOUT);
    return;
  }
  evd_error error;
  error_set(&error, EVD_EUNAVAILABLE, "", "%s: the server %s in %g s", session->pooled.where,
            session->state == SESSION_SENDING ? "accepted no data" : "did not answer",
            session->timer.repeat);
  error.outcome = outcome_unanswered(session);
  lose(session, session->failed ? &session->error : &error);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)events;
  struct session *session = timer->data;
  quiet_timer_stop(loop, timer);
  switch (session->state) {
  case SESSION_PAUSED:
    session->state = SESSION_FETCHING;
    advance(session, 0);
    break;
  case SESSION_DEFERRED: answer(session, session->failed ? &session->error : NULL); break;
  case SESSION_UNSENT:
    if (session->failed) {
      lose(session, &session->error);
    } else {
      (void)call_failed(session);
    }
    break;
  default: time_out(session); break;
  }
}

/* The pool's callbacks. */

static void on_connected(const struct mydb_connected *connected, void *data) {
  struct session *session = data;
  session->connect = NULL;
  if (connected->mysql == NULL) {
    session->state = SESSION_BROKEN;
    pool_connection_lost(&session->pooled, &connected->error);
    return;
  }
  session->mysql = connected->mysql;
  session->tls = mysql_get_ssl_cipher(session->mysql) != NULL;
  session->state = SESSION_IDLE;
  size_t max_packet = connected->max_packet;
  session->script.max_packet =
      (max_packet > SMALLEST_MAX_PACKET ? max_packet : SMALLEST_MAX_PACKET) - PACKET_OVERHEAD;
  session->script.galera = connected->galera;
  set_io(session, EV_READ);
  if (session->engine->state == MYDB_OPENING) {
    session->engine->opened(session->engine, &connected->table);
  } else if (session->inspects && !connected->table.stale) {
    session->engine->table = connected->table;
  }
  pool_connection_ready(&session->pooled);
}

struct pool_connection *mydb_session_connect(void *owner, evd_error *error) {
  struct mydb_engine *engine = owner;
  struct session *session = calloc(1, sizeof *session);
  if (session == NULL) {
    error_set_no_memory(error);
    return NULL;
  }
  session->inspects = engine->state == MYDB_OPENING || engine->table.stale;
  struct mydb_connect_config config = {
      .spares = &engine->spares,
      .url = engine->url,
      .timeout_ms = engine->timeout_ms,
      .inspect = session->inspects,
      /* Later on, an unfit table is for the statements to find: it may be mended meanwhile. */
      .schema = engine->state == MYDB_OPENING ? engine->schema : EVD_SCHEMA_SKIP,
      .table = engine->table.name,
  };
  session->engine = engine;
  session->pooled.where = engine->url->where;
  session->script.table = &engine->table;
  session->script.test_mode = engine->test_mode;
  ev_init(&session->io, on_io);
  session->io.data = session;
  ev_init(&session->timer, on_timer);
  session->timer.data = session;
  session->connect = mydb_connect_begin(engine->loop, &config, on_connected, session, error);
  if (session->connect == NULL) {
    free(session);
    return NULL;
  }
  return &session->pooled;
}

/* Whether the server has left an idle connection alone. The loop tells of it when it has closed
 * one, but the loop may not have had its turn: it is better to know before a write than to wonder
 * after. */
static bool is_quiet(const struct session *session) {
  char byte;
  return recv(mysql_get_socket(session->mysql), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         errno == EAGAIN;
}

void mydb_session_send(struct pool_connection *connection, struct batch *batch) {
  struct session *session = (struct session *)connection;
  struct script *script = &session->script;
  mydb_script_begin(script, batch);
  if (!is_quiet(session)) {
    error_closed(session, &session->error);
    session->failed = true;
    session->state = SESSION_UNSENT;
    yield(session);
    return;
  }
  script->backslashes = (session->mysql->server_status & SERVER_STATUS_NO_BACKSLASH_ESCAPES) == 0;
  enum script_state state = mydb_script_next(script, &session->error);
  if (state == SCRIPT_SEND) {
    size_t bytes = 0;
    send_packet(session);
    (void)call(session, 0, &bytes);
    return;
  }
  script->in_transaction = false; /* nothing has been sent */
  session->failed = state == SCRIPT_FAILED;
  session->state = SESSION_DEFERRED;
  yield(session);
}

void mydb_session_fail(struct pool_connection *connection, const evd_error *error) {
  struct session *session = (struct session *)connection;
  if (session->state == SESSION_CONNECTING) {
    return;
  }
  evd_error given = *error;
  given.outcome = outcome_unanswered(session);
  struct batch *batch = session->script.batch;
  if (batch != NULL) {
    batch = take_batch(session, session->failed ? &session->error : &given);
  }
  session->state = session->state == SESSION_IDLE ? SESSION_IDLE : SESSION_BROKEN;
  stop_watchers(session);
  if (batch != NULL) {
    batch->done(batch);
  }
}

/* Ends mydb_session_close(). */
static void on_disconnected(void *data) {
  struct session *session = data;
  pool_connection_closed(&session->pooled);
  mydb_script_free(&session->script);
  free(session);
}

void mydb_session_close(struct pool_connection *connection) {
  struct session *session = (struct session *)connection;
  if (session->connect != NULL) {
    mydb_connect_abandon(session->connect);
  }
  if (session->mysql == NULL) {
    on_disconnected(session);
    return;
  }
  bool idle = session->state == SESSION_IDLE;
  break_off(session);
  drop_result(session);
  mydb_disconnect(session->engine->loop, &session->engine->spares, session->mysql, idle,
                  on_disconnected, session);
}
