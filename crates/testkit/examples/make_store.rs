//! Writes a large healthy store for measurements: `cargo run --release --example make_store -- DIR MIB BODY_BYTES`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for whoever measures")]

use std::path::Path;

use mqstore_testkit::{Message, StoreBuilder, noise};

fn main() {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().expect("usage: make_store DIR MIB BODY_BYTES");
    let (dir, mib, body): (String, u64, usize) = (next(), next().parse().unwrap(), next().parse().unwrap());
    let mut writer = StoreBuilder::new(Path::new(&dir)).default_geometry().commitlog_file_size(256 << 20).start();
    let noise = noise(body + 64, 1);
    let mut message = Message::new("TopicTest", 0).body(&*noise).property("KEYS", "k").property("TAGS", "TagA");
    writer.fill(mib << 20, &mut message, |number, message| {
        let shift = usize::try_from(number % 64).unwrap_or(0);
        message.queue_id = i32::try_from(number % 8).unwrap_or(0);
        message.body.clear();
        message.body.extend(noise.iter().skip(shift).take(body));
    });
    let built = writer.finish();
    println!("{} records, {} bytes", built.records, built.end);
}
