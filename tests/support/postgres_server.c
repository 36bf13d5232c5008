/* Starts, kills and stops servers, and makes databases. */
#include "support/postgres_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/native_sql.h"
#include "support/server_dir.h"

enum { DATABASES_MAX = 16 };

static struct {
  char names[DATABASES_MAX][64];
  int count;
} databases;

static __attribute__((noreturn)) void give_up(const char *what) {
  (void)fprintf(stderr, "PostgreSQL for tests: %s failed\n", what);
  exit(99);
}

static const char *shared_url(void) {
  return getenv("EVD_TEST_POSTGRES_URL");
}

bool postgres_is_there(void) {
  const char *url = shared_url();
  return url != NULL && url[0] != '\0';
}

/* The URL with another database. */
static const char *with_database(const char *url, const char *database) {
  const char *end = strrchr(url, '/');
  return text("%.*s/%s", (int)(end - url), url, database);
}

const char *postgres_database(void) {
  if (databases.count == DATABASES_MAX) {
    give_up("one more database");
  }
  char *name = databases.names[databases.count++];
  snprintf(name, sizeof databases.names[0], "evd_test_%d_%d", (int)getpid(), databases.count);
  native_run_once(shared_url(), text("create database %s", name));
  return with_database(shared_url(), name);
}

void postgres_drop_databases(void) {
  while (databases.count > 0) {
    native_run_once(shared_url(),
                    text("drop database %s with (force)", databases.names[--databases.count]));
  }
}

const char *postgres_url_with(const char *url, const char *options) {
  return text("%s%c%s", url, strchr(url, '?') != NULL ? '&' : '?', options);
}

/* The first line of a file in the server's directory, as a number. */
static int read_number(const struct postgres_server *server, const char *name) {
  FILE *file = fopen(text("%s/server/%s", server->dir, name), "r");
  char line[32] = "";
  if (file == NULL || fgets(line, sizeof line, file) == NULL) {
    give_up(name);
  }
  (void)fclose(file);
  return (int)strtol(line, NULL, 10);
}

static void make_dir(struct postgres_server *server) {
  if (!server_dir_make(server->dir)) {
    give_up("making a directory");
  }
}

static void note_address(struct postgres_server *server) {
  server->port = read_number(server, "port");
  snprintf(server->host_port, sizeof server->host_port, "127.0.0.1:%d", server->port);
  snprintf(server->url, sizeof server->url, "postgresql://postgres:evd@%s/evd", server->host_port);
}

void postgres_server_start(struct postgres_server *server, bool tls, const char *settings) {
  make_dir(server);
  if (!server_script(
          text("start_postgres %s %s/server \"%s\"", tls ? "--tls" : "", server->dir, settings))) {
    give_up("starting a server");
  }
  note_address(server);
}

void postgres_server_start_standby(struct postgres_server *standby,
                                   const struct postgres_server *primary) {
  make_dir(standby);
  const char *dir = text("%s/server", standby->dir);
  if (!server_script(text("make_server_dir postgres %s && as_server %s \"$(postgres_bin)\""
                          "/pg_basebackup --write-recovery-conf --wal-method=stream "
                          "--checkpoint=fast --pgdata=%s/data --dbname=%s && "
                          "printf \"unix_socket_directories = \\047\\047\\n\" "
                          ">>%s/data/postgresql.conf && "
                          "start_on_free_port %s",
                          dir, dir, dir, primary->url, dir, dir))) {
    give_up("starting a standby");
  }
  note_address(standby);
}

void postgres_server_kill(const struct postgres_server *server) {
  if (!server_script(text("kill_server %s/server", server->dir))) {
    give_up("killing a server");
  }
}

void postgres_server_restart(const struct postgres_server *server) {
  if (!server_script(text("restart_server %s/server", server->dir))) {
    give_up("starting a server again");
  }
}

int postgres_server_pid(const struct postgres_server *server) {
  return read_number(server, "pid");
}

void postgres_server_end(struct postgres_server *server) {
  if (!server_dir_end(server->dir)) {
    give_up("stopping a server");
  }
}
