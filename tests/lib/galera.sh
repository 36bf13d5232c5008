# shellcheck shell=bash
# A Galera cluster of three MariaDB nodes on loopback, for tests. Source this file after servers.sh; each
# node DIR/1, DIR/2, DIR/3 is a server of that file (server_url, kill_server, stop_server).
#
#     reason=$(cannot_galera) && echo "no cluster: $reason"
#     start_galera DIR
#     await_galera DIR/2 wsrep_cluster_size 2
#     stop_galera DIR
#
# The second and third node begin with a copy of the first one's data, so that to join they need only
# what was written since (IST, which the nodes do among themselves), and not all of it (SST, whose
# scripts are in a larger package than the server). The server still wants a script to say so.

galera_provider=/usr/lib/galera/libgalera_smm.so

# cannot_galera: prints why there can be no cluster; fails when there can.
cannot_galera() {
  [ -e "$galera_provider" ] && return 1
  echo "no $galera_provider (Debian: galera-4)"
}

start_galera() {
  local dir=$1 base peers node
  mkdir -p "$dir/bin" "$dir/state" && chmod 711 "$dir" && chmod 1777 "$dir/state" &&
    make_galera_sst "$dir" || return
  base=$((20000 + (RANDOM << 15 | RANDOM) % 12000))
  peers=127.0.0.1:$base,127.0.0.1:$((base + 2)),127.0.0.1:$((base + 4))
  local PATH=$dir/bin:$PATH

  start_mariadb "$dir/1" 'innodb_log_file_size = 8M' 'innodb_buffer_pool_size = 32M' &&
    stop_server "$dir/1" && configure_galera "$dir/1" "$base" '' &&
    run_galera "$dir/1" && stop_server "$dir/1" || return
  for node in 2 3; do
    copy_galera "$dir/1" "$dir/$node" && configure_galera "$dir/$node" $((base + 2 * node - 2)) "$peers" ||
      return
  done
  run_galera "$dir/1" && start_on_free_port "$dir/2" && start_on_free_port "$dir/3" || return
  for node in 1 2 3; do
    await_galera "$dir/$node" wsrep_cluster_size 3 &&
      await_galera "$dir/$node" wsrep_local_state_comment Synced || return
  done
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

# What is below is for the functions above.

# make_galera_sst DIR: the script, which the server calls on the node that joins, and on the one that
# gives: by a file it passes on from which state the former goes on.
make_galera_sst() {
  cat >"$1/bin/wsrep_sst_alike" <<END
#!/bin/bash
while [ \$# -gt 0 ]; do
  case \$1 in
    --role) role=\$2 ;;
    --gtid) gtid=\$2 ;;
    --address) address=\$2 ;;
    --datadir) datadir=\$2 ;;
  esac
  shift
done
if [ "\$role" = donor ]; then
  file=$1/state/\${address##*/}
  echo continue
  echo "\$gtid" >"\$file.new" && mv "\$file.new" "\$file" && echo "done \$gtid"
else
  name=\$(basename "\$(dirname "\$datadir")")
  rm -f "$1/state/\$name"
  echo "ready 127.0.0.1:1/\$name"
  until [ -e "$1/state/\$name" ]; do sleep 0.05; done
  cat "$1/state/\$name"
fi
END
  chmod 755 "$1/bin" "$1/bin/wsrep_sst_alike"
}

# configure_galera DIR PORT PEERS: without peers it makes the cluster.
configure_galera() {
  cat >>"$1/my.cnf" <<END
binlog_format = ROW
innodb_autoinc_lock_mode = 2
wsrep_on = ON
wsrep_provider = $galera_provider
wsrep_cluster_address = gcomm://$3
wsrep_node_address = 127.0.0.1:$2
wsrep_sst_method = alike
wsrep_provider_options = gmcast.listen_addr=tcp://127.0.0.1:$2;ist.recv_addr=127.0.0.1:$(($2 + 1));gcache.size=32M
END
}

run_galera() {
  run_server "$1" || { server_failed "$1" start; return 1; }
}

# copy_galera FROM TO: a node with the data and the settings of another that is stopped, but its own.
copy_galera() {
  local from=$1 to=$2
  make_server_dir mariadb "$to" && rm -f "$from"/data/galera.cache "$from"/data/gvwstate.dat &&
    cp -R "$from/data/." "$to/data" && { [ ! -e "$to/user" ] || chown -R "$(cat "$to/user")" "$to/data"; } &&
    sed -e '/^wsrep_/d' -e "s|$from|$to|" "$from/my.cnf" >"$to/my.cnf" &&
    sed -i 's/^safe_to_bootstrap:.*/safe_to_bootstrap: 0/' "$to/data/grastate.dat"
}
