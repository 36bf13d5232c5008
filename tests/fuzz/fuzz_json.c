/* The JSON scanner on anything: it stays within the text, and what it accepts, cJSON accepts. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "model/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether the text has a number of more digits than cJSON 1.7 reads. A string of such digits counts
 * too, which does no harm. */
static bool has_long_number(const char *text, size_t length) {
  size_t digits = 0;

  for (size_t i = 0; i < length; i++) {
    digits = text[i] != '\0' && strchr("0123456789+-.eE", text[i]) != NULL ? digits + 1 : 0;
    if (digits >= 60) {
      return true;
    }
  }
  return false;
}

/* Whether a string has an unpaired surrogate, which cJSON refuses. */
static bool has_unpaired_surrogate(const char *text, size_t length) {
  char *copy = strndup(text, length);
  const char *refusal = copy != NULL ? json_jsonb_refuses(copy) : NULL;

  free(copy);
  return refusal != NULL && strstr(refusal, "surrogate") != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  const char *reason = NULL;
  size_t offset = 0;
  enum json_kind kind = json_scan(text, size, &reason, &offset);
  cJSON *item;

  if (kind == JSON_INVALID) {
    if (reason == NULL || offset > size) {
      abort();
    }
    return 0;
  }
  if (!utf8_is_valid(text, size)) {
    abort();
  }
  if (has_long_number(text, size) || has_unpaired_surrogate(text, size)) {
    return 0;
  }
  item = cJSON_ParseWithLength(text, size);
  if (item == NULL) {
    abort();
  }
  if ((kind == JSON_OBJECT) != cJSON_IsObject(item) ||
      (kind == JSON_ARRAY) != cJSON_IsArray(item)) {
    abort();
  }
  if ((kind == JSON_STRING) != cJSON_IsString(item) || (kind == JSON_NULL) != cJSON_IsNull(item)) {
    abort();
  }
  cJSON_Delete(item);
  return 0;
}
