/* Parses mysql:// and mariadb:// URLs. */
#include "engine/mysql/url.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <uriparser/Uri.h>

#include "model/error.h"
#include "sql/dialect.h"

enum { MYSQL_PORT = 3306, SECONDS_MAX = 86400 * 365, CONNECTIONS_MAX = 1000 };

/* An option: where its value goes, and how it is read. */
struct option {
  const char *name;
  enum option_kind {
    OPTION_TEXT,
    OPTION_SWITCH,
    OPTION_SECONDS,
    OPTION_CONNECTIONS,
    OPTION_CHARSET
  } kind;
  size_t offset; /* of the member in struct mydb_url */
  unsigned minimum;
};

#define OPTION(member, kind, minimum) \
  { #member, kind, offsetof(struct mydb_url, member), minimum }

static const struct option options[] = {
    OPTION(socket, OPTION_TEXT, 0),
    OPTION(ssl, OPTION_SWITCH, 0),
    OPTION(ssl_ca, OPTION_TEXT, 0),
    OPTION(ssl_cert, OPTION_TEXT, 0),
    OPTION(ssl_key, OPTION_TEXT, 0),
    OPTION(ssl_verify, OPTION_SWITCH, 0),
    {"charset", OPTION_CHARSET, 0, 0},
    OPTION(connect_timeout, OPTION_SECONDS, 1),
    OPTION(read_timeout, OPTION_SECONDS, 0),
    OPTION(write_timeout, OPTION_SECONDS, 0),
    OPTION(lock_wait_timeout, OPTION_SECONDS, 1),
    OPTION(pool_min, OPTION_CONNECTIONS, 1),
    OPTION(pool_max, OPTION_CONNECTIONS, 1),
    OPTION(pool_idle_timeout, OPTION_SECONDS, 0),
    OPTION(pool_max_age, OPTION_SECONDS, 0),
};

enum { OPTION_COUNT = sizeof options / sizeof options[0] };

bool mydb_url_accepts(const char *url) {
  return dialect_scheme(&dialect_mysql, url, strncasecmp) != NULL;
}

struct mydb_url *mydb_url_retain(struct mydb_url *url) {
  atomic_fetch_add(&url->references, 1);
  return url;
}

void mydb_url_release(struct mydb_url *url) {
  if (url == NULL || atomic_fetch_sub(&url->references, 1) > 1) {
    return;
  }
  free(url->user);
  free(url->password);
  free(url->host);
  free(url->database);
  free(url->socket);
  free(url->ssl_ca);
  free(url->ssl_cert);
  free(url->ssl_key);
  free(url->where);
  free(url);
}

/* The error of any bad URL. */
static evd_code bad(evd_error *error, const char *reason) {
  return error_set(error, EVD_EINVAL, "url", "url: %s", reason);
}

/* The decoded copy of a part of the URL in *text (the old text is freed): `what` it is, for
 * people. */
static evd_code decode(const char *first, const char *after, const char *what, char **text,
                       evd_error *error) {
  size_t length = first != NULL ? (size_t)(after - first) : 0;
  char *copy = malloc(length + 1);
  if (copy == NULL) {
    return error_set_no_memory(error);
  }
  if (length > 0) {
    memcpy(copy, first, length);
  }
  copy[length] = '\0';
  const char *end = uriUnescapeInPlaceExA(copy, URI_FALSE, URI_BR_DONT_TOUCH);
  if (end == NULL || strlen(copy) != (size_t)(end - copy)) {
    free(copy);
    return error_set(error, EVD_EINVAL, "url", "url: the %s has a zero byte", what);
  }
  free(*text);
  *text = copy;
  return EVD_OK;
}

/* Reads "user:password". */
static evd_code read_user(const UriTextRangeA *info, struct mydb_url *url, evd_error *error) {
  const char *colon = info->first != NULL
                          ? memchr(info->first, ':', (size_t)(info->afterLast - info->first))
                          : NULL;
  evd_code code =
      decode(info->first, colon != NULL ? colon : info->afterLast, "user", &url->user, error);
  if (code != EVD_OK) {
    return code;
  }
  return colon != NULL ? decode(colon + 1, info->afterLast, "password", &url->password, error)
                       : decode(NULL, NULL, "password", &url->password, error);
}

/* A decimal number of at most `maximum`; false when the text is none. */
static bool read_number(const char *text, size_t length, unsigned maximum, unsigned *number) {
  unsigned long long value = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') {
      return false;
    }
    value = value * 10 + (unsigned)(text[i] - '0');
    if (value > maximum) {
      return false;
    }
  }
  *number = (unsigned)value;
  return length > 0;
}

/* Reads the host and the port. */
static evd_code read_host(const UriUriA *uri, struct mydb_url *url, evd_error *error) {
  evd_code code = decode(uri->hostText.first, uri->hostText.afterLast, "host", &url->host, error);
  if (code != EVD_OK) {
    return code;
  }
  if (url->host[0] == '\0') {
    free(url->host);
    url->host = strdup("127.0.0.1");
    if (url->host == NULL) {
      return error_set_no_memory(error);
    }
  }
  url->port = MYSQL_PORT;
  if (uri->portText.first != NULL && uri->portText.first != uri->portText.afterLast &&
      (!read_number(uri->portText.first, (size_t)(uri->portText.afterLast - uri->portText.first),
                    65535, &url->port) ||
       url->port == 0)) {
    return bad(error, "the port must be a number from 1 to 65535");
  }
  return EVD_OK;
}

/* Reads "/database". */
static evd_code read_database(const UriUriA *uri, struct mydb_url *url, evd_error *error) {
  const UriPathSegmentA *segment = uri->pathHead;
  if (segment == NULL || segment->text.first == segment->text.afterLast) {
    return bad(error, "the database is missing: mysql://user:password@host:port/database");
  }
  if (segment->next != NULL) {
    return bad(error, "the path must be the name of a database");
  }
  return decode(segment->text.first, segment->text.afterLast, "database", &url->database, error);
}

/* Reads "on" or "off" and the like. */
static bool read_switch(const char *text, bool *value) {
  static const char *const names[] = {"off", "on", "false", "true", "0", "1"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcasecmp(text, names[i]) == 0) {
      *value = i % 2 == 1;
      return true;
    }
  }
  return false;
}

/* Sets one option from its text. */
static evd_code set_option(const struct option *option, const char *text, struct mydb_url *url,
                           evd_error *error) {
  void *member = (char *)url + option->offset;
  unsigned number = 0;
  unsigned maximum = option->kind == OPTION_CONNECTIONS ? CONNECTIONS_MAX : SECONDS_MAX;
  switch (option->kind) {
  case OPTION_TEXT: {
    char **target = member;
    free(*target);
    *target = strdup(text);
    return *target != NULL ? EVD_OK : error_set_no_memory(error);
  }
  case OPTION_SWITCH:
    if (!read_switch(text, member)) {
      return error_set(error, EVD_EINVAL, "url", "url: option %s must be on or off", option->name);
    }
    return EVD_OK;
  case OPTION_SECONDS:
  case OPTION_CONNECTIONS:
    if (!read_number(text, strlen(text), maximum, &number) || number < option->minimum) {
      return error_set(error, EVD_EINVAL, "url", "url: option %s must be a number from %u to %u",
                       option->name, option->minimum, maximum);
    }
    if (option->kind == OPTION_CONNECTIONS) {
      *(size_t *)member = number;
    } else {
      *(unsigned *)member = number;
    }
    return EVD_OK;
  case OPTION_CHARSET:
    return strcasecmp(text, "utf8mb4") == 0 ? EVD_OK : bad(error, "option charset must be utf8mb4");
  }
  return EVD_OK;
}

/* Reads one "name=value" of the query. `given` notes the options that were there. */
static evd_code read_option(const UriQueryListA *item, struct mydb_url *url, bool *given,
                            evd_error *error) {
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    if (strcmp(item->key, options[i].name) == 0) {
      given[i] = true;
      return set_option(&options[i], item->value != NULL ? item->value : "", url, error);
    }
  }
  return error_set(error, EVD_EINVAL, "url", "url: unknown option %.64s", item->key);
}

/* Whether an option was given. */
static bool was_given(const bool *given, const char *name) {
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    if (strcmp(options[i].name, name) == 0) {
      return given[i];
    }
  }
  return false;
}

/* What must hold between options, and what follows from others. */
static evd_code settle(struct mydb_url *url, const bool *given, evd_error *error) {
  bool companions = url->ssl_ca != NULL || url->ssl_cert != NULL || url->ssl_key != NULL;
  if (!was_given(given, "ssl")) {
    url->ssl = companions || url->ssl_verify;
  }
  if (!url->ssl && (companions || url->ssl_verify)) {
    return bad(error, "ssl is off, but other ssl_ options are given");
  }
  if (!was_given(given, "ssl_verify")) {
    url->ssl_verify = url->ssl_ca != NULL;
  }
  if (url->ssl_verify && url->ssl_ca == NULL) {
    return bad(error, "ssl_verify needs ssl_ca, the certificates to trust");
  }
  if ((url->ssl_cert == NULL) != (url->ssl_key == NULL)) {
    return bad(error, "ssl_cert and ssl_key go together");
  }
  if (url->pool_min > url->pool_max) {
    if (was_given(given, "pool_min") && was_given(given, "pool_max")) {
      return bad(error, "pool_min is above pool_max");
    }
    if (was_given(given, "pool_min")) {
      url->pool_max = url->pool_min;
    } else {
      url->pool_min = url->pool_max;
    }
  }
  return EVD_OK;
}

/* Reads "?name=value&...". */
static evd_code read_options(const UriTextRangeA *query, struct mydb_url *url, evd_error *error) {
  bool given[OPTION_COUNT] = {false};
  if (query->first == NULL || query->first == query->afterLast) {
    return settle(url, given, error);
  }

  if (memmem(query->first, (size_t)(query->afterLast - query->first), "%00", 3) != NULL) {
    return bad(error, "an option has a zero byte");
  }
  UriQueryListA *list = NULL;
  int items = 0;
  int status = uriDissectQueryMallocExA(&list, &items, query->first, query->afterLast, URI_FALSE,
                                        URI_BR_DONT_TOUCH);
  if (status != URI_SUCCESS) {
    return status == URI_ERROR_MALLOC ? error_set_no_memory(error) : bad(error, "bad options");
  }
  evd_code code = EVD_OK;
  for (const UriQueryListA *item = list; code == EVD_OK && item != NULL; item = item->next) {
    code = read_option(item, url, given, error);
  }
  uriFreeQueryListA(list);
  return code == EVD_OK ? settle(url, given, error) : code;
}

/* Names the place, for messages. */
static evd_code name_place(struct mydb_url *url, evd_error *error) {
  bool brackets = strchr(url->host, ':') != NULL;
  int length = url->socket != NULL ? asprintf(&url->where, "%s", url->socket)
                                   : asprintf(&url->where, "%s%s%s:%u", brackets ? "[" : "",
                                              url->host, brackets ? "]" : "", url->port);
  if (length < 0) {
    url->where = NULL;
    return error_set_no_memory(error);
  }
  return EVD_OK;
}

/* Reads all parts of a URL that has been taken apart. */
static evd_code read_parts(const UriUriA *uri, struct mydb_url *url, evd_error *error) {
  if (uri->fragment.first != NULL) {
    return bad(error, "a # must be written as %23");
  }
  evd_code code = read_user(&uri->userInfo, url, error);
  if (code == EVD_OK) {
    code = read_host(uri, url, error);
  }
  if (code == EVD_OK) {
    code = read_database(uri, url, error);
  }
  if (code == EVD_OK) {
    code = read_options(&uri->query, url, error);
  }
  return code == EVD_OK ? name_place(url, error) : code;
}

struct mydb_url *mydb_url_parse(const char *text, evd_error *error) {
  UriUriA uri;
  const char *place = NULL;
  int status = uriParseSingleUriExA(&uri, text, text + strlen(text), &place);
  if (status != URI_SUCCESS) {
    if (status == URI_ERROR_MALLOC) {
      error_set_no_memory(error);
    } else {
      error_set(error, EVD_EINVAL, "url",
                "url: byte %zu cannot stand there; user, password and options are percent-encoded",
                place != NULL ? (size_t)(place - text) + 1 : (size_t)0);
    }
    return NULL;
  }

  struct mydb_url *url = calloc(1, sizeof *url);
  if (url == NULL) {
    error_set_no_memory(error);
  } else {
    atomic_init(&url->references, 1);
    url->connect_timeout = 10;
    url->lock_wait_timeout = 5;
    url->pool_min = 1;
    url->pool_max = 4;
    url->pool_idle_timeout = 300;
    url->pool_max_age = 3600;
    if (read_parts(&uri, url, error) != EVD_OK) {
      mydb_url_release(url);
      url = NULL;
    }
  }
  uriFreeUriMembersA(&uri);
  return url;
}
