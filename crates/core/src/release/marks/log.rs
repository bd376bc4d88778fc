//! Marks that a scan of the commit log saw.

use super::{About, LogMarks, Mark, Release, Sighting, Strength};
use crate::format::commitlog::{MagicCode, MessageRecord, TransactionType, names};
use crate::format::system_topic::TRANS_HALF_TOPIC;

impl LogMarks {
    /// Looks at a record. Of each mark the first one seen is kept.
    #[inline]
    pub fn see(&mut self, record: &MessageRecord<'_>) {
        let flag = record.sys_flag;
        let keep = |slot: &mut Option<Sighting>, is_mark: bool| {
            if is_mark {
                let (physical_offset, store_timestamp) = (record.position, record.store_timestamp);
                slot.get_or_insert(Sighting { physical_offset, store_timestamp });
            }
        };
        keep(&mut self.magic_v2, record.magic == MagicCode::V2);
        keep(&mut self.ipv6_host, flag.is_born_host_v6() || flag.is_store_host_v6());
        keep(&mut self.codec_bits, flag.0 & 0x700 != 0);
        let is_prepared =
            flag.transaction_type() == TransactionType::Prepared && record.topic != TRANS_HALF_TOPIC.as_bytes();
        keep(&mut self.prepared_in_business_topic, is_prepared);
        let properties = record.properties;
        for (slot, name) in [
            (&mut self.prop_crc, names::CRC32),
            (&mut self.cluster_property, "CLUSTER"),
            (&mut self.uniq_key, names::UNIQ_KEY),
        ] {
            keep(slot, slot.is_none() && properties.get(name).is_some());
        }
    }
}

pub(super) fn broker_marks(log: &LogMarks) -> Vec<Mark> {
    use {About::OpenedOnce as Once, Strength::Medium, Strength::Strong};
    let lower = |mark, sighting: Option<Sighting>, what, release, strength| {
        sighting.map(|s| at(mark, s, what, Some(release), None, Once, strength))
    };
    let prepared = log.prepared_in_business_topic.map(|s| {
        let what = "a prepared record outside the half topic: broker up to 4.2.0";
        at("commitlog.prepared-record", s, what, None, Some(Release::V4_2_0), About::History, Strong)
    });
    [
        lower("commitlog.magic-v2", log.magic_v2, "magic 0xDAA320AB: broker from 5.1.0 on", Release::V5_1_0, Strong),
        lower(
            "commitlog.ipv6-host",
            log.ipv6_host,
            "a host of 16 bytes: broker from 4.6.0 on",
            Release::V4_6_0,
            Strong,
        ),
        lower("commitlog.prop-crc", log.prop_crc, "property __CRC32#: broker from 5.2.0 on", Release::V5_2_0, Strong),
        lower(
            "commitlog.cluster-property",
            log.cluster_property,
            "property CLUSTER: broker from 4.6.0 on",
            Release::V4_6_0,
            Medium,
        ),
        prepared,
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn client_marks(log: &LogMarks) -> Vec<Mark> {
    let client = |mark, sighting: Option<Sighting>, what, release| {
        sighting.map(|s| at(mark, s, what, Some(release), None, About::Client, Strength::Strong))
    };
    [
        client("client.uniq-key", log.uniq_key, "property UNIQ_KEY: producer from 3.5.5 on", Release::V3_5_5),
        client("client.codec-bits", log.codec_bits, "codec bits in sysFlag: producer from 4.9.4 on", Release::V4_9_4),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn at(
    mark: &'static str,
    sighting: Sighting,
    what: &str,
    at_least: Option<Release>,
    at_most: Option<Release>,
    about: About,
    strength: Strength,
) -> Mark {
    let Sighting { physical_offset, store_timestamp } = sighting;
    let says = format!("{what}, seen at {physical_offset}, stored at {store_timestamp} ms");
    Mark { mark, path: "commitlog".to_owned(), says, at_least, at_most, about, strength }
}
