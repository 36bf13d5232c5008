/* Runs an order durably: two children, one of which fails at first, and a last word about them. */
#include <evdurable.h>

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

/* The tasks. A run is ended by one call, here or in any later callback on the loop. */

static void order(evd_run *run, void *data) {
  (void)data;
  const char *input = evd_run_execution(run)->input;
  const evd_spec children[] = {{.task_id = "charge", .input = input},
                               {.task_id = "send_mail", .input = input}};
  evd_run_spawn(run, "\"ordered\"", children, 2);
}

static void charge(evd_run *run, void *data) {
  (void)data;
  evd_run_complete(run, "{\"charged\":true}");
}

static void send_mail(evd_run *run, void *data) {
  (void)data;
  if (evd_run_attempt(run) == 0) {
    evd_run_fail(run, EVD_STATUS_FAILED, "the mail server does not answer", true);
  } else {
    evd_run_complete(run, "{\"sent\":true}");
  }
}

/* Called when both children have finished, whatever became of them. */
static void confirm(evd_run *run, void *data) {
  (void)data;
  const evd_execution *children;
  size_t count;
  evd_run_children(run, &children, &count);
  for (size_t i = 0; i < count; i++) {
    printf("%s: %s\n", children[i].task_id, evd_status_name(children[i].status));
  }
  evd_run_complete(run, "\"confirmed\"");
}

/* Waits for an operation. A server attaches a callback instead, with evd_future_then(). */
static evd_future *done(evd_future *future) {
  if (evd_future_await(future) != EVD_OK) {
    fprintf(stderr, "%s\n", evd_future_error(future)->message);
    exit(1);
  }
  return future;
}

int main(int argc, char **argv) {
  const char *url = argc > 1 ? argv[1] : "sqlite:tasks.db"; /* or postgresql://, mysql:// */
  const evd_task tasks[] = {
      {.id = "order", .run = order, .finalize = confirm},
      {.id = "charge", .run = charge},
      {.id = "send_mail", .run = send_mail, .retry = {.max_attempts = 5, .base_delay_ms = 100}}};
  evd_storage *storage;
  evd_error error;
  evd_options options = {.schema = EVD_SCHEMA_CREATE};
  evd_future *opened = done(evd_storage_open(EV_DEFAULT, url, &options));
  evd_future_storage(opened, &storage);

  evd_executor *executor = evd_executor_new(storage, NULL, &error);
  for (int i = 0; executor != NULL && i < 3; i++) {
    evd_executor_add(executor, &tasks[i], &error);
  }
  if (executor == NULL || error.code != EVD_OK || evd_executor_start(executor) != EVD_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }

  char id[EVD_ID_SIZE];
  evd_spec spec = {.task_id = "order", .input = "{\"to\":\"ann@example.org\"}"};
  evd_future_release(done(evd_enqueue(executor, &spec, id)));
  evd_future *finished = done(evd_wait(executor, id, -1));
  const evd_execution *row;
  evd_future_row(finished, &row);
  printf("%s: %s, %s\n", row->task_id, evd_status_name(row->status), row->output);

  evd_future_release(finished);
  evd_future_release(done(evd_executor_stop(executor, 1000)));
  evd_future_release(opened);
  evd_future_release(done(evd_storage_close(storage, -1)));
}
