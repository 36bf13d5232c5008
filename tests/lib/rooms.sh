#!/bin/bash
# Whether the rooms of src/ keep their order (docs/architecture.md): a file includes only what is in a room
# that the table there lets it know, and no files call each other in a circle.
#
#     tests/lib/rooms.sh includes
#     tests/lib/rooms.sh circles OBJECT...     (the object files of a build)

cd "$(dirname "$0")/../.." || exit 1
set -uo pipefail

# The table: "room", then the rooms that it may include.
table() {
  awk '/^\| room \| may include \|$/ { inside = 1 } /^$/ { inside = 0 } inside' docs/architecture.md |
    tr -d '`,|'
}

# Each include of our own, as "file room included-room".
includes() {
  grep -rn --include='*.[ch]' '^#include "' src | sed -nE \
    -e 's,^src/(.*)/([^/]*):[0-9]+:#include "(.*)/[^/]*".*,src/\1/\2 \1 \3,p' \
    -e 's,^src/([^/]*):[0-9]+:#include "(.*)/[^/]*".*,src/\1 . \2,p'
}

check_includes() {
  awk '
    NR == FNR { known[$1] = 1; for (i = 2; i <= NF; i++) may[$1, $i] = 1; next }
    !($2 in known) { print $1 ": " $2 " is no room of the table"; bad = 1; next }
    $2 != $3 && !(($2, $3) in may) { print $1 ": " $2 " may not include " $3; bad = 1 }
    END { exit bad || length(known) == 0 }
  ' <(table) <(includes)
}

# Who calls whom, by the symbols of the objects: pairs for tsort, which finds the circles.
calls() {
  nm -A "$@" | awk '
    { object = $1; sub(/:[^:]*$/, "", object); sub(/\.libs\//, "", object) }
    $(NF - 1) ~ /^[TDRBVC]$/ { owner[$NF] = object }
    $(NF - 1) == "U" { user[++count] = object; symbol[count] = $NF }
    END {
      for (i = 1; i <= count; i++)
        if (symbol[i] in owner && owner[symbol[i]] != user[i]) print user[i], owner[symbol[i]]
    }'
}

check_circles() {
  [[ $# -gt 0 ]] || { echo 'rooms.sh circles: no objects given' >&2; return 2; }
  local pairs
  pairs=$(calls "$@")
  [[ -n $pairs ]] || { echo 'rooms.sh circles: no calls found' >&2; return 2; }
  tsort <<<"$pairs" 2>&1 >/dev/null | sed 's/^tsort: //' | { ! grep .; }
}

"check_$1" "${@:2}"
