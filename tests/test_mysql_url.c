/* mysql:// URLs: what is read from them, and what is wrong with the others. */
#include <stdlib.h>
#include <string.h>

#include "engine/mysql/url.h"
#include "support/check.h"

static struct mydb_url *parse(const char *text) {
  evd_error error;
  struct mydb_url *url = mydb_url_parse(text, &error);
  expect(url != NULL, "%s: %s", text, url == NULL ? error.message : "");
  return url;
}

/* The message about a bad URL. */
static const char *complaint(const char *bad) {
  evd_error error;
  struct mydb_url *url = mydb_url_parse(bad, &error);
  expect(url == NULL, "%s is taken", bad);
  assert_int_equal(error.code, EVD_EINVAL);
  assert_string_equal(error.field, "url");
  return text("%s", error.message);
}

static void both_schemes_in_any_case_are_this_engines(void **state) {
  (void)state;
  assert_true(mydb_url_accepts("mysql://h/d"));
  assert_true(mydb_url_accepts("mariadb://h/d"));
  assert_true(mydb_url_accepts("MySQL://h/d"));
  assert_false(mydb_url_accepts("mysql:h/d"));
  assert_false(mydb_url_accepts("postgresql://h/d"));
  assert_false(mydb_url_accepts(""));
}

static void all_parts_are_read_and_decoded(void **state) {
  (void)state;
  struct mydb_url *url = parse("mariadb://us%65r:p%40ss%3Aw%2Frd%25:x@db.example.org:3307/my%20db");
  assert_string_equal(url->user, "user");
  assert_string_equal(url->password, "p@ss:w/rd%:x");
  assert_string_equal(url->host, "db.example.org");
  assert_int_equal(url->port, 3307);
  assert_string_equal(url->database, "my db");
  assert_string_equal(url->where, "db.example.org:3307");
  assert_null(url->socket);
  assert_false(url->ssl);
  mydb_url_release(url);
}

static void what_is_not_given_has_its_default(void **state) {
  (void)state;
  struct mydb_url *url = parse("mysql:///d");
  assert_string_equal(url->user, "");
  assert_string_equal(url->password, "");
  assert_string_equal(url->host, "127.0.0.1");
  assert_int_equal(url->port, 3306);
  assert_int_equal(url->connect_timeout, 10);
  assert_int_equal(url->read_timeout, 0);
  assert_int_equal(url->pool_min, 1);
  assert_true(url->pool_max >= url->pool_min);
  mydb_url_release(url);
}

static void an_ipv6_address_stands_in_brackets(void **state) {
  (void)state;
  struct mydb_url *url = parse("mysql://u@[fe80::1]:3308/d");
  assert_string_equal(url->host, "fe80::1");
  assert_int_equal(url->port, 3308);
  assert_string_equal(url->where, "[fe80::1]:3308");
  mydb_url_release(url);
}

static void options_are_read(void **state) {
  (void)state;
  struct mydb_url *url = parse(
      "mysql://u:p@h/d?socket=%2Frun%2Fmy+sql.sock&connect_timeout=3&read_timeout=4&write_timeout=5"
      "&lock_wait_timeout=6&pool_min=2&pool_max=9&pool_idle_timeout=0&pool_max_age=7&charset=UTF8MB4");
  assert_string_equal(url->socket, "/run/my+sql.sock");
  assert_string_equal(url->where, "/run/my+sql.sock");
  assert_int_equal(url->connect_timeout, 3);
  assert_int_equal(url->read_timeout, 4);
  assert_int_equal(url->write_timeout, 5);
  assert_int_equal(url->lock_wait_timeout, 6);
  assert_int_equal(url->pool_min, 2);
  assert_int_equal(url->pool_max, 9);
  assert_int_equal(url->pool_idle_timeout, 0);
  assert_int_equal(url->pool_max_age, 7);
  mydb_url_release(url);
}

static void a_limit_of_the_pool_takes_the_other_along(void **state) {
  (void)state;
  struct mydb_url *url = parse("mysql://h/d?pool_min=50");
  assert_int_equal(url->pool_max, 50);
  mydb_url_release(url);
  url = parse("mysql://h/d?pool_max=1");
  assert_int_equal(url->pool_min, 1);
  mydb_url_release(url);
  assert_non_null(strstr(complaint("mysql://h/d?pool_min=3&pool_max=2"), "pool_min"));
}

static void tls_options_switch_tls_on(void **state) {
  (void)state;
  static const struct {
    const char *options;
    bool ssl, verify;
  } cases[] = {
      {"ssl=off", false, false},
      {"ssl=on", true, false},
      {"ssl=TRUE", true, false},
      {"ssl_ca=/ca.pem", true, true},
      {"ssl_ca=/ca.pem&ssl_verify=off", true, false},
      {"ssl=1&ssl_ca=/ca.pem&ssl_verify=1", true, true},
      {"ssl_cert=/c.pem&ssl_key=/k.pem", true, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct mydb_url *url = parse(text("mysql://h/d?%s", cases[i].options));
    assert_int_equal(url->ssl, cases[i].ssl);
    assert_int_equal(url->ssl_verify, cases[i].verify);
    mydb_url_release(url);
  }
}

static void tls_options_that_do_not_go_together_are_refused(void **state) {
  (void)state;
  assert_non_null(strstr(complaint("mysql://h/d?ssl=off&ssl_ca=/ca.pem"), "ssl is off"));
  assert_non_null(strstr(complaint("mysql://h/d?ssl=off&ssl_verify=on"), "ssl is off"));
  assert_non_null(strstr(complaint("mysql://h/d?ssl_verify=on"), "ssl_ca"));
  assert_non_null(strstr(complaint("mysql://h/d?ssl_cert=/c.pem"), "ssl_key"));
}

static void an_unknown_or_bad_option_is_named(void **state) {
  (void)state;
  static const char *const bad[][2] = {
      {"foo=1", "foo"},
      {"Socket=/x", "Socket"},
      {"pool_max=0", "pool_max"},
      {"pool_max=1001", "pool_max"},
      {"pool_max=", "pool_max"},
      {"pool_max", "pool_max"},
      {"pool_min=-1", "pool_min"},
      {"connect_timeout=0", "connect_timeout"},
      {"connect_timeout=1.5", "connect_timeout"},
      {"connect_timeout=99999999999999999999999", "connect_timeout"},
      {"lock_wait_timeout=5s", "lock_wait_timeout"},
      {"ssl=maybe", "ssl"},
      {"charset=latin1", "charset"},
      {"=1", "unknown option"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    const char *message = complaint(text("mysql://h/d?%s", bad[i][0]));
    expect(strstr(message, bad[i][1]) != NULL, "%s: %s", bad[i][0], message);
  }
}

static void a_url_that_does_not_parse_is_refused(void **state) {
  (void)state;
  static const char *const bad[] = {
      "mysql://",
      "mysql://h",
      "mysql://h/",
      "mysql://h/a/b",
      "mysql://h:x/d",
      "mysql://h:0/d",
      "mysql://h:65536/d",
      "mysql://h:99999999999999/d",
      "mysql://h/d#x",
      "mysql://u:p@ss@h/d",
      "mysql://[::1/d",
      "mysql://[::g]/d",
      "mysql://h/d e",
      "mysql://h/%zz",
      "mysql://h/a%00b",
      "mysql://u%00:p@h/d",
      "mysql://u:%00@h/d",
      "mysql://h/d?socket=/a%00b",
      "mysql://h/d?socket=%",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    (void)complaint(bad[i]);
  }
}

static void a_password_is_in_no_message(void **state) {
  (void)state;
  static const char *const bad[] = {
      "mysql://u:secret@h/d?foo=1", "mysql://u:secret@h:x/d", "mysql://u:secret@h",
      "mysql://u:secret@@h/d",      "mysql://u:sec ret@h/d",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_null(strstr(complaint(bad[i]), "sec"));
  }
}

static int tear_down(void **state) {
  (void)state;
  release_kept();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(both_schemes_in_any_case_are_this_engines, tear_down),
      cmocka_unit_test_teardown(all_parts_are_read_and_decoded, tear_down),
      cmocka_unit_test_teardown(what_is_not_given_has_its_default, tear_down),
      cmocka_unit_test_teardown(an_ipv6_address_stands_in_brackets, tear_down),
      cmocka_unit_test_teardown(options_are_read, tear_down),
      cmocka_unit_test_teardown(a_limit_of_the_pool_takes_the_other_along, tear_down),
      cmocka_unit_test_teardown(tls_options_switch_tls_on, tear_down),
      cmocka_unit_test_teardown(tls_options_that_do_not_go_together_are_refused, tear_down),
      cmocka_unit_test_teardown(an_unknown_or_bad_option_is_named, tear_down),
      cmocka_unit_test_teardown(a_url_that_does_not_parse_is_refused, tear_down),
      cmocka_unit_test_teardown(a_password_is_in_no_message, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
