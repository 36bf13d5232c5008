# shellcheck shell=bash
# A Galera cluster of three MariaDB nodes on loopback, for tests. Source this file after servers.sh; each
# node DIR/1, DIR/2, DIR/3 is a server of that file (server_url, kill_server, stop_server).
#
#     galera_reason=$(cannot_galera) && echo "no cluster: $galera_reason"
#     start_galera DIR
#     await_galera DIR/2 wsrep_cluster_size 2
#     stop_galera DIR
#
# The nodes begin alike and empty, so a node that joins needs no copy of the data: the script that would
# make one (SST, by rsync and the like in a larger package than the server) only passes on which state
# it is, in a file.

galera_provider=/usr/lib/galera/libgalera_smm.so

# cannot_galera: prints why there can be no cluster; fails when there can.
cannot_galera() {
  [ -e "$galera_provider" ] && return 1
  echo "no $galera_provider (Debian: galera-4)"
}

start_galera() {
  local dir=$1 base node peers
  mkdir -p "$dir/bin" "$dir/state" && chmod 711 "$dir" && chmod 1777 "$dir/state" &&
    make_galera_sst "$dir" || return
  base=$((20000 + (RANDOM << 15 | RANDOM) % 12000))
  peers=127.0.0.1:$base,127.0.0.1:$((base + 2)),127.0.0.1:$((base + 4))
  for node in 1 2 3; do
    PATH=$dir/bin:$PATH start_galera_node "$dir/$node" $((base + 2 * (node - 1))) "$peers" "$node" &&
      await_galera "$dir/$node" wsrep_local_state_comment Synced &&
      await_galera "$dir/1" wsrep_cluster_size "$node" || return
  done
}

# make_galera_sst DIR: the script, as the server calls it on the node that joins and on the one that gives.
make_galera_sst() {
  cat >"$1/bin/wsrep_sst_none" <<END
#!/bin/bash
while [ \$# -gt 0 ]; do
  case \$1 in
    --role) role=\$2 ;;
    --gtid) gtid=\$2 ;;
  esac
  shift
done
if [ "\$role" = donor ]; then
  echo "\$gtid" >"$1/state/new" && mv "$1/state/new" "$1/state/gtid" && echo "done \$gtid"
else
  rm -f "$1/state/gtid"
  echo "ready none"
  until [ -e "$1/state/gtid" ]; do sleep 0.05; done
  cat "$1/state/gtid"
fi
END
  chmod 755 "$1/bin" "$1/bin/wsrep_sst_none"
}

# start_galera_node DIR PORT PEERS NUMBER: the first makes the cluster, the others join it.
start_galera_node() {
  local dir=$1 port=$2 peers=$3
  [ "$4" = 1 ] && peers=
  start_mariadb "$dir" 'binlog_format = ROW' 'innodb_autoinc_lock_mode = 2' \
    'innodb_buffer_pool_size = 32M' && stop_server "$dir" || return
  cat >>"$dir/my.cnf" <<END
wsrep_on = ON
wsrep_provider = $galera_provider
wsrep_cluster_address = gcomm://$peers
wsrep_node_address = 127.0.0.1:$port
wsrep_sst_method = none
wsrep_provider_options = gmcast.listen_addr=tcp://127.0.0.1:$port;ist.recv_addr=127.0.0.1:$((port + 1));gcache.size=32M
END
  run_server "$dir" || { server_failed "$dir" start; return 1; }
}

# await_galera DIR STATUS VALUE: until the node says so of itself, for half a minute.
await_galera() {
  local tenths value
  for ((tenths = 0; tenths < 300; tenths++)); do
    value=$(galera_status "$1" "$2")
    [ "$value" = "$3" ] && return
    server_runs "$1" || break
    sleep 0.1
  done
  server_failed "$1" "await $2 = $3 (it is \"$value\")"
  return 1
}

# galera_status DIR STATUS: a status variable of a node.
galera_status() {
  mariadb --no-defaults --protocol=tcp --host=127.0.0.1 --port="$(server_port "$1")" --user=evd \
    --password=evd --batch --skip-column-names --execute="show status like '$2'" 2>/dev/null | cut -f 2
}

stop_galera() {
  local node
  for node in 1 2 3; do
    [ -e "$1/$node/pid" ] && kill_server "$1/$node"
  done
}
