#!/bin/bash
# Runs one test program and puts its output into the TAP that automake's driver counts.
#
#     tests/lib/tap.sh PROGRAM [ARGUMENT...]
#
# cmocka 1.1.5 prints a plan for every group, calls a skipped test "not ok" and a failed fixture
# number 0. Here all groups are numbered through, with one plan at the end, and what else is printed
# becomes a comment. Ending early, hanging, running nothing, or an exit status that no failed test
# explains (a sanitizer's finding at exit) is one more failed test.
#
# A program is stopped after EVD_TEST_TIMEOUT seconds (900).

timeout=${EVD_TEST_TIMEOUT:-900}

run_program() {
  export CMOCKA_MESSAGE_OUTPUT=TAP
  trap 'kill "$child"' INT TERM HUP
  timeout --kill-after=10 "$timeout" "$@" 2>&1 &
  child=$!
  wait "$child"
  printf '\n@exit %d\n' $?
}

run_program "$@" | awk -v timeout="$timeout" '
  function result(failed, name) {
    failures += failed
    printf "%s %d - %s\n", failed ? "not ok" : "ok", ++count, name
  }

  /^@exit [0-9]+$/ { status = $2; next }

  /^1\.\.0 # SKIP/ && !count { skipped = $0; next }
  /^1\.\.[0-9]+$/ { planned += substr($0, 4); next }

  /^(not )?ok [0-9]+ (- |# SKIP )/ {
    failed = /^not /
    number = failed ? $3 : $2
    name = $0
    sub(/^(not )?ok [0-9]+ (- )?/, "", name)
    if (number > 0)
      seen++
    if (name ~ /^# SKIP /)
      result(0, substr(name, 8) " # SKIP")
    else
      result(failed, name)
    next
  }

  /^$/ { next }
  { print /^#/ ? $0 : "# " $0 }

  END {
    if (skipped && !status) {
      print skipped
      exit
    }
    if (status == 124 || status == 137)
      result(1, "ends by itself (status " status "; the limit is " timeout " seconds)")
    else if (seen < planned)
      result(1, "runs all tests: ended after " seen + 0 " of " planned " (status " status ")")
    else if (status && !failures)
      result(1, "exits with 0, not with " status)
    else if (!count)
      result(1, "runs any test")
    print "1.." count
  }'
