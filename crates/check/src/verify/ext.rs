//! The files of the queue extension: their geometry, units that can be read to the end, and the lengths of bit maps.
//!
//! Whether the addresses in queues lead to the right units is looked at with each message (`tagscode`). Units that no
//! queue names are normal: the extension is written first.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use mqstore_core::format::config::consumer_filter::ConsumerFilterTable;
use mqstore_core::store::ConsumeQueueExt;

use super::facts::config_dir;
use super::{Context, finding, layout};
use crate::finding::Location;

/// Looks at every file of the extension.
pub(super) fn pass(cx: &mut Context<'_>) {
    let extensions = match cx.store.consumequeue_exts() {
        Ok(extensions) => extensions,
        Err(error) => {
            cx.unreadable(&error);
            return;
        }
    };
    layout::queue_files(cx, extensions.iter().map(ConsumeQueueExt::queue));
    let filters = config_dir(cx.store).consumer_filters().into_value().unwrap_or_default();
    for extension in &extensions {
        if cx.stopped {
            return;
        }
        for file in extension.queue().files() {
            cx.report.coverage.files.total += 1;
            cx.report.coverage.files.seen += 1;
            cx.total += file.length;
            cx.advance(file.length);
        }
        if cx.is_full() {
            units(cx, extension, &filters);
        }
    }
}

fn units(cx: &mut Context<'_>, extension: &ConsumeQueueExt, filters: &ConsumerFilterTable) {
    let (topic, queue_id) = (extension.topic(), extension.queue_id().cast_signed());
    // Bytes that the maps of the topic's groups have.
    let groups = filters.filters.get(topic).into_iter().flatten();
    let lengths: BTreeSet<usize> = groups
        .filter_map(|(_, filter)| filter.bloom_filter_data.as_ref())
        .filter_map(|bloom| usize::try_from(bloom.bit_num / 8).ok())
        .collect();
    let (mut odd, mut first) = (0u64, None);
    let place = |address: u64| {
        let base = extension.queue().find(address).map_or(0, |file| file.file_from_offset);
        let path = format!("consumequeue_ext/{topic}/{queue_id}/{base:020}");
        Location::path(path).at(address - base).in_queue(topic, queue_id)
    };
    let visited = extension.visit_units(|address, unit| {
        match unit {
            Ok(unit) => {
                let length = unit.filter_bit_map.len();
                if length > 0 && !lengths.is_empty() && !lengths.contains(&length) {
                    odd += 1;
                    first.get_or_insert((address, length));
                }
            }
            Err(error) => {
                let message = format!("no unit of the extension at {address}: {}", error.kind);
                cx.push(finding("queue.ext-unit", place(address), message));
            }
        }
        ControlFlow::Continue(())
    });
    if let Err(error) = visited {
        cx.unreadable(&error);
    }
    if let Some((address, length)) = first {
        let expected = lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ");
        let message = format!("{odd} bit maps of {length} bytes, the filters of {topic:?} have {expected}");
        cx.push(finding("queue.ext-bit-map", place(address), message).values(expected, length));
    }
}
