# shellcheck shell=bash
# Servers that Debian 12 does not have, for the tests: from the archive of another Debian release, where
# they run unpacked, under their own loader and libraries; nothing is installed. Source this file after
# servers.sh.
#
#     unpack_mysql ROOT || echo "cannot: $archive_reason"
#     start_mysql ROOT DIR             then as the servers of servers.sh: server_url DIR, stop_server DIR
#
#     unpack_postgres ROOT trixie 17 || echo "cannot: $archive_reason"
#     export EVD_POSTGRES_BIN=$(unpacked_postgres_bin ROOT 17)      start_postgres DIR is then of it
#
#     unpack_mariadb ROOT trixie || echo "cannot: $archive_reason"
#     export EVD_MARIADB_BASE=ROOT/usr                                 the same for start_mariadb
#
# Each takes 60 to 90 MB to download and 250 MB of disk. The archive moves, and it may be out of reach:
# whoever asks must be able to go without, and say so.

# shellcheck disable=SC2034 # for the caller
archive_reason=

# unpack_mysql ROOT: a MySQL 9, unless it is there already.
unpack_mysql() {
  unpack_packages "$1" sid mysql-server-core && wrap_programs "$1" usr/sbin/mysqld
}

# unpack_postgres ROOT RELEASE VERSION: a PostgreSQL of that version, unless it is there already.
unpack_postgres() {
  unpack_packages "$1" "$2" "postgresql-$3" "postgresql-client-$3" &&
    wrap_programs "$1" "usr/lib/postgresql/$3/bin"/{postgres,initdb,pg_basebackup,pg_isready}
}

unpacked_postgres_bin() {
  echo "$1/usr/lib/postgresql/$2/bin"
}

# unpack_mariadb ROOT RELEASE: that release's MariaDB, with the plugin of ed25519 that is in
# mariadb-server, unless it is there already.
unpack_mariadb() {
  unpack_packages "$1" "$2" mariadb-server-core mariadb-client-core mariadb-server &&
    wrap_programs "$1" usr/sbin/mariadbd usr/bin/{my_print_defaults,resolveip}
}

# start_mysql ROOT DIR: makes and starts a server like those of servers.sh, with a user "evd".
start_mysql() {
  local root=$1 dir=$2
  make_server_dir mysql "$dir" || return
  cat >"$dir/mysqld" <<END
#!/bin/bash
exec "$root/usr/sbin/mysqld" --no-defaults --basedir="$root/usr" \\
  --lc-messages-dir="$root/usr/share/mysql" --character-sets-dir="$root/usr/share/mysql/charsets" \\
  --plugin-dir="$root/usr/lib/mysql/plugin" --datadir="$dir/data" --tmpdir="$dir" \\
  --secure-file-priv="$dir" --socket="$(socket_path "$dir" .sock)" \\
  --innodb-redo-log-capacity=8M --innodb-buffer-pool-size=64M --performance-schema=OFF --skip-log-bin "\$@"
END
  cat >"$dir/users.sql" <<'END'
CREATE DATABASE evd CHARACTER SET utf8mb4;
CREATE USER evd@'%' IDENTIFIED BY 'evd';
GRANT ALL ON `evd%`.* TO evd@'%' WITH GRANT OPTION;
GRANT CREATE USER, PROCESS ON *.* TO evd@'%';
ALTER USER root@localhost IDENTIFIED BY 'evd';
END
  as_server "$dir" bash "$dir/mysqld" --initialize-insecure --init-file="$dir/users.sql" \
    >>"$dir/log" 2>&1 || { server_failed "$dir" "mysqld --initialize"; return 1; }
  start_on_free_port "$dir"
}

# What is below is for the functions above.

# unpack_packages ROOT RELEASE PACKAGE...: downloads the packages with what they depend on, and unpacks
# all of it, unless that is done already. Why not is in archive_reason.
unpack_packages() {
  local root=$1 release=$2 apt
  shift 2
  archive_reason=
  [ -e "$root/unpacked" ] && return
  apt=$(mktemp -d "${TMPDIR:-/tmp}/evdurable-apt.XXXXXX") || return
  make_apt "$apt" "$release" && mkdir -p "$root" &&
    archive_step "$apt" "apt-get update" private_apt "$apt" update &&
    archive_step "$apt" "downloading $1" \
      private_apt "$apt" --download-only --no-install-recommends install "$@" &&
    archive_step "$apt" "unpacking $1" unpack_all "$apt" "$root" && : >"$root/unpacked"
  local status=$?
  rm -rf "$apt"
  [ "$status" = 0 ] || rm -rf "$root"
  return "$status"
}

# archive_step APT WHAT COMMAND...: runs the command; why it failed in archive_reason.
archive_step() {
  local apt=$1 what=$2
  shift 2
  "$@" </dev/null >"$apt/log" 2>&1 && return
  archive_reason="$what failed: $(grep -E '^(E|Err|W):' "$apt/log" | head -n 1)"
  return 1
}

# make_apt APT RELEASE: a state of its own for apt-get: that release alone, and nothing installed but what
# the servers' packages ask for and the servers themselves do not need.
make_apt() {
  local apt=$1 release=$2 keyring=/usr/share/keyrings/debian-archive-keyring.gpg site package
  [ -e "$keyring" ] || { archive_reason="no $keyring"; return 1; }
  command -v apt-get >/dev/null || { archive_reason="no apt-get"; return 1; }
  [ "$(uname -m)" = x86_64 ] || { archive_reason="not made for $(uname -m)"; return 1; }
  # shellcheck disable=SC2016
  site=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -m 1 'debian/*$')
  [ -n "$site" ] || { archive_reason="no Debian mirror among the sources of apt"; return 1; }
  mkdir -p "$apt"/{etc/preferences.d,state/lists/partial,cache/archives/partial} &&
    echo "deb [signed-by=$keyring] $site $release main" >"$apt/etc/sources.list" || return
  for package in adduser debconf galera-4 gawk init-system-helpers iproute2 libdbi-perl locales lsof \
    mariadb-client mariadb-common passwd perl postgresql-client-common postgresql-common procps psmisc \
    rsync socat ssl-cert tzdata; do
    cat <<END
Package: $package
Status: install ok installed
Architecture: amd64
Multi-Arch: allowed
Version: 999
Provides: $package:any
Maintainer: none
Description: declared, so that it is not downloaded

END
  done >"$apt/status"
}

private_apt() {
  local apt=$1
  shift
  apt-get --yes --quiet \
    -o Dir::Etc="$apt/etc" -o Dir::Etc::SourceList="$apt/etc/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::State="$apt/state" -o Dir::State::Status="$apt/status" -o Dir::Cache="$apt/cache" \
    -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User="$(id -un)" \
    -o Debug::NoLocking=true -o Acquire::Languages=none -o Acquire::Retries=2 "$@"
}

unpack_all() {
  local apt=$1 root=$2 package
  for package in "$apt"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$root" || return
  done
  chmod -R a+rX "$root"
}

# wrap_programs ROOT PROGRAM...: puts in each program's place a script that runs it under its own loader;
# the program itself stays beside it, where it finds what belongs to it.
wrap_programs() {
  local root=$1 program loader
  shift
  loader=$(find "$root" -name 'ld-linux-x86-64.so.2' | head -n 1)
  [ -n "$loader" ] || { archive_reason="no loader in the packages"; return 1; }
  for program; do
    [ -e "$root/$program.elf" ] && continue
    [ -x "$root/$program" ] || { archive_reason="no $program in the packages"; return 1; }
    mv "$root/$program" "$root/$program.elf" && cat >"$root/$program" <<END && chmod 755 "$root/$program"
#!/bin/bash
exec "$loader" --library-path "$root/usr/lib/x86_64-linux-gnu" "$root/$program.elf" "\$@"
END
  done
}
