//! Measures of association: Pearson's correlation, the correlation ratio, Cramér's V, rank correlation, and how well groups of rows
//! predict a class.

use std::collections::HashMap;

/// Count, mean and sum of squared deviations of numbers, one after another (Welford 1962), with the extremes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    pub count: u64,
    pub mean: f64,
    /// Sum of squared deviations from the mean.
    pub squares: f64,
    pub min: f64,
    pub max: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Moments {
            count: 0,
            mean: 0.0,
            squares: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Moments {
    pub fn push(&mut self, x: f64) {
        self.count += 1;
        let before = x - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (x - self.mean);
        self.min = self.min.min(x);
        self.max = self.max.max(x);
    }

    /// Standard deviation, divided by the count.
    pub fn std(&self) -> f64 {
        (self.squares / self.count.max(1) as f64).sqrt()
    }
}

/// Moments of pairs of numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Comoments {
    x: Moments,
    y: Moments,
    /// Sum of products of the deviations.
    products: f64,
}

impl Comoments {
    pub fn push(&mut self, x: f64, y: f64) {
        let before = x - self.x.mean;
        self.x.push(x);
        self.y.push(y);
        self.products += before * (y - self.y.mean);
    }

    /// Pearson's correlation; `None` if one of the two is constant.
    pub fn correlation(&self) -> Option<f64> {
        let scale = (self.x.squares * self.y.squares).sqrt();
        (scale > 0.0).then(|| (self.products / scale).clamp(-1.0, 1.0))
    }
}

/// The share of the variance of numbers that lies between `groups` of them, eta squared; `None` if all numbers are equal, or in one
/// group.
pub(super) fn explained<'m>(groups: impl Iterator<Item = &'m Moments> + Clone) -> Option<f64> {
    let count: u64 = groups.clone().map(|group| group.count).sum();
    let used = groups.clone().filter(|group| group.count > 0).count();
    let sums = groups.clone().map(|group| group.mean * group.count as f64);
    let mean = sums.sum::<f64>() / count.max(1) as f64;
    let between = groups
        .clone()
        .map(|group| group.count as f64 * (group.mean - mean).powi(2))
        .sum::<f64>();
    let all = between + groups.map(|group| group.squares).sum::<f64>();
    (all > 0.0 && used > 1).then(|| (between / all).clamp(0.0, 1.0))
}

/// Number of rows by category and class.
pub(super) type Contingency = HashMap<(u32, u32), u64>;

/// Number of rows of each value of one side of `table`.
fn totals(table: &Contingency, side: impl Fn((u32, u32)) -> u32) -> HashMap<u32, u64> {
    let mut totals = HashMap::new();
    for (&pair, &count) in table {
        *totals.entry(side(pair)).or_insert(0) += count;
    }
    totals
}

/// Cramér's V, without a correction for bias; `None` if one side has a single value.
pub(super) fn cramers_v(table: &Contingency) -> Option<f64> {
    let rows = totals(table, |(row, _)| row);
    let columns = totals(table, |(_, column)| column);
    let count: u64 = table.values().sum();
    let freedom = rows.len().min(columns.len()).checked_sub(1)?;
    // Chi squared is count * (sum of o^2 / (row * column) - 1).
    let shares = table.iter().map(|((row, column), &observed)| {
        (observed as f64 / rows[row] as f64) * (observed as f64 / columns[column] as f64)
    });
    let shares = in_order(shares.collect());
    let v = ((shares - 1.0).max(0.0) / freedom as f64).sqrt();
    (freedom > 0 && count > 0).then_some(v.min(1.0))
}

/// The sum of `values` in ascending order, which does not depend on the order of a hash table.
fn in_order(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.iter().sum()
}

/// The share of rows whose class is the most frequent one of their category.
pub(super) fn right(table: &Contingency) -> f64 {
    let mut most: HashMap<u32, u64> = HashMap::new();
    for (&(row, _), &count) in table {
        let most = most.entry(row).or_insert(0);
        *most = count.max(*most);
    }
    let count: u64 = table.values().sum();
    most.values().sum::<u64>() as f64 / count.max(1) as f64
}

/// The share of rows of the most frequent class.
pub(super) fn most_frequent(table: &Contingency) -> f64 {
    let classes = totals(table, |(_, class)| class);
    let count: u64 = classes.values().sum();
    let most = classes.values().max().copied().unwrap_or(0);
    most as f64 / count.max(1) as f64
}

/// Spearman's rank correlation, with mean ranks for equal numbers; `None` if one of the two is constant.
pub(super) fn rank_correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let ranks = |of: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        let values: Vec<f64> = pairs.iter().map(of).collect();
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let mut ranks = vec![0.0; values.len()];
        let mut first = 0;
        for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
            let rank = first as f64 + (equal.len() - 1) as f64 / 2.0;
            equal.iter().for_each(|&at| ranks[at] = rank);
            first += equal.len();
        }
        ranks
    };
    let mut moments = Comoments::default();
    let (x, y) = (ranks(|pair| pair.0), ranks(|pair| pair.1));
    x.iter().zip(&y).for_each(|(&x, &y)| moments.push(x, y));
    moments.correlation()
}

/// The targets of the rows, in intervals of their number: at most `most` intervals of about as many rows, at least `least`, with equal
/// numbers together.
pub(super) fn intervals(pairs: &[(f64, f64)], most: usize, least: usize) -> Vec<Vec<f64>> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = sorted.len().div_ceil(most.max(1)).max(least);
    let mut intervals: Vec<Vec<f64>> = Vec::new();
    for equal in sorted.chunk_by(|a, b| a.0 == b.0) {
        let targets = equal.iter().map(|pair| pair.1);
        match intervals.last_mut().filter(|last| last.len() < size) {
            Some(last) => last.extend(targets),
            None => intervals.push(targets.collect()),
        }
    }
    intervals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures by NumPy 2 and SciPy 1 (`pearsonr`, `spearmanr`, `contingency.association`).
    #[test]
    fn measures_are_those_of_scipy() {
        let near = |found: Option<f64>, wanted: f64| {
            let found = found.unwrap();
            assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
        };
        let pairs = [(1.0, 2.0), (2.0, 1.0), (3.0, 4.0), (4.0, 3.0), (4.0, 9.0)];
        let mut moments = Comoments::default();
        pairs.iter().for_each(|&(x, y)| moments.push(x, y));
        near(moments.correlation(), 0.664_895_565_330_100_3);
        near(rank_correlation(&pairs), 0.718_184_846_459_607_9);
        let mut groups = [Moments::default(); 2];
        let numbers = [(0, 1.0), (0, 2.0), (0, 4.0), (1, 8.0), (1, 6.0)];
        numbers.iter().for_each(|&(group, x)| groups[group].push(x));
        near(explained(groups.iter()), 0.796_747_967_479_674_7);
        assert_eq!((groups[0].min, groups[0].max), (1.0, 4.0));
        assert_eq!(explained([groups[0], Moments::default()].iter()), None);
        let table = HashMap::from([
            ((0, 0), 10),
            ((0, 1), 5),
            ((1, 0), 3),
            ((1, 1), 7),
            ((2, 1), 4),
        ]);
        near(cramers_v(&table), 0.492_410_345_868_106_95);
        near(Some(right(&table)), 21.0 / 29.0);
        near(Some(most_frequent(&table)), 16.0 / 29.0);
        assert_eq!(cramers_v(&HashMap::from([((0, 0), 10), ((1, 0), 5)])), None);
    }

    #[test]
    fn equal_numbers_share_an_interval() {
        let pairs = [(2.0, 1.0), (1.0, 0.0), (1.0, 5.0), (1.0, 6.0), (3.0, 2.0)];
        let found = intervals(&pairs, 5, 2);
        assert_eq!(found, [vec![0.0, 5.0, 6.0], vec![1.0, 2.0]]);
    }
}
