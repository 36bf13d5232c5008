/*
 * The MySQL engine when servers and networks fail, on a server of its own: killed and started again,
 * connections cut at random bytes, servers that stall, sessions that time out, TLS.
 *
 * EVD_TEST_SECONDS is how long connections are cut (10); EVD_TEST_SEED repeats a run's random choices,
 * as far as that can be.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <ev.h>
#include <evdurable.h>

#include "migrate/client.h"
#include "support/await.h"
#include "support/check.h"
#include "support/mariadb_server.h"
#include "support/native_sql.h"
#include "support/proxy.h"
#include "support/sample.h"
#include "support/watchdog.h"

static struct mariadb_server server; /* of all tests */
static struct ev_loop *loop;

static int start_server(void **state) {
  (void)state;
  if (mysql_is_there()) {
    mariadb_server_start(&server, "");
  }
  return 0;
}

static int end_server(void **state) {
  (void)state;
  if (mysql_is_there()) {
    mariadb_server_end(&server);
  }
  release_kept();
  return 0;
}

static int set_up(void **state) {
  (void)state;
  watchdog(600);
  loop = ev_loop_new(EVFLAG_AUTO);
  return loop != NULL ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  release_kept();
  ev_loop_destroy(loop);
  watchdog(0);
  return 0;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Opens the server's storage with an empty table. */
static evd_storage *open_at(const char *url, evd_options options) {
  options.schema = EVD_SCHEMA_CREATE;
  options.test_mode = true;
  return await_storage(evd_storage_open(loop, url, &options));
}

static evd_storage *open_empty(const char *url, evd_options options) {
  evd_storage *storage = open_at(url, options);
  (void)await_count(evd_delete_all(storage));
  return storage;
}

static void close_storage(evd_storage *storage) {
  await_ok(evd_storage_close(storage, -1));
}

/* The error with which opening fails. */
static evd_error open_error(const char *url) {
  return await_error(evd_storage_open(loop, url, NULL), EVD_EUNAVAILABLE);
}

/* Runs the loop for so long. */
static void on_end(struct ev_loop *of, ev_timer *timer, int events) {
  (void)timer;
  (void)events;
  ev_break(of, EVBREAK_ONE);
}

static void run_for(double duration) {
  ev_timer timer;
  ev_now_update(loop);
  ev_timer_init(&timer, on_end, duration, 0);
  ev_timer_start(loop, &timer);
  ev_run(loop, 0);
}

/* Runs the loop until a session waits for a lock. InnoDB renews what it shows here only when nobody has
 * looked for a moment. */
static void await_lock_wait(struct native *native) {
  do {
    run_for(0.2);
  } while (native_number(native, "select count(*) from information_schema.innodb_trx"
                                 " where trx_state = 'LOCK WAIT';") == 0);
}

/* --- TLS --- */

static void a_user_who_may_only_come_by_tls_comes_by_tls(void **state) {
  (void)state;
  needs_mysql();
  assert_string_equal(open_error(server.tls_user).native, "1045");
  const char *const options[] = {"ssl=on", text("ssl_ca=%s", server.ca),
                                 text("ssl_ca=%s&ssl_verify=on&pool_min=3", server.ca)};
  for (int i = 0; i < 3; i++) {
    evd_storage *storage =
        open_empty(mysql_url_with(server.tls_user, options[i]), (evd_options){0});
    evd_execution row = sample_full("te_1");
    await_ok(evd_insert(storage, &row, 1));
    expect_row(await_row(evd_get(storage, "te_1", NULL)), &row);
    close_storage(storage);
  }
}

/* Debian has the server's plugin in mariadb-server, which tests need not have. */
static void a_user_of_ed25519_comes_in(void **state) {
  (void)state;
  needs_mysql();
  struct native *native = native_open(server.root);
  native_run(native, "set @there = 0; begin not atomic declare continue handler for sqlexception"
                     " set @there = -1; install soname 'auth_ed25519'; end;");
  if (native_number(native, "select @there;") != 0) {
    native_close(native);
    print_message("no plugin auth_ed25519 here (Debian: mariadb-server): not tested\n");
    skip();
  }
  native_run(native, "create user evd_ed identified via ed25519 using password('evd');"
                     "grant all on `evd%`.* to evd_ed;");
  const char *url = text("mysql://evd_ed:evd@127.0.0.1:%u/evd", server.port);
  for (int tls = 0; tls < 2; tls++) {
    close_storage(open_empty(mysql_url_with(url, tls ? "ssl=on" : "ssl=off"), (evd_options){0}));
  }
  const char *wrong = text("mysql://evd_ed:wrong@127.0.0.1:%u/evd", server.port);
  assert_string_equal(open_error(wrong).native, "1045");
  native_close(native);
}

static void a_server_whose_certificate_is_not_trusted_is_refused(void **state) {
  (void)state;
  needs_mysql();
  evd_error error =
      open_error(mysql_url_with(server.tls_user, "ssl_ca=/etc/ssl/certs/ca-certificates.crt"));
  expect(strstr(error.message, "certificate") != NULL || strstr(error.message, "TLS") != NULL, "%s",
         error.message);
  error = open_error(mysql_url_with(server.tls_user, "ssl_ca=/nowhere/ca.pem"));
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
}

static void large_values_go_both_ways_over_tls(void **state) {
  (void)state;
  needs_mysql();
  enum { ROWS = 8, SIZE = 1 << 20 };
  evd_storage *storage = open_empty(mysql_url_with(server.tls_user, "ssl=on"), (evd_options){0});
  evd_execution rows[ROWS];
  evd_future *futures[ROWS];
  for (int i = 0; i < ROWS; i++) {
    char *input = keep_memory(SIZE + 1);
    memset(input, 'a' + i, SIZE);
    input[0] = input[SIZE - 1] = '"';
    rows[i] = sample_execution(text("te_%d", i));
    rows[i].input = input;
    futures[i] = evd_insert(storage, &rows[i], 1);
  }
  for (int i = 0; i < ROWS; i++) {
    await_ok(futures[i]);
  }
  for (int i = 0; i < ROWS; i++) {
    futures[i] = evd_get(storage, rows[i].execution_id, NULL);
  }
  for (int i = 0; i < ROWS; i++) {
    expect_row(await_row(futures[i]), &rows[i]);
  }
  close_storage(storage);
}

/* The server that dies, or is told to, says no good-bye, of which OpenSSL keeps a note on the thread. */
static void a_session_over_tls_that_ends_unannounced_harms_no_other(void **state) {
  (void)state;
  needs_mysql();
  enum { ROWS = 20 };
  evd_storage *storage =
      open_empty(mysql_url_with(server.tls_user, "ssl=on&pool_min=2&pool_max=2"), (evd_options){0});
  struct native *native = native_open(server.root);
  evd_execution rows[ROWS];
  evd_future *futures[ROWS];
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  for (int i = 0; i < ROWS; i++) {
    rows[i] = sample_execution(text("te_%d", i));
  }
  await_ok(evd_insert(storage, rows, ROWS));
  native_run(native,
             "begin; select * from task_executions where execution_id = 'te_0' for update;");
  evd_future *update = keep_future(evd_update(storage, "te_0", NULL, &changes));
  await_lock_wait(native);
  native_run(native, text("kill %lld;", (long long)native_number(
                                            native, "select id from information_schema.processlist"
                                                    " where user = 'evd_tls' and info like"
                                                    " 'update%';")));
  assert_int_equal(evd_future_await(update), EVD_EUNAVAILABLE);
  native_run(native, "rollback;");
  for (int round = 0; round < 10; round++) {
    for (int i = 1; i < ROWS; i++) {
      futures[i] = evd_update(storage, rows[i].execution_id, NULL, &changes);
    }
    for (int i = 1; i < ROWS; i++) {
      assert_true(await_matched(futures[i]));
    }
  }
  evd_stats stats;
  evd_storage_stats(storage, &stats);
  assert_in_range(stats.reconnections, 0, 1);
  assert_int_equal(stats.operations[EVD_OPERATION_UPDATE].retries, 0);
  native_close(native);
  close_storage(storage);
}

/* A server that has no TLS, and asks for the password as it is: by another plugin, or as that of
 * caching_sha2_password does when it does not know the user yet. */
struct impostor {
  pthread_t thread;
  int listener;
  unsigned port;
  const char *plugin;  /* that it greets with */
  const char *request; /* that it answers a log-in with, of this many bytes */
  size_t request_size;
  char heard[8192]; /* all that clients said */
  size_t heard_size;
};

/* Sends a packet; its text may have zeros. */
static void impostor_say(int client, unsigned char number, const char *bytes, size_t size) {
  unsigned char packet[256] = {(unsigned char)size, 0, 0, number};
  memcpy(packet + 4, bytes, size);
  (void)send(client, packet, size + 4, MSG_NOSIGNAL);
}

/* Hears what a client says; false at its end. */
static bool impostor_hear(struct impostor *impostor, int client) {
  ssize_t size = recv(client, impostor->heard + impostor->heard_size,
                      sizeof impostor->heard - impostor->heard_size, 0);
  impostor->heard_size += size > 0 ? (size_t)size : 0;
  return size > 0;
}

static void *impostor_run(void *data) {
  static const char head[] = "\x0a"
                             "8.0.36\0"
                             "\1\0\0\0"
                             "12345678\0"
                             "\xdf\xf7\x2d\2\0\xbf\x81\x15" /* all capabilities but TLS */
                             "\0\0\0\0\0\0\0\0\0\0"
                             "123456789012";
  struct impostor *impostor = data;
  int client;
  while ((client = accept(impostor->listener, NULL, NULL)) >= 0) {
    char greeting[128];
    memcpy(greeting, head, sizeof head);
    memcpy(greeting + sizeof head, impostor->plugin, strlen(impostor->plugin) + 1);
    impostor_say(client, 0, greeting, sizeof head + strlen(impostor->plugin) + 1);
    if (impostor_hear(impostor, client)) {
      impostor_say(client, 2, impostor->request, impostor->request_size);
      while (impostor_hear(impostor, client)) {
      }
    }
    close(client);
  }
  return NULL;
}

static void impostor_start(struct impostor *impostor) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  impostor->listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(impostor->listener, (struct sockaddr *)&address, size), 0);
  assert_int_equal(listen(impostor->listener, 8), 0);
  assert_int_equal(getsockname(impostor->listener, (struct sockaddr *)&address, &size), 0);
  impostor->port = ntohs(address.sin_port);
  assert_int_equal(pthread_create(&impostor->thread, NULL, impostor_run, impostor), 0);
}

static void impostor_stop(struct impostor *impostor) {
  shutdown(impostor->listener, SHUT_RDWR);
  pthread_join(impostor->thread, NULL);
  close(impostor->listener);
}

/* Comes to it as the engine does and as the migrations do. Whether it was told the password. */
static bool impostor_is_told(struct impostor *impostor, const char *options, const char *says) {
  evd_error error = {0};
  impostor_start(impostor);
  const char *url = text("mysql://evd:open-sesame@127.0.0.1:%u/evd?%s", impostor->port, options);
  evd_error opening = open_error(url);
  assert_null(sql_client_open(url, false, &error));
  impostor_stop(impostor);
  assert_int_equal(error.code, EVD_EUNAVAILABLE);
  assert_int_equal(opening.outcome, EVD_OUTCOME_NOT_APPLIED);
  expect(strstr(opening.message, says) != NULL, "%s", opening.message);
  expect(strstr(error.message, says) != NULL, "%s", error.message);
  return memmem(impostor->heard, impostor->heard_size, "open-sesame", 11) != NULL;
}

static void a_server_without_tls_is_refused_and_never_told_the_password(void **state) {
  (void)state;
  static const char clear[] = "\xfemysql_clear_password";
  const struct impostor impostors[] = {
      {.plugin = "mysql_native_password", .request = clear, .request_size = sizeof clear},
      {.plugin = "caching_sha2_password", .request = "\1\4", .request_size = 2}};
  for (int i = 0; i < 2; i++) {
    struct impostor with_tls = impostors[i];
    assert_false(impostor_is_told(&with_tls, "ssl=on", "offers no TLS"));
    assert_int_equal(with_tls.heard_size, 0);
    struct impostor without = impostors[i];
    assert_false(impostor_is_told(&without, "ssl=off", "127.0.0.1"));
    assert_true(without.heard_size > 0);
  }
}

/* The options of the server's Unix socket. */
static const char *socket_options(const char *further) {
  return text("socket=%s/server/socket%s", server.dir, further);
}

/* Nothing listens at the port: only the socket is left. */
static void a_socket_is_what_is_connected_to(void **state) {
  (void)state;
  needs_mysql();
  static const char *const further[] = {"", "&ssl=on", "&ssl_ca="};
  for (int i = 0; i < 3; i++) {
    const char *options = text("%s%s", socket_options(further[i]), i == 2 ? server.ca : "");
    const char *url = mysql_url_with("mysql://evd:evd@127.0.0.1:1/evd", options);
    evd_storage *storage = open_empty(url, (evd_options){0});
    evd_execution row = sample_execution("te_1");
    await_ok(evd_insert(storage, &row, 1));
    close_storage(storage);
    evd_error error = {0};
    struct sql_client *client = sql_client_open(url, false, &error);
    expect(client != NULL, "%s", error.message);
    client->ops->close(client);
  }
}

/* How late a timer on the loop is at most, in seconds. */
struct ticker {
  ev_timer timer;
  double last, worst;
  unsigned ticks;
};

static void tick(struct ev_loop *of, ev_timer *timer, int events) {
  (void)of;
  (void)events;
  struct ticker *ticker = (struct ticker *)timer;
  double now = seconds();
  if (ticker->ticks++ > 0 && now - ticker->last > ticker->worst) {
    ticker->worst = now - ticker->last;
  }
  ticker->last = now;
}

static void ticker_start(struct ticker *ticker) {
  *ticker = (struct ticker){.last = 0};
  ev_timer_init(&ticker->timer, tick, 0.001, 0.001);
  ev_timer_start(loop, &ticker->timer);
}

/* A handshake that stalls holds nobody up: not the loop, and not the end. */
static void a_handshake_that_stalls_does_not_block_the_loop(void **state) {
  (void)state;
  needs_mysql();
  struct proxy *proxy = proxy_start(server.port);
  const char *url =
      mysql_url_with(mysql_url_at(server.tls_user, proxy_port(proxy)), "ssl=on&connect_timeout=2");
  proxy_stall(proxy, 1);
  struct ticker ticker;
  ticker_start(&ticker);
  double begin = seconds();
  evd_error error = open_error(url);
  double took = seconds() - begin;
  ev_timer_stop(loop, &ticker.timer);
  expect(took > 1.5, "opening took %g s", took);
  expect(ticker.ticks > 3 && ticker.worst < took / 2, "%u ticks in %g s, none for %g s",
         ticker.ticks, took, ticker.worst);
  assert_non_null(strstr(error.message, "127.0.0.1"));
  proxy_stop(proxy);
}

/* --- sessions --- */

static void sessions_are_read_committed(void **state) {
  (void)state;
  needs_mysql();
  evd_storage *storage = open_empty(server.url, (evd_options){0});
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  struct native *native = native_open(server.root);
  native_run(native, "begin; select * from task_executions for update;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *future = keep_future(evd_update(storage, "te_1", NULL, &changes));
  await_lock_wait(native);
  assert_string_equal(native_text(native,
                                  "select trx_isolation_level from information_schema.innodb_trx"
                                  " where trx_mysql_thread_id <> connection_id();"),
                      "READ COMMITTED");
  native_run(native, "rollback;");
  assert_int_equal(evd_future_await(future), EVD_OK);
  native_close(native);
  close_storage(storage);
}

/* Whether others see that the row is running. */
static bool others_see_it_running(const char *id) {
  struct native *native = native_open(server.root);
  const char *status = native_text(
      native, text("select status from task_executions where execution_id = '%s';", id));
  native_close(native);
  return strcmp(status, "running") == 0;
}

static void a_commit_is_the_end_whatever_the_server_chains(void **state) {
  (void)state;
  needs_mysql();
  native_run_once(server.root, "set global completion_type = 1;");
  evd_storage *storage = open_empty(mysql_url_with(server.url, "pool_max=1"), (evd_options){0});
  evd_execution rows[] = {sample_execution("te_1"), sample_execution("te_2"),
                          sample_execution("te_3")};
  await_ok(evd_insert(storage, rows, 3));
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *both[] = {evd_update(storage, "te_1", NULL, &changes),
                        evd_update(storage, "te_2", NULL, &changes)};
  assert_true(await_matched(both[0]));
  assert_true(await_matched(both[1]));
  assert_true(await_matched(evd_update(storage, "te_3", NULL, &changes)));
  assert_true(others_see_it_running("te_2"));
  assert_true(others_see_it_running("te_3"));
  evd_stats stats;
  evd_storage_stats(storage, &stats);
  assert_int_equal(stats.reconnections, 0);
  close_storage(storage);
  native_run_once(server.root, "set global completion_type = 0;");
}

/* As a proxy might leave one, or the server's init_connect. */
static void nothing_is_acknowledged_in_a_transaction_that_was_not_begun(void **state) {
  (void)state;
  needs_mysql();
  evd_storage *storage = open_empty(server.url, (evd_options){0});
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  close_storage(storage);
  native_run_once(server.root, "set global init_connect = 'begin';");
  const char *url = mysql_url_with(server.url, "pool_max=1"); /* or another connection takes over */
  storage = await_storage(evd_storage_open(loop, url, NULL));
  native_run_once(server.root, "set global init_connect = '';");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  assert_true(await_matched(evd_update(storage, "te_1", NULL, &changes)));
  assert_true(others_see_it_running("te_1"));
  evd_stats stats;
  evd_storage_stats(storage, &stats);
  assert_true(stats.reconnections >= 1);
  close_storage(storage);
}

static void sessions_that_the_server_times_out_are_replaced_unseen(void **state) {
  (void)state;
  needs_mysql();
  native_run_once(server.root, "set global wait_timeout = 1;");
  evd_storage *storage = open_empty(mysql_url_with(server.url, "pool_min=2"), (evd_options){0});
  run_for(2.5);
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  run_for(2.5);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  assert_true(await_matched(evd_update(storage, "te_1", NULL, &changes)));
  evd_stats stats;
  evd_storage_stats(storage, &stats);
  assert_true(stats.reconnections >= 2);
  close_storage(storage);
  native_run_once(server.root, "set global wait_timeout = 28800;");
}

static void a_server_that_stalls_is_given_up_after_the_read_timeout(void **state) {
  (void)state;
  needs_mysql();
  struct proxy *proxy = proxy_start(server.port);
  for (int tls = 0; tls < 2; tls++) {
    const char *url = mysql_url_at(tls ? server.tls_user : server.url, proxy_port(proxy));
    evd_storage *storage = open_empty(
        mysql_url_with(url, tls ? "read_timeout=1&ssl=on" : "read_timeout=1"), (evd_options){0});
    evd_execution row = sample_execution("te_1");
    await_ok(evd_insert(storage, &row, 1));
    proxy_stall(proxy, 1);
    evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
    double begin = seconds();
    evd_error error = await_error(evd_update(storage, "te_1", NULL, &changes), EVD_EUNAVAILABLE);
    double took = seconds() - begin;
    expect(took > 0.8, "took %g s", took);
    assert_int_equal(error.outcome, EVD_OUTCOME_UNKNOWN);
    proxy_stall(proxy, 0);
    proxy_cut_all(proxy);
    const evd_execution *found = await_row(evd_get(storage, "te_1", NULL));
    assert_non_null(found);
    close_storage(storage);
  }
  proxy_stop(proxy);
}

/* The claim has its rows, and the answer does not come through: nobody tells the server of the end. */
static void rows_are_not_locked_for_long_by_a_host_that_is_lost(void **state) {
  (void)state;
  needs_mysql();
  struct proxy *proxy = proxy_start(server.port);
  struct native *native = native_open(server.root);
  const char *url = mysql_url_at(server.url, proxy_port(proxy));
  evd_storage *storage =
      open_empty(mysql_url_with(url, "read_timeout=1&pool_max=1"), (evd_options){0});
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  native_run(native, "begin; select * from task_executions for update;");
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_future *future =
      keep_future(evd_update_and_insert_children(storage, "te_1", NULL, &changes, NULL, 0));
  await_lock_wait(native);
  proxy_stall(proxy, 1);
  native_run(native, "rollback; set innodb_lock_wait_timeout = 600;");
  double begin = seconds();
  native_run(native, "update task_executions set retry_attempts = 1 where execution_id = 'te_1';");
  (void)printf("# the row was locked for %g s\n", seconds() - begin);
  proxy_stall(proxy, 0);
  proxy_cut_all(proxy);
  (void)evd_future_await(future);
  native_close(native);
  close_storage(storage);
  proxy_stop(proxy);
}

/* Inserts a row of more bytes than the socket's buffers take, after the proxy has come to a stand. */
static evd_future *insert_into_a_stall(struct proxy *proxy, evd_storage *storage, size_t size) {
  proxy_stall(proxy, 1);
  char *input = keep_memory(size + 1);
  memset(input, '1', size);
  evd_execution row = sample_execution("te_1");
  row.input = input;
  return keep_future(evd_insert(storage, &row, 1));
}

static void a_server_that_takes_nothing_is_given_up_after_the_write_timeout(void **state) {
  (void)state;
  needs_mysql();
  struct proxy *proxy = proxy_start(server.port);
  for (int tls = 0; tls < 2; tls++) {
    const char *url = mysql_url_at(tls ? server.tls_user : server.url, proxy_port(proxy));
    evd_storage *storage =
        open_empty(mysql_url_with(url, text("read_timeout=60&write_timeout=1&pool_max=1&ssl=%s",
                                            tls ? "on" : "off")),
                   (evd_options){0});
    evd_future *future = insert_into_a_stall(proxy, storage, 8000000);
    run_for(2);
    proxy_stall(proxy, 0);
    assert_int_equal(evd_future_await(future), EVD_OK);
    evd_stats stats;
    evd_storage_stats(storage, &stats);
    assert_int_equal(stats.reconnections, 1);
    close_storage(storage);
  }
  proxy_stop(proxy);
}

static void closing_by_force_waits_for_nobody(void **state) {
  (void)state;
  needs_mysql();
  struct proxy *proxy = proxy_start(server.port);
  for (int tls = 0; tls < 2; tls++) {
    const char *url = mysql_url_at(tls ? server.tls_user : server.url, proxy_port(proxy));
    evd_storage *storage =
        open_empty(mysql_url_with(url, text("read_timeout=1000&write_timeout=1000&ssl=%s",
                                            tls ? "on" : "off")),
                   (evd_options){.operation_timeout_ms = -1});
    evd_future *future = insert_into_a_stall(proxy, storage, 3000000);
    run_for(0.1);
    await_ok(evd_storage_close(storage, 0)); /* the watchdog is sooner than the time-outs' end */
    assert_int_equal(evd_future_await(future), EVD_ECLOSED);
    proxy_stall(proxy, 0);
    proxy_cut_all(proxy);
  }
  proxy_stop(proxy);
}

/* --- work that goes on while connections and servers die --- */

/* A chain of operations on rows of its own: insert, claim it by an update, finish it; again. What is
 * known of each row is noted, and compared with the table at the end. */
enum { CHAINS = 20, ROWS_MAX = 60000 };

enum step { INSERTING, RUNNING, FINISHING };

/* What is known of a row's step: not done, done, or maybe. */
struct fate {
  char inserted, running, finished; /* 'n', 'y', '?' */
};

struct work {
  evd_storage *storage;
  struct fate *fates;
  int rows;
  int under_way;
  bool ending;
  unsigned succeeded, unknown, refused;
};

struct chain {
  struct work *work;
  int row;
  enum step step;
};

static void chain_on(struct chain *chain);

/* Notes what came of a step. */
static char fate_of(struct work *work, evd_future *future) {
  const evd_error *error = evd_future_error(future);
  if (error->code == EVD_OK) {
    work->succeeded++;
    return 'y';
  }
  expect(error->code == EVD_EUNAVAILABLE || error->code == EVD_ETIMEDOUT ||
             error->code == EVD_ECONFLICT,
         "%s: %s", evd_code_name(error->code), error->message);
  bool unknown = error->outcome == EVD_OUTCOME_UNKNOWN;
  *(unknown ? &work->unknown : &work->refused) += 1;
  return unknown ? '?' : 'n';
}

static void step_done(evd_future *future, void *data) {
  struct chain *chain = data;
  struct work *work = chain->work;
  struct fate *fate = &work->fates[chain->row];
  work->under_way--;
  char came = fate_of(work, future);
  bool on = came == 'y';
  switch (chain->step) {
  case INSERTING: fate->inserted = came; break;
  case RUNNING: fate->running = came; break;
  case FINISHING: fate->finished = came; break;
  }
  chain->step = on && chain->step != FINISHING ? chain->step + 1 : INSERTING;
  chain_on(chain);
}

/* Begins the chain's next step. */
static void chain_on(struct chain *chain) {
  struct work *work = chain->work;
  evd_future *future;
  if (chain->step == INSERTING) {
    if (work->ending || work->rows == ROWS_MAX) {
      return;
    }
    chain->row = work->rows++;
    work->fates[chain->row] = (struct fate){'n', 'n', 'n'};
  }
  char id[32];
  snprintf(id, sizeof id, "te_%06d", chain->row);
  if (chain->step == INSERTING) {
    evd_execution row = sample_execution(id);
    future = evd_insert(work->storage, &row, 1);
  } else {
    bool finishing = chain->step == FINISHING;
    evd_changes changes = sample_changes(finishing ? EVD_STATUS_COMPLETED : EVD_STATUS_RUNNING);
    evd_filter filter = {.status = finishing ? EVD_STATUS_RUNNING : EVD_STATUS_READY};
    future = evd_update(work->storage, id, &filter, &changes);
  }
  work->under_way++;
  evd_future_then(future, step_done, chain);
}

static void check_row(const struct fate *fate, int number, const char *status) {
  const char *what = status != NULL ? status : "missing";
  if (fate->inserted == 'y') {
    expect(status != NULL, "te_%06d was inserted and is %s", number, what);
  }
  if (fate->inserted == 'n') {
    expect(status == NULL, "te_%06d was not inserted and is %s", number, what);
  }
  if (fate->finished == 'y') {
    expect(strcmp(what, "completed") == 0, "te_%06d was finished and is %s", number, what);
  }
  if (fate->running == 'y' && fate->finished == 'n') {
    expect(strcmp(what, "running") == 0, "te_%06d was running and is %s", number, what);
  }
  if (fate->running == 'n' && status != NULL) {
    expect(strcmp(what, "ready") == 0, "te_%06d was not running and is %s", number, what);
  }
}

/* Waits until the server is back, which on a busy machine may take longer than the work. */
static void wait_for_server(void) {
  evd_future *future = evd_storage_open(loop, server.url, NULL);
  while (evd_future_await(future) != EVD_OK) {
    evd_future_release(future);
    run_for(0.2);
    future = evd_storage_open(loop, server.url, NULL);
  }
  close_storage(await_storage(future));
}

/* Compares all rows with what is known of them. */
static void check_rows(const struct work *work) {
  wait_for_server();
  struct native *native = native_open(server.root);
  for (int row = 0; row < work->rows; row++) {
    const char *status = native_text(
        native, text("select status from task_executions where execution_id = 'te_%06d';", row));
    check_row(&work->fates[row], row, status);
    if (row % 500 == 0) {
      release_kept();
    }
  }
  native_close(native);
}

/* Lets the chains work, calls `disturb` every `pause` seconds, then ends and checks. */
static void work_through(const char *url, int times, double pause, void (*disturb)(void *data),
                         void *data) {
  struct work work = {.fates = calloc(ROWS_MAX, sizeof *work.fates)};
  struct chain chains[CHAINS];
  assert_non_null(work.fates);
  work.storage = open_empty(mysql_url_with(url, "connect_timeout=3&read_timeout=5"),
                            (evd_options){.operation_timeout_ms = 10000});
  for (int i = 0; i < CHAINS; i++) {
    chains[i] = (struct chain){.work = &work};
    chain_on(&chains[i]);
  }
  for (int i = 0; i < times; i++) {
    run_for(pause);
    disturb(data);
  }
  run_for(pause);
  work.ending = true;
  while (work.under_way > 0) {
    run_for(0.05);
  }
  close_storage(work.storage);
  print_message("%d rows, %u steps done, %u unknown, %u refused\n", work.rows, work.succeeded,
                work.unknown, work.refused);
  assert_true(work.succeeded > 0);
  check_rows(&work);
  free(work.fates);
}

static void bounce(void *data) {
  (void)data;
  mariadb_server_bounce(&server);
}

static void what_was_acknowledged_survives_the_servers_death(void **state) {
  (void)state;
  needs_mysql();
  work_through(server.url, 3, 3, bounce, NULL);
}

static double cutting_seconds(void) {
  const char *given = getenv("EVD_TEST_SECONDS");
  double duration = given != NULL ? strtod(given, NULL) : 0;
  return duration > 0 ? duration : 10;
}

static void cut_otherwise(void *data) {
  struct proxy *proxy = data;
  static const uint32_t lengths[] = {200, 2000, 20000, 200000};
  proxy_cut_within(proxy, lengths[(unsigned)random() % 4]);
}

static void nothing_is_lost_or_done_twice_when_connections_are_cut(void **state) {
  (void)state;
  needs_mysql();
  const char *seed = getenv("EVD_TEST_SEED");
  srandom(seed != NULL ? (unsigned)strtoul(seed, NULL, 10) : (unsigned)time(NULL));
  struct proxy *proxy = proxy_start(server.port);
  const char *urls[] = {
      text("%s", mysql_url_at(server.url, proxy_port(proxy))),
      text("%s", mysql_url_with(mysql_url_at(server.tls_user, proxy_port(proxy)), "ssl=on"))};
  char plain[2][256];
  for (int i = 0; i < 2; i++) {
    snprintf(plain[i], sizeof plain[i], "%s", urls[i]);
  }
  for (int tls = 0; tls < 2; tls++) {
    proxy_cut_within(proxy, 0);
    uint32_t cuts = proxy_cuts(proxy);
    work_through(plain[tls], (int)(cutting_seconds() / 2), 1, cut_otherwise, proxy);
    expect(proxy_cuts(proxy) - cuts >= 3, "%u cuts", proxy_cuts(proxy) - cuts); /* mostly many */
  }
  proxy_stop(proxy);
}

static void a_server_that_is_away_is_waited_for_until_the_operations_time_is_over(void **state) {
  (void)state;
  needs_mysql();
  evd_storage *storage = open_empty(server.url, (evd_options){0});
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  close_storage(storage);
  storage = open_at(server.url, (evd_options){.operation_timeout_ms = 1500});
  mariadb_server_stop(&server);
  evd_changes changes = sample_changes(EVD_STATUS_RUNNING);
  evd_error error = await_error(evd_update(storage, "te_1", NULL, &changes), EVD_EUNAVAILABLE);
  expect(strstr(error.message, "127.0.0.1") != NULL, "%s", error.message);
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
  mariadb_server_restart(&server);
  while (await_code(evd_update(storage, "te_1", NULL, &changes)) != EVD_OK) {
    ; /* until the pause between attempts to connect is over */
  }
  assert_true(others_see_it_running("te_1"));
  close_storage(storage);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(a_user_who_may_only_come_by_tls_comes_by_tls),
      test(a_user_of_ed25519_comes_in),
      test(a_server_whose_certificate_is_not_trusted_is_refused),
      test(a_server_without_tls_is_refused_and_never_told_the_password),
      test(a_socket_is_what_is_connected_to),
      test(large_values_go_both_ways_over_tls),
      test(a_session_over_tls_that_ends_unannounced_harms_no_other),
      test(a_handshake_that_stalls_does_not_block_the_loop),
      test(sessions_are_read_committed),
      test(a_commit_is_the_end_whatever_the_server_chains),
      test(nothing_is_acknowledged_in_a_transaction_that_was_not_begun),
      test(sessions_that_the_server_times_out_are_replaced_unseen),
      test(a_server_that_stalls_is_given_up_after_the_read_timeout),
      test(rows_are_not_locked_for_long_by_a_host_that_is_lost),
      test(a_server_that_takes_nothing_is_given_up_after_the_write_timeout),
      test(closing_by_force_waits_for_nobody),
      test(nothing_is_lost_or_done_twice_when_connections_are_cut),
      test(what_was_acknowledged_survives_the_servers_death),
      test(a_server_that_is_away_is_waited_for_until_the_operations_time_is_over),
  };
  return cmocka_run_group_tests(tests, start_server, end_server);
}
