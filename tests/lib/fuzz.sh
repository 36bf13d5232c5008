#!/bin/bash
# Runs libFuzzer targets for some seconds each, and prints a TAP line for each.
#
#     tests/lib/fuzz.sh CORPUS SECONDS TARGET...
#
# A target begins with the inputs in CORPUS/NAME, if there are any; what it finds beside them is
# dropped, but for an input that fails, which stays as fuzz-NAME-* in the working directory.

corpus=$1
seconds=$2
shift 2

scratch=$(mktemp -d "${TMPDIR:-/tmp}/evdurable-fuzz.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP

number=0
failed=0
echo "1..$#"
for target; do
  name=${target##*/}
  inputs=("$scratch/$name")
  mkdir "${inputs[0]}"
  [ -d "$corpus/$name" ] && inputs+=("$corpus/$name")
  number=$((number + 1))
  if "./$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="fuzz-$name-" "${inputs[@]}" >"$scratch/log" 2>&1; then
    runs=$(awk '/number_of_executed_units/ { print $2 }' "$scratch/log")
    echo "ok $number - $name survives $runs inputs"
  else
    failed=1
    echo "not ok $number - $name"
    tail -n 60 "$scratch/log" | sed 's/^/# /'
  fi
done
exit "$failed"
