/* The evdurable command: finds the subcommand and the options before it. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config.h"

static const struct cli_command *const commands[] = {
    &cli_migrate, &cli_check,  &cli_stats,  &cli_list,  &cli_show,
    &cli_enqueue, &cli_import, &cli_export, &cli_prune, &cli_doctor,
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0], OPTION_VERSION = 1 };

static void print_help(void) {
  puts("Usage: evdurable COMMAND [OPTION...]\n"
       "\n"
       "Manages a table of durable task executions in PostgreSQL, MySQL/MariaDB or SQLite.\n"
       "\n"
       "Commands (see `evdurable help COMMAND` for details and examples):");
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    printf("  %-9s %s\n", commands[i]->name, commands[i]->summary);
  }
  puts(
      "\n"
      "Options of all commands:\n"
      "  --url URL     the database: sqlite:PATH, postgresql://..., mysql://...; else EVDURABLE_URL\n"
      "  --table NAME  the table, or schema.table; else EVDURABLE_TABLE, else task_executions\n"
      "  --json        print JSON\n"
      "  --help        print help\n"
      "  --version     print the version\n"
      "\n"
      "Passwords in --url are visible in process listings; use EVDURABLE_URL.\n"
      "\n"
      "Exit status: 0 success; 1 failure; 2 wrong command line; 3 the command worked, and found\n"
      "problems or pending migrations (check, doctor, migrate status), or no such execution (show).");
}

static const struct cli_command *find_command(const char *name) {
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    if (strcmp(commands[i]->name, name) == 0) {
      return commands[i];
    }
  }
  return NULL;
}

/* Reads the options before the subcommand; -1 when it goes on, else the exit status. */
static int read_options(struct cli *cli, int argc, char **argv) {
  static const struct option options[] = {
      CLI_COMMON_OPTIONS, {"version", no_argument, NULL, OPTION_VERSION}, {NULL, 0, NULL, 0}};
  for (;;) {
    switch (getopt_long(argc, argv, "+", options, NULL)) {
    case -1: return -1;
    case CLI_OPTION_URL: cli->url = optarg; break;
    case CLI_OPTION_TABLE: cli->table_text = optarg; break;
    case CLI_OPTION_JSON: cli->json = true; break;
    case CLI_OPTION_HELP: print_help(); return cli_end_output();
    case OPTION_VERSION: puts("evdurable " PACKAGE_VERSION); return cli_end_output();
    default: return CLI_USAGE;
    }
  }
}

static int run_command(struct cli *cli, const struct cli_command *command, int argc, char **argv) {
  char name[64];
  snprintf(name, sizeof name, "evdurable %s", command->name);
  argv[0] = name; /* for getopt_long()'s complaints */
  optind = 0;     /* begin anew */
  int status = command->run(cli, argc, argv);
  int written = cli_end_output();
  return status != CLI_OK ? status : written;
}

/* "help", and the command that it is about, if any. */
static int run_help(struct cli *cli, int argc, char **argv) {
  char option[] = "--help";
  char *asks[] = {argv[0], option, NULL};
  const struct cli_command *command = argc > 1 ? find_command(argv[1]) : NULL;
  if (argc > 2 || (argc == 2 && command == NULL)) {
    return cli_usage("unknown command \"%s\"", argv[argc - 1]);
  }
  if (command != NULL) {
    return run_command(cli, command, 2, asks);
  }
  print_help();
  return cli_end_output();
}

int main(int argc, char **argv) {
  (void)setlocale(LC_CTYPE, "C.UTF-8"); /* how wide characters are; all texts are UTF-8 */
  const char *table = getenv("EVDURABLE_TABLE");
  struct cli cli = {.url = getenv("EVDURABLE_URL"),
                    .table_text = table != NULL && table[0] != '\0' ? table : "task_executions"};
  int status = read_options(&cli, argc, argv);
  if (status >= 0) {
    return status;
  }
  if (optind == argc) {
    return cli_usage("no command given");
  }
  argc -= optind;
  argv += optind;
  if (strcmp(argv[0], "help") == 0) {
    return run_help(&cli, argc, argv);
  }
  const struct cli_command *command = find_command(argv[0]);
  return command != NULL ? run_command(&cli, command, argc, argv)
                         : cli_usage("unknown command \"%s\"", argv[0]);
}
