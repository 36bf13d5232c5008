/* Compares a table with what it should be, and says how to fix it. */
#include "migrate/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "model/columns.h"
#include "sql/template.h"

/* The command that does what a plan says. */
static const char migrate_up[] = "evdurable migrate up";

void findings_add(struct findings *findings, enum severity severity, const char *object,
                  const char *fix, const char *format, ...) {
  char *problem = NULL;
  va_list arguments;
  va_start(arguments, format);
  int length = vasprintf(&problem, format, arguments);
  va_end(arguments);
  struct finding *finding = calloc(1, sizeof *finding);
  char *object_copy = strdup(object);
  char *fix_copy = strdup(fix);
  if (length < 0 || finding == NULL || object_copy == NULL || fix_copy == NULL) {
    free(length < 0 ? NULL : problem);
    free(object_copy);
    free(fix_copy);
    free(finding);
    findings->failed = true;
    return;
  }
  *finding = (struct finding){
      .severity = severity, .object = object_copy, .problem = problem, .fix = fix_copy};
  if (findings->last != NULL) {
    findings->last->next = finding;
  } else {
    findings->first = finding;
  }
  findings->last = finding;
}

/* The number in "varchar(64)"; 0 when there is none. */
static long length_of(const char *type) {
  const char *open = strchr(type, '(');
  return open != NULL ? strtol(open + 1, NULL, 10) : 0;
}

static bool contains(const char *type, const char *word) {
  return strstr(type, word) != NULL;
}

/* What a type of a text column cannot do; NULL when it will do. */
static const char *text_problem(const struct dialect *dialect, evd_column column,
                                const char *type) {
  bool is_document = column_is_json(column);
  bool is_text = contains(type, "text") || contains(type, "char");
  long limit = columns[column].type == COLUMN_UNIQUE_ID ? EVD_UNIQUE_ID_MAX : EVD_ID_MAX;
  if (is_document && dialect->has_json_type && contains(type, "json")) {
    return NULL;
  }
  if (!is_text) {
    return "which cannot hold text";
  }
  if (is_document && dialect->has_small_text &&
      (strcmp(type, "text") == 0 || contains(type, "tiny") || contains(type, "char"))) {
    return "which holds at most 64 KB";
  }
  if (!is_document && length_of(type) > 0 && length_of(type) < limit) {
    return "which is too short";
  }
  return NULL;
}

/* What a type of a number's column cannot do; NULL when it will do. */
static const char *number_problem(const struct dialect *dialect, evd_column column,
                                  const char *type) {
  bool is_64_bits = columns[column].type == COLUMN_DURATION || columns[column].type == COLUMN_TIME;
  if (dialect->has_any_integers) {
    return contains(type, "int") || contains(type, "bool") ? NULL : "which cannot hold integers";
  }
  if (columns[column].type == COLUMN_BOOL) {
    return contains(type, "bool") || contains(type, "tinyint") ? NULL : "which is not a boolean";
  }
  if (!contains(type, "int")) {
    return "which cannot hold integers";
  }
  if (is_64_bits ? !contains(type, "bigint") : contains(type, "small") || contains(type, "tiny")) {
    return "which is too small";
  }
  return NULL;
}

/* Appends what gives a column the type that it should have, or lets it be NULL. */
static void append_fix(struct buffer *fix, const struct catalog *catalog,
                       const struct table_name *table, evd_column column, bool type) {
  const struct dialect *dialect = catalog->dialect;
  struct quoted_table quoted = sql_quote_table(dialect, table);
  struct buffer definition = {0};
  schema_column(&definition, dialect, catalog->framework_shape, column);
  if (definition.failed) {
    fix->failed = true;
  } else {
    template_append(
        fix, type ? dialect->change_type : dialect->allow_null,
        (const struct template_value[]){
            {"table", quoted.whole},
            {"column", columns[column].name},
            {"type", schema_type(dialect, catalog->framework_shape, columns[column].type)},
            {"definition", definition.text},
            {NULL, NULL}});
  }
  buffer_free(&definition);
}

static void add_column_finding(struct findings *findings, const struct catalog *catalog,
                               const struct table_name *table, evd_column column,
                               const char *problem) {
  char object[96];
  struct buffer fix = {0};
  snprintf(object, sizeof object, "column %s", columns[column].name);
  append_fix(&fix, catalog, table, column, problem != NULL);
  findings->failed = findings->failed || fix.failed;
  const char *fix_text = fix.failed ? "" : fix.text;
  if (problem != NULL) {
    findings_add(findings, SEVERITY_ERROR, object, fix_text, "is %s, %s",
                 catalog->columns[column].type, problem);
  } else {
    findings_add(findings, SEVERITY_ERROR, object, fix_text, "is not null, but must allow NULL");
  }
  buffer_free(&fix);
}

static void find_in_columns(struct findings *findings, const struct catalog *catalog,
                            const struct table_name *table) {
  for (int i = 0; i < EVD_COLUMN_COUNT; i++) {
    evd_column column = (evd_column)i;
    const struct catalog_column *found = &catalog->columns[column];
    if (!found->present) {
      continue; /* the plan adds it */
    }
    bool is_text = column_is_text(column) || column_is_enum(column);
    const char *problem = is_text ? text_problem(catalog->dialect, column, found->type)
                                  : number_problem(catalog->dialect, column, found->type);
    if (problem != NULL) {
      add_column_finding(findings, catalog, table, column, problem);
    } else if (found->not_null && columns[column].null != COLUMN_NOT_NULL) {
      add_column_finding(findings, catalog, table, column, NULL);
    }
  }
  if (catalog->foreign[0] != '\0') {
    char object[96];
    snprintf(object, sizeof object, "column %.64s", catalog->foreign);
    findings_add(
        findings, SEVERITY_ERROR, object, "give it a default, or allow NULL",
        "is unknown to evdurable, not null and without a default, so no row can be inserted");
  }
}

/* An index with one of our names that is another. */
static void find_in_indexes(struct findings *findings, const struct catalog *catalog,
                            const struct table_name *table) {
  size_t count;
  const struct index_definition *indexes = schema_indexes(false, &count);
  for (size_t i = 0; i < count; i++) {
    struct buffer name = {0};
    char object[160];
    schema_index_name(&name, table, false, indexes[i].suffix);
    const struct catalog_index *index = name.failed ? NULL : catalog_find_index(catalog, name.text);
    if (index != NULL && index->valid && !catalog_index_matches(catalog, index, &indexes[i]) &&
        !catalog_is_served(catalog, &indexes[i])) {
      snprintf(object, sizeof object, "index %.120s", name.text);
      findings_add(findings, SEVERITY_WARNING, object, "drop the index, then evdurable migrate up",
                   "is on the wrong columns");
    }
    findings->failed = findings->failed || name.failed;
    buffer_free(&name);
  }
}

/* Whole indexes of the framework that ours have made superfluous. */
static void find_superfluous(struct findings *findings, const struct catalog *catalog,
                             const struct table_name *table) {
  size_t superfluous = 0;
  size_t count;
  const struct index_definition *indexes = schema_indexes(false, &count);
  for (size_t i = 0; catalog->dialect->has_partial_indexes && i < count; i++) {
    struct buffer name = {0};
    schema_index_name(&name, table, false, indexes[i].suffix);
    const struct catalog_index *index = name.failed ? NULL : catalog_find_index(catalog, name.text);
    superfluous += index != NULL && catalog_index_matches(catalog, index, &indexes[i]) &&
                   catalog_is_served(catalog, &indexes[i]);
    buffer_free(&name);
  }
  if (superfluous > 0) {
    findings_add(
        findings, SEVERITY_NOTE, "indexes", "",
        "%zu partial indexes have whole indexes beside them that do the same work; without "
        "those, writes are cheaper (docs/operations.md)",
        superfluous);
  }
}

/* What `evdurable migrate up` would do: what migrations will bring, and what they brought and is
 * gone. */
static void find_in_plan(struct findings *findings, const struct situation *situation) {
  const struct step *step;
  LL_FOREACH (situation->plan.first, step) {
    const struct migration *migration = &situation->record.migrations[step->number - 1];
    bool is_column = strncmp(step->what, "add column", strlen("add column")) == 0;
    findings_add(findings, is_column ? SEVERITY_ERROR : SEVERITY_WARNING, "migration", migrate_up,
                 migration->applied ? "%d (%s) is recorded, but its work is missing: %s"
                                    : "%d (%s) is pending: %s",
                 migration->number, migration->name, step->what);
  }
}

/* Whether the plan has a step of a migration. */
static bool has_steps(const struct plan *plan, int number) {
  const struct step *step = plan->first;
  while (step != NULL && step->number != number) {
    step = step->next;
  }
  return step != NULL;
}

/* Migrations that are not recorded, or of which this library does not know. */
static void find_in_record(struct findings *findings, const struct situation *situation) {
  const struct record *record = &situation->record;
  for (size_t i = 0; i < record->count; i++) {
    const struct migration *migration = &record->migrations[i];
    if (migration->unread) {
      findings_add(findings, SEVERITY_NOTE, "migration", "",
                   "%d (%s): this user may not read the record of migrations", migration->number,
                   migration->name);
    } else if (!migration->applied && !has_steps(&situation->plan, migration->number)) {
      findings_add(findings, SEVERITY_WARNING, "migration", migrate_up, "%d (%s) is not recorded",
                   migration->number, migration->name);
    } else if (migration->applied && !migration->known) {
      findings_add(findings, SEVERITY_NOTE, "migration", "",
                   "%d (%s) was applied by a newer evdurable: %s", migration->number,
                   migration->name, migration->version);
    }
  }
}

void findings_of_table(struct findings *findings, const struct situation *situation,
                       const struct table_name *table) {
  const struct catalog *catalog = &situation->catalog;
  if (situation->refusal.code != EVD_OK) {
    findings_add(findings, SEVERITY_ERROR, "migration", "", "%s", situation->refusal.message);
  }
  if (catalog->exists) {
    find_in_columns(findings, catalog, table);
    find_in_indexes(findings, catalog, table);
    find_in_plan(findings, situation);
    find_superfluous(findings, catalog, table);
    find_in_record(findings, situation);
  } else if (!catalog->is_other) {
    char object[96];
    snprintf(object, sizeof object, "table %.64s", table->name);
    findings_add(findings, SEVERITY_ERROR, object, migrate_up, "does not exist");
  }
}

enum severity findings_worst(const struct findings *findings) {
  enum severity worst = SEVERITY_NOTE;
  const struct finding *finding;
  LL_FOREACH (findings->first, finding) {
    worst = finding->severity > worst ? finding->severity : worst;
  }
  return worst;
}

void findings_free(struct findings *findings) {
  struct finding *finding;
  struct finding *next;
  LL_FOREACH_SAFE (findings->first, finding, next) {
    free(finding->object);
    free(finding->problem);
    free(finding->fix);
    free(finding);
  }
  *findings = (struct findings){.failed = findings->failed};
}
