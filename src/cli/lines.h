/* Files as the command reads them: whole, or line by line without blocking longer than it wants. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The text of a file, "-" being the standard input, to be released with free(). NULL when it cannot
 * be read or has a zero byte, after the error was printed. */
char *lines_read_file(const char *path);

/* A file being read. Owns its buffer. */
struct lines {
  const char *path; /* for people */
  int file;
  char *buffer;
  size_t size;
  size_t begin, end; /* of what was read and not handed out */
  bool ended;        /* there is no more to read */
  bool failed;       /* the error was printed */
  uint64_t number;   /* of the line handed out last */
  size_t length;     /* of that line; where strlen() finds less, it has a zero byte */
  int64_t taken;     /* bytes handed out */
  int64_t total;     /* bytes of the file; -1 when that is not known */
};

/* Opens a file, "-" being the standard input. False on failure, after the error was printed. */
bool lines_open(struct lines *lines, const char *path);

/* Whether lines_next() would not have to wait: there is a line, or an end, or bytes to read. */
bool lines_are_ready(const struct lines *lines);

/* The next line, ended by zero, without its line feed; valid until the next call. NULL at the end,
 * or when reading failed. */
char *lines_next(struct lines *lines);

void lines_close(struct lines *lines);

#endif
