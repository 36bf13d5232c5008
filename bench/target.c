/* Where a run works: fresh files and tables, and a storage on them. */
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "floor.h"

/* The temporary directory and the SQLite file in it, with what SQLite keeps beside it. Static, as a
 * signal may remove them. */
static char directory[512];
static char files[3][sizeof directory + 16];

static unsigned next_target;

/* Removes the files; safe in a signal handler, as targets_clean() is. */
static void remove_files(void) {
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    unlink(files[i]);
  }
}

void targets_clean(void) {
  if (directory[0] == '\0') {
    return;
  }
  remove_files();
  rmdir(directory);
  directory[0] = '\0';
}

static void interrupted(int number) {
  targets_clean();
  signal(number, SIG_DFL);
  raise(number);
}

/* Makes the temporary directory, once. */
static bool make_directory(void) {
  static const char *const suffixes[] = {"", "-wal", "-shm"};
  char path[sizeof directory];
  const char *parent = getenv("TMPDIR");
  if (directory[0] != '\0') {
    return true;
  }
  int length = snprintf(path, sizeof path, "%s/evdurable-bench.XXXXXX",
                        parent != NULL && parent[0] != '\0' ? parent : "/tmp");
  if (length >= (int)sizeof path || mkdtemp(path) == NULL) {
    return bench_fail("cannot make a directory in %s", parent != NULL ? parent : "/tmp");
  }
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    snprintf(files[i], sizeof files[i], "%s/bench.db%s", path, suffixes[i]);
  }
  memcpy(directory, path, sizeof directory);
  signal(SIGINT, interrupted);
  signal(SIGTERM, interrupted);
  return true;
}

bool target_init(struct target *target, const char *engine, const struct bench_options *options) {
  const char *url = options->url;
  *target = (struct target){.engine = engine};
  snprintf(target->table, sizeof target->table, "bench_%d_%u", (int)getpid(), ++next_target);
  if (url == NULL && strcmp(engine, "sqlite") == 0) {
    if (!make_directory()) {
      return false;
    }
    target->own_file = true;
    snprintf(target->url, sizeof target->url, "sqlite:%s", files[0]);
    return true;
  }
  const char *variable =
      strcmp(engine, "postgres") == 0 ? "EVD_BENCH_POSTGRES_URL" : "EVD_BENCH_MYSQL_URL";
  if (url == NULL) {
    url = getenv(variable);
  }
  if (url == NULL || url[0] == '\0') {
    return bench_fail("%s: no database: set %s, or use bench/run", engine, variable);
  }
  if (strlen(url) >= sizeof target->url) {
    return bench_fail("%s: the URL is too long", engine);
  }
  memcpy(target->url, url, strlen(url) + 1);
  return true;
}

bool target_remove(const struct target *target) {
  if (!target->own_file) {
    return floor_execute(target, "drop table if exists");
  }
  remove_files();
  return true;
}

evd_storage *target_open(const struct target *target, evd_options *options) {
  evd_storage *storage = NULL;
  options->table = target->table;
  options->schema = EVD_SCHEMA_CREATE;
  evd_future *future = evd_storage_open(ev_default_loop(0), target->url, options);
  if (evd_future_await(future) != EVD_OK) {
    bench_fail_future("opening the storage", future);
  }
  evd_future_storage(future, &storage);
  evd_future_release(future);
  return storage;
}

bool target_close(evd_storage *storage) {
  if (storage == NULL) {
    return true;
  }
  evd_future *future = evd_storage_close(storage, -1);
  bool ok = evd_future_await(future) == EVD_OK || bench_fail_future("closing the storage", future);
  evd_future_release(future);
  return ok;
}
