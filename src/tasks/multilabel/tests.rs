//! Tests of labels of which a sample may have several.

use super::*;
use crate::cpu::{Tensor, interpret};
use crate::data::Batch;
use crate::graph::Builder;
use crate::nn::Forward;
use crate::tasks::Models;
use crate::tensor::TensorType;
use std::collections::HashMap;

fn numbers(value: &Value) -> Vec<f64> {
    let rows = value.as_array().unwrap().iter();
    let all = rows.flat_map(|row| row.as_array().unwrap());
    all.map(|x| x.as_f64().unwrap()).collect()
}

/// Of three of four samples; one label of the second is not known. `tests/fixtures/make_multilabel.py` recorded PyTorch's.
#[test]
fn the_loss_and_its_gradient_are_those_of_pytorch() {
    let recorded = include_str!("../../../tests/fixtures/multilabel.json");
    let recorded: Value = serde_json::from_str(recorded).unwrap();
    for key in ["loss", "weighted_loss"] {
        let wanted = &recorded[key];
        let pos_weight = wanted["pos_weight"].as_f64().unwrap();
        let task = Multilabel::new(&TaskSettings {
            loss: Loss::Bce(Bce { pos_weight }),
            ..TaskSettings::default()
        });
        let builder = Builder::new();
        let fields = [(field::LABELS.to_string(), TensorType::f32([4, 2]))];
        let models = Models::named(Vec::new());
        let forward = Forward::evaluation(&builder);
        let step = StepGraph::new(Batch::fed(&builder, 4, fields), forward, &models);
        let z = builder.variable("z", TensorType::f32([4, 2])).unwrap();
        let objective = task.unwrap().objective(&step, z).unwrap();
        let mean = objective.mean(builder.constant(1.0 / 3.0)).unwrap();
        builder.output("mean", mean);
        let gradient = crate::autodiff::gradients(mean, &[z]).unwrap()[0];
        builder.output("gradient", gradient);
        let graph = builder.finish().unwrap();
        let logits = vec![0.5, -1.25, 3.0, 0.75, -2.0, 1.5, 9.0, 9.0];
        let truth = vec![1.0, 0.0, 1.0, -1.0, 0.0, 1.0, 0.0, 0.0];
        let mut variables = HashMap::from([
            (
                "z".to_string(),
                Arc::new(Tensor::<f64>::real([4, 2], logits)),
            ),
            (
                "metrics:score".to_string(),
                Arc::new(Tensor::real([], vec![0.0])),
            ),
        ]);
        let inputs = HashMap::from([
            (
                field::LABELS.to_string(),
                Arc::new(Tensor::real([4, 2], truth)),
            ),
            ("valid".to_string(), Arc::new(Tensor::index([], vec![3]))),
        ]);
        let outputs = interpret(&graph, &mut variables, &inputs).unwrap();
        let near =
            |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        near(outputs[0].reals()[0], wanted["value"].as_f64().unwrap());
        let gradient = outputs[1].reals();
        for (found, wanted) in gradient.iter().zip(numbers(&wanted["gradient"])) {
            near(*found, wanted);
        }
        assert_eq!(gradient[6..], [0.0, 0.0]);
        // Of the first and the third sample all labels are right, and of the second all that are known.
        assert_eq!(variables["metrics:score"].reals(), [3.0]);
    }
}

#[test]
fn what_is_for_one_class_is_refused() {
    let message = |settings: TaskSettings| Multilabel::new(&settings).unwrap_err().to_string();
    let loss = Loss::named("cross_entropy").unwrap();
    let found = message(TaskSettings {
        loss,
        ..TaskSettings::default()
    });
    assert!(found.contains("is \"bce\""), "{found}");
    let found = message(TaskSettings {
        label_smoothing: 0.1,
        ..TaskSettings::default()
    });
    assert!(
        found.contains("label_smoothing is for one class"),
        "{found}"
    );
    let augment = AugmentSettings {
        mixup: 0.2,
        ..AugmentSettings::default()
    };
    let found = message(TaskSettings {
        augment,
        ..TaskSettings::default()
    });
    assert!(found.contains("augment.mixup"), "{found}");
}

#[test]
fn likely_labels_are_listed_and_none_is_said() {
    let task = Multilabel::new(&TaskSettings::default()).unwrap();
    let case = sample().unwrap();
    let decoded = |logits: [f32; 3]| {
        let outputs = [(LOGITS.to_string(), vec![3], logits.to_vec())];
        let sample = Decoded {
            outputs: &outputs,
            samples: &case.samples,
            index: 5,
            picture: None,
            fitted: &case.fitted,
            data: &case.data,
            top: 3,
            out_named: false,
        };
        let prediction = task.decode(&sample).unwrap();
        (prediction.lines[0].clone(), task.known(&sample)[0].clone())
    };
    let (line, known) = decoded([1.0, -1.0, 3.0]);
    assert_eq!(line.shown(1), "c 95.3%, a 73.1%");
    assert_eq!(line.json["labels"], json!(["c", "a"]));
    assert!(
        (line.json["probabilities"]["b"].as_f64().unwrap() - 0.268_941_421_369_995_1).abs() < 1e-12
    );
    // The second label of this sample is not known.
    assert_eq!(
        (&*known.text, &known.json["target"]),
        ("target a, c", &json!(["a", "c"]))
    );
    assert_eq!(decoded([-1.0, 0.0, -2.0]).0.shown(3), "no label");
}
