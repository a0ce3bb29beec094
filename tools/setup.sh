#!/usr/bin/env bash
# Prepares a fresh Debian 12 for building and testing: system packages, and a Python environment in .venv.
# usage: tools/setup.sh      (as root, or with sudo; run it again at will, it only does what is missing)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
  cmake ninja-build g++ ccache
  clang-22 lld-22 libclang-rt-22-dev llvm-22-dev llvm-22-tools libmlir-22-dev mlir-22-tools
  libzstd-dev zlib1g-dev libedit-dev
  libabsl-dev nlohmann-json3-dev libxxhash-dev libprotobuf-dev protobuf-compiler
  liblapack-dev libblas-dev
  libgtest-dev libboost-context-dev
  python3 python3-venv python3-pip unzip
)

say() { printf 'setup: %s\n' "$*"; }

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "system packages are missing and this is neither root nor is sudo there; as root run:" >&2
    printf '  apt-get update && apt-get install -y %s\n' "${packages[*]}" >&2
    exit 1
  fi
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    if [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
      printf '%s\n' "$package"
    fi
  done
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  if [[ ${#missing[@]} -eq 0 ]]; then
    say "all ${#packages[@]} system packages are installed"
    return
  fi
  say "installing ${missing[*]}"
  as_root apt-get update
  local package absent=()
  for package in "${missing[@]}"; do
    apt-cache show "$package" >/dev/null 2>&1 || absent+=("$package")
  done
  if [[ ${#absent[@]} -gt 0 ]]; then
    say "no package source has: ${absent[*]}" >&2
    say "LLVM 22 is not in Debian 12 itself: add LLVM's own source for it and run this again" >&2
    exit 1
  fi
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
}

# The first Python that can make environments and is new enough for the pinned packages.
find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 /usr/bin/python3; do
    if [[ -n $candidate ]] && "$candidate" -c '
import sys, venv, ensurepip
sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  say "no Python of version 3.11 or later with the venv module; name one in PYTHON" >&2
  exit 1
}

install_python_packages() {
  local requirements=tools/requirements.txt stamp=.venv/requirements.sha256 wanted python
  wanted=$(sha256sum <"$requirements")
  if [[ -x .venv/bin/python && -f $stamp && $(<"$stamp") == "$wanted" ]] &&
    .venv/bin/python -c '' 2>/dev/null; then
    say "the Python environment .venv is up to date"
    return
  fi
  python=$(find_python)
  say "making the Python environment .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
  printf '%s\n' "$wanted" >"$stamp"
}

install_packages
install_python_packages
say "done; next: cmake --preset dev && cmake --build build"
