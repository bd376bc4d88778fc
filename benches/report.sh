#!/bin/sh
# Runs the benches and writes what they measured, with the machine they ran on, as docs/performance.md.
#
#   benches/report.sh [--mib N] [--queues N] [--out FILE]
#
# --mib     MiB of each log that is written and read (1024); 64 is enough to see that everything runs
# --queues  queues of the store with many queues (100000)
# --out     the file written (docs/performance.md)
#
# A bench is stopped after three minutes, so all take fifteen at most. Needs cargo, 3 bytes of free space below
# TMPDIR for each byte of log, and memory for the log twice, so that it stays in the page cache. The walk in Java runs
# where mvn, javac and java are there, the comparison with tar and zstd where those are. Leave the machine alone meanwhile.
set -eu
cd "$(dirname "$0")/.."

mib=1024 queues=100000 out=docs/performance.md
while [ $# -gt 0 ]; do
    case $1 in
    --mib) mib=${2:?} ;;
    --queues) queues=${2:?} ;;
    --out) out=${2:?} ;;
    *)
        sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
    esac
    shift 2
done

# Each bench: the crate and its name.
benches='core:scan check:verify check:pairs'
if [ -f benches/backup.rs ]; then
    benches="$benches backup:backup"
fi

# Compiled before the first one is timed. (A bench that does not compile is told where it should have run.)
for bench in $benches; do
    cargo bench --quiet -p "mqstore-${bench%:*}" --bench "${bench#*:}" --no-run || true
done

# bench CRATE NAME: its output as a block.
bench() {
    echo "running $2 ..." >&2
    echo '```text'
    timeout 180 cargo bench --quiet -p "mqstore-$1" --bench "$2" || echo "failed: status $? (124: stopped after three minutes)"
    echo '```'
    echo
}

# of FILE NAME: the first value of a `name : value` file of the kernel.
of() {
    sed -n "s/^$2[[:space:]]*:[[:space:]]*//p" "$1" | head -n 1
}

# A bench that is stopped leaves its store behind.
TMPDIR=$(mktemp -d)
trap 'rm -rf "$TMPDIR"' EXIT
export TMPDIR MQSTORE_BENCH_MIB="$mib"
new=$TMPDIR/report.md
{
    cat <<'END'
# Performance

Made by `benches/report.sh`; the source of each bench says what it does in detail. Three numbers are the smallest, the
middle and the greatest of some rounds. Ratios are made round by round, from what ran side by side: they say more than
the numbers, which are those of one machine.

## Machine

END
    echo "- processor: $(of /proc/cpuinfo 'model name'), $(nproc) processors"
    echo "- memory: $(($(of /proc/meminfo MemTotal | tr -dc 0-9) / 1048576)) GiB"
    echo "- compiler: $(rustc --version | cut -d' ' -f1,2)"
    if command -v java >/dev/null; then
        echo "- Java: $(java -version 2>&1 | head -n 1)"
    fi
    echo "- date: $(date +%F); logs of $mib MiB in the page cache"
    cat <<'END'

## `verify --level full`

Against the sum of the log's bytes, and against a Java program that walks the same log with RocketMQ's own
`MessageDecoder` and its CRC check. `verify` also looks up each message's queue unit and index entries.

END
    bench check verify
    echo "A store of many queues with three messages each:"
    echo
    MQSTORE_BENCH_QUEUES=$queues bench check verify
    cat <<'END'
## Reading the log

Against the sum of the same bytes: records parsed, and records parsed with the CRC of their bodies.

END
    bench core scan
    cat <<'END'
## `snapshot` and `diff`

Against the plain comparison of two equal logs, which is what `cmp` does.

END
    bench check pairs
    if [ -f benches/backup.rs ]; then
        cat <<'END'
## `backup`

Against `tar` with `zstd`.

END
        bench backup backup
    fi
} >"$new"
# One empty line between the parts, none at the end.
cat -s "$new" | sed '$d' >"$out"
echo "written: $out" >&2
