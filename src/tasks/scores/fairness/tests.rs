//! Tests of how groups are compared.

use super::*;
use crate::data::{GroupColumn, RowSet, Targets, WindowRows};

fn texts(value: &Value) -> Vec<String> {
    let cells = value.as_array().unwrap().iter();
    cells
        .map(|cell| cell.as_str().unwrap().to_string())
        .collect()
}

/// Samples of these classes, with columns of groups.
fn samples(labels: Vec<u32>, columns: &[(&str, Vec<String>)]) -> Samples {
    let count = labels.len();
    let rows = RowSet {
        rows: WindowRows::Floats {
            values: vec![0.0; count],
            columns: 1,
        },
        starts: (0..count as u32).collect(),
        random_starts: false,
        length: 1,
        targets: Targets::Classes(labels),
    };
    let columns = columns.iter().map(|(name, cells)| {
        let cells = cells.iter().map(|cell| Some(cell.as_str()));
        GroupColumn::of(name, cells).unwrap()
    });
    Samples::from(rows).with_groups(columns.collect())
}

fn near(found: Option<f64>, wanted: &Value, what: &str) {
    let (found, wanted) = (found.unwrap(), wanted.as_f64().unwrap());
    assert!(
        (found - wanted).abs() < 1e-9,
        "{what}: {found}, not {wanted}"
    );
}

/// `tests/fixtures/make_fairness.py` recorded fairlearn's figures.
#[test]
fn figures_are_those_of_fairlearn() {
    let recorded = include_str!("../../../../tests/fixtures/fairness.json");
    let recorded: Value = serde_json::from_str(recorded).unwrap();
    let numbers = |key: &str| recorded[key].as_array().unwrap().iter();
    let labels: Vec<u32> = numbers("truth")
        .map(|x| x.as_u64().unwrap() as u32)
        .collect();
    let logits: Vec<f32> = numbers("odds")
        .flat_map(|x| [0.0, x.as_f64().unwrap() as f32])
        .collect();
    let columns = ["sex", "age"].map(String::from);
    let cells = columns
        .each_ref()
        .map(|name| (name.as_str(), texts(&recorded[name])));
    let samples = samples(labels.clone(), &cells);
    let decisions = Decisions {
        labels: &labels,
        decisions: &decided(&logits, 2),
        logits: &logits,
        classes: 2,
        positive: 1,
    };
    let found = Fairness::of(decisions, &samples, &columns, ("test", "yes"), 5).unwrap();
    let wanted = recorded["groupings"].as_array().unwrap();
    assert_eq!(found.groupings.len(), wanted.len());
    for (found, wanted) in found.groupings.iter().zip(wanted) {
        assert_eq!(found.columns, texts(&wanted["columns"]));
        let groups = wanted["groups"].as_array().unwrap();
        assert_eq!(found.groups.len(), groups.len());
        for (group, wanted) in found.groups.iter().zip(groups) {
            assert_eq!(group.values, texts(&wanted["values"]));
            assert_eq!(group.count as f64, wanted["count"].as_f64().unwrap());
            for rate in &group.rates {
                near(rate.value, &wanted[&rate.name], &rate.name);
                let [low, high] = rate.interval.unwrap();
                assert!(low <= high && rate.value.is_some_and(|v| low <= v && v <= high));
            }
            let error =
                (group.calibration_error - wanted["calibration_error"].as_f64().unwrap()).abs();
            assert!(error < 1e-6, "{error}");
        }
        for gap in &found.gaps {
            near(gap.value, &wanted[&gap.name], &gap.name);
        }
    }
    // The young ones are few.
    assert!(found.groupings[1].warnings[0].contains("the group young has"));
    let lines = found.json_lines();
    assert_eq!(lines.len(), 2 + 1 + 3 + 1 + 6 + 1);
    assert_eq!(
        (&lines[0]["event"], &lines[0]["group"]),
        (&json!("group"), &json!("f"))
    );
    let last = &lines[13];
    assert_eq!(last["event"], "fairness");
    near(
        last["equalized_odds_difference"].as_f64(),
        &wanted[2]["equalized_odds_difference"],
        "line",
    );
    assert_eq!(
        last["equalized_odds_difference_interval"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // What is kept for the model card is read as it was written.
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Fairness>(&text).unwrap(), found);
    assert_eq!(fairness_sections(&found).matches("<svg").count(), 3);
}

#[test]
fn a_group_that_no_sample_of_a_class_is_of_is_left_out_of_its_rate_with_a_warning() {
    let labels = vec![0, 1, 0, 0];
    let cells = ["a", "a", "b", "b"].map(String::from).to_vec();
    let samples = samples(labels.clone(), &[("of", cells)]);
    let decisions = Decisions {
        labels: &labels,
        decisions: &[0, 1, 0, 1],
        logits: &[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0],
        classes: 2,
        positive: 1,
    };
    let columns = ["of".to_string()];
    let found = Fairness::of(decisions, &samples, &columns, ("test", "yes"), 1).unwrap();
    let grouping = &found.groupings[0];
    assert_eq!(
        grouping.gap("equal_opportunity_difference").unwrap().value,
        None
    );
    assert_eq!(
        grouping.gap("equalized_odds_difference").unwrap().value,
        Some(0.5)
    );
    let warnings = grouping.warnings.join("\n");
    assert!(
        warnings.contains("no sample of the group b decides its true positive rate"),
        "{warnings}"
    );
    let other = ["age".to_string()];
    assert!(Fairness::of(decisions, &samples, &other, ("test", "yes"), 1).is_err());
}

#[test]
fn the_positive_class_is_the_second_of_two_or_named() {
    let classes = ["no", "yes", "perhaps"].map(String::from);
    assert_eq!(positive_class(None, &classes[..2]).unwrap(), 1);
    assert_eq!(positive_class(Some("no"), &classes).unwrap(), 0);
    let message = positive_class(None, &classes).unwrap_err().to_string();
    assert!(message.contains("name one with --positive"), "{message}");
    let message = positive_class(Some("yess"), &classes)
        .unwrap_err()
        .to_string();
    assert!(message.contains("did you mean `yes`?"), "{message}");
}
