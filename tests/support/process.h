/*
 * Other processes for a test: this program again, by exec (a fork of a process with threads is no
 * good), in a role that main() gives it, with its standard output in a pipe to us.
 */
#ifndef SUPPORT_PROCESS_H
#define SUPPORT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct process {
  pid_t pid;
  int output; /* what it writes to its standard output comes here */
};

/* Starts this program with these arguments (argv[0] excluded, ended by NULL). Ends the program when
 * that fails. */
struct process process_start(const char *const *arguments);

/* Whether it has ended; if so, *status is as of process_wait(), which must not follow. */
bool process_is_over(struct process *process, int *status);

/* Waits for its end; its exit status, or -1 when a signal ended it. Closes the pipe. */
int process_wait(struct process *process);

#endif
