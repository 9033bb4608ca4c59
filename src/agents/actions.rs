//! Actions by the numbers that a model gives for them.

/// The action with the largest number, the first among equals.
pub(super) fn best(scores: &[f32]) -> usize {
    let mut best = 0;
    for (action, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = action;
        }
    }
    best
}

/// The action that the random number `unit`, from 0 to 1, draws with the probabilities softmax(`logits`), and the logarithm of its
/// probability.
pub(super) fn drawn(logits: &[f32], unit: f64) -> (usize, f64) {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let above = |logit: &f32| f64::from(logit - largest);
    let sum: f64 = logits.iter().map(|logit| libm::exp(above(logit))).sum();
    let mut left = unit * sum;
    let mut action = logits.len().saturating_sub(1);
    for (place, logit) in logits.iter().enumerate() {
        left -= libm::exp(above(logit));
        if left < 0.0 {
            action = place;
            break;
        }
    }
    let logit = logits.get(action).map_or(0.0, above);
    (action, logit - libm::log(sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn actions_are_drawn_as_often_as_their_probabilities_say() {
        let logits = [0.0, 1.0, -1.0];
        let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        let mut counts = [0.0; 3];
        let mut random = Stream::new(3, 1);
        for _ in 0..30_000 {
            let (action, log) = drawn(&logits, random.unit().into());
            counts[action] += 1.0 / 30_000.0;
            let wanted = (f64::from(logits[action]).exp() / sum).ln();
            assert!((log - wanted).abs() < 1e-12);
        }
        for (count, logit) in counts.iter().zip(logits) {
            assert!(
                (count - f64::from(logit).exp() / sum).abs() < 0.01,
                "{counts:?}"
            );
        }
        assert_eq!(drawn(&logits, 0.0).0, 0);
        assert_eq!(drawn(&[1000.0, -1000.0], 0.999).0, 0);
        assert_eq!(best(&[1.0, 3.0, 3.0]), 1);
    }
}
