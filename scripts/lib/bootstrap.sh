# shellcheck shell=bash
# Sourced by every script: goes to the project's root and sees to it that the packages of
# package-lock.json and the project's own Node are installed. The caller's Node only has to run npm;
# everything after this file runs node_modules/.bin/node.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cd "$root"
readonly root required_node=24.14.1

# Colours only where somebody looks at them; https://no-color.org
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' plain=''
fi

say() { printf '%s\n' "$@"; }

# fail WHAT [WHAT TO DO...]: one line for the cause, one for each thing to do.
fail() {
  printf '%s%s: %s%s\n' "$red" "${0##*/}" "$1" "$plain" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit 1
}

# The stamp is the lockfile that was installed, so that switching branches and back costs nothing.
# Packages installed by hand count too: npm leaves its own record, not older than the lockfile.
packages_are_current() {
  [[ -x node_modules/.bin/node ]] || return 1
  cmp -s package-lock.json node_modules/.installed-lock.json && return 0
  [[ -e node_modules/.package-lock.json && ! package-lock.json -nt node_modules/.package-lock.json ]]
}

install_packages() {
  command -v npm >/dev/null || fail 'expected npm, found none' \
    'Install Node.js 20 or newer with npm (https://nodejs.org, or: apt-get install nodejs npm), then run this again.' \
    'The project brings its own Node 24; yours only has to run npm.'
  local started=$SECONDS
  # Not `npm ci`: it refuses a lockfile without the binaries for platforms that a mirror does not
  # have. --no-save keeps the lockfile as it is, and a test compares it with package.json.
  # No scripts: from a lockfile npm does not see that better-sqlite3 is ready to use, and would
  # compile it for the caller's Node. The one script that is wanted brings Node 24, and runs alone.
  say "${dim}Installing the packages of package-lock.json (10 to 60 seconds, once) ...${plain}"
  npm_quietly install --no-save --include=dev --ignore-scripts --no-audit --no-fund
  say "${dim}Installing Node 24 as one of them ...${plain}"
  npm_quietly rebuild node --ignore-scripts=false
  cp package-lock.json node_modules/.installed-lock.json
  say "${dim}Installed in $((SECONDS - started)) s.${plain}"
}

npm_quietly() {
  local log status=0
  log=$(mktemp)
  # Retries that come soon: who is offline should hear of it in seconds.
  npm "$@" --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000 >"$log" 2>&1 </dev/null || status=$?
  if ((status != 0)); then
    head -n 20 "$log" >&2
    rm -f "$log"
    fail "npm $1 failed with exit status $status" \
      "If the lines above name a network error (ENOTFOUND, ETIMEDOUT, ECONNREFUSED, EAI_AGAIN): npm could not reach $(npm config get registry 2>/dev/null)." \
      'Check the connection, or a proxy in HTTPS_PROXY, or point npm at a mirror: npm config set registry URL' \
      'Then run this again.'
  fi
  rm -f "$log"
}

# better-sqlite3 crashes under Node 20, so the version is looked at each time, before anything runs.
assert_node() {
  local found
  found=$(node_modules/.bin/node --version 2>/dev/null) || found='none'
  if [[ $(printf '%s\n' "$required_node" "${found#v}" | sort -V | head -n 1) != "$required_node" ]]; then
    fail "expected node_modules/.bin/node to be at least $required_node, found $found" \
      'Remove node_modules and run this again.'
  fi
}

packages_are_current || install_packages
assert_node
export PATH="$root/node_modules/.bin:$PATH"
