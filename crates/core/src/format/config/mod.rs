//! The state a broker keeps beside its log, under `config/`: topics, groups, offsets, filters.
//!
//! - [`fastjson`]: the dialect of the files, into a tree of [`Node`]s that know their offsets, and into strict JSON.
//! - [`topics`], [`subscription_group`], [`consumer_offset`], [`delay_offset`], [`consumer_filter`], [`other`]: what the
//!   files hold, as structs. Tables are sorted maps; fields that a release does not write yet have the broker's default.
//! - [`timercheck`]: the one binary file.
//!
//! A file that is `null`, blank or lacks its table is an empty table to the broker, and here. Which of a file's copies
//! the broker takes is told by [`store::config`](crate::store::config).

pub mod consumer_filter;
pub mod consumer_offset;
mod data_version;
pub mod delay_offset;
pub mod fastjson;
mod node;
pub mod other;
pub mod position_checkpoint;
pub mod subscription_group;
pub mod timercheck;
pub mod topics;

pub use data_version::{DataVersion, TimestampSpelling};
pub use fastjson::{ConfigError, Document, Encoding, KeyOrder, TextFacts};
pub use node::{Node, Value};

/// What a JSON file under `config/` holds.
pub trait ConfigTable: Sized {
    /// Members of the root of which one at least is there in a file that holds something.
    const TABLES: &'static [&'static str];

    /// Reads the root of a file. Null has no fields, so it gives empty tables; a value of the wrong type is an error.
    fn from_root(root: &Node) -> Result<Self, ConfigError>;

    /// Parses the bytes of a file.
    fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::from_root(&fastjson::parse(bytes)?.root)
    }
}

#[cfg(test)]
mod tests;
