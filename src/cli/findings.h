/* Printing what was found: by check and doctor. */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include "cli/cli.h"
#include "migrate/findings.h"

/* Prints the findings; returns CLI_FOUND when there are other than notes. */
int cli_print_findings(const struct cli *cli, const struct findings *findings);

/* The findings as an object to which more may be added: {"good": ..., "findings": [...]}. */
cJSON *cli_findings_json(const struct findings *findings);

#endif
