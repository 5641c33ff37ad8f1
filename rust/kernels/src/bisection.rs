//! Where a condition begins to hold, by halving the range in which it does.

use std::ops::Range;

/// The first number of the range at which `holds`, where it holds for all later ones too; the end of the range where it
/// holds for none.
pub fn first(within: Range<u64>, holds: impl Fn(u64) -> bool) -> u64 {
    let Range { start: mut low, end: mut high } = within;
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The f64 nearest to `outside` at which `holds`, where it holds from some number between `outside` and `inside` on up
/// to `inside`, which is the larger; `outside` where it holds there already.
pub fn edge(mut outside: f64, mut inside: f64, holds: impl Fn(f64) -> bool) -> f64 {
    if holds(outside) {
        return outside;
    }
    loop {
        let middle = outside + (inside - outside) / 2.0;
        if middle <= outside || middle >= inside {
            return inside;
        }
        if holds(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_is_found_in_every_range() {
        for end in 0..20 {
            for start in 0..=end {
                for from in 0..25 {
                    assert_eq!(first(start..end, |k| k >= from), from.clamp(start, end));
                }
            }
        }
    }

    #[test]
    fn the_edge_is_exact() {
        for at in [-1.0, -0.3, 1e-300, 0.7, 2.0] {
            let found = edge(-1.0, 2.0, |x| x >= at);
            assert!(found >= at && (found == at || found.next_down() < at), "{at}: {found}");
        }
    }
}
