#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    codecrafter_edge::probes::decode("token", bytes);
});
