/* Stores the execution of a task, claims it as an executor does, completes it, and prints it. */
#include <evdurable.h>

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

/* Waits for an operation. A server attaches a callback instead, with evd_future_then(). */
static evd_future *done(evd_future *future) {
  if (evd_future_await(future) != EVD_OK) {
    fprintf(stderr, "%s\n", evd_future_error(future)->message);
    exit(1);
  }
  return future;
}

int main(int argc, char **argv) {
  const char *url = argc > 1 ? argv[1] : "sqlite:hello.db"; /* or postgresql://, mysql:// */
  evd_storage *storage;
  evd_options options = {.schema = EVD_SCHEMA_CREATE};
  evd_future *opened = done(evd_storage_open(EV_DEFAULT, url, &options));
  evd_future_storage(opened, &storage);

  char id[EVD_ID_SIZE];
  evd_execution execution;
  evd_id_generate(id);
  evd_execution_init(&execution, id, "send_mail", "{\"to\":\"ann@example.org\"}", NULL);
  evd_future_release(done(evd_insert(storage, &execution, 1)));

  evd_changes start = {.set = 0}, finish = {.set = 0};
  evd_set(&start, status, EVD_STATUS_RUNNING);
  evd_set(&finish, status, EVD_STATUS_COMPLETED);
  evd_set(&finish, is_finished, true);
  evd_set(&finish, output, "{\"sent\":true}");
  evd_set(&finish, close_status, EVD_CLOSE_CLOSED); /* it has no parent and no children */

  const evd_execution *rows;
  size_t count;
  int64_t now = evd_now();
  evd_due due = {.status = EVD_STATUS_READY, .start_at_before = now + 1, .started_at = now};
  evd_future *claimed = done(evd_claim_by_start_at(storage, &due, &start, 100));
  evd_future_rows(claimed, &rows, &count);
  for (size_t i = 0; i < count; i++) { /* here the tasks would do their work */
    evd_filter running = {.status = EVD_STATUS_RUNNING};
    evd_future_release(done(evd_update(storage, rows[i].execution_id, &running, &finish)));
    evd_future *got = done(evd_get(storage, rows[i].execution_id, NULL));
    const evd_execution *row;
    evd_future_row(got, &row);
    char *json = evd_execution_to_json(row);
    puts(json != NULL ? json : "out of memory");
    free(json);
    evd_future_release(got);
  }
  evd_future_release(claimed);
  evd_future_release(opened);
  evd_future_release(done(evd_storage_close(storage, -1)));
}
