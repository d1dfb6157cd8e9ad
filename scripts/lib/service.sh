# shellcheck shell=bash
# Sourced by quickstart: one registry as a background process, known by a file with its pid.
# Uses: $place (the data directory), $mine (what quickstart keeps beside the database), fail, say.

quorate() { node "$root/bin/quorate.mjs" "$@"; }

is_listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The first free pair of ports from 7070 on: one for the API, the next for metrics.
free_port() {
  local port
  for ((port = 7070; port < 7170; port += 2)); do
    is_listening "$port" || is_listening $((port + 1)) || { echo "$port"; return; }
  done
  fail 'expected a free pair of ports from 7070 to 7170, found none' 'Stop what listens there, then run this again.'
}

# The pid of the running service; fails when there is none. A pid may have been given to another program since.
service_pid() {
  local pid
  pid=$(cat "$mine/pid" 2>/dev/null) || return 1
  [[ $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null || ps -p "$pid" -o args= 2>/dev/null) == *"bin/quorate.mjs serve"* ]] || return 1
  echo "$pid"
}

# Starts the service, waits until it answers, and writes $mine/env for the commands that follow.
start_service() {
  local port pid
  port=$(free_port)
  url=http://127.0.0.1:$port metrics=http://127.0.0.1:$((port + 1))/metrics
  [[ $port == 7070 ]] || say "${dim}Port 7070 or 7071 is taken; using $port.${plain}"
  show "quorate serve --data $place --log-key $mine/log.pem --listen 127.0.0.1:$port &"
  nohup node "$root/bin/quorate.mjs" serve --data "$place" --log-key "$mine/log.pem" \
    --listen "127.0.0.1:$port" --metrics-listen "127.0.0.1:$((port + 1))" >"$mine/serve.log" 2>&1 </dev/null &
  pid=$!
  disown
  echo "$pid" >"$mine/pid"
  until is_listening "$port"; do
    kill -0 "$pid" 2>/dev/null || { tail -n 5 "$mine/serve.log" >&2; fail "the service ended while it started" "Its log is $mine/serve.log"; }
    sleep 0.05
  done
  write_env
}

write_env() {
  cat >"$mine/env" <<ENV
# For a shell: source $mine/env
export QUORATE_URL=$url QUORATE_STATE=$(cd "$mine" && pwd)/state/you ${registry:+QUORATE_REGISTRY=$registry}
metrics=$metrics
quorate() { "$root/node_modules/.bin/node" "$root/bin/quorate.mjs" "\$@"; }
ENV
}

stop_service() {
  local pid
  pid=$(service_pid) || return 1
  kill "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
  rm -f "$mine/pid"
}
