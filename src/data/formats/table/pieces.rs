//! The piecewise linear encoding of numbers (Gorishniy, Rubachev and Babenko 2022, "On Embeddings for Numerical Features in Tabular
//! Deep Learning"): each piece between two quantiles becomes a number from 0 to 1, so that a network can bend there.

/// The edges of at most `most` pieces for the training `numbers`, increasing; empty if there are fewer than three different ones.
/// Every different number is an edge if there are few, or else quantiles are; where one number makes up so much that quantiles
/// coincide, they are those of the other numbers.
pub(super) fn edges(numbers: &[f64], most: usize) -> Vec<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut different = sorted.clone();
    different.dedup();
    if most == 0 || different.len() < 3 {
        return Vec::new();
    }
    if different.len() <= most + 1 {
        return different;
    }
    let found = quantiles(&sorted, most);
    if found.len() > most / 2 {
        return found;
    }
    let common = most_frequent(&sorted);
    let (first, last) = (sorted[0], sorted[sorted.len() - 1]);
    let others: Vec<f64> = sorted.into_iter().filter(|&x| x != common).collect();
    let mut found = quantiles(&others, most - 1);
    found.extend([first, common, last]);
    found.sort_by(f64::total_cmp);
    found.dedup();
    found
}

/// The different ones of the `pieces + 1` quantiles of `sorted` numbers, from the least to the largest.
fn quantiles(sorted: &[f64], pieces: usize) -> Vec<f64> {
    let last = sorted.len() - 1;
    let mut found: Vec<f64> = (0..=pieces)
        .map(|i| sorted[i * last / pieces.max(1)])
        .collect();
    found.dedup();
    found
}

/// The most frequent of `sorted` numbers; the least of several.
fn most_frequent(sorted: &[f64]) -> f64 {
    let runs = sorted.chunk_by(|a, b| a == b);
    // Of equal counts, `max_by_key` takes the last.
    let longest = runs.rev().max_by_key(|run| run.len());
    longest.map_or(0.0, |run| run[0])
}

/// Writes how far `number` reaches into each piece between `edges`, from 0 to 1.
pub(super) fn encode(number: f64, edges: &[f64], out: &mut [f32]) {
    for (piece, out) in edges.windows(2).zip(out) {
        *out = ((number - piece[0]) / (piece[1] - piece[0])).clamp(0.0, 1.0) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_numbers_are_all_edges_and_many_are_cut_at_quantiles() {
        assert_eq!(edges(&[3.0, 1.0, 2.0, 1.0], 8), [1.0, 2.0, 3.0]);
        assert!(edges(&[0.0, 1.0, 1.0], 8).is_empty());
        assert!(edges(&[0.0, 1.0, 2.0], 0).is_empty());
        let even: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(edges(&even, 4), [0.0, 25.0, 50.0, 75.0, 100.0]);
    }

    #[test]
    fn a_number_that_is_nearly_everywhere_leaves_pieces_for_the_others() {
        let gains: Vec<f64> = (0..1000).map(|i| f64::from((i - 900).max(0))).collect();
        let found = edges(&gains, 8);
        assert!(found.len() > 6 && found[0] == 0.0, "{found:?}");
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(found.last(), Some(&99.0));
    }

    #[test]
    fn a_number_fills_the_pieces_below_it() {
        let mut out = [0.0; 3];
        encode(2.5, &[0.0, 2.0, 4.0, 5.0], &mut out);
        assert_eq!(out, [1.0, 0.25, 0.0]);
        encode(-9.0, &[0.0, 2.0, 4.0, 5.0], &mut out);
        assert_eq!(out, [0.0; 3]);
        encode(9.0, &[0.0, 2.0, 4.0, 5.0], &mut out);
        assert_eq!(out, [1.0; 3]);
    }
}
