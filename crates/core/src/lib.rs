//! Zero-copy readers for the files of an Apache RocketMQ store, releases 3.2.6 to 5.5.0.
//!
//! A broker keeps messages and state as files below one folder, the *store root*. This crate reads them without a
//! broker and never writes. It has four layers, each using only those above it in this list:
//!
//! - [`bytes`]: [`bytes::Reader`], a big-endian cursor that cannot panic and knows the offset of every field.
//! - [`mod@format`]: bytes in, views out; one module per file format. No files, no paths, no clock.
//!   - [`format::commitlog`]: message records, [`format::commitlog::Entries`] walks the entries of one file.
//!   - [`format::consumequeue`]: 20-byte queue units; [`format::consumequeue_ext`]: their extension.
//!   - [`format::batchconsumequeue`]: 46-byte units of batch and compaction queues.
//!   - [`format::index`]: hash slots and entries of an index file.
//!   - [`format::timer`]: the timer wheel and its log; [`format::pop`]: check points of POP.
//!   - [`format::dledger`]: entries that wrap the records of a DLedger broker.
//!   - [`format::rocksdb`]: manifests, tables of keys and values, and what brokers keep in them.
//!   - [`format::checkpoint`]: the flush marks of the store.
//!   - [`format::config`]: the JSON state under `config/`, in fastjson's dialect.
//! - [`release`]: what differs by broker release, as one table of data; `broker.conf`; which release wrote a store.
//! - [`store`]: a folder of files: [`store::Store::open`] is the place to start. [`store::StoreLog`] is the log whatever
//!   holds it, [`store::pending()`] what waits in the store.
//!
//! ```no_run
//! use mqstore_core::store::{Store, StoreOptions};
//!
//! let store = Store::open("/data/rocketmq/store", StoreOptions::default())?;
//! for queue in store.consumequeues()? {
//!     let range = queue.range(store.commitlog().min_offset())?;
//!     println!("{} {}: {} .. {}", queue.topic(), queue.queue_id(), range.min_offset, range.max_offset);
//! }
//! # Ok::<(), mqstore_core::StoreError>(())
//! ```

pub mod bytes;
pub mod error;
pub mod format;
pub mod offset;
pub mod progress;
pub mod release;
pub mod store;

pub use error::{FormatError, FormatErrorKind, StoreError};
pub use offset::{PhysicalOffset, QueueOffset};
