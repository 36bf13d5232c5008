#include "engine/postgres/dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "async/worker.h"
#include "engine/postgres/parameters.h"
#include "engine/postgres/targets.h"
#include "engine/quiet.h"
#include "model/error.h"

enum { DEFAULT_TIMEOUT = 10 };

/* Owns itself: it is freed when it has called back or was cancelled, and no job is under way. While
 * one is, all but `callback`, `data` and the timer is the worker's. */
struct dial {
  struct job job;
  struct ev_loop *loop;
  struct worker *worker;
  dial_callback callback; /* NULL once it was called, or cancelled */
  void *data;
  enum { DIAL_RESOLVING, DIAL_STEPPING, DIAL_WAITING } state;

  struct parameters parameters;
  struct targets targets;
  size_t target; /* that is being tried */
  bool prefers_standby;
  bool second_pass; /* no standby was found: any will do */
  bool out_of_memory;
  struct buffer complaints; /* why no target would do, so far */

  PGconn *pg; /* of this attempt */
  PostgresPollingStatusType polled;
  double timeout; /* of an attempt, in seconds; 0 is none */
  ev_io io;
  ev_timer timer;
};

static void dial_free(struct dial *dial) {
  PQfinish(dial->pg);
  parameters_free(&dial->parameters);
  targets_free(&dial->targets);
  buffer_free(&dial->complaints);
  free(dial);
}

/* libpq has something to say, which is not for the terminal. */
static void ignore_notice(void *data, const char *message) {
  (void)data;
  (void)message;
}

/* On the worker's thread. */

static void begin_attempt(struct dial *dial) {
  const struct target *target = &dial->targets.list[dial->target];
  struct parameters *parameters = &dial->parameters;
  bool ok = parameters_set(parameters, "host", target->host) &&
            parameters_set(parameters, "hostaddr", target->address) &&
            parameters_set(parameters, "port", target->port);
  if (dial->prefers_standby) {
    ok = ok &&
         parameters_set(parameters, "target_session_attrs", dial->second_pass ? "any" : "standby");
  }
  dial->pg = ok ? PQconnectStartParams((const char *const *)parameters->keywords,
                                       (const char *const *)parameters->values, 0)
                : NULL;
  dial->out_of_memory = dial->pg == NULL;
  dial->polled =
      PQstatus(dial->pg) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  if (dial->pg != NULL) {
    PQsetNoticeProcessor(dial->pg, ignore_notice, NULL);
  }
}

static void run_job(struct job *job) {
  struct dial *dial = (struct dial *)job;
  if (dial->state == DIAL_RESOLVING) {
    dial->out_of_memory = !targets_resolve(&dial->targets, &dial->complaints);
  } else if (dial->pg == NULL) {
    begin_attempt(dial);
  } else {
    dial->polled = PQconnectPoll(dial->pg);
  }
}

static void abandon_job(struct job *job) {
  dial_free((struct dial *)job);
}

/* On the loop's thread. */

/* Ends with a connection, or without one. */
static void finish(struct dial *dial, PGconn *pg, const evd_error *error) {
  quiet_io_stop(dial->loop, &dial->io);
  quiet_timer_stop(dial->loop, &dial->timer);
  dial_callback callback = dial->callback;
  dial->callback = NULL;
  callback(pg, error, dial->data);
}

static void fail(struct dial *dial, evd_code code, const char *message) {
  evd_error error;
  error_set(&error, code, "", "cannot connect: %s", message);
  finish(dial, NULL, &error);
}

static void submit_step(struct dial *dial) {
  dial->state = DIAL_STEPPING;
  worker_submit(dial->worker, &dial->job);
}

static void complain(struct dial *dial, const char *message) {
  int length = (int)strcspn(message, "\n");
  buffer_printf(&dial->complaints, "%s%.*s", dial->complaints.length > 0 ? "; " : "", length,
                message);
}

/* Starts with the target that is next; without one, fails. */
static void try_target(struct dial *dial) {
  if (dial->target == dial->targets.count && dial->prefers_standby && !dial->second_pass) {
    dial->second_pass = true;
    dial->target = 0;
    buffer_reset(&dial->complaints);
  }
  if (dial->out_of_memory) {
    fail(dial, EVD_ENOMEM, "memory ran out");
    dial_free(dial);
    return;
  }
  if (dial->target == dial->targets.count) {
    fail(dial, EVD_EUNAVAILABLE,
         dial->complaints.length > 0 ? dial->complaints.text : "there is no address");
    dial_free(dial);
    return;
  }
  if (dial->timeout > 0) {
    quiet_timer_start(dial->loop, &dial->timer, dial->timeout);
  }
  submit_step(dial);
}

/* Gives up on this target, for the next. */
static void try_next(struct dial *dial) {
  quiet_io_stop(dial->loop, &dial->io);
  PQfinish(dial->pg);
  dial->pg = NULL;
  dial->target++;
  try_target(dial);
}

/* Waits for what PQconnectPoll() wants. The socket may be another one than before. */
static void wait_for_socket(struct dial *dial) {
  int events = dial->polled == PGRES_POLLING_READING ? EV_READ : EV_WRITE;
  dial->state = DIAL_WAITING;
  ev_io_set(&dial->io, PQsocket(dial->pg), events);
  quiet_io_start(dial->loop, &dial->io);
}

/* A step was made: what now? */
static void after_step(struct dial *dial) {
  if (dial->pg == NULL) {
    try_target(dial); /* memory ran out */
    return;
  }
  switch (dial->polled) {
  case PGRES_POLLING_OK: {
    PGconn *pg = dial->pg;
    dial->pg = NULL;
    finish(dial, pg, NULL);
    dial_free(dial);
    return;
  }
  case PGRES_POLLING_READING:
  case PGRES_POLLING_WRITING: wait_for_socket(dial); return;
  case PGRES_POLLING_FAILED:
  case PGRES_POLLING_ACTIVE: break;
  }
  complain(dial, PQerrorMessage(dial->pg));
  try_next(dial);
}

static void job_done(struct job *job) {
  struct dial *dial = (struct dial *)job;
  if (dial->callback == NULL) {
    dial_free(dial);
  } else if (dial->state == DIAL_RESOLVING) {
    const char *balance = parameters_get(&dial->parameters, "load_balance_hosts");
    if (balance != NULL && strcmp(balance, "random") == 0) {
      targets_shuffle(&dial->targets);
    }
    try_target(dial);
  } else {
    after_step(dial);
  }
}

static void socket_ready(struct ev_loop *loop, ev_io *io, int events) {
  (void)events;
  quiet_io_stop(loop, io);
  submit_step(io->data);
}

/* The attempt takes too long. While a job is under way, which can only be a name's resolution or a
 * computation, nothing can be tried next. */
static void timed_out(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)events;
  struct dial *dial = timer->data;
  quiet_timer_stop(loop, timer);
  if (dial->state != DIAL_WAITING) {
    fail(dial, EVD_EUNAVAILABLE, "resolving the host's name takes too long");
    return;
  }
  const struct target *target = &dial->targets.list[dial->target];
  char message[192];
  snprintf(message, sizeof(message), "%s%s%s (port %s) does not answer within %g s",
           target->host != NULL ? target->host : "the server", target->address != NULL ? " " : "",
           target->address != NULL ? target->address : "", PQport(dial->pg), dial->timeout);
  complain(dial, message);
  try_next(dial);
}

/* Reads what the dial itself follows of the URL's parameters. */
static bool read_parameters(struct dial *dial, const struct postgres_url *url) {
  const char *timeout = postgres_url_value(url, "connect_timeout");
  dial->timeout = timeout != NULL ? strtod(timeout, NULL) : DEFAULT_TIMEOUT;
  const char *wanted = postgres_url_value(url, "target_session_attrs");
  dial->prefers_standby = wanted != NULL && strcmp(wanted, "prefer-standby") == 0;
  return targets_init(&dial->targets, postgres_url_value(url, "host"),
                      postgres_url_value(url, "hostaddr"), postgres_url_value(url, "port"));
}

struct dial *dial_start(struct ev_loop *loop, struct worker *worker, const struct postgres_url *url,
                        const char *session, dial_callback callback, void *data) {
  struct dial *dial = calloc(1, sizeof(*dial));
  if (dial == NULL) {
    return NULL;
  }
  dial->loop = loop;
  dial->worker = worker;
  dial->callback = callback;
  dial->data = data;
  dial->job.run = run_job;
  dial->job.done = job_done;
  dial->job.abandoned = abandon_job;
  ev_init(&dial->io, socket_ready);
  ev_init(&dial->timer, timed_out);
  dial->io.data = dial->timer.data = dial;
  if (!parameters_init(&dial->parameters, url, session) || !read_parameters(dial, url)) {
    dial_free(dial);
    return NULL;
  }
  dial->state = DIAL_RESOLVING;
  if (dial->timeout > 0) {
    quiet_timer_start(loop, &dial->timer, dial->timeout);
  }
  worker_submit(worker, &dial->job);
  return dial;
}

void dial_cancel(struct dial *dial) {
  quiet_io_stop(dial->loop, &dial->io);
  quiet_timer_stop(dial->loop, &dial->timer);
  dial->callback = NULL;
  if (dial->state == DIAL_WAITING) {
    dial_free(dial);
  }
}
