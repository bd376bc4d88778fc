//! `releases`: what is known about each broker release.

use std::io::Write as _;

use mqstore_core::release::{Basis, Behaviour, Release};
use serde::Serialize;

use crate::args::ReleasesArgs;
use crate::commands::Context;
use crate::exit::{Exit, hinted};
use crate::output::human::Columns;
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
        properties: Vec<PropertyJson>,
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
    let body = Body { release: ReleaseJson::new(release), properties };
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
    Ok(exit)
}
