#!/usr/bin/env bash
# Does a binary run from this version of glibc on? By the versions of the symbols that it asks for.
#
#   contrib/package/portable-check.sh BINARY 2.17
set -euo pipefail
binary=$1 limit=$2

symbols=$(readelf --wide --version-info "$binary")
libraries=$(readelf --wide --dynamic "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
newest=$(grep -o 'GLIBC_[0-9.]*' <<<"$symbols" | sed 's/GLIBC_//' | sort -uV | tail -1)
[[ -n $newest ]] || { echo "$binary: no version of glibc in its symbols" >&2; exit 1; }
if [[ $(printf '%s\n%s\n' "$newest" "$limit" | sort -V | tail -1) != "$limit" ]]; then
    echo "$binary: needs glibc $newest, expected at most $limit" >&2
    exit 1
fi
# Whatever else it is linked to would have to be installed first.
if strange=$(grep -vE '^(libc|libm|libdl|libpthread|librt|libgcc_s|ld-linux[a-z0-9-]*)\.so' <<<"$libraries"); then
    echo "$binary: needs $strange" >&2
    exit 1
fi
echo "$binary: $(stat -c %s "$binary") bytes, needs glibc $newest or later"
