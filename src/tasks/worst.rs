//! The samples of an evaluation with the largest losses.

/// A sample with a large loss.
#[derive(Clone, Debug, PartialEq)]
pub struct WorstSample {
    /// Index among the evaluated samples.
    pub index: usize,
    /// What a report says of it besides its input, by name: `truth`, `prediction`, `loss`. All samples have the same names.
    pub figures: Vec<(&'static str, String)>,
}

/// The samples with the largest of `losses`, at most `most`, the largest first and of equal ones the first. Losses that are not
/// numbers are left out. `figures` gets index and loss.
pub(super) fn worst(
    losses: impl Iterator<Item = f64>,
    most: usize,
    figures: impl Fn(usize, f64) -> Vec<(&'static str, String)>,
) -> Vec<WorstSample> {
    let mut losses: Vec<(usize, f64)> = losses
        .enumerate()
        .filter(|(_, loss)| !loss.is_nan())
        .collect();
    losses.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let worst = losses.into_iter().take(most);
    let sample = |(index, loss)| WorstSample {
        index,
        figures: figures(index, loss),
    };
    worst.map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_losses_come_first() {
        let losses = [0.5, f64::NAN, 2.0, 2.0, f64::INFINITY, 0.1];
        let found = worst(losses.into_iter(), 4, |_, loss| {
            vec![("loss", loss.to_string())]
        });
        let order: Vec<usize> = found.iter().map(|sample| sample.index).collect();
        assert_eq!(order, [4, 2, 3, 0]);
        assert_eq!(found[3].figures, [("loss", "0.5".to_string())]);
    }
}
