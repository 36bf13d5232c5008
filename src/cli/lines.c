/* Reads files and standard input by lines, without blocking for long. */
#include "cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

enum { READ_SIZE = 256 * 1024 };

bool lines_open(struct lines *lines, const char *path) {
  bool is_standard = strcmp(path, "-") == 0;
  struct stat status;
  *lines = (struct lines){.path = is_standard ? "standard input" : path, .total = -1};
  lines->file = is_standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  if (lines->file < 0) {
    cli_fail_text("%s: %s", lines->path, strerror(errno));
    return false;
  }
  if (fstat(lines->file, &status) == 0 && S_ISREG(status.st_mode)) {
    lines->total = status.st_size;
  }
  return true;
}

/* The line feed of the first line in the buffer; NULL when it has none. */
static char *line_feed(const struct lines *lines) {
  return lines->end > lines->begin
             ? memchr(lines->buffer + lines->begin, '\n', lines->end - lines->begin)
             : NULL;
}

bool lines_are_ready(const struct lines *lines) {
  struct pollfd file = {.fd = lines->file, .events = POLLIN};
  return lines->ended || line_feed(lines) != NULL || poll(&file, 1, 0) != 0;
}

/* Makes room for READ_SIZE bytes and a zero behind what is in the buffer. */
static bool make_room(struct lines *lines) {
  if (lines->begin > 0) {
    memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
    lines->end -= lines->begin;
    lines->begin = 0;
  }
  if (lines->size - lines->end > READ_SIZE) {
    return true;
  }
  size_t size = lines->size * 2 + READ_SIZE + 1;
  char *buffer = realloc(lines->buffer, size);
  if (buffer == NULL) {
    cli_fail_text("out of memory");
    lines->failed = true;
    return false;
  }
  lines->buffer = buffer;
  lines->size = size;
  return true;
}

/* Reads what there is, waiting for it if need be. */
static void read_more(struct lines *lines) {
  ssize_t count = -1;
  if (make_room(lines)) {
    do {
      count = read(lines->file, lines->buffer + lines->end, READ_SIZE);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
      cli_fail_text("%s: %s", lines->path, strerror(errno));
      lines->failed = true;
    }
  }
  lines->ended = count <= 0;
  lines->end += count > 0 ? (size_t)count : 0;
}

char *lines_next(struct lines *lines) {
  char *feed;
  while ((feed = line_feed(lines)) == NULL && !lines->ended) {
    read_more(lines);
  }
  if (lines->failed || (feed == NULL && lines->begin == lines->end)) {
    return NULL;
  }
  char *line = lines->buffer + lines->begin;
  char *end = feed != NULL ? feed : lines->buffer + lines->end;
  size_t taken = (size_t)(end - line) + (feed != NULL);
  *end = '\0';
  lines->begin += taken;
  lines->taken += (int64_t)taken;
  lines->number++;
  lines->length = (size_t)(end - line);
  return line;
}

void lines_close(struct lines *lines) {
  if (lines->file > STDIN_FILENO) {
    close(lines->file);
  }
  free(lines->buffer);
}

char *lines_read_file(const char *path) {
  struct lines lines;
  if (!lines_open(&lines, path)) {
    return NULL;
  }
  while (!lines.ended) {
    read_more(&lines);
  }
  char *text = NULL;
  if (!lines.failed && memchr(lines.buffer, '\0', lines.end) != NULL) {
    cli_fail_text("%s: it contains a zero byte", lines.path);
  } else if (!lines.failed) {
    text = lines.buffer;
    text[lines.end] = '\0';
    lines.buffer = NULL;
  }
  lines_close(&lines);
  return text;
}
