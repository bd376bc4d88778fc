//! Batch, compacted and light queues, extensions, timers and DLedger logs, against what the brokers that wrote them reported.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use mqstore_core::format::commitlog::{MessageRecord, MultiDispatch, names};
use mqstore_core::format::consumequeue::TagsCode;
use mqstore_core::format::dledger::DataEntry;
use mqstore_core::format::timer::{TIMER_WHEEL_LENGTH, TimerEntry};
use mqstore_core::store::config::ConfigDir;
use mqstore_core::store::{
    Located, LogEndKind, PendingGap, PendingOptions, Store, StoreOptions, bloom_answers, pending,
};
use mqstore_core::{PhysicalOffset, QueueOffset};
use mqstore_testkit::truth;
use serde_json::Value;

use crate::{each_store, unpacked};

/// Opens a recorded store and runs `test` on it and its truth.
fn with_store(name: &str, test: impl FnOnce(&Store, &Value)) {
    let unpacked = unpacked();
    let store = Store::open(unpacked[name].root(), StoreOptions::default()).unwrap();
    test(&store, &truth(name));
}

/// Hands each record of the log to `visit`.
fn each_record(store: &Store, mut visit: impl FnMut(&MessageRecord<'_>)) {
    let log = store.log().unwrap();
    log.scan(true, |record| {
        visit(record);
        ControlFlow::Continue(())
    })
    .unwrap();
}

#[test]
fn batch_queues_reach_as_far_as_the_broker_reported_and_chain_without_a_gap() {
    with_store("5.3.3-batchcq", |store, truth| {
        let queues = store.batch_consumequeues().unwrap();
        assert_eq!(queues.len(), 2);
        for queue in queues {
            let range = queue.range(store.commitlog().min_offset()).unwrap();
            let reported = &truth["batchConsumeQueue"][format!("{}/{}", queue.topic(), queue.queue_id())];
            assert_eq!(Some(range.max_offset.get()), reported["max"].as_u64());
            assert_eq!((range.min_offset, range.units_behind_end), (QueueOffset(0), 0));
            let (mut units, mut next) = (0, 0);
            let log = store.log().unwrap();
            let mut reader = log.reader();
            queue
                .visit_units(|position, unit| {
                    assert_eq!(position, units * 46);
                    assert_eq!(unit.base_offset.cast_unsigned(), next);
                    next = unit.next_offset();
                    units += 1;
                    let at = PhysicalOffset(unit.physical_offset.cast_unsigned());
                    let record = reader.record_at(at).unwrap().record().unwrap();
                    assert_eq!(record.total_size().cast_signed(), unit.size);
                    assert_eq!(
                        (record.topic_str().as_ref(), record.queue_id.cast_unsigned()),
                        (queue.topic(), queue.queue_id())
                    );
                    assert_eq!(record.store_timestamp, unit.store_timestamp);
                    let span = record.batch_span();
                    assert_eq!((span.base_offset, span.batch_size), (unit.base_offset, unit.batch_size));
                    assert_eq!((unit.compacted_offset, unit.reserved), (-1, 0));
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert_eq!((Some(units), next), (reported["units"].as_u64(), range.max_offset.get()));
            assert_eq!(range.end, units * 46);
        }
    });
}

#[test]
fn an_inner_batch_holds_as_many_messages_as_it_says() {
    let mut sizes = BTreeMap::new();
    with_store("5.3.3-batchcq", |store, _| {
        each_record(store, |record| {
            let Some(messages) = record.inner_messages() else {
                assert!(!record.sys_flag.is_inner_batch());
                return;
            };
            let messages: Vec<_> = messages.collect::<Result<_, _>>().unwrap();
            assert!(record.sys_flag.needs_unwrap());
            assert_eq!(record.batch_span().base_offset, record.queue_offset);
            assert_eq!(usize::try_from(record.batch_span().batch_size), Ok(messages.len()));
            assert!(messages.iter().all(|message| message.properties.get(names::UNIQ_KEY).is_some()));
            *sizes.entry(messages.len()).or_insert(0) += 1;
        });
    });
    assert_eq!(sizes.keys().copied().collect::<Vec<_>>(), [5, 8], "{sizes:?}");
}

#[test]
fn the_timer_holds_what_the_broker_counted_and_every_chain_is_whole() {
    with_store("5.3.3-timer", |store, truth| {
        let timer = store.timer().unwrap();
        assert!(!timer.is_unused().unwrap());
        assert_eq!(timer.wheel_length(), TIMER_WHEEL_LENGTH);
        let check = timer.checkpoint().unwrap();
        let marks = [
            check.last_read_time_ms,
            check.last_timer_log_flush_pos,
            check.last_timer_queue_offset,
            check.master_timer_queue_offset,
            check.state_version,
            check.timestamp,
            check.counter,
        ];
        assert_eq!(serde_json::json!(marks), truth["timer"]["timercheck"]);

        let log = store.log().unwrap();
        let mut messages = log.reader();
        let mut queue_offset = 0;
        let end = timer
            .scan_log(|_, entry| {
                let TimerEntry::Unit(unit) = entry else { panic!("no file of this log is full") };
                let at = PhysicalOffset(unit.physical_offset.cast_unsigned());
                let record = messages.record_at(at).unwrap().record().unwrap();
                assert_eq!((record.topic, record.total_size().cast_signed()), (&b"rmq_sys_wheel_timer"[..], unit.size));
                assert_eq!(record.queue_offset, queue_offset);
                queue_offset += 1;
                let topic = record.properties.get(names::REAL_TOPIC).unwrap();
                assert_eq!(mqstore_core::format::java_hash(topic), unit.topic_hash);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(Some(end.units), truth["timer"]["timerlogUnits"].as_u64());
        assert_eq!((end.position.cast_signed(), end.kind), (check.last_timer_log_flush_pos, LogEndKind::Zeros));
        assert_eq!(queue_offset, check.last_timer_queue_offset);

        let mut reader = timer.reader();
        let mut in_chains = 0;
        timer
            .visit_slots(|n, slot| {
                assert_eq!(slot.second.rem_euclid(1_209_600).cast_unsigned(), n);
                let chain = reader.chain(&slot).unwrap();
                assert_eq!((chain.error, chain.expired), (None, false));
                assert_eq!(chain.units.last().unwrap().0.cast_signed(), slot.first_position);
                assert!(chain.units.iter().all(|(_, unit)| unit.slot_time() == slot.time_ms()));
                let deletes = chain.units.iter().filter(|(_, unit)| unit.magic.is_delete()).count();
                assert_eq!(usize::try_from(slot.num), Ok(chain.units.len() - 2 * deletes));
                in_chains += chain.units.len() as u64;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(in_chains, end.units, "each unit hangs in one chain");
    });
}

#[test]
fn pending_timers_are_told_by_kind_and_by_when_they_are_really_due() {
    with_store("5.3.3-timer", |store, truth| {
        let timer = store.timer().unwrap();
        let log = store.log().unwrap();
        let stopped = timer.checkpoint().unwrap().last_read_time_ms;
        let mut rolled = Vec::new();
        let pending = timer.pending(&log, stopped, |unit| {
            if unit.unit.magic.is_roll() {
                rolled.push(unit.due_time.unwrap() - unit.slot_time);
            }
        });
        let pending = pending.unwrap();
        assert_eq!(Some(pending.congestion), truth["timer"]["pendingUnits"].as_i64());
        assert_eq!(truth["runtime"]["timerCongestNum"], pending.congestion.to_string().as_str());
        // 1 h: one; 2 h: two and the cancelling of one; 24 h: ten; 2.5 d: three; a check point of POP each for three.
        assert_eq!((pending.normal, pending.rolled, pending.deletes), (16, 3, 1));
        // The key was sent as topic+key, which a broker with default settings does not take for the message's.
        assert_eq!((pending.cancelled, pending.cancelled_with_topic), (0, 1));
        assert_eq!((pending.overdue, pending.without_message, pending.broken_slots), (0, 0, 0));
        assert_eq!(pending.due_by_hour.values().sum::<u64>(), 19);
        // Sent for 2.5 days later; the slot stops after one.
        assert!(rolled.iter().all(|ms| (129_000_000..=130_000_000).contains(ms)), "{rolled:?}");
        let later = timer.pending(&log, stopped + 86_400_000 * 2, |_| ()).unwrap();
        assert_eq!(later.overdue, 16, "all but the rolled ones");
    });
}

#[test]
fn a_timer_that_was_never_used_is_told_from_one_that_was() {
    let (mut used, mut unused) = (0, 0);
    each_store(|name, _, store, _| {
        let files = &truth(name.split('/').next().unwrap())["files"];
        let has_log = |(path, _): (&String, &Value)| path.contains("store/timerlog/");
        let Some(files) = files.as_object().filter(|_| name.ends_with("/store") && !name.contains("pair")) else {
            return;
        };
        let expected = files.iter().any(has_log);
        assert_eq!(!store.timer().unwrap().is_unused().unwrap(), expected, "{name}");
        *if expected { &mut used } else { &mut unused } += 1;
    });
    assert!(used == 6 && unused > 8, "{used} {unused}");
}

#[test]
fn dledger_logs_are_read_to_the_figures_that_were_recorded() {
    for name in ["4.9.7-dledger", "5.3.3-dledger"] {
        with_store(name, |store, truth| {
            let truth = &truth["dledger"];
            let log = store.log().unwrap();
            let dledger = log.dledger().unwrap();
            assert_eq!(dledger.id(), "n0");
            assert_eq!((log.min_offset(), log.dividing_offset()), (PhysicalOffset(0), Some(PhysicalOffset(0))));
            assert!(log.commitlog().is_empty());
            let number = |key: &str| truth[key].as_i64();
            assert_eq!(dledger.committed_index(), number("committedIndex"));
            assert_eq!(dledger.checkpoint().unwrap().number("endIndex"), number("endIndex"));
            assert_eq!(dledger.current_term().unwrap().number("currTerm"), number("currTerm"));
            assert_eq!(truth["voteLeader"], dledger.current_term().unwrap().0["voteLeader"].as_str());

            let mut records = 0;
            let mut blank = None;
            let end = dledger
                .scan(|entry| {
                    match entry {
                        DataEntry::Entry(entry) => {
                            let record = entry.record().unwrap();
                            assert_eq!(record.physical_offset.cast_unsigned(), entry.record_position().get());
                            record.check_body_crc().unwrap();
                            assert!(dledger.index_unit(entry.index).unwrap().unwrap().describes(entry));
                            records += 1;
                        }
                        DataEntry::Blank(found) => blank = Some(*found),
                    }
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert_eq!(Some(end.entries), truth["entries"].as_u64());
            assert_eq!((end.entries, end.blanks, end.kind, end.error), (records, 1, LogEndKind::Zeros, None));
            assert_eq!((end.first_index, end.last_index), (number("firstIndex"), number("lastIndex")));
            assert_eq!(serde_json::json!(end.terms), truth["terms"]);
            assert_eq!(Some(end.offset.get()), truth["endOffset"].as_u64());
            assert_eq!(end.committed_offset, Some(end.offset));
            let blank = blank.unwrap();
            assert_eq!(serde_json::json!({"pos": blank.position, "size": blank.size}), truth["blank"]);
            let short = dledger.end().unwrap();
            assert_eq!((short.offset, short.kind), (end.offset, end.kind));
            let whole = log.scan(true, |_| ControlFlow::Continue(())).unwrap();
            assert_eq!((whole.records, whole.blanks, whole.offset), (records, 1, end.offset));
        });
    }
}

#[test]
fn every_unit_of_every_queue_leads_to_its_record_through_both_kinds_of_log() {
    let mut compared = [0u64; 2];
    each_store(|name, _, store, _| {
        // Expired records, and copies without a log: others test what is dangling there.
        let log = store.log().unwrap();
        if log.is_empty() {
            return;
        }
        let mut reader = log.reader();
        for queue in store.consumequeues().unwrap() {
            let range = queue.range(log.min_offset()).unwrap();
            queue
                .visit_units(range.min_offset, range.max_offset, |offset, unit| {
                    let at = PhysicalOffset(unit.physical_offset.cast_unsigned());
                    match reader.record_at(at).unwrap() {
                        Located::Record(record) => {
                            assert_eq!(
                                record.total_size().cast_signed(),
                                unit.size,
                                "{name}: {} {offset}",
                                queue.topic()
                            );
                            compared[usize::from(log.dledger().is_some())] += 1;
                        }
                        other => assert!(!name.contains("dledger"), "{name}: {} {offset}: {other:?}", queue.topic()),
                    }
                    ControlFlow::Continue(())
                })
                .unwrap();
        }
    });
    assert!(compared[0] > 5000 && compared[1] > 500, "{compared:?}");
}

#[test]
fn no_record_is_found_beside_the_place_where_one_begins() {
    with_store("5.3.3-dledger", |store, _| {
        let log = store.log().unwrap();
        let mut reader = log.reader();
        assert!(matches!(reader.record_at(PhysicalOffset(48)).unwrap(), Located::Record(_)));
        for offset in [0, 47, 49, 262_059, 262_144, 387_926, 400_000] {
            assert!(matches!(reader.record_at(PhysicalOffset(offset)).unwrap(), Located::Unreadable(_)), "{offset}");
        }
        assert!(matches!(reader.record_at(PhysicalOffset(600_000)).unwrap(), Located::Outside));
    });
}

#[test]
fn compacted_queues_hold_what_was_recorded_and_each_unit_leads_to_its_copy() {
    with_store("5.3.3-batchcq", |store, truth| {
        let queues = store.compacted_queues().unwrap();
        assert_eq!(queues.len(), 1);
        let (queue, truth) = (&queues[0], &truth["compaction"]["TComp/0"]);
        assert_eq!((queue.topic(), queue.queue_id(), queue.unpaired().len()), ("TComp", 0, 0));
        let positions = store.compaction_positions().into_value().unwrap();
        assert_eq!(positions.of("TComp", 0), truth["compactedTo"].as_i64());
        assert_eq!(store.compaction_leftovers().unwrap(), Vec::<std::path::PathBuf>::new());
        let originals = store.consumequeues().unwrap();
        let original = originals.iter().find(|queue| queue.topic() == "TComp").unwrap();
        let log = store.log().unwrap();
        let mut reader = log.reader();
        let pairs = queue.visit(|unit, record| {
            let record = record.unwrap();
            assert_eq!((record.physical_offset, record.queue_offset), (unit.physical_offset, unit.base_offset));
            assert_eq!((record.total_size().cast_signed(), unit.batch_size), (unit.size, 1));
            // The copy is the record in the commit log, but for the place it names.
            let unit = original.unit(QueueOffset(unit.base_offset.cast_unsigned())).unwrap().unwrap();
            let at = PhysicalOffset(unit.physical_offset.cast_unsigned());
            let first = reader.record_at(at).unwrap().record().unwrap();
            assert!(first.body == record.body && first.properties == record.properties);
            ControlFlow::Continue(())
        });
        let found: serde_json::Map<_, _> = pairs
            .unwrap()
            .iter()
            .map(|pair| {
                let offsets = [pair.first_queue_offset.unwrap(), pair.last_queue_offset.unwrap()];
                assert!(!pair.closed);
                (
                    format!("{:020}", pair.file_from_offset),
                    serde_json::json!({"offsets": offsets, "records": pair.units}),
                )
            })
            .collect();
        assert_eq!(Value::Object(found), truth["files"]);
    });
}

#[test]
fn light_queues_hold_one_unit_for_each_record_that_names_them_unless_the_list_is_broken() {
    with_store("5.3.3-lmq", |store, truth| {
        let (mut expected, mut broken) = (BTreeMap::<(String, i32), Vec<(i64, i64)>>::new(), 0);
        each_record(store, |record| match record.multi_dispatch() {
            Some(MultiDispatch::Queues(targets)) => {
                assert_eq!(record.multi_dispatch_exemption(), None);
                for target in targets {
                    assert!(!target.is_nested());
                    let units = expected.entry((target.topic, target.queue_id)).or_default();
                    units.push((target.queue_offset, record.physical_offset));
                }
            }
            Some(MultiDispatch::CountMismatch { names: 2, offsets: 1 }) => broken += 1,
            Some(other) => panic!("{other:?}"),
            None => {}
        });
        assert_eq!(broken, 10);
        let light = store.consumequeues().unwrap().into_iter().filter(|queue| queue.topic().starts_with("%LMQ%"));
        let mut found = BTreeMap::new();
        for queue in light {
            let range = queue.range(PhysicalOffset(0)).unwrap();
            let reported = &truth["queues"][queue.topic()]["0"]["max"];
            assert_eq!(Some(range.max_offset.get()), reported.as_u64());
            let mut units = Vec::new();
            queue
                .visit_units(range.min_offset, range.max_offset, |offset, unit| {
                    units.push((offset.get().cast_signed(), unit.physical_offset));
                    ControlFlow::Continue(())
                })
                .unwrap();
            found.insert((queue.topic().to_owned(), queue.queue_id().cast_signed()), units);
        }
        assert_eq!(found, expected);
        assert_eq!(found.len(), 2);
    });
}

#[test]
fn every_address_in_a_queue_has_its_unit_and_bit_maps_answer_as_the_expressions_do() {
    with_store("4.3.2-cqext", |store, truth| {
        let filters = ConfigDir::new(store.root()).consumer_filters().into_value().unwrap();
        for (group, bits) in &filters.filters["TExt"] {
            let mut bits = bits.bloom_filter_data.clone().unwrap();
            bits.bit_pos.sort_unstable();
            assert_eq!(serde_json::json!(bits.bit_pos), truth["bloomBits"][group]);
            assert_eq!(i64::from(bits.bit_num), truth["bloomBits"]["bitNum"].as_i64().unwrap());
        }
        let log = store.log().unwrap();
        let mut records = log.reader();
        let extensions = store.consumequeue_exts().unwrap();
        let (mut units, mut answers) = (0, BTreeMap::new());
        for queue in store.consumequeues().unwrap() {
            let extension =
                extensions.iter().find(|ext| (ext.topic(), ext.queue_id()) == (queue.topic(), queue.queue_id()));
            let mut reader = extension.unwrap().reader();
            let range = queue.range(PhysicalOffset(0)).unwrap();
            queue
                .visit_units(range.min_offset, range.max_offset, |_, unit| {
                    let TagsCode::ExtAddress(address) = unit.tags_code_kind() else { panic!("{unit:?}") };
                    let ext = reader.unit(address).unwrap().unwrap().unwrap();
                    let at = PhysicalOffset(unit.physical_offset.cast_unsigned());
                    let record = records.record_at(at).unwrap().record().unwrap();
                    assert_eq!(ext.store_time, record.store_timestamp);
                    let tag = record.properties.get(names::TAGS).unwrap_or_default();
                    assert_eq!(ext.tags_code, i64::from(mqstore_core::format::java_hash(tag)));
                    for (group, answer) in bloom_answers(&filters, queue.topic(), ext.filter_bit_map) {
                        let matches = match group {
                            "GSql" => record.properties.get("color") == Some(b"blue"),
                            _ => tag == b"Tag1",
                        };
                        *answers.entry((group.to_owned(), matches, format!("{answer:?}"))).or_insert(0) += 1;
                    }
                    units += 1;
                    ControlFlow::Continue(())
                })
                .unwrap();
        }
        assert_eq!(Some(units), truth["records"].as_u64());
        let contradictions: Vec<_> = answers
            .iter()
            .filter(|((_, matches, answer), _)| *matches && answer == "No" || !*matches && answer == "Maybe")
            .collect();
        assert!(contradictions.is_empty(), "{contradictions:?}");
        let sure = |answer: &str| answers.iter().filter(|((.., a), _)| a == answer).map(|(_, n)| *n).sum::<i32>();
        assert!(sure("Maybe") > 50 && sure("No") > 100 && sure("Unknown") > 0, "{answers:?}");
    });
}

#[test]
fn what_waits_in_the_timer_store_is_counted_kind_by_kind() {
    with_store("5.3.3-timer", |store, truth| {
        let now = store.timer().unwrap().checkpoint().unwrap().last_read_time_ms;
        let found = pending(store, PendingOptions::at(now).scanning_log()).unwrap();
        assert_eq!(found.gaps, []);
        let levels = found.delay.unwrap();
        for level in &levels {
            // "13,13": delivered, and the end of the queue.
            let (delivered, end) = (level.next_offset, level.max_offset);
            let key = format!("scheduleMessageOffset_{}", level.level);
            assert_eq!(truth["runtime"][key], format!("{delivered},{end}").as_str());
        }
        assert_eq!(levels.iter().map(|l| (l.level, l.messages.count)).collect::<Vec<_>>(), [(3, 0), (18, 4)]);
        let level = &levels[1];
        assert_eq!((level.messages.samples.len(), level.messages.unreadable), (3, 0));
        let sample = &level.messages.samples[0];
        assert_eq!((level.first_due, sample.due_time), (sample.due_time, Some(sample.store_timestamp + 7_200_000)));

        // Nine sent; six ended in one operation record; three put back by a check, and still without an end.
        let half = found.half.unwrap();
        assert_eq!(half.count, 3);
        let offsets: Vec<_> = half.samples.iter().map(|half| (half.queue_offset, half.topic.as_str())).collect();
        assert_eq!(offsets, [(9, "TTx"), (10, "TTx"), (11, "TTx")]);
        assert_eq!(found.prepared.unwrap().count, 0);

        assert_eq!(truth["runtime"]["timerCongestNum"], found.timers.wheel.congestion.to_string().as_str());
        assert_eq!(found.timers.not_enqueued, Some(0));
        assert_eq!(found.timers.samples.len(), 3);

        // Ten of each queue were acknowledged; of three the time was extended, and they were not.
        let pop = found.pop.unwrap();
        assert_eq!((pop.check_points, pop.messages, pop.unreadable), (3, 3, 0));
        assert_eq!(pop.by_group, BTreeMap::from([(("TNormal".to_owned(), "GPop".to_owned()), 3)]));
        assert_eq!(pop.first_revive, Some(1_795_469_596_754));
    });
}

#[test]
fn delay_levels_are_counted_in_every_store_as_the_broker_reported_them() {
    let mut compared = 0;
    each_store(|name, _, store, _| {
        let found = pending(store, PendingOptions::at(0)).unwrap();
        let truth = truth(name.split('/').next().unwrap());
        for level in found.delay.iter().flatten() {
            let reported = &truth["runtime"][format!("scheduleMessageOffset_{}", level.level)];
            if let Some((delivered, end)) = reported.as_str().and_then(|text| text.split_once(',')) {
                assert_eq!(level.max_offset.to_string(), end, "{name} {}", level.level);
                // The broker delivers on between its answer and its stop.
                assert!(level.next_offset.get() >= delivered.parse().unwrap(), "{name} {}", level.level);
                compared += 1;
            }
        }
        assert!(found.delay.is_some() && found.half.is_some() && found.pop.is_some(), "{name}: {:?}", found.gaps);
        assert_eq!(found.gaps, [PendingGap::LogNotScanned], "{name}");
    });
    assert!(compared >= 12, "{compared}");
}

#[test]
fn queues_and_offsets_in_a_damaged_database_are_gaps_and_nothing_is_claimed_about_them() {
    for (database, gap) in
        [("consumequeue", PendingGap::QueuesInRocksDb), ("config/consumerOffsets", PendingGap::OffsetsInRocksDb)]
    {
        let golden = mqstore_testkit::golden("5.3.3-rocksdb");
        std::fs::write(golden.root().join(database).join("CURRENT"), "MANIFEST-999999\n").unwrap();
        let store = Store::open(golden.root(), StoreOptions::default()).unwrap();
        let found = pending(&store, PendingOptions::at(0)).unwrap();
        assert_eq!(found.gaps, [gap, PendingGap::LogNotScanned]);
        assert!(found.half.is_none() && found.pop.is_none());
        assert_eq!(found.delay.is_none(), gap == PendingGap::QueuesInRocksDb);
    }
}

#[test]
fn prepared_messages_of_old_releases_wait_until_their_end() {
    let mut open = BTreeMap::new();
    each_store(|name, _, store, _| {
        let found = pending(store, PendingOptions::at(0).scanning_log().with_samples(1)).unwrap().prepared.unwrap();
        // Told from the records one by one: what was prepared, less what a later record names.
        let (mut prepared, mut ended) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        each_record(store, |record| match record.sys_flag.0 & 0xC {
            4 => drop(prepared.insert(record.physical_offset)),
            8 | 12 => drop(ended.insert(record.prepared_transaction_offset)),
            _ => {}
        });
        assert_eq!(found.count, prepared.difference(&ended).count() as u64, "{name}");
        if found.count > 0 {
            open.insert(name.to_owned(), found.count);
        }
    });
    assert!(open.keys().any(|name| name.starts_with("3.")), "{open:?}");
}

#[test]
fn the_wheel_of_every_store_holds_as_many_as_its_broker_reported_and_no_chain_breaks_off() {
    let mut compared = 0;
    each_store(|name, _, store, _| {
        let timer = store.timer().unwrap();
        let Some(checkpoint) = timer.checkpoint() else { return };
        let end = timer.scan_log(|_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!((end.error, end.position.cast_signed()), (None, checkpoint.last_timer_log_flush_pos), "{name}");
        let pending = timer.pending(&store.log().unwrap(), 0, |_| ()).unwrap();
        assert_eq!(pending.broken_slots, 0, "{name}");
        let reported = &truth(name.split('/').next().unwrap())["runtime"]["timerCongestNum"];
        if let Some(reported) = reported.as_str() {
            assert_eq!(pending.congestion.to_string(), reported, "{name}");
            compared += 1;
        }
    });
    assert!(compared >= 10, "{compared}");
}
