# shellcheck shell=bash
# The laboratory of the demo: loop-mounted pools, agents as processes, and one place that undoes all of it.
# Sourced by Scripts/demo, which sets `lab` (a directory of its own), `agent` and `replctl` (the binaries).

lab_mounts=()
lab_loops=()
lab_processes=()
declare -A agent_process=()

say() { printf '\n\e[1m%s\e[0m\n' "$*"; }
note() { printf '  %s\n' "$*"; }
fail() {
  printf '\ndemo: %s\n' "$*" >&2
  exit 1
}

# SIGQUIT is PostgreSQL's immediate shutdown: unlike SIGKILL it leaves no shared memory behind.
lab_quit_databases() {
  local process turn
  for process in "${lab_processes[@]}"; do kill -QUIT -- "-$process" 2>/dev/null; done
  for ((turn = 0; turn < 30; turn++)); do
    for process in "${lab_processes[@]}"; do kill -0 -- "-$process" 2>/dev/null && sleep 0.1 && continue 2; done
    return
  done
}

# Undoes everything, in the reverse order of making it; whatever is missing is no error.
lab_clean_up() {
  local verdict=$?
  trap - EXIT INT TERM HUP
  set +e
  local process mount loop turn
  lab_quit_databases
  for process in "${lab_processes[@]}" "${agent_process[@]}"; do kill -KILL -- "-$process" "$process" 2>/dev/null; done
  for process in "${lab_processes[@]}" "${agent_process[@]}"; do wait "$process" 2>/dev/null; done
  for ((turn = ${#lab_mounts[@]} - 1; turn >= 0; turn--)); do
    mount=${lab_mounts[turn]}
    lab_unmount "$mount"
    # A loop device over a file of this mount has to go before the mount below it can.
    for loop in "${lab_loops[@]}"; do losetup --detach "$loop" 2>/dev/null; done
  done
  rm -rf --one-file-system -- "$lab"
  exit "$verdict"
}

# Killed processes may hold a mount a moment longer.
lab_unmount() {
  local try
  mountpoint -q "$1" || return 0
  for ((try = 0; try < 50; try++)); do
    umount "$1" 2>/dev/null && return 0
    sleep 0.1
  done
  umount --lazy "$1"
}

# Runs a command in the background in a session of its own, so that it can be ended with all its children.
# Usage: background LOGFILE COMMAND…; the process id is in `background_process`.
background() {
  local log=$1
  shift
  setsid -- "$@" >>"$log" 2>&1 </dev/null &
  background_process=$!
}

# The value at a dotted path of the JSON document on stdin; empty when it is not there.
json() { "$support/json-get" "$@"; }

# A fresh file system in a sparse file, mounted by loop. Usage: make_pool NAME xfs|btrfs SIZE
make_pool() {
  local name=$1 kind=$2 size=$3 image=$lab/$1.disk directory=$lab/$1
  truncate -s "$size" "$image"
  mkdir -p "$directory"
  case $kind in
    xfs) mkfs.xfs -q -m reflink=1 "$image" ;;
    btrfs) mkfs.btrfs -q "$image" >/dev/null ;;
  esac
  mount -o loop "$image" "$directory"
  lab_mounts+=("$directory")
}

# Attaches a loop device to a volume's file; the device is in `attached_device`.
attach_loop() {
  attached_device=$(losetup --find --show "$1")
  lab_loops+=("$attached_device")
}

detach_loop() {
  losetup --detach "$1"
  local loop kept=()
  for loop in "${lab_loops[@]}"; do [[ $loop == "$1" ]] || kept+=("$loop"); done
  lab_loops=("${kept[@]}")
}

mount_at() {
  mkdir -p "$2"
  mount "$1" "$2"
  lab_mounts+=("$2")
}

# Usage: configure_agent NAME CLUSTERID ADDRESS POOLDIRECTORY
configure_agent() {
  mkdir -p "$lab/$1.state"
  cat >"$lab/$1.yaml" <<CONFIG
clusterID: $2
node: $1
stateDirectory: $lab/$1.state
socket: $lab/$1.sock
listen:
  address: $3
  controlPort: 9001
  dataPort: 9010
pools:
  - name: pool
    path: $4
log:
  level: info
  format: text
CONFIG
}

start_agent() {
  background "$lab/$1.log" "$agent" run --config "$lab/$1.yaml"
  agent_process[$1]=$background_process
  local deadline=$((SECONDS + 30))
  until "$replctl" status --socket "$lab/$1.sock" -o json >/dev/null 2>&1; do
    kill -0 "${agent_process[$1]}" 2>/dev/null || { tail -n 20 "$lab/$1.log" >&2; fail "agent $1 ended; its log is above"; }
    ((SECONDS < deadline)) || { tail -n 20 "$lab/$1.log" >&2; fail "agent $1 was not ready within 30 s; its log is above"; }
    sleep 0.05
  done
}

# The worst that can happen to a process, at once.
kill_agent() {
  kill -KILL "${agent_process[$1]}"
  wait "${agent_process[$1]}" 2>/dev/null || true
  unset "agent_process[$1]"
}

at() {
  local site=$1 verb=$2
  shift 2
  "$replctl" "$verb" "$@" --socket "$lab/$site.sock"
}

# Fails when something else already listens where the agents will.
require_free_ports() {
  local address port
  for address in "$@"; do
    for port in 9001 9010; do
      python3 - "$address" "$port" <<'PYTHON' || fail "port $port of $address is in use; stop what listens there (ss -ltnp shows it) and try again"
import socket, sys
probe = socket.socket()
probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    probe.bind((sys.argv[1], int(sys.argv[2])))
except OSError:
    sys.exit(1)
PYTHON
    done
  done
}
