/* The keywords and values that libpq connects with. */
#include "engine/postgres/parameters.h"

#include <stdlib.h>
#include <string.h>

#include "sql/buffer.h"

/* Ours, where neither the URL nor a service nor the environment says anything. A dead peer is
 * noticed in half a minute while nothing is under way; and else by its silence (connection.c), not
 * by tcp_user_timeout, which would cut off a server that is busy and reads nothing meanwhile. GSS
 * is only asked for on request: looking for a ticket takes time. */
static const struct {
  const char *keyword, *value;
} presets[] = {
    {"fallback_application_name", "evdurable"},
    {"gssencmode", "disable"},
    {"keepalives_idle", "10"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "3"},
};

/* The place of a keyword; `count` when it is not set. */
static size_t find(const struct parameters *parameters, const char *keyword) {
  size_t i = 0;
  while (i < parameters->count && strcmp(parameters->keywords[i], keyword) != 0) {
    i++;
  }
  return i;
}

static void take_away(struct parameters *parameters, size_t i) {
  free(parameters->keywords[i]);
  free(parameters->values[i]);
  size_t last = --parameters->count;
  parameters->keywords[i] = parameters->keywords[last];
  parameters->values[i] = parameters->values[last];
  parameters->keywords[last] = parameters->values[last] = NULL;
}

bool postgres_parameters_set(struct parameters *parameters, const char *keyword,
                             const char *value) {
  size_t i = find(parameters, keyword);
  if (i < parameters->count) {
    take_away(parameters, i);
  }
  if (value == NULL) {
    return true;
  }
  char *keyword_copy = strdup(keyword);
  char *value_copy = strdup(value);
  if (keyword_copy == NULL || value_copy == NULL || parameters->count == PARAMETERS_MAX) {
    free(keyword_copy);
    free(value_copy);
    return false;
  }
  parameters->keywords[parameters->count] = keyword_copy;
  parameters->values[parameters->count++] = value_copy;
  return true;
}

/* Adds our settings to the options of the URL or, where it has none, of the environment, which
 * libpq looks at no more when it is given ours. */
static bool add_session(struct parameters *parameters, const struct postgres_url *url,
                        const char *session) {
  if (session[0] == '\0') {
    return true;
  }
  const char *given = postgres_url_value(url, "options");
  struct buffer options = {0};
  buffer_printf(&options, "%s %s", session, given != NULL ? given : "");
  bool ok = !options.failed && postgres_parameters_set(parameters, "options", options.text);
  buffer_free(&options);
  return ok;
}

bool postgres_parameters_init(struct parameters *parameters, const struct postgres_url *url,
                              const char *session) {
  *parameters = (struct parameters){0};
  bool ok = true;
  for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
    bool is_given = postgres_url_value(url, presets[i].keyword) != NULL;
    ok = ok &&
         (is_given || postgres_parameters_set(parameters, presets[i].keyword, presets[i].value));
  }
  for (const PQconninfoOption *option = url->options; option->keyword != NULL; option++) {
    if (option->val != NULL) {
      ok = ok && postgres_parameters_set(parameters, option->keyword, option->val);
    }
  }
  return ok && postgres_parameters_set(parameters, "client_encoding", "UTF8") &&
         add_session(parameters, url, session);
}

void postgres_parameters_free(struct parameters *parameters) {
  while (parameters->count > 0) {
    take_away(parameters, parameters->count - 1);
  }
}
