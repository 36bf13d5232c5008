/*
 * A PostgreSQL URL or keyword string, in its two parts: our own options, and what libpq reads.
 * docs/postgres.md describes the options.
 */
#ifndef POSTGRES_URL_H
#define POSTGRES_URL_H

#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

#include <evdurable/error.h>

struct postgres_url {
  PQconninfoOption *options; /* libpq's; without a service, those not given have no value */
  int64_t pool_min, pool_max;
  int64_t pipeline_depth;
  int64_t pool_idle_timeout;    /* seconds; 0 is never */
  int64_t pool_max_age;         /* seconds; 0 is never */
  int64_t prepare;              /* bool */
  int64_t statement_timeout_ms; /* 0 is none, -1 is that of an operation */
  int64_t lock_timeout_ms;      /* 0 is none */
  char *isolation;              /* as PostgreSQL names it; NULL is the default, READ COMMITTED */
  char *replica;                /* another URL; or NULL */
};

/* Whether a text is meant for PostgreSQL: by its scheme, or because it begins "keyword =". */
bool postgres_url_accepts(const char *text);

/* Reads a URL, and the service that it or the environment names; EVD_EINVAL with field "url"
 * otherwise. Holds no secret in its messages. */
evd_code postgres_url_parse(const char *text, struct postgres_url *url, evd_error *error);

/* The value that was given for a keyword of libpq's, or in the environment; NULL when none was. */
const char *postgres_url_value(const struct postgres_url *url, const char *keyword);

void postgres_url_free(struct postgres_url *url);

#endif
