/* Parses SQLite URLs and file names. */
#include "engine/sqlite/url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model/error.h"
#include "sql/buffer.h"

enum { BUSY_TIMEOUT_DEFAULT_MS = 5000 };

static const char *const synchronous_words[] = {"off", "normal", "full", "extra", NULL};
static const char *const journal_words[] = {"wal", "delete", "truncate", "persist", "memory", NULL};

static const char sqlite_scheme[] = "sqlite:";
static const char file_scheme[] = "file:";

static bool starts_with(const char *text, const char *start) {
  return strncmp(text, start, strlen(start)) == 0;
}

/* Whether a URL is SQLite's, by its scheme; SQLite itself knows file: only in lower case. */
bool sqlite_url_accepts(const char *url) {
  return strncasecmp(url, sqlite_scheme, strlen(sqlite_scheme)) == 0 ||
         starts_with(url, file_scheme);
}

/* One parameter of a URL's query: pieces of the URL, not ended by zero. */
struct parameter {
  const char *text; /* "name=value" */
  size_t length;
  const char *value;
  size_t value_length;
};

static bool is_named(const struct parameter *parameter, const char *name) {
  size_t length = strlen(name);
  return parameter->length > length && parameter->text[length] == '=' &&
         memcmp(parameter->text, name, length) == 0;
}

/* Cuts the next parameter from the query that ends at `end`; moves *query past it. */
static struct parameter next_parameter(const char **query, const char *end) {
  struct parameter parameter = {.text = *query};
  const char *ampersand = memchr(*query, '&', (size_t)(end - *query));
  const char *stop = ampersand != NULL ? ampersand : end;
  parameter.length = (size_t)(stop - *query);

  const char *equals = memchr(*query, '=', parameter.length);
  parameter.value = equals != NULL ? equals + 1 : stop;
  parameter.value_length = (size_t)(stop - parameter.value);

  *query = ampersand != NULL ? ampersand + 1 : end;
  return parameter;
}

/* The word that the parameter's value is, in any case; EVD_EINVAL when it is none of them. */
static evd_code read_word(const struct parameter *parameter, const char *const *words,
                          const char **word, evd_error *error) {
  for (; *words != NULL; words++) {
    if (strlen(*words) == parameter->value_length &&
        strncasecmp(*words, parameter->value, parameter->value_length) == 0) {
      *word = *words;
      return EVD_OK;
    }
  }
  return error_set(error, EVD_EINVAL, "url", "url: \"%.*s\" is not a value that SQLite knows",
                   (int)parameter->length, parameter->text);
}

/* Reads the journal mode. SQLite's "off" is none for us: a batch that fails is rolled back, and
 * without a journal what was written of it would stay, the half of a page split included. */
static evd_code read_journal_mode(const struct parameter *parameter, const char **mode,
                                  evd_error *error) {
  if (parameter->value_length == 3 && strncasecmp(parameter->value, "off", 3) == 0) {
    return error_set(
        error, EVD_EINVAL, "url",
        "url: \"%.*s\" is not supported: without a journal nothing can be rolled back, and "
        "an ordinary duplicate may destroy the database",
        (int)parameter->length, parameter->text);
  }
  return read_word(parameter, journal_words, mode, error);
}

/* Reads a number of milliseconds of at most nine digits. */
static evd_code read_milliseconds(const struct parameter *parameter, int64_t *milliseconds,
                                  evd_error *error) {
  bool good = parameter->value_length >= 1 && parameter->value_length <= 9;
  *milliseconds = 0;
  for (size_t i = 0; good && i < parameter->value_length; i++) {
    good = isdigit((unsigned char)parameter->value[i]);
    *milliseconds = *milliseconds * 10 + (parameter->value[i] - '0');
  }
  if (!good) {
    return error_set(error, EVD_EINVAL, "url", "url: \"%.*s\" is not a number of milliseconds",
                     (int)parameter->length, parameter->text);
  }
  return EVD_OK;
}

/* Reads one parameter; what is SQLite's own is appended to `kept`. */
static evd_code read_parameter(const struct parameter *parameter, struct sqlite_url *url,
                               struct buffer *kept, evd_error *error) {
  if (is_named(parameter, "synchronous")) {
    return read_word(parameter, synchronous_words, &url->synchronous, error);
  }
  if (is_named(parameter, "journal_mode")) {
    return read_journal_mode(parameter, &url->journal_mode, error);
  }
  if (is_named(parameter, "busy_timeout")) {
    return read_milliseconds(parameter, &url->busy_timeout_ms, error);
  }
  if (!url->is_uri) {
    return error_set(error, EVD_EINVAL, "url",
                     "url: unknown parameter \"%.*s\"; there are synchronous, journal_mode and "
                     "busy_timeout (and SQLite's own in a file: URI)",
                     (int)parameter->length, parameter->text);
  }

  if (is_named(parameter, "mode")) {
    url->has_mode = true;
    url->is_private = url->is_private || starts_with(parameter->value, "memory");
  }
  buffer_append(kept, kept->length > 0 ? "&" : "?");
  buffer_append_bytes(kept, parameter->text, parameter->length);
  return EVD_OK;
}

/* Reads the query from `query` to `end`. */
static evd_code read_query(const char *query, const char *end, struct sqlite_url *url,
                           struct buffer *kept, evd_error *error) {
  while (query < end) {
    struct parameter parameter = next_parameter(&query, end);
    if (parameter.length == 0) {
      continue;
    }
    evd_code code = read_parameter(&parameter, url, kept, error);
    if (code != EVD_OK) {
      return code;
    }
  }
  return EVD_OK;
}

/* Refuses what is no path of a file. */
static evd_code check_path(const char *path, size_t length, evd_error *error) {
  if (length == 0) {
    return error_set(error, EVD_EINVAL, "url", "url: sqlite: without a path");
  }
  if (starts_with(path, "//") && !starts_with(path, "///")) {
    return error_set(error, EVD_EINVAL, "url",
                     "url: sqlite:// has no host; write sqlite:/absolute/path or "
                     "sqlite:relative/path");
  }
  return EVD_OK;
}

/* Whether a URI has no path: "file:" or "file://host". That is SQLite's temporary database. */
static bool is_nameless(const char *uri, size_t length) {
  const char *rest = uri + strlen(file_scheme);
  size_t left = length - strlen(file_scheme);
  return left == 0 ||
         (left >= 2 && memcmp(rest, "//", 2) == 0 && memchr(rest + 2, '/', left - 2) == NULL);
}

/* Reads the URL into `url` (with defaults in it) and the name for SQLite into `name`. */
static evd_code read_url(const char *text, struct sqlite_url *url, struct buffer *name,
                         evd_error *error) {
  url->is_uri = starts_with(text, file_scheme);
  const char *path = url->is_uri ? text : text + strlen(sqlite_scheme);
  const char *fragment = url->is_uri ? strchrnul(path, '#') : path + strlen(path);
  const char *query = memchr(path, '?', (size_t)(fragment - path));
  size_t length = (size_t)((query != NULL ? query : fragment) - path);

  evd_code code = url->is_uri ? EVD_OK : check_path(path, length, error);
  if (code != EVD_OK) {
    return code;
  }
  if (!url->is_uri && starts_with(path, file_scheme)) {
    buffer_append(name, "./"); /* or SQLite, as Debian builds it, takes the path for a URI */
  }
  buffer_append_bytes(name, path, length);

  const char *memory = url->is_uri ? "file::memory:" : ":memory:";
  url->is_private = (length == strlen(memory) && memcmp(path, memory, length) == 0) ||
                    (url->is_uri && is_nameless(path, length));

  struct buffer kept = {0};
  if (query != NULL) {
    code = read_query(query + 1, fragment, url, &kept, error);
  }
  if (kept.length > 0) {
    buffer_append_bytes(name, kept.text, kept.length);
  }
  name->failed = name->failed || kept.failed;
  buffer_free(&kept);
  return code;
}

/* Reads a URL; see url.h. */
evd_code sqlite_url_parse(const char *url, struct sqlite_url *parsed, evd_error *error) {
  *parsed = (struct sqlite_url){
      .synchronous = "full",
      .journal_mode = "wal",
      .busy_timeout_ms = BUSY_TIMEOUT_DEFAULT_MS,
  };

  struct buffer name = {0};
  evd_code code = read_url(url, parsed, &name, error);
  if (code != EVD_OK) {
    buffer_free(&name);
    return code;
  }
  parsed->name = buffer_take(&name);
  if (parsed->name == NULL) {
    return error_set_no_memory(error);
  }
  return EVD_OK;
}

/* Releases what the URL owns. */
void sqlite_url_free(struct sqlite_url *url) {
  free(url->name);
  url->name = NULL;
}
