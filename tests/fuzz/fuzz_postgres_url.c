/* A PostgreSQL URL or keyword string of anything: it is refused as such, or what it says is in
 * bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/postgres/targets.h"
#include "engine/postgres/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_sane(const struct postgres_url *url) {
  return url->options != NULL && url->pool_min >= 1 && url->pool_min <= url->pool_max &&
         url->pool_max <= 1000 && url->pipeline_depth >= 1 && url->pool_idle_timeout >= 0 &&
         url->pool_max_age >= 0 && (url->prepare == 0 || url->prepare == 1) &&
         url->lock_timeout_ms >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  if (text == NULL) {
    return 0;
  }
  memcpy(text, data, size);
  text[size] = '\0';

  struct postgres_url url;
  evd_error error;
  evd_code code = postgres_url_parse(text, &url, &error);
  if (code == EVD_OK) {
    struct targets targets;
    if (!is_sane(&url) || !postgres_targets_init(&targets, postgres_url_value(&url, "host"),
                                                 postgres_url_value(&url, "hostaddr"),
                                                 postgres_url_value(&url, "port"))) {
      abort();
    }
    postgres_targets_free(&targets);
    postgres_url_free(&url);
  } else if (code != EVD_EINVAL || strcmp(error.field, "url") != 0 || error.message[0] == '\0') {
    abort();
  }
  free(text);
  return 0;
}
