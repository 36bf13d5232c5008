/* The clients that were built in. */
#include "config.h"
#include "migrate/client.h"

static const struct sql_client_ops *const clients[] = {
#ifdef EVD_WITH_SQLITE
    &sql_client_sqlite,
#endif
#ifdef EVD_WITH_POSTGRES
    &sql_client_postgres,
#endif
#ifdef EVD_WITH_MYSQL
    &sql_client_mysql,
#endif
    NULL,
};

struct sql_client *sql_client_open(const char *url, bool create, evd_error *error) {
  for (size_t i = 0; clients[i] != NULL; i++) {
    if (clients[i]->accepts(url)) {
      return clients[i]->open(url, create, error);
    }
  }
  dialect_error_no_scheme(error);
  return NULL;
}
