/* Properties of operations: reads, claims, and so on. */
#include "model/request.h"

static const char *const operation_names[EVD_OPERATION_COUNT] = {
    [EVD_OPERATION_INSERT] = "insert",
    [EVD_OPERATION_GET] = "get",
    [EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID] = "get_by_sleeping_task_unique_id",
    [EVD_OPERATION_UPDATE] = "update",
    [EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN] = "update_and_insert_children",
    [EVD_OPERATION_CLAIM_BY_START_AT] = "claim_by_start_at",
    [EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED] = "claim_by_children_finished",
    [EVD_OPERATION_CLAIM_BY_CLOSE_STATUS] = "claim_by_close_status",
    [EVD_OPERATION_EXPIRE_BY_EXPIRES_AT] = "expire_by_expires_at",
    [EVD_OPERATION_EXPIRE_BY_OCFP_EXPIRES_AT] = "expire_by_ocfp_expires_at",
    [EVD_OPERATION_EXPIRE_BY_CLOSE_EXPIRES_AT] = "expire_by_close_expires_at",
    [EVD_OPERATION_CLAIM_BY_CANCELLATION] = "claim_by_cancellation",
    [EVD_OPERATION_GET_BY_PARENT] = "get_by_parent",
    [EVD_OPERATION_GET_TREE] = "get_tree",
    [EVD_OPERATION_UPDATE_BY_PARENT] = "update_by_parent",
    [EVD_OPERATION_CLOSE_FINISHED] = "close_finished",
    [EVD_OPERATION_DELETE] = "delete",
    [EVD_OPERATION_DELETE_ALL] = "delete_all",
};

const char *evd_operation_name(evd_operation operation) {
  return (unsigned)operation < EVD_OPERATION_COUNT ? operation_names[operation] : NULL;
}

bool operation_is_read(evd_operation operation) {
  return operation == EVD_OPERATION_GET ||
         operation == EVD_OPERATION_GET_BY_SLEEPING_TASK_UNIQUE_ID ||
         operation == EVD_OPERATION_GET_BY_PARENT || operation == EVD_OPERATION_GET_TREE;
}

bool operation_is_claim(evd_operation operation) {
  return operation == EVD_OPERATION_CLAIM_BY_START_AT ||
         operation == EVD_OPERATION_CLAIM_BY_CHILDREN_FINISHED ||
         operation == EVD_OPERATION_CLAIM_BY_CLOSE_STATUS ||
         operation == EVD_OPERATION_CLAIM_BY_CANCELLATION;
}

bool operation_is_batched(evd_operation operation) {
  bool is_batched_read = operation_is_read(operation) && operation != EVD_OPERATION_GET_TREE;
  return is_batched_read || operation == EVD_OPERATION_INSERT ||
         operation == EVD_OPERATION_UPDATE ||
         operation == EVD_OPERATION_UPDATE_AND_INSERT_CHILDREN ||
         operation == EVD_OPERATION_UPDATE_BY_PARENT;
}
