//! The widths of tables of sums: what works on a table is compiled for each width.

/// How many sums a table may have; a statistic takes the smallest that holds its own. [`with_width`] knows the same.
const WIDTHS: [usize; 8] = [1, 2, 4, 6, 8, 12, 24, 48];

/// The width of the table for a statistic of `width` sums.
pub(super) fn stride(width: usize) -> usize {
    WIDTHS.into_iter().find(|&wide| wide >= width).unwrap_or(width)
}

/// Evaluates an expression with a constant that is the width of a table.
macro_rules! with_width {
    ($stride:expr, $k:ident => $of_width:expr) => {
        match $stride {
            1 => with_width!(1, $k, $of_width),
            2 => with_width!(2, $k, $of_width),
            4 => with_width!(4, $k, $of_width),
            6 => with_width!(6, $k, $of_width),
            8 => with_width!(8, $k, $of_width),
            12 => with_width!(12, $k, $of_width),
            24 => with_width!(24, $k, $of_width),
            _ => with_width!(48, $k, $of_width),
        }
    };
    ($width:literal, $k:ident, $of_width:expr) => {{
        const $k: usize = $width;
        $of_width
    }};
}
pub(super) use with_width;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_is_known_twice() {
        for width in 1..=48 {
            let wide = stride(width);
            assert_eq!(with_width!(wide, K => K), wide);
        }
    }
}
