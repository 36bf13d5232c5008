/* Which privileges are missing; the questions are each database's own. */
#include "migrate/privileges.h"

#include <string.h>

void privileges_note_missing(struct privilege_search *search, const char *privilege) {
  if (strcmp(privilege, "delete") == 0) {
    search->lacks_delete = true;
  } else {
    buffer_printf(&search->missing, "%s%s", search->missing.length > 0 ? ", " : "", privilege);
  }
}

void privileges_add_grant(struct privilege_search *search, enum severity severity,
                          const char *privileges, const char *on, const char *why) {
  struct buffer fix = {0};
  buffer_printf(&fix, "grant %s on %s to %s", privileges, on,
                search->user.failed ? "" : search->user.text);
  if (fix.failed) {
    search->findings->failed = true;
  } else {
    findings_add(search->findings, severity, "privilege", fix.text, "%s on %s is missing: %s",
                 privileges, on, why);
  }
  buffer_free(&fix);
}

void privileges_add_table_grants(struct privilege_search *search) {
  const char *table = search->quoted.whole;
  if (search->missing.length > 0) {
    privileges_add_grant(search, SEVERITY_ERROR, search->missing.text, table, "operations fail");
  }
  if (search->lacks_delete) {
    privileges_add_grant(search, SEVERITY_NOTE, "delete", table, "`evdurable prune` cannot delete");
  }
}

evd_code privileges_find(struct sql_client *client, const struct table_name *table,
                         struct findings *findings, bool *hidden, evd_error *error) {
  struct privilege_search search = {.client = client,
                                    .table = table,
                                    .quoted = sql_quote_table(sql_client_dialect(client), table),
                                    .findings = findings};
  *hidden = false;
  if (client->ops->find_privileges == NULL) {
    return EVD_OK;
  }
  evd_code code = client->ops->find_privileges(&search, error);
  *hidden = search.hidden;
  findings->failed = findings->failed || search.missing.failed || search.user.failed;
  buffer_free(&search.user);
  buffer_free(&search.missing);
  return code;
}
