#!/usr/bin/env bash
# Builds mqstore for systems with glibc 2.17 or later (RHEL/CentOS 7, Debian 8, Ubuntu 14.04 and everything since).
#
#   contrib/package/portable.sh [x86_64] [aarch64]      default: this machine's
#
# Needs Rust with rustup, Python 3 with venv, and the registries of both; zig is the linker, and brings the old glibc.
# Result: target/portable/mqstore-ARCH, its needs checked by portable-check.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
glibc=2.17

tools=target/portable/tools
if [[ ! -x $tools/bin/cargo-zigbuild ]]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check 'cargo-zigbuild==0.*' 'ziglang==0.*'
fi
export PATH="$PWD/$tools/bin:$PATH"

for arch in "${@:-$(uname -m)}"; do
    target=$arch-unknown-linux-gnu
    rustup target add "$target" >/dev/null
    cargo zigbuild --release --locked --package mqstore --target "$target.$glibc"
    cp "target/$target/release/mqstore" "target/portable/mqstore-$arch"
    contrib/package/portable-check.sh "target/portable/mqstore-$arch" "$glibc"
done
