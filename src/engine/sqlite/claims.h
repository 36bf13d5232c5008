/* The operations that select rows and then change exactly those. */
#ifndef ENGINE_SQLITE_CLAIMS_H
#define ENGINE_SQLITE_CLAIMS_H

#include <evdurable/error.h>

#include "engine/sqlite/connection.h"
#include "model/request.h"

/* Claims. The transaction holds the write lock, so what was selected is still so
 * when it is changed; rows that another transaction holds there are none. */
evd_code sqlite_claim_rows(struct connection *connection, struct request *request,
                           evd_error *error);

/* close_finished. */
evd_code sqlite_claim_and_close(struct connection *connection, struct request *request,
                                evd_error *error);

#endif
