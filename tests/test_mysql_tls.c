/* How the MySQL engine connects: TLS, sockets, servers that are not what they should be. */
#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migrate/client.h"
#include "support/mariadb_case.h"
#include "support/proxy.h"

static void a_user_who_may_only_come_by_tls_comes_by_tls(void **state) {
  (void)state;
  needs_mysql();
  assert_string_equal(open_error(test.server.tls_user).native, "1045");
  const char *const options[] = {"ssl=on", text("ssl_ca=%s", test.server.ca),
                                 text("ssl_ca=%s&ssl_verify=on&pool_min=3", test.server.ca)};
  for (int i = 0; i < 3; i++) {
    evd_storage *storage =
        open_empty(mysql_url_with(test.server.tls_user, options[i]), (evd_options){0});
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
  struct native *native = native_open(test.server.root);
  native_run(native, "set @there = 0; begin not atomic declare continue handler for sqlexception"
                     " set @there = -1; install soname 'auth_ed25519'; end;");
  if (native_number(native, "select @there;") != 0) {
    native_close(native);
    print_message("no plugin auth_ed25519 here (Debian: mariadb-test.server): not tested\n");
    skip();
  }
  native_run(native, "create user evd_ed identified via ed25519 using password('evd');"
                     "grant all on `evd%`.* to evd_ed;");
  const char *url = text("mysql://evd_ed:evd@127.0.0.1:%u/evd", test.server.port);
  for (int tls = 0; tls < 2; tls++) {
    close_storage(open_empty(mysql_url_with(url, tls ? "ssl=on" : "ssl=off"), (evd_options){0}));
  }
  const char *wrong = text("mysql://evd_ed:wrong@127.0.0.1:%u/evd", test.server.port);
  assert_string_equal(open_error(wrong).native, "1045");
  native_close(native);
}

static void a_server_whose_certificate_is_not_trusted_is_refused(void **state) {
  (void)state;
  needs_mysql();
  evd_error error =
      open_error(mysql_url_with(test.server.tls_user, "ssl_ca=/etc/ssl/certs/ca-certificates.crt"));
  expect(strstr(error.message, "certificate") != NULL || strstr(error.message, "TLS") != NULL, "%s",
         error.message);
  error = open_error(mysql_url_with(test.server.tls_user, "ssl_ca=/nowhere/ca.pem"));
  assert_int_equal(error.outcome, EVD_OUTCOME_NOT_APPLIED);
}

static void large_values_go_both_ways_over_tls(void **state) {
  (void)state;
  needs_mysql();
  enum { ROWS = 8, SIZE = 1 << 20 };
  evd_storage *storage =
      open_empty(mysql_url_with(test.server.tls_user, "ssl=on"), (evd_options){0});
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

/* The server that dies, or is told to, says no good-bye, of which OpenSSL keeps a note on the
 * thread. */
static void a_session_over_tls_that_ends_unannounced_harms_no_other(void **state) {
  (void)state;
  needs_mysql();
  enum { ROWS = 20 };
  evd_storage *storage = open_empty(
      mysql_url_with(test.server.tls_user, "ssl=on&pool_min=2&pool_max=2"), (evd_options){0});
  struct native *native = native_open(test.server.root);
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
  return text("socket=%s/server/socket%s", test.server.dir, further);
}

/* Nothing listens at the port: only the socket is left. */
static void a_socket_is_what_is_connected_to(void **state) {
  (void)state;
  needs_mysql();
  static const char *const further[] = {"", "&ssl=on", "&ssl_ca="};
  for (int i = 0; i < 3; i++) {
    const char *options = text("%s%s", socket_options(further[i]), i == 2 ? test.server.ca : "");
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
  ev_timer_start(test.loop, &ticker->timer);
}

/* A handshake that stalls holds nobody up: not the test.loop, and not the end. */
static void a_handshake_that_stalls_does_not_block_the_loop(void **state) {
  (void)state;
  needs_mysql();
  struct proxy *proxy = proxy_start(test.server.port);
  const char *url = mysql_url_with(mysql_url_at(test.server.tls_user, proxy_port(proxy)),
                                   "ssl=on&connect_timeout=2");
  proxy_stall(proxy, 1);
  struct ticker ticker;
  ticker_start(&ticker);
  double begin = seconds();
  evd_error error = open_error(url);
  double took = seconds() - begin;
  ev_timer_stop(test.loop, &ticker.timer);
  expect(took > 1.5, "opening took %g s", took);
  expect(ticker.ticks > 3 && ticker.worst < took / 2, "%u ticks in %g s, none for %g s",
         ticker.ticks, took, ticker.worst);
  assert_non_null(strstr(error.message, "127.0.0.1"));
  proxy_stop(proxy);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      mariadb_test(a_user_who_may_only_come_by_tls_comes_by_tls),
      mariadb_test(a_user_of_ed25519_comes_in),
      mariadb_test(a_server_whose_certificate_is_not_trusted_is_refused),
      mariadb_test(a_server_without_tls_is_refused_and_never_told_the_password),
      mariadb_test(a_socket_is_what_is_connected_to),
      mariadb_test(large_values_go_both_ways_over_tls),
      mariadb_test(a_session_over_tls_that_ends_unannounced_harms_no_other),
      mariadb_test(a_handshake_that_stalls_does_not_block_the_loop),
  };
  return cmocka_run_group_tests(tests, mariadb_case_start, mariadb_case_end);
}
