//! Temperature scaling: logits are divided by one number, by which confidences change and predicted classes do not (Guo et al. 2017).

use crate::error::{Error, Result};

/// The highest temperature that is fitted; the lowest is its reciprocal.
pub const MOST_TEMPERATURE: f64 = 100.0;
/// Most steps of the fit. Halving alone reaches the precision of numbers with fewer.
const MOST_STEPS: usize = 100;
/// The fit ends at a relative change of the temperature below this.
const TOLERANCE: f64 = 1e-12;

/// The temperature that minimises the negative log-likelihood of the classes `labels` by `logits`, `[samples, classes]`, divided by it;
/// between `1 / MOST_TEMPERATURE` and [`MOST_TEMPERATURE`].
///
/// The loss is convex in the reciprocal of the temperature, so that its slope has one zero at most: Newton's method finds it, with
/// halving of the range in which it lies wherever a step leaves that. If all samples are predicted right, the loss has no minimum, and
/// the lowest temperature is returned; if chance predicts better than the logits, the highest.
///
/// # Errors
/// If there are no samples, or a label is none of the classes.
pub fn fit_temperature(logits: &[f32], classes: usize, labels: &[u32]) -> Result<f64> {
    let rows = || logits.chunks_exact(classes.max(1)).zip(labels);
    if rows().next().is_none() {
        return Err(Error::Data(
            "a temperature is fitted to samples, and there are none".to_string(),
        ));
    }
    if let Some(label) = labels.iter().find(|label| **label as usize >= classes) {
        return Err(Error::Data(format!(
            "a sample is of class {label}, and the model distinguishes {classes}"
        )));
    }
    // Slope and curvature of the loss over the reciprocal `a`: the mean of E[z] - z_label, and of Var[z], under softmax(a z).
    let derivatives = |a: f64| {
        let (mut slope, mut curvature, mut count) = (0.0, 0.0, 0.0);
        for (row, &label) in rows() {
            let (mean, square) = moments(row, a);
            let own = row.get(label as usize).copied().unwrap_or_default();
            slope += mean - f64::from(own);
            curvature += square - mean * mean;
            count += 1.0;
        }
        (slope / count, curvature / count)
    };
    let [mut low, mut high] = [1.0 / MOST_TEMPERATURE, MOST_TEMPERATURE];
    if derivatives(low).0 >= 0.0 {
        return Ok(1.0 / low);
    }
    if derivatives(high).0 <= 0.0 {
        return Ok(1.0 / high);
    }
    let mut a = 1.0;
    for _ in 0..MOST_STEPS {
        let (slope, curvature) = derivatives(a);
        match slope < 0.0 {
            true => low = a,
            false => high = a,
        }
        let newton = a - slope / curvature;
        let next = match newton > low && newton < high {
            true => newton,
            false => (low * high).sqrt(),
        };
        let change = (next / a - 1.0).abs();
        a = next;
        if change < TOLERANCE {
            break;
        }
    }
    Ok(1.0 / a)
}

/// Mean and mean square of the logits `row` under the probabilities by `a` times them.
fn moments(row: &[f32], a: f64) -> (f64, f64) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut total, mut mean, mut square) = (0.0, 0.0, 0.0);
    for &logit in row {
        let weight = (a * (f64::from(logit) - f64::from(largest))).exp();
        let logit = f64::from(logit);
        total += weight;
        mean += weight * logit;
        square += weight * logit * logit;
    }
    (mean / total, square / total)
}

/// The `logits` divided by `temperature`.
pub fn scaled(logits: &[f32], temperature: f64) -> Vec<f32> {
    let divided = |&logit: &f32| (f64::from(logit) / temperature) as f32;
    logits.iter().map(divided).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::scores::softmax;

    /// The mean loss by probabilities at `temperature`.
    fn loss(logits: &[f32], labels: &[u32], temperature: f64) -> f64 {
        let scaled = scaled(logits, temperature);
        let rows = scaled.chunks_exact(2).zip(labels);
        rows.map(|(row, &label)| -softmax(row)[label as usize].ln())
            .sum()
    }

    /// By hand: a margin of 2 that is right three times of four should be one of ln 3.
    #[test]
    fn the_temperature_makes_confidence_what_accuracy_is() {
        let logits = [0.0, 2.0].repeat(4);
        let found = fit_temperature(&logits, 2, &[1, 1, 0, 1]).unwrap();
        assert!((found - 2.0 / 3.0_f64.ln()).abs() < 1e-9, "{found}");
    }

    #[test]
    fn the_fit_is_a_minimum_also_for_logits_far_from_one_another() {
        let logits = [900.0, 0.0, 0.0, 3.0, 0.5, 0.0, 0.0, 40.0];
        let labels = [0, 0, 0, 1];
        let found = fit_temperature(&logits, 2, &labels).unwrap();
        let at = |t: f64| loss(&logits, &labels, t);
        assert!(
            at(found) <= at(0.99 * found) && at(found) <= at(1.01 * found),
            "{found}"
        );
    }

    #[test]
    fn a_loss_without_a_minimum_gives_an_end_of_the_range() {
        let logits = [0.0, 2.0].repeat(3);
        let lowest = fit_temperature(&logits, 2, &[1, 1, 1]).unwrap();
        assert_eq!(lowest, 1.0 / MOST_TEMPERATURE);
        assert_eq!(
            fit_temperature(&logits, 2, &[0, 1, 0]).unwrap(),
            MOST_TEMPERATURE
        );
        assert_eq!(
            fit_temperature(&[1.0, 1.0], 2, &[0]).unwrap(),
            MOST_TEMPERATURE
        );
        assert!(fit_temperature(&[], 2, &[]).is_err());
        assert!(fit_temperature(&logits, 2, &[2, 0, 0]).is_err());
    }
}
