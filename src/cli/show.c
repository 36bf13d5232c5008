/* evdurable show: an execution, and the tree that it is in. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/text.h"
#include "model/columns.h"

enum { DEPTH_MAX = 64, NODES_DEFAULT = 1000, VALUE_COLUMNS = 2000, OPTION_NODES = 1 };

static const char help[] =
    "Usage: evdurable show [OPTION...] ID\n"
    "\n"
    "Prints an execution and its tree. Exits with 3 if there is no such execution.\n"
    "\n"
    "  --nodes N  at most N executions of the tree (default 1000)\n"
    "\n"
    "Examples:\n"
    "  evdurable show te_01jxyz\n"
    "  evdurable show te_01jxyz --json | jq '.tree.children[].status'\n";

/* A tree being printed. */
struct tree {
  evd_storage *storage;
  const char *id; /* the execution asked for */
  int64_t nodes;  /* that may still be printed */
  bool failed;    /* the error was printed */
};

/* The columns, those that are not NULL. */
static void print_columns(const evd_execution *execution) {
  for (int column = 0; column < EVD_COLUMN_COUNT; column++) {
    struct value value = column_get(execution, (evd_column)column);
    char text[VALUE_COLUMNS * 4];
    char time[32];
    if (value.kind == VALUE_NULL) {
      continue;
    }
    printf("%-43s ", columns[column].name);
    if (value.kind == VALUE_TEXT) {
      text_printable(value.text, VALUE_COLUMNS, text, sizeof text);
      puts(text);
    } else if (columns[column].type == COLUMN_BOOL) {
      puts(value.integer != 0 ? "yes" : "no");
    } else if (columns[column].type == COLUMN_TIME) {
      text_time(value.integer, time, sizeof time);
      printf("%" PRId64 "  %s\n", value.integer, time);
    } else {
      printf("%" PRId64 "\n", value.integer);
    }
  }
}

/* The children of an execution, awaited; NULL when that failed. */
static evd_future *get_children(struct tree *tree, const char *id, const evd_execution **rows,
                                size_t *count) {
  evd_future *children = cli_await(evd_get_by_parent(tree->storage, id));
  tree->failed = tree->failed || children == NULL;
  *count = 0;
  evd_future_rows(children, rows, count);
  return children;
}

/* A foreign table may have NULL where an execution has an id. */
static void print_id(const char *id) {
  char text[EVD_ID_MAX * 4 + 4];
  text_printable(id != NULL ? id : "NULL", EVD_ID_MAX, text, sizeof text);
  fputs(text, stdout);
}

static void print_node(struct tree *tree, const evd_execution *execution, const char *indent,
                       const char *branch) {
  const char *id = execution->execution_id;
  printf("%s%s", indent, branch);
  print_id(id);
  fputs("  ", stdout);
  print_id(execution->task_id);
  printf("  %s%s%s\n", evd_status_name(execution->status),
         execution->is_finalize_of_parent ? "  finalize" : "",
         id != NULL && strcmp(id, tree->id) == 0 ? "  <--" : "");
  tree->nodes--;
}

static void print_children(struct tree *tree, const char *id, const char *indent, int depth) {
  const evd_execution *rows = NULL;
  size_t count;
  evd_future *children = get_children(tree, id, &rows, &count);
  for (size_t i = 0; i < count && !tree->failed; i++) {
    bool last = i + 1 == count;
    char deeper[DEPTH_MAX * 8];
    if (tree->nodes <= 0 || depth >= DEPTH_MAX) {
      printf("%s└─ ... (%zu more)\n", indent, count - i);
      break;
    }
    print_node(tree, &rows[i], indent, last ? "└─ " : "├─ ");
    snprintf(deeper, sizeof deeper, "%s%s", indent, last ? "   " : "│  ");
    print_children(tree, rows[i].execution_id, deeper, depth + 1);
  }
  evd_future_release(children);
}

/* An execution with its children, as JSON. */
static cJSON *tree_json(struct tree *tree, const evd_execution *execution, int depth) {
  cJSON *json = cJSON_CreateObject();
  cJSON_AddStringToObject(json, "executionId", execution->execution_id);
  cJSON_AddStringToObject(json, "taskId", execution->task_id);
  cJSON_AddStringToObject(json, "status", evd_status_name(execution->status));
  cJSON *list = cJSON_AddArrayToObject(json, "children");
  tree->nodes--;
  if (depth >= DEPTH_MAX) {
    return json;
  }
  const evd_execution *rows = NULL;
  size_t count;
  evd_future *children = get_children(tree, execution->execution_id, &rows, &count);
  for (size_t i = 0; i < count && !tree->failed && tree->nodes > 0; i++) {
    cJSON_AddItemToArray(list, tree_json(tree, &rows[i], depth + 1));
  }
  evd_future_release(children);
  return json;
}

static int print_json(struct tree *tree, const evd_execution *execution,
                      const evd_execution *root) {
  char *text = evd_execution_to_json(execution);
  if (text == NULL) {
    return cli_fail_text("the execution contains invalid JSON, or memory ran out");
  }
  cJSON *json = cJSON_CreateObject();
  cJSON_AddRawToObject(json, "execution", text);
  cJSON_AddItemToObject(json, "tree", tree_json(tree, root, 0));
  free(text);
  if (tree->failed) {
    cJSON_Delete(json);
    return CLI_FAILED;
  }
  return cli_print_json(json);
}

static int print_text(struct tree *tree, const evd_execution *execution,
                      const evd_execution *root) {
  print_columns(execution);
  putchar('\n');
  print_node(tree, root, "", "");
  print_children(tree, root->execution_id, "", 1);
  return tree->failed ? CLI_FAILED : CLI_OK;
}

/* Gets one execution; *row is NULL when there is none. NULL when it failed. */
static evd_future *get(evd_storage *storage, const char *id, const evd_execution **row) {
  evd_future *future = cli_await(evd_get(storage, id, NULL));
  evd_future_row(future, row);
  return future;
}

static int show(struct cli *cli, struct tree *tree) {
  const evd_execution *execution = NULL;
  const evd_execution *root = NULL;
  evd_future *got = get(tree->storage, tree->id, &execution);
  evd_future *got_root = NULL;
  int status = CLI_FAILED;
  if (got != NULL && execution == NULL) {
    cli_fail_text("no such execution: %s", tree->id);
    status = CLI_FOUND;
  } else if (got != NULL) {
    if (execution->root_execution_id != NULL) {
      got_root = get(tree->storage, execution->root_execution_id, &root);
    }
    root = root != NULL ? root : execution; /* the root may have been pruned */
    status = cli->json ? print_json(tree, execution, root) : print_text(tree, execution, root);
  }
  evd_future_release(got_root);
  evd_future_release(got);
  return status;
}

static int run(struct cli *cli, int argc, char **argv) {
  static const struct option options[] = {
      CLI_COMMON_OPTIONS, {"nodes", required_argument, NULL, OPTION_NODES}, {NULL, 0, NULL, 0}};
  struct tree tree = {.nodes = NODES_DEFAULT};
  int option;
  while ((option = cli_next_option(cli, argc, argv, options, help)) != -1) {
    if (option == '?' || option == CLI_OPTION_HELP) {
      return cli_end_of_options(option);
    }
    if (!text_read_number(optarg, 1, &tree.nodes)) {
      return cli_usage("--nodes must be an integer of at least 1");
    }
  }
  if (argc - optind != 1) {
    return cli_usage("no execution id given");
  }
  int status;
  tree.id = argv[optind];
  tree.storage = cli_open_storage(cli, NULL, &status);
  if (tree.storage != NULL) {
    status = show(cli, &tree);
    cli_close_storage(tree.storage);
  }
  return status;
}

const struct cli_command cli_show = {"show", "print an execution and its tree", run};
