/* Turns errors of the server into errors of the library. */
#include "engine/postgres/failure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/columns.h"
#include "model/error.h"
#include "sql/postgres.h"

static const char *or_empty(const char *text) {
  return text != NULL ? text : "";
}

/* SQLSTATEs, or classes of them (two characters), and what they mean; the first that fits. */
static const struct meaning {
  const char *state;
  evd_code code;
  bool retryable;
  enum failure_remedy remedy;
} meanings[] = {
    {"23505", EVD_EDUPLICATE, false, FAILURE_NO_REMEDY},
    {"23502", EVD_EINVAL, false, FAILURE_NO_REMEDY}, /* a NULL where none may be */
    {"23", EVD_ECONSTRAINT, false, FAILURE_NO_REMEDY},
    {"22", EVD_EINVAL, false, FAILURE_NO_REMEDY},    /* a value: JSON, encoding, length, range */
    {"54000", EVD_EINVAL, false, FAILURE_NO_REMEDY}, /* a value too large */
    {"40003", EVD_EUNAVAILABLE, true, FAILURE_NO_REMEDY}, /* whether it completed is not known */
    {"40", EVD_ECONFLICT, true, FAILURE_NO_REMEDY},       /* deadlock, serialization */
    {"55P03", EVD_ECONFLICT, true, FAILURE_NO_REMEDY},    /* lock time-out */
    {"57014", EVD_ETIMEDOUT, true, FAILURE_NO_REMEDY},    /* statement time-out */
    {"25006", EVD_EUNAVAILABLE, true, FAILURE_RECONNECT}, /* a standby: fail-over has happened */
    {"57P", EVD_EUNAVAILABLE, true, FAILURE_RECONNECT},   /* shutting down, crashed, starting up */
    {"08", EVD_EUNAVAILABLE, true, FAILURE_RECONNECT},
    {"25P03", EVD_EUNAVAILABLE, true, FAILURE_RECONNECT}, /* idle for too long */
    {"53", EVD_EUNAVAILABLE, true, FAILURE_NO_REMEDY},    /* disk full, too many connections */
    {"26000", EVD_ECONFLICT, true, FAILURE_PREPARE_ANEW}, /* no such prepared statement */
    {"42P05", EVD_ECONFLICT, true, FAILURE_PREPARE_ANEW}, /* another has its name */
    {"42P01", EVD_ESCHEMA, false, FAILURE_NO_REMEDY},     /* no such table */
    {"42703", EVD_ESCHEMA, false, FAILURE_NO_REMEDY},     /* no such column */
    {"3F000", EVD_ESCHEMA, false, FAILURE_NO_REMEDY},     /* no such schema */
    {"", EVD_EDATABASE, false, FAILURE_NO_REMEDY},
};

/* Whether a prepared statement would return other types than when it was prepared. Its SQLSTATE
 * says no more than "not supported", and its message is in the server's language; but not where it
 * comes from. */
static bool is_stale_plan(const PGresult *result, const char *state) {
  const char *function = or_empty(PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION));
  return strcmp(state, "0A000") == 0 && strcmp(function, "RevalidateCachedQuery") == 0;
}

static const struct meaning *meaning_of(const PGresult *result, const char *state) {
  static const struct meaning plan_is_stale = {"0A000", EVD_ECONFLICT, true, FAILURE_PREPARE_ANEW};
  if (is_stale_plan(result, state)) {
    return &plan_is_stale;
  }
  size_t i = 0;
  while (strncmp(state, meanings[i].state, strlen(meanings[i].state)) != 0) {
    i++;
  }
  return &meanings[i];
}

/* Copies the column of "Key (column)=(value) ...", a detail in whatever language. */
static void copy_key_column(char *field, size_t size, const char *detail) {
  const char *start = detail != NULL ? strchr(detail, '(') : NULL;
  const char *end = start != NULL ? strstr(start, ")=(") : NULL;
  if (end != NULL) {
    snprintf(field, size, "%.*s", (int)(end - start - 1), start + 1);
  }
}

/* The parameter that the server did not take: the context says "... parameter $5", in whatever
 * language. 0 when it was none. */
static unsigned failed_parameter(const PGresult *result) {
  const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
  const char *dollar = context != NULL ? strrchr(context, '$') : NULL;
  return dollar != NULL ? (unsigned)strtoul(dollar + 1, NULL, 10) : 0;
}

/* The column whose values the server did not take. */
static const char *parameter_column(const PGresult *result, const struct statement_key *key) {
  unsigned parameter = failed_parameter(result);
  return parameter > 0 ? evd_column_name(postgres_parameter_column(key, parameter)) : NULL;
}

/* Names the field that an error is about, where that is known. */
static void read_field(const PGresult *result, const struct statement_key *key, evd_error *error) {
  const char *column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);
  const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
  if (column == NULL && error->code == EVD_EINVAL && key != NULL) {
    column = parameter_column(result, key);
  }
  if (column != NULL) {
    snprintf(error->field, sizeof error->field, "%s", column);
  } else if (error->code == EVD_EDUPLICATE) {
    copy_key_column(error->field, sizeof error->field,
                    PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL));
  } else if (error->code == EVD_ECONSTRAINT && constraint != NULL) {
    snprintf(error->field, sizeof error->field, "%s", constraint);
  }
}

enum failure_remedy postgres_failure_read(const PGresult *result, const struct statement_key *key,
                                          evd_error *error) {
  const char *state = or_empty(PQresultErrorField(result, PG_DIAG_SQLSTATE));
  const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
  if (message == NULL) {
    message = PQresultErrorMessage(result);
  }
  const struct meaning *meaning = meaning_of(result, state);
  const char *hint = meaning->remedy == FAILURE_PREPARE_ANEW && state[0] != '0'
                         ? "; behind a connection pooler, open with prepare=off"
                         : "";
  error_set(error, meaning->code, "", "%s%s%s%s", message, detail != NULL ? ": " : "",
            or_empty(detail), hint);
  if (meaning->code == EVD_EDATABASE && strcmp(state, "0A000") == 0 &&
      failed_parameter(result) > 0) {
    error->code = EVD_EINVAL; /* a value that the database's character set does not support */
  }
  error->retryable = meaning->retryable;
  error_set_native(error, state);
  read_field(result, key, error);
  return meaning->remedy;
}

/* Whether the session ended with this error. A pooler that speaks for its server gives the severity
 * only where old servers have it, in the server's language; its own is English. */
static bool is_fatal(const PGresult *result) {
  const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity == NULL) {
    severity = or_empty(PQresultErrorField(result, PG_DIAG_SEVERITY));
  }
  return strcmp(severity, "ERROR") != 0;
}

bool postgres_failure_is_unclear(const PGresult *result, bool at_commit) {
  const char *state = or_empty(PQresultErrorField(result, PG_DIAG_SQLSTATE));
  bool is_servers = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED) != NULL;
  return strncmp(state, "08", 2) == 0 || strcmp(state, "40003") == 0 ||
         (is_fatal(result) && (at_commit || !is_servers));
}

bool postgres_failure_is_of_foreign_id(const PGresult *result, evd_operation operation) {
  const char *state = or_empty(PQresultErrorField(result, PG_DIAG_SQLSTATE));
  return operation != EVD_OPERATION_INSERT && strcmp(state, "22P05") == 0 &&
         failed_parameter(result) == 1;
}

void postgres_failure_of_connection(const PGconn *pg, const char *where, evd_error *error) {
  const char *message = PQerrorMessage(pg);
  int length = (int)strcspn(message, "\n");
  error_set(error, EVD_EUNAVAILABLE, "", "the connection to %s was lost%s%.*s", where,
            length > 0 ? ": " : "", length, message);
}
