/* A process that executes, and is killed: see executor_kills.c. */
#ifndef SUITE_EXECUTOR_KILLS_H
#define SUITE_EXECUTOR_KILLS_H

/* The first argument by which the suite's program is told this role. */
#define EXECUTE_ROLE "--execute"

/* Executes until the order with this id and all below it are finished and closed; but kills itself
 * after so many statements. Returns the exit status. */
int execute_role(const char *url, const char *table, const char *id, const char *statements);

#endif
