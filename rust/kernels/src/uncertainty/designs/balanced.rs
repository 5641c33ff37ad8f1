//! Every unit is drawn equally often over all replicates.

use super::Drawing;
use crate::random::{Reader, Stream, WORDS};
use crate::simd::{Isa, Kernel, dispatch};

/// As many draws as there are units, in such a way that each unit counts as often as there are replicates over all of
/// them (Davison, Hinkley and Schechtman, "Efficient bootstrap simulation", 1986): the mean of the replicates of a mean
/// is the mean itself.
///
/// Replicates are balanced in groups of 1,024, of which the last one takes the remainder too. The n R copies of a
/// group of R replicates are dealt out by halving: a fair coin sends each copy to the first or the second half of the
/// replicates, and then copies are moved one by one, each as likely as the others, until the first half has n for each
/// of its replicates. Given how many copies the coins send there, every set of them is equally likely, and it remains
/// so; hence all ways to deal are equally likely, as if the copies had been permuted. A replicate follows its own halves
/// alone, so that any thread can compute it, in the memory of twelve counts for each unit.
#[derive(Clone, Copy, Debug)]
pub struct Balanced {
    /// The number of replicates.
    pub replicates: u32,
}

/// A power of two, whose halves need few moves. The variance of a count is smaller than that of a multinomial one by a
/// share of 1/GROUP.
const GROUP: u32 = 1 << 10;

impl Balanced {
    /// The first replicate of a replicate's group, and the size of the group.
    fn group(self, replicate: u32) -> (u32, u32) {
        let last = (self.replicates / GROUP).max(1) - 1;
        let group = (replicate / GROUP).min(last);
        let first = group * GROUP;
        (first, if group == last { self.replicates - first } else { GROUP })
    }
}

/// The levels of the tree of the largest group, whose size is below 2 GROUP.
const LEVELS: usize = GROUP.ilog2() as usize + 2;
/// Before the counts of the levels: the group whose they are, from 1, and on each level the node, or 0.
const HEAD: usize = 1 + LEVELS;

impl Drawing for Balanced {
    /// The counts of the nodes on the way to the replicate before this one are kept, since most are on its way too.
    fn room(&self, units: usize) -> usize {
        HEAD + LEVELS * units
    }

    fn count(&self, stream: Stream, room: &mut [u32], counts: &mut [u32]) {
        let (first, mut size) = self.group(stream.replicate());
        let (group, mut place) = (stream.of_replicate(first), stream.replicate() - first);
        let (n, (head, levels)) = (counts.len(), room.split_at_mut(HEAD));
        let (known, nodes) = head.split_at_mut(1);
        if known[0] != first + 1 {
            known[0] = first + 1;
            nodes.fill(0);
            levels[..n].fill(size);
        }
        // Nodes are numbered from the root down, which is 1.
        let (mut node, mut level) = (1, 0);
        while size > 1 {
            let (half, (above, below)) = (size / 2, levels.split_at_mut((level + 1) * n));
            let (all, part, right) = (&above[level * n..], &mut below[..n], place >= half);
            let (child, known) = (2 * node + u32::from(right), &mut nodes[level + 1]);
            if *known != child {
                if !right || *known != 2 * node {
                    deal(group, node, half, all, part);
                }
                if right {
                    part.iter_mut().zip(all).for_each(|(part, &all)| *part = all - *part);
                }
                *known = child;
            }
            (place, size) = if right { (place - half, size - half) } else { (place, half) };
            (node, level) = (child, level + 1);
        }
        counts.copy_from_slice(&levels[level * n..][..n]);
    }
}

/// Deals `half` replicates' copies out of the `counts` of a node.
fn deal(group: Stream, node: u32, half: u32, counts: &[u32], left: &mut [u32]) {
    let most = counts.iter().copied().max().unwrap_or(0);
    dispatch(Coins { stream: group.array(2 * node), most, counts, left: &mut *left });
    even_out(&mut Reader::new(group.array(2 * node + 1)), half, counts, left);
}

/// How many of the `counts` of each unit, `most` at most, a fair coin sends to the left. Unit i reads as many bits as it
/// counts: of word i mod 64 of each batch of those for its 64 units.
struct Coins<'a> {
    stream: Stream,
    most: u32,
    counts: &'a [u32],
    left: &'a mut [u32],
}

impl Kernel for Coins<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let batches = self.most.div_ceil(u32::BITS);
        for (group, (counts, left)) in self.counts.chunks(WORDS).zip(self.left.chunks_mut(WORDS)).enumerate()
        {
            let (mut rest, mut ones) = ([0; WORDS], [0; WORDS]);
            rest[..counts.len()].copy_from_slice(counts);
            for batch in 0..u64::from(batches) {
                let words = self.stream.batch(group as u64 * u64::from(batches) + batch);
                for i in 0..WORDS {
                    let take = if rest[i] < u32::BITS { rest[i] } else { u32::BITS };
                    let mask = ((1u64 << take) - 1) as u32;
                    ones[i] += (words[i] & mask).count_ones();
                    rest[i] -= take;
                }
            }
            left.copy_from_slice(&ones[..counts.len()]);
        }
    }
}

/// Moves copies between the two halves until the left one has as many as there are units for each of `half` replicates.
fn even_out(reader: &mut Reader, half: u32, counts: &[u32], left: &mut [u32]) {
    let (n, want) = (counts.len() as u64, counts.len() as u64 * u64::from(half));
    let mut have: u64 = left.iter().map(|&here| u64::from(here)).sum();
    let over = have > want;
    let here = |left: u32, count: u32| if over { left } else { count - left };
    let most = left.iter().zip(counts).map(|(&left, &count)| u64::from(here(left, count))).max().unwrap_or(0);
    while have != want {
        // One of `most` places of one of the units: taken if a copy stands there.
        let drawn = reader.below(n * most);
        let (unit, place) = ((drawn / most) as usize, (drawn % most) as u32);
        if place < here(left[unit], counts[unit]) {
            if over {
                left[unit] -= 1;
                have -= 1;
            } else {
                left[unit] += 1;
                have += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Domain;

    #[test]
    fn every_unit_counts_equally_often() {
        for (n, replicates) in [(1, 5), (2, 1), (3, 2), (5, 7), (70, 999), (3, 2047), (3, 2048), (2, 5000)] {
            let (drawing, mut totals) = (Balanced { replicates }, vec![0; n]);
            let fresh = vec![0; drawing.room(n)];
            let mut room = fresh.clone();
            for replicate in 0..replicates {
                let (mut alone, mut counts) = (vec![7; n], vec![7; n]);
                let stream = Stream::new(4, Domain::Bootstrap, replicate);
                drawing.count(stream, &mut room, &mut counts);
                drawing.count(stream, &mut fresh.clone(), &mut alone);
                assert_eq!(counts, alone, "what is kept changes nothing");
                assert_eq!(counts.iter().sum::<u32>(), n as u32);
                for (total, count) in totals.iter_mut().zip(counts) {
                    *total += count;
                }
            }
            assert_eq!(totals, vec![replicates; n]);
        }
    }
}
