#!/bin/bash
# Holds the C files to .clang-format, .clang-tidy and cppcheck, and the scripts to shellcheck. "make
# lint" runs it, and tells it in CPPFLAGS and CFLAGS how the files are compiled.

cd "$(dirname "$0")/../.." || exit 1
set -uo pipefail

code() {
  find src include tests bench docs -name "$1" -print0
}

scripts() {
  find .ci bench tests src \( -name run -o -name '*.sh' -o -name '*.test' -o -name '*.bash' \) -type f \
    -print0
}

lint_format() {
  code '*.[ch]' | xargs -0 -r clang-format --dry-run -Werror
}

# No line is wider than 100 columns, but for the lines of long texts, which are as wide as they print.
lint_width() {
  ! code '*.[ch]' | LC_ALL=C.UTF-8 xargs -0 grep -nP '^(?!\s*").{101,}'
}

# Each file opens with a comment that says what it is for.
lint_opening() {
  local file bare=0
  while IFS= read -r -d '' file; do
    [ "$(head -c 2 "$file")" = '/*' ] || { echo "$file: no opening comment"; bare=1; }
  done < <(code '*.[ch]')
  return "$bare"
}

lint_tidy() {
  local flags
  read -ra flags <<<"$CPPFLAGS $CFLAGS"
  code '*.c' | xargs -0 -r -I{} -P "$(nproc)" clang-tidy --quiet {} -- "${flags[@]}" 2>&1 |
    { grep -vE '^[0-9]+ warnings? (generated|treated)' || true; }
}

# cppcheck does not see into the macros of utlist.h and takes their cursors for uninitialised; of that,
# clang-tidy and the sanitizers know more.
lint_cppcheck() {
  local flags
  read -ra flags <<<"$CPPFLAGS"
  code '*.c' | xargs -0 -r cppcheck --quiet --std=c11 -j "$(nproc)" --inline-suppr --error-exitcode=1 \
    --enable=warning,performance,portability --suppress=uninitvar \
    --template='{file}:{line}: {severity}: {message} [{id}]' \
    "${flags[@]}"
}

lint_scripts() {
  scripts | xargs -0 shellcheck
}

# libpq closes its socket in whichever call finds that the server has gone, so wire.c alone makes those
# calls and has the watchers of the socket.
lint_wire() {
  ! grep -nE 'PQ(consumeInput|flush|send[A-Z]|pipelineSync|getResult|isBusy|setnonblocking)' \
    src/engine/postgres/*.c | grep -v '^src/engine/postgres/wire\.c:'
}

# The order of the rooms, by what they include, and by what the objects in BUILDDIR call.
lint_rooms() {
  local objects
  mapfile -t objects < <(find "$BUILDDIR/src" -name '*.o' ! -path '*/cli/*')
  bash tests/lib/rooms.sh includes && bash tests/lib/rooms.sh circles "${objects[@]}"
}

failed=0
for check in format width opening tidy cppcheck scripts wire rooms; do
  echo "lint: $check"
  "lint_$check" || { echo "lint: $check found something" >&2; failed=1; }
done
exit "$failed"
