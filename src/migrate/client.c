/* What the blocking SQL sessions of all databases share. */
#include "migrate/client.h"

#include <stdlib.h>
#include <string.h>

#include "model/error.h"

const struct dialect *sql_client_dialect(const struct sql_client *client) {
  return client->ops->dialect;
}

const char *sql_client_place(const struct sql_client *client) {
  return client->place;
}

evd_code sql_client_execute(struct sql_client *client, const char *sql, evd_error *error) {
  return client->ops->execute(client, sql, error);
}

evd_code sql_client_query(struct sql_client *client, const char *sql, const char *const *parameters,
                          sql_row row, void *data, evd_error *error) {
  client->changed = 0;
  return client->ops->query(client, sql, parameters, row, data, error);
}

int64_t sql_client_changed(const struct sql_client *client) {
  return client->changed;
}

/* What sql_client_text() is after. */
struct answer {
  char *text;
  bool failed;
};

static bool keep_first(const char *const *values, void *data) {
  struct answer *answer = data;
  if (values[0] != NULL) {
    answer->text = strdup(values[0]);
    answer->failed = answer->text == NULL;
  }
  return false;
}

evd_code sql_client_text(struct sql_client *client, const char *sql, const char *const *parameters,
                         char **text, evd_error *error) {
  struct answer answer = {0};
  evd_code code = sql_client_query(client, sql, parameters, keep_first, &answer, error);
  if (code == EVD_OK && answer.failed) {
    code = error_set_no_memory(error);
  }
  if (code != EVD_OK) {
    free(answer.text);
    answer.text = NULL;
  }
  *text = answer.text;
  return code;
}

evd_code sql_client_integer(struct sql_client *client, const char *sql,
                            const char *const *parameters, int64_t otherwise, int64_t *integer,
                            evd_error *error) {
  char *text;
  evd_code code = sql_client_text(client, sql, parameters, &text, error);
  *integer = text != NULL ? strtoll(text, NULL, 10) : otherwise;
  free(text);
  return code;
}

bool sql_client_is_denied(const struct sql_client *client, const evd_error *error) {
  return dialect_is_denied(client->ops->dialect, error->native);
}

void sql_client_close(struct sql_client *client) {
  if (client != NULL) {
    client->ops->close(client);
  }
}

void sql_client_place_parameters(struct buffer *buffer, const char *sql,
                                 void (*parameter)(struct buffer *buffer, size_t index, void *data),
                                 void *data) {
  char quote = '\0';
  size_t count = 0;
  for (; *sql != '\0'; sql++) {
    if (quote == '\0' && *sql == '?') {
      parameter(buffer, count++, data);
      continue;
    }
    if (quote == *sql) {
      quote = '\0';
    } else if (quote == '\0' && strchr("'\"`", *sql) != NULL) {
      quote = *sql;
    }
    buffer_append_bytes(buffer, sql, 1);
  }
}
