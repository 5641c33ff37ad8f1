//! All units are drawn alike.

use super::Drawing;
use crate::random::{Stream, count_into};

/// As many draws as there are units, each of any of them.
#[derive(Clone, Copy, Debug)]
pub struct Simple;

impl Drawing for Simple {
    fn count(&self, stream: Stream, _: &mut [u32], counts: &mut [u32]) {
        count_into(stream, counts);
    }

    fn plain(&self) -> bool {
        true
    }
}
