/* Replaces names in braces. */
#include "sql/template.h"

#include <string.h>

/* The value of the name that begins here, after its brace; NULL when it is none of the list's. */
static const struct template_value *find(const char *at, const struct template_value *values) {
  size_t length = strcspn(at, "}");
  for (const struct template_value *value = values; value->name != NULL; value++) {
    if (at[length] == '}' && strlen(value->name) == length &&
        memcmp(at, value->name, length) == 0) {
      return value;
    }
  }
  return NULL;
}

void template_append(struct buffer *buffer, const char *template,
                     const struct template_value *values) {
  while (*template != '\0') {
    const struct template_value *value = *template == '{' ? find(template + 1, values) : NULL;
    if (value != NULL) {
      buffer_append(buffer, value->text);
      template += strlen(value->name) + 2;
    } else {
      size_t plain = 1 + strcspn(template + 1, "{");
      buffer_append_bytes(buffer, template, plain);
      template += plain;
    }
  }
}
