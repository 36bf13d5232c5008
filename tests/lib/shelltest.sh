# shellcheck shell=bash
# What shell tests (tests/*.test) are written with. The environment tells them of the build: SRCDIR,
# BUILDDIR, LIBDIR, CC, CXX, CFLAGS, MAKE, NM, PKG_CONFIG (see Makefile.am).

set -u

checks=0

# plan N: so many checks follow.
plan() {
  echo "1..$1"
}

# skip_all REASON: nothing to test here.
skip_all() {
  echo "1..0 # SKIP $1"
  exit 0
}

# check NAME COMMAND...: a test that the command succeeds; what it prints explains a failure.
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "ok $((++checks)) - $name"
  else
    echo "not ok $((++checks)) - $name"
    printf '# %s\n' "${output//$'\n'/$'\n# '}"
  fi
}

# skip NAME REASON: a test that cannot run here.
skip() {
  echo "ok $((++checks)) - $1 # SKIP $2"
}

# scratch: makes a directory, named in $scratch, that is gone when the test ends.
scratch() {
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/evdurable-test.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 1' INT TERM HUP
}

# server_scratch: the same, for a server (see servers.sh) in $scratch/server, which is stopped then.
server_scratch() {
  scratch
  chmod 711 "$scratch"
  trap 'if [ -e "$scratch/server" ]; then stop_server "$scratch/server"; fi; rm -rf "$scratch"' EXIT
}
