//! Projected gradient ascent, and its single step, on the device.

use super::{Attack, AttackMethod, Victims, predictions};
use crate::device::ProgramId;
use crate::error::Result;
use crate::plan::Scalar;
use crate::random::{Purpose, Stream};
use crate::tasks::{ChangeBound, ChangeNorm};
use crate::tensor::TensorType;
use crate::train::ImageClassifier;

/// The variable of the pixels as they are changed.
const CURRENT: &str = "attack:current";
const CLEAN: &str = "clean";
const WEIGHTS: &str = "weights";
const EPSILON: &str = "epsilon";
const STEP: &str = "step_size";

/// Steps that raise the sum of the weighted log-probabilities of classes.
pub(crate) struct Ascent {
    program: ProgramId,
    norm: ChangeNorm,
}

impl Ascent {
    /// Prepares the steps.
    ///
    /// # Errors
    /// If device memory is too small.
    pub fn new(classifier: &mut ImageClassifier<'_>, norm: ChangeNorm) -> Result<Ascent> {
        classifier.set(CURRENT, &[])?;
        let program = classifier.prepare(&[], |graph| {
            let builder = graph.builder();
            let scalar = |name| builder.input(name, TensorType::f32([]));
            let bound = ChangeBound {
                norm,
                epsilon: scalar(EPSILON),
                step: scalar(STEP),
            };
            let clean = builder.input(CLEAN, graph.ty());
            let current = builder.variable(CURRENT, graph.ty())?;
            let logits = graph.logits(current)?;
            let weights = builder.input(WEIGHTS, logits.ty());
            let raised = logits.log_softmax()?.mul(weights)?.sum_all()?;
            let gradient = crate::autodiff::gradients(raised, &[current])?[0];
            builder.update(current, bound.ascend(current, clean, gradient)?)
        })?;
        Ok(Ascent { program, norm })
    }

    /// Images changed by `attack`: of several starts, the first one that misleads the classifier, or else the last.
    ///
    /// # Errors
    /// If the device failed.
    pub fn change(
        &self,
        classifier: &mut ImageClassifier<'_>,
        attack: &Attack,
        victims: Victims<'_>,
        epsilon: f64,
    ) -> Result<Vec<f32>> {
        let (classes, pixels) = (classifier.classes(), classifier.pixels());
        let images = victims.labels.len();
        let weights = self.weights(classifier, attack.target, victims);
        let (starts, steps, step) = match attack.method {
            AttackMethod::Fgsm => (1, 1, epsilon),
            _ => {
                let size = attack.step_size;
                let size = size.unwrap_or(2.5 * epsilon / attack.steps as f64);
                (attack.restarts, attack.steps, size)
            }
        };
        let mut changed = victims.clean.to_vec();
        let mut misled = vec![false; images];
        for start in 0..starts {
            let begun = match attack.method {
                AttackMethod::Fgsm => victims.clean.to_vec(),
                _ => self.start(attack.seed, start, victims, epsilon, pixels),
            };
            let sizes = [epsilon, step];
            let found = self.ascended(classifier, victims, &weights, &begun, steps, sizes)?;
            let predicted = predictions(&classifier.logits(&found)?, classes);
            for (image, done) in misled.iter_mut().enumerate() {
                if !*done {
                    let own = image * pixels..(image + 1) * pixels;
                    changed[own.clone()].copy_from_slice(&found[own]);
                    *done = match attack.target {
                        Some(target) => predicted[image] == target,
                        None => predicted[image] != victims.labels[image],
                    };
                }
            }
            if misled.iter().all(|&done| done) {
                break;
            }
        }
        Ok(changed)
    }

    /// The weights of the log-probabilities that an attack raises, `[images, classes]`.
    pub(super) fn weights(
        &self,
        classifier: &ImageClassifier<'_>,
        target: Option<u32>,
        victims: Victims<'_>,
    ) -> Vec<f32> {
        let classes = classifier.classes();
        let mut weights = vec![0.0; victims.labels.len() * classes];
        for (row, &label) in weights.chunks_exact_mut(classes).zip(victims.labels) {
            match target {
                // An image of the target class already is what the attack wants.
                Some(target) if target != label => row[target as usize] = 1.0,
                Some(_) => {}
                None => row[label as usize] = -1.0,
            }
        }
        weights
    }

    /// The images after `steps` steps from `start`, of this bound and this length of a step.
    ///
    /// # Errors
    /// If the device failed.
    pub(super) fn ascended(
        &self,
        classifier: &mut ImageClassifier<'_>,
        victims: Victims<'_>,
        weights: &[f32],
        start: &[f32],
        steps: usize,
        [epsilon, step]: [f64; 2],
    ) -> Result<Vec<f32>> {
        let (shape, classes) = (classifier.shape(), classifier.classes());
        classifier.feed(self.program, CLEAN, victims.clean, &shape)?;
        classifier.feed(self.program, WEIGHTS, weights, &[classes])?;
        classifier.set(CURRENT, start)?;
        let scalars = [
            (EPSILON, Scalar::F32(epsilon as f32)),
            (STEP, Scalar::F32(step as f32)),
        ];
        classifier.run(self.program, steps, &scalars)?;
        let mut found = classifier.get(CURRENT)?;
        found.truncate(start.len());
        Ok(found)
    }

    /// A random start for each image: uniform in the cube of `linf`, and in a random direction at a uniform distance for `l2`.
    fn start(
        &self,
        seed: u64,
        start: usize,
        victims: Victims<'_>,
        epsilon: f64,
        pixels: usize,
    ) -> Vec<f32> {
        let epsilon = epsilon as f32;
        let images = victims.clean.chunks_exact(pixels).zip(victims.indices);
        let begun = images.flat_map(|(clean, &index)| {
            // The starts of an image are far apart in its stream: 2^32 blocks.
            let stream = Purpose::Attack.stream(index as u32);
            let mut stream = Stream::at(seed, stream, (start as u64) << 32);
            let mut change: Vec<f32> = match self.norm {
                ChangeNorm::Linf => (0..pixels).map(|_| stream.range(-1.0, 1.0)).collect(),
                ChangeNorm::L2 => (0..pixels).map(|_| stream.normal()).collect(),
            };
            if self.norm == ChangeNorm::L2 {
                let length = change.iter().map(|x| x * x).sum::<f32>().sqrt();
                let scale = stream.unit() / length.max(f32::MIN_POSITIVE);
                change.iter_mut().for_each(|x| *x *= scale);
            }
            let begun = clean.iter().zip(change);
            begun.map(move |(x, d)| (x + epsilon * d).clamp(0.0, 1.0))
        });
        begun.collect()
    }
}
