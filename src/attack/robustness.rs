//! How accurate a classifier stays under attacks of several strengths.

use super::{Attack, AttackMethod, Victims, predictions};
use crate::data::Samples;
use crate::error::{Error, Result};
use crate::tasks::{ChangeNorm, scores::softmax};
use crate::train::ImageClassifier;
use serde_json::{Value, json};

/// Most misled images that are kept of each strength.
const MOST_KEPT: usize = 12;

/// What an attack did at one strength.
#[derive(Clone, Debug)]
pub struct Strength {
    /// The attack.
    pub attack: Attack,
    /// The bound of the change of an image.
    pub epsilon: f64,
    /// Share of images that are classified correctly as they are.
    pub clean_accuracy: f64,
    /// Share of images that are classified correctly as they are and when they are changed; with a target, that are not taken for it.
    pub robust_accuracy: f64,
    /// Number of images.
    pub samples: usize,
    /// Mean size of the changes that misled the classifier, in the norm of the attack; `None` if none did.
    pub mean_change: Option<f64>,
    /// The images that were misjudged with the most confidence.
    pub misled: Vec<Misled>,
}

/// An image that was changed so that it is misjudged.
#[derive(Clone, Debug)]
pub struct Misled {
    /// Its index among the samples.
    pub index: usize,
    /// Its class.
    pub label: u32,
    /// The class that it is taken for.
    pub predicted: u32,
    /// The probability of that class.
    pub confidence: f64,
    /// Its pixels from 0 to 1, before and after.
    pub pixels: [Vec<f32>; 2],
}

/// What an attack did, strength by strength.
#[derive(Clone, Debug)]
pub struct Robustness {
    /// Extents of an image.
    pub shape: [usize; 3],
    /// In the order of the bounds that were asked for.
    pub strengths: Vec<Strength>,
}

impl Strength {
    /// A line of JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "event": "attack",
            "attack": self.attack.method.name(),
            "norm": self.attack.norm.name(),
            "epsilon": self.epsilon,
            "steps": self.attack.steps,
            "restarts": self.attack.restarts,
            "target": self.attack.target,
            "clean_accuracy": self.clean_accuracy,
            "robust_accuracy": self.robust_accuracy,
            "mean_change": self.mean_change,
            "samples": self.samples,
        })
    }
}

impl Robustness {
    /// Attacks the first `most` of `samples` at each of the bounds `epsilons`; `found` is told of each as it is done.
    ///
    /// # Errors
    /// If the settings do not go together, an image can't be read, or the device failed.
    pub fn measure(
        classifier: &mut ImageClassifier<'_>,
        samples: &Samples,
        attack: &Attack,
        epsilons: &[f64],
        most: usize,
        mut found: impl FnMut(&Strength),
    ) -> Result<Robustness> {
        attack.check(epsilons, classifier.classes())?;
        let labels = samples.labels().ok_or_else(|| {
            Error::Data("the images have no classes, by which attacks are judged".to_string())
        })?;
        let count = samples.len().min(most);
        if count == 0 {
            return Err(Error::Data("there are no images to attack".to_string()));
        }
        let right = right(classifier, samples, &labels[..count])?;
        let mut prepared = None;
        let mut strengths = Vec::new();
        for &epsilon in epsilons {
            let mut strength = Strength {
                attack: attack.clone(),
                epsilon,
                clean_accuracy: right.len() as f64 / count as f64,
                robust_accuracy: 0.0,
                samples: count,
                mean_change: None,
                misled: Vec::new(),
            };
            if attack.method == AttackMethod::Fgsm {
                (strength.attack.steps, strength.attack.restarts) = (1, 1);
            }
            let (mut withstood, mut sizes) = (0, Vec::new());
            for indices in right.chunks(classifier.batch()) {
                let clean = pixels(samples, indices)?;
                let own: Vec<u32> = indices.iter().map(|&index| labels[index]).collect();
                let victims = Victims {
                    clean: &clean,
                    labels: &own,
                    indices,
                };
                let changed = attack.change(classifier, victims, epsilon, &mut prepared)?;
                let logits = classifier.logits(&changed)?;
                let each = classifier.pixels();
                let predicted = predictions(&logits, classifier.classes());
                for (place, &index) in indices.iter().enumerate() {
                    let (label, guess) = (own[place], predicted[place]);
                    let fell = match attack.target {
                        Some(target) => guess == target && target != label,
                        None => guess != label,
                    };
                    if !fell {
                        withstood += 1;
                        continue;
                    }
                    let of = |all: &[f32]| all[place * each..][..each].to_vec();
                    let pixels = [of(&clean), of(&changed)];
                    sizes.push(size(attack.norm, &pixels));
                    let row = &logits[place * classifier.classes()..][..classifier.classes()];
                    strength.misled.push(Misled {
                        index,
                        label,
                        predicted: guess,
                        confidence: softmax(row)[guess as usize],
                        pixels,
                    });
                }
                let misled = &mut strength.misled;
                misled.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
                misled.truncate(MOST_KEPT);
            }
            strength.robust_accuracy = withstood as f64 / count as f64;
            if !sizes.is_empty() {
                strength.mean_change = Some(sizes.iter().sum::<f64>() / sizes.len() as f64);
            }
            found(&strength);
            strengths.push(strength);
        }
        Ok(Robustness {
            shape: classifier.shape(),
            strengths,
        })
    }
}

/// The indices of the samples, one for each label, that are classified correctly as they are.
fn right(
    classifier: &mut ImageClassifier<'_>,
    samples: &Samples,
    labels: &[u32],
) -> Result<Vec<usize>> {
    let all: Vec<usize> = (0..labels.len()).collect();
    let mut right = Vec::new();
    for indices in all.chunks(classifier.batch()) {
        let logits = classifier.logits(&pixels(samples, indices)?)?;
        let predicted = predictions(&logits, classifier.classes());
        let each = indices.iter().zip(predicted);
        right.extend(
            each.filter(|&(&index, guess)| labels[index] == guess)
                .map(|(&index, _)| index),
        );
    }
    Ok(right)
}

/// The pixels of samples, from 0 to 1.
pub(super) fn pixels(samples: &Samples, indices: &[usize]) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    for &index in indices {
        let bytes = samples.picture(index)?;
        let bytes = bytes.ok_or_else(|| Error::Data("the samples are no images".to_string()))?;
        values.extend(bytes.iter().map(|&byte| f32::from(byte) / 255.0));
    }
    Ok(values)
}

/// The size of a change.
fn size(norm: ChangeNorm, [before, after]: &[Vec<f32>; 2]) -> f64 {
    let changes = before.iter().zip(after).map(|(a, b)| f64::from(b - a));
    match norm {
        ChangeNorm::Linf => changes.map(f64::abs).fold(0.0, f64::max),
        ChangeNorm::L2 => changes.map(|d| d * d).sum::<f64>().sqrt(),
    }
}
