/* The trigger of strict transitions as SQL. */
#include "sql/strict.h"

#include <evdurable/execution.h>

#include "sql/schema.h"
#include "sql/template.h"

/* What the caller reads. MySQL takes at most 128 characters. */
#define REFUSAL "this execution is finished: nothing may change its status"

/* The trigger's name, shortened as an index's. */
void strict_name(struct buffer *buffer, const struct table_name *table) {
  schema_index_name(buffer, table, false, "strict_transitions");
}

/* Appends the condition under which a change is refused. */
static void append_condition(struct buffer *buffer) {
  const char *comma = "";
  buffer_append(buffer, "old.status in (");
  for (int status = EVD_STATUS_READY; status <= EVD_STATUS_CANCELLED; status++) {
    if (evd_status_is_finished((evd_status)status)) {
      buffer_printf(buffer, "%s'%s'", comma, evd_status_name((evd_status)status));
      comma = ", ";
    }
  }
  buffer_append(buffer, ") and new.status <> old.status");
}

static void append_statements(struct buffer *buffer, const char *template,
                              const struct dialect *dialect, const struct table_name *table) {
  struct quoted_table quoted = sql_quote_table(dialect, table);
  struct buffer plain = {0};
  struct buffer name = {0};
  struct buffer condition = {0};
  strict_name(&plain, table);
  sql_identifier(&name, dialect, plain.failed ? "" : plain.text);
  append_condition(&condition);
  if (plain.failed || name.failed || condition.failed) {
    buffer->failed = true;
  } else {
    template_append(buffer, template,
                    (const struct template_value[]){{"name", name.text},
                                                    {"schema", quoted.schema},
                                                    {"table", quoted.whole},
                                                    {"bare", quoted.bare},
                                                    {"condition", condition.text},
                                                    {"message", REFUSAL},
                                                    {NULL, NULL}});
  }
  buffer_free(&plain);
  buffer_free(&name);
  buffer_free(&condition);
}

void strict_create(struct buffer *buffer, const struct dialect *dialect,
                   const struct table_name *table) {
  append_statements(buffer, dialect->create_trigger, dialect, table);
}

void strict_drop(struct buffer *buffer, const struct dialect *dialect,
                 const struct table_name *table) {
  append_statements(buffer, dialect->drop_trigger, dialect, table);
}
