//! Whether the likelihood has a maximum, and which groups of models stand in the way.
//!
//! With a tie as half a win for either side, it has one exactly where no two groups of models exist of which one never
//! won or tied against the other: the directed graph of who scored against whom must be strongly connected (Ford,
//! American Mathematical Monthly 64 (1957)).
//!
//! With Davidson's ties, a direction along which the likelihood never falls raises the ties by t and the ratings by d
//! with `d_i - d_j >= 2 t` wherever i beat j and `|d_i - d_j| <= 2 t` wherever they tied. For t > 0 there is one unless some
//! cycle has more wins than ties (the constraints on differences are satisfiable where no cycle is negative); for t = 0
//! the graph decides as above, and without ties nu is 0.

use super::battles::Cell;
use crate::memory::{self, NoMemory};

/// Who beat whom, and who tied: a bit for each pair of models.
#[derive(Clone, Debug)]
pub struct Graph {
    models: usize,
    words: usize,
    /// Row i: the models that i beat.
    beat: Vec<u64>,
    /// Row i: the models that beat i.
    lost: Vec<u64>,
    /// Row i: the models with which i tied.
    tied: Vec<u64>,
    /// Every model has won against every other, by a prior.
    complete: bool,
    any_tie: bool,
}

impl Graph {
    pub(super) fn new(models: usize) -> Result<Graph, NoMemory> {
        let words = models.div_ceil(64);
        let rows = || memory::filled(models * words, 0u64);
        Ok(Graph {
            models,
            words,
            beat: rows()?,
            lost: rows()?,
            tied: rows()?,
            complete: false,
            any_tie: false,
        })
    }

    #[inline(always)]
    pub(super) fn clear(&mut self, complete: bool) {
        self.beat.fill(0);
        self.lost.fill(0);
        self.tied.fill(0);
        (self.complete, self.any_tie) = (complete, false);
    }

    #[inline(always)]
    pub(super) fn add(&mut self, cell: Cell) {
        let (i, j) = (cell.first as usize, cell.second as usize);
        let (of_i, of_j) = (i * self.words + j / 64, j * self.words + i / 64);
        if cell.tie {
            self.any_tie = true;
            self.tied[of_i] |= 1 << (j % 64);
            self.tied[of_j] |= 1 << (i % 64);
        } else {
            self.beat[of_i] |= 1 << (j % 64);
            self.lost[of_j] |= 1 << (i % 64);
        }
    }

    /// The models that can be reached from one by scores of one model after the other.
    fn reached(&self, from: usize, rows: &[u64], seen: &mut [u64], todo: &mut [u64]) {
        seen.fill(0);
        todo.fill(0);
        todo[from / 64] |= 1 << (from % 64);
        while let Some(word) = todo.iter().position(|&bits| bits != 0) {
            let model = word * 64 + todo[word].trailing_zeros() as usize;
            todo[word] &= todo[word] - 1;
            seen[word] |= 1 << (model % 64);
            for other in 0..self.words {
                let place = model * self.words + other;
                todo[other] |= (rows[place] | self.tied[place]) & !seen[other];
            }
        }
    }

    fn room(&self) -> Result<[Vec<u64>; 2], NoMemory> {
        Ok([memory::filled(self.words, 0)?, memory::filled(self.words, 0)?])
    }

    /// The group of each model: models of one group can be reached from each other. Groups are numbered by their first
    /// model.
    fn groups(&self) -> Result<Vec<u32>, NoMemory> {
        let mut groups = memory::filled(self.models, u32::MAX)?;
        let ([mut up, mut down], [mut todo, _]) = (self.room()?, self.room()?);
        let mut many = 0;
        for model in 0..self.models {
            if groups[model] != u32::MAX {
                continue;
            }
            self.reached(model, &self.beat, &mut down, &mut todo);
            self.reached(model, &self.lost, &mut up, &mut todo);
            for other in 0..self.models {
                if self.complete || down[other / 64] & up[other / 64] & 1 << (other % 64) != 0 {
                    groups[other] = many;
                }
            }
            many += 1;
        }
        Ok(groups)
    }

    /// Whether all models are one group.
    pub(super) fn connected(&self, seen: &mut [u64], todo: &mut [u64]) -> bool {
        let mut all = true;
        if !self.complete {
            for rows in [&self.beat, &self.lost] {
                self.reached(0, rows, seen, todo);
                let many: u32 = seen.iter().map(|bits| bits.count_ones()).sum();
                all &= many as usize == self.models;
            }
        }
        all
    }

    /// Whether Davidson's nu has a maximum: there are no ties, or some cycle has more wins than ties.
    pub(super) fn bounded(&self) -> Result<bool, NoMemory> {
        if self.complete
            || !self.any_tie
            || self.beat.iter().zip(&self.lost).any(|(one, other)| one & other != 0)
        {
            return Ok(true);
        }
        // Bellman and Ford: distances that still fall after as many rounds as there are models fall for ever.
        let mut distance = memory::filled(self.models, 0i64)?;
        for _ in 0..=self.models {
            let mut fell = false;
            for i in 0..self.models {
                for j in 0..self.models {
                    let (place, bit) = (i * self.words + j / 64, 1u64 << (j % 64));
                    for (rows, length) in [(&self.beat, -1), (&self.tied, 1)] {
                        if rows[place] & bit != 0 && distance[i] + length < distance[j] {
                            distance[j] = distance[i] + length;
                            fell = true;
                        }
                    }
                }
            }
            if !fell {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The groups of models that stand apart: models of one group scored against each other, directly or through others, in
/// both directions. There is one group alone where ratings exist. Groups are numbered by their first model.
pub fn groups(battles: &super::Battles, law: super::Law) -> Result<Vec<u32>, NoMemory> {
    battles.totals(law)?.1.groups()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(models: usize, wins: &[(u32, u32)], ties: &[(u32, u32)]) -> Graph {
        let mut graph = Graph::new(models).unwrap();
        for (pairs, tie) in [(wins, false), (ties, true)] {
            for &(first, second) in pairs {
                graph.add(Cell { first, second, tie });
            }
        }
        graph
    }

    #[test]
    fn groups_are_those_that_scored_against_each_other() {
        // 0 -> 1 -> 2 -> 0 is a cycle; 3 beat 0 and never lost; 70 models need two words.
        let found = graph(70, &[(0, 1), (1, 2), (2, 0), (3, 0), (69, 68)], &[(68, 69)]).groups().unwrap();
        assert_eq!(&found[..5], [0, 0, 0, 1, 2]);
        assert_eq!(found[68], found[69]);
        assert!(!graph(4, &[(0, 1), (1, 2), (2, 0), (3, 0)], &[]).connected(&mut [0], &mut [0]));
        assert!(graph(4, &[(0, 1), (1, 2), (2, 0), (3, 0)], &[(1, 3)]).connected(&mut [0], &mut [0]));
    }

    #[test]
    fn ties_are_bounded_where_a_cycle_has_more_wins() {
        assert!(!graph(2, &[(0, 1)], &[(0, 1)]).bounded().unwrap());
        assert!(!graph(2, &[], &[(0, 1)]).bounded().unwrap());
        assert!(graph(2, &[(0, 1), (1, 0)], &[(0, 1)]).bounded().unwrap());
        assert!(graph(2, &[(0, 1), (1, 0)], &[]).bounded().unwrap());
        // Three wins around a circle, ties elsewhere; two wins and a tie; one win and two ties.
        assert!(graph(3, &[(0, 1), (1, 2), (2, 0)], &[(0, 1)]).bounded().unwrap());
        assert!(graph(3, &[(0, 1), (1, 2)], &[(2, 0)]).bounded().unwrap());
        assert!(!graph(3, &[(0, 1)], &[(1, 2), (2, 0)]).bounded().unwrap());
    }
}
