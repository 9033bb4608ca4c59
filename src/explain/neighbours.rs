//! The training images that are most alike to a network: those whose features, what its last dense layer reads, have the largest cosine
//! with those of an image.

use super::Explainer;
use crate::data::Samples;
use crate::device::ProgramId;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::train::ImageClassifier;

const PIXELS: &str = "pixels";
const FEATURES: &str = "features";
/// The operation of dense layers.
const DENSE: &str = "matmul";
/// Most training images that are compared: of more, every n-th.
const MOST_COMPARED: usize = 100_000;

/// A training image.
#[derive(Clone, Debug)]
pub struct NearestImage {
    /// Its number in the training part.
    pub index: usize,
    /// Its class, if it has one.
    pub class: Option<u32>,
    /// The cosine of its features with those of the image, up to 1.
    pub similarity: f64,
    /// Pixels from 0 to 1.
    pub pixels: Vec<f32>,
}

impl Explainer<'_> {
    /// For each of `images`, pixels from 0 to 1, the `most` images of the training part `train` that are most alike to the network, those
    /// first.
    ///
    /// # Errors
    /// If the model has no dense layer, images have other extents, a file can't be read any more, or the device failed.
    pub fn nearest(
        &mut self,
        images: &[&[f32]],
        train: &Samples,
        most: usize,
    ) -> Result<Vec<Vec<NearestImage>>> {
        let own = self.classifier.shape();
        if train.picture_shape() != Some(own) {
            return Err(Error::Data(format!(
                "the training images are not {} x {} with {} channels, which the model takes, so that the nearest ones can't be found; leave \
                 them out with --nearest 0",
                own[0], own[1], own[2]
            )));
        }
        let classifier = &mut self.classifier;
        let (program, width) = features(classifier)?;
        let mut wanted = Vec::with_capacity(images.len());
        for some in images.chunks(classifier.batch().max(1)) {
            let found = directions(classifier, (program, width), &some.concat())?;
            wanted.extend(found);
        }
        let mut best: Vec<Vec<(f64, usize)>> = vec![Vec::new(); images.len()];
        let every = train.len().div_ceil(MOST_COMPARED).max(1);
        let compared: Vec<usize> = (0..train.len()).step_by(every).collect();
        for some in compared.chunks(classifier.batch().max(1)) {
            let mut pixels = Vec::new();
            for &index in some {
                pixels.extend(of_training(train, index)?);
            }
            let found = directions(classifier, (program, width), &pixels)?;
            for (index, features) in some.iter().zip(&found) {
                for (wanted, best) in wanted.iter().zip(&mut best) {
                    let products = features.iter().zip(wanted).map(|(a, b)| a * b);
                    keep(best, (products.sum(), *index), most);
                }
            }
        }
        let nearest = |(similarity, index): (f64, usize)| {
            Ok(NearestImage {
                index,
                class: train.labels().and_then(|labels| labels.get(index).copied()),
                similarity,
                pixels: of_training(train, index)?,
            })
        };
        best.into_iter()
            .map(|own| own.into_iter().map(nearest).collect())
            .collect()
    }
}

/// Adds `one` to the `most` largest that are known, those first; of equal ones the earlier image stays first.
fn keep(best: &mut Vec<(f64, usize)>, one: (f64, usize), most: usize) {
    let place = best.iter().position(|(known, _)| one.0 > *known);
    best.insert(place.unwrap_or(best.len()), one);
    best.truncate(most);
}

/// The pixels of a training image, from 0 to 1.
fn of_training(train: &Samples, index: usize) -> Result<Vec<f32>> {
    let bytes = train.picture(index)?.unwrap_or_default();
    Ok(bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect())
}

/// The features of at most a batch of images, each of length 1.
fn directions(
    classifier: &mut ImageClassifier<'_>,
    (program, width): (ProgramId, usize),
    pixels: &[f32],
) -> Result<Vec<Vec<f64>>> {
    let (shape, images) = (classifier.shape(), pixels.len() / classifier.pixels());
    classifier.feed(program, PIXELS, pixels, &shape)?;
    classifier.run(program, 1, &[])?;
    let found = classifier.output(program, FEATURES, images * width)?;
    let direction = |row: &[f32]| -> Vec<f64> {
        let squares = row.iter().map(|x| f64::from(*x).powi(2));
        let length = squares.sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        row.iter().map(|x| f64::from(*x) / length).collect()
    };
    Ok(found.chunks_exact(width.max(1)).map(direction).collect())
}

/// Prepares what the last dense layer reads, with its width.
fn features(classifier: &mut ImageClassifier<'_>) -> Result<(ProgramId, usize)> {
    let mut width = 0;
    let program = classifier.prepare(&[FEATURES], |graph| {
        let builder = graph.builder();
        let pixels = builder.input(PIXELS, graph.ty());
        let logits = graph.logits(pixels)?.id();
        let node = builder.with_graph(|graph| last_dense(graph, logits));
        let features = node.map(|node| builder.var(node));
        let features = features.filter(|features| features.shape().rank() == 2);
        let features = features.ok_or_else(|| {
            Error::Config(
                "the model does not end in a dense layer, by whose features the nearest training images are found; leave them out with \
                 --nearest 0"
                    .to_string(),
            )
        })?;
        width = features.shape().last();
        builder.output(FEATURES, features);
        Ok(())
    })?;
    Ok((program, width))
}

/// What the last dense layer before `node` reads.
fn last_dense(graph: &Graph, mut node: NodeId) -> Option<NodeId> {
    loop {
        let own = graph.node(node);
        let first = own.inputs.first().copied()?;
        if own.op().is_some_and(|op| op.name() == DENSE) {
            return Some(first);
        }
        node = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_in_order_and_the_earlier_of_equal_ones_first() {
        let mut best = Vec::new();
        for one in [(0.5, 0), (0.9, 1), (0.5, 2), (0.7, 3), (0.9, 4)] {
            keep(&mut best, one, 3);
        }
        assert_eq!(best, [(0.9, 1), (0.9, 4), (0.7, 3)]);
    }
}
