//! Calibration, selective prediction and label issues against recorded figures of NumPy, SciPy, scikit-learn and cleanlab.

use super::*;
use crate::tasks::scores::{LabelIssues, SelectivePrediction};
use serde_json::Value;

fn recorded() -> Value {
    let text = include_str!("../../../../tests/fixtures/calibration.json");
    serde_json::from_str(text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let each = value.as_array().unwrap().iter();
    each.map(|x| x.as_f64().unwrap()).collect()
}

/// Logits, number of classes, labels.
fn samples(case: &Value) -> (Vec<f32>, usize, Vec<u32>) {
    let logits = numbers(&case["logits"]).into_iter().map(|x| x as f32);
    let labels = numbers(&case["labels"]).into_iter().map(|x| x as u32);
    let classes = case["classes"].as_u64().unwrap() as usize;
    (logits.collect(), classes, labels.collect())
}

fn near(found: f64, wanted: &Value, most: f64, what: &str) {
    let wanted = wanted.as_f64().unwrap();
    assert!(
        (found - wanted).abs() < most,
        "{what}: {found}, not {wanted}"
    );
}

fn same_figures(found: &ProbabilityScores, wanted: &Value) {
    near(found.accuracy, &wanted["accuracy"], 1e-9, "accuracy");
    let json = found.to_json();
    for key in ["confidence", "ece", "mce", "brier", "nll"] {
        near(json[key].as_f64().unwrap(), &wanted[key], 1e-6, key);
    }
}

/// `tests/fixtures/make_calibration.py`
#[test]
fn figures_and_temperature_are_those_of_numpy_and_scipy() {
    for case in recorded()["cases"].as_array().unwrap() {
        let (logits, classes, labels) = samples(case);
        same_figures(
            &ProbabilityScores::of(&logits, classes, &labels),
            &case["figures"],
        );
        let temperature = fit_temperature(&logits, classes, &labels).unwrap();
        near(temperature, &case["temperature"], 1e-6, "temperature");
        let moved = scaled(&logits, temperature);
        same_figures(
            &ProbabilityScores::of(&moved, classes, &labels),
            &case["scaled"],
        );
        let found = SelectivePrediction::of(&logits, classes, &labels).unwrap();
        near(found.area, &case["selective"]["aurc"], 1e-9, "aurc");
        let points = case["selective"]["points"].as_array().unwrap();
        assert_eq!(found.points.len(), points.len());
        for (found, wanted) in found.points.iter().zip(points) {
            near(found.coverage, &wanted["coverage"], 1e-12, "coverage");
            near(found.accuracy, &wanted["accuracy"], 1e-9, "accuracy");
            near(found.threshold, &wanted["threshold"], 1e-9, "threshold");
        }
    }
}

#[test]
fn confident_learning_finds_what_cleanlab_finds() {
    let recorded = &recorded()["label_issues"];
    let (logits, classes, labels) = samples(recorded);
    let found = LabelIssues::of(&logits, classes, &labels).unwrap();
    for (found, wanted) in found
        .thresholds
        .iter()
        .zip(numbers(&recorded["thresholds"]))
    {
        assert!((found.unwrap() - wanted).abs() < 1e-9);
    }
    let [counted, estimated] = ["confident_joint", "joint"].map(|key| {
        let rows = recorded[key].as_array().unwrap().iter();
        rows.map(numbers).collect::<Vec<_>>()
    });
    for (given, row) in (0..).zip(&counted) {
        for (suggested, &wanted) in (0..).zip(row) {
            let found = found.joint.get(&(given, suggested)).copied();
            assert_eq!(found.unwrap_or(0) as f64, wanted, "{given} {suggested}");
        }
    }
    for pair in &found.noise {
        let (given, suggested) = (pair.given as usize, pair.suggested as usize);
        let own = estimated[given][suggested];
        assert!((pair.estimated / labels.len() as f64 - own).abs() < 1e-9);
        let all: f64 = estimated.iter().map(|row| row[suggested]).sum();
        assert!((pair.rate - own / all).abs() < 1e-9);
    }
    let indices: Vec<f64> = found
        .issues
        .iter()
        .map(|issue| issue.index as f64)
        .collect();
    assert_eq!(indices, numbers(&recorded["issues"]));
    for (issue, wanted) in found.issues.iter().zip(numbers(&recorded["margins"])) {
        assert!((issue.margin - wanted).abs() < 1e-9);
    }
}

#[test]
fn a_temperature_is_judged_on_other_samples_than_it_is_fitted_to() {
    let recorded = recorded();
    let case = &recorded["cases"][1];
    let (logits, classes, labels) = samples(case);
    let judged = Judged {
        logits: &logits,
        classes,
        labels: &labels,
    };
    let by = |seed| CalibrationReport::of(judged, None, "test", seed).unwrap();
    let found = by(5);
    assert_eq!((found.fitted_to, found.fitted_samples), ("half", 200));
    assert_eq!(found.own.scores.samples, 200);
    assert_eq!(by(5), found);
    assert_ne!(by(6).temperature, found.temperature);
    // With a validation part, all samples are judged.
    let other = samples(&recorded["cases"][2]);
    let validation = Judged {
        logits: &other.0,
        classes,
        labels: &other.2,
    };
    let found = CalibrationReport::of(judged, Some(validation), "test", 5).unwrap();
    assert_eq!((found.fitted_to, found.fitted_samples), ("validation", 200));
    near(
        found.temperature,
        &recorded["cases"][2]["temperature"],
        1e-6,
        "temperature",
    );
    same_figures(&found.own.scores, &case["figures"]);
    assert_eq!(found.warning(), None);
    let lines = found.json_lines();
    assert_eq!(lines.len(), 1 + 2 * (15 + 8));
    assert_eq!(lines[0]["event"], "calibration");
    assert!(lines[0]["scaled"]["ece"].is_number() && lines[0]["aurc"].is_number());
    // The lowest bins are empty.
    assert!(lines[1]["accuracy"].is_null() && lines[1]["samples"] == 0);
    let html = found.html();
    assert_eq!(html.matches("<svg").count(), 3);
    let one = Judged {
        logits: &logits[..classes],
        classes,
        labels: &labels[..1],
    };
    let message = CalibrationReport::of(one, None, "test", 5).unwrap_err();
    assert!(message.to_string().contains("has 1 sample,"), "{message}");
}

#[test]
fn a_section_of_many_classes_is_bounded() {
    let labels: Vec<u32> = (0..3000).map(|i| i % 300).collect();
    let logits: Vec<f32> = (0..900_000_u64)
        .map(|i| ((i * 7919) % 1009) as f32 / 500.0)
        .collect();
    let html = calibration_section(&logits, 300, &labels).unwrap().html;
    assert!(html.len() < 10_000 && html.contains("15 bins"));
}

/// Logits of two classes whose second has this probability.
fn logits(probabilities: &[f64]) -> Vec<f32> {
    let each = probabilities
        .iter()
        .flat_map(|p| [0.0, (p / (1.0 - p)).ln() as f32]);
    each.collect()
}

/// By hand: 0.9 right, 0.91 wrong (both above 13/15, up to 14/15), 0.6 right, and 0.3, which is a confidence of 0.7 in the
/// first class, right.
#[test]
fn the_errors_are_those_of_the_bins() {
    let found = Calibration::of(&logits(&[0.9, 0.91, 0.6, 0.3]), 2, &[1, 0, 1, 0]);
    assert_eq!((found.samples(), found.accuracy()), (4, 0.75));
    let counts: Vec<usize> = found.bins.iter().map(|bin| bin.samples).collect();
    assert_eq!(counts, [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 0]);
    let wanted = ((1.0_f64 - 0.6) + (1.0 - 0.7) + (1.0 - 1.81_f64).abs()) / 4.0;
    let error = found.expected_error();
    assert!((error - wanted).abs() < 1e-6, "{error}");
    // In the last bin, one of two is right.
    let error = found.maximum_error();
    assert!((error - (1.81 - 1.0) / 2.0).abs() < 1e-6, "{error}");
    assert!((found.confidence() - (0.9 + 0.91 + 0.6 + 0.7) / 4.0).abs() < 1e-6);
}

#[test]
fn certainty_is_in_the_last_bin_and_what_is_not_finite_in_none() {
    let found = Calibration::of(&[0.0, 500.0, f32::NAN, 0.0], 2, &[1, 1]);
    assert_eq!((found.bins[BINS - 1].samples, found.samples()), (1, 1));
    assert_eq!(found.expected_error(), 0.0);
}
