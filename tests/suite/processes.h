/* What the suite's program does when it is started by itself: one of several processes that work
 * on the same rows. */
#ifndef SUITE_PROCESSES_H
#define SUITE_PROCESSES_H

/* The first argument by which a process is told its role. */
#define WORK_ROLE "--work"

/* Claims, finishes and closes until there is nothing left; arguments: URL, table. Writes the id of
 * each row that it claimed to standard output. Returns the exit status. */
int work_role(const char *url, const char *table);

#endif
