#!/usr/bin/env bash
# The ABI: what is checked in here against a library as built, with debug information.
#     abi.sh check LIBRARY     fails at any difference
#     abi.sh refresh LIBRARY   takes the library's ABI over; "./run abi" does it
# A member added to the end of an option struct, or a function added, is a reason to
# refresh. Anything else breaks programs that are out there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
headers=$(cd "$here/../../include" && pwd)
library=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Names with their versions; "A" is the version itself.
nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | LC_ALL=C sort >"$scratch/symbols.txt"
if grep -v '^sheep_' "$scratch/symbols.txt"; then
  echo "exported, but not the ABI's" >&2
  exit 1
fi
# What the header doesn't define stays out: how a pool looks inside is no part of it.
abidw --no-architecture --no-corpus-path --no-comp-dir-path --no-elf-needed --no-show-locs \
  --exported-interfaces-only --headers-dir "$headers" --drop-private-types \
  --out-file "$scratch/holysheep.abi" "$library"

case $1 in
  check)
    diff -u "$here/symbols.txt" "$scratch/symbols.txt"
    abidiff --no-architecture "$here/holysheep.abi" "$scratch/holysheep.abi"
    ;;
  refresh)
    cp "$scratch/symbols.txt" "$scratch/holysheep.abi" "$here"
    ;;
  *)
    sed -n 's/^# \?//p' "$0" >&2
    exit 2
    ;;
esac
