# shellcheck shell=bash
# Sourced by quickstart: how a journey is told. Commands are shown as a person would type them.

now_ms() { if [[ -n ${EPOCHREALTIME:-} ]]; then echo $((${EPOCHREALTIME//[.,]/} / 1000)); else echo $((SECONDS * 1000)); fi; }

began=$(now_ms) step_began=$began step_number=0

seconds_since() { local ms=$(($(now_ms) - $1)); printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100)); }

# step TITLE: ends the step before it, with its time, and opens the next.
step() {
  ((step_number == 0)) || say "${dim}  ($(seconds_since "$step_began"))${plain}"
  step_began=$(now_ms)
  step_number=$((step_number + 1))
  say "" "${bold}$step_number. $1${plain}"
}

show() { say "${dim}  \$ $1${plain}"; }

indent() { sed 's/^/    /'; }

# Words as a shell needs them: those with a space in quotes.
quoted() {
  local word words=()
  for word in "$@"; do
    [[ $word != *' '* ]] || word="'$word'"
    words+=("$word")
  done
  printf '%s' "${words[*]}"
}

# run COMMAND...: shows it, runs it, shows what it prints.
run() {
  show "$(quoted "$@")"
  "$@" 2>&1 | indent
}

# refused EXIT TEXT COMMAND...: shows a command that must fail, with this exit status and this text in what it says.
refused() {
  local expected=$1 text=$2 output status=0
  shift 2
  show "$(quoted "$@")"
  output=$("$@" 2>&1) || status=$?
  printf '%s\n' "$output" | indent
  if ((status != expected)) || [[ $output != *"$text"* ]]; then
    fail "expected '$*' to be refused with exit status $expected and \"$text\", got exit status $status"
  fi
  say "    ${green}refused, as it must be (exit status $status)${plain}"
}
