/* The parts of mysql://user:password@host:port/database?socket=path, for native_sql.c. */
#ifndef SUPPORT_MYSQL_URL_H
#define SUPPORT_MYSQL_URL_H

struct mydb_parts {
  char memory[512]; /* what the rest points into */
  const char *user;
  const char *password;
  const char *host;
  unsigned port;
  const char *database;
  const char *socket; /* NULL for none */
};

void mysql_parts_read(struct mydb_parts *parts, const char *url);

#endif
