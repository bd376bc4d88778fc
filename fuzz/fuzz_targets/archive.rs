#![no_main]

// Not among the hammers of the library, which reads stores only.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = mqstore_backup::verify(bytes, &mqstore_core::progress::NoProgress);
});
