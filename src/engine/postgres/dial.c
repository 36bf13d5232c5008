/* Connects without blocking the loop: resolves names and tries each address in turn. */
#include "engine/postgres/dial.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ev.h>

#include "async/clock.h"
#include "async/quiet.h"
#include "async/worker.h"
#include "engine/postgres/parameters.h"
#include "engine/postgres/targets.h"
#include "engine/spares.h"
#include "model/error.h"

enum { DEFAULT_TIMEOUT = 10 };

/* The resolution of a name, on a thread of its own: one that is stuck is left behind when its time
 * is over, and nobody waits for it. */
struct resolution {
  struct job job; /* first */
  struct dial *dial;
  struct worker *worker;
  struct targets targets; /* the name, then its addresses; with the rest, the worker's meanwhile */
  struct buffer complaint;
  bool out_of_memory;
  atomic_bool is_over; /* set by the worker: what it has found is on its way to the loop */
};

/* Owns itself: it is freed when it has called back or was cancelled, and no job is under way. While
 * STEPPING, all but `callback`, `data` and the timer is the worker's. */
struct dial {
  struct job job;
  struct ev_loop *loop;
  struct worker *worker;
  struct spares *spares;
  dial_callback callback; /* NULL once it was called, or cancelled */
  void *data;
  enum { DIAL_RESOLVING, DIAL_STEPPING, DIAL_WAITING } state;

  struct parameters parameters;
  struct targets targets;
  size_t target; /* that is being tried */
  bool prefers_standby;
  bool second_pass; /* no standby was found: any will do */
  bool out_of_memory;
  bool is_late;                  /* the attempt's time is over, while STEPPING */
  bool balances;                 /* in any order */
  unsigned short random[3];      /* erand48()'s */
  struct resolution *resolution; /* while RESOLVING */
  char name[256];                /* that is resolved, for messages */
  struct buffer complaints;      /* why no target would do, so far */

  PGconn *pg; /* of this attempt */
  PostgresPollingStatusType polled;
  double timeout; /* of an attempt, in seconds; 0 is none */
  ev_io io;
  ev_timer timer;
};

static void resolution_free(struct resolution *resolution) {
  postgres_targets_free(&resolution->targets);
  buffer_free(&resolution->complaint);
  free(resolution);
}

/* Leaves a resolution that has not ended to itself, if there is one. */
static void drop_resolution(struct dial *dial) {
  if (dial->resolution != NULL) {
    worker_free(dial->resolution->worker);
    dial->resolution = NULL;
  }
}

static void dial_free(struct dial *dial) {
  drop_resolution(dial);
  PQfinish(dial->pg);
  postgres_parameters_free(&dial->parameters);
  postgres_targets_free(&dial->targets);
  buffer_free(&dial->complaints);
  free(dial);
}

/* libpq has something to say, which is not for the terminal. */
static void ignore_notice(void *data, const char *message) {
  (void)data;
  (void)message;
}

/* On a worker's thread. */

static void run_resolution(struct job *job) {
  struct resolution *resolution = (struct resolution *)job;
  resolution->out_of_memory =
      !postgres_targets_resolve(&resolution->targets, &resolution->complaint);
  atomic_store(&resolution->is_over, true);
}

static void abandon_resolution(struct job *job) {
  resolution_free((struct resolution *)job);
}

static void begin_attempt(struct dial *dial) {
  const struct target *target = &dial->targets.list[dial->target];
  struct parameters *parameters = &dial->parameters;
  bool ok = postgres_parameters_set(parameters, "host", target->host) &&
            postgres_parameters_set(parameters, "hostaddr", target->address) &&
            postgres_parameters_set(parameters, "port", target->port);
  if (dial->prefers_standby) {
    ok = ok && postgres_parameters_set(parameters, "target_session_attrs",
                                       dial->second_pass ? "any" : "standby");
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
  if (dial->pg == NULL) {
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

static void resolved(struct job *job);

/* Has the name of the next target resolved. False when there is no memory or thread for it. */
static bool resolve(struct dial *dial) {
  struct resolution *resolution = calloc(1, sizeof *resolution);
  if (resolution == NULL) {
    return false;
  }
  resolution->job =
      (struct job){.run = run_resolution, .done = resolved, .abandoned = abandon_resolution};
  resolution->dial = dial;
  resolution->worker = spares_take(dial->spares, dial->loop, NULL);
  snprintf(dial->name, sizeof dial->name, "%s", dial->targets.list[dial->target].host);
  if (resolution->worker == NULL ||
      !postgres_targets_take(&dial->targets, dial->target, &resolution->targets)) {
    worker_free(resolution->worker);
    resolution_free(resolution);
    return false;
  }
  dial->state = DIAL_RESOLVING;
  dial->resolution = resolution;
  worker_submit(resolution->worker, &resolution->job);
  return true;
}

static void start_timer(struct dial *dial) {
  if (dial->timeout > 0) {
    quiet_timer_start(dial->loop, &dial->timer, dial->timeout);
  }
}

/* Begins with the next target. False when that cannot be. */
static bool begin_target(struct dial *dial) {
  start_timer(dial);
  if (postgres_targets_is_name(&dial->targets, dial->target)) {
    return resolve(dial);
  }
  submit_step(dial);
  return true;
}

/* Goes on with the next target; without one, fails. */
static void try_target(struct dial *dial) {
  bool is_over = dial->target == dial->targets.count;
  if (is_over && dial->prefers_standby && !dial->second_pass && dial->targets.count > 0) {
    dial->second_pass = true;
    dial->target = 0;
    is_over = false;
    buffer_reset(&dial->complaints);
  }
  if (is_over && !dial->out_of_memory) {
    fail(dial, EVD_EUNAVAILABLE,
         dial->complaints.length > 0 ? dial->complaints.text : "the host has no address");
    dial_free(dial);
  } else if (dial->out_of_memory || !begin_target(dial)) {
    fail(dial, EVD_ENOMEM, "out of memory");
    dial_free(dial);
  }
}

/* A name is resolved: its addresses take its place. */
static void resolved(struct job *job) {
  struct resolution *resolution = (struct resolution *)job;
  struct dial *dial = resolution->dial;
  if (resolution->complaint.length > 0) {
    complain(dial, resolution->complaint.text);
  }
  if (dial->balances) {
    postgres_targets_shuffle(&resolution->targets, dial->random);
  }
  dial->out_of_memory =
      resolution->out_of_memory ||
      !postgres_targets_insert(&dial->targets, dial->target, &resolution->targets);
  spares_leave(dial->spares, resolution->worker);
  dial->resolution = NULL;
  resolution_free(resolution);
  try_target(dial);
}

/* Gives up on this target, for the next. */
static void try_next(struct dial *dial) {
  quiet_io_stop(dial->loop, &dial->io);
  PQfinish(dial->pg);
  dial->pg = NULL;
  dial->is_late = false;
  dial->target++;
  try_target(dial);
}

/* The target's time is over. */
static void give_up_target(struct dial *dial) {
  const struct target *target = &dial->targets.list[dial->target];
  char message[192];
  snprintf(message, sizeof message, "%s%s%s (port %s) does not answer within %g s",
           target->host != NULL ? target->host : "the server", target->address != NULL ? " " : "",
           target->address != NULL ? target->address : "", PQport(dial->pg), dial->timeout);
  complain(dial, message);
  try_next(dial);
}

/* The name's time is over; it is in the list no more. */
static void give_up_name(struct dial *dial) {
  char message[sizeof dial->name + 64];
  snprintf(message, sizeof message, "host name \"%s\": resolving it takes longer than %g s",
           dial->name, dial->timeout);
  complain(dial, message);
  drop_resolution(dial);
  try_target(dial);
}

/* Waits for what PQconnectPoll() wants. The socket may be another one than before. */
static void wait_for_socket(struct dial *dial) {
  int events = dial->polled == PGRES_POLLING_READING ? EV_READ : EV_WRITE;
  dial->state = DIAL_WAITING;
  ev_io_set(&dial->io, PQsocket(dial->pg), events);
  quiet_io_start(dial->loop, &dial->io);
}

/* The target's time is over, but the loop may have been busy for longer than that: if the socket is
 * ready, the server did its part, and its time begins anew. */
static bool is_loop_late(struct dial *dial) {
  struct pollfd socket = {.fd = PQsocket(dial->pg),
                          .events = dial->polled == PGRES_POLLING_READING ? POLLIN : POLLOUT};
  if (poll(&socket, 1, 0) <= 0) {
    return false;
  }
  dial->is_late = false;
  start_timer(dial);
  return true;
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
  case PGRES_POLLING_WRITING:
    if (PQsocket(dial->pg) < 0) {
      break;
    }
    if (dial->is_late && !is_loop_late(dial)) {
      give_up_target(dial);
    } else {
      wait_for_socket(dial);
    }
    return;
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
  } else {
    after_step(dial);
  }
}

static void socket_ready(struct ev_loop *loop, ev_io *io, int events) {
  (void)events;
  quiet_io_stop(loop, io);
  submit_step(io->data);
}

/* The attempt takes too long. A step is a computation, which ends soon; what has ended already, the
 * loop learns next. */
static void timed_out(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)events;
  struct dial *dial = timer->data;
  quiet_timer_stop(loop, timer);
  switch (dial->state) {
  case DIAL_RESOLVING:
    if (!atomic_load(&dial->resolution->is_over)) {
      give_up_name(dial);
    }
    break;
  case DIAL_STEPPING: dial->is_late = true; break;
  case DIAL_WAITING:
    if (!is_loop_late(dial)) {
      give_up_target(dial);
    }
    break;
  }
}

/* How long the attempt to reach one address may take, in seconds; 0 is as long as it takes. */
static double attempt_timeout(const struct postgres_url *url) {
  const char *timeout = postgres_url_value(url, "connect_timeout");
  double seconds = timeout != NULL ? strtod(timeout, NULL) : DEFAULT_TIMEOUT;
  return seconds > 0 ? seconds : 0;
}

/* Reads what the dial itself follows of the URL's parameters. */
static bool read_parameters(struct dial *dial, const struct postgres_url *url) {
  dial->timeout = attempt_timeout(url);
  const char *wanted = postgres_url_value(url, "target_session_attrs");
  dial->prefers_standby = wanted != NULL && strcmp(wanted, "prefer-standby") == 0;
  const char *balance = postgres_url_value(url, "load_balance_hosts");
  dial->balances = balance != NULL && strcmp(balance, "random") == 0;
  return postgres_targets_init(&dial->targets, postgres_url_value(url, "host"),
                               postgres_url_value(url, "hostaddr"),
                               postgres_url_value(url, "port"));
}

struct dial *postgres_dial_start(struct ev_loop *loop, struct worker *worker, struct spares *spares,
                                 const struct postgres_url *url, const char *session,
                                 dial_callback callback, void *data) {
  struct dial *dial = calloc(1, sizeof *dial);
  if (dial == NULL) {
    return NULL;
  }
  dial->loop = loop;
  dial->worker = worker;
  dial->spares = spares;
  dial->callback = callback;
  dial->data = data;
  dial->job.run = run_job;
  dial->job.done = job_done;
  dial->job.abandoned = abandon_job;
  ev_init(&dial->io, socket_ready);
  ev_init(&dial->timer, timed_out);
  dial->io.data = dial->timer.data = dial;
  if (!postgres_parameters_init(&dial->parameters, url, session) || !read_parameters(dial, url)) {
    dial_free(dial);
    return NULL;
  }
  uint64_t seed = (uint64_t)(clock_seconds() * 1e9) ^ (uint64_t)(uintptr_t)dial;
  memcpy(dial->random, &seed, sizeof dial->random);
  if (dial->balances) {
    postgres_targets_shuffle(&dial->targets, dial->random);
  }
  if (!begin_target(dial)) {
    quiet_timer_stop(loop, &dial->timer);
    dial_free(dial);
    return NULL;
  }
  return dial;
}

void postgres_dial_cancel(struct dial *dial) {
  quiet_io_stop(dial->loop, &dial->io);
  quiet_timer_stop(dial->loop, &dial->timer);
  dial->callback = NULL;
  if (dial->state != DIAL_STEPPING) {
    dial_free(dial);
  }
}
