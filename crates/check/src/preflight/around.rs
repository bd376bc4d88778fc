//! What lies around the store: name servers, the other side of the pair, clients, Java.

use mqstore_core::release::conf::NoteLevel;
use mqstore_core::release::notes::{NameServerNote, Subject};

use super::conf::notes_line;
use super::{Cx, Line, Status};
use crate::diff::{DiffOptions, Side, diff};
use crate::finding::Severity;
use crate::report::Outcome;

pub(super) fn lines(cx: &Cx<'_>, pair: Option<&Side<'_>>) -> Vec<Line> {
    vec![name_server(cx), clients(cx), java(cx), order(cx), limits(cx, pair)]
}

fn name_server(cx: &Cx<'_>) -> Line {
    const ID: &str = "conf.name-server";
    let to = cx.to;
    let oldest = to.oldest_name_server();
    let symptom = "the broker says \"boot success\" and takes messages, but no route to it ever appears";
    let first = format!("upgrade all name servers to {oldest} or later first, one by one, 30 s apart");
    let ordinal = format!("{to} registers with ordinal {}", to.ordinal());
    let Some(server) = cx.options.name_server else {
        if cx.from.oldest_name_server() >= oldest {
            return Line::pass(ID, format!("every name server that takes {} takes {to}", cx.from)).evidence([ordinal]);
        }
        return Line::warn(
            ID,
            format!("name servers before {oldest} do not take {to}, and which ones run is not given (--name-server)"),
        )
        .evidence([ordinal])
        .consequence(symptom)
        .suggest(first);
    };
    let limit = server.behaviour().name_server_version_limit;
    if let Some(constants) = limit.value.filter(|_| !server.name_server_takes(to)) {
        return Line::fail(ID, format!("name servers of {server} do not take {to}"))
            .evidence([
                ordinal,
                format!("{server} has {constants} ordinals and fails at higher ones ({})", limit.evidence),
            ])
            .consequence(symptom)
            .suggest(first);
    }
    let conf = cx.conf.as_ref().map(|both| &both.new.file.conf);
    let notes: Vec<&NameServerNote> = NameServerNote::of(server, to).collect();
    let on = |note: &&&NameServerNote| note.only_if.is_none_or(|only| conf.is_some_and(|conf| only.is_on(conf)));
    let worst = notes.iter().filter(on).map(|note| note.level).max();
    let status = match worst {
        Some(NoteLevel::Block) => Status::Fail,
        Some(NoteLevel::Warning) => Status::Warn,
        _ => Status::Pass,
    };
    let message = match notes.iter().find(on) {
        Some(note) => note.says.to_owned(),
        None => format!("name servers of {server} take {to}"),
    };
    let line = Line::new(ID, status, message).evidence([ordinal]);
    line.evidence(notes.iter().map(|note| format!("{} ({})", note.says, note.evidence)))
}

fn clients(cx: &Cx<'_>) -> Line {
    let conf = cx.conf.as_ref().map(|both| &both.new.file.conf);
    let line = notes_line(
        cx,
        "conf.clients",
        Subject::Clients,
        conf,
        "nothing is known that clients would notice",
        "clients may notice a few things",
    );
    let Ok(log) = &cx.facts.log else { return line };
    let mut evidence = Vec::new();
    if log.marks.ipv6_host.is_some() {
        evidence.push("the log holds messages with IPv6 hosts: consumers before 4.6.0 cannot read them".to_owned());
    }
    if log.marks.codec_bits.is_some() {
        evidence.push(
            "producers of 4.9.4 or later have written here: what they pack as LZ4 or ZSTD older consumers cannot read"
                .to_owned(),
        );
    }
    line.evidence(evidence)
}

fn java(cx: &Cx<'_>) -> Line {
    const ID: &str = "conf.java";
    let (old, new) = (cx.from.behaviour(), cx.to.behaviour());
    let baseline = |rule: &str| rule.trim_start_matches("1.").parse::<u32>().unwrap_or(0);
    let line =
        notes_line(cx, ID, Subject::Java, None, "the scripts ask for the same", "the scripts ask for other things");
    let (needs, had) = (new.java_baseline, old.java_baseline);
    let mut says = Vec::new();
    if baseline(needs.value) > baseline(had.value) {
        says.push(format!("{} needs Java {} or later, {} was made for {}", cx.to, needs.value, cx.from, had.value));
    }
    if new.java_ext_dirs.value {
        says.push(format!(
            "the scripts of {} set -Djava.ext.dirs, which Java 9 and later refuse: run it with Java 8",
            cx.to
        ));
    }
    let baseline = format!("{} is made for Java {} ({})", cx.to, needs.value, needs.evidence);
    if says.is_empty() {
        return line.evidence([baseline]);
    }
    let evidence = line.evidence;
    Line::warn(ID, says.join("; "))
        .evidence(evidence)
        .evidence([baseline])
        .suggest("start the new release with its own scripts once on an empty folder of the same host")
}

fn order(cx: &Cx<'_>) -> Line {
    const ID: &str = "pair.order";
    let conf = cx.conf.as_ref().map(|both| &both.new.file.conf);
    let line = notes_line(cx, ID, Subject::Replication, conf, "", "");
    let (first, why) = if cx.is_upgrade() {
        (
            "the slave",
            "a newer slave reads whatever an older master sends, an older slave stops at records that it does not know",
        )
    } else {
        ("the master", "the older slave is to meet no record that it does not know")
    };
    let role = cx.conf.as_ref().map(|both| both.new.resolved.broker_role.value.as_str());
    let this = match role {
        Some("SLAVE") => "this one, by its file, is the slave",
        Some(_) => "this one, by its file, is a master",
        None => "which of both this one is, is not given",
    };
    let known = [
        format!("{why} (derived, never observed)"),
        "plain replication has the same wire from 3.2.6 to 5.3.3: by reading the source".to_owned(),
    ];
    let message = format!("{first} of a pair goes first; {this}");
    let line = match line.status {
        Status::Pass => Line { finding: crate::Finding { message, ..line.finding }, ..line },
        _ => line.evidence([message]),
    };
    line.evidence(known)
}

fn limits(cx: &Cx<'_>, pair: Option<&Side<'_>>) -> Line {
    const ID: &str = "pair.limits";
    let Some(pair) = pair else {
        let line = Line::not_checked(ID, "no snapshot of the other side is given (--pair)")
            .suggest("mqstore snapshot makes one on the other machine");
        let role = cx.conf.as_ref().map(|both| both.old.resolved.broker_role.value.clone());
        // These roles say that there is another side.
        return if matches!(role.as_deref(), Some("SLAVE" | "SYNC_MASTER")) { line } else { line.optional() };
    };
    let mut options = DiffOptions::default();
    options.limits = cx.options.limits;
    let compared = match diff(&Side::store(cx.store), pair, &options, cx.progress) {
        Ok(compared) => compared,
        Err(error) => return Line::not_checked(ID, error.to_string()),
    };
    let told = compared.report.findings().iter().filter(|finding| finding.severity >= Severity::Warning);
    let evidence = told.take(5).map(|finding| format!("{}: {}", finding.id, finding.message));
    let parted = compared.report.counts().error > 0;
    let line = match compared.outcome() {
        Outcome::Clean => Line::pass(ID, compared.verdict.clone()),
        Outcome::Found if parted => {
            Line::fail(ID, compared.verdict.clone()).suggest("find out which side is right before either is touched")
        }
        Outcome::Found => {
            Line::warn(ID, compared.verdict.clone()).suggest("stop the writes and wait until they are close")
        }
        Outcome::NoVerdict => {
            let skipped = compared.report.coverage.skipped.iter().find(|skipped| !skipped.asked);
            let why = skipped.map(|skipped| format!("{}: {}", skipped.what, skipped.why));
            Line::not_checked(ID, why.unwrap_or_else(|| "there was nothing to compare".to_owned()))
        }
    };
    line.evidence(evidence)
}
