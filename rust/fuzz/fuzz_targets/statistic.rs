#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| steelyard_fuzz::statistic(data));
