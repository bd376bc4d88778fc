#!/bin/sh
# Fills fuzz/corpus with pieces of the recorded stores, one folder per fuzz target:
#     fuzz/seed.sh && cd fuzz && cargo fuzz run -s none commitlog
# -s none leaves the sanitizers out, which need a nightly compiler.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for archive in ../testdata/golden/*.tar.zst; do
    zstd -dcq "$archive" | tar -xf - -C "$work"
done

# seed TARGET BYTES PATTERN: the head of every file whose path matches goes into the target's corpus.
seed() {
    mkdir -p "corpus/$1"
    find "$work" -type f -size +0 -path "$3" | while read -r file; do
        head -c "$2" "$file" > "$work/piece"
        cp "$work/piece" "corpus/$1/$(sha1sum < "$work/piece" | cut -c1-40)"
    done
    echo "$1: $(find "corpus/$1" -type f | wc -l) seeds"
}

seed batchconsumequeue 920 '*/store/batchconsumequeue/*'
seed batchconsumequeue 920 '*/store/compaction/compactionCq/*'
seed broker_conf 4096 '*/broker.conf'
seed checkpoint 4096 '*/store/checkpoint'
seed commitlog 4096 '*/store/commitlog/*'
seed consumequeue 400 '*/store/consumequeue/*'
seed consumequeue_ext 400 '*/store/consumequeue_ext/*'
seed dledger 4096 '*/store/dledger-*/data/*'
seed fastjson 4096 '*/store/config/*.json*'
seed index 42040 '*/store/index/*'
seed rocksdb 65536 '*/MANIFEST-*'
seed rocksdb 65536 '*.sst'
seed timer 4096 '*/store/timerlog/*'

# Small archives: with holes, with long names, with what one file needs.
mkdir -p corpus/archive
for store in 4.3.2-cqext/store 5.3.3-ipv6/store 5.3.3-v6mix/store; do
    rm -f "$work/archive.tar.zst"
    cargo run --quiet --manifest-path ../Cargo.toml --package mqstore -- \
        backup create "$work/$store" --output "$work/archive.tar.zst" >/dev/null
    cp "$work/archive.tar.zst" "corpus/archive/$(echo "$store" | cut -d/ -f1)"
done
echo "archive: $(find corpus/archive -type f | wc -l) seeds"
