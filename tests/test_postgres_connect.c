/* URLs, and how PostgreSQL is reached, or not. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "engine/postgres/parameters.h"
#include "engine/postgres/targets.h"
#include "engine/postgres/url.h"
#include "support/await.h"
#include "support/check.h"
#include "support/postgres_server.h"
#include "support/sample.h"
#include "support/scratch.h"

/* URLs. */

/* The value of a keyword; NULL when it is not set. */
static const char *value_of(const struct parameters *parameters, const char *keyword) {
  for (size_t i = 0; parameters->keywords[i] != NULL; i++) {
    if (strcmp(parameters->keywords[i], keyword) == 0) {
      return parameters->values[i];
    }
  }
  return NULL;
}

static void our_options_are_taken_out_of_a_url(void **state) {
  struct postgres_url url;
  assert_int_equal(
      postgres_url_parse("postgresql://ann:pw@h1:1,h2:2/db?pool_min=2&sslmode=require&pool_max=9"
                         "&prepare=on&isolation=serializable&replica=postgresql%3A%2F%2Fr%2Fdb"
                         "&connect_timeout=3",
                         &url, NULL),
      EVD_OK);
  assert_int_equal(url.pool_min, 2);
  assert_int_equal(url.pool_max, 9);
  assert_true(url.prepare);
  assert_string_equal(url.isolation, "serializable");
  assert_string_equal(url.replica, "postgresql://r/db");
  assert_string_equal(postgres_url_value(&url, "host"), "h1,h2");
  assert_string_equal(postgres_url_value(&url, "port"), "1,2");
  assert_string_equal(postgres_url_value(&url, "sslmode"), "require");
  assert_string_equal(postgres_url_value(&url, "connect_timeout"), "3");
  postgres_url_free(&url);
}

static void our_options_are_taken_out_of_a_keyword_string(void **state) {
  struct postgres_url url;
  assert_int_equal(
      postgres_url_parse("host = '/tmp/a b' pool_max= '7'  password='it\\'s pool_min=3' "
                         "statement_timeout = 250 dbname=db",
                         &url, NULL),
      EVD_OK);
  assert_int_equal(url.pool_max, 7);
  assert_int_equal(url.pool_min, 1);
  assert_int_equal(url.statement_timeout_ms, 250);
  assert_string_equal(postgres_url_value(&url, "host"), "/tmp/a b");
  assert_string_equal(postgres_url_value(&url, "password"), "it's pool_min=3");
  assert_string_equal(postgres_url_value(&url, "dbname"), "db");
  postgres_url_free(&url);
}

static void urls_are_told_from_those_of_others(void **state) {
  static const char *const ours[] = {"postgresql://", "postgres://h/d", "host=h", "dbname = d",
                                     "pool_max=3 host=h"};
  static const char *const others[] = {"sqlite:a=b", "mysql://h/d?a=b", "file:a?b=c", "",
                                       "=",          "postgresql:h"};
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
    expect(postgres_url_accepts(ours[i]), "%s is ours", ours[i]);
  }
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    expect(!postgres_url_accepts(others[i]), "%s is not ours", others[i]);
  }
}

static void a_bad_url_is_refused_without_telling_its_password(void **state) {
  static const struct {
    const char *url, *says;
  } cases[] = {
      {"postgresql://u:secret@h/d?pool_max=0", "pool_max"},
      {"postgresql://u:secret@h/d?pool_max=4x", "pool_max"},
      {"postgresql://u:secret@h/d?pool_max=", "pool_max"},
      {"postgresql://u:secret@h/d?pool_min=5&pool_max=4", "pool_min"},
      {"postgresql://u:secret@h/d?prepare=maybe", "prepare"},
      {"postgresql://u:secret@h/d?isolation=none", "isolation"},
      {"postgresql://u:secret@h/d?replica=%zz", "replica"},
      {"postgresql://u:secret@h/d?nonsense=1", "nonsense"},
      {"postgresql://u:secret@[h/d", "IPv6"},
      {"postgresql://u:secret@h:x:y/d", "port"},
      {"postgresql://u:secret@h:1,i:65536/d", "port"},
      {"host=h password='secret", "unterminated"},
      {"host=h password=secret nonsense=1", "nonsense"},
      {"host=h password=secret pool_max", "pool_max"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct postgres_url url;
    evd_error error;
    expect(postgres_url_parse(cases[i].url, &url, &error) == EVD_EINVAL, "%s", cases[i].url);
    assert_string_equal(error.field, "url");
    expect(strstr(error.message, cases[i].says) != NULL, "%s: %s", cases[i].url, error.message);
    expect(strstr(error.message, "secret") == NULL, "%s: %s", cases[i].url, error.message);
  }
}

static void what_a_pooler_cannot_do_is_refused(void **state) {
  static const char *const options[] = {"isolation=serializable", "statement_timeout=9",
                                        "lock_timeout=9", "pipeline_depth=2"};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    struct postgres_url url;
    evd_error error;
    const char *text_of_url = text("postgresql://h/d?%s&prepare=off", options[i]);
    expect(postgres_url_parse(text_of_url, &url, &error) == EVD_EINVAL, "%s", text_of_url);
    expect(strstr(error.message, "prepare=off") != NULL, "%s", error.message);
  }
  struct postgres_url url;
  assert_int_equal(postgres_url_parse("postgresql://h/d?prepare=off", &url, NULL), EVD_OK);
  assert_int_equal(url.pipeline_depth, 1);
  postgres_url_free(&url);
  release_kept();
}

/* Makes the service file that libpq reads from now on, with one service, "test". */
static void write_service(const char *lines) {
  const char *path = scratch_path("services");
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  (void)fprintf(file, "[test]\n%s", lines);
  (void)fclose(file);
  assert_int_equal(setenv("PGSERVICEFILE", path, 1), 0);
}

static void expect_option(const struct postgres_url *url, const char *keyword, const char *value) {
  const char *is = postgres_url_value(url, keyword);
  expect(is != NULL ? value != NULL && strcmp(is, value) == 0 : value == NULL, "%s is %s", keyword,
         is);
}

static void a_service_goes_before_the_environment_and_after_the_url(void **state) {
  struct postgres_url url;
  struct parameters parameters;
  write_service("host=h1,h2\nport=1,2\nuser=ann\nconnect_timeout=7\noptions=-cjit=on\n"
                "channel_binding=require\ntarget_session_attrs=standby\n");
  assert_int_equal(setenv("PGHOST", "elsewhere", 1), 0);
  assert_int_equal(setenv("PGPORT", "9", 1), 0);
  assert_int_equal(setenv("PGAPPNAME", "app", 1), 0);
  assert_int_equal(
      postgres_url_parse("postgresql:///db?service=test&user=bob&pool_max=3", &url, NULL), EVD_OK);
  assert_int_equal(url.pool_max, 3);
  expect_option(&url, "service", "test");
  expect_option(&url, "host", "h1,h2");
  expect_option(&url, "port", "1,2");
  expect_option(&url, "user", "bob");
  expect_option(&url, "dbname", "db");
  expect_option(&url, "connect_timeout", "7");
  expect_option(&url, "target_session_attrs", "standby");
  expect_option(&url, "application_name", "app");
  expect_option(&url, "channel_binding", NULL); /* which libpq looks up when it connects */
  assert_true(postgres_parameters_init(&parameters, &url, "-c jit=off"));
  assert_string_equal(value_of(&parameters, "options"), "-c jit=off -cjit=on");
  postgres_parameters_free(&parameters);
  postgres_url_free(&url);
  assert_int_equal(setenv("PGSERVICE", "test", 1), 0);
  assert_int_equal(postgres_url_parse("host=h3 channel_binding=disable", &url, NULL), EVD_OK);
  expect_option(&url, "host", "h3");
  expect_option(&url, "port", "1,2");
  expect_option(&url, "channel_binding", "disable");
  postgres_url_free(&url);
  static const char *const set[] = {"PGSERVICE", "PGSERVICEFILE", "PGHOST", "PGPORT", "PGAPPNAME"};
  for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
    assert_int_equal(unsetenv(set[i]), 0);
  }
  release_kept();
}

static void a_service_that_is_not_there_is_named(void **state) {
  struct postgres_url url;
  evd_error error;
  write_service("host=h1\n");
  assert_int_equal(postgres_url_parse("service=other password=secret", &url, &error), EVD_EINVAL);
  assert_string_equal(error.field, "url");
  expect(strstr(error.message, "other") != NULL, "%s", error.message);
  assert_int_equal(unsetenv("PGSERVICEFILE"), 0);
  release_kept();
}

/* Targets. */

static void each_address_of_each_host_is_a_target(void **state) {
  struct targets targets;
  struct buffer complaints = {0};
  assert_true(postgres_targets_init(&targets, "127.0.0.1,/tmp,no.such.host.invalid,localhost", NULL,
                                    "1,2,3,4"));
  assert_true(postgres_targets_resolve(&targets, &complaints));
  assert_true(targets.count >= 3); /* localhost may have several */
  assert_string_equal(targets.list[0].host, "127.0.0.1");
  assert_null(targets.list[0].address); /* is one already */
  assert_string_equal(targets.list[0].port, "1");
  assert_string_equal(targets.list[1].host, "/tmp");
  assert_null(targets.list[1].address);
  assert_string_equal(targets.list[1].port, "2");
  for (size_t i = 2; i < targets.count; i++) {
    assert_string_equal(targets.list[i].host, "localhost");
    assert_non_null(targets.list[i].address);
    assert_string_equal(targets.list[i].port, "4");
  }
  assert_non_null(strstr(complaints.text, "no.such.host.invalid"));
  buffer_free(&complaints);
  postgres_targets_free(&targets);
}

static void lists_that_do_not_fit_are_left_to_libpq(void **state) {
  struct targets targets;
  struct buffer complaints = {0};
  assert_true(postgres_targets_init(&targets, "a,b", NULL, "1,2,3"));
  assert_true(postgres_targets_resolve(&targets, &complaints));
  assert_int_equal(targets.count, 1);
  assert_string_equal(targets.list[0].host, "a,b");
  assert_string_equal(targets.list[0].port, "1,2,3");
  postgres_targets_free(&targets);
}

/* Reaching a server. */

/* A socket on loopback, on a port that nobody else has. */
static int loopback_socket(int *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
  *port = ntohs(address.sin_port);
  return fd;
}

static void count_tick(struct ev_loop *loop, ev_timer *timer, int events) {
  ++*(int *)timer->data;
}

/* Opening with these options fails, and says this; the loop runs on meanwhile. */
static void expect_unreachable_with(const evd_options *options, const char *url, const char *says) {
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  int ticks = 0;
  ev_timer timer;
  ev_timer_init(&timer, count_tick, 0.01, 0.01);
  timer.data = &ticks;
  ev_timer_start(loop, &timer);
  double start = ev_time();
  evd_error error = await_error(evd_storage_open(loop, url, options), EVD_EUNAVAILABLE);
  double took = ev_time() - start;
  ev_timer_stop(loop, &timer);
  expect(strstr(error.message, says) != NULL, "%s: %s", url, error.message);
  expect(took < 1 || ticks > 3, "%d ticks in %g s", ticks, took);
  assert_true(error.retryable);
  release_kept();
  ev_run(loop, 0); /* returns: nothing keeps it */
  ev_loop_destroy(loop);
}

static void expect_unreachable(const char *url, const char *says) {
  expect_unreachable_with(NULL, url, says);
}

static void a_port_where_nobody_listens_is_named(void **state) {
  int port;
  int fd = loopback_socket(&port);
  expect_unreachable(text("postgresql://127.0.0.1:%d/d", port), text("port %d", port));
  close(fd);
}

static void a_host_that_does_not_exist_is_named(void **state) {
  expect_unreachable("postgresql://no.such.host.invalid/d", "no.such.host.invalid");
}

static void a_server_that_does_not_answer_is_given_up(void **state) {
  int port;
  int fd = loopback_socket(&port);
  listen(fd, 8);
  expect_unreachable(text("postgresql://127.0.0.1:%d/d?connect_timeout=1", port),
                     "does not answer within 1 s");
  close(fd);
}

/* A server that lets everybody in, and says no more. */
static void *let_in_and_be_silent(void *data) {
  static const char welcome[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";
  int client;
  while ((client = accept(*(int *)data, NULL, NULL)) >= 0) {
    char received[1024];
    bool ok = read(client, received, sizeof received) > 0 &&
              write(client, welcome, sizeof welcome - 1) > 0;
    while (ok && read(client, received, sizeof received) > 0) {
      ;
    }
    (void)close(client);
  }
  return NULL;
}

static void a_server_that_is_silent_once_it_has_let_us_in_is_given_up(void **state) {
  int port;
  int fd = loopback_socket(&port);
  pthread_t thread;
  listen(fd, 8);
  assert_int_equal(pthread_create(&thread, NULL, let_in_and_be_silent, &fd), 0);
  evd_options options = {.operation_timeout_ms = 100};
  expect_unreachable_with(&options, text("postgresql://u@127.0.0.1:%d/d?sslmode=disable", port),
                          text("127.0.0.1:%d has not answered for 10 s", port));
  shutdown(fd, SHUT_RDWR);
  pthread_join(thread, NULL);
  close(fd);
}

/* The URL of the tests' server. */
static const char *server_url(void) {
  const char *url = getenv("EVD_TEST_POSTGRES_URL");
  assert_non_null(url);
  return url != NULL ? url : "";
}

/* "host:port" of the tests' server. */
static const char *server_address(void) {
  const char *at = strchr(server_url(), '@');
  return text("%.*s", (int)strcspn(at + 1, "/"), at + 1);
}

/* The URL of a new database with other hosts in place of its own. */
static const char *url_with_hosts(const char *hosts) {
  const char *url = postgres_database();
  const char *at = strchr(url, '@');
  return text("%.*s%s%s", (int)(at + 1 - url), url, hosts, strchr(at, '/'));
}

static void expect_reachable(const char *url) {
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  evd_options options = {.schema = EVD_SCHEMA_CREATE};
  evd_storage *storage = await_storage(evd_storage_open(loop, url, &options));
  evd_execution row = sample_execution("te_1");
  await_ok(evd_insert(storage, &row, 1));
  expect_row(await_row(evd_get(storage, "te_1", NULL)), &row);
  await_ok(evd_storage_close(storage, -1));
  ev_loop_destroy(loop);
  postgres_drop_databases();
  release_kept();
}

/* Each is as many iterations further on with connecting when the program is busy for a while. */
static void a_loop_that_is_busy_for_too_long_connects_all_the_same(void **state) {
  needs_postgres();
  enum { STORAGES = 12 };
  struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
  const char *port = strrchr(server_address(), ':');
  const char *url =
      postgres_url_with(url_with_hosts(text("localhost%s", port)), "connect_timeout=4");
  evd_options options = {.schema = EVD_SCHEMA_CREATE};
  await_ok(evd_storage_close(await_storage(evd_storage_open(loop, url, &options)), -1));
  evd_future *opening[STORAGES];
  for (int i = 0; i < STORAGES; i++) {
    opening[i] = evd_storage_open(loop, url, NULL);
    ev_run(loop, EVRUN_ONCE);
  }
  (void)sleep(5);
  for (int i = 0; i < STORAGES; i++) {
    await_ok(evd_storage_close(await_storage(opening[i]), -1));
  }
  ev_loop_destroy(loop);
  postgres_drop_databases();
  release_kept();
}

static void the_next_host_is_tried_when_one_refuses(void **state) {
  needs_postgres();
  int port;
  int fd = loopback_socket(&port);
  expect_reachable(url_with_hosts(text("127.0.0.1:%d,%s", port, server_address())));
  close(fd);
}

static void the_next_host_is_tried_when_one_does_not_answer(void **state) {
  needs_postgres();
  int port;
  int fd = loopback_socket(&port);
  listen(fd, 8);
  expect_reachable(postgres_url_with(
      url_with_hosts(text("127.0.0.1:%d,%s", port, server_address())), "connect_timeout=4"));
  close(fd);
}

/* The resolver of this program, which is slow for one name. */
static atomic_int slow_resolutions, slow_resolutions_begun;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                struct addrinfo **pai) {
  typedef int resolve(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  resolve *real = NULL;
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  if (name != NULL && strcmp(name, "slow.invalid") == 0) {
    slow_resolutions_begun++;
    slow_resolutions++;
    ev_sleep(6);
    slow_resolutions--;
    return EAI_AGAIN;
  }
  return real(name, service, req, pai);
}

static void await_resolutions(void) {
  while (slow_resolutions > 0) {
    ev_sleep(0.01);
  }
}

static void the_next_host_is_tried_when_a_name_is_not_resolved_in_time(void **state) {
  needs_postgres();
  expect_reachable(postgres_url_with(url_with_hosts(text("slow.invalid:1,%s", server_address())),
                                     "connect_timeout=4"));
  await_resolutions();
}

static void a_name_that_is_not_resolved_in_time_is_named(void **state) {
  expect_unreachable("postgresql://slow.invalid,no.such.host.invalid/d?connect_timeout=1",
                     "slow.invalid");
  await_resolutions();
}

static void a_name_that_is_not_needed_is_not_resolved(void **state) {
  needs_postgres();
  int resolutions = slow_resolutions_begun;
  expect_reachable(url_with_hosts(text("%s,slow.invalid:1", server_address())));
  assert_int_equal(slow_resolutions_begun, resolutions);
}

static void names_are_resolved(void **state) {
  needs_postgres();
  const char *port = strrchr(server_address(), ':');
  expect_reachable(url_with_hosts(text("localhost%s", port)));
}

static void a_keyword_string_opens_a_storage(void **state) {
  needs_postgres();
  struct postgres_url url;
  assert_int_equal(postgres_url_parse(postgres_database(), &url, NULL), EVD_OK);
  const char *password = postgres_url_value(&url, "password");
  const char *keywords = text("host=%s port=%s dbname=%s user=%s password='%s' pool_max=2",
                              postgres_url_value(&url, "host"), postgres_url_value(&url, "port"),
                              postgres_url_value(&url, "dbname"), postgres_url_value(&url, "user"),
                              password != NULL ? password : "");
  postgres_url_free(&url);
  expect_reachable(keywords);
}

static void the_hosts_of_a_service_are_tried_in_turn(void **state) {
  needs_postgres();
  struct postgres_url url;
  int port;
  int fd = loopback_socket(&port);
  assert_int_equal(postgres_url_parse(postgres_database(), &url, NULL), EVD_OK);
  write_service(text("host=127.0.0.1,%s\nport=%d,%s\nuser=%s\npassword=%s\ndbname=%s\n",
                     postgres_url_value(&url, "host"), port, postgres_url_value(&url, "port"),
                     postgres_url_value(&url, "user"), postgres_url_value(&url, "password"),
                     postgres_url_value(&url, "dbname")));
  assert_int_equal(setenv("PGPORT", text("%d", port), 1), 0);
  expect_reachable("service=test");
  assert_int_equal(unsetenv("PGPORT"), 0);
  assert_int_equal(unsetenv("PGSERVICEFILE"), 0);
  postgres_url_free(&url);
  close(fd);
}

static void the_attributes_of_the_session_are_heeded(void **state) {
  needs_postgres();
  expect_reachable(postgres_url_with(postgres_database(), "target_session_attrs=read-write"));
  expect_reachable(postgres_url_with(postgres_database(), "target_session_attrs=prefer-standby"));
  expect_unreachable(postgres_url_with(postgres_database(), "target_session_attrs=standby"),
                     "standby");
  postgres_drop_databases();
}

static void options_of_the_environment_are_heeded_beside_ours(void **state) {
  struct postgres_url url;
  struct parameters parameters;
  assert_int_equal(setenv("PGOPTIONS", "-c work_mem=9MB", 1), 0);
  assert_int_equal(postgres_url_parse("postgresql://h/d", &url, NULL), EVD_OK);
  assert_true(postgres_parameters_init(&parameters, &url, "-c jit=off"));
  assert_string_equal(value_of(&parameters, "options"), "-c jit=off -c work_mem=9MB");
  postgres_parameters_free(&parameters);
  postgres_url_free(&url);
  assert_int_equal(postgres_url_parse("postgresql://h/d?options=-ca%3Db", &url, NULL), EVD_OK);
  assert_true(postgres_parameters_init(&parameters, &url, "-c jit=off"));
  assert_string_equal(value_of(&parameters, "options"), "-c jit=off -ca=b");
  postgres_parameters_free(&parameters);
  postgres_url_free(&url);
  assert_int_equal(unsetenv("PGOPTIONS"), 0);
}

static void what_the_environment_or_a_service_says_is_not_preset(void **state) {
  static const struct {
    const char *environment, *url, *gssencmode, *keepalives;
  } cases[] = {{"", "host=h", "disable", "10"},
               {"require", "host=h", NULL, "10"}, /* which libpq looks up when it connects */
               {"require", "host=h gssencmode=prefer keepalives_idle=3", "prefer", "3"},
               {"", "service=test", "require", "4"}};
  write_service("host=h1\ngssencmode=require\nkeepalives_idle=4\n");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct postgres_url url;
    struct parameters parameters;
    if (cases[i].environment[0] != '\0') {
      assert_int_equal(setenv("PGGSSENCMODE", cases[i].environment, 1), 0);
    }
    assert_int_equal(postgres_url_parse(cases[i].url, &url, NULL), EVD_OK);
    assert_true(postgres_parameters_init(&parameters, &url, ""));
    const char *gssencmode = value_of(&parameters, "gssencmode");
    expect(gssencmode != NULL
               ? cases[i].gssencmode != NULL && strcmp(gssencmode, cases[i].gssencmode) == 0
               : cases[i].gssencmode == NULL,
           "%s: %s", cases[i].url, gssencmode);
    assert_string_equal(value_of(&parameters, "keepalives_idle"), cases[i].keepalives);
    assert_null(value_of(&parameters, "tcp_user_timeout")); /* cuts off who is only busy */
    postgres_parameters_free(&parameters);
    postgres_url_free(&url);
    assert_int_equal(unsetenv("PGGSSENCMODE"), 0);
  }
  assert_int_equal(unsetenv("PGSERVICEFILE"), 0);
  release_kept();
}

static void a_database_that_does_not_exist_is_named(void **state) {
  needs_postgres();
  const char *url = server_url();
  expect_unreachable(text("%.*s/no_such_db", (int)(strrchr(url, '/') - url), url), "no_such_db");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(our_options_are_taken_out_of_a_url),
      cmocka_unit_test(our_options_are_taken_out_of_a_keyword_string),
      cmocka_unit_test(urls_are_told_from_those_of_others),
      cmocka_unit_test(a_bad_url_is_refused_without_telling_its_password),
      cmocka_unit_test(what_a_pooler_cannot_do_is_refused),
      cmocka_unit_test(a_service_goes_before_the_environment_and_after_the_url),
      cmocka_unit_test(a_service_that_is_not_there_is_named),
      cmocka_unit_test(each_address_of_each_host_is_a_target),
      cmocka_unit_test(lists_that_do_not_fit_are_left_to_libpq),
      cmocka_unit_test(a_port_where_nobody_listens_is_named),
      cmocka_unit_test(a_host_that_does_not_exist_is_named),
      cmocka_unit_test(a_server_that_does_not_answer_is_given_up),
      cmocka_unit_test(a_server_that_is_silent_once_it_has_let_us_in_is_given_up),
      cmocka_unit_test(a_loop_that_is_busy_for_too_long_connects_all_the_same),
      cmocka_unit_test(the_next_host_is_tried_when_one_refuses),
      cmocka_unit_test(the_next_host_is_tried_when_one_does_not_answer),
      cmocka_unit_test(the_next_host_is_tried_when_a_name_is_not_resolved_in_time),
      cmocka_unit_test(a_name_that_is_not_resolved_in_time_is_named),
      cmocka_unit_test(a_name_that_is_not_needed_is_not_resolved),
      cmocka_unit_test(names_are_resolved),
      cmocka_unit_test(a_keyword_string_opens_a_storage),
      cmocka_unit_test(the_hosts_of_a_service_are_tried_in_turn),
      cmocka_unit_test(the_attributes_of_the_session_are_heeded),
      cmocka_unit_test(options_of_the_environment_are_heeded_beside_ours),
      cmocka_unit_test(what_the_environment_or_a_service_says_is_not_preset),
      cmocka_unit_test(a_database_that_does_not_exist_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
