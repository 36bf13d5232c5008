/*
 * What was acknowledged survives the death of the process at any moment, and nothing is applied by
 * half:
 *
 *     tests/test_durability [URL]
 *
 * By default on new files of SQLite; on a server, it is the client that is killed. EVD_TEST_SEED
 * repeats the moments of a run, as far as that can be.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ev.h>

#include "durability/durability.h"
#include "support/await.h"
#include "support/check.h"
#include "support/native_sql.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/watchdog.h"

enum { ROUNDS = 30, EARLY_ROUNDS = 15 };

static const char *given_url;

/* All that was acknowledged in a test. */
struct log {
  struct acknowledged *all;
  size_t count, size;
  int64_t closed;
  int32_t families[ROUNDS]; /* of each round: one more than the last that was begun, or so */
};

static void remember(struct log *log, const struct acknowledged *one) {
  if (log->count == log->size) {
    log->size = log->size * 2 + 4096;
    log->all = realloc(log->all, log->size * sizeof *log->all);
    if (log->all == NULL) {
      abort();
    }
  }
  log->all[log->count++] = *one;
  if (one->act == CLOSED) {
    log->closed += one->count;
  } else if (one->family + 2 * IN_FLIGHT > log->families[one->round]) {
    log->families[one->round] = one->family + 2 * IN_FLIGHT;
  }
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Reads what the writer says for so long, from now or from its first word on, kills it, and reads
 * the rest. */
static void listen_and_kill(struct process *process, double life, bool from_first,
                            struct log *log) {
  struct acknowledged one;
  double end = seconds() + (from_first ? 3600 : life);
  bool killed = false;
  for (;;) {
    struct pollfd ready = {.fd = process->output, .events = POLLIN};
    double left = end - seconds();
    if (!killed && left <= 0) {
      kill(process->pid, SIGKILL);
      killed = true;
    }
    if (poll(&ready, 1, killed ? -1 : (int)(left * 1000) + 1) == 0) {
      continue;
    }
    if (read(process->output, &one, sizeof one) != sizeof one) {
      break; /* the end */
    }
    if (from_first) {
      from_first = false;
      end = seconds() + life;
    }
    remember(log, &one);
  }
  expect(process_wait(process) == -1, "the writer ended by itself");
}

/* A writer's life of so long; what it said is remembered. In every other round it is killed at any
 * time, in the others when it has begun to work, however slow the machine is. */
static void write_for(const char *url, const char *table, int round, double life, struct log *log) {
  const char *const arguments[] = {WRITE_ROLE, url, table, text("%d", round), NULL};
  struct process process = process_start(arguments);
  listen_and_kill(&process, life, round % 2 == 1, log);
}

static evd_storage *open_storage(struct ev_loop *loop, const char *url, const char *table) {
  return await_storage(evd_storage_open(
      loop, url, &(evd_options){.table = table, .schema = EVD_SCHEMA_CREATE, .test_mode = true}));
}

/* Leaves nothing behind on a server. */
static void drop_table(const char *url, const char *table) {
  if (given_url != NULL) {
    native_run_once(url, text("drop table %s;", table));
  }
}

/* A server may still be at work on what a dead client has sent. */
static void wait_for_servers(void) {
  if (given_url != NULL) {
    usleep(300000);
  }
}

static double random_between(double least, double most) {
  return least + (most - least) * ((double)random() / (double)RAND_MAX);
}

static void what_was_acknowledged_survives_being_killed(void **state) {
  const char *url = given_url != NULL ? given_url : text("sqlite:%s", scratch_new());
  const char *table = text("durability_%d", (int)getpid());
  char kept_url[1024], kept_table[64];
  snprintf(kept_url, sizeof kept_url, "%s", url);
  snprintf(kept_table, sizeof kept_table, "%s", table);
  struct log log = {0};
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  for (int round = 0; round < ROUNDS; round++) {
    watchdog(600);
    size_t before = log.count;
    write_for(kept_url, kept_table, round, random_between(0.02, 0.3), &log);
    wait_for_servers();
    evd_storage *storage = open_storage(loop, kept_url, kept_table);
    if (log.count > before) {
      verify_acknowledged(storage, &log.all[before], log.count - before);
    }
    verify_families(storage, round, log.families[round]);
    await_ok(evd_storage_close(storage, -1));
  }
  watchdog(600);
  evd_storage *storage = open_storage(loop, kept_url, kept_table);
  int64_t closed = 0;
  expect(log.count >= (size_t)ROUNDS / 2, "only %zu operations in all", log.count);
  verify_acknowledged(storage, log.all, log.count);
  for (int round = 0; round < ROUNDS; round++) {
    closed += verify_families(storage, round, log.families[round]);
  }
  expect(closed >= log.closed, "%lld closed, %lld acknowledged", (long long)closed,
         (long long)log.closed);
  print_message("# %zu operations acknowledged, in %d lives\n", log.count, ROUNDS);
  await_ok(evd_storage_close(storage, -1));
  drop_table(kept_url, kept_table);
  release_kept();
  ev_loop_destroy(loop);
  free(log.all);
}

/* The table is there or not, but never by half. */
static void a_storage_killed_while_it_makes_its_table_opens_again(void **state) {
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  for (int round = 0; round < EARLY_ROUNDS; round++) {
    watchdog(600);
    struct log log = {0};
    const char *url = given_url != NULL ? given_url : text("sqlite:%s", scratch_new());
    const char *table = text("durability_%d_%d", (int)getpid(), round);
    write_for(url, table, round, random_between(0.001, 0.02), &log);
    wait_for_servers();
    evd_storage *storage = open_storage(loop, url, table);
    size_t count;
    await_rows(evd_get_by_parent(storage, "nobody"), &count);
    await_ok(evd_storage_close(storage, -1));
    drop_table(url, table);
    free(log.all);
    release_kept();
  }
  ev_loop_destroy(loop);
}

int main(int argc, char **argv) {
  if (argc == 5 && strcmp(argv[1], WRITE_ROLE) == 0) {
    return write_role(argv[2], argv[3], argv[4]);
  }
  given_url = argc > 1 ? argv[1] : NULL;
  const char *given_seed = getenv("EVD_TEST_SEED");
  unsigned seed =
      given_seed != NULL ? (unsigned)strtoul(given_seed, NULL, 10) : (unsigned)time(NULL);
  srandom(seed);
  printf("# EVD_TEST_SEED=%u\n", seed);
  fflush(stdout);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_acknowledged_survives_being_killed),
      cmocka_unit_test(a_storage_killed_while_it_makes_its_table_opens_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
