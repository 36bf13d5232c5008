/* The hosts of a URL and their addresses, in the order in which they are tried. */
#include "engine/postgres/targets.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ADDRESS_SIZE = 128 };

static char *copy_or_null(const char *text) {
  return text != NULL && text[0] != '\0' ? strdup(text) : NULL;
}

/* Adds a target with copies of these, of which each may be NULL. */
static bool add_target(struct targets *targets, const char *host, const char *address,
                       const char *port) {
  struct target *list = realloc(targets->list, (targets->count + 1) * sizeof *list);
  if (list == NULL) {
    return false;
  }
  targets->list = list;
  struct target *target = &list[targets->count++];
  *target = (struct target){copy_or_null(host), copy_or_null(address), copy_or_null(port)};
  return (target->host != NULL || host == NULL || host[0] == '\0') &&
         (target->address != NULL || address == NULL || address[0] == '\0') &&
         (target->port != NULL || port == NULL || port[0] == '\0');
}

/* How many elements a comma-separated list has; none when there is no list. */
static size_t list_length(const char *list) {
  if (list == NULL) {
    return 0;
  }
  size_t count = 1;
  for (; *list != '\0'; list++) {
    count += *list == ',';
  }
  return count;
}

/* A copy of a list's element, "" where there is no list; NULL if memory ran out. */
static char *list_element(const char *list, size_t index) {
  for (; list != NULL && index > 0; index--) {
    list += strcspn(list, ",");
    list += *list == ',';
  }
  return list != NULL ? strndup(list, strcspn(list, ",")) : strdup("");
}

bool postgres_targets_init(struct targets *targets, const char *hosts, const char *addresses,
                           const char *ports) {
  *targets = (struct targets){0};
  size_t host_count = list_length(hosts);
  size_t address_count = list_length(addresses);
  size_t port_count = list_length(ports);
  size_t count = address_count > 0 ? address_count : host_count;
  if (count == 0 || (host_count > 0 && host_count != count) ||
      (port_count > 1 && port_count != count)) {
    return add_target(targets, hosts, addresses, ports);
  }

  bool ok = true;
  for (size_t i = 0; i < count && ok; i++) {
    char *host = list_element(hosts, i);
    char *address = list_element(addresses, i);
    char *port = list_element(ports, port_count > 1 ? i : 0);
    ok =
        host != NULL && address != NULL && port != NULL && add_target(targets, host, address, port);
    free(host);
    free(address);
    free(port);
  }
  return ok;
}

/* Whether a host is an address already. */
static bool is_address(const char *host) {
  struct in6_addr address;
  return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

bool postgres_targets_is_name(const struct targets *targets, size_t i) {
  const struct target *target = &targets->list[i];
  return target->host != NULL && target->address == NULL && target->host[0] != '/' &&
         target->host[0] != '@' && strchr(target->host, ',') == NULL && !is_address(target->host);
}

bool postgres_targets_take(struct targets *targets, size_t i, struct targets *taken) {
  struct target *list = malloc(sizeof *list);
  if (list == NULL) {
    return false;
  }
  *list = targets->list[i];
  taken->list = list;
  taken->count = 1;
  targets->count--;
  memmove(&targets->list[i], &targets->list[i + 1], (targets->count - i) * sizeof *list);
  return true;
}

bool postgres_targets_insert(struct targets *targets, size_t i, struct targets *list) {
  size_t count = targets->count + list->count;
  struct target *all = realloc(targets->list, (count > 0 ? count : 1) * sizeof *all);
  if (all == NULL) {
    return false;
  }
  memmove(&all[i + list->count], &all[i], (targets->count - i) * sizeof *all);
  for (size_t j = 0; j < list->count; j++) {
    all[i + j] = list->list[j];
  }
  *targets = (struct targets){all, count};
  free(list->list);
  *list = (struct targets){0};
  return true;
}

/* Adds a target for each address of a name. */
static bool add_addresses(struct targets *targets, const struct target *name,
                          struct buffer *complaints) {
  const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  int failure = getaddrinfo(name->host, NULL, &hints, &found);
  if (failure != 0) {
    buffer_printf(complaints, "%shost name \"%s\": %s", complaints->length > 0 ? "; " : "",
                  name->host, gai_strerror(failure));
    return true;
  }
  bool ok = true;
  for (const struct addrinfo *info = found; info != NULL && ok; info = info->ai_next) {
    char address[ADDRESS_SIZE];
    if (getnameinfo(info->ai_addr, info->ai_addrlen, address, sizeof address, NULL, 0,
                    NI_NUMERICHOST) == 0) {
      ok = add_target(targets, name->host, address, name->port);
    }
  }
  freeaddrinfo(found);
  return ok;
}

bool postgres_targets_resolve(struct targets *targets, struct buffer *complaints) {
  struct targets resolved = {0};
  bool ok = true;
  for (size_t i = 0; i < targets->count && ok; i++) {
    const struct target *target = &targets->list[i];
    ok = postgres_targets_is_name(targets, i)
             ? add_addresses(&resolved, target, complaints)
             : add_target(&resolved, target->host, target->address, target->port);
  }
  postgres_targets_free(targets);
  *targets = resolved;
  return ok;
}

void postgres_targets_shuffle(struct targets *targets, unsigned short random[3]) {
  for (size_t i = targets->count; i > 1; i--) {
    size_t j = (size_t)(erand48(random) * (double)i);
    struct target other = targets->list[j];
    targets->list[j] = targets->list[i - 1];
    targets->list[i - 1] = other;
  }
}

void postgres_targets_free(struct targets *targets) {
  for (size_t i = 0; i < targets->count; i++) {
    free(targets->list[i].host);
    free(targets->list[i].address);
    free(targets->list[i].port);
  }
  free(targets->list);
  *targets = (struct targets){0};
}
