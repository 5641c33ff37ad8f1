//! The loss of a margin z that was made elsewhere, with its derivative: `-log s(z)`, or `1 - s(z)`, which is bounded.
//!
//! Up to 700 in magnitude, losses and derivatives are within 4 ulp of the exact functions of z.

use crate::grid::{CHUNK, Progress, Stopped, chunk, fill_chunks};
use crate::memory;
use crate::preference::losses::logistic::Logistic;
use crate::simd::{Isa, Kernel, dispatch, padded};

/// The number of margins that go through the formula together.
const BLOCK: usize = 128;
type Block = [f64; BLOCK];

/// The loss of each margin, and its derivative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// `-log s(z)`, or `1 - s(z)`.
    pub losses: Vec<f64>,
    /// `-s(-z)`, or `-s(z) s(-z)`.
    pub slopes: Vec<f64>,
}

/// The terms of every margin, in newly allocated columns; see [`terms_into`].
pub fn terms(margins: &[f64], bounded: bool, progress: Progress<'_>) -> Result<Terms, Stopped> {
    let column = || memory::filled(margins.len(), 0.0);
    let mut found = Terms { losses: column()?, slopes: column()? };
    terms_into(margins, bounded, [&mut found.losses, &mut found.slopes], progress)?;
    Ok(found)
}

/// Writes the loss of every margin and its derivative to columns of the same length: `-log s(z)`, or where `bounded`
/// `1 - s(z)`.
pub fn terms_into(
    margins: &[f64],
    bounded: bool,
    [losses, slopes]: [&mut [f64]; 2],
    progress: Progress<'_>,
) -> Result<(), Stopped> {
    let n = margins.len();
    let items = memory::collected(losses.chunks_mut(CHUNK).zip(slopes.chunks_mut(CHUNK)))?;
    fill_chunks(items, 24 * n, progress, |index, (losses, slopes)| {
        let margins = &margins[chunk(index, n, CHUNK)];
        if bounded {
            dispatch(Score::<true> { margins, losses, slopes });
        } else {
            dispatch(Score::<false> { margins, losses, slopes });
        }
    })?;
    Ok(())
}

struct Score<'a, const BOUNDED: bool> {
    margins: &'a [f64],
    losses: &'a mut [f64],
    slopes: &'a mut [f64],
}

impl<const BOUNDED: bool> Kernel for Score<'_, BOUNDED> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let (mut some_losses, mut some_slopes) = ([0.0; BLOCK], [0.0; BLOCK]);
        let columns = self.losses.chunks_mut(BLOCK).zip(self.slopes.chunks_mut(BLOCK));
        for (margins, (losses, slopes)) in self.margins.chunks(BLOCK).zip(columns) {
            let n = margins.len();
            if let (Ok(margins), Ok(losses), Ok(slopes)) =
                (margins.try_into(), (&mut *losses).try_into(), (&mut *slopes).try_into())
            {
                block::<I, BOUNDED>(margins, losses, slopes);
            } else {
                block::<I, BOUNDED>(&padded(margins, 0.0), &mut some_losses, &mut some_slopes);
                losses.copy_from_slice(&some_losses[..n]);
                slopes.copy_from_slice(&some_slopes[..n]);
            }
        }
    }
}

/// The terms of a block. Columns are parameters of their own, since only of these the compiler knows that they do not
/// overlap.
#[inline(always)]
fn block<I: Isa, const BOUNDED: bool>(margins: &Block, losses: &mut Block, slopes: &mut Block) {
    for i in 0..BLOCK {
        let s = Logistic::at::<I>(margins[i]);
        losses[i] = if BOUNDED { s.of_minus_z } else { s.softplus_of_minus_z };
        slopes[i] = if BOUNDED { -s.slope() } else { -s.of_minus_z };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_margin_0_they_are_ln_2_and_one_half() {
        let log = terms(&[0.0], false, &mut |_| true).unwrap();
        assert_eq!((log.losses[0], log.slopes[0]), (std::f64::consts::LN_2, -0.5));
        let bounded = terms(&[0.0], true, &mut |_| true).unwrap();
        assert_eq!((bounded.losses[0], bounded.slopes[0]), (0.5, -0.25));
    }

    #[test]
    fn far_out_they_are_finite() {
        let far = [-1e4, 1e4];
        assert_eq!(terms(&far, false, &mut |_| true).unwrap().losses, [1e4, 0.0]);
        assert_eq!(terms(&far, true, &mut |_| true).unwrap().losses, [1.0, 0.0]);
    }
}
