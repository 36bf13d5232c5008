/* Which floors there are. */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "floor.h"

static const struct floor_ops *const floors[] = {
#ifdef EVD_WITH_SQLITE
    &floor_sqlite,
#endif
#ifdef EVD_WITH_POSTGRES
    &floor_postgres,
#endif
#ifdef EVD_WITH_MYSQL
    &floor_mysql,
#endif
};

const struct floor_ops *floor_for_engine(const char *engine) {
  for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++) {
    if (strcmp(floors[i]->engine, engine) == 0) {
      return floors[i];
    }
  }
  bench_fail("%s: not built in", engine);
  return NULL;
}

bool floor_execute(const struct target *target, const char *command) {
  char sql[128];
  const struct floor_ops *ops = floor_for_engine(target->engine);
  struct floor *floor = ops == NULL ? NULL : ops->open(target);
  if (floor == NULL) {
    return false;
  }
  snprintf(sql, sizeof sql, "%s %s", command, target->table);
  bool ok = ops->execute(floor, sql);
  ops->close(floor);
  return ok;
}

bool floor_settle(const struct target *target) {
  const struct floor_ops *ops = floor_for_engine(target->engine);
  return ops != NULL && (ops->settle == NULL || floor_execute(target, ops->settle));
}
