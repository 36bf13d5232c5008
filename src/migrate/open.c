/* Migrates on a worker's thread, for evd_storage_open(). */
#include "migrate/open.h"

#include <stdlib.h>
#include <string.h>

#include "async/worker.h"
#include "config.h"
#include "migrate/client.h"
#include "migrate/migrate.h"
#include "model/error.h"

#ifdef EVD_WITH_SQLITE
#include "engine/sqlite/url.h"
#endif

/* A migration under way. The loop's thread owns it, but while the job runs the worker's. */
struct opening {
  struct job job; /* first: the job is this */
  struct worker *worker;
  char *url, *table;
  struct table_name name;
  struct buffer steps;
  evd_error error;
  void (*done)(const struct migrated *migrated, void *data);
  void *data;
};

static void free_opening(struct opening *opening) {
  worker_free(opening->worker);
  buffer_free(&opening->steps);
  free(opening->url);
  free(opening->table);
  free(opening);
}

/* The worker's thread. */

static void note_step(const char *what, void *data) {
  struct buffer *steps = data;
  buffer_printf(steps, "%s%s", steps->length > 0 ? ", " : "", what);
}

static void run_job(struct job *job) {
  struct opening *opening = (struct opening *)job;
  struct migrate_result result;
  struct migrate_options options = {
      .wait_ms = MIGRATE_WAIT_MS, .step = note_step, .data = &opening->steps};
  struct sql_client *client = sql_client_open(opening->url, true, &opening->error);
  if (client != NULL) {
    if (migrate_up(client, &opening->name, &options, &result, &opening->error) == EVD_OK) {
      opening->error = (evd_error){.code = EVD_OK};
    }
    sql_client_close(client);
  }
}

/* The loop's thread. */

static void finish_job(struct job *job) {
  struct opening *opening = (struct opening *)job;
  struct migrated migrated = {
      .url = opening->url,
      .table = opening->table,
      .steps = opening->steps.failed || opening->steps.length == 0 ? "" : opening->steps.text,
      .error = opening->error};
  opening->done(&migrated, opening->data);
  free_opening(opening);
}

evd_code migrate_open_start(struct ev_loop *loop, const char *url, const char *table,
                            void (*done)(const struct migrated *migrated, void *data), void *data,
                            evd_error *error) {
  struct opening *opening = calloc(1, sizeof *opening);
  if (opening == NULL) {
    return error_set_no_memory(error);
  }
  opening->job = (struct job){.run = run_job, .done = finish_job};
  opening->url = strdup(url);
  opening->table = strdup(table);
  opening->done = done;
  opening->data = data;
  evd_code code = table_name_parse(table, &opening->name, error);
  if (code == EVD_OK && (opening->url == NULL || opening->table == NULL)) {
    code = error_set_no_memory(error);
  }
  if (code == EVD_OK && (opening->worker = worker_new(loop, error)) == NULL) {
    code = error->code;
  }
  if (code != EVD_OK) {
    free_opening(opening);
    return code;
  }
  worker_submit(opening->worker, &opening->job);
  return EVD_OK;
}

bool migrate_open_is_private(const char *url) {
  bool is_private = false;
#ifdef EVD_WITH_SQLITE
  struct sqlite_url parsed;
  evd_error ignored;
  if (sqlite_url_accepts(url) && sqlite_url_parse(url, &parsed, &ignored) == EVD_OK) {
    is_private = parsed.is_private;
    sqlite_url_free(&parsed);
  }
#else
  (void)url;
#endif
  return is_private;
}
