//! Clusters inside clusters, each level resampled within the one above it.

use super::{Drawing, Parts};
use crate::memory::{self, NoMemory};
use crate::random::{Reader, Stream};
use crate::uncertainty::NoEstimate;

/// Clusters in levels: the outermost ones are drawn; each time one of them is drawn, as many of the clusters inside it
/// are drawn as it has, and so on inwards. The units are the clusters of the innermost level.
///
/// A cluster that counts c times and has m clusters inside draws c m times among these, which is the sum of c separate
/// draws of m. One that has a single cluster inside draws nothing.
#[derive(Debug)]
pub struct Nested {
    outer: Box<dyn Drawing>,
    /// Where the clusters inside each cluster end, for each level below the outermost one.
    levels: Vec<Vec<usize>>,
    /// The outermost cluster of each unit.
    outermost: Vec<u32>,
    count: usize,
}

impl Nested {
    /// `count` outermost clusters that are drawn by `outer`. Each of `parents` holds for the clusters of a level the one
    /// that they are inside of, in ascending order; refused where a cluster has none inside, and for one outermost cluster.
    pub fn new(
        outer: Box<dyn Drawing>,
        count: usize,
        parents: &[&[i64]],
    ) -> Result<Result<Nested, NoEstimate>, NoMemory> {
        if count < 2 {
            return Ok(Err(NoEstimate::OneCluster));
        }
        let (mut levels, mut above) = (memory::with_capacity(parents.len())?, count);
        let mut outermost = memory::collected(0..count as u32)?;
        for parents in parents {
            let mut ends = memory::filled(above, 0)?;
            let mut last = 0;
            for (cluster, &parent) in parents.iter().enumerate() {
                // A negative code becomes a number that is too large.
                let parent = parent as usize;
                if parent >= above || parent < last || (parent > last && ends[last] == 0) || parent > last + 1
                {
                    return Ok(Err(NoEstimate::Outside));
                }
                (last, ends[parent]) = (parent, cluster + 1);
            }
            if last + 1 != above || parents.is_empty() {
                return Ok(Err(NoEstimate::Outside));
            }
            outermost = memory::collected(parents.iter().map(|&parent| outermost[parent as usize]))?;
            above = parents.len();
            levels.push(ends);
        }
        Ok(Ok(Nested { outer, levels, outermost, count }))
    }

    /// The outermost cluster of each unit.
    pub fn outermost(&self) -> &[u32] {
        &self.outermost
    }
}

impl Drawing for Nested {
    /// What the outermost clusters need, and the counts of a level.
    fn room(&self, units: usize) -> usize {
        self.outer.room(self.count) + units
    }

    fn count(&self, stream: Stream, room: &mut [u32], counts: &mut [u32]) {
        let (of_outer, scratch) = room.split_at_mut(room.len() - counts.len());
        self.outer.count(stream, of_outer, &mut scratch[..self.count]);
        // Place 0, which the counts of the outermost clusters leave free.
        let mut reader = Reader::new(stream);
        let (mut from, mut to) = (&mut *scratch, &mut *counts);
        for ends in &self.levels {
            draw(&mut reader, ends, from, to);
            (from, to) = (to, from);
        }
        if self.levels.len().is_multiple_of(2) {
            to.copy_from_slice(from);
        }
    }

    fn sample(&self, _: usize) -> usize {
        self.outer.sample(self.count)
    }

    /// The outermost clusters.
    fn parts(&self, _: usize, most: usize) -> Result<Parts, NoMemory> {
        let mut parts = self.outer.parts(self.count, most)?;
        for of in &mut parts.of {
            *of = memory::collected(self.outermost.iter().map(|&cluster| of[cluster as usize]))?;
        }
        Ok(parts)
    }
}

/// The counts `to` of the clusters of one level, whose parents count as `from` says.
fn draw(reader: &mut Reader, ends: &[usize], from: &[u32], to: &mut [u32]) {
    let mut start = 0;
    for (&end, &times) in ends.iter().zip(from) {
        let inside = &mut to[start..end];
        if let [only] = inside {
            *only = times;
        } else {
            inside.fill(0);
            let below = inside.len() as u64;
            for _ in 0..u64::from(times) * below {
                inside[reader.below(below) as usize] += 1;
            }
        }
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Simple;
    use super::*;
    use crate::random::{Domain, counts};

    fn stream(replicate: u32) -> Stream {
        Stream::new(3, Domain::Bootstrap, replicate)
    }

    fn nested(count: usize, parents: &[&[i64]]) -> Nested {
        Nested::new(Box::new(Simple), count, parents).unwrap().unwrap()
    }

    fn drawn(of: &Nested, replicate: u32) -> Vec<u32> {
        let units = of.outermost().len();
        let (mut scratch, mut counts) = (vec![9; units], vec![9; units]);
        of.count(stream(replicate), &mut scratch, &mut counts);
        counts
    }

    #[test]
    fn the_outermost_clusters_are_drawn_as_they_would_be_alone() {
        let of = nested(3, &[&[0, 0, 1, 2, 2, 2], &[0, 1, 1, 2, 3, 3, 4, 5]]);
        assert_eq!(of.outermost(), [0, 0, 0, 1, 2, 2, 2, 2]);
        for replicate in 0..50 {
            let alone = counts(stream(replicate), 3).unwrap();
            let drawn = drawn(&of, replicate);
            // The one unit of cluster 1 counts as often as it.
            assert_eq!(drawn[3], alone[1]);
            // Clusters that have as many inside as they are draw as many.
            let two = nested(3, &[&[0, 0, 1, 2, 2, 2]]);
            let inner = super::tests::drawn(&two, replicate);
            assert_eq!(inner[0] + inner[1], 2 * alone[0]);
            assert_eq!(inner[3] + inner[4] + inner[5], 3 * alone[2]);
        }
    }

    #[test]
    fn levels_of_single_clusters_change_nothing() {
        let of = nested(4, &[&[0, 1, 2, 3], &[0, 1, 2, 3]]);
        assert_eq!(drawn(&of, 7), counts(stream(7), 4).unwrap());
    }

    #[test]
    fn parents_that_are_not_in_order_or_have_nothing_inside_are_refused() {
        for parents in [&[0, 2][..], &[1, 0], &[0, 0], &[0, 1, 2], &[-1, 0, 1], &[1, 1], &[]] {
            assert!(matches!(
                Nested::new(Box::new(Simple), 2, &[parents]).unwrap(),
                Err(NoEstimate::Outside)
            ));
        }
    }
}
