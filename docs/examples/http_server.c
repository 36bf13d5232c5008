/*
 * A libev server with durable task executions in it: HTTP, the storage, and a small executor, all
 * on one loop and one thread.
 *
 *     http_server [PORT [URL]]         8080 (0: any free one), sqlite:http_server.db
 *
 *     curl -d '{"to":"ann"}' 'localhost:8080/executions?task=send_mail'    201 and the id
 *     curl localhost:8080/executions/te_...                                the execution as JSON
 *     curl localhost:8080/stats                                            what the storage did
 *
 * The HTTP is the least that curl needs: one request a connection, of at most IN_SIZE bytes. What
 * matters is how the parts meet: a handler submits an operation and returns; the operation's
 * callback writes the answer; the loop never waits. SIGINT and SIGTERM stop it when all that was
 * begun is done.
 */
#include <errno.h>
#include <ev.h>
#include <evdurable.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "executor.h"

#define IN_SIZE 65536         /* of a request, headers included */
#define CONNECTION_SECONDS 10 /* for a client to send its request, and to take the answer */
#define CONNECTIONS_MAX 1000
#define DRAIN_MS 5000

struct server {
  struct ev_loop *loop;
  evd_storage *storage; /* NULL before it is open and after it is closed */
  struct executor *executor;
  ev_io listener;
  ev_signal interrupt, terminate;
  size_t connections;
  uint16_t port;
  int status; /* of the program */
};

/* One client and its one request. Frees itself: after the answer, or when the client is gone. */
struct connection {
  struct server *server;
  ev_io io;
  ev_timer timeout;
  size_t in_length;
  char *out; /* owned; the answer, NULL while there is none */
  size_t out_length, out_sent;
  char execution_id[EVD_ID_SIZE]; /* that was enqueued */
  char in[IN_SIZE + 1];
};

/* ---------------------------------------------------------------------------------- answers */

static void connection_free(struct connection *connection) {
  struct server *server = connection->server;
  ev_io_stop(server->loop, &connection->io);
  ev_timer_stop(server->loop, &connection->timeout);
  close(connection->io.fd);
  free(connection->out);
  free(connection);
  server->connections--;
}

/* Answers a request; the connection ends when the answer is sent. */
static void answer(struct connection *connection, const char *status, const char *body) {
  struct ev_loop *loop = connection->server->loop;
  const char *type = body[0] == '{' ? "application/json" : "text/plain; charset=utf-8";
  int length = asprintf(&connection->out,
                        "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                        "Connection: close\r\n\r\n%s\n",
                        status, type, strlen(body) + 1, body);
  if (length < 0) { /* out of memory */
    connection->out = NULL;
    connection_free(connection);
    return;
  }
  connection->out_length = (size_t)length;
  ev_timer_again(loop, &connection->timeout);
  ev_io_stop(loop, &connection->io);
  ev_io_set(&connection->io, connection->io.fd, EV_WRITE);
  ev_io_start(loop, &connection->io);
}

/* Tells the client of a failed operation: its own mistake, too much to do, or our trouble. */
static void answer_error(struct connection *connection, const evd_error *error) {
  if (error->code == EVD_EINVAL) {
    answer(connection, "400 Bad Request", error->message);
  } else if (error->retryable) {
    answer(connection, "503 Service Unavailable", error->message);
  } else {
    answer(connection, "500 Internal Server Error", error->message);
  }
}

/* Waits for an operation. Nothing is read from its client meanwhile, so that the connection is
 * still there when the callback answers. */
static void await(struct connection *connection, evd_future *future, evd_callback callback) {
  ev_io_stop(connection->server->loop, &connection->io);
  ev_timer_stop(connection->server->loop, &connection->timeout);
  if (evd_future_then(future, callback, connection) != EVD_OK) {
    answer(connection, "500 Internal Server Error", "out of memory");
  }
}

/* --------------------------------------------------------------------------------- requests */

static void inserted(evd_future *future, void *data) {
  struct connection *connection = data;
  char body[EVD_ID_SIZE + 32];
  if (evd_future_code(future) != EVD_OK) {
    answer_error(connection, evd_future_error(future));
    return;
  }
  snprintf(body, sizeof body, "{\"executionId\":\"%s\"}", connection->execution_id);
  answer(connection, "201 Created", body);
}

/* POST /executions?task=NAME, the input as the body. The storage itself checks both. */
static void enqueue(struct connection *connection, const char *task, const char *input) {
  evd_execution execution;
  evd_id_generate(connection->execution_id);
  evd_execution_init(&execution, connection->execution_id, task, input, NULL);
  await(connection, evd_insert(connection->server->storage, &execution, 1), inserted);
}

/* GET /executions/ID */
static void got(evd_future *future, void *data) {
  struct connection *connection = data;
  const evd_execution *row;
  if (evd_future_row(future, &row) != EVD_OK) {
    answer_error(connection, evd_future_error(future));
  } else if (row == NULL) {
    answer(connection, "404 Not Found", "no such execution");
  } else {
    char *json = evd_execution_to_json(row);
    answer(connection, json != NULL ? "200 OK" : "500 Internal Server Error",
           json != NULL ? json : "out of memory");
    free(json);
  }
}

/* GET /stats */
static void report_stats(struct connection *connection) {
  evd_stats stats;
  evd_storage_stats(connection->server->storage, &stats);
  char *text = evd_stats_text(&stats);
  answer(connection, "200 OK", text != NULL ? text : "out of memory");
  free(text);
}

/* Hands a request to whoever answers it. */
static void route(struct connection *connection, const char *method, const char *path,
                  const char *body) {
  static const char post_path[] = "/executions?task=", get_path[] = "/executions/";
  bool get = strcmp(method, "GET") == 0, post = strcmp(method, "POST") == 0;
  if (connection->server->storage == NULL) {
    answer(connection, "503 Service Unavailable", "stopping");
  } else if (post && strncmp(path, post_path, strlen(post_path)) == 0) {
    enqueue(connection, path + strlen(post_path), body);
  } else if (get && strncmp(path, get_path, strlen(get_path)) == 0) {
    await(connection, evd_get(connection->server->storage, path + strlen(get_path), NULL), got);
  } else if (get && strcmp(path, "/stats") == 0) {
    report_stats(connection);
  } else if (get || post) {
    answer(connection, "404 Not Found", "try POST /executions?task=NAME");
  } else {
    answer(connection, "405 Method Not Allowed", "GET or POST");
  }
}

/* The length of the body, by the headers; -1 when it is not said or too long. */
static long body_length(const char *headers) {
  static const char name[] = "Content-Length:";
  for (const char *line = strstr(headers, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
    if (strncasecmp(line + 2, "Transfer-Encoding:", strlen("Transfer-Encoding:")) == 0) {
      return -1;
    }
    if (strncasecmp(line + 2, name, strlen(name)) == 0) {
      char *end;
      long length = strtol(line + 2 + strlen(name), &end, 10);
      return *end == '\r' && length <= IN_SIZE ? length : -1;
    }
  }
  return 0;
}

/* Answers the request if it is whole; else more has to come. */
static void parse(struct connection *connection) {
  char method[8], path[1024], *in = connection->in;
  in[connection->in_length] = '\0';
  char *end = strstr(in, "\r\n\r\n");
  if (end == NULL) {
    if (connection->in_length == IN_SIZE) {
      answer(connection, "431 Request Header Fields Too Large", "the headers are too long");
    }
    return;
  }
  char first_of_body = end[4];
  end[4] = '\0'; /* so that only headers are searched */
  long length = body_length(in);
  end[4] = first_of_body;
  char *body = end + 4;
  if (length < 0 || length > in + IN_SIZE - body) {
    answer(connection, "413 Content Too Large", "a body needs a Content-Length of up to 64 KiB");
    return;
  }
  if (connection->in_length - (size_t)(body - in) < (size_t)length) {
    return;
  }
  body[length] = '\0';
  if (strlen(body) != (size_t)length || sscanf(in, "%7s %1023s HTTP/1.", method, path) != 2) {
    answer(connection, "400 Bad Request", "this is not HTTP");
  } else {
    route(connection, method, path, body);
  }
}

/* ------------------------------------------------------------------------------ connections */

static void receive(struct connection *connection) {
  size_t room = IN_SIZE - connection->in_length;
  ssize_t length = recv(connection->io.fd, connection->in + connection->in_length, room, 0);
  if (length > 0) {
    connection->in_length += (size_t)length;
    parse(connection);
  } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
    connection_free(connection);
  }
}

static void transmit(struct connection *connection) {
  size_t left = connection->out_length - connection->out_sent;
  ssize_t length =
      send(connection->io.fd, connection->out + connection->out_sent, left, MSG_NOSIGNAL);
  if (length > 0) {
    connection->out_sent += (size_t)length;
  } else if (errno == EAGAIN || errno == EINTR) {
    return;
  }
  if (length <= 0 || connection->out_sent == connection->out_length) {
    connection_free(connection);
  }
}

static void connection_ready(struct ev_loop *loop, ev_io *io, int events) {
  (void)loop, (void)events;
  struct connection *connection = io->data;
  if (connection->out == NULL) {
    receive(connection);
  } else {
    transmit(connection);
  }
}

static void connection_late(struct ev_loop *loop, ev_timer *timer, int events) {
  (void)loop, (void)events;
  connection_free(timer->data);
}

static void accept_connection(struct ev_loop *loop, ev_io *listener, int events) {
  (void)events;
  struct server *server = listener->data;
  int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    return;
  }
  struct connection *connection = NULL;
  if (server->connections < CONNECTIONS_MAX) {
    connection = calloc(1, sizeof *connection);
  }
  if (connection == NULL) {
    close(fd);
    return;
  }
  server->connections++;
  connection->server = server;
  ev_io_init(&connection->io, connection_ready, fd, EV_READ);
  connection->io.data = connection;
  ev_io_start(loop, &connection->io);
  ev_init(&connection->timeout, connection_late);
  connection->timeout.repeat = CONNECTION_SECONDS;
  connection->timeout.data = connection;
  ev_timer_again(loop, &connection->timeout);
}

/* -------------------------------------------------------------------------- start and end */

/* The executor is done: closes the storage. When that is done and the last client has its answer,
 * nothing is left on the loop, and ev_run() returns. */
static void executor_stopped(void *data) {
  struct server *server = data;
  evd_future_release(evd_storage_close(server->storage, DRAIN_MS));
  server->storage = NULL;
}

static void stop(struct ev_loop *loop, ev_signal *signal, int events) {
  (void)events;
  struct server *server = signal->data;
  ev_signal_stop(loop, &server->interrupt);
  ev_signal_stop(loop, &server->terminate);
  ev_io_stop(loop, &server->listener);
  close(server->listener.fd);
  executor_stop(server->executor, executor_stopped, server);
}

/* Listens on 127.0.0.1; false when the port is taken. */
static bool listen_on(struct server *server) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server->port)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
      bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 128) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
    perror("listening");
    if (fd >= 0) {
      close(fd);
    }
    return false;
  }
  ev_io_init(&server->listener, accept_connection, fd, EV_READ);
  server->listener.data = server;
  ev_io_start(server->loop, &server->listener);
  printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return true;
}

/* The storage is open: starts everything else. */
static void opened(evd_future *future, void *data) {
  struct server *server = data;
  server->status = 1;
  if (evd_future_storage(future, &server->storage) != EVD_OK) {
    fprintf(stderr, "opening: %s\n", evd_future_error(future)->message);
    return;
  }
  server->executor = executor_start(server->loop, server->storage);
  if (server->executor == NULL || !listen_on(server)) {
    if (server->executor != NULL) {
      executor_stop(server->executor, executor_stopped, server);
    } else {
      executor_stopped(server);
    }
    return;
  }
  ev_signal_init(&server->interrupt, stop, SIGINT);
  ev_signal_init(&server->terminate, stop, SIGTERM);
  server->interrupt.data = server->terminate.data = server;
  ev_signal_start(server->loop, &server->interrupt);
  ev_signal_start(server->loop, &server->terminate);
  server->status = 0;
}

int main(int argc, char **argv) {
  struct server server = {.loop = EV_DEFAULT, .status = 1};
  const char *url = argc > 2 ? argv[2] : "sqlite:http_server.db";
  evd_options options = {.schema = EVD_SCHEMA_CREATE};
  server.port = (uint16_t)(argc > 1 ? strtol(argv[1], NULL, 10) : 8080);
  if (evd_future_then(evd_storage_open(server.loop, url, &options), opened, &server) != EVD_OK) {
    fputs("out of memory\n", stderr);
    return 1;
  }
  ev_run(server.loop, 0);
  return server.status;
}
