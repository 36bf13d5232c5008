/* Children in JSON. Documents are put in as they are: nothing is parsed. */
#include "executor/family.h"

#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

/* JSON that is being written to memory. */
struct text {
  FILE *file; /* NULL if memory ran out */
  char *memory;
  size_t size;
};

/* The file keeps pointers to the members. */
static void begin(struct text *text) {
  text->memory = NULL;
  text->file = open_memstream(&text->memory, &text->size);
}

/* What was written; NULL if memory ran out. */
static char *end(struct text *text, bool good) {
  bool full = ferror(text->file) != 0;
  if (fclose(text->file) != 0 || full || !good) {
    free(text->memory);
    return NULL;
  }
  return text->memory;
}

/* Writes a string of JSON; false if memory ran out. */
static bool write_string(FILE *file, const char *text) {
  cJSON *string = cJSON_CreateString(text);
  char *json = string != NULL ? cJSON_PrintUnformatted(string) : NULL;
  bool good = json != NULL && fputs(json, file) >= 0;
  cJSON_free(json);
  cJSON_Delete(string);
  return good;
}

/* Writes the ids of a child, and no closing brace. */
static bool write_ids(FILE *file, const char *task_id, const char *execution_id) {
  return fputs("{\"taskId\":", file) >= 0 && write_string(file, task_id) &&
         fputs(",\"executionId\":", file) >= 0 && write_string(file, execution_id);
}

/* An element of a list of ids. */
static bool write_element(FILE *file, size_t index, const char *task_id, const char *execution_id) {
  return fputs(index > 0 ? "," : "", file) >= 0 && write_ids(file, task_id, execution_id) &&
         fputs("}", file) >= 0;
}

char *family_id(const evd_execution *child) {
  struct text text;
  begin(&text);
  return text.file != NULL
             ? end(&text, write_element(text.file, 0, child->task_id, child->execution_id))
             : NULL;
}

char *family_ids(const evd_execution *children, size_t count) {
  struct text text;
  bool good = true;
  begin(&text);
  if (text.file == NULL) {
    return NULL;
  }
  fputs("[", text.file);
  for (size_t i = 0; good && i < count; i++) {
    good = write_element(text.file, i, children[i].task_id, children[i].execution_id);
  }
  fputs("]", text.file);
  return end(&text, good);
}

char *family_sequence_ids(const evd_execution *finished, size_t count, const evd_execution *next,
                          const char *const *sequence) {
  struct text text;
  bool good = true;
  begin(&text);
  if (text.file == NULL) {
    return NULL;
  }
  fputs("[", text.file);
  for (size_t i = 0; good && sequence[i] != NULL; i++) {
    const evd_execution *child = i < count ? &finished[i] : next;
    good = write_element(text.file, i, i <= count ? child->task_id : sequence[i],
                         i <= count ? child->execution_id : "dummy");
  }
  fputs("]", text.file);
  return end(&text, good);
}

char *family_output(const char *output, const evd_execution *children, size_t count) {
  struct text text;
  bool good = true;
  begin(&text);
  if (text.file == NULL) {
    return NULL;
  }
  fprintf(text.file, "{\"output\":%s,\"children\":[", output != NULL ? output : "null");
  for (size_t i = 0; good && i < count; i++) {
    const evd_execution *child = &children[i];
    bool completed = child->status == EVD_STATUS_COMPLETED;
    const char *document = completed ? child->output : child->error;
    fputs(i > 0 ? "," : "", text.file);
    good = write_ids(text.file, child->task_id, child->execution_id);
    fprintf(text.file, ",\"status\":\"%s\",\"%s\":%s}", evd_status_name(child->status),
            completed ? "output" : "error", document != NULL ? document : "null");
  }
  fputs("]}", text.file);
  return end(&text, good);
}

char *family_error(const char *type, const char *message, bool retryable, bool internal) {
  cJSON *json = cJSON_CreateObject();
  bool good = cJSON_AddStringToObject(json, "errorType", type) != NULL &&
              cJSON_AddStringToObject(json, "message", message != NULL ? message : "") != NULL &&
              cJSON_AddBoolToObject(json, "isRetryable", retryable) != NULL &&
              cJSON_AddBoolToObject(json, "isInternal", internal) != NULL;
  char *text = good ? cJSON_PrintUnformatted(json) : NULL;
  cJSON_Delete(json);
  return text;
}
