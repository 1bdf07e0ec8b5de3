#!/usr/bin/env bash
# The installed library, as a program elsewhere uses it: by pkg-config, dynamically and
# statically, and its header from C and C++.
#     installed.sh BUILD_FOLDER GATEWAY
set -euo pipefail
build=$1
gateway=$2
example=$(cd "$(dirname "$0")/../../examples" && pwd)/ten_calls.c
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
strict=(-Wall -Wextra -Wpedantic -Wconversion -Werror)

meson install -C "$build" --no-rebuild --quiet --destdir "$root"
found=$(find "$root" -name holysheep.pc)
export PKG_CONFIG_PATH=${found%/*} PKG_CONFIG_SYSROOT_DIR=$root
libraries=$(dirname "$PKG_CONFIG_PATH")

echo "the header, in C and C++"
header=$(find "$root" -name holysheep.h)
cc -x c -std=c99 "${strict[@]}" -fsyntax-only "$header"
clang -x c++ -std=c++11 "${strict[@]}" -fsyntax-only "$header"

echo "a program, linked dynamically and statically"
read -ra flags <<<"$(pkg-config --cflags --libs holysheep)"
cc -std=c99 "${strict[@]}" "$example" -o "$root/dynamic" "${flags[@]}"
read -ra cflags <<<"$(pkg-config --cflags holysheep)"
read -ra needed <<<"$(pkg-config --print-requires-private holysheep | cut -d' ' -f1 | tr '\n' ' ')"
read -ra others <<<"$(env -u PKG_CONFIG_SYSROOT_DIR pkg-config --libs "${needed[@]}")"
cc -std=c99 "${strict[@]}" "${cflags[@]}" "$example" "$libraries/libholysheep.a" -o "$root/static" \
  "${others[@]}" -pthread

echo "ten calls"
coproc server { "$gateway"; }
read -r addresses <&"${server[0]}"
address=$(sed 's/.*"http":"\([^"]*\)".*/\1/' <<<"$addresses")
url=http://$address/x/id=installed/v1
test "$(LD_LIBRARY_PATH=$libraries "$root/dynamic" "$url" | grep -c ': 200 {')" -eq 10
test "$("$root/static" "$url" | grep -c ': 200 {')" -eq 10
test -e "$libraries/libholysheep.so.0"
