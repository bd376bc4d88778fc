//! `preflight`.

mod text;

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use mqstore_check::Outcome;
use mqstore_check::diff::Side;
use mqstore_check::preflight::{
    BackupTarget, ConfFile, Preflight, PreflightError, PreflightOptions, Space, Status, preflight,
};
use mqstore_check::snapshot::Snapshot;
use mqstore_core::release::Release;
use mqstore_core::release::conf::BrokerConf;

use super::{Context, Target};
use crate::args::{PlaceArgs, PreflightArgs, StoreArgs};
use crate::exit::{Exit, hinted, unknown_release};
use crate::output::also;
use crate::output::json::{self, TargetJson};

pub(crate) fn run(context: &mut Context, args: &PreflightArgs) -> anyhow::Result<Exit> {
    let (from, to) = (release(&args.from)?, release(&args.to)?);
    let target = Target::open_quietly(context, &store_args(args))?;
    let root = target.root().to_path_buf();
    context.out(&[&root])?;
    let options = options(args, &target)?;
    let pair = args.pair.as_deref().map(snapshot).transpose()?;
    let pair = pair.as_ref().map(Side::Snapshot);
    let bar = context.bar("reading the log");
    let checked = match preflight(&target.store, from, to, pair.as_ref(), &options, &bar) {
        Ok(checked) => checked,
        Err(PreflightError::Cancelled) => return Ok(Exit::interrupted()),
        Err(error) => return Err(error.into()),
    };
    drop(bar);
    let exit = exit(&checked, args);
    let about = TargetJson::store(&root);
    let head = ("mqstore.preflight", &about);
    also::write(context, &args.also, (&[&root], Some(&target.store)), head, &checked, &exit)?;
    let (paint, verbose, ndjson) = (context.paint, context.args.verbose, context.is_ndjson());
    let is_text = context.is_text();
    let out = context.out(&[&root])?;
    if is_text {
        text::print(out, paint, &checked, verbose)?;
        return Ok(exit);
    }
    if ndjson {
        for line in &checked.lines {
            serde_json::to_writer(&mut *out, line).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
        }
        // They are not told twice.
        let mut summary = serde_json::to_value(&checked)?;
        if let Some(members) = summary.as_object_mut() {
            members.shift_remove("findings");
        }
        json::document(out, ndjson, head, &summary, &exit)?;
    } else {
        json::document(out, ndjson, head, &checked, &exit)?;
    }
    Ok(exit)
}

/// What a release does is only known of releases in the table: none stands for another here.
fn release(text: &str) -> anyhow::Result<Release> {
    match Release::find(text) {
        Some(found) if found.exact => Ok(found.release),
        other => Err(unknown_release(text, other.map(|found| found.release))),
    }
}

fn store_args(args: &PreflightArgs) -> StoreArgs {
    let place = PlaceArgs {
        commitlog: args.commitlog.clone(),
        broker_conf: args.old_conf.clone().or_else(|| args.new_conf.clone()),
        release: Some(args.from.clone()),
        home: args.home.clone(),
        live: args.live,
        stopped: args.stopped,
    };
    StoreArgs { store: Some(args.store.clone()), place }
}

fn options(args: &PreflightArgs, target: &Target) -> anyhow::Result<PreflightOptions> {
    let read = |path: &Path| -> anyhow::Result<ConfFile> {
        Ok(ConfFile { path: path.to_path_buf(), conf: BrokerConf::read(path)? })
    };
    let mut options = PreflightOptions::default();
    options.old_conf = args.old_conf.as_deref().map(read).transpose()?;
    options.new_conf = args.new_conf.as_deref().map(read).transpose()?;
    options.home.clone_from(&args.home);
    options.commitlog_dirs.clone_from(&args.commitlog);
    options.live = target.live;
    options.name_server = args.name_server.as_deref().map(release).transpose()?;
    options.limits = (&args.limits).into();
    // The log is what fills a disk, and it may lie on one of its own.
    let log = target.store.commitlog().dirs().first().filter(|dir| dir.is_dir()).map_or(target.root(), |dir| dir);
    options.space = space(log);
    options.backup = args.backup_to.as_deref().map(|dir| backup(dir, log));
    options.pair_name = args.pair.as_ref().map(|path| path.display().to_string());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    options.now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    Ok(options)
}

fn space(dir: &Path) -> Option<Space> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(Space {
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
        free: stat.f_bfree.saturating_mul(stat.f_frsize),
        available: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}

fn backup(dir: &Path, store: &Path) -> BackupTarget {
    let device = |path: &Path| std::fs::metadata(path).ok().map(|metadata| metadata.dev());
    BackupTarget {
        dir: dir.to_path_buf(),
        space: space(dir),
        same_as_store: device(dir).is_some() && device(dir) == device(store),
    }
}

fn snapshot(path: &Path) -> anyhow::Result<Snapshot> {
    if path.is_dir() {
        return Err(hinted(
            format!("{} is a folder, expected a snapshot", path.display()),
            format!("mqstore snapshot {} -o pair.json.zst makes one", path.display()),
        ));
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Snapshot::from_reader(file).with_context(|| path.display().to_string())
}

fn exit(checked: &Preflight, args: &PreflightArgs) -> Exit {
    let verdict = text::verdict(checked);
    let first = |status| checked.lines.iter().find(|line| line.status == status && !line.optional);
    let because = |line: Option<&mqstore_check::preflight::Line>| match line {
        Some(line) => format!("{verdict}; first: {}: {}", line.id(), line.finding.message),
        None => verdict.clone(),
    };
    match checked.outcome(args.fail_on.into()) {
        Outcome::Clean => Exit::fine(verdict),
        Outcome::Found => {
            let line = first(Status::Fail).or_else(|| first(Status::Warn));
            Exit::blocking(because(line))
        }
        Outcome::NoVerdict => Exit::no_verdict(because(first(Status::NotChecked))),
    }
}
