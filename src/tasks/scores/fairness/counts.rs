//! How decisions about samples turned out, counted, and the rates that follow.

/// How the decision about a sample turned out, where one class is the positive one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DecisionOutcome {
    /// Another class, and predicted as such.
    TrueNegative = 0,
    /// Another class, but predicted as positive.
    FalsePositive = 1,
    /// Positive, but predicted as another class.
    FalseNegative = 2,
    /// Positive, and predicted as such.
    TruePositive = 3,
    /// Another class, predicted as a third one: negative as it should be, but not right.
    OtherNegative = 4,
}

impl DecisionOutcome {
    /// Number of outcomes.
    pub const COUNT: usize = 5;

    /// Of a sample of the class `label` that was predicted to be of the class `decision`.
    pub fn of(label: u32, decision: u32, positive: u32) -> DecisionOutcome {
        match (label == positive, decision == positive) {
            (true, true) => DecisionOutcome::TruePositive,
            (true, false) => DecisionOutcome::FalseNegative,
            (false, true) => DecisionOutcome::FalsePositive,
            (false, false) if label == decision => DecisionOutcome::TrueNegative,
            (false, false) => DecisionOutcome::OtherNegative,
        }
    }
}

/// How many samples of a group had each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    /// By the number of the outcome.
    pub counts: [u64; DecisionOutcome::COUNT],
}

/// The names of the rates of [`OutcomeCounts::rates`].
pub const RATES: [&str; 5] = [
    "accuracy",
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "precision",
];

/// The rates of a group, in the order of [`RATES`]; `None` where no sample decides it.
pub type Rates = [Option<f64>; RATES.len()];

impl OutcomeCounts {
    /// Counts a sample.
    pub fn add(&mut self, outcome: DecisionOutcome) {
        self.counts[outcome as usize] += 1;
    }

    /// These counts and others.
    #[must_use]
    pub fn with(mut self, others: &OutcomeCounts) -> OutcomeCounts {
        for (own, other) in self.counts.iter_mut().zip(others.counts) {
            *own += other;
        }
        self
    }

    /// Number of samples.
    pub fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Accuracy (share of the samples that are predicted right), selection rate (share predicted as positive), true positive rate (of
    /// the positive ones), false positive rate (of the others), and precision (share of those predicted as positive that are).
    pub fn rates(&self) -> Rates {
        let [
            true_negative,
            false_positive,
            false_negative,
            true_positive,
            other,
        ] = self.counts;
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        [
            share(true_negative + true_positive, self.samples()),
            share(true_positive + false_positive, self.samples()),
            share(true_positive, true_positive + false_negative),
            share(false_positive, false_positive + true_negative + other),
            share(true_positive, true_positive + false_positive),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shares_of_the_samples_that_they_are_about() {
        let mut counts = OutcomeCounts::default();
        // Labels and decisions among three classes, of which 1 is the positive one.
        for (label, decision) in [
            (1, 1),
            (1, 1),
            (1, 0),
            (0, 1),
            (0, 0),
            (2, 0),
            (2, 2),
            (0, 0),
        ] {
            counts.add(DecisionOutcome::of(label, decision, 1));
        }
        assert_eq!(counts.counts, [3, 1, 1, 2, 1]);
        let wanted = [5.0 / 8.0, 3.0 / 8.0, 2.0 / 3.0, 1.0 / 5.0, 2.0 / 3.0];
        assert_eq!(counts.rates(), wanted.map(Some));
        let none = OutcomeCounts::default();
        assert_eq!(none.rates(), [None; 5]);
        assert_eq!(none.with(&counts), counts);
    }
}
