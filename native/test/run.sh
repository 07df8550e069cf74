#!/usr/bin/env bash
# Builds and runs native/test/kernels.cpp: run.sh native | run.sh aarch64 (by cross compiler, under qemu-user).
# Exit code 77: a tool is missing, and which.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
common="-std=c++17 -O2 -ffp-contract=off -pthread"
need() { command -v "$1" > /dev/null || { echo "missing: $1"; exit 77; }; }

case "${1:-native}" in
  native)
    need g++
    isas="scalar"
    [ "$(uname -m)" = x86_64 ] && isas="scalar sse2 avx2 avx512"
    [ "$(uname -m)" = aarch64 ] && isas="scalar neon"
    compiler=g++; runner="" ;;
  aarch64)
    need aarch64-linux-gnu-g++
    need qemu-aarch64-static
    isas="scalar neon"; compiler="aarch64-linux-gnu-g++ -static"; runner=qemu-aarch64-static ;;
  *) echo "usage: run.sh native|aarch64"; exit 2 ;;
esac
compile() {
  local isa=$1 flags="" leaks
  [ "$isa" = avx2 ] && flags="-mavx2 -mfma -mf16c"
  [ "$isa" = avx512 ] && flags="-mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -Wno-maybe-uninitialized"
  $compiler $common $flags -c "isa/$isa.cpp" -o "$out/$isa.o"
  # The leak rule: one global symbol leaves the unit, its table.
  leaks=$(nm --defined-only --extern-only "$out/$isa.o" 2> /dev/null | grep -v "$isa"6kTableE || true)
  [ -z "$leaks" ] || { echo "isa/$isa.cpp leaks: $leaks"; exit 1; }
}
# Side by side: each takes up to a minute.
pids=""
for isa in $isas; do
  compile "$isa" &
  pids="$pids $!"
done
for pid in $pids; do wait "$pid"; done
$compiler $common test/kernels.cpp runtime/cpu.cpp "$out"/*.o -o "$out/kernels"
$runner "$out/kernels"
