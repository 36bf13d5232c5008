/* The contents of the column retry_options, to and from JSON. */

#include <evdurable/execution.h>

#include <float.h>
#include <string.h>

#include "model/check.h"
#include "model/error.h"
#include "model/json_object.h"

/* The longest key that is looked at, with every character of it written as an escape of 6. */
enum { KEY_MAX = 96 };

char *evd_retry_options_to_json(const evd_retry_options *options) {
  cJSON *object = cJSON_CreateObject();
  bool good = object != NULL && json_add_integer(object, "maxAttempts", options->max_attempts);

  if (good && options->base_delay_ms != EVD_NONE) {
    good = json_add_integer(object, "baseDelayMs", options->base_delay_ms);
  }
  if (good && options->delay_multiplier != 0) {
    good = cJSON_AddNumberToObject(object, "delayMultiplier", options->delay_multiplier) != NULL;
  }
  if (good && options->max_delay_ms != EVD_NONE) {
    good = json_add_integer(object, "maxDelayMs", options->max_delay_ms);
  }
  return json_finish(object, good);
}

/* Reads an integer from 0 to `max`. */
static evd_code read_integer(const struct json_member *member, const char *key, int64_t max,
                             int64_t *integer, evd_error *error) {
  if (member->kind == JSON_NUMBER && json_integer(member->value, member->value_length, integer) &&
      *integer >= 0 && *integer <= max) {
    return EVD_OK;
  }
  return error_set(error, EVD_EINVAL, key, "%s is not an integer from 0 to %lld", key,
                   (long long)max);
}

static evd_code read_multiplier(const struct json_member *member, double *real, evd_error *error) {
  if (member->kind == JSON_NUMBER && json_real(member->value, member->value_length, real) &&
      *real >= 0 && *real <= DBL_MAX) {
    return EVD_OK;
  }
  return error_set(error, EVD_EINVAL, "delayMultiplier",
                   "delayMultiplier is not a number of at least 0");
}

/* Reads a member. A null is as if it were not there; so is a key of somebody else's. */
static evd_code read_member(const struct json_member *member, evd_retry_options *options,
                            int64_t *max_attempts, evd_error *error) {
  const int64_t delay_max = (INT64_C(1) << 53) - 1;
  char key[KEY_MAX];

  if (member->kind == JSON_NULL || member->key_length > sizeof key ||
      !json_string_is_text(member->key, member->key_length)) {
    return EVD_OK;
  }
  if (!json_unquote(member->key, member->key_length, key)) {
    return error_set_no_memory(error);
  }
  if (strcmp(key, "maxAttempts") == 0) {
    return read_integer(member, key, INT32_MAX, max_attempts, error);
  }
  if (strcmp(key, "baseDelayMs") == 0) {
    return read_integer(member, key, delay_max, &options->base_delay_ms, error);
  }
  if (strcmp(key, "delayMultiplier") == 0) {
    return read_multiplier(member, &options->delay_multiplier, error);
  }
  if (strcmp(key, "maxDelayMs") == 0) {
    return read_integer(member, key, delay_max, &options->max_delay_ms, error);
  }
  return EVD_OK;
}

evd_code evd_retry_options_from_json(const char *json, evd_retry_options *options,
                                     evd_error *error) {
  evd_code code = check_json(json, evd_column_retry_options, error);
  struct json_member member;
  int64_t max_attempts = -1;

  *options = (evd_retry_options){.base_delay_ms = EVD_NONE, .max_delay_ms = EVD_NONE};
  while (code == EVD_OK && json_next_member(&json, &member)) {
    code = read_member(&member, options, &max_attempts, error);
  }
  if (code == EVD_OK && max_attempts < 0) {
    code = error_set(error, EVD_EINVAL, "maxAttempts", "maxAttempts is missing");
  }
  if (code == EVD_OK) {
    options->max_attempts = (int32_t)max_attempts;
  }
  return code;
}
