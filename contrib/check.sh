#!/usr/bin/env bash
# Holds what stands beside the program against the tools that will read it: the files of --textfile and the alert rules
# against promtool, the units against systemd-analyze.
#
#   contrib/check.sh MQSTORE
#
# promtool is taken from the PATH, else out of Debian's package prometheus, without installing that.
set -euo pipefail
mqstore=$(realpath "$1")
cd "$(dirname "$0")/.."
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
fail() { echo "contrib/check.sh: $1" >&2; exit 1; }

command -v systemd-analyze >/dev/null || fail "systemd-analyze is missing: apt-get install systemd"
if ! promtool=$(command -v promtool); then
    tools=$PWD/target/tools
    promtool=$tools/usr/bin/promtool
    if [[ ! -x $promtool ]]; then
        (cd "$temp" && apt-get download -qq prometheus) || fail "no promtool, and the package prometheus cannot be had"
        mkdir -p "$tools"
        dpkg-deb -x "$temp"/prometheus_*.deb "$tools"
    fi
fi

# Stores of every kind of answer: sound, damaged, a pair that is apart, an archive.
for name in 4.3.2-clean 4.3.2-pair rollback-s1; do tar --zstd -xf "testdata/golden/$name.tar.zst" -C "$temp"; done
root() { find "$temp/$1" -type d -name commitlog -printf '%h\n' -quit; }
run() { # CODE COMMAND...
    local code=0
    "$mqstore" --quiet "${@:2}" >/dev/null || code=$?
    [[ $code == "$1" ]] || fail "mqstore ${*:2}: exit code $code, expected $1"
}
mkdir "$temp/textfiles"
run 0 verify "$(root 4.3.2-clean)" --textfile "$temp/textfiles/verify.prom"
run 1 verify "$(root rollback-s1)" --textfile "$temp/textfiles/damaged.prom"
run 1 diff "$(root 4.3.2-pair/master)" "$(root 4.3.2-pair/slave)" --textfile "$temp/textfiles/diff.prom"
run 0 backup create --verify "$(root 4.3.2-clean)" -o "$temp/a.tar.zst" --textfile "$temp/textfiles/backup.prom"
for file in "$temp"/textfiles/*.prom; do
    problems=$("$promtool" check metrics <"$file" 2>&1) || fail "$(basename "$file"): $problems"
    [[ -z $problems ]] || fail "$(basename "$file"): $problems"
done

"$promtool" check rules contrib/prometheus/mqstore-alerts.yml >/dev/null || fail "mqstore-alerts.yml"
"$promtool" test rules contrib/prometheus/mqstore-alerts.test.yml >/dev/null || fail "mqstore-alerts.test.yml"
# A rule over a metric that nobody writes never fires. diverged_offset is written for a pair that has parted, only.
while read -r metric; do
    grep -qs "^$metric{" "$temp"/textfiles/*.prom || [[ $metric == mqstore_diverged_offset ]] \
        || fail "the rules use $metric, which no file has"
done < <(grep -o 'mqstore_[a-z_]*' contrib/prometheus/mqstore-alerts.yml | sort -u)

# As the instances that a timer starts, with the program that there is. What is wrong is told with exit code 0, too.
for unit in contrib/systemd/*@.{service,timer}; do
    name=$(basename "$unit")
    sed "s,^ExecStart=/usr/bin/mqstore,ExecStart=$mqstore," "$unit" >"$temp/${name/@./@broker-a.}"
    cp "$temp/${name/@./@broker-a.}" "$temp/$name"
done
problems=$(systemd-analyze verify --man=no "$temp"/*@broker-a.{service,timer} 2>&1) || fail "$problems"
[[ -z $problems ]] || fail "$problems"
echo "textfiles, rules and units are as promtool and systemd-analyze want them"
