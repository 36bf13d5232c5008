/* Names of new files, which are deleted at the end of a test. */
#include "support/scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/check.h"

static char directory[64];
static pid_t owner;

/* Removes the directory with the files in it; not in a child of the program. */
static void remove_directory(void) {
  DIR *files = getpid() == owner ? opendir(directory) : NULL;
  if (files == NULL) {
    return;
  }
  struct dirent *file;
  while ((file = readdir(files)) != NULL) {
    unlinkat(dirfd(files), file->d_name, 0);
  }
  closedir(files);
  rmdir(directory);
}

const char *scratch_path(const char *name) {
  if (directory[0] == '\0') {
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%.40s/evdurable.XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(directory) == NULL) {
      perror(directory);
      exit(99);
    }
    owner = getpid();
    atexit(remove_directory);
  }
  return text("%s/%s", directory, name);
}

const char *scratch_new(void) {
  static int count;
  return scratch_path(text("%d.db", ++count));
}
