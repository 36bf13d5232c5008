# shellcheck shell=bash
# The tests of the evdurable command on one engine: tests/cli-ENGINE.test source this, with the URL of a
# database in EVDURABLE_URL. Each run has tables of its own.

# shellcheck source=tests/lib/shelltest.sh
. "$SRCDIR/tests/lib/shelltest.sh"

command=$BUILDDIR/src/cli/evdurable
export EVDURABLE_TABLE=cli_$$
unset COLUMNS

# gives STATUS COMMAND...: whether the command ends with this exit status.
gives() {
  local wanted=$1 status
  shift
  "$@"
  status=$?
  echo "(exit status $status)"
  [ "$status" = "$wanted" ]
}

# prints PATTERN COMMAND...: whether the command succeeds, and what it prints is of this pattern.
prints() {
  local pattern=$1 output
  shift
  output=$("$@" 2>&1) || { echo "$output"; return 1; }
  echo "$output"
  # shellcheck disable=SC2053 # it is a pattern
  [[ $output == $pattern ]]
}

# says PATTERN STATUS COMMAND...: whether the command ends with this status, a message of this pattern
# on the standard error, and nothing on the standard output.
says() {
  local pattern=$1 wanted=$2 status
  shift 2
  "$@" >"$scratch/stdout" 2>"$scratch/stderr"
  status=$?
  cat "$scratch/stdout" "$scratch/stderr"
  echo "(exit status $status)"
  # shellcheck disable=SC2053
  [ "$status" = "$wanted" ] && ! [ -s "$scratch/stdout" ] && [[ $(<"$scratch/stderr") == $pattern ]]
}

# template: the standard input as one line.
template() {
  tr -d '\n'
}

# executions N: so many, with all kinds of columns, as JSON lines in the order of their ids. Keys of
# documents are in the order to which databases bring them.
executions() {
  local i id templates
  templates[0]=$(template <<'END'
{"taskId":"paint","executionId":"@ID@","isSleepingTask":false,
"retryOptions":{"maxDelayMs":9,"baseDelayMs":7,"maxAttempts":3,"delayMultiplier":1.5},
"sleepMsBeforeRun":5,"timeoutMs":1000,"areChildrenSequential":false,"input":{"é":[null,true,-0.25]},
"status":"ready","isFinished":false,"retryAttempts":0,"startAt":1700000000000,
"activeChildrenCount":0,"onChildrenFinishedProcessingStatus":"idle","closeStatus":"idle",
"needsPromiseCancellation":false,"createdAt":1700000000000,"updatedAt":1700000000009}
END
  )
  templates[1]=$(template <<'END'
{"rootTaskId":"paint","rootExecutionId":"te_000000",
"parentTaskId":"paint","parentExecutionId":"te_000000","indexInParentChildren":@NUMBER@,
"isOnlyChildOfParent":false,"isFinalizeOfParent":true,"taskId":"dry","executionId":"@ID@",
"isSleepingTask":false,"retryOptions":{"maxAttempts":0},"sleepMsBeforeRun":5,"timeoutMs":1000,
"areChildrenSequential":true,"input":"it's\"\\","executorId":"e1","status":"failed",
"isFinished":true,"runOutput":[1],"output":"out",
"error":{"message":"no","errorType":"generic","isInternal":false,"isRetryable":true},
"retryAttempts":2,"startAt":1700000000001,"startedAt":1700000000002,"expiresAt":1700000000003,
"waitingForChildrenStartedAt":4,"waitingForFinalizeStartedAt":5,"finishedAt":1700000000006,
"children":[{"taskId":"a","executionId":"te_x"}],"activeChildrenCount":1,
"onChildrenFinishedProcessingStatus":"processed","onChildrenFinishedProcessingExpiresAt":7,
"onChildrenFinishedProcessingFinishedAt":8,"finalize":{"taskId":"f","executionId":"te_f"},
"closeStatus":"closed","closeExpiresAt":1700000000007,"closedAt":1700000000008,
"needsPromiseCancellation":true,"createdAt":1700000000000,"updatedAt":1700000000009}
END
  )
  templates[2]=$(template <<'END'
{"taskId":"nap","executionId":"@ID@","isSleepingTask":true,"sleepingTaskUniqueId":"nap-@NUMBER@",
"retryOptions":{"maxAttempts":0},"sleepMsBeforeRun":5,"timeoutMs":1000,
"areChildrenSequential":false,"input":null,"status":"completed","isFinished":true,
"retryAttempts":0,"startAt":1700000000000,"finishedAt":1700000000006,"activeChildrenCount":0,
"onChildrenFinishedProcessingStatus":"idle","closeStatus":"closed","closedAt":1700000000008,
"needsPromiseCancellation":false,"createdAt":1700000000000,"updatedAt":1700000000009}
END
  )
  for ((i = 0; i < $1; i++)); do
    printf -v id 'te_%06d' "$i"
    id=${templates[i % 3]//@ID@/$id}
    printf '%s\n' "${id//@NUMBER@/$i}"
  done
}

# same_executions FILE FILE: whether both have the same ones; databases write JSON with blanks or without.
same_executions() {
  diff <(tr -d ' ' <"$1") <(tr -d ' ' <"$2") | head -n 20
  cmp -s <(tr -d ' ' <"$1") <(tr -d ' ' <"$2")
}

# Help and mistakes.

commands_have_examples() {
  local name
  for name in migrate check stats list show enqueue import export prune doctor; do
    "$command" --help | grep -q "^  $name " || { echo "$name is not in the help"; return 1; }
    "$command" "$name" --help | grep -q "^  evdurable $name\|| evdurable $name" ||
      { echo "$name has no example"; return 1; }
  done
}

options_are_in_the_manual_and_the_completion() {
  local name option
  for name in migrate check stats list show enqueue import export prune doctor; do
    for option in $("$command" "$name" --help | grep -oE '^  --[a-z-]+' | tr -d ' '); do
      grep -qe "${option//-/\\\\-}" "$SRCDIR/docs/evdurable.1" || { echo "no $option in evdurable.1"; return 1; }
      grep -qe "$option" "$SRCDIR/src/cli/evdurable.bash" || { echo "no $option completes"; return 1; }
    done
  done
}

test_mistakes() {
  check "every command has help with examples" commands_have_examples
  check "every option is in the manual, and completes" options_are_in_the_manual_and_the_completion
  check "help is that of the command" prints 'Usage: evdurable COMMAND*' "$command" help
  check "help of a command is its own" prints 'Usage: evdurable list*' "$command" help list
  check "help of no command is a mistake" says '*"paint"*' 2 "$command" help paint
  check "values of options complete" values_complete
  check "--version prints it" prints 'evdurable [0-9]*' "$command" --version
  check "no command is a mistake" says 'evdurable: *' 2 "$command"
  check "an unknown command is a mistake" says '*"paint"*' 2 "$command" paint
  check "an unknown option is a mistake" says 'evdurable stats: *--paint*' 2 "$command" stats --paint
  check "a word too many is a mistake" says '*"paint"*' 2 "$command" list paint
  check "no URL is a mistake" says '*EVDURABLE_URL*' 2 env -u EVDURABLE_URL "$command" stats
  check "a bad URL is a mistake" says '*url*' 2 "$command" stats --url ftp://x
  check "a bad table name is a mistake" says '*identifier*' 2 "$command" stats --table 'a;b'
  check "a bad duration is a mistake" says '*7d*' 2 "$command" prune --older-than 7years
  check "a bad status is a mistake" says '*"asleep"*' 2 "$command" list --status ready,asleep
  check "prune wants to be told an age" says '*--older-than*' 2 "$command" prune
}

# completes WANTED WORD...: whether the last word is completed so.
completes() {
  local wanted=$1
  shift
  # shellcheck disable=SC2034 # the completion's
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
  _evdurable
  echo "$* is completed to ${COMPREPLY[*]}"
  [ "${COMPREPLY[*]}" = "$wanted" ]
}

values_complete() {
  # shellcheck source=src/cli/evdurable.bash
  . "$SRCDIR/src/cli/evdurable.bash"
  completes failed evdurable list --status fa && completes ready,failed evdurable list --status ready,fa &&
    completes failed evdurable list --status = fa && completes postgres evdurable migrate sql --engine = po &&
    completes 'sqlite postgres mysql' evdurable migrate sql --engine = && completes prune evdurable help pr
}

# The walk of a new user.

test_migration() {
  check "check says that there is no table" gives 3 "$command" check
  check "other commands say how to make it" others_say_how_to_make_it
  check "status says what is to be done" gives 3 "$command" migrate status
  check "up makes the table" prints '*create table*done' "$command" migrate up
  check "up again has nothing to do" prints 'nothing to do' "$command" migrate up
  check "up says so in JSON" prints '{"steps":\[\]}' "$command" migrate up --json
  check "status says that all is done" prints '*table_and_indexes*Z*' "$command" migrate status
  check "status says so in JSON" prints '*"applied":true*"pendingSteps":\[\]}' \
    "$command" migrate status --json
  check "check finds nothing" prints 'no problems found' "$command" check
  check "check finds nothing in JSON" prints '{"good":true,"findings":\[\]}' "$command" check --json
  check "doctor knows the version" doctor_works
  check "sql prints the table" prints '*create table*_migrations*' "$command" migrate sql --strict
  check "sql writes numbered files, and makes their directory" \
    prints "$scratch/numbered/0001_table_and_indexes.sql*$scratch/numbered/0002_*.sql" \
    "$command" migrate sql --write "$scratch/numbered"
  check "sql writes only new files" prints '' "$command" migrate sql --write "$scratch/numbered"
  check "sql says which file differs, and leaves it" \
    says '*0001_table_and_indexes.sql exists and differs*' 0 \
    "$command" migrate sql --write "$scratch/numbered" --strict
  check "sql begins at a number" prints '' "$command" migrate sql --from 1000
  check "sql needs no database" prints '*create table*' \
    env -u EVDURABLE_URL "$command" migrate sql --engine mysql
}

others_say_how_to_make_it() {
  local line
  for line in 'enqueue paint' stats list export 'prune --older-than 7d'; do
    # shellcheck disable=SC2086 # it is a list
    says "evdurable: there is no table $EVDURABLE_TABLE; *\`evdurable migrate up\`*" 1 "$command" $line ||
      return
  done
}

doctor_works() {
  local output
  output=$("$command" doctor --json)
  local status=$?
  echo "$output"
  { [ "$status" = 0 ] || [ "$status" = 3 ]; } && [[ $output == *'"version":"'[0-9]* ]]
}

enqueues() {
  id=$("$command" enqueue paint --input '{"color":"red"}' --timeout 30s --delay 1h --max-attempts 2) ||
    return
  echo "$id"
  [[ $id == te_* ]]
}

prints_insert() {
  prints "insert into [\"\`]${EVDURABLE_TABLE}[\"\`] (*json*" "$command" enqueue --sql &&
    prints '*jsonb_array_elements(*' "$command" enqueue --sql --engine postgres --framework &&
    prints '*json_each(?1)*' "$command" enqueue --sql --engine sqlite &&
    prints '*json_table(?,*' "$command" enqueue --sql --engine mysql
}

test_executions() {
  check "enqueue prints the new id" enqueues
  id=$("$command" list --json | sed -n 's/.*"executionId":"\([^"]*\)".*/\1/p')
  check "list shows it" prints "*$id  paint  ready*" "$command" list --status active --task paint
  check "list shows none of others" prints 'EXECUTION *[A-Z]' "$command" list --status finished
  check "show prints it" prints '*"maxAttempts":*2}*"red"}*<--' "$command" show "$id"
  check "show prints it in JSON" prints '{"execution":{*"tree":{*"children":\[\]}}' \
    "$command" show --json "$id"
  check "show says that there is no other" says '*te_none*' 3 "$command" show te_none
  check "enqueue reads its input from a file" prints 'te_in' \
    "$command" enqueue paint --id te_in --input @<(echo '[1, 2]')
  check "enqueue refuses an id that is there" says '*execution_id already exists' 1 "$command" enqueue paint --id te_in
  check "enqueue refuses what is no JSON" says '*input*' 1 "$command" enqueue paint --input '{color:red}'
  check "enqueue stores sleeping executions" prints 'te_nap' \
    "$command" enqueue nap --sleeping nap-x --id te_nap
  check "enqueue --sql prints a statement for the URL's engine" prints_insert
  check "enqueue --sql takes no task" says '*takes none*' 2 "$command" enqueue --sql paint
  check "enqueue --sql knows no other engines" says '*--engine sqlite*' 2 "$command" enqueue --sql --engine oracle
  check "no terminal gets commands from ids" ids_are_printable
  check "columns of wide characters are aligned" wide_characters_are_aligned
  check "stats counts them" prints '*"total":3*"ready":2,"running":1*"due":1*' "$command" stats --json
  check "stats prints them" prints '*ready  * 2*total * 3*oldest for*' "$command" stats
  check "a full disk is an error" gives 1 to_full_disk "$command" list
  check "stats --watch ends without a reader, and says so once" ends_without_a_reader
}

ids_are_printable() {
  local table=${EVDURABLE_TABLE}_p id=$'te_\e[31m'
  "$command" migrate up --table "$table" >/dev/null &&
    prints 'te_[?]\[31m' "$command" enqueue paint --id "$id" --table "$table" &&
    prints '*"te_\\u001b\[31m"*' "$command" list --json --table "$table" &&
    prints $'*\nte_[?]\\[31m  paint  ready  <--' "$command" show "$id" --table "$table"
}

# The lines end below one another, as a terminal shows them: "wc -L" counts its columns.
wide_characters_are_aligned() {
  local table=${EVDURABLE_TABLE}_u task line
  "$command" migrate up --table "$table" >/dev/null || return
  for task in 絵を描く paint $'e\u0301te\u0301'; do
    "$command" enqueue "$task" --table "$table" >/dev/null || return
  done
  "$command" list --table "$table" | tail -n +2 >"$scratch/wide"
  cat "$scratch/wide"
  [ "$(while read -r line; do
    LC_ALL=C.UTF-8 wc -L <<<"$line"
  done <"$scratch/wide" | sort -u | wc -l)" = 1 ]
}

to_full_disk() {
  "$@" >/dev/full
}

# As under a supervisor that ignores SIGPIPE.
ends_without_a_reader() {
  (trap '' PIPE; timeout 20 "$command" stats --watch=10ms 2>"$scratch/stderr"; echo $? >"$scratch/status") | true
  cat "$scratch/stderr"
  [ "$(<"$scratch/status")" = 1 ] && [ "$(grep -c '^evdurable: cannot write the output: ' "$scratch/stderr")" = 1 ]
}

# Moving executions.

exports_what_it_imported() {
  "$command" import "$scratch/in.jsonl" --table "$1" && "$command" export --table "$1" >"$scratch/out.jsonl" &&
    same_executions "$scratch/in.jsonl" "$scratch/out.jsonl"
}

# Through a pipe, by way of another engine and back.
goes_by_way_of() {
  "$command" migrate up --url "$1" >/dev/null && "$command" migrate up --table "${EVDURABLE_TABLE}_b" >/dev/null &&
    "$command" export --table "${EVDURABLE_TABLE}_a" | "$command" import --url "$1" &&
    "$command" export --url "$1" | "$command" import --table "${EVDURABLE_TABLE}_b" &&
    "$command" export --table "${EVDURABLE_TABLE}_b" >"$scratch/back.jsonl" &&
    same_executions "$scratch/in.jsonl" "$scratch/back.jsonl"
}

# An export by a version that had no retryAttempts and no needsPromiseCancellation.
imports_an_older_export() {
  local table=${EVDURABLE_TABLE}_older
  "$command" migrate up --table "$table" >/dev/null
  "$command" enqueue paint --id te_older --table "$table" >/dev/null &&
    "$command" export --table "$table" >"$scratch/new.jsonl" &&
    sed 's/"retryAttempts":0,//; s/"needsPromiseCancellation":false,//' "$scratch/new.jsonl" >"$scratch/old.jsonl" &&
    ! cmp -s "$scratch/new.jsonl" "$scratch/old.jsonl" &&
    "$command" migrate up --table "${table}_too" >/dev/null &&
    "$command" import --table "${table}_too" "$scratch/old.jsonl" &&
    "$command" export --table "${table}_too" >"$scratch/back.jsonl" &&
    same_executions "$scratch/new.jsonl" "$scratch/back.jsonl"
}

test_moving() {
  local a=${EVDURABLE_TABLE}_a
  executions 3000 >"$scratch/in.jsonl"
  "$command" migrate up --table "$a" >/dev/null
  check "export gives what import got" exports_what_it_imported "$a"
  check "import again names a line that is there" says 'evdurable: *in.jsonl:[0-9]*:*' 1 fails_quietly "$a"
  check "import --skip-duplicates passes over them" prints '0 imported, 3000 already there*' \
    "$command" import --skip-duplicates --table "$a" "$scratch/in.jsonl"
  check "import names the lines that are there in their order, and suggests --skip-duplicates" \
    says_duplicates_in_order "$a"
  check "import --skip-duplicates skips duplicates within the file, the first of them stays" \
    skips_within_the_file
  check "import --skip-duplicates still reports bad lines, of executions that are there, too" \
    reports_beside_duplicates "$a"
  check "import gives the columns that an older export lacks their defaults" imports_an_older_export
  check "import --keep-going stores what it can" keeps_going
  check "import reports bad lines in their order" reports_in_order "$a"
  check "import refuses a line with a zero byte" refuses_zero_bytes
  check "export takes filters" prints '1000' count_exported --table "$a" --status failed,cancelled \
    --task dry --older-than 1d --newer-than 1500w --parent te_000000 --root te_000000 --executor e1
  check "executions go to another engine and back" goes_by_way_of "$1"
  check "executions go through the framework's shape" by_the_framework
}

fails_quietly() {
  "$command" import --table "$1" "$scratch/in.jsonl" >/dev/null
}

# The numbers of the lines that an import complained of.
lines_named() {
  sed -n 's/^evdurable: [^ ]*:\([0-9]*\): .*/\1/p' "$1"
}

says_duplicates_in_order() {
  "$command" import --keep-going --table "$1" "$scratch/in.jsonl" >"$scratch/stdout" 2>"$scratch/stderr"
  cat "$scratch/stdout" "$scratch/stderr"
  lines_named "$scratch/stderr" | cmp - <(seq 50) && tail -n 1 "$scratch/stderr" | grep -q -e --skip-duplicates &&
    says '*--skip-duplicates*' 1 fails_quietly "$1"
}

# Some lines fail when they are read, the others when they are stored.
reports_in_order() {
  { sed -n '1,9p' "$scratch/in.jsonl" && echo '{}' && sed -n '3p' "$scratch/in.jsonl" && echo '['; } \
    >"$scratch/order.jsonl"
  "$command" import --keep-going --table "$1" "$scratch/order.jsonl" >"$scratch/stdout" 2>"$scratch/stderr"
  cat "$scratch/stdout" "$scratch/stderr"
  lines_named "$scratch/stderr" | cmp - <(seq 12) && ! grep -q -e --skip-duplicates "$scratch/stderr" &&
    grep -q '^0 imported, 12 failed' "$scratch/stdout"
}

# Equal ids, and equal unique ids of other executions, near and far from each other.
skips_within_the_file() {
  local table=${EVDURABLE_TABLE}_w sleeping
  sleeping=$(template <<'END'
{"taskId":"paint","executionId":"@ID@","isSleepingTask":true,"sleepingTaskUniqueId":"u@U@",
"retryOptions":{"maxAttempts":1},"sleepMsBeforeRun":0,"timeoutMs":1,"areChildrenSequential":false,"input":null,
"status":"ready","isFinished":false,"retryAttempts":0,"startAt":1,"activeChildrenCount":0,
"onChildrenFinishedProcessingStatus":"idle","closeStatus":"idle","needsPromiseCancellation":false,
"createdAt":1,"updatedAt":1}
END
  )
  { sed -n '1,300p; 1p; 200p' "$scratch/in.jsonl" && sed -n '1,300p' "$scratch/in.jsonl" | sed 's/"paint"/"dry"/' &&
    for i in s1:1 s2:1 s1:2 s3:2 s2:3; do
      echo "$sleeping" | sed "s/@ID@/${i%:*}/; s/@U@/${i#*:}/"
    done; } >"$scratch/within.jsonl"
  "$command" migrate up --table "$table" >/dev/null
  prints '303 imported, 304 already there*' \
    "$command" import --skip-duplicates --table "$table" "$scratch/within.jsonl" &&
    prints '0 imported, 607 already there*' \
      "$command" import --skip-duplicates --table "$table" "$scratch/within.jsonl" &&
    "$command" export --table "$table" | grep -v '"u[0-9]"' >"$scratch/out.jsonl" &&
    sed -n '1,300p' "$scratch/in.jsonl" >"$scratch/first.jsonl" &&
    same_executions "$scratch/first.jsonl" "$scratch/out.jsonl"
}

reports_beside_duplicates() {
  sed '7s/"retryAttempts":[0-9]*/"retryAttempts":-1/; 9s/}$//' "$scratch/in.jsonl" >"$scratch/bad.jsonl"
  "$command" import --keep-going --skip-duplicates --table "$1" "$scratch/bad.jsonl" >"$scratch/stdout" \
    2>"$scratch/stderr"
  cat "$scratch/stdout" "$scratch/stderr"
  lines_named "$scratch/stderr" | cmp - <(printf '7\n9\n') &&
    grep -q '^0 imported, 2998 already there, 2 failed' "$scratch/stdout"
}

keeps_going() {
  local status table=${EVDURABLE_TABLE}_k
  sed '3s/completed/asleep/; 7s/"taskId":"paint",//; 2000s/}$//' "$scratch/in.jsonl" >"$scratch/bad.jsonl"
  "$command" migrate up --table "$table" >/dev/null
  "$command" import --keep-going --table "$table" "$scratch/bad.jsonl" >"$scratch/log" 2>&1
  status=$?
  cat "$scratch/log"
  [ "$status" = 1 ] && grep -q 'bad.jsonl:3: .*status' "$scratch/log" &&
    grep -q 'bad.jsonl:7: .*task' "$scratch/log" && grep -q 'bad.jsonl:2000: ' "$scratch/log" &&
    grep -q '^2997 imported, 3 failed' "$scratch/log"
}

# What follows the zero byte would be lost without a word, and so would a line that begins with one.
refuses_zero_bytes() {
  local table=${EVDURABLE_TABLE}_z
  "$command" migrate up --table "$table" >/dev/null
  { head -n 1 "$scratch/in.jsonl" | tr '\n' '\0' && sed -n 2p "$scratch/in.jsonl" && printf '\0\n' &&
    sed -n 3p "$scratch/in.jsonl"; } >"$scratch/zero.jsonl"
  "$command" import --keep-going --table "$table" "$scratch/zero.jsonl" >"$scratch/log" 2>&1
  cat "$scratch/log"
  grep -q 'zero.jsonl:1: .*zero byte' "$scratch/log" && grep -q 'zero.jsonl:2: .*zero byte' "$scratch/log" &&
    grep -q '^1 imported, 2 failed' "$scratch/log"
}

count_exported() {
  "$command" export "$@" | grep -c .
}

by_the_framework() {
  local table=${EVDURABLE_TABLE}_f
  "$command" migrate up --framework --table "$table" >/dev/null && "$command" check --table "$table" &&
    exports_what_it_imported "$table"
}

# Pruning. Of the executions of te_000000, which is not closed, none may go.

prunes() {
  local table=${EVDURABLE_TABLE}_b
  "$command" prune --older-than 1d --dry-run --table "$table"
  [ "$("$command" prune --older-than 1d --dry-run --table "$table" --json)" = \
    '{"prunable":1000,"unclosed":0}' ] &&
    [ "$("$command" prune --older-than 1d --table "$table" --batch 300 --limit 400)" = '400 deleted' ] &&
    [ "$("$command" prune --older-than 1d --table "$table" --batch 77 --json)" = '{"deleted":600,"unclosed":0}' ] &&
    [ "$("$command" prune --older-than 1d --table "$table" --json)" = '{"deleted":0,"unclosed":0}' ] &&
    [ "$(count_exported --table "$table" --task nap)" = 0 ] &&
    [ "$(count_exported --table "$table" --task dry)" = 1000 ]
}

prune_counts_what_nobody_has_closed() {
  local table=${EVDURABLE_TABLE}_u
  "$command" migrate up --table "$table" >/dev/null
  sed -n 1,3p "$scratch/in.jsonl" | sed 's/"isFinished":[a-z]*/"isFinished":true/; s/"closeStatus":"[a-z]*"/"closeStatus":"idle"/' |
    "$command" import --table "$table" >/dev/null
  "$command" prune --older-than 1d --table "$table" >"$scratch/log" 2>&1
  cat "$scratch/log"
  grep -q '^0 deleted$' "$scratch/log" && grep -q '^3 finished executions .* not closed' "$scratch/log" &&
    [ "$("$command" prune --older-than 1d --table "$table" --json)" = '{"deleted":0,"unclosed":3}' ]
}

prunes_nothing_young() {
  [ "$("$command" prune --older-than 1500w --dry-run --json --table "${EVDURABLE_TABLE}_a")" = '{"prunable":0,"unclosed":0}' ]
}

trees_are_drawn() {
  "$command" show te_000001 --table "${EVDURABLE_TABLE}_a" --nodes 4 >"$scratch/tree"
  cat "$scratch/tree"
  grep -q '^te_000000  paint  ready' "$scratch/tree" &&
    grep -q '^├─ te_000001  dry  failed  finalize  <--' "$scratch/tree" &&
    grep -q '^└─ \.\.\. (997 more)' "$scratch/tree"
}

strictness_is_checked() {
  local table=${EVDURABLE_TABLE}_a
  [ "$("$command" migrate up --strict --table "$table" --json | grep -c 'add trigger')" = 1 ] &&
    [ "$("$command" migrate up --strict --table "$table")" = 'nothing to do' ] &&
    [ "$("$command" migrate up --no-strict --table "$table" | tail -n 1)" = 'done' ]
}

test_pruning() {
  check "prune deletes what is closed, and whose tree is" prunes
  check "prune leaves what is young" prunes_nothing_young
  check "prune counts what is finished and not closed" prune_counts_what_nobody_has_closed
  check "show draws the tree" trees_are_drawn
  check "the trigger of strict transitions comes and goes" strictness_is_checked
}

# Tests that a user who may only do what the operations do, and who lacks something of that, is told what.
# The script has a function as_owner, which runs SQL.
least_user=evd_least_$$
# shellcheck disable=SC2034 # the scripts'
LEAST_TESTS=4

# least_tests ACCOUNT: the user as "grant" has it, who is there and may do nothing.
least_tests() {
  local url=${EVDURABLE_URL/\/\/evd:evd@/\/\/$least_user:least@}
  export EVDURABLE_TABLE=least_$$
  "$command" migrate up >/dev/null
  as_owner "grant select, insert on $EVDURABLE_TABLE to $1"
  check "check names the privilege that is missing" \
    finds_privilege check "grant update on ?$EVDURABLE_TABLE? to *" "$url"
  check "doctor does, too" finds_privilege doctor "grant update on ?$EVDURABLE_TABLE? to *" "$url"
  as_owner "grant update on $EVDURABLE_TABLE to $1"
  check "with the privileges of the operations, all is well" \
    prints '*no problems found' "$command" check --url "$url"
  check "there is nothing to migrate" migrates_nothing "$url"
  as_owner "drop table $EVDURABLE_TABLE; drop table ${EVDURABLE_TABLE}_migrations"
}

# finds_privilege COMMAND MEND URL
finds_privilege() {
  "$command" "$1" --url "$3" >"$scratch/found"
  local status=$?
  cat "$scratch/found"
  # shellcheck disable=SC2053
  [ "$status" = 3 ] && [[ $(sed -n 's/^ *fix: //p' "$scratch/found" | head -n 1) == $2 ]]
}

migrates_nothing() {
  prints '*permission denied*' "$command" migrate status --url "$1" &&
    prints 'nothing to do' "$command" migrate up --url "$1"
}

# cli_tests OTHER [MORE]: all of them; OTHER is the URL of another engine's database. So many more follow,
# of one engine only.
cli_tests() {
  plan $((68 + ${2-0}))
  test_mistakes
  test_migration
  test_executions
  test_moving "$1"
  test_pruning
}
