//! Clusters of two kinds that cross, each kind resampled by itself.

use super::{Drawing, Parts};
use crate::memory::{self, NoMemory};
use crate::random::{Stream, count_into};
use crate::uncertainty::NoEstimate;

/// The pigeonhole bootstrap (Owen 2007): the clusters of either kind are drawn independently of those of the other one,
/// and a unit, which is a pair of them, counts as often as the product says.
#[derive(Clone, Debug)]
pub struct Crossed {
    /// The cluster of each unit, of either kind, and how many there are.
    of: [Vec<u32>; 2],
    counts: [usize; 2],
}

impl Crossed {
    /// Units in the clusters `of` either kind, inside `0..counts`; refused where another code comes, and for one cluster.
    pub fn new(of: [&[i64]; 2], counts: [usize; 2]) -> Result<Result<Crossed, NoEstimate>, NoMemory> {
        if counts.iter().any(|&count| count < 2) {
            return Ok(Err(NoEstimate::OneCluster));
        }
        for (codes, count) in of.iter().zip(counts) {
            if codes.iter().any(|&code| code < 0 || code as usize >= count) || count > codes.len() {
                return Ok(Err(NoEstimate::Outside));
            }
        }
        let narrow = |codes: &[i64]| memory::collected(codes.iter().map(|&code| code as u32));
        Ok(Ok(Crossed { of: [narrow(of[0])?, narrow(of[1])?], counts }))
    }
}

impl Drawing for Crossed {
    /// The counts of the clusters of the larger kind.
    fn room(&self, _: usize) -> usize {
        self.counts[0].max(self.counts[1])
    }

    /// The clusters of the first kind have the random numbers that they have alone, those of the second kind those of
    /// stratum 1.
    fn count(&self, stream: Stream, room: &mut [u32], counts: &mut [u32]) {
        counts.fill(1);
        for (kind, (of, &total)) in (0..).zip(self.of.iter().zip(&self.counts)) {
            let Some(own) = stream.stratum(kind) else { return };
            let drawn = &mut room[..total];
            count_into(own, drawn);
            for (count, &cluster) in counts.iter_mut().zip(of) {
                *count = count.saturating_mul(drawn[cluster as usize]);
            }
        }
    }

    fn sample(&self, _: usize) -> usize {
        self.counts[0].min(self.counts[1])
    }

    /// The clusters of both kinds, each kind being a stratum: to first order a replicate is the sum of what either kind
    /// of clusters adds.
    fn parts(&self, _: usize, most: usize) -> Result<Parts, NoMemory> {
        let own = [self.counts[0].min(most / 2), self.counts[1].min(most / 2)];
        let (mut sizes, mut strata) =
            (memory::filled(own[0] + own[1], 0.0)?, memory::with_capacity(own[0] + own[1])?);
        let mut of = memory::with_capacity(2)?;
        for (kind, first) in [0, own[0]].into_iter().enumerate() {
            let part = |cluster: usize| first + cluster % own[kind];
            (0..self.counts[kind]).for_each(|cluster| sizes[part(cluster)] += 1.0);
            strata.extend((0..own[kind]).map(|_| kind as u32));
            of.push(memory::collected(self.of[kind].iter().map(|&cluster| part(cluster as usize) as u32))?);
        }
        Ok(Parts { of, count: own[0] + own[1], sizes, strata: Some(strata) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, counts};

    #[test]
    fn counts_are_products_of_two_draws() {
        let (a, b): (Vec<i64>, Vec<i64>) =
            ((0..15).map(|i| i / 3).collect(), (0..15).map(|i| i % 3).collect());
        let of = Crossed::new([&a, &b], [5, 3]).unwrap().unwrap();
        for replicate in 0..20 {
            let stream = Stream::new(3, Domain::Bootstrap, replicate);
            let (mut scratch, mut found) = (vec![7; 15], vec![7; 15]);
            of.count(stream, &mut scratch, &mut found);
            let items = counts(stream, 5).unwrap();
            let judges = counts(stream.stratum(1).unwrap(), 3).unwrap();
            for unit in 0..15 {
                assert_eq!(found[unit], items[a[unit] as usize] * judges[b[unit] as usize]);
            }
            assert_eq!(found.iter().sum::<u32>(), 15);
        }
        let parts = of.parts(15, usize::MAX).unwrap();
        assert_eq!((parts.count, parts.sizes.len()), (8, 8));
        assert_eq!(parts.sums(&[1.0; 15]).unwrap(), [3.0, 3.0, 3.0, 3.0, 3.0, 5.0, 5.0, 5.0]);
        assert_eq!(parts.strata, Some(vec![0, 0, 0, 0, 0, 1, 1, 1]));
    }

    #[test]
    fn one_cluster_and_codes_outside_are_refused() {
        let refused = |of, counts| Crossed::new(of, counts).unwrap().err();
        assert_eq!(refused([&[0, 1], &[0, 0]], [2, 1]), Some(NoEstimate::OneCluster));
        assert_eq!(refused([&[0, 1], &[0, 2]], [2, 2]), Some(NoEstimate::Outside));
        assert_eq!(refused([&[0, -1], &[0, 1]], [2, 2]), Some(NoEstimate::Outside));
    }
}
