/* Records from any JSON: what is read can be stored, and is the same after writing and reading. */

#include <evdurable.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The retry options in the record are read or refused; what is read is the same after writing and
 * reading. */
static void check_retry_options(const char *json) {
  evd_retry_options options;
  evd_retry_options again;
  char *written;

  if (evd_retry_options_from_json(json, &options, NULL) != EVD_OK) {
    return;
  }
  written = evd_retry_options_to_json(&options);
  if (written == NULL || evd_retry_options_from_json(written, &again, NULL) != EVD_OK) {
    abort();
  }
  if (options.max_attempts != again.max_attempts || options.base_delay_ms != again.base_delay_ms ||
      options.delay_multiplier != again.delay_multiplier ||
      options.max_delay_ms != again.max_delay_ms) {
    abort();
  }
  free(written);
}

/* A record that was read. */
static void check_record(const evd_execution *execution) {
  char *json = evd_execution_to_json(execution);
  evd_execution *again;
  char *json_again;

  if (json == NULL || evd_execution_check(execution, NULL) != EVD_OK) {
    abort();
  }
  again = evd_execution_from_json(json, NULL);
  if (again == NULL) {
    abort();
  }
  json_again = evd_execution_to_json(again);
  if (json_again == NULL || strcmp(json, json_again) != 0) {
    abort();
  }
  free(json_again);
  free(again);

  /* The nested form stands for the same record. */
  char *nested = evd_execution_to_nested_json(execution);
  again = nested != NULL ? evd_execution_from_json(nested, NULL) : NULL;
  json_again = again != NULL ? evd_execution_to_json(again) : NULL;
  if (json_again == NULL || strcmp(json, json_again) != 0) {
    abort();
  }
  check_retry_options(execution->retry_options);
  free(nested);
  free(json_again);
  free(again);
  free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  evd_execution *execution;
  evd_error error;

  if (text == NULL) {
    return 0;
  }
  if (size > 0) {
    memcpy(text, data, size);
  }
  text[size] = '\0';
  check_retry_options(text);
  execution = evd_execution_from_json(text, &error);
  if (execution != NULL) {
    check_record(execution);
  } else if (error.code != EVD_EINVAL || error.message[0] == '\0') {
    abort();
  }
  free(execution);
  free(text);
  return 0;
}
