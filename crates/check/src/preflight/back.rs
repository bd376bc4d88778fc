//! The way back: the old release on the store as the new one leaves it.
//!
//! Two things are held together. The start of the old release is predicted on the store as it is, after an orderly stop:
//! what it would cut or refuse already now it will later, too. And the table of features says what the new release adds
//! that the old one does not know, each with how it gets in.

use mqstore_core::release::Release;
use mqstore_core::release::features::{Effect, Feature, GetsIn, Switch};
use mqstore_core::release::rules::{AbortDispatch, CleanDispatch};

use super::start::{in_words, largest_allowed, not_simulated, simulate};
use super::{Cx, FeatureBack, Line, PreflightError, Presence, Status, Way, WayBack, start};
use crate::boot::{BootFlag, BootPrediction, Exit};

const ID: &str = "boot.way-back";

pub(super) fn judge(cx: &Cx<'_>) -> Result<(WayBack, Line), PreflightError> {
    let predicted = simulate(cx, cx.from, true, Some(Exit::Clean), None)?;
    let predicted = match not_simulated(cx) {
        Some(part) => Err(format!("what {} does with {part} is not predicted", cx.from)),
        None => predicted,
    };
    let mut features = Vec::new();
    let mut unread = None;
    for feature in Feature::between(cx.to, cx.from) {
        match presence(cx, feature) {
            Ok((presence, seen)) => features.push(back(feature, presence, seen)),
            Err(why) => unread = Some(format!("{}: {why}", feature.name)),
        }
    }
    features.sort_by_key(|back| (std::cmp::Reverse(effect(back)), !back.presence.is_certain(), back.feature));
    let way = way(&features, predicted.as_ref().ok(), unread.is_some());
    let way_back = WayBack {
        release: cx.from,
        way,
        start: predicted.as_ref().ok().map(|predicted| predicted.outcome),
        features,
        older_queues_beside_newer_log: older_queues(cx.from),
    };
    let line = line(cx, &way_back, &predicted, unread);
    Ok((way_back, line))
}

fn presence(cx: &Cx<'_>, feature: &Feature) -> Result<(Presence, Option<String>), String> {
    let seen = cx.facts.seen(cx.store, feature, largest_allowed(cx, cx.from))?;
    if seen.is_some() {
        return Ok((Presence::OnDisk, seen));
    }
    let presence = match feature.gets_in {
        GetsIn::Start => Presence::EachStart,
        GetsIn::Switch(switches) => match &cx.conf {
            None => Presence::IfSwitchedOn,
            Some(both) if switches.iter().any(|switch| switch.is_on(&both.new.file.conf)) => Presence::Configured,
            Some(_) => Presence::Off,
        },
        _ => Presence::IfUsed,
    };
    Ok((presence, None))
}

fn back(feature: &Feature, presence: Presence, seen: Option<String>) -> FeatureBack {
    let gets_in = match feature.gets_in {
        GetsIn::Use(what) => Some(what.to_owned()),
        GetsIn::Switch(switches) => {
            let all: Vec<String> = switches.iter().map(|switch| switch_in_words(*switch)).collect();
            Some(all.join(" or "))
        }
        _ => None,
    };
    FeatureBack {
        feature: feature.name,
        effect: feature.effect.word(),
        presence,
        says: feature.says,
        gets_in,
        seen,
        advice: feature.advice,
        evidence: feature.evidence.to_string(),
    }
}

pub(super) fn switch_in_words(switch: Switch) -> String {
    match switch {
        Switch::Is(key, value) => format!("{key}={value}"),
        Switch::Holds(key, part) => format!("{key} with a {part:?}"),
        _ => switch.key().to_owned(),
    }
}

fn effect(back: &FeatureBack) -> Effect {
    let all = [Effect::Safe, Effect::Degraded, Effect::LosesData];
    all.into_iter().find(|effect| effect.word() == back.effect).unwrap_or(Effect::Impossible)
}

/// Whether a start does harm that no copy of a config file mends.
fn is_harmful(flag: BootFlag) -> bool {
    !matches!(flag, BootFlag::Starts | BootFlag::LosesIndex | BootFlag::LosesConfig)
}

fn way(features: &[FeatureBack], predicted: Option<&BootPrediction>, unread: bool) -> Way {
    let grave = |back: &&FeatureBack| effect(back) >= Effect::LosesData;
    let Some(predicted) = predicted else { return Way::Unknown };
    if is_harmful(predicted.outcome) || features.iter().filter(grave).any(|back| back.presence.is_certain()) {
        Way::Restore
    } else if unread {
        Way::Unknown
    } else if features.iter().filter(grave).any(|back| back.presence != Presence::Off) {
        Way::InPlaceUnlessUsed
    } else {
        Way::InPlace
    }
}

fn line(cx: &Cx<'_>, back: &WayBack, predicted: &Result<BootPrediction, String>, unread: Option<String>) -> Line {
    let release = cx.from;
    let certain = back.features.iter().filter(|back| back.presence.is_certain() && effect(back) > Effect::Safe);
    let mut evidence: Vec<String> = certain.map(in_place).collect();
    let if_used = |back: &&FeatureBack| {
        matches!(back.presence, Presence::IfUsed | Presence::IfSwitchedOn) && effect(back) >= Effect::LosesData
    };
    let conditional: Vec<&FeatureBack> = back.features.iter().filter(if_used).collect();
    if let Ok(predicted) = predicted
        && predicted.outcome != BootFlag::Starts
    {
        evidence.insert(0, format!("on the store as it is now, {release} {}", in_words(predicted.outcome)));
        evidence.extend(start::evidence(predicted));
    }
    let line = match back.way {
        Way::Unknown => {
            let why = predicted.as_ref().err().cloned().or(unread).unwrap_or_default();
            Line::not_checked(ID, why)
        }
        Way::Restore => {
            let message = format!(
                "{release} cannot take the store back without loss: only a complete backup from before, log included, leads back"
            );
            Line::fail(ID, message).consequence("what is stored after the switch is lost on the way back")
        }
        Way::InPlaceUnlessUsed => {
            let names: Vec<&str> = conditional.iter().map(|back| back.feature).collect();
            let message = format!(
                "{release} can take the store back in place, unless one of these is used: {}",
                names.join(", ")
            );
            evidence.extend(conditional.iter().map(|back| in_place(back)));
            Line::warn(ID, message)
        }
        Way::InPlace if evidence.is_empty() => {
            Line::pass(ID, format!("{release} can take the store back in place, as {} leaves it", cx.to))
        }
        Way::InPlace => Line::warn(ID, format!("{release} can take the store back in place, with drawbacks")),
    };
    let certain = back.features.iter().filter(|back| back.presence.is_certain() && !back.advice.is_empty());
    let mut advice: Vec<&str> = certain.map(|back| back.advice).collect();
    advice.dedup();
    if back.way == Way::InPlaceUnlessUsed {
        advice.push("use none of them until it is settled that there is no way back");
    }
    let line = line.evidence(evidence);
    match line.status {
        Status::Warn | Status::Fail if !advice.is_empty() => line.suggest(advice.join("; ")),
        _ => line,
    }
}

fn in_place(back: &FeatureBack) -> String {
    let how = match (&back.seen, &back.gets_in, back.presence) {
        (Some(seen), ..) => format!("{seen}: "),
        (None, Some(how), _) => format!("{how}: "),
        (None, None, _) => String::new(),
    };
    format!("{} ({}): {how}{} ({})", back.feature, back.effect.replace('_', " "), back.says, back.evidence)
}

/// What a start without `abort` makes of the queues of an older backup beside the newer log.
fn older_queues(release: Release) -> String {
    let rules = release.behaviour();
    let with_abort = match rules.abort_dispatch.value {
        AbortDispatch::Racing => {
            "remove queues, index and checkpoint, and make an empty file abort, to have all rebuilt"
        }
        _ if rules.rebuilt_delay_fires_at_once.value => {
            "with an empty file abort all is rebuilt, but delayed messages fire at once"
        }
        _ => "with an empty file abort and the checkpoint of the backup all is rebuilt",
    };
    let (says, evidence) = match rules.clean_dispatch.value {
        CleanDispatch::FromQueues => (
            format!("{release} rebuilds what is missing at a clean start, if all queues are of one moment"),
            rules.clean_dispatch.evidence,
        ),
        CleanDispatch::FromQueuesButFirst => (
            format!("{release} loses the first message since the backup and shifts its queue by one; {with_abort}"),
            rules.clean_dispatch.evidence,
        ),
        _ => (
            format!("{release} hides every message stored since the backup, for ever and without a word; {with_abort}"),
            rules.clean_dispatch.evidence,
        ),
    };
    format!("{says} ({evidence})")
}
