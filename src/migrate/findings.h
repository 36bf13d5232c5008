/*
 * What is wrong with a table, each with its fix.
 */
#ifndef MIGRATE_FINDINGS_H
#define MIGRATE_FINDINGS_H

#include <stdbool.h>

#include "migrate/catalog.h"
#include "migrate/plan.h"

/* Owns its texts. */
struct finding {
  struct finding *next;
  enum severity severity;
  char *object;  /* "column start_at" */
  char *problem; /* "is integer, which cannot hold milliseconds" */
  char *fix;     /* a command or SQL; "" where there is none */
};

struct findings {
  struct finding *first, *last;
  bool failed; /* memory was out */
};

/* Adds what can be seen of a table that is there; `plan` is what `evdurable migrate up` would do. */
void findings_of_table(struct findings *findings, const struct catalog *catalog,
                       const struct table_name *table, const struct plan *plan);

/* Adds one; the texts are copied, the last made as by printf. */
void findings_add(struct findings *findings, enum severity severity, const char *object,
                  const char *fix, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The gravest level there is; SEVERITY_NOTE when there is none. */
enum severity findings_worst(const struct findings *findings);

void findings_free(struct findings *findings);

#endif
