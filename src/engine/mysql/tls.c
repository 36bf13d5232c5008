/* Clears the errors that OpenSSL keeps for the thread. */
#include "engine/mysql/tls.h"

#include <stddef.h>

/* OpenSSL's, which comes with Connector/C where that uses it. */
extern void ERR_clear_error(void) __attribute__((weak));

void mydb_tls_forget_errors(void) {
  if (ERR_clear_error != NULL) {
    ERR_clear_error();
  }
}
