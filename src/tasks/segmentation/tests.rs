//! Masks of known pictures, and what the task refuses.

use super::*;
use crate::cpu::interpret;
use crate::nn::Network;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

fn task(own: &str) -> Result<Segmentation> {
    Segmentation::new(&TaskSettings {
        own: toml::from_str(own).unwrap(),
        ..TaskSettings::default()
    })
}

/// Three pixels and two classes; the last pixel does not count.
const LOGITS_OF: [f32; 6] = [2.0, 0.0, -1.0, 0.5, 9.0, -9.0];
const WANTED_OF: [f32; 6] = [1.0, 0.0, 1.0, 0.0, 0.0, 0.0];

/// The outputs that `of` builds for `task` from these pixels.
fn computed(
    task: &Segmentation,
    of: impl for<'g> Fn(&PixelRows<'g>) -> Result<Vec<Var<'g>>>,
) -> Vec<Vec<f32>> {
    let builder = Builder::new();
    let ty = TensorType::f32([3, 2]);
    let rows = PixelRows {
        logits: builder.input("logits", ty.clone()),
        wanted: builder.input("wanted", ty),
    };
    for (at, value) in of(&rows).unwrap().into_iter().enumerate() {
        builder.output(&at.to_string(), value);
    }
    let graph = builder.finish().unwrap();
    let input = |name: &str, values: [f32; 6]| {
        let tensor = Tensor::real([3, 2], values.to_vec());
        (name.to_string(), Arc::new(tensor))
    };
    let inputs = HashMap::from([input("logits", LOGITS_OF), input("wanted", WANTED_OF)]);
    let variables = task.variables().unwrap().into_iter();
    let mut variables = variables
        .map(|(name, value)| (name, Arc::new(value)))
        .collect();
    let outputs = interpret(&graph, &mut variables, &inputs).unwrap();
    let values = outputs.iter().map(|output| output.reals().to_vec());
    values.collect()
}

fn loss(own: &str) -> f64 {
    let task = task(own).unwrap();
    let outputs = computed(&task, |rows| {
        let objective = task.objective(rows)?;
        Ok(vec![objective.sum, objective.weight.unwrap()])
    });
    f64::from(outputs[0][0]) / f64::from(outputs[1][0])
}

/// Both losses are computed by hand: p and q are the probabilities of the first class at the two pixels that count.
#[test]
fn losses_are_the_mean_over_the_pixels_that_count() {
    let (p, q) = (1.0 / (1.0 + (-2.0f64).exp()), 1.0 / (1.0 + 1.5f64.exp()));
    let cross_entropy = -(p.ln() + q.ln()) / 2.0;
    let first = (2.0 * (p + q) + 1.0) / ((p + q) + 2.0 + 1.0);
    let second = 1.0 / ((2.0 - p - q) + 1.0);
    let dice = 1.0 - (first + second) / 2.0;
    let weighted = 1.0 - (2.0 * first + 5.0 * second) / 7.0;
    for (own, wanted) in [
        ("", cross_entropy),
        // Both pixels are of the first class, so its weight is in every term.
        ("class_weights = [2, 5]", cross_entropy),
        ("loss = \"dice\"", dice),
        ("loss = \"dice\"\nclass_weights = [2, 5]", weighted),
        ("loss = \"cross_entropy+dice\"", cross_entropy + dice),
    ] {
        let given = loss(own);
        assert!(
            (given - wanted).abs() < 1e-6,
            "{own}: {given}, not {wanted}"
        );
    }
}

#[test]
fn weights_of_classes_that_can_not_be_are_refused() {
    for weights in ["[-1, 1]", "[0, 0]", "[1, 1e10]"] {
        let own = format!("class_weights = {weights}");
        let refused = task(&own).unwrap_err().to_string();
        assert!(refused.contains("task.class_weights"), "{refused}");
    }
}

#[test]
fn balanced_weights_are_numbers_before_a_step_is_taken() {
    let message = task("class_weights = \"balanced\"").unwrap().variables();
    let message = message.unwrap_err().to_string();
    assert!(
        message.contains("only computed when a run starts"),
        "{message}"
    );
    assert!(task("class_weights = \"even\"").is_err());
}

/// Pixels of two classes: the second weighs three times as much.
#[test]
fn heavier_classes_count_more() {
    let weighted = task("class_weights = [1, 3]").unwrap();
    let outputs = computed(&weighted, |rows| {
        // The second pixel is of the other class.
        let other = rows.wanted.slice_axis(0, 0..1)?;
        let turned = rows.wanted.builder().constant(1.0).sub(other)?;
        let none = rows.wanted.slice_axis(0, 2..3)?;
        let wanted = Var::concat(&[other, turned, none], 0)?;
        let rows = PixelRows {
            logits: rows.logits,
            wanted,
        };
        let objective = weighted.objective(&rows)?;
        Ok(vec![objective.sum, objective.weight.unwrap()])
    });
    let (p, q) = (1.0 / (1.0 + (-2.0f64).exp()), 1.0 / (1.0 + 1.5f64.exp()));
    let wanted = -(p.ln() + 3.0 * (1.0 - q).ln());
    assert!((f64::from(outputs[0][0]) - wanted).abs() < 1e-5);
    assert_eq!(outputs[1][0], 4.0);
}

#[test]
fn scores_count_each_class_and_leave_out_pixels_that_do_not_count() {
    let task = task("").unwrap();
    let counted = computed(&task, |rows| Ok(vec![task.counted(rows)?]));
    // The first pixel is predicted correctly; the second is predicted as the other class.
    assert_eq!(counted[0], [1.0, 0.0, 1.0, 1.0, 2.0, 0.0]);
    let tensor = Tensor::real([3, 2], counted[0].clone());
    let counters = Counters::new(1, BTreeMap::from([(PIXELS.to_string(), tensor)]));
    let scores = scores(&counters).unwrap();
    assert_eq!(scores.iou(0), Some(0.5));
    assert_eq!(scores.iou(1), Some(0.0));
    assert_eq!(scores.mean_iou(), Some(0.25));
    assert_eq!(scores.pixel_accuracy(), Some(0.5));
}

#[test]
fn the_largest_of_equal_logits_is_the_first_here_and_in_the_graph() {
    assert_eq!(
        predicted_classes(&[1.0, 1.0, 0.0, 2.0, 3.0, 3.0], 3),
        [0, 1]
    );
}

#[test]
fn invalid_settings_are_named() {
    for own in ["loss = \"focal\"", "dice = true"] {
        assert!(task(own).is_err(), "{own}");
    }
    let loss: Loss = toml::from_str("name = \"mse\"").unwrap();
    let settings = TaskSettings {
        loss,
        ..TaskSettings::default()
    };
    let message = Segmentation::new(&settings).unwrap_err().to_string();
    assert!(message.contains("[task]"), "{message}");
    let settings = TaskSettings {
        label_smoothing: 0.1,
        ..TaskSettings::default()
    };
    let message = Segmentation::new(&settings).unwrap_err().to_string();
    assert!(message.contains("label_smoothing"), "{message}");
}

#[test]
fn a_model_that_does_not_give_each_class_at_each_pixel_is_refused() {
    let case = sample().unwrap();
    let message = |layers: &str, augment: AugmentSettings| {
        let text = format!("name = \"m\"\ninput = [4, 4, 1]\nlayer = [{layers}]");
        let models = Models::one(Network::new(toml::from_str(&text).unwrap()).unwrap());
        let task = Segmentation {
            augment,
            ..task("").unwrap()
        };
        let fit = Fit {
            models: &models,
            samples: &case.samples,
            part: "training",
            classes: &case.fitted.classes,
            data: "tiny",
            normal: Normalization {
                mean: &case.fitted.mean,
                std: &case.fitted.std,
            },
        };
        task.check(&fit).map_err(|e| e.to_string())
    };
    let conv = |filters: usize, kernel: usize| {
        format!("{{ type = \"conv2d\", filters = {filters}, kernel = {kernel} }}")
    };
    let none = AugmentSettings::default;
    assert_eq!(message(&conv(2, 1), none()), Ok(()));
    let few = message(&conv(1, 1), none()).unwrap_err();
    assert!(
        few.contains("2 classes") && few.contains("filters = 2"),
        "{few}"
    );
    let small = message(&conv(2, 3), none()).unwrap_err();
    assert!(
        small.contains("[2, 2, 2]") && small.contains("[4, 4, 2]"),
        "{small}"
    );
    let mixed = AugmentSettings {
        mixup: 0.2,
        ..none()
    };
    let mixed = message(&conv(2, 1), mixed).unwrap_err();
    assert!(mixed.contains("mixup"), "{mixed}");
}
