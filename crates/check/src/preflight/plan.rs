//! The commands, in order, with the paths at hand.

use std::path::Path;

use super::conf::{copy_command, topics_folders};
use super::{Cx, Line, PlanStep, Status, Way, WayBack};

struct Plan(Vec<PlanStep>);

impl Plan {
    fn add(&mut self, what: impl Into<String>, command: Option<String>, destructive: bool) {
        self.0.push(PlanStep { step: self.0.len() + 1, what: what.into(), command, destructive });
    }

    fn look(&mut self, what: impl Into<String>, command: impl Into<String>) {
        self.add(what, Some(command.into()), false);
    }

    fn change(&mut self, what: impl Into<String>, command: impl Into<String>) {
        self.add(what, Some(command.into()), true);
    }
}

pub(super) fn steps(cx: &Cx<'_>, lines: &[Line], way_back: &WayBack) -> Vec<PlanStep> {
    let (from, to) = (cx.from, cx.to);
    let store = quoted(cx.store.root());
    let mut plan = Plan(Vec::new());
    let failed: Vec<&str> = lines.iter().filter(|line| line.status == Status::Fail).map(Line::id).collect();
    if !failed.is_empty() {
        plan.add(format!("not before these are put right: {}", failed.join(", ")), None, false);
    }
    let of = |id: &str| lines.iter().find(|line| line.id() == id);
    if of("conf.name-server").is_some_and(|line| line.status != Status::Pass) {
        plan.add(
            format!("upgrade all name servers to {} or later, one by one, 30 s apart", to.oldest_name_server()),
            None,
            false,
        );
    }
    let role = cx.conf.as_ref().map(|both| both.old.resolved.broker_role.value.as_str());
    let slave = role == Some("SLAVE");
    let other = cx.options.pair_name.as_deref();
    if slave != cx.is_upgrade() {
        let first = if cx.is_upgrade() { "slave" } else { "master" };
        plan.add(format!("if there is a {first}: do all of this with it first"), None, false);
    }
    let broker = cx.conf.as_ref().and_then(|both| both.old.resolved.broker_name.value.clone());
    let servers = cx.conf.as_ref().and_then(|both| both.old.file.conf.get("namesrvAddr"));
    let servers = servers.map_or_else(|| "NAMESRV".to_owned(), |entry| entry.value.trim().to_owned());
    let broker = broker.unwrap_or_else(|| "BROKER".to_owned());
    if !slave {
        plan.change(
            "take the write permission away, and wait until no message comes in",
            format!("mqadmin wipeWritePerm -n {servers} -b {broker}"),
        );
    }
    let pair = other.map_or_else(|| "PAIR".to_owned(), |name| quoted(Path::new(name)));
    if other.is_some() || role == Some("SYNC_MASTER") {
        plan.look(
            "wait until the slave has all, with a fresh snapshot of it",
            format!("mqstore diff {store} {pair} --watch 5s"),
        );
    }
    plan.look("keep the positions", format!("mqstore snapshot {store} -o before.json.zst"));
    plan.change(
        format!("stop {from}, wait until the process and {} are gone", quoted(&cx.store.root().join("abort"))),
        "mqshutdown broker",
    );
    let (old_conf, new_conf) = match &cx.conf {
        Some(both) => (quoted(&both.old.file.path), quoted(&both.new.file.path)),
        None => ("OLD_CONF".to_owned(), "NEW_CONF".to_owned()),
    };
    let home = cx.options.home.as_deref().map(|home| format!(" --home {}", quoted(home))).unwrap_or_default();
    plan.look(
        "go through this list again, now that the store is at rest",
        format!("mqstore preflight {store} --from {from} --to {to} --old-conf {old_conf} --new-conf {new_conf}{home}"),
    );
    let dir = cx.options.backup.as_ref().map_or_else(|| "BACKUP_DIR".to_owned(), |backup| quoted(&backup.dir));
    plan.look(
        "back up everything but the log",
        format!("mqstore backup create {store} -c {old_conf}{home} -o {dir} --verify"),
    );
    if way_back.way != Way::InPlace {
        let logs: Vec<String> = cx.store.commitlog().dirs().iter().map(|dir| quoted(dir)).collect();
        plan.look(
            "copy the log, too: the way back may need it",
            format!("cp -a --sparse=always {} {dir}/", logs.join(" ")),
        );
    }
    if let Some((source, target)) = topics_folders(cx) {
        plan.change(format!("put topics and groups where {to} looks for them"), copy_command(&source, &target));
    }
    plan.change(
        format!("put the program of {to} in place and start it: from here on the store is changed"),
        format!("nohup sh mqbroker -c {new_conf} &"),
    );
    plan.look(
        "see that the route is there and may be written to, and that consumers go on",
        format!("mqadmin topicRoute -n {servers} -t TOPIC"),
    );
    plan.look(
        "hold the positions against those from before",
        format!("mqstore diff before.json.zst {store} --relation before-after"),
    );
    back(cx, way_back, &mut plan, (&store, &old_conf, &home, &dir));
    plan.0
}

fn back(cx: &Cx<'_>, way_back: &WayBack, plan: &mut Plan, (store, old_conf, home, dir): (&str, &str, &str, &str)) {
    let (from, to) = (cx.from, cx.to);
    match way_back.way {
        Way::InPlace | Way::InPlaceUnlessUsed => {
            plan.look(format!("back, if need be: stop {to} and ask what {from} would do"), format!(
                "mqstore preflight {store} --from {to} --to {from} --old-conf {new} --new-conf {old_conf}{home}",
                new = cx.conf.as_ref().map_or_else(|| "NEW_CONF".to_owned(), |both| quoted(&both.new.file.path)),
            ));
            if let Some((source, target)) = topics_folders(cx) {
                plan.change("back: put topics and groups where they were", copy_command(&target, &source));
            }
            plan.change(format!("back: start {from} on the store as it is; do not put older queues beside the newer log"), format!("nohup sh mqbroker -c {old_conf} &"));
        }
        Way::Restore | Way::Unknown => plan.change(
            format!("back, if need be: stop {to}, put the archive into an empty folder and the copied log beside it, start {from} there"),
            format!("mqstore backup restore {dir}/ARCHIVE.tar.zst --to NEW_STORE"),
        ),
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_only_where_a_shell_needs_it() {
        let quote = |text: &str| quoted(Path::new(text));
        assert_eq!(quote("/data/rocketmq/store"), "/data/rocketmq/store");
        assert_eq!(quote("/data/it's here"), r"'/data/it'\''s here'");
    }
}
