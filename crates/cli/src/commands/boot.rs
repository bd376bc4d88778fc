//! `boot`.

use std::io::{self, Write as _};
use std::path::Path;

use mqstore_check::boot::{
    BootError, BootFlag, BootOptions, BootPrediction, ConfigFile, FileChanges, LoadedFrom, LogPrediction, Losses,
    Messages, QueuePrediction, Step, boot,
};
use mqstore_check::{Skipped, boot as prediction};
use mqstore_core::release::Release;
use mqstore_core::release::conf::BrokerConf;
use mqstore_core::store::SpecialKind;
use serde::Serialize;

use super::{Context, Target};
use crate::args::BootArgs;
use crate::exit::{Exit, hinted, unknown_release};
use crate::output::Output;
use crate::output::also;
use crate::output::human::{Columns, Paint, count, field, number, plain, size};
use crate::output::json::{self, TargetJson};

/// Rows of a table that are shown unless more is asked for.
const SHOWN: usize = 12;

pub(crate) fn run(context: &mut Context, args: &BootArgs) -> anyhow::Result<Exit> {
    let release = release(args)?;
    let target = Target::open_quietly(context, &args.store)?;
    let root = target.root().to_path_buf();
    context.out(&[&root])?;
    if target.live && args.stop.is_none() {
        context.note("a broker runs on this store: this is the start after a kill, --exit clean is that after a stop");
    }
    let place = &args.store.place;
    let mut options = BootOptions::default();
    options.conf = place.broker_conf.as_deref().map(BrokerConf::read).transpose()?;
    options.home.clone_from(&place.home);
    options.commitlog_dirs.clone_from(&place.commitlog);
    options.exit = args.stop.map(Into::into);
    let bar = context.bar("reading the log");
    let predicted = match boot(&root, release, &options, &bar) {
        Ok(predicted) => predicted,
        Err(error @ BootError::NotSimulated { .. }) => {
            drop(bar);
            return not_simulated(context, (&root, release), &error);
        }
        Err(error @ BootError::HomeNeeded { .. }) => {
            return Err(hinted(error.to_string(), "--home names the home folder of the broker's user"));
        }
        Err(error) => return Err(error.into()),
    };
    drop(bar);
    let skipped = skipped(&target);
    let exit = exit(&predicted, &skipped);
    let about = TargetJson::store(&root);
    let body = BootJson::new(&predicted, &skipped);
    also::write(context, &args.also, (&[&root], None), ("mqstore.boot", &about), &body, &exit)?;
    let (paint, verbose, ndjson) = (context.paint, context.args.verbose, context.is_ndjson());
    let is_text = context.is_text();
    let out = context.out(&[&root])?;
    if is_text {
        print(out, paint, (&predicted, &skipped), verbose)?;
    } else {
        json::document(out, ndjson, ("mqstore.boot", &about), &body, &exit)?;
    }
    Ok(exit)
}

/// A start without a prediction: the document says so, too.
#[derive(Debug, Serialize)]
struct NotSimulatedJson {
    release: Release,
    skipped: [Skipped; 1],
}

fn not_simulated(context: &mut Context, (root, release): (&Path, Release), error: &BootError) -> anyhow::Result<Exit> {
    let exit = Exit::no_verdict(error.to_string());
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[root])?;
    if is_text {
        writeln!(out, "{}: {error}", paint.warn("no prediction"))?;
    } else {
        let skipped = [Skipped { what: format!("the start of {release}"), why: error.to_string(), asked: false }];
        let body = NotSimulatedJson { release, skipped };
        json::document(out, ndjson, ("mqstore.boot", &TargetJson::store(root)), &body, &exit)?;
    }
    Ok(exit)
}

/// What a start does is only known of releases in the table: none stands for another here.
fn release(args: &BootArgs) -> anyhow::Result<Release> {
    let Some(text) = &args.store.place.release else {
        return Err(hinted("no release given", "name the one that is to start with --release"));
    };
    exact_release(text)
}

/// A release of the table by its name.
pub(crate) fn exact_release(text: &str) -> anyhow::Result<Release> {
    match Release::find(text) {
        Some(found) if found.exact => Ok(found.release),
        other => Err(unknown_release(text, other.map(|found| found.release))),
    }
}

/// Parts of the store whose start is not simulated.
fn skipped(target: &Target) -> Vec<Skipped> {
    let parts = target.special().iter().filter(|part| part.files > 0);
    let skipped = parts.filter_map(|part| {
        let why = match part.kind {
            SpecialKind::RocksDbQueues => "what becomes of consume queues in RocksDB is not predicted",
            SpecialKind::RocksDbConfig => "what becomes of configuration in RocksDB is not predicted",
            SpecialKind::Dledger => "what becomes of the log of a DLedger broker is not predicted",
            SpecialKind::BatchQueues => "what becomes of queues of batches is not predicted",
            _ => return None,
        };
        Some(Skipped { what: target.in_words(part), why: why.to_owned(), asked: false })
    });
    skipped.collect()
}

/// Harm that is predicted without the parts that were not looked at may not be there with them.
fn exit(predicted: &BootPrediction, skipped: &[Skipped]) -> Exit {
    if let Some(first) = skipped.first() {
        return Exit::no_verdict(format!("{}: {}", first.what, first.why));
    }
    let outcome = format!("{} {}", predicted.release, in_words(predicted.outcome));
    if predicted.outcome == BootFlag::Starts { Exit::fine(outcome) } else { Exit::blocking(outcome) }
}

/// What an outcome means, as the end of a sentence that begins with the release.
/// What the release does, to go on a sentence that it begins.
pub(crate) fn in_words(flag: BootFlag) -> &'static str {
    match flag {
        BootFlag::Refuses => "does not start: the process ends before its port opens",
        BootFlag::DestroysQueues => "starts with an empty log and deletes the files of the queues",
        BootFlag::Blind => "starts with an empty log while queue and log files stay on disk",
        BootFlag::Truncates => "starts with the end of the log set back; later log files are deleted",
        BootFlag::WrongMessages => "starts, and answers offsets of at least one queue with other messages",
        BootFlag::ConsumerStuck => "starts, and consumers of at least one queue never get past an offset",
        BootFlag::LosesQueueEntries => "starts, and at least one queue no longer leads to messages that it led to",
        BootFlag::LosesConfig => "starts with the store unharmed, but topics, groups or offsets are lost",
        BootFlag::LosesIndex => "starts, and look-ups by key no longer find messages",
        BootFlag::Starts => "starts, and nothing is lost that a consumer or a look-up could notice",
    }
}

/// How long the broker reads its log before it serves, on an assumption that is told.
#[derive(Debug, Clone, Copy, Serialize)]
struct Estimate {
    bytes_to_read: u64,
    assumed_bytes_per_second: u64,
    seconds: u64,
    assumption: &'static str,
}

impl Estimate {
    /// What a plain hard disk reads in order; a broker's recovery is one thread that waits for it.
    const RATE: u64 = 100 << 20;

    fn of(predicted: &BootPrediction) -> Self {
        let bytes = predicted.log.scan_bytes;
        Self {
            bytes_to_read: bytes,
            assumed_bytes_per_second: Self::RATE,
            seconds: bytes.div_ceil(Self::RATE),
            assumption: "the log is read once, in order and not from the page cache, at 100 MiB/s; nothing else is counted",
        }
    }
}

/// The document. The `exit` of the envelope is how the command went, so the kind of stop has a name of its own.
#[derive(Debug, Serialize)]
struct BootJson<'a> {
    release: Release,
    start_after: prediction::Exit,
    outcome: BootFlag,
    flags: &'a [BootFlag],
    steps: &'a [Step],
    log: LogPrediction,
    queues: &'a [QueuePrediction],
    files: &'a FileChanges,
    config: &'a [ConfigFile],
    losses: &'a Losses,
    estimate: Estimate,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    skipped: &'a [Skipped],
}

impl<'a> BootJson<'a> {
    fn new(predicted: &'a BootPrediction, skipped: &'a [Skipped]) -> Self {
        Self {
            release: predicted.release,
            start_after: predicted.exit,
            outcome: predicted.outcome,
            flags: &predicted.flags,
            steps: &predicted.steps,
            log: predicted.log,
            queues: &predicted.queues,
            files: &predicted.files,
            config: &predicted.config,
            losses: &predicted.losses,
            estimate: Estimate::of(predicted),
            skipped,
        }
    }
}

fn print(
    out: &mut Output,
    paint: Paint,
    (predicted, skipped): (&BootPrediction, &[Skipped]),
    verbose: bool,
) -> io::Result<()> {
    if !skipped.is_empty() {
        writeln!(out, "{}: parts of the store were not looked at; of the others:", paint.warn("no verdict"))?;
    }
    let word = predicted.outcome.word();
    let word = match predicted.outcome {
        BootFlag::Starts => paint.good(word),
        BootFlag::LosesConfig | BootFlag::LosesIndex => paint.warn(word),
        _ => paint.bad(word),
    };
    writeln!(out, "{word}: {} {}", predicted.release, in_words(predicted.outcome))?;
    let others = predicted.flags.iter().filter(|flag| **flag != predicted.outcome);
    for flag in others {
        writeln!(out, "{}: {}", paint.warn(flag.word()), in_words(*flag))?;
    }
    writeln!(out)?;
    print_log(out, paint, predicted)?;
    let (next, steps): (Vec<_>, Vec<_>) = predicted.steps.iter().partition(|step| step.what == "next_start");
    print_steps(out, paint, "what it does, in its order", &steps)?;
    print_losses(out, paint, predicted)?;
    print_queues(out, paint, &predicted.queues, verbose)?;
    print_files(out, paint, &predicted.files, verbose)?;
    print_steps(out, paint, "what the next start would meet", &next)?;
    print_config(out, paint, &predicted.config)?;
    if !skipped.is_empty() {
        writeln!(out, "\n{}", paint.bold("not looked at"))?;
        for skipped in skipped {
            writeln!(out, "  {}: {}", plain(&skipped.what), plain(&skipped.why))?;
        }
    }
    Ok(())
}

fn print_log(out: &mut Output, paint: Paint, predicted: &BootPrediction) -> io::Result<()> {
    let log = predicted.log;
    let kind = match predicted.exit {
        prediction::Exit::Clean => "normal, as after an orderly stop",
        prediction::Exit::Abort => "abnormal, as after a kill",
    };
    field(out, paint, "start", kind)?;
    let cut = log.end_before.saturating_sub(log.end_after);
    let end = match cut {
        0 => format!("{}, as before", number(log.end_after)),
        _ => format!("{} instead of {}, {} less", number(log.end_after), number(log.end_before), size(cut)),
    };
    field(out, paint, "log ends at", end)?;
    field(out, paint, "reads", format!("{} of log, from {} on", size(log.scan_bytes), number(log.scan_from)))?;
    let estimate = Estimate::of(predicted);
    let rate = size(estimate.assumed_bytes_per_second);
    let seconds = count(estimate.seconds, "second", "seconds");
    field(out, paint, "takes", format!("{seconds} of reading, if the disk gives {rate} a second and no page is cached"))
}

fn print_steps(out: &mut Output, paint: Paint, title: &str, steps: &[&Step]) -> io::Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint.bold(title))?;
    for (n, step) in (1..).zip(steps) {
        let path = step.path.as_deref().map(|path| format!("{}: ", plain(path))).unwrap_or_default();
        let evidence = paint.dim(format_args!("[{}]", step.evidence));
        writeln!(out, "{n:>4}  {}  {path}{} {evidence}", paint.bold(step.what), plain(&step.detail))?;
    }
    Ok(())
}

fn print_losses(out: &mut Output, paint: Paint, predicted: &BootPrediction) -> io::Result<()> {
    let losses = &predicted.losses;
    let kinds = [
        ("hidden", &losses.hidden, "in the log, but no queue leads to them any more"),
        ("cut", &losses.cut, "behind the new end of the log"),
        ("redelivered", &losses.redelivered, "delivered again"),
        ("skipped", &losses.skipped, "passed over, or behind an offset that consumers never get past"),
    ];
    let any =
        kinds.iter().any(|(_, messages, _)| messages.total > 0) || losses.index_keys > 0 || !losses.groups.is_empty();
    writeln!(out, "\n{}", paint.bold("losses"))?;
    if !any {
        return writeln!(out, "  none");
    }
    for (kind, messages, meaning) in kinds.iter().filter(|(_, messages, _)| messages.total > 0) {
        let total = count(messages.total, "message", "messages");
        writeln!(out, "  {}: {total}, {meaning}", paint.bad(kind))?;
        print_topics(out, messages)?;
    }
    print_groups(out, paint, predicted)?;
    if losses.index_keys > 0 {
        let keys = count(losses.index_keys, "index entry", "index entries");
        writeln!(out, "  {}: {keys}", paint.warn("index_keys"))?;
    }
    Ok(())
}

fn print_groups(out: &mut Output, paint: Paint, predicted: &BootPrediction) -> io::Result<()> {
    let mut groups: Vec<_> = predicted.losses.groups.iter().collect();
    if groups.is_empty() {
        return Ok(());
    }
    groups.sort_by_key(|(group, losses)| (std::cmp::Reverse(losses.unread_lost + losses.redelivered), *group));
    writeln!(out, "\n{}", paint.bold("of that, by consumer group"))?;
    let mut columns = Columns::new(paint, &[">UNREAD LOST", ">AGAIN", ">OFFSETS BEYOND END", "GROUP"]);
    for (group, losses) in groups.iter().take(SHOWN) {
        columns.row([
            number(losses.unread_lost),
            number(losses.redelivered),
            number(losses.queues_beyond_end),
            plain(group).into_owned(),
        ]);
    }
    columns.print(out)?;
    match groups.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "and {} more groups", number(more)),
    }
}

fn print_topics(out: &mut Output, messages: &Messages) -> io::Result<()> {
    let mut topics: Vec<_> = messages.topics.iter().collect();
    topics.sort_by_key(|(topic, messages)| (std::cmp::Reverse(**messages), *topic));
    for (topic, messages) in topics.iter().take(SHOWN) {
        writeln!(out, "    {:>10}  {}", number(messages), plain(topic))?;
    }
    match topics.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "    and {} more topics", number(more)),
    }
}

/// Queues that are not served as they were.
fn print_queues(out: &mut Output, paint: Paint, queues: &[QueuePrediction], verbose: bool) -> io::Result<()> {
    let changed = |queue: &&QueuePrediction| {
        queue.after.is_some_and(|after| after != queue.before) || queue.wrong > 0 || queue.stuck_at.is_some()
    };
    let mut queues: Vec<&QueuePrediction> = queues.iter().filter(changed).collect();
    if queues.is_empty() {
        return Ok(());
    }
    let lost = |queue: &QueuePrediction| queue.before.readable.saturating_sub(queue.after.unwrap_or_default().readable);
    queues.sort_by_key(|queue| std::cmp::Reverse((queue.wrong, lost(queue))));
    writeln!(out, "\n{}", paint.bold("queues that change"))?;
    let heads = ["TOPIC", ">QUEUE", ">BEFORE", ">READABLE", ">AFTER", ">READABLE", ">WRONG", ">STUCK AT"];
    let mut columns = Columns::new(paint, &heads);
    let shown = if verbose { queues.len() } else { SHOWN };
    for queue in queues.iter().take(shown) {
        let after = queue.after.unwrap_or_default();
        columns.row([
            plain(&queue.topic).into_owned(),
            queue.queue_id.to_string(),
            format!("{} to {}", number(queue.before.min_offset), number(queue.before.max_offset)),
            number(queue.before.readable),
            format!("{} to {}", number(after.min_offset), number(after.max_offset)),
            number(after.readable),
            number(queue.wrong),
            queue.stuck_at.map_or("-".to_owned(), number),
        ]);
    }
    columns.print(out)?;
    match queues.len().saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(out, "{}", paint.dim(format_args!("and {} more, see -v", number(more)))),
    }
}

fn print_files(out: &mut Output, paint: Paint, files: &FileChanges, verbose: bool) -> io::Result<()> {
    let kinds = [("removed", &files.removed), ("created", &files.created), ("rewritten", &files.rewritten)];
    if kinds.iter().all(|(_, files)| files.is_empty()) {
        return Ok(());
    }
    writeln!(out, "\n{}", paint.bold("files"))?;
    for (kind, files) in kinds.iter().filter(|(_, files)| !files.is_empty()) {
        writeln!(out, "  {kind}: {}", count(files.len() as u64, "file", "files"))?;
        let shown = if verbose { files.len() } else { SHOWN };
        for file in files.iter().take(shown) {
            writeln!(out, "    {}", plain(file))?;
        }
        if files.len() > shown {
            writeln!(out, "    {}", paint.dim(format_args!("and {} more, see -v", number(files.len() - shown))))?;
        }
    }
    Ok(())
}

fn print_config(out: &mut Output, paint: Paint, config: &[ConfigFile]) -> io::Result<()> {
    if config.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint.bold("configuration that it ends up with"))?;
    let mut columns = Columns::new(paint, &["FILE", "LOADED FROM", ">ENTRIES"]);
    for file in config {
        let from = match file.loaded_from {
            LoadedFrom::File => "the file",
            LoadedFrom::Bak => "its .bak",
            LoadedFrom::None => "neither copy",
        };
        columns.row([plain(&file.file).into_owned(), from.to_owned(), number(file.entries)]);
    }
    columns.print(out)
}
