/* mysql:// URLs of any form: read or refused, with a reason, and no memory lost. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/mysql/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char scheme[] = "mysql://";
  char *text = malloc(sizeof scheme + size);
  if (text == NULL) {
    abort();
  }
  memcpy(text, scheme, sizeof scheme - 1);
  if (size > 0) {
    memcpy(text + sizeof scheme - 1, data, size);
  }
  text[sizeof scheme - 1 + size] = '\0';

  evd_error error = {0};
  struct mydb_url *url = mydb_url_parse(text, &error);
  if (url == NULL) {
    if (error.code != EVD_EINVAL || strcmp(error.field, "url") != 0 || error.message[0] == '\0') {
      abort();
    }
  } else if (url->host == NULL || url->database[0] == '\0' || url->port == 0 || url->port > 65535 ||
             url->pool_min == 0 || url->pool_min > url->pool_max || url->where == NULL) {
    abort();
  }
  mydb_url_release(url);
  free(text);
  return 0;
}
