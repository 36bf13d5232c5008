/* What libpq is told when it connects: keywords and values. */
#ifndef POSTGRES_PARAMETERS_H
#define POSTGRES_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/postgres/url.h"

enum { PARAMETERS_MAX = 80 };

/* For PQconnectStartParams(); both lists end with NULL. Owns its strings. */
struct parameters {
  size_t count;
  char *keywords[PARAMETERS_MAX + 1];
  char *values[PARAMETERS_MAX + 1];
};

/* The URL's parameters, `session` ("-c name=value ...") beside its own options, and our defaults
 * where neither it nor the environment has one. False if memory ran out. */
bool postgres_parameters_init(struct parameters *parameters, const struct postgres_url *url,
                              const char *session);

/* Sets a keyword to a copy of the value; NULL takes it away. False if memory ran out. */
bool postgres_parameters_set(struct parameters *parameters, const char *keyword, const char *value);

void postgres_parameters_free(struct parameters *parameters);

#endif
