//! `mutate [SECONDS [SEED]]` runs every target on mutated states, for SECONDS in all.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use steelyard_fuzz::mutate::{TARGETS, Words, mutated};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(10.0, |word| word.parse().expect("SECONDS is a number"));
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let seed = arguments.next().map_or_else(now, |word| word.parse().expect("SEED is a whole number"));
    println!("mutate: from seed {seed}");
    for target in TARGETS {
        let (seeds, mut words) = ((target.seeds)(), Words::new(seed));
        let end = Instant::now() + Duration::from_secs_f64(seconds / TARGETS.len() as f64);
        let mut tried = 0u64;
        while Instant::now() < end {
            (0..100).for_each(|_| (target.run)(&mutated(&seeds, &mut words)));
            tried += 100;
        }
        println!("mutate: {}: {tried} states, no difference", target.name);
    }
}
