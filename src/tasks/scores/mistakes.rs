//! Confident mistakes: the samples that are predicted wrong with the highest confidence.

use super::{Judged, largest, softmax};
use crate::tasks::WorstSample;
use crate::tasks::worst::worst;

/// Those of the `judged` samples that are predicted wrong, at most `most`, the highest confidence first: truth and prediction by the
/// names of the `classes`, and the confidence.
pub fn confident_mistakes(judged: Judged<'_>, classes: &[String], most: usize) -> Vec<WorstSample> {
    let rows = judged.logits.chunks_exact(judged.classes.max(1));
    let predictions: Vec<(usize, f64)> = rows
        .map(|row| {
            let probabilities = softmax(row);
            let predicted = largest(&probabilities);
            let confidence = probabilities.get(predicted).copied();
            (predicted, confidence.unwrap_or(f64::NAN))
        })
        .collect();
    let each = predictions.iter().zip(judged.labels);
    // What is right is left out, as what is not a number.
    let wrong = each.map(
        |(&(predicted, confidence), &label)| match predicted == label as usize {
            true => f64::NAN,
            false => confidence,
        },
    );
    let name = |class: usize| match classes.get(class) {
        Some(name) => name.clone(),
        None => class.to_string(),
    };
    worst(wrong, most, |index, confidence| {
        let truth = judged.labels.get(index).map_or(0, |&label| label as usize);
        let predicted = predictions.get(index).map_or(0, |(class, _)| *class);
        vec![
            ("truth", name(truth)),
            ("prediction", name(predicted)),
            ("confidence", format!("{:.1}%", 100.0 * confidence)),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_of_the_wrong_predictions_come_first() {
        let judged = Judged {
            logits: &[3.0, 0.0, 0.0, 1.0, 0.0, 2.0, 5.0, 0.0],
            classes: 2,
            labels: &[0, 0, 0, 1],
        };
        let classes = ["no".to_string(), "yes".to_string()];
        let found = confident_mistakes(judged, &classes, 2);
        let indices: Vec<usize> = found.iter().map(|sample| sample.index).collect();
        assert_eq!(indices, [3, 2]);
        let figures: Vec<&str> = found[0].figures.iter().map(|(_, text)| &**text).collect();
        assert_eq!(figures, ["yes", "no", "99.3%"]);
        assert_eq!(confident_mistakes(judged, &classes, 9).len(), 3);
    }
}
