#!/usr/bin/env bash
# A Debian package of one binary, with man pages, completions, systemd units and alert rules.
#
#   contrib/package/deb.sh BINARY ARCH OUTDIR [PROGRAM]      ARCH: amd64 or arm64
#
# The man pages come from PROGRAM, if BINARY cannot run on this machine. The same input gives the same package.
set -euo pipefail
binary=$(realpath "$1") arch=$2 out=$(realpath "$3") program=$(realpath "${4:-$1}")
cd "$(dirname "$0")/../.."
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.toml)}
export SOURCE_DATE_EPOCH

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
doc=$tree/usr/share/doc/mqstore
install -D -m 755 "$binary" "$tree/usr/bin/mqstore"
install -d -m 755 "$doc/examples" "$tree/usr/share/man/man1" "$tree/usr/lib/systemd/system" "$tree/DEBIAN"

"$program" --quiet man "$tree/usr/share/man/man1" >/dev/null
gzip -9n "$tree"/usr/share/man/man1/*.1
completions() { install -d "$tree/$(dirname "$2")" && "$program" completions "$1" >"$tree/$2"; }
completions bash usr/share/bash-completion/completions/mqstore
completions zsh usr/share/zsh/vendor-completions/_mqstore
completions fish usr/share/fish/vendor_completions.d/mqstore.fish
install -m 644 contrib/systemd/*.service contrib/systemd/*.timer "$tree/usr/lib/systemd/system"
install -m 644 contrib/systemd/mqstore.conf.example contrib/prometheus/*.yml "$doc/examples"
gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
{ echo "mqstore is licensed under the Apache License, Version 2.0:"; echo; cat LICENSE; } >"$doc/copyright"

size=$(du -sk --apparent-size "$tree/usr" | cut -f1)
cat >"$tree/DEBIAN/control" <<CONTROL
Package: mqstore
Version: $version
Architecture: $arch
Maintainer: mqstore developers <mqstore@localhost>
Installed-Size: $size
Depends: libc6 (>= 2.17)
Section: admin
Priority: optional
Description: reads, proves and backs up Apache RocketMQ broker stores without a broker
 Shows what a broker's store is, proves that it is sound, archives everything but
 the commit log before an upgrade and restores it safely, compares a master with
 its slave, and says what a broker release will do to the store when it starts.
CONTROL
find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/mqstore_${version}_$arch.deb"
