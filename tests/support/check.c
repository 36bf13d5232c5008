/* Failures with a message, and texts that live until the end of a test. */
#include "support/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "support/await.h"

struct kept {
  struct kept *next;
  max_align_t memory[];
};

static struct kept *all_kept;

void fail_at(const char *file, int line, const char *format, ...) {
  char message[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  print_error("%s\n", message);
  _fail(file, line);
  abort();
}

void *keep_memory(size_t size) {
  struct kept *kept = calloc(1, sizeof *kept + size + 1);
  if (kept == NULL) {
    abort();
  }
  LL_PREPEND(all_kept, kept);
  return kept->memory;
}

const char *text(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  char *made = keep_memory((size_t)length + 1);
  va_start(arguments, format);
  vsnprintf(made, (size_t)length + 1, format, arguments);
  va_end(arguments);
  return made;
}

void release_kept(void) {
  release_kept_futures();
  struct kept *kept, *next;
  LL_FOREACH_SAFE (all_kept, kept, next) {
    free(kept);
  }
  all_kept = NULL;
}
