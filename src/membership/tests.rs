//! Tests of the attacks: figures recorded by scikit-learn and SciPy, and confidences of which the answer is known.

use super::confidence::{confidence, loss};
use super::*;
use crate::data::{ImageSet, Samples};
use crate::random::Stream;
use crate::tasks::scores::{cross_entropy, softmax};
use serde_json::Value;

/// `tests/fixtures/make_membership.py` wrote it.
fn recorded(key: &str) -> Vec<Value> {
    let text = include_str!("../../tests/fixtures/membership.json");
    let all: Value = serde_json::from_str(text).unwrap();
    all[key].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

fn near(found: f64, wanted: f64) {
    let bound = 1e-9 * wanted.abs().max(1.0);
    assert!((found - wanted).abs() < bound, "{found}, not {wanted}");
}

/// The first half of `values` as those of members.
fn halved(values: &[f64]) -> MembershipScores {
    let (members, others) = values.split_at(values.len() / 2);
    MembershipScores {
        members: members.to_vec(),
        others: others.to_vec(),
    }
}

#[test]
fn figures_of_curves_are_those_of_scikit_learn() {
    for case in recorded("curves") {
        let scores = MembershipScores {
            members: numbers(&case["members"]),
            others: numbers(&case["others"]),
        };
        let curve = MembershipCurve::of(&scores);
        near(curve.area(), case["area"].as_f64().unwrap());
        near(curve.accuracy(), case["accuracy"].as_f64().unwrap());
        for rate in case["rates"].as_array().unwrap() {
            let rate = numbers(rate);
            near(curve.true_positive_rate(rate[0]), rate[1]);
        }
        let points = curve.points();
        assert_eq!(points.first(), Some(&(0.0, 0.0)));
        assert_eq!(points.last(), Some(&(1.0, 1.0)));
    }
}

#[test]
fn intervals_of_the_area_are_as_wide_as_its_standard_error_says() {
    let mut stream = Stream::new(3, 0);
    let mut drawn = |shift: f32| -> Vec<f64> {
        let draw = |_| f64::from(stream.normal() + shift);
        (0..500).map(draw).collect()
    };
    let scores = MembershipScores {
        members: drawn(0.5),
        others: drawn(0.0),
    };
    let curve = MembershipCurve::of(&scores);
    let [low, high] = curve.interval(7).unwrap();
    let area = curve.area();
    // Hanley and McNeil 1982: the standard error of an area of a logistic distribution.
    let (first, second) = (area / (2.0 - area), 2.0 * area * area / (1.0 + area));
    let rest = 499.0 * (first + second - 2.0 * area * area);
    let error = ((area * (1.0 - area) + rest) / 250_000.0).sqrt();
    assert!(low < area && area < high);
    let ratio = (high - low) / (2.0 * 1.96 * error);
    assert!((0.9..1.1).contains(&ratio), "{ratio}");
    assert_eq!(curve.interval(7), Some([low, high]));
}

#[test]
fn ratios_are_those_of_scipy() {
    for case in recorded("ratios") {
        let target = halved(&numbers(&case["target"]));
        let count = target.members.len();
        let mut ratios = LikelihoodRatios::new(count, count);
        let shadows = case["confidences"].as_array().unwrap().iter();
        for (own, kept) in shadows.zip(case["trained_on"].as_array().unwrap()) {
            let kept: Vec<bool> = numbers(kept).iter().map(|&is| is == 1.0).collect();
            ratios.add(&ShadowScores {
                confidences: halved(&numbers(own)),
                trained_on: [kept[..count].to_vec(), kept[count..].to_vec()],
            });
        }
        let found = ratios.scores(&target);
        let found = found.members.iter().chain(&found.others);
        for (&found, wanted) in found.zip(numbers(&case["ratios"])) {
            near(found, wanted);
        }
    }
}

/// Training on a sample raises the confidence by its standard deviation, whatever the sample; samples differ by far more. The best
/// attack then has the area P(x < 1 / sqrt(2)) for a normal x, which is 0.7602, and a threshold of the loss P(x < 1 / sqrt(20)), 0.5885.
#[test]
fn shadow_runs_find_what_a_common_threshold_misses() {
    let count = 4000;
    let mut stream = Stream::new(11, 0);
    let mut normal = || f64::from(stream.normal());
    let hardness: Vec<f64> = (0..2 * count).map(|_| 3.0 * normal()).collect();
    let mut judged = |trained_on: &[bool]| {
        let values = hardness.iter().zip(trained_on);
        let values = values.map(|(hard, &is_in)| hard + f64::from(u8::from(is_in)) + normal());
        halved(&values.collect::<Vec<f64>>())
    };
    let members: Vec<bool> = (0..2 * count).map(|at| at < count).collect();
    let target = judged(&members);
    let mut ratios = LikelihoodRatios::new(count, count);
    for number in 0..48_usize {
        let kept: Vec<bool> = (0..2 * count)
            .map(|at| (at / 2 + number / 2) % 2 == number % 2)
            .collect();
        ratios.add(&ShadowScores {
            confidences: judged(&kept),
            trained_on: [kept[..count].to_vec(), kept[count..].to_vec()],
        });
    }
    let lira = ratios.finding("run", &target, 1);
    let threshold = by_loss("run", target, 1);
    assert!((lira.auc - 0.7602).abs() < 0.015, "{}", lira.auc);
    assert!((threshold.auc - 0.5885).abs() < 0.015, "{}", threshold.auc);
    assert!(lira.tpr_at_1_percent > 2.0 * threshold.tpr_at_1_percent);
    assert_eq!((lira.shadows, threshold.shadows), (48, 0));
    let line = lira.to_json();
    assert_eq!(
        (&line["event"], &line["attack"]),
        (&"membership".into(), &"lira".into())
    );
    let page = membership_page("<a>", &[threshold, lira]);
    assert!(page.contains("ROC curves") && !page.contains("<a>"));
    assert!(page.len() < 200_000, "{}", page.len());
}

#[test]
fn shadow_runs_that_agree_exactly_give_finite_ratios() {
    let confidences = halved(&[1.0, 2.0, -1.0, 0.5]);
    let mut ratios = LikelihoodRatios::new(2, 2);
    for number in 0..4 {
        let is_in = |at: usize| at % 2 == number % 2;
        ratios.add(&ShadowScores {
            confidences: confidences.clone(),
            trained_on: [[0, 1].map(is_in).to_vec(), [0, 1].map(is_in).to_vec()],
        });
    }
    let scores = ratios.scores(&confidences);
    assert_eq!(scores, halved(&[0.0; 4]));
    assert_eq!(MembershipCurve::of(&scores).area(), 0.5);
}

#[test]
fn confidences_and_losses_are_those_of_the_probabilities() {
    let logits = [1.0, -2.0, 0.5];
    for (label, p) in softmax(&logits).into_iter().enumerate() {
        let found = confidence(&logits, label).unwrap();
        near(found, (p / (1.0 - p)).ln());
        near(loss(found), cross_entropy(&logits, label));
    }
    // Also where the probability is 1 or 0 in any float.
    assert_eq!(confidence(&[900.0, 0.0], 0), Some(900.0));
    assert_eq!(loss(-900.0), 900.0);
    assert_eq!(loss(900.0), 0.0);
    assert_eq!(confidence(&logits, 3), None);
}

fn images(count: usize) -> Samples {
    ImageSet {
        images: (0..count).map(|at| at as u8).collect(),
        labels: vec![0; count],
        height: 1,
        width: 1,
        channels: 1,
    }
    .into()
}

#[test]
fn every_sample_is_in_the_training_data_of_half_of_the_shadow_runs() {
    let pool = MembershipPool::draw(&images(40), &images(25), 30, 5).unwrap();
    assert_eq!((pool.count(), pool.others.len()), (25, 25));
    let mut times = [vec![0; 25], vec![0; 25]];
    for number in 0..6 {
        let halves = pool.halves(number).unwrap();
        assert_eq!((halves.train.len(), halves.rest.len()), (25, 25));
        let trained_on = halves.trained_on.iter().zip(&mut times);
        for (is_in, times) in trained_on.flat_map(|(is_in, times)| is_in.iter().zip(times)) {
            *times += usize::from(*is_in);
        }
    }
    assert_eq!(times, [vec![3; 25], vec![3; 25]]);
    assert_ne!(pool.trained_on(0), pool.trained_on(2));
    assert_eq!(pool.trained_on(1), pool.trained_on(1));
    // The chosen samples are some of each part, in order, and the same ones every time.
    let again = MembershipPool::draw(&images(40), &images(25), 30, 5).unwrap();
    assert_eq!(again.members, pool.members);
    let bytes = pool.members.pictures().unwrap().bytes.to_vec();
    assert!(bytes.is_sorted() && bytes.last() > Some(&25));
    assert_eq!(pool.others, images(25));
}

#[test]
fn what_says_nothing_is_refused() {
    let refused = |train: usize, test: usize, most: usize| {
        let drawn = MembershipPool::draw(&images(train), &images(test), most, 1);
        drawn.unwrap_err().to_string()
    };
    assert!(refused(40, 9, 30).contains("40 training and 9 test images"));
    assert!(refused(40, 40, 9).contains("--samples must be at least 10"));
    for shadows in [0, 1, 2, 7] {
        let message = LikelihoodRatios::check_shadows(shadows).unwrap_err();
        assert!(message.to_string().contains("an even number of at least 4"));
    }
    assert!(LikelihoodRatios::check_shadows(4).is_ok());
}
