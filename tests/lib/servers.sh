#!/bin/bash
# Private database servers, for tests and benchmarks: each lives in a directory of its own, on a free
# loopback port, with the durability that is its default. Nothing of the machine's own servers is
# touched. Source this file, or run it with a function's name and arguments:
#
#     tests/lib/servers.sh start_postgres /tmp/evd/pg 'max_connections = 20'
#     psql "$(tests/lib/servers.sh server_url /tmp/evd/pg)"
#     tests/lib/servers.sh kill_server /tmp/evd/pg       # as a power failure would
#     tests/lib/servers.sh restart_server /tmp/evd/pg
#     tests/lib/servers.sh stop_server /tmp/evd/pg
#
# A server's directory DIR, which the start makes, holds: kind, port, pid, user, log, data/, my.cnf
# (MariaDB's settings; PostgreSQL's are in data/postgresql.conf), socket (PostgreSQL's is a directory),
# and, with TLS, ca.pem, server.pem and server.key. Servers refuse to be run by root: for root, they are
# run by EVD_TEST_USER (nobody), who must be able to reach DIR.
#
# They are the newest PostgreSQL and the MariaDB that are installed, unless EVD_POSTGRES_BIN, the
# directory of its programs, or EVD_MARIADB_BASE, the directory that has bin and sbin, says otherwise.
#
# Each has a database "evd", owned by the user "evd", who may make other users, and other databases (in
# MariaDB, those whose names begin with evd; in PostgreSQL, may drop them while autovacuum is in there), and
# a superuser: postgres or root. All passwords are "evd".

PATH=$PATH:/usr/sbin # where mariadbd is, and not in every user's path

# start_postgres [--tls] DIR [SETTING...]: makes and starts a server; a SETTING is a line of
# postgresql.conf.
start_postgres() {
  local dir setting tls=
  [ "$1" = --tls ] && { tls=yes; shift; }
  dir=$(realpath -m -- "$1")
  shift
  make_server_dir postgres "$dir" || return
  echo evd >"$dir/password"
  as_server "$dir" "$(postgres_bin)/initdb" --pgdata="$dir/data" --username=postgres \
    --pwfile="$dir/password" --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync \
    >>"$dir/log" 2>&1 || { server_failed "$dir" initdb; return 1; }
  {
    echo "listen_addresses = '127.0.0.1'"
    echo "unix_socket_directories = '$(socket_path "$dir" /.s.PGSQL.00000)'"
    [ "$tls" ] && make_certificate "$dir" && postgres_tls "$dir"
    for setting; do
      echo "$setting"
    done
  } >>"$dir/data/postgresql.conf"
  as_server "$dir" "$(postgres_bin)/postgres" --single -D "$dir/data" postgres >>"$dir/log" 2>&1 <<END
CREATE ROLE evd LOGIN CREATEDB CREATEROLE PASSWORD 'evd' IN ROLE pg_signal_backend
CREATE DATABASE evd OWNER evd
END
  start_on_free_port "$dir"
}

# start_mariadb [--tls] DIR [SETTING...]: the same; a SETTING is a line of my.cnf. With --tls there is
# also a user "evd_tls", who may only come by TLS.
start_mariadb() {
  local dir setting tls=
  [ "$1" = --tls ] && { tls=yes; shift; }
  dir=$(realpath -m -- "$1")
  shift
  make_server_dir mariadb "$dir" || return
  {
    echo '[mariadbd]'
    [ "${EVD_MARIADB_BASE-}" ] && echo "basedir = $EVD_MARIADB_BASE"
    echo "datadir = $dir/data"
    echo "socket = $(socket_path "$dir" .sock)"
    echo 'bind_address = 127.0.0.1'
    echo 'character_set_server = utf8mb4'
    echo 'skip_name_resolve'
    [ "$tls" ] && make_certificate "$dir" && mariadb_tls "$dir"
    for setting; do
      echo "$setting"
    done
  } >"$dir/my.cnf"
  cat >"$dir/users.sql" <<'END'
FLUSH PRIVILEGES;
CREATE DATABASE evd CHARACTER SET utf8mb4;
CREATE USER evd@'%' IDENTIFIED BY 'evd';
CREATE USER evd_tls@'%' IDENTIFIED BY 'evd' REQUIRE SSL;
GRANT ALL ON `evd%`.* TO evd@'%', evd_tls@'%' WITH GRANT OPTION;
GRANT CREATE USER, PROCESS ON *.* TO evd@'%';
ALTER USER root@'127.0.0.1' IDENTIFIED BY 'evd';
END
  as_server "$dir" "${EVD_MARIADB_BASE:-/usr}/bin/mariadb-install-db" --no-defaults \
    ${EVD_MARIADB_BASE:+--basedir="$EVD_MARIADB_BASE"} --datadir="$dir/data" --skip-test-db \
    --auth-root-authentication-method=normal --extra-file="$dir/users.sql" \
    >>"$dir/log" 2>&1 || { server_failed "$dir" mariadb-install-db; return 1; }
  start_on_free_port "$dir"
}

# stop_server DIR: stops the server in good order, and waits for its end.
stop_server() {
  server_runs "$1" || return 0
  local signal=TERM
  [ "$(server_kind "$1")" = postgres ] && signal=INT # fast: does not wait for clients
  kill -s "$signal" "$(server_pid "$1")"
  await_end "$(server_pid "$1")" 300 || kill_server "$1"
}

# stop_servers_below DIR: stops every server whose directory is somewhere in there.
stop_servers_below() {
  local kind
  while read -r kind; do
    stop_server "${kind%/kind}"
  done < <(find "$1" -name kind -type f 2>/dev/null)
}

# kill_server DIR: ends all of the server's processes at once, as a power failure would. The parent is
# stopped before its children are counted, so that it makes no more: one that lived on would keep the
# shared memory, and the server from starting again.
kill_server() {
  server_runs "$1" || return 0
  local pid children child
  pid=$(server_pid "$1")
  kill -STOP "$pid" 2>/dev/null
  children=$(children_of "$pid")
  # shellcheck disable=SC2086 # a list
  kill -KILL "$pid" $children 2>/dev/null
  for child in $pid $children; do
    await_end "$child" 100
  done
}

# restart_server DIR: starts a stopped or killed server again, on the port it had.
restart_server() {
  stop_server "$1" && run_server "$(realpath -- "$1")" && return
  server_failed "$1" 'start again'
  return 1
}

server_kind() { cat "$1/kind"; }
server_port() { cat "$1/port"; }
server_pid() { cat "$1/pid"; }

# server_url DIR [USER]: the URL of its database, for "evd" or another user.
server_url() {
  local scheme=mysql
  [ "$(server_kind "$1")" = postgres ] && scheme=postgresql
  echo "$scheme://${2:-evd}:evd@127.0.0.1:$(server_port "$1")/evd"
}

# server_runs DIR: whether its process is there.
server_runs() {
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) && [ -n "$pid" ] && process_runs "$pid"
}

# What is below is for the functions above.

# make_server_dir KIND DIR
make_server_dir() {
  if [ -e "$2" ]; then
    echo "$2: exists already" >&2
    return 1
  fi
  mkdir -p "$2/data" && chmod 700 "$2/data" && echo "$1" >"$2/kind" && : >"$2/log" || return
  if [ "$(id -u)" = 0 ]; then
    echo "${EVD_TEST_USER:-nobody}" >"$2/user"
    chown -R "$(cat "$2/user")" "$2"
  fi
}

# as_server DIR COMMAND...: runs the command as the user who runs the server.
as_server() (
  exec_as_server "$@"
)

# exec_as_server DIR COMMAND...: the same, in place of this shell. Temporary files are in DIR: a MariaDB
# that starts deletes those of all others that have the same directory for them.
exec_as_server() {
  local dir=$1 user
  shift
  cd "$dir" || exit
  if [ -e user ]; then
    user=$(cat user)
    set -- setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"
  fi
  HOME=$dir TMPDIR=$dir exec "$@"
}

# socket_path DIR SUFFIX: a name for a Unix socket, or "" where it would be too long for one.
socket_path() {
  local path=$1/socket
  [ "$(server_kind "$1")" = postgres ] && mkdir -p "$path" && chown --reference="$1" "$path"
  [ $((${#path} + ${#2})) -lt 108 ] && echo "$path"
}

# start_on_free_port DIR: another may take the port between our look and the server's bind, so tries
# a few. The ports are below those the kernel gives to outgoing connections.
start_on_free_port() {
  local attempt port
  for attempt in 1 2 3 4 5; do
    port=$((20000 + (RANDOM << 15 | RANDOM) % 12000))
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
    echo "$port" >"$1/port"
    run_server "$1" && return
    grep -qi 'address already in use' "$1/log" || break
  done
  server_failed "$1" "start, attempt $attempt"
  return 1
}

# run_server DIR: starts the server's process and waits until it takes connections.
run_server() {
  local dir=$1
  case $(server_kind "$dir") in
    postgres)
      set -- "$(postgres_bin)/postgres" -D "$dir/data" -p "$(server_port "$dir")"
      # A killed server's locks hold as long as its process is there, be it as a zombie.
      rm -f "$dir/data/postmaster.pid" "$dir"/socket/.s.PGSQL.*.lock
      ;;
    mariadb)
      set -- "${EVD_MARIADB_BASE:-/usr}/sbin/mariadbd" --defaults-file="$dir/my.cnf" \
        --port="$(server_port "$dir")"
      ;;
    mysql) # of archive.sh
      set -- "$BASH" "$dir/mysqld" --bind-address=127.0.0.1 --port="$(server_port "$dir")" --mysqlx=OFF
      ;;
  esac
  exec_as_server "$dir" "$@" </dev/null >>"$dir/log" 2>&1 &
  echo $! >"$dir/pid"
  disown $!
  await_ready "$dir"
}

# await_ready DIR: until the server greets, for a minute, or until it has ended.
await_ready() {
  local tenths
  for ((tenths = 0; tenths < 600; tenths++)); do
    server_runs "$1" || return 1
    server_greets "$1" && return
    sleep 0.1
  done
  stop_server "$1"
  return 1
}

# server_greets DIR: whether it takes connections: MariaDB speaks first, PostgreSQL is asked.
server_greets() {
  case $(server_kind "$1") in
    postgres) "$(postgres_bin)/pg_isready" -q -h 127.0.0.1 -p "$(server_port "$1")" ;;
    mariadb | mysql) (read -r -n 1 -t 10 <>"/dev/tcp/127.0.0.1/$(server_port "$1")") 2>/dev/null ;;
  esac
}

# children_of PID: its children's numbers. Other processes end meanwhile, so that files vanish.
children_of() {
  grep -lsx "PPid:[[:space:]]*$1" /proc/[0-9]*/status | tr -dc '0-9\n'
}

# process_runs PID: whether it is there, and not a zombie that nobody has reaped.
process_runs() {
  grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"
}

# await_end PID TENTHS: waits for the process's end so many tenths of a second.
await_end() {
  local tenths
  for ((tenths = 0; tenths < $2; tenths++)); do
    process_runs "$1" || return 0
    sleep 0.1
  done
  return 1
}

server_failed() {
  echo "$1: $2 failed:" >&2
  tail -n 20 "$1/log" >&2
}

# Debian keeps PostgreSQL's servers out of PATH.
postgres_bin() {
  [ "${EVD_POSTGRES_BIN-}" ] && echo "$EVD_POSTGRES_BIN" && return
  printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1
}

# make_certificate DIR: a certificate of 127.0.0.1 and localhost, signed by itself.
make_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext 'subjectAltName = DNS:localhost, IP:127.0.0.1' \
    -keyout "$1/server.key" -out "$1/server.pem" 2>>"$1/log" &&
    cp "$1/server.pem" "$1/ca.pem" && chmod 600 "$1/server.key" &&
    chown --reference="$1" "$1/server.key" "$1/server.pem" "$1/ca.pem"
}

postgres_tls() {
  printf '%s\n' "ssl = on" "ssl_cert_file = '$1/server.pem'" "ssl_key_file = '$1/server.key'"
}

mariadb_tls() {
  printf '%s\n' "ssl_cert = $1/server.pem" "ssl_key = $1/server.key" "ssl_ca = $1/ca.pem"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  "$@"
fi
