#include "support/mysql_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cuts the text at the first of the mark, or the last; what follows it, or "". */
static char *cut(char *at, char mark) {
  char *found = at ? strchr(at, mark) : NULL;
  if (!found)
    return NULL;
  *found = '\0';
  return found + 1;
}

/* Undoes %XX in place. */
static char *decode(char *coded) {
  char *to = coded;
  for (const char *from = coded; from && *from; from++) {
    unsigned byte;
    if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1) {
      *to++ = (char)byte;
      from += 2;
    } else {
      *to++ = *from;
    }
  }
  if (to)
    *to = '\0';
  return coded;
}

/* The path of "socket=" among the options. */
static char *socket_option(char *options) {
  char *found = options ? strstr(options, "socket=") : NULL;
  if (!found)
    return NULL;
  found += strlen("socket=");
  (void)cut(found, '&');
  return decode(found);
}

void mysql_url_parse(struct mysql_url *parts, const char *url) {
  *parts = (struct mysql_url){.port = 3306};
  const char *after_scheme = strstr(url, "://");
  snprintf(parts->memory, sizeof parts->memory, "%s", after_scheme ? after_scheme + 3 : "");
  char *authority = parts->memory;
  char *options = cut(authority, '?');
  char *database = cut(authority, '/');
  char *host = strrchr(authority, '@');
  char *user = host ? authority : NULL;
  if (host)
    *host++ = '\0';
  else
    host = authority;
  char *password = cut(user, ':');
  char *port = cut(host, ':');
  parts->user = decode(user);
  parts->password = decode(password);
  parts->host = *host ? decode(host) : NULL;
  if (port)
    parts->port = (unsigned)strtoul(port, NULL, 10);
  parts->database = decode(database);
  parts->socket = socket_option(options);
}
