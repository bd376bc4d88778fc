#!/usr/bin/env bash
# Runs both playbooks against six local "hosts" made of recorded stores: three pairs; all well, one broker damaged, one pair
# parted, one slave behind. The play must stop where it must, with nothing stopped or switched behind that.
#
#   contrib/ansible/test.sh MQSTORE      needs ansible-playbook on the PATH
set -euo pipefail
mqstore=$(realpath "$1")
cd "$(dirname "$0")"
golden=$(realpath ../../testdata/golden)
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
journal=$site/journal
new_conf=broker-new.conf

make_site() {
    rm -rf "${site:?}"/*
    mkdir "$site/unpacked"
    tar --zstd -xf "$golden/4.3.2-clean.tar.zst" -C "$site/unpacked"
    local store
    store=$(find "$site/unpacked" -type d -name commitlog -printf '%h\n' -quit)
    for host in broker-{a,b,c}-{0,1}; do
        mkdir -p "$site/$host"
        cp -a "$store" "$site/$host/store"
        cat >"$site/$host/broker.conf" <<CONF
brokerClusterName=C
brokerName=${host%-*}
brokerId=${host##*-}
storePathRootDir=$site/$host/store
storePathCommitLog=$site/$host/store/commitlog
mapedFileSizeCommitLog=1048576
mapedFileSizeConsumeQueue=20000
maxHashSlotNum=500
maxIndexNum=2000
CONF
        # From 4.5.2 on the sizes have other names; with the old ones the new release would refuse to start.
        sed 's/^maped/mapped/' "$site/$host/broker.conf" >"$site/$host/broker-new.conf"
    done
    : >"$journal"
    cat >"$site/inventory.yml" <<YAML
all:
  vars:
    ansible_connection: local
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    mqstore_binary: $mqstore
    mqstore_fetched: $site/fetched
    mqstore_timeout: 2
    mqstore_interval: 1
    mqstore_bin: $site/{{ inventory_hostname }}/mqstore
    mqstore_work: $site/{{ inventory_hostname }}/work
    mqstore_backups: $site/{{ inventory_hostname }}/backups
    mqstore_store: $site/{{ inventory_hostname }}/store
    mqstore_broker_conf: $site/{{ inventory_hostname }}/broker.conf
    mqstore_new_broker_conf: $site/{{ inventory_hostname }}/$new_conf
    mqstore_from: 4.3.2
    mqstore_to: 4.9.7
    mqstore_stop: echo stop {{ inventory_hostname }} >> $journal
    mqstore_switch: echo switch {{ inventory_hostname }} >> $journal
    mqstore_start: echo start {{ inventory_hostname }} >> $journal
    mqstore_no_writes: echo no-writes {{ inventory_hostname }} >> $journal
    mqstore_nameserver_is_new: test ! -e $site/old-nameserver
  children:
    nameservers: {hosts: {ns-1: {}}}
    brokers:
      children:
        slaves:
          hosts: {broker-a-1: {mqstore_pair: a}, broker-b-1: {mqstore_pair: b}, broker-c-1: {mqstore_pair: c}}
        masters:
          hosts: {broker-a-0: {mqstore_pair: a}, broker-b-0: {mqstore_pair: b}, broker-c-0: {mqstore_pair: c}}
YAML
}

export ANSIBLE_NOCOWS=1 ANSIBLE_PIPELINING=1 ANSIBLE_FORKS=6 ANSIBLE_HOME=$site/.ansible
play() { ansible-playbook -i "$site/inventory.yml" "$1" >"$site/out" 2>&1; }
fail() { echo "FAILED: $1"; tail -40 "$site/out"; cat "$journal"; exit 1; }
expect_journal() { [[ $(cat "$journal") == "$1" ]] || fail "expected in the journal: $1"; }

flip() { # FILE OFFSET: another byte there
    printf '\xa5' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

echo "all well: the look passes, the upgrade goes slave by slave, then master by master"
make_site
play look.yml || fail "look.yml on six sound stores"
grep -q "6 of 6 brokers well, 3 of 3 pairs" "$site/out" || fail "the table"
[[ -s $site/fetched/fleet.html ]] || fail "the page"
play rolling-upgrade.yml || fail "rolling-upgrade.yml on six sound stores"
expected=
for host in broker-{a,b,c}-1; do expected+="stop $host"$'\n'"switch $host"$'\n'"start $host"$'\n'; done
for host in broker-{a,b,c}-0; do
    expected+="no-writes $host"$'\n'"stop $host"$'\n'"switch $host"$'\n'"start $host"$'\n'
done
expect_journal "${expected%$'\n'}"
for host in broker-{a,b,c}-{0,1}; do
    "$mqstore" --quiet backup verify "$site/$host"/backups/*.tar.zst >/dev/null || fail "the backup of $host"
done

echo "an old name server: nothing is touched"
make_site
touch "$site/old-nameserver"
play rolling-upgrade.yml && fail "the play went on"
expect_journal ""

echo "the configuration not adapted to the new release: preflight says so, nothing is touched"
new_conf=broker.conf
make_site
play rolling-upgrade.yml && fail "the play went on"
expect_journal ""
new_conf=broker-new.conf

echo "one broker damaged: the look names it, the upgrade stops nothing"
make_site
newest=$(find "$site/broker-b-1/store/commitlog" -type f | sort | tail -1)
# The first record of the file has no magic now: a quick verify sees that.
flip "$newest" 4
play look.yml && fail "the look passed"
grep -q "broker-b-1: do not restart it" "$site/out" || fail "the damaged broker is not named"
play rolling-upgrade.yml && fail "the play went on"
expect_journal ""

echo "one pair parted: the look names it, the upgrade stops nothing"
make_site
rm -rf "$site/broker-c-1/store" "$site/unpacked"/*
tar --zstd -xf "$golden/3.5.8-clean.tar.zst" -C "$site/unpacked"
cp -a "$(find "$site/unpacked" -type d -name commitlog -printf '%h\n' -quit)" "$site/broker-c-1/store"
play look.yml && fail "the look passed"
grep -q "PARTED" "$site/out" || fail "the pair is not named"
play rolling-upgrade.yml && fail "the play went on"
expect_journal ""

echo "a slave that does not catch up: its master is not stopped"
make_site
# The slave lacks the log's end: its newest file is cut to what a shorter log has.
newest=$(find "$site/broker-a-1/store/commitlog" -type f | sort | tail -1)
size=$(stat -c %s "$newest")
truncate -s 0 "$newest" && truncate -s "$size" "$newest"
play rolling-upgrade.yml && fail "the play went on"
grep -q "stop broker-a-0" "$journal" && fail "the master was stopped"
echo "all as it must be"
