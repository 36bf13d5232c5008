/* The library's version. */
#include <evdurable/version.h>

const char *evd_version(void) {
  return EVD_VERSION;
}
