# shellcheck shell=bash
# Tests of an engine on a server that Debian 12 does not have: see archive.sh. Source this file after
# shelltest.sh, and call one of the functions, which ends the script. EVD_TEST_ARCHIVE is where servers are
# unpacked, to be used again.

# With EVD_TEST_BRIEF, other versions of what Debian 12 has are left out.

# shellcheck disable=SC2154 # $scratch is of server_scratch

. "$SRCDIR/tests/lib/servers.sh"
. "$SRCDIR/tests/lib/archive.sh"

# test_on_postgres RELEASE VERSION: on PostgreSQL of that version, which that Debian release has.
test_on_postgres() {
  unless_brief
  want_server EVD_TEST_POSTGRES_URL
  unpack "POSTGRESQL $2" "postgres$2" unpack_postgres "$1" "$2"
  EVD_POSTGRES_BIN=$(unpacked_postgres_bin "$root" "$2")
  export EVD_POSTGRES_BIN
  start_postgres "$scratch/server" 'max_connections = 200' || exit
  EVD_TEST_POSTGRES_URL=$(server_url "$scratch/server")
  run_tests "$EVD_TEST_POSTGRES_URL" test_postgres test_postgres_tables \
    test_postgres_pipelines test_postgres_plans
}

# test_on_mariadb RELEASE VERSION: on that Debian release's MariaDB.
test_on_mariadb() {
  unless_brief
  want_server EVD_TEST_MYSQL_URL
  unpack "MARIADB $2" "mariadb$2" unpack_mariadb "$1"
  export EVD_MARIADB_BASE=$root/usr
  start_mariadb "$scratch/server" || exit
  EVD_TEST_MYSQL_URL=$(server_url "$scratch/server")
  run_tests "$EVD_TEST_MYSQL_URL" test_mysql test_mysql_sizes test_mysql_tables test_mysql_tls \
    test_mysql_faults
}

# test_on_mysql: on a MySQL 9.
test_on_mysql() {
  want_server EVD_TEST_MYSQL_URL
  unpack "MYSQL" mysql unpack_mysql
  start_mysql "$root" "$scratch/server" || exit
  EVD_TEST_MYSQL_URL=$(server_url "$scratch/server")
  run_tests "$EVD_TEST_MYSQL_URL" test_mysql test_mysql_sizes test_mysql_tables
}

# What is below is for the functions above.

unless_brief() {
  [ -z "${EVD_TEST_BRIEF-}" ] || skip_all "EVD_TEST_BRIEF is set (of tests/run, only the stage dist has this)"
}

# want_server VARIABLE: skips the test if no server is wanted.
want_server() {
  [ "${!1-}" ] || skip_all "$1 is not set: servers are not wanted (tests/run wants them)"
  export "${1?}"
  server_scratch
}

# unpack WHAT NAME COMMAND [ARGUMENT...]: has the command unpack a server in $root, or skips the test.
unpack() {
  local what=$1 command=$3
  root=${EVD_TEST_ARCHIVE:-$scratch}/$2
  shift 3
  "$command" "$root" "$@" ||
    skip_all "THE ENGINE IS NOT TESTED ON $what: ${archive_reason:-no server to be had}"
}

# run_tests URL PROGRAM...: the suite of all engines, and the programs.
run_tests() {
  local status=0 program
  "$BUILDDIR/tests/engine-suite" "$1" || status=1
  shift
  for program; do
    "$BUILDDIR/tests/$program" || status=1
  done
  exit "$status"
}
