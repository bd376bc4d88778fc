//! The start of the new release on this store.

use std::path::PathBuf;

use mqstore_core::release::Release;
use mqstore_core::release::features::{Effect, Feature, Trace};

use super::conf::topics_folders;
use super::{Cx, Line, PredictedLosses, PreflightError, Status};
use crate::boot::{BootError, BootFlag, BootOptions, BootPrediction, Exit, Losses, boot};

/// What a start comes to in words.
pub(super) fn in_words(flag: BootFlag) -> &'static str {
    match flag {
        BootFlag::Refuses => "refuses to start",
        BootFlag::DestroysQueues => "starts with an empty log and deletes the queues",
        BootFlag::Blind => "starts with an empty log while the files stay on disk",
        BootFlag::Truncates => "starts and cuts the end of the log",
        BootFlag::WrongMessages => "starts and answers offsets with other messages",
        BootFlag::ConsumerStuck => "starts, and consumers never get past an offset",
        BootFlag::LosesQueueEntries => "starts, and queues no longer lead to messages that they led to",
        BootFlag::LosesConfig => "starts, but topics, groups or offsets are lost",
        BootFlag::LosesIndex => "starts, and look-ups by key no longer find messages",
        BootFlag::Starts => "starts and loses nothing",
    }
}

/// The start of a release with one of the two configurations; `Ok(Err)`: why it is not predicted.
pub(super) fn simulate(
    cx: &Cx<'_>,
    release: Release,
    old_conf: bool,
    exit: Option<Exit>,
    topics_folder: Option<PathBuf>,
) -> Result<Result<BootPrediction, String>, PreflightError> {
    let conf = cx.conf.as_ref().map(|both| if old_conf { both.old.file } else { both.new.file });
    let options = BootOptions {
        conf: conf.map(|file| file.conf.clone()),
        home: cx.options.home.clone(),
        commitlog_dirs: cx.options.commitlog_dirs.clone(),
        topics_folder,
        exit,
    };
    match boot(cx.store.root(), release, &options, cx.progress) {
        Ok(predicted) => Ok(Ok(predicted)),
        Err(BootError::Cancelled) => Err(PreflightError::Cancelled),
        Err(error @ BootError::HomeNeeded { .. }) => Ok(Err(format!("{error} (--home)"))),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// Where topics.json lies that the plan copies to where the new release looks for it.
fn to_be_copied(cx: &Cx<'_>) -> Option<PathBuf> {
    topics_folders(cx).map(|(source, _)| source).filter(|source| source.join("topics.json").is_file())
}

pub(super) fn predict(cx: &Cx<'_>) -> Result<Result<BootPrediction, String>, PreflightError> {
    // What a running broker leaves is an orderly stop: the plan says so.
    let exit = cx.options.live.then_some(Exit::Clean);
    simulate(cx, cx.to, false, exit, to_be_copied(cx))
}

pub(super) fn losses(predicted: &BootPrediction) -> PredictedLosses {
    let Losses { hidden, cut, redelivered, .. } = predicted.losses.clone();
    PredictedLosses { hidden, cut, redelivered }
}

/// Numbers of a prediction, as evidence.
pub(super) fn evidence(predicted: &BootPrediction) -> Vec<String> {
    let losses = &predicted.losses;
    let mut evidence = Vec::new();
    for (count, what) in [
        (losses.cut.total, "messages lie behind the new end of the log"),
        (losses.hidden.total, "messages are in the log without a queue that leads to them"),
        (losses.skipped.total, "messages are passed over, or never reached"),
        (losses.redelivered.total, "messages are delivered again"),
        (losses.index_keys, "index entries are gone"),
    ] {
        if count > 0 {
            evidence.push(format!("{count} {what}"));
        }
    }
    let told = ["refuse", "hide", "load_config", "not_simulated"];
    let harmful = |what: &str, detail: &str| what != "load_config" || !detail.ends_with("entries");
    for step in predicted.steps.iter().filter(|step| told.contains(&step.what) && harmful(step.what, &step.detail)) {
        let path = step.path.as_deref().map(|path| format!("{path}: ")).unwrap_or_default();
        evidence.push(format!("{path}{} ({})", step.detail, step.evidence));
    }
    evidence
}

pub(super) fn line(cx: &Cx<'_>, predicted: &Result<BootPrediction, String>) -> Line {
    const ID: &str = "boot.start";
    let predicted = match predicted {
        Ok(predicted) => predicted,
        Err(why) => return Line::not_checked(ID, why.clone()),
    };
    if let Some(part) = not_simulated(cx) {
        return Line::not_checked(ID, format!("what {} does with {part} is not predicted", cx.to));
    }
    let others = predicted.flags.iter().filter(|flag| **flag != predicted.outcome).map(|flag| in_words(*flag));
    let told = std::iter::once(in_words(predicted.outcome)).chain(others).collect::<Vec<_>>().join("; ");
    let once = if to_be_copied(cx).is_some() { ", once topics and groups are copied over" } else { "" };
    let message = format!("{} {told}{once}", cx.to);
    let again = predicted.losses.redelivered.total;
    let line = match predicted.outcome {
        BootFlag::Starts if again == 0 => Line::pass(ID, message),
        BootFlag::Starts | BootFlag::LosesIndex => Line::warn(ID, message),
        _ => Line::fail(ID, message),
    };
    let kind = match predicted.exit {
        Exit::Clean => "a normal start",
        Exit::Abort => "an abnormal start",
    };
    let log = predicted.log;
    let read = format!(
        "{kind} reads {} bytes of log from {} on, which ends at {}",
        log.scan_bytes, log.scan_from, log.end_after
    );
    let line = line.evidence(evidence(predicted)).evidence([read]);
    if line.status == Status::Pass {
        return line;
    }
    let conf = cx.conf.as_ref().map(|both| format!(" -c {}", both.new.file.path.display())).unwrap_or_default();
    let home = cx.options.home.as_ref().map(|home| format!(" --home {}", home.display())).unwrap_or_default();
    line.suggest("see step by step what it does, and put that right first").command(format!(
        "mqstore boot {} --release {}{conf}{home}",
        cx.store.root().display(),
        cx.to
    ))
}

/// A part of the store whose fate is not predicted, although there is no error.
pub(super) fn not_simulated(cx: &Cx<'_>) -> Option<String> {
    use mqstore_core::store::SpecialKind;
    let unknown =
        [SpecialKind::RocksDbQueues, SpecialKind::RocksDbConfig, SpecialKind::Dledger, SpecialKind::BatchQueues];
    let parts = cx.store.special_parts().ok()?;
    let part = parts.iter().find(|part| part.files > 0 && unknown.contains(&part.kind))?;
    let path = part.path.strip_prefix(cx.store.root()).unwrap_or(&part.path);
    Some(format!("{} ({})", path.display(), part.kind.as_str()))
}

/// Largest record that a release takes, by its `maxMessageSize`.
pub(super) fn largest_allowed(cx: &Cx<'_>, release: Release) -> u64 {
    let configured = cx.conf.as_ref().map(|both| {
        let side = if release == cx.to { &both.new } else { &both.old };
        side.resolved.max_message_size.value
    });
    u64::from(configured.unwrap_or(release.behaviour().max_message_size.value))
}

pub(super) fn unknown_features(cx: &Cx<'_>) -> Line {
    const ID: &str = "boot.unknown-features";
    let mut worst = Effect::Safe;
    let (mut seen, mut unread, mut advice) = (Vec::new(), None, Vec::new());
    // What waits has lines of its own.
    for feature in Feature::unknown(cx.to).filter(|feature| !matches!(feature.trace, Trace::Waiting(_))) {
        if feature.effect == Effect::Safe {
            continue;
        }
        match cx.facts.seen(cx.store, feature, largest_allowed(cx, cx.to)) {
            Ok(Some(what)) => {
                worst = worst.max(feature.effect);
                seen.push(format!("{}: {what}: {} ({})", feature.name, feature.says, feature.evidence));
                if !feature.advice.is_empty() {
                    advice.push(feature.advice);
                }
            }
            Ok(None) => {}
            Err(why) => unread = Some(format!("{}: {why}", feature.name)),
        }
    }
    let message = format!("the store holds {} that {} does not know", count(seen.len()), cx.to);
    let line = match worst {
        Effect::Safe => match unread {
            Some(why) => return Line::not_checked(ID, why),
            None => return Line::pass(ID, format!("nothing in the store is unknown to {}", cx.to)),
        },
        Effect::Degraded => Line::warn(ID, message),
        Effect::LosesData | Effect::Impossible => Line::fail(ID, message),
    };
    let line = line.evidence(seen);
    if advice.is_empty() { line } else { line.suggest(advice.join("; ")) }
}

fn count(n: usize) -> String {
    if n == 1 { "a feature".to_owned() } else { format!("{n} features") }
}
