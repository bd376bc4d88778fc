//! `releases`: what is known about each broker release.

use std::io::Write as _;

use mqstore_core::release::features::{Feature, GetsIn};
use mqstore_core::release::notes::Note;
use mqstore_core::release::{Basis, Behaviour, Release};
use serde::Serialize;

use crate::args::ReleasesArgs;
use crate::commands::Context;
use crate::exit::{Exit, hinted};
use crate::output::Output;
use crate::output::human::{Columns, Paint};
use crate::output::json::{self, TargetJson};

#[derive(Debug, Serialize)]
struct ReleaseJson {
    release: Release,
    date: Option<&'static str>,
    ordinal: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordinal_note: Option<&'static str>,
    basis: &'static str,
    covered: bool,
    provisional: bool,
}

impl ReleaseJson {
    fn new(release: Release) -> Self {
        Self {
            release,
            date: release.date(),
            ordinal: release.ordinal(),
            ordinal_note: release.ordinal_note(),
            basis: match release.basis() {
                Basis::Seen => "seen",
                Basis::Source => "source",
                Basis::Post => "post",
            },
            covered: release.is_covered(),
            provisional: release.is_provisional(),
        }
    }

    fn basis_in_words(&self) -> &'static str {
        match self.basis {
            "seen" => "its broker was run",
            "source" => "by reading the source",
            _ => "release notes and single files",
        }
    }
}

/// One property of a release.
#[derive(Debug, Serialize)]
struct PropertyJson {
    property: &'static str,
    value: String,
    since: Release,
    until: Release,
    evidence: String,
    class: &'static str,
}

/// Something that a newer release may leave in a store and this one does not know, or that this one brought.
#[derive(Debug, Serialize)]
struct FeatureJson {
    feature: &'static str,
    since: Release,
    unknown_to: [Release; 2],
    effect: &'static str,
    /// `start`, `use` or `switch`.
    gets_in: &'static str,
    says: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    advice: &'static str,
    evidence: String,
}

impl From<&Feature> for FeatureJson {
    fn from(feature: &Feature) -> Self {
        Self {
            feature: feature.name,
            since: feature.since,
            unknown_to: [feature.unknown_to.0, feature.unknown_to.1],
            effect: feature.effect.word(),
            gets_in: match feature.gets_in {
                GetsIn::Start => "start",
                GetsIn::Switch(_) => "switch",
                _ => "use",
            },
            says: feature.says,
            advice: feature.advice,
            evidence: feature.evidence.to_string(),
        }
    }
}

/// What changes around the store with this release.
#[derive(Debug, Serialize)]
struct NoteJson {
    subject: &'static str,
    says: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    advice: &'static str,
    evidence: String,
}

pub(crate) fn run(context: &mut Context, args: &ReleasesArgs) -> anyhow::Result<Exit> {
    match &args.release {
        None => list(context),
        Some(text) => {
            let found = Release::find(text).ok_or_else(|| {
                hinted(
                    format!("{text} is no release that is known"),
                    format!("known are {} to {}; without a name all are listed", Release::OLDEST, Release::NEWEST),
                )
            })?;
            if !found.exact {
                context.note(&found.to_string());
            }
            one(context, found.release)
        }
    }
}

fn list(context: &mut Context) -> anyhow::Result<Exit> {
    #[derive(Debug, Serialize)]
    struct Body {
        releases: Vec<ReleaseJson>,
    }
    let body = Body { releases: Release::ALL.into_iter().map(ReleaseJson::new).collect() };
    let exit = Exit::clean();
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[])?;
    if !is_text {
        json::document(out, ndjson, ("mqstore.releases", &TargetJson::default()), &body, &exit)?;
        return Ok(exit);
    }
    let mut columns = Columns::new(paint, &["RELEASE", "PUBLISHED", ">MQVERSION", "KNOWN"]);
    for release in &body.releases {
        columns.row([
            release.release.to_string(),
            release.date.unwrap_or("-").to_owned(),
            release.ordinal.to_string(),
            release.basis_in_words().to_owned(),
        ]);
    }
    columns.print(out)?;
    writeln!(out, "\nwhat one of them does: mqstore releases RELEASE")?;
    Ok(exit)
}

fn one(context: &mut Context, release: Release) -> anyhow::Result<Exit> {
    #[derive(Debug, Serialize)]
    struct Body {
        #[serde(flatten)]
        release: ReleaseJson,
        /// The oldest name server that takes it.
        oldest_name_server: Release,
        properties: Vec<PropertyJson>,
        /// Features that came with it.
        brings: Vec<FeatureJson>,
        /// Features of others that it does not know.
        unknown_features: Vec<FeatureJson>,
        notes: Vec<NoteJson>,
    }
    let mut properties = Vec::new();
    for property in Behaviour::properties() {
        for row in property.rows {
            if row.since <= release && release <= row.until {
                properties.push(PropertyJson {
                    property: property.name,
                    value: row.value,
                    since: row.since,
                    until: row.until,
                    evidence: row.evidence.to_string(),
                    class: property.class,
                });
            }
        }
    }
    let notes = Note::all().iter().filter(|note| note.since == release);
    let body = Body {
        release: ReleaseJson::new(release),
        oldest_name_server: release.oldest_name_server(),
        properties,
        brings: Feature::all().iter().filter(|feature| feature.since == release).map(Into::into).collect(),
        unknown_features: Feature::unknown(release).map(Into::into).collect(),
        notes: notes
            .map(|note| NoteJson {
                subject: note.subject.word(),
                says: note.says,
                advice: note.advice,
                evidence: note.evidence.to_string(),
            })
            .collect(),
    };
    let exit = Exit::clean();
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[])?;
    if !is_text {
        json::document(out, ndjson, ("mqstore.releases", &TargetJson::default()), &body, &exit)?;
        return Ok(exit);
    }
    let head = &body.release;
    let date = head.date.map(|date| format!(", published {date}")).unwrap_or_default();
    writeln!(out, "{}{date}, MQVersion {}: {}", paint.bold(release), head.ordinal, head.basis_in_words())?;
    if let Some(note) = head.ordinal_note {
        writeln!(out, "{}", paint.dim(format_args!("about the ordinal: {note}")))?;
    }
    writeln!(out)?;
    let mut columns = Columns::new(paint, &["PROPERTY", "VALUE", "SINCE", "UNTIL", "KNOWN"]);
    for row in &body.properties {
        columns.row([
            row.property.to_owned(),
            row.value.clone(),
            row.since.to_string(),
            row.until.to_string(),
            row.evidence.clone(),
        ]);
    }
    columns.print(out)?;
    print_features(out, paint, "what came with it, for older releases", &body.brings)?;
    print_features(out, paint, "what others leave in a store that it does not know", &body.unknown_features)?;
    if !body.notes.is_empty() {
        writeln!(out, "\n{}", paint.bold("what changes around the store"))?;
    }
    for note in &body.notes {
        writeln!(out, "  {}: {} {}", note.subject, note.says, paint.dim(format_args!("[{}]", note.evidence)))?;
    }
    Ok(exit)
}

fn print_features(out: &mut Output, paint: Paint, title: &str, features: &[FeatureJson]) -> std::io::Result<()> {
    if features.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint.bold(title))?;
    let mut columns = Columns::new(paint, &["FEATURE", "SINCE", "EFFECT", "WHAT HAPPENS", "KNOWN"]);
    for feature in features {
        columns.row([
            feature.feature.to_owned(),
            feature.since.to_string(),
            feature.effect.replace('_', " "),
            feature.says.to_owned(),
            feature.evidence.clone(),
        ]);
    }
    columns.print(out)
}
