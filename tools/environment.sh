# Sourced by the other scripts: where the compiler cache lives, and steps that say how long they took.
# shellcheck shell=bash

export CCACHE_DIR=${CCACHE_DIR:-$PWD/.cache/ccache}
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$PWD}
export CCACHE_NOHASHDIR=1
mkdir -p "$CCACHE_DIR"

# step TITLE COMMAND...: runs the command in this shell and prints its time; returns its status. As bash
# ignores `set -e` in a command whose status is looked at, functions run by it return failures themselves.
step() {
  local title=$1 start=$SECONDS status=0
  shift
  printf '\n== %s\n' "$title"
  "$@" || status=$?
  if [[ $status -eq 0 ]]; then
    printf '== %s: %d s\n' "$title" $((SECONDS - start))
  else
    printf '== %s: FAILED with status %d after %d s\n' "$title" "$status" $((SECONDS - start))
  fi
  return "$status"
}
