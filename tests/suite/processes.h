/* What the suite's program does when it is started by itself: one of several processes that work
 * on the same rows. */
#ifndef SUITE_PROCESSES_H
#define SUITE_PROCESSES_H

/* The first argument by which a process is told its role. */
#define WORK_ROLE "--work"
#define LATE_ROLE "--late"

/* Claims, finishes and closes until there is nothing left; arguments: URL, table. Writes the id of
 * each row that it claimed to standard output. Returns the exit status. */
int work_role(const char *url, const char *table);

/* Claims a row, for a lease that is over long ago; when its successor has the row, stores its
 * outcome, if it may. Says "claimed ID", then "stored ID" or "lost ID". */
#define LATE_EXECUTOR "ex_late"
#define LATE_SUCCESSOR "ex_successor"
int late_role(const char *url, const char *table);

#endif
