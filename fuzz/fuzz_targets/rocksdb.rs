#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mqstore_fuzz::rocksdb(bytes));
