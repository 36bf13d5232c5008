/* Prints findings as text or JSON. */
#include "cli/findings.h"

#include <stdio.h>

#include <utlist.h>

static const char *const level_names[] = {
    [SEVERITY_NOTE] = "note", [SEVERITY_WARNING] = "warning", [SEVERITY_ERROR] = "error"};

cJSON *cli_findings_json(const struct findings *findings) {
  cJSON *json = cJSON_CreateObject();
  cJSON_AddBoolToObject(json, "good", findings_worst(findings) == SEVERITY_NOTE);
  cJSON *list = cJSON_AddArrayToObject(json, "findings");
  const struct finding *finding;
  LL_FOREACH (findings->first, finding) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "level", level_names[finding->severity]);
    cJSON_AddStringToObject(item, "object", finding->object);
    cJSON_AddStringToObject(item, "problem", finding->problem);
    cJSON_AddStringToObject(item, "fix", finding->fix);
    cJSON_AddItemToArray(list, item);
  }
  return json;
}

static void print_text(const struct findings *findings) {
  const struct finding *finding;
  LL_FOREACH (findings->first, finding) {
    printf("%s: %s %s\n", level_names[finding->severity], finding->object, finding->problem);
    if (finding->fix[0] != '\0') {
      printf("    fix: %s\n", finding->fix);
    }
  }
  if (findings_worst(findings) == SEVERITY_NOTE) {
    puts("no problems found");
  }
}

int cli_print_findings(const struct cli *cli, const struct findings *findings) {
  int status = CLI_OK;
  if (findings->failed) {
    return cli_fail_text("out of memory");
  }
  if (cli->json) {
    status = cli_print_json(cli_findings_json(findings));
  } else {
    print_text(findings);
  }
  return status == CLI_OK && findings_worst(findings) != SEVERITY_NOTE ? CLI_FOUND : status;
}
