/* SQL with names in braces in it, for which values are put in. */
#ifndef SQL_TEMPLATE_H
#define SQL_TEMPLATE_H

#include "sql/buffer.h"

struct template_value {
  const char *name; /* without the braces; NULL ends a list */
  const char *text;
};

/* Appends the template with its names replaced. A name that is not in the list stays as it is. */
void template_append(struct buffer *buffer, const char *template,
                     const struct template_value *values);

#endif
