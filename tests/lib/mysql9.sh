# shellcheck shell=bash
# A real MySQL for the tests, on Debian 12, which has none: Debian's unstable archive has mysql-server-core
# (9.x), which runs unpacked, under its own loader and libraries. Source this file after servers.sh.
#
#     get_mysql9 ROOT || echo "cannot: $mysql9_reason"
#     start_mysql9 ROOT DIR          then as the servers of servers.sh: server_url DIR, stop_server DIR
#
# It takes 60 MB to download and 250 MB of disk; nothing is installed. The archive moves, and it may be
# out of reach: whoever asks must be able to go without, and say so.

# shellcheck disable=SC2034 # for the caller
mysql9_reason=

# get_mysql9 ROOT: unpacks the server there, unless it is there already.
get_mysql9() {
  local root=$1 apt
  [ -e "$root/usr/sbin/mysqld" ] && return
  mysql9_reason=
  apt=$(mktemp -d "${TMPDIR:-/tmp}/evdurable-apt.XXXXXX") || return
  make_mysql9_apt "$apt" && mkdir -p "$root" &&
    mysql9_step "$apt" "apt-get update" mysql9_apt "$apt" update &&
    mysql9_step "$apt" "downloading mysql-server-core" \
      mysql9_apt "$apt" --download-only --no-install-recommends install mysql-server-core &&
    mysql9_step "$apt" "unpacking" unpack_mysql9 "$apt" "$root"
  local status=$?
  rm -rf "$apt"
  [ "$status" = 0 ] || rm -rf "$root"
  return "$status"
}

# start_mysql9 ROOT DIR: makes and starts a server like those of servers.sh, with a user "evd".
start_mysql9() {
  local root=$1 dir=$2
  make_server_dir mysql "$dir" || return
  cat >"$dir/mysqld" <<END
#!/bin/bash
exec "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \\
  "$root/usr/sbin/mysqld" --no-defaults --basedir="$root/usr" --lc-messages-dir="$root/usr/share/mysql" \\
  --character-sets-dir="$root/usr/share/mysql/charsets" --plugin-dir="$root/usr/lib/mysql/plugin" \\
  --datadir="$dir/data" --tmpdir="$dir" --secure-file-priv="$dir" --socket="$(socket_path "$dir" .sock)" \\
  --innodb-redo-log-capacity=8M --innodb-buffer-pool-size=64M --performance-schema=OFF --skip-log-bin "\$@"
END
  cat >"$dir/users.sql" <<'END'
CREATE DATABASE evd CHARACTER SET utf8mb4;
CREATE USER evd@'%' IDENTIFIED BY 'evd';
GRANT ALL ON `evd%`.* TO evd@'%';
ALTER USER root@localhost IDENTIFIED BY 'evd';
END
  as_server "$dir" bash "$dir/mysqld" --initialize-insecure --init-file="$dir/users.sql" \
    >>"$dir/log" 2>&1 || { server_failed "$dir" "mysqld --initialize"; return 1; }
  start_on_free_port "$dir"
}

# What is below is for the functions above.

# mysql9_step APT WHAT COMMAND...: runs the command; why it failed in mysql9_reason.
mysql9_step() {
  local apt=$1 what=$2
  shift 2
  "$@" </dev/null >"$apt/log" 2>&1 && return
  mysql9_reason="$what failed: $(grep -E '^(E|Err|W):' "$apt/log" | head -n 1)"
  return 1
}

# make_mysql9_apt APT: a state of its own for apt-get: Debian unstable alone, nothing installed but the
# parts of perl that mysql-server-core asks for and does not need.
make_mysql9_apt() {
  local apt=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg site
  [ -e "$keyring" ] || { mysql9_reason="no $keyring"; return 1; }
  command -v apt-get >/dev/null || { mysql9_reason="no apt-get"; return 1; }
  [ "$(uname -m)" = x86_64 ] || { mysql9_reason="not made for $(uname -m)"; return 1; }
  # shellcheck disable=SC2016
  site=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -m 1 'debian/*$')
  [ -n "$site" ] || { mysql9_reason="no Debian mirror among the sources of apt"; return 1; }
  mkdir -p "$apt"/{etc,state/lists/partial,cache/archives/partial} &&
    echo "deb [signed-by=$keyring] $site sid main" \
      >"$apt/etc/sources.list" &&
    cat >"$apt/status" <<'END'
Package: perl
Status: install ok installed
Architecture: amd64
Multi-Arch: allowed
Version: 5.99.0-1
Provides: perl:any
Maintainer: none
Description: declared, so that it is not downloaded

END
}

mysql9_apt() {
  local apt=$1
  shift
  apt-get --yes --quiet \
    -o Dir::Etc="$apt/etc" -o Dir::Etc::SourceList="$apt/etc/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::State="$apt/state" -o Dir::State::Status="$apt/status" -o Dir::Cache="$apt/cache" \
    -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User="$(id -un)" \
    -o Debug::NoLocking=true -o Acquire::Languages=none -o Acquire::Retries=2 "$@"
}

unpack_mysql9() {
  local apt=$1 root=$2 package
  for package in "$apt"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$root" || return
  done
  # The loader lies in /usr/lib64 or in /lib64, as the archive has it.
  [ -e "$root/usr/lib64/ld-linux-x86-64.so.2" ] ||
    { mkdir -p "$root/usr/lib64" &&
      cp "$root"/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$root/usr/lib64/"; }
  [ -x "$root/usr/sbin/mysqld" ] && chmod -R a+rX "$root"
}
