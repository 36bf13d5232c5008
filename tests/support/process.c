/* Starts this program again in another role. */
#include "support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The most arguments that a role takes. */
enum { ARGUMENTS_MAX = 14 };

struct process process_start(const char *const *arguments) {
  char program[] = "/proc/self/exe";
  char *argv[ARGUMENTS_MAX + 2] = {program};
  for (int i = 0; i < ARGUMENTS_MAX && arguments[i] != NULL; i++) {
    argv[i + 1] = (char *)(size_t)arguments[i];
  }
  int ends[2];
  posix_spawn_file_actions_t actions;
  struct process process;
  if (pipe2(ends, O_CLOEXEC) || posix_spawn_file_actions_init(&actions) ||
      posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) ||
      posix_spawn(&process.pid, program, &actions, NULL, argv, environ)) {
    perror("cannot start a process");
    exit(99);
  }
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  process.output = ends[0];
  return process;
}

bool process_is_over(struct process *process, int *status) {
  if (waitpid(process->pid, status, WNOHANG) == 0) {
    return false;
  }
  close(process->output);
  *status = WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
  return true;
}

int process_wait(struct process *process) {
  int status;
  close(process->output);
  if (waitpid(process->pid, &status, 0) < 0 || !WIFEXITED(status)) {
    return -1;
  }
  return WEXITSTATUS(status);
}
