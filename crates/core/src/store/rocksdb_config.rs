//! Topics, groups and committed offsets that lie in RocksDB instead of JSON files.

use std::collections::BTreeMap;

use super::Store;
use super::rocksdb::RocksDb;
use super::special::SpecialKind;
use crate::bytes::i64_at;
use crate::error::StoreError;
use crate::format::config::DataVersion;
use crate::format::config::consumer_offset::{ConsumerOffsetTable, parse_offsets_of_group};
use crate::format::config::subscription_group::{SubscriptionGroupConfig, SubscriptionGroupTable};
use crate::format::config::topics::{TopicConfig, TopicConfigTable};
use crate::format::rocksdb::rows::{V2Key, V2Table};

/// Before the JSON of a topic or group in `config/rdb`: it is JSON.
const JSON: u8 = 1;

/// What the databases below `config/` hold. A table is `None` where no database holds a row of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RocksDbConfig {
    /// Topics: `config/topics`, or `config/rdb` with `configManagerVersion=v2`.
    pub topics: Option<TopicConfigTable>,
    /// Groups: `config/subscriptionGroups`, or `config/rdb`.
    pub subscription_groups: Option<SubscriptionGroupTable>,
    /// Committed offsets: `config/consumerOffsets`, or `config/rdb`.
    pub consumer_offsets: Option<ConsumerOffsetTable>,
    /// Rows that are not what a broker writes.
    pub bad_rows: u64,
    /// Bytes of newer writes in write-ahead logs, which are not applied.
    pub wal_bytes: u64,
}

impl Store {
    /// Topics, groups and offsets of the databases below `config/`; empty without any.
    ///
    /// # Errors
    /// A database that cannot be opened, and a file of it that is missing or damaged.
    pub fn rocksdb_config(&self) -> Result<RocksDbConfig, StoreError> {
        let mut config = RocksDbConfig::default();
        for (kind, dir) in self.rocksdb_dirs() {
            if kind != SpecialKind::RocksDbConfig {
                continue;
            }
            let database = RocksDb::open(kind, &dir)?;
            match dir.file_name().and_then(std::ffi::OsStr::to_str) {
                Some("topics") => config.topics = config.table(&database, named(TopicConfig::parse))?,
                Some("subscriptionGroups") => {
                    config.subscription_groups = config.table(&database, named(SubscriptionGroupConfig::parse))?;
                }
                Some("consumerOffsets") => {
                    config.consumer_offsets = config.table(&database, named(parse_offsets_of_group))?;
                }
                Some("rdb") => config.v2(&database)?,
                _ => continue,
            }
            config.wal_bytes += database.wal_bytes();
        }
        Ok(config)
    }
}

/// A table that is filled row by row.
trait Table: Default {
    type Row;
    fn put(&mut self, name: String, row: Self::Row);
    fn set_version(&mut self, version: Option<DataVersion>);
}

impl Table for TopicConfigTable {
    type Row = TopicConfig;
    fn put(&mut self, name: String, row: TopicConfig) {
        self.topics.insert(name, row);
    }
    fn set_version(&mut self, version: Option<DataVersion>) {
        self.data_version = version;
    }
}

impl Table for SubscriptionGroupTable {
    type Row = SubscriptionGroupConfig;
    fn put(&mut self, name: String, row: SubscriptionGroupConfig) {
        self.groups.insert(name, row);
    }
    fn set_version(&mut self, version: Option<DataVersion>) {
        self.data_version = version;
    }
}

impl Table for ConsumerOffsetTable {
    type Row = BTreeMap<i32, i64>;
    fn put(&mut self, name: String, row: BTreeMap<i32, i64>) {
        self.offset_table.entry(name).or_default().extend(row);
    }
    fn set_version(&mut self, version: Option<DataVersion>) {
        self.data_version = version;
    }
}

/// Reads a row whose key is a name; `None` for one that no broker writes.
fn named<T, E>(parse: impl Fn(&[u8]) -> Result<T, E>) -> impl Fn(&[u8], &[u8]) -> Option<(String, T)> {
    move |key, value| Some((std::str::from_utf8(key).ok()?.to_owned(), parse(value).ok()?))
}

impl RocksDbConfig {
    fn table<T: Table>(
        &mut self,
        database: &RocksDb,
        read: impl Fn(&[u8], &[u8]) -> Option<(String, T::Row)>,
    ) -> Result<Option<T>, StoreError> {
        let rows = database.rows("default", |_| true)?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut table = T::default();
        for (key, value) in &rows {
            match read(key, value) {
                Some((name, row)) => table.put(name, row),
                None => self.bad_rows += 1,
            }
        }
        let version = database.rows("kvDataVersion", |key| key == b"kvDataVersionKey")?;
        table.set_version(version.into_values().next().and_then(|json| DataVersion::parse(&json).ok()));
        Ok(Some(table))
    }

    fn v2(&mut self, database: &RocksDb) -> Result<(), StoreError> {
        for (key, value) in &database.rows("default", |_| true)? {
            let json = || value.split_first().filter(|(kind, _)| **kind == JSON).map(|(_, json)| json);
            let read = match V2Key::parse(key) {
                Some(V2Key::Named(V2Table::Topic, name)) => json().and_then(|json| {
                    let (name, row) = named(TopicConfig::parse)(name, json)?;
                    self.topics.get_or_insert_default().put(name, row);
                    Some(())
                }),
                Some(V2Key::Named(_, name)) => json().and_then(|json| {
                    let (name, row) = named(SubscriptionGroupConfig::parse)(name, json)?;
                    self.subscription_groups.get_or_insert_default().put(name, row);
                    Some(())
                }),
                Some(V2Key::Offset { table: V2Table::ConsumerOffset, group, topic, queue_id }) => {
                    i64_at(value, 0).filter(|_| value.len() == 8).map(|offset| {
                        let text = |bytes| String::from_utf8_lossy(bytes);
                        let name = format!("{}@{}", text(topic), text(group));
                        self.consumer_offsets.get_or_insert_default().put(name, [(queue_id, offset)].into());
                    })
                }
                Some(V2Key::Offset { .. } | V2Key::DataVersion(_)) => Some(()),
                None => None,
            };
            self.bad_rows += u64::from(read.is_none());
        }
        Ok(())
    }
}
