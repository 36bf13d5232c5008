/*
 * Three processes work on one table while their server restarts, the network cuts their connections
 * and they are killed themselves. Nothing that was acknowledged is lost, nothing is claimed or
 * finished twice, every operation ends, and nobody ends by himself.
 *
 *     EVD_TEST_SECONDS=600 tests/test_chaos
 *
 * Each engine has a few rounds, and more until so many seconds are over. EVD_TEST_SEED repeats the
 * lengths at which connections are cut.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ev.h>

#include "chaos/chaos.h"
#include "config.h"
#include "support/check.h"
#include "support/mariadb_server.h"
#include "support/postgres_server.h"
#include "support/process.h"
#include "support/proxy.h"
#include "support/scratch.h"
#include "support/watchdog.h"

enum { WORKERS = 3, ROUNDS_MIN = 3, CUTS = 10, PROGRESS = 30, PIPE_SIZE = 1 << 20 };

#define TABLE "task_executions"

static struct {
  const char *urls[WORKERS];
  struct process processes[WORKERS];
  int numbers[WORKERS]; /* of the workers at work */
  int next_number;
  int killed;
  struct fates *fates;
} chaos;

/* Reads what a worker tells. False at the end. */
static bool read_told(int place) {
  struct told told[256];
  ssize_t length;
  do {
    length = read(chaos.processes[place].output, told, sizeof told);
  } while (length < 0 && errno == EINTR);
  for (size_t i = 0; i < (size_t)(length > 0 ? length : 0) / sizeof told[0]; i++) {
    fates_note(chaos.fates, chaos.numbers[place], &told[i]);
  }
  return length > 0;
}

/* Reads what workers tell now, or within a moment. They do not end by themselves. */
static void listen_to_workers(void) {
  struct pollfd ready[WORKERS];
  for (int i = 0; i < WORKERS; i++) {
    ready[i] = (struct pollfd){.fd = chaos.processes[i].output, .events = POLLIN};
  }
  if (poll(ready, WORKERS, 100) <= 0) {
    return;
  }
  for (int i = 0; i < WORKERS; i++) {
    if (ready[i].revents != 0 && !read_told(i)) {
      fail_at(__FILE__, __LINE__, "worker %d has ended by itself, with %d", chaos.numbers[i],
              process_wait(&chaos.processes[i]));
    }
  }
}

/* Until each worker has done so much more. */
static void await_progress(uint64_t more) {
  uint64_t wanted[WORKERS];
  for (int i = 0; i < WORKERS; i++) {
    wanted[i] = fates_done(chaos.fates, chaos.numbers[i]) + more;
  }
  for (int i = 0; i < WORKERS; i++) {
    while (fates_done(chaos.fates, chaos.numbers[i]) < wanted[i]) {
      listen_to_workers();
    }
  }
}

static void start_worker(int place) {
  chaos.numbers[place] = chaos.next_number++;
  chaos.processes[place] = process_start((const char *const[]){
      WORK_ROLE, chaos.urls[place], TABLE, text("%d", chaos.numbers[place]), NULL});
  (void)fcntl(chaos.processes[place].output, F_SETPIPE_SZ, PIPE_SIZE);
  while (fates_done(chaos.fates, chaos.numbers[place]) == 0) {
    if (!read_told(place)) {
      fail_at(__FILE__, __LINE__, "worker %d does not begin", chaos.numbers[place]);
    }
  }
}

static void kill_worker(int place) {
  expect(kill(chaos.processes[place].pid, SIGKILL) == 0, "%s", strerror(errno));
  while (read_told(place)) {
    ;
  }
  (void)process_wait(&chaos.processes[place]);
  fates_note_killed(chaos.fates, chaos.numbers[place]);
  chaos.killed++;
}

/* Kills a worker and starts another, as long as there are numbers for more. */
static void replace_worker(int place) {
  if (chaos.next_number < WORKERS_MAX) {
    kill_worker(place);
    start_worker(place);
  }
}

/* Ends the workers in good order. */
static void end_workers(void) {
  for (int i = 0; i < WORKERS; i++) {
    expect(kill(chaos.processes[i].pid, SIGTERM) == 0, "%s", strerror(errno));
  }
  for (int i = 0; i < WORKERS; i++) {
    while (read_told(i)) {
      ;
    }
    int status = process_wait(&chaos.processes[i]);
    expect(status == 0, "worker %d has ended with %d", chaos.numbers[i], status);
  }
}

/* Lets the workers work, disturbs them again and again, and verifies the table by a URL without
 * trouble. */
static void work_through(const char *url, void (*disturb)(int round)) {
  const char *seconds = getenv("EVD_TEST_SECONDS");
  double end = ev_time() + (seconds != NULL ? strtod(seconds, NULL) : 0);
  uint64_t done = 0;
  int round;
  chaos.fates = fates_new();
  chaos.next_number = chaos.killed = 0;
  watchdog(600);
  for (int i = 0; i < WORKERS; i++) {
    start_worker(i);
  }
  for (round = 0; round < ROUNDS_MIN || ev_time() < end; round++) {
    watchdog(600);
    await_progress(PROGRESS);
    disturb(round);
    if (round % 2 == 1) {
      replace_worker(round / 2 % WORKERS);
    }
  }
  await_progress(PROGRESS);
  end_workers();
  fates_verify(chaos.fates, url, TABLE);
  for (int i = 0; i < chaos.next_number; i++) {
    done += fates_done(chaos.fates, i);
  }
  print_message("# %d rounds, %d processes killed, %llu operations done\n", round, chaos.killed,
                (unsigned long long)done);
  fates_free(chaos.fates);
  watchdog(0);
}

/* The proxy cuts some connections, within so many bytes. */
static void cut_some(struct proxy *proxy) {
  static const uint32_t lengths[] = {200, 2000, 20000, 200000};
  uint32_t cuts = proxy_cuts(proxy);
  proxy_cut_within(proxy, lengths[(unsigned)random() % 4]);
  while (proxy_cuts(proxy) - cuts < CUTS) {
    listen_to_workers();
  }
  proxy_cut_within(proxy, 0);
  await_progress(PROGRESS);
}

#ifdef EVD_WITH_POSTGRES

static struct {
  struct postgres_server server;
  struct proxy *proxy;
} postgres;

static void disturb_postgres(int round) {
  cut_some(postgres.proxy);
  if (round % 2 == 0) {
    postgres_server_kill(&postgres.server);
  }
  postgres_server_restart(&postgres.server);
}

static void postgres_loses_and_doubles_nothing(void **state) {
  (void)state;
  needs_postgres();
  postgres_server_start(&postgres.server, true, "");
  postgres.proxy = proxy_start((unsigned)postgres.server.port);
  const char *url = text("postgresql://postgres:evd@127.0.0.1:%u/evd", proxy_port(postgres.proxy));
  chaos.urls[0] = url;
  chaos.urls[1] = text("%s?sslmode=require", url);
  chaos.urls[2] = text("%s?pool_max=2", url);
  work_through(postgres.server.url, disturb_postgres);
  print_message("# %u connections cut\n", proxy_cuts(postgres.proxy));
  proxy_stop(postgres.proxy);
  postgres_server_end(&postgres.server);
  release_kept();
}

#endif
#ifdef EVD_WITH_MYSQL

static struct {
  struct mariadb_server server;
  struct proxy *proxy;
} mariadb;

static void disturb_mariadb(int round) {
  cut_some(mariadb.proxy);
  if (round % 2 == 0) {
    mariadb_server_kill(&mariadb.server);
  }
  mariadb_server_restart(&mariadb.server);
}

static void mariadb_loses_and_doubles_nothing(void **state) {
  (void)state;
  needs_mysql();
  mariadb_server_start(&mariadb.server, "");
  mariadb.proxy = proxy_start(mariadb.server.port);
  unsigned port = proxy_port(mariadb.proxy);
  chaos.urls[0] = mysql_url_at(mariadb.server.url, port);
  chaos.urls[1] = mysql_url_with(mysql_url_at(mariadb.server.tls_user, port), "ssl=on");
  chaos.urls[2] = mysql_url_with(chaos.urls[0], "pool_max=2");
  work_through(mariadb.server.url, disturb_mariadb);
  print_message("# %u connections cut\n", proxy_cuts(mariadb.proxy));
  proxy_stop(mariadb.proxy);
  mariadb_server_end(&mariadb.server);
  release_kept();
}

#endif
#ifdef EVD_WITH_SQLITE

/* The workers are killed in all the other rounds, too. */
static void disturb_sqlite(int round) {
  if (round % 2 == 0) {
    replace_worker(round / 2 % WORKERS);
  }
}

static void sqlite_loses_and_doubles_nothing(void **state) {
  (void)state;
  const char *url = text("sqlite:%s", scratch_new());
  for (int i = 0; i < WORKERS; i++) {
    chaos.urls[i] = url;
  }
  work_through(url, disturb_sqlite);
  release_kept();
}

#endif

int main(int argc, char **argv) {
  if (argc == 5 && strcmp(argv[1], WORK_ROLE) == 0) {
    return work_role(argv[2], argv[3], argv[4]);
  }
  const char *given = getenv("EVD_TEST_SEED");
  unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
  srandom(seed);
  print_message("# EVD_TEST_SEED=%u\n", seed);
  const struct CMUnitTest tests[] = {
#ifdef EVD_WITH_SQLITE
      cmocka_unit_test(sqlite_loses_and_doubles_nothing),
#endif
#ifdef EVD_WITH_POSTGRES
      cmocka_unit_test(postgres_loses_and_doubles_nothing),
#endif
#ifdef EVD_WITH_MYSQL
      cmocka_unit_test(mariadb_loses_and_doubles_nothing),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
