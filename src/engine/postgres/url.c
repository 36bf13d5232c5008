/* Parses PostgreSQL URLs and keyword strings. */
#include "engine/postgres/url.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "model/error.h"
#include "sql/buffer.h"
#include "sql/dialect.h"

enum { DEPTH = 2 }; /* batches in flight on a connection, where the URL does not say */

/* Our own options. */
static const struct own_option {
  const char *name;
  enum { OPTION_NUMBER, OPTION_SWITCH, OPTION_ISOLATION, OPTION_TEXT } kind;
  size_t offset; /* in postgres_url */
  int64_t min, max, preset;
} own_options[] = {
    {"pool_min", OPTION_NUMBER, offsetof(struct postgres_url, pool_min), 1, 1000, 1},
    {"pool_max", OPTION_NUMBER, offsetof(struct postgres_url, pool_max), 1, 1000, 4},
    {"pipeline_depth", OPTION_NUMBER, offsetof(struct postgres_url, pipeline_depth), 1, 1000, 0},
    {"pool_idle_timeout", OPTION_NUMBER, offsetof(struct postgres_url, pool_idle_timeout), 0,
     INT32_MAX, 300},
    {"pool_max_age", OPTION_NUMBER, offsetof(struct postgres_url, pool_max_age), 0, INT32_MAX,
     3600},
    {"prepare", OPTION_SWITCH, offsetof(struct postgres_url, prepare), 0, 1, 1},
    {"statement_timeout", OPTION_NUMBER, offsetof(struct postgres_url, statement_timeout_ms), 0,
     INT32_MAX, -1},
    {"lock_timeout", OPTION_NUMBER, offsetof(struct postgres_url, lock_timeout_ms), 0, INT32_MAX,
     0},
    {"isolation", OPTION_ISOLATION, offsetof(struct postgres_url, isolation), 0, 0, 0},
    {"replica", OPTION_TEXT, offsetof(struct postgres_url, replica), 0, 0, 0},
};

enum { OWN_OPTION_COUNT = sizeof own_options / sizeof own_options[0] };

/* A text under way, and what is left of it for libpq. */
struct reader {
  struct postgres_url *url;
  struct buffer rest;
  evd_error *error;
};

static bool has_scheme(const char *text) {
  return dialect_scheme(&dialect_postgres, text, strncmp) != NULL;
}

bool postgres_url_accepts(const char *text) {
  if (has_scheme(text)) {
    return true;
  }
  const char *end = text;
  while (isalpha((unsigned char)*end) || *end == '_') {
    end++;
  }
  bool is_keyword = end > text;
  while (isspace((unsigned char)*end)) {
    end++;
  }
  return is_keyword && *end == '=';
}

static const struct own_option *own_option(const char *name) {
  for (size_t i = 0; i < OWN_OPTION_COUNT; i++) {
    if (strcmp(own_options[i].name, name) == 0) {
      return &own_options[i];
    }
  }
  return NULL;
}

static evd_code set_number(int64_t *number, const struct own_option *option, const char *value,
                           evd_error *error) {
  char *end;
  errno = 0;
  long long read = strtoll(value, &end, 10);
  if (errno != 0 || end == value || *end != '\0' || read < option->min || read > option->max) {
    return error_set(error, EVD_EINVAL, "url", "url: %s must be an integer from %lld to %lld",
                     option->name, (long long)option->min, (long long)option->max);
  }
  *number = read;
  return EVD_OK;
}

static evd_code set_switch(int64_t *number, const struct own_option *option, const char *value,
                           evd_error *error) {
  bool on = strcmp(value, "on") == 0 || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
  bool off = strcmp(value, "off") == 0 || strcmp(value, "false") == 0 || strcmp(value, "0") == 0;
  if (!on && !off) {
    return error_set(error, EVD_EINVAL, "url", "url: %s must be on or off", option->name);
  }
  *number = on;
  return EVD_OK;
}

static evd_code set_text(char **text, const char *value, evd_error *error) {
  free(*text);
  *text = strdup(value);
  return *text != NULL ? EVD_OK : error_set_no_memory(error);
}

static evd_code set_isolation(char **isolation, const char *value, evd_error *error) {
  static const struct {
    const char *name, *level;
  } levels[] = {{"read-committed", "read committed"},
                {"repeatable-read", "repeatable read"},
                {"serializable", "serializable"}};
  for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
    if (strcmp(value, levels[i].name) == 0) {
      return set_text(isolation, levels[i].level, error);
    }
  }
  return error_set(error, EVD_EINVAL, "url",
                   "url: isolation must be read-committed, repeatable-read or serializable");
}

static evd_code set_own(struct reader *reader, const struct own_option *option, const char *value) {
  void *member = (char *)reader->url + option->offset;
  switch (option->kind) {
  case OPTION_NUMBER: return set_number(member, option, value, reader->error);
  case OPTION_SWITCH: return set_switch(member, option, value, reader->error);
  case OPTION_ISOLATION: return set_isolation(member, value, reader->error);
  case OPTION_TEXT: return set_text(member, value, reader->error);
  }
  return EVD_OK;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  c = (char)tolower((unsigned char)c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes %XX in place. False when it is not whole, or stands for a zero. */
static bool percent_decode(char *text) {
  char *to = text;
  for (; *text != '\0'; text++) {
    if (*text != '%') {
      *to++ = *text;
      continue;
    }
    int high = hex_digit(text[1]);
    int low = high < 0 ? -1 : hex_digit(text[2]);
    if (low < 0 || high * 16 + low == 0) {
      return false;
    }
    *to++ = (char)(high * 16 + low);
    text += 2;
  }
  *to = '\0';
  return true;
}

/* One "key=value" of a URL's query. */
static evd_code read_query_part(struct reader *reader, const char *part, size_t length) {
  const char *equals = memchr(part, '=', length);
  char *key = strndup(part, equals != NULL ? (size_t)(equals - part) : length);
  char *value = equals != NULL ? strndup(equals + 1, length - (size_t)(equals + 1 - part)) : NULL;
  const struct own_option *option = key != NULL ? own_option(key) : NULL;
  evd_code code = EVD_OK;
  if (key == NULL || (equals != NULL && value == NULL)) {
    code = error_set_no_memory(reader->error);
  } else if (option != NULL && value != NULL) {
    code = percent_decode(value)
               ? set_own(reader, option, value)
               : error_set(reader->error, EVD_EINVAL, "url",
                           "url: %s is not correctly percent-encoded", option->name);
  } else {
    const char *separator = strchr(reader->rest.text, '?') == NULL ? "?" : "&";
    buffer_append(&reader->rest, separator);
    buffer_append_bytes(&reader->rest, part, length);
  }
  free(key);
  free(value);
  return code;
}

static evd_code read_url(struct reader *reader, const char *text) {
  size_t head = strcspn(text, "?");
  buffer_append_bytes(&reader->rest, text, head);
  evd_code code = EVD_OK;
  for (text += head; *text != '\0' && code == EVD_OK;) {
    text++; /* past '?' or '&' */
    size_t length = strcspn(text, "&");
    code = reader->rest.failed ? error_set_no_memory(reader->error)
                               : read_query_part(reader, text, length);
    text += length;
  }
  return code;
}

/* The end of a keyword string's value, which may be 'quoted' and have \escapes. */
static const char *value_end(const char *text) {
  bool quoted = *text == '\'';
  for (text += quoted; *text != '\0'; text++) {
    if (*text == '\\' && text[1] != '\0') {
      text++;
    } else if (quoted ? *text == '\'' : isspace((unsigned char)*text)) {
      break;
    }
  }
  return quoted && *text == '\'' ? text + 1 : text;
}

/* Undoes quotes and escapes in place. */
static void unquote(char *text) {
  size_t length = strlen(text);
  if (length >= 2 && text[0] == '\'' && text[length - 1] == '\'') {
    memmove(text, text + 1, length - 2);
    text[length - 2] = '\0';
  }
  char *to = text;
  for (; *text != '\0'; text++) {
    if (*text == '\\' && text[1] != '\0') {
      text++;
    }
    *to++ = *text;
  }
  *to = '\0';
}

/* One "key = value" of a keyword string; moves the text past it. */
static evd_code read_keyword(struct reader *reader, const char **text) {
  const char *start = *text;
  size_t key_length = strcspn(start, "= \t\n\r");
  const char *value = start + key_length;
  value += strspn(value, " \t\n\r");
  value += *value == '=';
  value += strspn(value, " \t\n\r");
  const char *end = value_end(value);
  *text = end;

  char *key = strndup(start, key_length);
  char *copy = strndup(value, (size_t)(end - value));
  const struct own_option *option = key != NULL ? own_option(key) : NULL;
  evd_code code = EVD_OK;
  if (key == NULL || copy == NULL) {
    code = error_set_no_memory(reader->error);
  } else if (option != NULL) {
    unquote(copy);
    code = set_own(reader, option, copy);
  } else {
    buffer_append(&reader->rest, " ");
    buffer_append_bytes(&reader->rest, start, (size_t)(end - start));
  }
  free(key);
  free(copy);
  return code;
}

static evd_code read_keywords(struct reader *reader, const char *text) {
  evd_code code = EVD_OK;
  for (text += strspn(text, " \t\n\r"); *text != '\0' && code == EVD_OK;
       text += strspn(text, " \t\n\r")) {
    code = read_keyword(reader, &text);
  }
  return code;
}

/* What libpq says is wrong, up to where it quotes the URL, for a password may be in it. */
static evd_code refuse(evd_error *error, const char *message) {
  const char *quote = strstr(message, "://");
  int length = (int)(quote != NULL ? (size_t)(quote - message) : strcspn(message, "\n"));
  while (quote != NULL && length > 0 && message[length - 1] != ':' && message[length - 1] != '"') {
    length--;
  }
  while (length > 0 && strchr(" :\"\n", message[length - 1]) != NULL) {
    length--;
  }
  return error_set(error, EVD_EINVAL, "url", "url: %.*s", length, message);
}

static evd_code parse_rest(struct postgres_url *url, const char *rest, evd_error *error) {
  char *message = NULL;
  url->options = PQconninfoParse(rest, &message);
  if (url->options != NULL) {
    return EVD_OK;
  }
  evd_code code = message != NULL ? refuse(error, message) : error_set_no_memory(error);
  PQfreemem(message);
  return code;
}

/* NULL when libpq does not know the keyword. */
static const PQconninfoOption *find_option(const PQconninfoOption *options, const char *keyword) {
  while (options->keyword != NULL && strcmp(options->keyword, keyword) != 0) {
    options++;
  }
  return options->keyword != NULL ? options : NULL;
}

/*
 * Services. libpq reads their file for a connection only, and gives what is there to any keyword
 * that was not given: before the environment and its own defaults. We need to know as much, for we
 * set some keywords ourselves (where to connect to, first of all). So it is asked for a connection
 * that it refuses when it has put the keywords together, for one of them is not valid: it looks no
 * host up, and connects to none. That one's own value is left for libpq to find when it does
 * connect.
 */

static const char refused_keyword[] = "channel_binding";
static const char refused_value[] = "refused";

static PGconn *refused_connection(const struct postgres_url *url) {
  size_t count = 0;
  while (url->options[count].keyword != NULL) {
    count++;
  }
  const char **keywords = calloc(2 * (count + 1), sizeof *keywords);
  if (keywords == NULL) {
    return NULL;
  }
  const char **values = keywords + count + 1;
  for (size_t i = 0; i < count; i++) {
    keywords[i] = url->options[i].keyword;
    values[i] = strcmp(keywords[i], refused_keyword) == 0 ? refused_value : url->options[i].val;
  }
  PGconn *pg = PQconnectStartParams(keywords, values, 0);
  free(keywords);
  return pg;
}

/* Takes over all options, but the refused one, and those that libpq does not tell. */
static void take_over(struct postgres_url *url, PQconninfoOption *options) {
  PQconninfoOption *given = url->options;
  for (size_t i = 0; given[i].keyword != NULL; i++) {
    if (options[i].val == NULL || strcmp(given[i].keyword, refused_keyword) == 0) {
      char *value = options[i].val;
      options[i].val = given[i].val;
      given[i].val = value;
    }
  }
  url->options = options;
  PQconninfoFree(given);
}

static evd_code expand_service(struct postgres_url *url, evd_error *error) {
  const char *service = postgres_url_value(url, "service");
  if (service == NULL || service[0] == '\0') {
    return EVD_OK;
  }
  PGconn *pg = refused_connection(url);
  PQconninfoOption *options = PQconninfo(pg);
  evd_code code = EVD_OK;
  if (options == NULL) {
    code = error_set_no_memory(error);
  } else if (find_option(options, refused_keyword)->val ==
             NULL) { /* the service is not to be found */
    code = refuse(error, PQerrorMessage(pg));
    PQconninfoFree(options);
  } else {
    take_over(url, options);
  }
  PQfinish(pg);
  return code;
}

/* libpq looks at ports only when it connects. */
static evd_code check_ports(const struct postgres_url *url, evd_error *error) {
  const char *port = postgres_url_value(url, "port");
  while (port != NULL && *port != '\0') {
    char *end;
    long number = strtol(port, &end, 10);
    bool ends = *end == ',' || *end == '\0';
    if (!ends || (end != port && (number < 1 || number > 65535))) {
      return error_set(error, EVD_EINVAL, "url", "url: the port must be a number from 1 to 65535");
    }
    port = end + (*end == ',');
  }
  return EVD_OK;
}

/* What must hold between our own options. */
static evd_code check_own(struct postgres_url *url, evd_error *error) {
  if (url->pool_min > url->pool_max) {
    return error_set(error, EVD_EINVAL, "url", "url: pool_min is more than pool_max");
  }
  if (url->pipeline_depth == 0) {
    url->pipeline_depth = url->prepare ? DEPTH : 1;
  }
  if (!url->prepare && url->pipeline_depth > 1) {
    return error_set(error, EVD_EINVAL, "url",
                     "url: with prepare=off, pipeline_depth is 1: poolers mix up transactions that "
                     "come before the one ahead is answered");
  }
  bool sets = url->isolation != NULL || url->statement_timeout_ms > 0 || url->lock_timeout_ms > 0;
  if (!url->prepare && sets) {
    return error_set(error, EVD_EINVAL, "url",
                     "url: with prepare=off, set isolation, statement_timeout and lock_timeout on "
                     "the role or the database: behind a pooler a session cannot be set");
  }
  return EVD_OK;
}

evd_code postgres_url_parse(const char *text, struct postgres_url *url, evd_error *error) {
  *url = (struct postgres_url){0};
  for (size_t i = 0; i < OWN_OPTION_COUNT; i++) {
    if (own_options[i].kind == OPTION_NUMBER || own_options[i].kind == OPTION_SWITCH) {
      *(int64_t *)((char *)url + own_options[i].offset) = own_options[i].preset;
    }
  }

  struct reader reader = {.url = url, .error = error};
  buffer_append(&reader.rest, "");
  evd_code code = has_scheme(text) ? read_url(&reader, text) : read_keywords(&reader, text);
  if (code == EVD_OK && reader.rest.failed) {
    code = error_set_no_memory(error);
  }
  if (code == EVD_OK) {
    code = parse_rest(url, reader.rest.text != NULL ? reader.rest.text : "", error);
  }
  if (code == EVD_OK) {
    code = expand_service(url, error);
  }
  if (code == EVD_OK) {
    code = check_ports(url, error);
  }
  if (code == EVD_OK) {
    code = check_own(url, error);
  }
  buffer_free(&reader.rest);
  if (code != EVD_OK) {
    postgres_url_free(url);
  }
  return code;
}

const char *postgres_url_value(const struct postgres_url *url, const char *keyword) {
  const PQconninfoOption *option = find_option(url->options, keyword);
  if (option == NULL) {
    return NULL;
  }
  bool given = option->val != NULL && option->val[0] != '\0';
  return given || option->envvar == NULL ? option->val : getenv(option->envvar);
}

void postgres_url_free(struct postgres_url *url) {
  PQconninfoFree(url->options);
  free(url->isolation);
  free(url->replica);
  *url = (struct postgres_url){0};
}
