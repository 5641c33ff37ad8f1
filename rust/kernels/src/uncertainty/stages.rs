//! The progress of work that reads its rows several times.

use crate::grid::{CHUNK, Progress, chunks};

/// What `progress` is told as one stage follows another.
pub(super) struct Stages<'a> {
    progress: Progress<'a>,
    done: usize,
}

impl<'a> Stages<'a> {
    pub fn new(progress: Progress<'a>) -> Self {
        Stages { progress, done: 0 }
    }

    /// The `progress` of the next stage, which reads `rows` rows and whose own count starts at 0.
    pub fn next(&mut self, rows: usize) -> impl FnMut(usize) -> bool + '_ {
        let before = self.done;
        self.done += chunks(rows, CHUNK);
        move |done| (self.progress)(before + done)
    }

    /// The `progress` of short work between two stages, which counts nothing.
    pub fn between(&mut self) -> impl FnMut(usize) -> bool + '_ {
        move |_| (self.progress)(self.done)
    }
}
