//! Work units over many arrays: one parallel region, balanced by elements.

/// Gathers spans, each at most a chunk long, into units of about a chunk: ten thousand small arrays become a
/// few hundred units, one large array becomes as many as it has chunks. The spans themselves never depend on
/// the grouping, so neither does any result.
pub(super) fn units<T>(
    spans: impl Iterator<Item = T>,
    length: impl Fn(&T) -> usize,
    chunk: usize,
) -> Vec<Vec<T>> {
    let (mut units, mut unit, mut filled) = (Vec::new(), Vec::new(), 0);
    for span in spans {
        let n = length(&span);
        if filled > 0 && filled + n > chunk {
            units.push(std::mem::take(&mut unit));
            filled = 0;
        }
        filled += n;
        unit.push(span);
    }
    if !unit.is_empty() {
        units.push(unit);
    }
    units
}

#[cfg(test)]
mod tests {
    use super::units;

    #[test]
    fn units_keep_order_and_size() {
        let lengths = [10, 10, 90, 5, 100, 1, 1];
        let grouped = units(lengths.into_iter(), |&n| n, 100);
        assert_eq!(grouped, vec![vec![10, 10], vec![90, 5], vec![100], vec![1, 1]]);
    }
}
