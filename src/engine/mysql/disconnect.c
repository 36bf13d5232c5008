/* Closes connections on a worker's thread. */
#include "engine/mysql/disconnect.h"

#include <stdlib.h>
#include <sys/socket.h>

#include <ev.h>

#include "async/worker.h"
#include "engine/mysql/tls.h"
#include "engine/spares.h"

/* A handle being closed. The loop's thread owns it, but while the job runs. */
struct disconnect {
  struct job job;
  struct ev_loop *loop;
  struct spares *spares;
  struct worker *worker;
  MYSQL *mysql;
  bool polite;
  void (*done)(void *data);
  void *data;
};

/* Says good-bye to the server, which does not block; what would is cut short. */
static void close_politely(MYSQL *mysql) {
  int socket = mysql_get_socket(mysql);
  int waits_for = mysql_close_start(mysql);
  if (waits_for != 0) {
    shutdown(socket, SHUT_RDWR);
  }
  while (waits_for != 0) {
    waits_for = mysql_close_cont(mysql, waits_for);
  }
}

/* Either thread. */
static void close_now(MYSQL *mysql, bool polite) {
  if (polite) {
    close_politely(mysql);
  } else {
    shutdown(mysql_get_socket(mysql), SHUT_RDWR);
    mysql_close(mysql);
  }
  mydb_tls_forget_errors();
}

static void run_job(struct job *job) {
  struct disconnect *disconnect = (struct disconnect *)job;
  mysql_thread_init();
  close_now(disconnect->mysql, disconnect->polite);
  mysql_thread_end();
}

static void finish_job(struct job *job) {
  struct disconnect *disconnect = (struct disconnect *)job;
  ev_ref(disconnect->loop); /* what begin() took back */
  spares_leave(disconnect->spares, disconnect->worker);
  disconnect->done(disconnect->data);
  free(disconnect);
}

/* Has a worker close it; false when there is no memory or thread for that. */
static bool begin(struct ev_loop *loop, struct spares *spares, MYSQL *mysql, bool polite,
                  void (*done)(void *data), void *data) {
  evd_error error;
  struct disconnect *disconnect = calloc(1, sizeof *disconnect);
  if (disconnect == NULL) {
    return false;
  }
  disconnect->worker = spares_take(spares, loop, &error);
  if (disconnect->worker == NULL) {
    free(disconnect);
    return false;
  }
  disconnect->job = (struct job){.run = run_job, .done = finish_job};
  disconnect->loop = loop;
  disconnect->spares = spares;
  disconnect->mysql = mysql;
  disconnect->polite = polite;
  disconnect->done = done;
  disconnect->data = data;
  worker_submit(disconnect->worker, &disconnect->job);
  ev_unref(loop);
  return true;
}

void mydb_disconnect(struct ev_loop *loop, struct spares *spares, MYSQL *mysql, bool polite,
                     void (*done)(void *data), void *data) {
  bool has_tls = mysql_get_ssl_cipher(mysql) != NULL;
  if (!has_tls || !begin(loop, spares, mysql, polite, done, data)) {
    close_now(mysql, polite);
    done(data);
  }
}
