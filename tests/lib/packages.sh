#!/bin/bash
# The Debian packages that building, testing and benchmarking take, and how the missing ones come here.
# To be sourced; it also runs itself as root, which is the one part that needs to be.

# shellcheck disable=SC2034 # for those who source this
{
  build_packages=(gcc libc6-dev make autoconf automake libtool pkg-config xz-utils git
    libev-dev libpq-dev libmariadb-dev libsqlite3-dev libcjson-dev uthash-dev liburiparser-dev)
  server_packages=(postgresql pgbouncer galera-4 mariadb-server-core mariadb-client-core openssl)
  check_packages=(g++ libcmocka-dev clang libclang-rt-dev llvm clang-tidy clang-format cppcheck
    shellcheck doxygen)
}

# ensure_packages PACKAGE...: installs those that are missing; says nothing if there are none.
ensure_packages() {
  local missing=() package
  for package; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  echo "installing ${missing[*]}"
  if [ "$(id -u)" = 0 ]; then
    bash "${BASH_SOURCE[0]}" "${missing[@]}"
  else
    sudo bash "${BASH_SOURCE[0]}" "${missing[@]}"
  fi </dev/null
}

# install_packages PACKAGE...: as root. A database's package would make a cluster and start a service,
# now and at every boot: while it installs, PostgreSQL is told to make none, and services not to start.
install_packages() {
  policy=/usr/sbin/policy-rc.d
  cluster=/etc/postgresql-common/createcluster.d
  trap restore EXIT
  trap 'exit 1' INT TERM HUP

  # Where an installation was killed, what is there is ours, and what was there before is kept already.
  if [ -e "$policy" ] && ! [ -e "$policy.evdurable" ] && ! grep -q evdurable "$policy"; then
    mv "$policy" "$policy.evdurable"
  fi
  printf '#!/bin/sh\n# While evdurable installs packages.\nexit 101\n' >"$policy" && chmod 755 "$policy"
  mkdir -p "$cluster" && echo 'create_main_cluster = false' >"$cluster/evdurable.conf"

  export DEBIAN_FRONTEND=noninteractive
  apt_get update && apt_get install -y --no-install-recommends --no-upgrade "$@"
}

# apt_get ARGUMENT...: waits up to five minutes for another apt, as new machines run one at boot. For
# dpkg's lock apt-get itself waits; for those of the lists and the archives it does not.
apt_get() {
  local errors end=$((SECONDS + 300))
  until errors=$(LC_ALL=C apt-get -q -o DPkg::Lock::Timeout=300 "$@" 2>&1 >&3); do
    echo "$errors" >&2
    [[ $errors == *'Could not get lock'* ]] && [ $SECONDS -lt $end ] || return
    sleep 2
  done
} 3>&1

restore() {
  rm -f "$policy" "$cluster/evdurable.conf"
  rmdir --ignore-fail-on-non-empty "$cluster"
  [ -e "$policy.evdurable" ] && mv "$policy.evdurable" "$policy"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  log=$(mktemp)
  install_packages "$@" >"$log" 2>&1
  status=$?
  [ "$status" = 0 ] || tail -n 30 "$log" >&2
  rm -f "$log"
  exit "$status"
fi
