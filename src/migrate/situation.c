/* Reads the record, the catalog and the plan together. */
#include "migrate/situation.h"

evd_code situation_read(struct sql_client *client, const struct table_name *table,
                        const evd_schema_options *schema, bool drop_strict,
                        struct situation *situation, evd_error *error) {
  *situation = (struct situation){.refusal = {.code = EVD_OK}};
  evd_code code = record_read(client, table, &situation->record, error);
  if (code == EVD_OK) {
    code = catalog_read(client, table, &situation->catalog, error);
  }
  if (code != EVD_OK) {
    return code;
  }
  const struct migration *first = &situation->record.migrations[0];
  struct plan_options options = {
      .schema = *schema, .drop_strict = drop_strict, .adopt = !first->applied && !first->unread};
  code = plan_make(&situation->catalog, table, &options, &situation->plan, error);
  if (code == EVD_ESCHEMA) {
    situation->refusal = *error;
    code = EVD_OK;
  }
  if (code != EVD_OK) {
    situation_free(situation);
  }
  return code;
}

bool situation_is_complete(const struct situation *situation) {
  return situation->plan.first == NULL && situation->refusal.code == EVD_OK;
}

void situation_free(struct situation *situation) {
  plan_free(&situation->plan);
  catalog_free(&situation->catalog);
}
