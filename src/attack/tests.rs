use super::pgd::Ascent;
use super::*;
use crate::cpu::Tensor;
use crate::data::{Field, FieldValues, Normalization, Samples, field};
use crate::device::Engine;
use crate::nn::{ModelSpec, Network};
use crate::tasks::{Models, TaskSettings, named};
use crate::toml_text::parse;
use serde::Deserialize;

/// What torchattacks made of the same images (tests/fixtures/make_attacks.py).
#[derive(Deserialize)]
struct Recorded {
    hidden: Vec<Vec<f32>>,
    hidden_bias: Vec<f32>,
    last: Vec<Vec<f32>>,
    last_bias: Vec<f32>,
    bytes: Vec<u8>,
    labels: Vec<u32>,
    logits: Vec<Vec<f32>>,
    fgsm: Vec<Vec<f32>>,
    linf: Vec<Vec<f32>>,
    l2: Vec<Vec<f32>>,
    deepfool_lengths: Vec<f32>,
}

const MODEL: &str = r#"
    name = "tiny"
    input = [6, 6, 1]
    layer = [
        { type = "flatten" },
        { name = "hidden", type = "dense", units = 20, activation = "tanh" },
        { name = "last", type = "dense", units = 3 },
    ]
"#;

fn recorded() -> Recorded {
    serde_json::from_str(include_str!("../../tests/fixtures/attacks.json")).unwrap()
}

fn classifier(recorded: &Recorded) -> ImageClassifier<'static> {
    let spec: ModelSpec = parse(MODEL, "the model").unwrap();
    let models = Models::one(Network::new(spec).unwrap());
    let task = (named("classification").unwrap().make)(&TaskSettings::default()).unwrap();
    let matrix = |rows: &[Vec<f32>]| Tensor::real([rows.len(), rows[0].len()], rows.concat());
    let row = |values: &[f32]| Tensor::real([values.len()], values.to_vec());
    let values = [
        matrix(&recorded.hidden),
        row(&recorded.hidden_bias),
        matrix(&recorded.last),
        row(&recorded.last_bias),
    ];
    let normal = Normalization {
        mean: &[0.5],
        std: &[0.25],
    };
    ImageClassifier::new(
        Engine::Cpu.device(),
        task.into(),
        models,
        &values,
        normal,
        8,
    )
    .unwrap()
}

fn clean(recorded: &Recorded) -> Vec<f32> {
    recorded
        .bytes
        .iter()
        .map(|&byte| f32::from(byte) / 255.0)
        .collect()
}

fn attack(method: AttackMethod, norm: ChangeNorm) -> Attack {
    Attack {
        method,
        norm,
        steps: method.default_steps(),
        step_size: None,
        restarts: 1,
        target: None,
        seed: 1,
    }
}

fn assert_near(found: &[f32], expected: &[Vec<f32>], most: f32) {
    let expected = expected.concat();
    assert_eq!(found.len(), expected.len());
    for (at, (a, b)) in found.iter().zip(&expected).enumerate() {
        assert!((a - b).abs() <= most, "{at}: {a} and {b}");
    }
}

#[test]
fn logits_and_steps_are_those_of_torchattacks() {
    let recorded = recorded();
    let (mut own, clean) = (classifier(&recorded), clean(&recorded));
    assert_near(&own.logits(&clean).unwrap(), &recorded.logits, 1e-5);
    let indices: Vec<usize> = (0..8).collect();
    let victims = Victims {
        clean: &clean,
        labels: &recorded.labels,
        indices: &indices,
    };
    let fgsm = attack(AttackMethod::Fgsm, ChangeNorm::Linf);
    let found = fgsm.change(&mut own, victims, 0.1, &mut None).unwrap();
    assert_near(&found, &recorded.fgsm, 1e-6);
    for (norm, epsilon, step, expected) in [
        (ChangeNorm::Linf, 0.1, 0.03, &recorded.linf),
        (ChangeNorm::L2, 0.6, 0.2, &recorded.l2),
    ] {
        let ascent = Ascent::new(&mut own, norm).unwrap();
        let weights = ascent.weights(&own, None, victims);
        let found = ascent
            .ascended(&mut own, victims, &weights, &clean, 6, [epsilon, step])
            .unwrap();
        assert_near(&found, expected, 2e-5);
    }
}

#[test]
fn deepfool_finds_changes_as_small_as_those_of_torchattacks() {
    let recorded = recorded();
    let (mut own, clean) = (classifier(&recorded), clean(&recorded));
    let indices: Vec<usize> = (0..8).collect();
    let victims = Victims {
        clean: &clean,
        labels: &recorded.labels,
        indices: &indices,
    };
    let attack = attack(AttackMethod::DeepFool, ChangeNorm::L2);
    let found = attack.change(&mut own, victims, 100.0, &mut None).unwrap();
    let predicted = predictions(&own.logits(&found).unwrap(), 3);
    for (image, (guess, label)) in predicted.iter().zip(&recorded.labels).enumerate() {
        assert_ne!(guess, label, "image {image}");
        let pairs = found[image * 36..][..36]
            .iter()
            .zip(&clean[image * 36..][..36]);
        let length = pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
        let expected = recorded.deepfool_lengths[image];
        // That of torchattacks adds nothing to the distance and multiplies each step by 1.02, not their sum.
        assert!(
            (length - expected).abs() < 0.05 * expected + 1e-3,
            "{length} and {expected}"
        );
    }
}

fn samples(recorded: &Recorded) -> Samples {
    let fields = vec![
        Field {
            name: field::IMAGE,
            values: FieldValues::Pixels {
                bytes: recorded.bytes.clone(),
                shape: [6, 6, 1],
            },
        },
        Field {
            name: field::LABEL,
            values: FieldValues::Labels(recorded.labels.clone()),
        },
    ];
    Samples::new(8, fields, None)
}

#[test]
fn stronger_attacks_leave_less_accuracy_and_stay_within_their_bound() {
    let recorded = recorded();
    let (mut own, samples) = (classifier(&recorded), samples(&recorded));
    for (method, norm, epsilons) in [
        (AttackMethod::Fgsm, ChangeNorm::Linf, [0.005, 0.5]),
        (AttackMethod::Pgd, ChangeNorm::Linf, [0.005, 0.5]),
        (AttackMethod::Pgd, ChangeNorm::L2, [0.01, 3.0]),
        (AttackMethod::DeepFool, ChangeNorm::L2, [0.01, 3.0]),
        (AttackMethod::Square, ChangeNorm::Linf, [0.005, 0.5]),
    ] {
        let mut attack = attack(method, norm);
        attack.steps = attack.steps.min(100);
        let found =
            Robustness::measure(&mut own, &samples, &attack, &epsilons, 100, |_| {}).unwrap();
        let [weak, strong] = &found.strengths[..] else {
            panic!("two strengths")
        };
        assert_eq!((weak.samples, weak.clean_accuracy), (8, 1.0));
        assert!(weak.robust_accuracy > strong.robust_accuracy, "{method:?}");
        assert!(
            strong.robust_accuracy < 0.3,
            "{method:?}: {}",
            strong.robust_accuracy
        );
        assert!(strong.mean_change.unwrap() <= epsilons[1] + 1e-5);
        for misled in &strong.misled {
            assert!(misled.pixels[1].iter().all(|x| (0.0..=1.0).contains(x)));
            assert_ne!(misled.predicted, misled.label);
        }
        let page = found
            .page("tiny", &["a".into(), "<b>".into(), "c".into()])
            .unwrap();
        assert!(page.contains("Misjudged at") && !page.contains("<b>:"));
    }
}

#[test]
fn a_target_is_what_images_are_taken_for() {
    let recorded = recorded();
    let (mut own, samples) = (classifier(&recorded), samples(&recorded));
    let mut attack = attack(AttackMethod::Pgd, ChangeNorm::Linf);
    attack.target = Some(0);
    let found = Robustness::measure(&mut own, &samples, &attack, &[0.5], 8, |_| {}).unwrap();
    let misled = &found.strengths[0].misled;
    assert!(!misled.is_empty());
    assert!(
        misled
            .iter()
            .all(|misled| misled.predicted == 0 && misled.label != 0)
    );
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let bad = |change: fn(&mut Attack), epsilon: f64| {
        let mut attack = attack(AttackMethod::Pgd, ChangeNorm::Linf);
        change(&mut attack);
        assert!(attack.check(&[epsilon], 3).is_err());
    };
    bad(|_| {}, 0.0);
    bad(|_| {}, f64::INFINITY);
    bad(|_| {}, f64::NAN);
    bad(|_| {}, 8.0);
    bad(|attack| attack.steps = 0, 0.1);
    bad(|attack| attack.restarts = 0, 0.1);
    bad(|attack| attack.step_size = Some(0.0), 0.1);
    bad(|attack| attack.target = Some(3), 0.1);
    bad(|attack| attack.method = AttackMethod::DeepFool, 0.1);
    bad(
        |attack| (attack.method, attack.norm) = (AttackMethod::Square, ChangeNorm::L2),
        0.1,
    );
}
