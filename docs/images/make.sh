#!/usr/bin/env bash
# Makes the pictures of this folder again: terminal screens and HTML pages of mqstore on recorded stores.
# Needs Chromium, Node 20 or later, zstd and tar. MQSTORE names the program, if it is not the debug build of this repository.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
mqstore=$(realpath "${MQSTORE:-$root/target/debug/mqstore}")
# On a disk that is nearly full, preflight would speak of that.
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir bin && ln -s "$mqstore" bin/mqstore && export PATH="$work/bin:$PATH"

# lay_out NAME GOLDEN/PATH: a recorded store under a short name
lay_out() {
    local golden=${2%%/*}
    [[ -d unpacked/$golden ]] || { mkdir -p unpacked; zstd -dc "$root/testdata/golden/$golden.tar.zst" | tar -xf - -C unpacked; }
    cp -a "unpacked/$2" "$1"
}
lay_out store rollback-s1/store
lay_out home rollback-s1/home
lay_out before 3.5.8-upgraded-4.3.2/backup-t0/store
lay_out before-home 3.5.8-upgraded-4.3.2/backup-t0/home
lay_out after 3.5.8-upgraded-4.3.2/store
lay_out after-home 3.5.8-upgraded-4.3.2/home
lay_out broker.conf 3.5.8-upgraded-4.3.2/broker.conf
lay_out master 5.3.3-pair/master
lay_out slave 5.3.3-pair/slave
lay_out newer 5.3.3-clean/store
lay_out newer.conf 5.3.3-clean/broker.conf
cp -p after/config/{topics,subscriptionGroup}.json after-home/store/config/
mkdir backup
mqstore -q backup create before -c broker.conf --home before-home -o backup >/dev/null

jobs=()
# screen NAME COLUMNS ROWS COMMAND: what a terminal of that width shows, its first ROWS lines
screen() {
    { printf '\e[1m$ %s\e[0m\n' "$4"; script -qec "stty cols $2 rows 50; $4 --progress never" /dev/null || true; } | sed "s,$work,/data/rocketmq,g" | sed -n "1,$3p" >"$1.ansi"
    jobs+=("{\"in\":\"$work/$1.ansi\",\"out\":\"$here/$1.png\",\"ansi\":true,\"height\":0,\"width\":1600}")
}
screen terminal-verify 100 33 "mqstore verify store --home home"
screen terminal-preflight 100 36 "mqstore preflight before --from 3.5.8 --to 4.3.2 --old-conf broker.conf --home before-home"
screen terminal-diff 100 40 "mqstore diff master/store slave/store"
screen terminal-restore 80 44 "mqstore backup restore backup/*.zst --to after --release 3.5.8 -c broker.conf --home after-home --dry-run"

# page NAME DARK HEIGHT COMMAND
page() {
    $4 -q --report "$1.html" >/dev/null || [[ $? == 1 || $? == 3 ]]
    jobs+=("{\"in\":\"$work/$1.html\",\"out\":\"$here/$1.png\",\"dark\":$2,\"width\":860,\"height\":$3}")
}
page page-verify false 900 "mqstore verify store --home home --level full"
page page-diff true 720 "mqstore diff master/store slave/store"
page page-boot false 760 "mqstore boot newer --release 4.9.7 -c newer.conf"
page page-preflight false 900 "mqstore preflight before --from 3.5.8 --to 4.3.2 --old-conf broker.conf --home before-home"
# document FOLDER STORE: what a play fetches from a broker
document() {
    mkdir -p "fetched/$1"
    mqstore -q verify "$2" "${@:3}" --format json -o "fetched/$1/verify.json" || true
}
for side in master slave; do
    document "broker-a-$side" "$side/store"
    mqstore -q snapshot "$side/store" -o "fetched/broker-a-$side/snapshot.json.zst"
done
document broker-b-master store --home home
document broker-c-master after --home after-home
page page-fleet false 0 "mqstore fleet fetched"

(IFS=,; echo "[${jobs[*]}]") >jobs.json
node --experimental-websocket "$here/shoot.mjs" jobs.json
