//! Any reports and any clocks: no panic, and capture times only grow.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use xueliang_ingest::wall_clock::{Arrival, WallClock};

fuzz_target!(|steps: (u32, Vec<(bool, i64, u64, u16, i16)>)| {
    let (ticks_per_second, steps) = steps;
    let mut clock = WallClock::new(ticks_per_second, "PT5S".parse().unwrap());
    let mut now = Arrival { instant: Instant::now(), at: "2026-11-24T00:00:00Z".parse().unwrap() };
    let mut last = None;
    for (reports, rtp, ntp, millis, set_by) in steps {
        if reports {
            clock.report(rtp, ntp);
        }
        now.instant += Duration::from_millis(u64::from(millis));
        now.at += Duration::from_millis(u64::from(millis));
        if set_by < 0 { now.at -= Duration::from_millis(u64::from(set_by.unsigned_abs())) }
        let Ok(captured_at) = clock.captured_at(rtp.wrapping_add(i64::from(set_by)), now) else { return };
        assert!(last.is_none_or(|last| last < captured_at), "time went back");
        last = Some(captured_at);
    }
});
