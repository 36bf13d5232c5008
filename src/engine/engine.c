/* The engines that are built in, and which of them a URL is for. */
#include "engine/engine.h"

#include "config.h"
#include "sql/dialect.h"

/* The engines that were built in, and NULL. */
static const struct engine_ops *const engines[] = {
#ifdef EVD_WITH_SQLITE
    &engine_sqlite,
#endif
#ifdef EVD_WITH_POSTGRES
    &engine_postgres,
#endif
#ifdef EVD_WITH_MYSQL
    &engine_mysql,
#endif
    NULL,
};

const struct engine_ops *engine_for_url(const char *url, evd_error *error) {
  for (size_t i = 0; engines[i] != NULL; i++) {
    if (engines[i]->accepts(url)) {
      return engines[i];
    }
  }
  dialect_error_no_scheme(error);
  return NULL;
}
