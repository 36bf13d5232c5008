/* Starts, kills and stops servers, and makes databases. */
#include "support/mariadb_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/native_sql.h"
#include "support/server_dir.h"

enum { DATABASES_MAX = 32 };

static struct {
  char names[DATABASES_MAX][64];
  int count;
} databases;

static __attribute__((noreturn)) void give_up(const char *what) {
  (void)fprintf(stderr, "MariaDB for tests: %s failed\n", what);
  exit(99);
}

static const char *shared_url(void) {
  return getenv("EVD_TEST_MYSQL_URL");
}

bool mysql_is_there(void) {
  const char *url = shared_url();
  return url != NULL && url[0] != '\0';
}

/* The URL with another database; its options stay. */
static const char *with_database(const char *url, const char *database) {
  const char *options = strchr(url, '?');
  const char *end = options != NULL ? options : url + strlen(url);
  const char *slash = end;
  while (slash > url && slash[-1] != '/') {
    slash--;
  }
  return text("%.*s%s%s", (int)(slash - url), url, database, options != NULL ? options : "");
}

const char *mysql_database(void) {
  if (databases.count == DATABASES_MAX) {
    give_up("one more database");
  }
  char *name = databases.names[databases.count++];
  snprintf(name, sizeof databases.names[0], "evd_test_%d_%d", (int)getpid(), databases.count);
  native_run_once(shared_url(), text("create database %s character set utf8mb4", name));
  return with_database(shared_url(), name);
}

void mysql_drop_databases(void) {
  while (databases.count > 0) {
    native_run_once(shared_url(), text("drop database %s", databases.names[--databases.count]));
  }
}

const char *mysql_url_with(const char *url, const char *options) {
  return text("%s%c%s", url, strchr(url, '?') != NULL ? '&' : '?', options);
}

const char *mysql_url_at(const char *url, unsigned port) {
  const char *at = strrchr(url, '@');
  const char *colon = at != NULL ? strchr(at, ':') : NULL;
  const char *slash = at != NULL ? strchr(at, '/') : NULL;
  if (colon == NULL || slash == NULL) {
    give_up(url);
  }
  return text("%.*s:%u%s", (int)(colon - url), url, port, slash);
}

/* The port that a server in this directory has taken. */
static unsigned read_port(const char *dir) {
  FILE *file = fopen(text("%s/port", dir), "r");
  char line[32] = "";
  if (file == NULL || fgets(line, sizeof line, file) == NULL) {
    give_up("reading the port");
  }
  (void)fclose(file);
  return (unsigned)strtoul(line, NULL, 10);
}

static void make_dir(char dir[SERVER_DIR_SIZE]) {
  if (!server_dir_make(dir)) {
    give_up("making a directory");
  }
}

void mariadb_server_start(struct mariadb_server *server, const char *settings) {
  make_dir(server->dir);
  if (!server_script(text("start_mariadb --tls %s/server \"%s\"", server->dir, settings))) {
    give_up("starting a server");
  }
  server->port = read_port(text("%s/server", server->dir));
  snprintf(server->url, sizeof server->url, "mysql://evd:evd@127.0.0.1:%u/evd", server->port);
  snprintf(server->root, sizeof server->root, "mysql://root:evd@127.0.0.1:%u/evd", server->port);
  snprintf(server->tls_user, sizeof server->tls_user, "mysql://evd_tls:evd@127.0.0.1:%u/evd",
           server->port);
  snprintf(server->ca, sizeof server->ca, "%s/server/ca.pem", server->dir);
}

void mariadb_server_kill(const struct mariadb_server *server) {
  if (!server_script(text("kill_server %s/server", server->dir))) {
    give_up("killing a server");
  }
}

void mariadb_server_stop(const struct mariadb_server *server) {
  if (!server_script(text("stop_server %s/server", server->dir))) {
    give_up("stopping a server");
  }
}

void mariadb_server_restart(const struct mariadb_server *server) {
  if (!server_script(text("restart_server %s/server", server->dir))) {
    give_up("starting a server again");
  }
}

void mariadb_server_bounce(const struct mariadb_server *server) {
  const char *dir = text("%s/server", server->dir);
  if (!server_script(
          text("{ kill_server %s; restart_server %s; } >>%s/log 2>&1 &", dir, dir, dir))) {
    give_up("killing a server");
  }
}

void mariadb_server_end(struct mariadb_server *server) {
  if (!server_dir_end(server->dir)) {
    give_up("stopping a server");
  }
}

/* The same with the functions of tests/lib/galera.sh. */
static bool run_galera_script(const char *commands) {
  const char *source = getenv("SRCDIR");
  return server_script(
      text(". \"%s\"/tests/lib/galera.sh; %s", source != NULL ? source : ".", commands));
}

const char *galera_start(struct galera *galera) {
  if (run_galera_script("cannot_galera")) {
    return "no Galera here (Debian: galera-4)";
  }
  make_dir(galera->dir);
  if (!run_galera_script(text("start_galera %s/galera", galera->dir))) {
    give_up("starting a Galera cluster");
  }
  for (int node = 0; node < 3; node++) {
    snprintf(galera->urls[node], sizeof galera->urls[node], "mysql://evd:evd@127.0.0.1:%u/evd",
             read_port(text("%s/galera/%d", galera->dir, node + 1)));
  }
  return NULL;
}

void galera_kill(const struct galera *galera, int node) {
  if (!server_script(text("kill_server %s/galera/%d", galera->dir, node + 1))) {
    give_up("killing a node");
  }
}

void galera_end(struct galera *galera) {
  if (!run_galera_script(text("stop_galera %s/galera; rm -rf %s", galera->dir, galera->dir))) {
    give_up("stopping a Galera cluster");
  }
}
