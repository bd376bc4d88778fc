//! The configuration of a restored store, put together in the folder where it is made ready: topics and groups in the
//! place where the release reads them, those that are younger than the backup kept, offsets by the policy.

use std::fs;
use std::path::{Path, PathBuf};

use mqstore_core::format::config::{Document, KeyOrder, Node, Value, fastjson};
use mqstore_core::store::config::{ConfigDir, ConfigPlace, Loaded};

use super::live::Live;
use super::offsets::{Both, consumer_offset_text, delay_offset_text};
use super::plan::Offsets;
use super::switch::{create_folders, exists};
use crate::error::BackupError;
use crate::partial::{PartialFile, sync_folder};

const TOPICS: &str = "topics.json";
const GROUPS: &str = "subscriptionGroup.json";
const CONSUMER_OFFSET: &str = "consumerOffset.json";
const DELAY_OFFSET: &str = "delayOffset.json";
/// The files that 3.5.5 to 3.5.8 keep below the home folder.
pub(super) const SPLIT: [&str; 4] = [TOPICS, "topics.json.bak", GROUPS, "subscriptionGroup.json.bak"];
/// State of the timers, which lies among the configuration.
const OF_TIMERS: [&str; 3] = ["timercheck", "timermetrics", "timermetrics.bak"];

/// The folders that a restored configuration is put together from.
#[derive(Debug)]
pub(super) struct Staged<'a> {
    /// The staged root.
    pub(super) root: &'a Path,
    /// Where the home files of the archive lie, if it has any.
    pub(super) home: &'a Path,
    /// Where those lie that go into the home folder.
    pub(super) home_out: &'a Path,
    pub(super) live: &'a Live,
    /// The home folder's `store/config`, wherever the release looks: what is there may be newer.
    pub(super) live_home: Option<&'a Path>,
}

impl Staged<'_> {
    fn archived(&self) -> ConfigDir {
        ConfigDir::new(self.root).with_home(Some(self.home.to_path_buf()))
    }

    fn present(&self) -> ConfigDir {
        ConfigDir::new(&self.live.root).with_home(self.live_home.map(Path::to_path_buf))
    }

    /// Puts topics and groups where the release reads them.
    pub(super) fn place_split_files(&self) -> Result<(), BackupError> {
        let archived = self.archived();
        for (name, place) in [(TOPICS, archived.topics().newest()), (GROUPS, archived.subscription_groups().newest())] {
            let from = match place {
                ConfigPlace::Root => self.root.join("config"),
                ConfigPlace::Home => self.home.to_path_buf(),
            };
            let to =
                if self.live.home_config.is_some() { self.home_out.to_path_buf() } else { self.root.join("config") };
            if from == to {
                continue;
            }
            for name in [name.to_owned(), format!("{name}.bak")] {
                if exists(&from.join(&name))? {
                    copy(&from.join(&name), &to.join(&name))?;
                }
            }
        }
        Ok(())
    }

    /// Adds the topics and groups that are there now and were not when the backup was made; gives their names.
    pub(super) fn keep_later(&self) -> Result<(Vec<String>, Vec<String>), BackupError> {
        let present = self.present();
        let topics = self.merge(TOPICS, "topicConfigTable", present.topics().newest())?;
        let groups = self.merge(GROUPS, "subscriptionGroupTable", present.subscription_groups().newest())?;
        Ok((topics, groups))
    }

    fn merge(&self, name: &str, table: &str, place: ConfigPlace) -> Result<Vec<String>, BackupError> {
        let out = self.place_of(name);
        let theirs = self.reader().document(self.reading_place(), name);
        let ours = self.present().document(place, name);
        let Some(ours) = value(ours) else { return Ok(Vec::new()) };
        let nothing = theirs.as_ref().is_none_or(|theirs| !theirs.is_there());
        let theirs = match value(theirs) {
            Some(theirs) => theirs,
            // The backup has no such file: all that is there now is younger.
            None if nothing => fastjson::parse(format!("{{\"{table}\":{{}}}}").as_bytes())
                .map_err(|error| BackupError::unusable(&out, error.to_string()))?,
            // What is there of it cannot be read, and what the release makes of that is told by its start.
            None => return Ok(Vec::new()),
        };
        let known = |key: &str| theirs.root.get(table).and_then(|table| table.get(key)).is_some();
        let later: Vec<_> = ours.root.get(table).and_then(Node::as_object).unwrap_or_default().to_vec();
        let later: Vec<_> = later.into_iter().filter(|(key, _)| !known(key)).collect();
        if later.is_empty() {
            return Ok(Vec::new());
        }
        let names = later.iter().map(|(key, _)| key.clone()).collect();
        let mut merged = theirs.root.clone();
        if let Value::Object(members) = &mut merged.value {
            for (_, node) in members.iter_mut().filter(|(key, _)| key == table) {
                if let Value::Object(entries) = &mut node.value {
                    entries.extend(later.iter().cloned());
                }
            }
        }
        write(&out, merged.to_strict_json(KeyOrder::AsWritten).as_bytes())?;
        Ok(names)
    }

    /// Where the release will read a split file, in the folder where it is made ready.
    fn place_of(&self, name: &str) -> PathBuf {
        match self.reading_place() {
            ConfigPlace::Home => self.home_out.join(name),
            ConfigPlace::Root => self.root.join("config").join(name),
        }
    }

    fn reading_place(&self) -> ConfigPlace {
        if self.live.home_config.is_some() { ConfigPlace::Home } else { ConfigPlace::Root }
    }

    /// The configuration as the release will read it.
    fn reader(&self) -> ConfigDir {
        ConfigDir::new(self.root).with_home(Some(self.home_out.to_path_buf()))
    }

    /// The offsets of both sides.
    pub(super) fn offsets(&self) -> Both {
        let (archived, present) = (self.archived(), self.present());
        Both {
            backup: archived.consumer_offsets().into_value().unwrap_or_default(),
            current: present.consumer_offsets().into_value().unwrap_or_default(),
            backup_delay: archived.delay_offsets().into_value().unwrap_or_default(),
            current_delay: present.delay_offsets().into_value().unwrap_or_default(),
        }
    }

    /// Writes the offsets of a policy; where the backup's are the same, its files stay as they are.
    pub(super) fn write_offsets(&self, both: &Both, policy: Offsets) -> Result<(), BackupError> {
        let config = self.root.join("config");
        if policy == Offsets::Current {
            for name in [CONSUMER_OFFSET, DELAY_OFFSET] {
                for name in [name.to_owned(), format!("{name}.bak")] {
                    let (from, to) = (self.live.root.join("config").join(&name), config.join(&name));
                    if exists(&from)? {
                        copy(&from, &to)?;
                    } else if exists(&to)? {
                        fs::remove_file(&to).map_err(|source| BackupError::io("remove", &to, source))?;
                    }
                }
            }
            return Ok(());
        }
        let version = |name: &str| {
            let document = value(self.archived().document(ConfigPlace::Root, name));
            document.and_then(|document| document.root.get("dataVersion").cloned())
        };
        let table = both.table(policy);
        if table != both.backup.offset_table {
            let text = consumer_offset_text(&table, version(CONSUMER_OFFSET).as_ref());
            write(&config.join(CONSUMER_OFFSET), text.as_bytes())?;
        }
        let table = both.delay_table(policy);
        if table != both.backup_delay.offset_table {
            let text = delay_offset_text(&table, version(DELAY_OFFSET).as_ref());
            write(&config.join(DELAY_OFFSET), text.as_bytes())?;
        }
        Ok(())
    }

    /// Timers stay where only the configuration is restored: their state among it stays, too.
    pub(super) fn keep_timers(&self) -> Result<(), BackupError> {
        for name in OF_TIMERS {
            let (from, to) = (self.live.root.join("config").join(name), self.root.join("config").join(name));
            if exists(&from)? {
                copy(&from, &to)?;
            } else if exists(&to)? {
                fs::remove_file(&to).map_err(|source| BackupError::io("remove", &to, source))?;
            }
        }
        Ok(())
    }

    /// Makes the names durable.
    pub(super) fn sync(&self) -> Result<(), BackupError> {
        for folder in [&self.root.join("config"), self.root, self.home_out] {
            if folder.is_dir() {
                sync_folder(folder)?;
            }
        }
        Ok(())
    }
}

fn value(loaded: Option<Loaded<Document>>) -> Option<Document> {
    loaded.and_then(Loaded::into_value)
}

/// Copies content, mode and time, durably.
fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let fail = |action, source| BackupError::io(action, from, source);
    let content = fs::read(from).map_err(|source| fail("read", source))?;
    let metadata = fs::metadata(from).map_err(|source| fail("read", source))?;
    write(to, &content)?;
    let file = fs::File::options().write(true).open(to).map_err(|source| BackupError::io("open", to, source))?;
    let times = fs::FileTimes::new().set_modified(metadata.modified().map_err(|source| fail("read", source))?);
    let done = file.set_permissions(metadata.permissions()).and_then(|()| file.set_times(times));
    done.and_then(|()| file.sync_all()).map_err(|source| BackupError::io("finish", to, source))
}

/// Writes a small file, with the mode of what it replaces.
fn write(path: &Path, content: &[u8]) -> Result<(), BackupError> {
    if let Some(folder) = path.parent() {
        create_folders(folder)?;
    }
    let mode = fs::metadata(path).map(|metadata| metadata.permissions()).ok();
    let partial = PartialFile::create(path)?;
    std::io::Write::write_all(&mut partial.file(), content)
        .and_then(|()| {
            partial.file().set_permissions(mode.unwrap_or(std::os::unix::fs::PermissionsExt::from_mode(0o644)))
        })
        .map_err(|source| BackupError::io("write", path, source))?;
    partial.commit()
}
