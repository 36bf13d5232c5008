/* Ends the program when a test takes too long. */
#include "support/watchdog.h"

#include <signal.h>
#include <unistd.h>

static void bark(int signal) {
  (void)signal;
  static const char message[] = "a test hangs: ended by the watchdog\n";
  ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
  (void)written;
  _exit(98);
}

void watchdog(unsigned seconds) {
  struct sigaction action = {.sa_handler = bark};
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, NULL);
  alarm(seconds);
}
