/* Splits a URL into what mysql_real_connect() takes. */
#include "support/mysql_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cuts the text at the first of the mark, or the last; what follows it, or "". */
static char *cut(char *at, char mark) {
  char *found = at != NULL ? strchr(at, mark) : NULL;
  if (found == NULL) {
    return NULL;
  }
  *found = '\0';
  return found + 1;
}

/* Undoes %XX in place. */
static char *decode(char *coded) {
  char *to = coded;
  for (const char *from = coded; from != NULL && *from; from++) {
    char digits[3];
    snprintf(digits, sizeof digits, "%.2s", from + 1);
    if (*from == '%') {
      *to++ = (char)strtoul(digits, NULL, 16);
      from += strlen(digits);
    } else {
      *to++ = *from;
    }
  }
  if (to != NULL) {
    *to = '\0';
  }
  return coded;
}

/* The path of "socket=" among the options. */
static char *socket_option(char *options) {
  char *found = options != NULL ? strstr(options, "socket=") : NULL;
  if (found == NULL) {
    return NULL;
  }
  found += strlen("socket=");
  (void)cut(found, '&');
  return decode(found);
}

void mysql_parts_read(struct mydb_parts *parts, const char *url) {
  *parts = (struct mydb_parts){.port = 3306};
  const char *after_scheme = strstr(url, "://");
  snprintf(parts->memory, sizeof parts->memory, "%s", after_scheme != NULL ? after_scheme + 3 : "");
  char *authority = parts->memory;
  char *options = cut(authority, '?');
  char *database = cut(authority, '/');
  char *host = strrchr(authority, '@');
  char *user = host != NULL ? authority : NULL;
  if (host != NULL) {
    *host++ = '\0';
  } else {
    host = authority;
  }
  char *password = cut(user, ':');
  char *port = cut(host, ':');
  parts->user = decode(user);
  parts->password = decode(password);
  parts->socket = socket_option(options);
  parts->host = *host && parts->socket == NULL ? decode(host) : NULL; /* else it would be TCP */
  if (port != NULL) {
    parts->port = (unsigned)strtoul(port, NULL, 10);
  }
  parts->database = decode(database);
}
