/* Temporary directories of servers, and the scripts that start and stop them. */
#include "support/server_dir.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"

/* The pipe that guardians read from. Nothing is written to it; no program that we run inherits our
 * end, so that it ends with this process. */
static int life[2] = {-1, -1};

static const char *script_of(const char *commands) {
  const char *source = getenv("SRCDIR");
  return text(". \"%s\"/tests/lib/servers.sh; %s", source != NULL ? source : ".", commands);
}

bool server_script(const char *commands) {
  const char *command = text("bash -c '%s'", script_of(commands));
  return system(command) == 0; // NOLINT(cert-env33-c): the shell is what we want
}

/* Starts the guardian of a directory. It is in a session of its own, so that what ends the test
 * program by a signal to its group does not end the guardian, too. */
static bool start_guardian(const char *dir) {
  const char *script = script_of(text("trap \"\" TERM INT HUP; read -r _; "
                                      "[ ! -d %s ] || { stop_servers_below %s; rm -rf %s; }",
                                      dir, dir, dir));
  const char *const arguments[] = {"bash", "-c", script, NULL};
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  pid_t pid;
  bool ok = (life[0] >= 0 || pipe2(life, O_CLOEXEC) == 0) &&
            posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attributes) == 0;
  ok = ok && posix_spawn_file_actions_adddup2(&files, life[0], STDIN_FILENO) == 0 &&
       posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
       posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
       posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID) == 0 &&
       posix_spawnp(&pid, "bash", &files, &attributes, (char **)(size_t)arguments, environ) == 0;
  (void)posix_spawn_file_actions_destroy(&files);
  (void)posix_spawnattr_destroy(&attributes);
  return ok;
}

bool server_dir_make(char dir[SERVER_DIR_SIZE]) {
  const char *base = getenv("EVD_TEST_SERVER_DIR");
  int length = snprintf(dir, SERVER_DIR_SIZE, "%s/evd-test-XXXXXX", base != NULL ? base : "/tmp");
  return length > 0 && length < SERVER_DIR_SIZE && mkdtemp(dir) != NULL &&
         server_script(text("chmod 755 %s", dir)) && start_guardian(dir);
}

bool server_dir_end(const char *dir) {
  return server_script(text("stop_servers_below %s; rm -rf %s", dir, dir));
}
