//! `backup create`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mqstore_backup::manifest::{Broker, Excluded, FileClass, Gap};
use mqstore_backup::{BackupError, BackupPlan, Base, CreateOptions, Manifest, PlanOptions, StoreFacts};
use mqstore_core::release::conf::Resolved;
use mqstore_core::store::LockState;
use serde::Serialize;

use super::{gaps_exit, needs_in_words, print_classes, print_gaps, print_manifest, prune, require_archive, verify};
use crate::args::{CreateArgs, Sums};
use crate::commands::facts::missing_log;
use crate::commands::{Context, Target};
use crate::exit::{Exit, Refused, hinted};
use crate::glob::Glob;
use crate::output::also;
use crate::output::human::{count, plain, size};
use crate::output::json::{self, TargetJson, text};
use crate::time::Moment;

pub(crate) fn run(context: &mut Context, args: &CreateArgs) -> anyhow::Result<Exit> {
    let destination = if args.dry_run { None } else { Some(destination(context)?) };
    let base = args.since.as_deref().map(|archive| base(context, args, archive)).transpose()?;
    let target = Target::open_quietly(context, &args.store)?;
    let options = plan_options(&target, args);
    // What refuses comes before what takes long.
    let mut plan = mqstore_backup::plan(target.root(), &options, facts(&target))?;
    exclude(&mut plan, &args.exclude)?;
    if let Some(base) = &base {
        base.refuse_other(&plan)?;
    }
    secrets(context, &plan);
    let exit = missing_log(&target)?;
    match destination {
        None => dry_run(context, &target, &plan, base.as_ref(), exit),
        Some(Destination::Stdout) => to_stdout(context, &create_options(args, base), &plan, exit),
        Some(Destination::Path(path)) => {
            let path = if path.is_dir() { path.join(file_name(&plan.facts.broker)) } else { path };
            to_file(context, args, (&target, &plan, base), &path, exit)
        }
    }
}

/// The archive to refer to. One that cannot be relied on is none to rely on.
fn base(context: &Context, args: &CreateArgs, archive: &Path) -> anyhow::Result<Base> {
    require_archive(archive)?;
    let bar = context.bar("reading the manifest");
    let base = Base::open(archive, &args.chain, &bar);
    drop(bar);
    let place = || format!("--since {}", archive.display());
    match base {
        Err(error @ BackupError::Damaged { .. }) => Err(Refused(format!("{}: {error}", place())).into()),
        base => base.with_context(place),
    }
}

/// Where the archive goes.
#[derive(Debug)]
enum Destination {
    Stdout,
    Path(PathBuf),
}

fn destination(context: &Context) -> anyhow::Result<Destination> {
    match &context.args.output {
        Some(path) if path != Path::new("-") => Ok(Destination::Path(path.clone())),
        _ if io::stdout().is_terminal() => {
            Err(hinted("an archive is not written to a terminal", "name a file or a folder with --output"))
        }
        _ => Ok(Destination::Stdout),
    }
}

/// `LabCluster-broker-a-0-20261125T023805Z.mqstore.tar.zst`, as far as cluster, name and id are known.
fn file_name(broker: &Broker) -> String {
    let id = broker.id.map(|id| id.to_string());
    let name = broker.name.as_deref().unwrap_or("store");
    let parts: Vec<&str> = broker.cluster.as_deref().into_iter().chain([name]).chain(id.as_deref()).collect();
    let parts = parts.join("-");
    let parts: String = parts.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    format!("{parts}-{}.mqstore.tar.zst", Moment::now().compact())
}

/// Leaves out what the patterns name; one that names nothing is a mistake.
fn exclude(plan: &mut BackupPlan, globs: &[Glob]) -> anyhow::Result<()> {
    for glob in globs {
        let mut glob = glob.clone();
        let reason = format!("left out by --exclude {}", glob.as_str());
        plan.exclude(&reason, |name| glob.matches(name.as_bytes()));
        if !glob.has_matched() {
            return Err(hinted(
                format!("--exclude {} matches no file", glob.as_str()),
                "--dry-run -v lists the names in the archive",
            ));
        }
    }
    Ok(())
}

/// Whoever can read the archive can read these.
fn secrets(context: &Context, plan: &BackupPlan) {
    let names: Vec<&str> = plan.secrets().map(|item| item.name.as_str()).collect();
    if !names.is_empty() {
        context
            .note(&format!("the archive holds passwords or keys in {}: --exclude leaves them out", names.join(", ")));
    }
}

fn plan_options(target: &Target, args: &CreateArgs) -> PlanOptions {
    let log = target.store.commitlog();
    let mut include = args.include.clone();
    include.extend(args.store.place.broker_conf.clone());
    include.extend(target.conf.iter().flat_map(|conf| epoch_files(conf, target.root())));
    let mut commitlog: Vec<PathBuf> = log.dirs().iter().filter(|dir| dir.is_dir()).cloned().collect();
    if let Some(dledger) = target.conf.as_ref().and_then(|conf| conf.dledger.as_ref()) {
        commitlog.extend(Some(dledger.data.value.clone()).filter(|dir| dir.is_dir()));
    }
    let place = &args.store.place;
    PlanOptions {
        commitlog,
        home: target.store.options().home.clone(),
        program: args.program.clone(),
        include,
        lock_held: matches!(target.lock, LockState::Held { .. }) && !place.stopped,
        may_run: target.lock == LockState::Absent && target.root().join("abort").exists() && !place.stopped,
        live: place.live,
    }
}

/// The epochs of controller mode, where they do not lie below the root.
fn epoch_files(conf: &Resolved, root: &Path) -> Vec<PathBuf> {
    let Some(file) = &conf.epoch_file else { return Vec::new() };
    let mut twin = file.value.clone().into_os_string();
    twin.push(".bak");
    let files = [file.value.clone(), PathBuf::from(twin)];
    files.into_iter().filter(|file| file.is_file() && !file.starts_with(root)).collect()
}

/// What the store tells, and what the broker's configuration adds.
fn facts(target: &Target) -> StoreFacts {
    let mut facts = mqstore_backup::facts::gather(&target.store);
    let Some(conf) = &target.conf else { return facts };
    facts.broker.cluster = Some(conf.broker_cluster_name.value.clone());
    facts.broker.name.clone_from(&conf.broker_name.value);
    facts.broker.id = Some(conf.broker_id.value);
    for (key, value) in [
        ("mappedFileSizeCommitLog", conf.mapped_file_size_commit_log.value),
        ("mappedFileSizeConsumeQueue", conf.mapped_file_size_consume_queue.value),
        ("maxHashSlotNum", u64::from(conf.max_hash_slot_num.value)),
        ("maxIndexNum", u64::from(conf.max_index_num.value)),
    ] {
        // What the files show is more certain than what a configuration says.
        facts.layout.sizes.entry(key.to_owned()).or_insert(value);
    }
    facts
}

fn create_options(args: &CreateArgs, since: Option<Base>) -> CreateOptions {
    let mut options = CreateOptions::default();
    options.level = args.level;
    let cores = || std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    options.jobs = args.jobs.unwrap_or_else(cores);
    options.all_sums = args.sums == Sums::All;
    options.limit_rate = args.limit_rate;
    options.since = since;
    options
}

fn to_stdout(context: &mut Context, options: &CreateOptions, plan: &BackupPlan, exit: Exit) -> anyhow::Result<Exit> {
    let bar = context.bar("archiving");
    let created = mqstore_backup::create(plan, io::stdout().lock(), options, &bar)?;
    drop(bar);
    context.note(&format!(
        "{} archived, {}{}",
        count(created.manifest.stored_files().count() as u64, "file", "files"),
        size(created.archive_length),
        created.manifest.since.as_ref().map(|since| format!("; {}", needs_in_words(&since.needs))).unwrap_or_default()
    ));
    Ok(exit.and(gaps_exit(&created.manifest.gaps)))
}

#[derive(Debug, Serialize)]
struct CreatedJson<'a> {
    archive: String,
    archive_length: u64,
    /// Whether it was read back and compared; what came of that is in the exit code.
    verified: bool,
    manifest: &'a Manifest,
}

fn to_file(
    context: &mut Context,
    args: &CreateArgs,
    (target, plan, base): (&Target, &BackupPlan, Option<Base>),
    path: &Path,
    exit: Exit,
) -> anyhow::Result<Exit> {
    let bar = context.bar("archiving");
    let created = mqstore_backup::create_file(plan, path, &create_options(args, base), &bar)?;
    drop(bar);
    let mut exit = exit.and(gaps_exit(&created.manifest.gaps));
    if args.verify {
        let bar = context.bar("verifying");
        let mut folders = args.chain.clone();
        // Where the archive lies that it refers to is known.
        folders.extend(args.since.as_ref().map(|since| folder_of(since).to_path_buf()));
        let verified = mqstore_backup::verify_chain(path, &folders, &bar)?;
        drop(bar);
        exit = exit.and(verify::exit(&verified.report));
    }
    // Whoever reads the archive looks beside it.
    let elsewhere = args.since.as_deref().map(folder_of).filter(|folder| !is_same(folder, folder_of(path)));
    if let Some(folder) = elsewhere {
        context.note(&format!("what it refers to lies in another folder: --chain {} says so", folder.display()));
    }
    let about = TargetJson::store(target.root());
    let (archive, archive_length) = (text(path), created.archive_length);
    let body = CreatedJson { archive, archive_length, verified: args.verify, manifest: &created.manifest };
    also::write(context, &args.also, (&[target.root()], None), ("mqstore.backup.create", &about), &body, &exit)?;
    if let Some(keep) = args.keep.filter(|_| exit.is_clean()) {
        prune::after_create(context, path, keep)?;
    }
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.stdout()?;
    if !is_text {
        json::document(out, ndjson, ("mqstore.backup.create", &about), &body, &exit)?;
        return Ok(exit);
    }
    let read_back = if args.verify && exit.is_clean() { ", read back and verified" } else { "" };
    writeln!(out, "{} ({}{read_back})\n", paint.bold(path.display()), size(created.archive_length))?;
    print_manifest(out, paint, &created.manifest)?;
    print_gaps(out, paint, &created.manifest.gaps)?;
    if !args.verify {
        let chain = elsewhere.map(|folder| format!(" --chain {}", folder.display())).unwrap_or_default();
        writeln!(out, "\n{}", paint.dim(format_args!("next: mqstore backup verify {}{chain}", path.display())))?;
    }
    Ok(exit)
}

fn is_same(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

fn folder_of(archive: &Path) -> &Path {
    archive.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[derive(Debug, Serialize)]
struct PlanJson<'a> {
    dry_run: bool,
    /// Id of the archive to refer to. What is unchanged is known only when everything is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<&'a str>,
    estimated_length: u64,
    secrets: Vec<&'a str>,
    files: Vec<PlannedJson<'a>>,
    excluded: &'a [Excluded],
    gaps: &'a [Gap],
}

#[derive(Debug, Serialize)]
struct PlannedJson<'a> {
    path: &'a str,
    length: u64,
    class: FileClass,
}

fn dry_run(
    context: &mut Context,
    target: &Target,
    plan: &BackupPlan,
    base: Option<&Base>,
    exit: Exit,
) -> anyhow::Result<Exit> {
    let exit = exit.and(gaps_exit(&plan.gaps));
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let verbose = context.args.verbose;
    let out = context.stdout()?;
    if !is_text {
        let files = plan.files().map(|item| PlannedJson { path: &item.name, length: item.length, class: item.class });
        let body = PlanJson {
            dry_run: true,
            since: base.map(|base| base.manifest().backup_id.as_str()),
            estimated_length: plan.estimated_bytes(),
            secrets: plan.secrets().map(|item| item.name.as_str()).collect(),
            files: files.collect(),
            excluded: &plan.excluded,
            gaps: &plan.gaps,
        };
        json::document(out, ndjson, ("mqstore.backup.create", &TargetJson::store(target.root())), &body, &exit)?;
        return Ok(exit);
    }
    let files = count(plan.files().count() as u64, "file", "files");
    let (length, estimated) = (size(plan.total_bytes()), size(plan.estimated_bytes()));
    writeln!(out, "{}\n", paint.bold(format!("would archive {files}, {length}, about {estimated} packed")))?;
    print_classes(out, paint, plan.files().map(|item| (item.class, item.length, None)))?;
    if verbose {
        writeln!(out)?;
        for item in plan.files() {
            writeln!(out, "{:>14}  {}", item.length, item.name)?;
        }
    }
    writeln!(out)?;
    for excluded in &plan.excluded {
        let length: u64 = excluded.files.iter().map(|file| file.length).sum();
        let files = count(excluded.files.len() as u64, "file", "files");
        writeln!(out, "left out: {} ({files}, {}): {}", excluded.path, size(length), excluded.reason)?;
    }
    if let Some(base) = base {
        let (name, id) = (base.path().display(), plain(&base.manifest().backup_id));
        writeln!(out, "since: {name} ({id}): what has not changed, by its checksum, is not stored again")?;
    }
    print_gaps(out, paint, &plan.gaps)?;
    Ok(exit)
}
