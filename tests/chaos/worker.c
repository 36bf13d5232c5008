/* A process that works on the table until it is killed. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "chaos/chaos.h"
#include "support/sample.h"

/* How long a chain rests after an operation that failed, in seconds. */
#define REST 0.02

struct chain {
  struct worker *worker;
  int32_t row;  /* that it inserts */
  int finishes; /* under way */
  ev_timer rest;
};

struct worker {
  struct ev_loop *loop;
  evd_storage *storage;
  int32_t number;
  int32_t rows;
  int under_way;
  bool ending;
  char name[32];
  ev_signal end;
  struct chain chains[CHAINS];
};

/* An update that finishes a row. */
struct finish {
  struct chain *chain;
  int32_t worker, row;
};

static void __attribute__((noreturn)) give_up(const char *what, const evd_error *error) {
  fprintf(stderr, "a worker: %s: %s %s %s\n", what, evd_code_name(error->code), error->native,
          error->message);
  exit(EXIT_FAILURE);
}

static void tell(enum act act, enum came came, int32_t worker, int32_t row) {
  struct told told = {.act = (int32_t)act, .came = (int32_t)came, .worker = worker, .row = row};
  if (write(STDOUT_FILENO, &told, sizeof told) != sizeof told) {
    exit(EXIT_FAILURE);
  }
}

/* What came of an operation. Errors that no trouble brings end the program. */
static enum came came_of(evd_future *future, const char *what) {
  const evd_error *error = evd_future_error(future);
  switch (error->code) {
  case EVD_OK: return CAME_DONE;
  case EVD_EUNAVAILABLE:
  case EVD_ETIMEDOUT:
  case EVD_ECONFLICT: return error->outcome == EVD_OUTCOME_UNKNOWN ? CAME_UNKNOWN : CAME_REFUSED;
  default: give_up(what, error);
  }
}

static void insert(struct chain *chain);

static void on_rested(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop;
  (void)events;
  struct chain *chain = timer->data;
  chain->worker->under_way--;
  insert(chain);
}

/* Begins again, after a rest. */
static void rest(struct chain *chain) {
  chain->worker->under_way++;
  ev_now_update(chain->worker->loop);
  ev_timer_set(&chain->rest, REST, 0);
  ev_timer_start(chain->worker->loop, &chain->rest);
}

static void on_finished(evd_future *future, void *data) {
  struct finish *finish = data;
  struct chain *chain = finish->chain;
  bool matched = true;
  enum came came = came_of(future, "finish");
  if (came == CAME_DONE && (evd_future_matched(future, &matched) != EVD_OK || !matched)) {
    give_up("a row that was claimed cannot be finished", evd_future_error(future));
  }
  chain->worker->under_way--;
  tell(FINISHED, came, finish->worker, finish->row);
  free(finish);
  if (--chain->finishes == 0) {
    insert(chain);
  }
}

static void finish_row(struct chain *chain, const evd_execution *row) {
  struct finish *finish = malloc(sizeof *finish);
  if (finish == NULL || !chaos_read_name(row->execution_id, "te", &finish->worker, &finish->row)) {
    give_up(row->execution_id, &(evd_error){.message = "is nobody's row"});
  }
  finish->chain = chain;
  tell(CLAIMED, CAME_DONE, finish->worker, finish->row);
  evd_changes changes = sample_changes(EVD_STATUS_COMPLETED);
  evd_set(&changes, is_finished, true);
  chain->worker->under_way++;
  chain->finishes++;
  evd_future_then(evd_update(chain->worker->storage, row->execution_id,
                             &(evd_filter){.status = EVD_STATUS_RUNNING}, &changes),
                  on_finished, finish);
}

static void on_claimed(evd_future *future, void *data) {
  struct chain *chain = data;
  const evd_execution *rows;
  size_t count = 0;
  enum came came = came_of(future, "claim");
  chain->worker->under_way--;
  if (came != CAME_DONE) {
    tell(CLAIMED, came, -1, -1);
    rest(chain);
    return;
  }
  (void)evd_future_rows(future, &rows, &count);
  chain->finishes = 1; /* so that none of them is the last yet */
  for (size_t i = 0; i < count; i++) {
    finish_row(chain, &rows[i]);
  }
  if (--chain->finishes == 0) {
    insert(chain);
  }
}

static void claim(struct chain *chain) {
  struct worker *worker = chain->worker;
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_set(&changes, executor_id, worker->name);
  worker->under_way++;
  evd_future_then(
      evd_claim_by_start_at(worker->storage, sample_due(SAMPLE_TIME + 1000), &changes, CLAIM_LIMIT),
      on_claimed, chain);
}

static void on_inserted(evd_future *future, void *data) {
  struct chain *chain = data;
  enum came came = came_of(future, "insert");
  chain->worker->under_way--;
  tell(INSERTED, came, chain->worker->number, chain->row);
  if (came == CAME_DONE) {
    claim(chain);
  } else {
    rest(chain);
  }
}

static void insert(struct chain *chain) {
  struct worker *worker = chain->worker;
  char id[64];
  if (worker->ending) {
    if (worker->under_way == 0) {
      ev_break(worker->loop, EVBREAK_ALL);
    }
    return;
  }
  chain->row = worker->rows++;
  snprintf(id, sizeof id, "te_%" PRId32 "_%" PRId32, worker->number, chain->row);
  evd_execution row = sample_execution(id);
  worker->under_way++;
  evd_future_then(evd_insert(worker->storage, &row, 1), on_inserted, chain);
}

static void on_end(struct ev_loop *loop, ev_signal *signal, int events) {
  (void)events;
  struct worker *worker = signal->data;
  worker->ending = true;
  ev_signal_stop(loop, signal);
}

/* Works until it is told to end, and all has ended. */
static void work(struct worker *worker) {
  ev_signal_init(&worker->end, on_end, SIGTERM);
  worker->end.data = worker;
  ev_signal_start(worker->loop, &worker->end);
  for (int i = 0; i < CHAINS; i++) {
    struct chain *chain = &worker->chains[i];
    chain->worker = worker;
    ev_init(&chain->rest, on_rested);
    chain->rest.data = chain;
    insert(chain);
  }
  ev_run(worker->loop, 0);
  if (worker->under_way != 0) {
    give_up("the loop", &(evd_error){.message = "has ended with work under way"});
  }
}

int work_role(const char *url, const char *table, const char *number) {
  static struct worker worker;
  evd_options options = {.table = table, .schema = EVD_SCHEMA_CREATE};
  worker.loop = ev_default_loop(0);
  worker.number = (int32_t)strtol(number, NULL, 10);
  snprintf(worker.name, sizeof worker.name, "worker_%" PRId32, worker.number);
  evd_future *opening = evd_storage_open(worker.loop, url, &options);
  if (evd_future_await(opening) || evd_future_storage(opening, &worker.storage)) {
    give_up("open", evd_future_error(opening));
  }
  evd_future_release(opening);
  tell(OPENED, CAME_DONE, worker.number, -1);
  work(&worker);
  evd_future *closing = evd_storage_close(worker.storage, -1);
  if (evd_future_await(closing)) {
    give_up("close", evd_future_error(closing));
  }
  evd_future_release(closing);
  ev_run(worker.loop, 0); /* returns: nothing is left */
  return EXIT_SUCCESS;
}
