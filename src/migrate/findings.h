/*
 * What is wrong with a table, each with its fix.
 */
#ifndef MIGRATE_FINDINGS_H
#define MIGRATE_FINDINGS_H

#include <stdbool.h>

#include "migrate/situation.h"

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
  bool failed; /* memory ran out */
};

/* Adds what is wrong with the table, compared with what its migrations should have led to. */
void findings_of_table(struct findings *findings, const struct situation *situation,
                       const struct table_name *table);

/* Adds one; the texts are copied, the last made as by printf. */
void findings_add(struct findings *findings, enum severity severity, const char *object,
                  const char *fix, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The gravest level there is; SEVERITY_NOTE when there is none. */
enum severity findings_worst(const struct findings *findings);

void findings_free(struct findings *findings);

#endif
