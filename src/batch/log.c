/* Messages to the caller's log. */
#include "batch/log.h"

#include <stdarg.h>
#include <stdio.h>

bool log_hears(const struct log *log, evd_log_level level) {
  return log->callback != NULL && level <= log->level;
}

void log_event(const struct log *log, const evd_log_event *event) {
  if (log_hears(log, event->level)) {
    log->callback(event, log->data);
  }
}

void log_message(const struct log *log, evd_log_level level, const char *format, ...) {
  if (!log_hears(log, level)) {
    return;
  }
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  log_event(log, &(evd_log_event){.level = level, .message = text});
}
