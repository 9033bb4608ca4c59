//! Scores of whole images whose tiles are samples: each pixel counts once, with the class that the blended logits of its tiles give.

use super::{LOGITS, PIXELS, TRUTH, predicted_classes};
use crate::cpu::Tensor;
use crate::data::{Mosaic, Samples};
use crate::error::{Error, Result};
use crate::tasks::Scorer;

/// Counts the pixels of images, whose tiles it is given one after another.
#[derive(Default)]
pub(super) struct WholeScorer {
    /// The image whose tiles are being put together.
    image: Option<Image>,
    /// For each class, the numbers of pixels correctly predicted as it, predicted as it, and belonging to it.
    counts: Vec<[u64; 3]>,
}

struct Image {
    /// Its number.
    index: usize,
    logits: Mosaic,
    /// The class of each pixel; those that have none are beyond the classes.
    truth: Vec<usize>,
}

impl WholeScorer {
    /// Counts the pixels of the image that is complete.
    fn count(&mut self) {
        let Some(image) = self.image.take() else {
            return;
        };
        let predicted = predicted_classes(&image.logits.into_values(), self.counts.len());
        for (&truth, predicted) in image.truth.iter().zip(predicted) {
            let predicted = usize::from(predicted);
            if truth >= self.counts.len() {
                continue;
            }
            self.counts[predicted][1] += 1;
            self.counts[truth][2] += 1;
            if truth == predicted {
                self.counts[truth][0] += 1;
            }
        }
    }
}

impl Scorer for WholeScorer {
    fn needs(&self, name: &str) -> bool {
        [LOGITS, TRUTH].contains(&name)
    }

    fn add(
        &mut self,
        samples: &Samples,
        index: usize,
        outputs: &[(&str, &[usize], &[f32])],
    ) -> Result<()> {
        let output = |wanted: &str| {
            let found = outputs.iter().find(|(name, ..)| *name == wanted);
            found.ok_or_else(|| Error::Graph(format!("the evaluation has no output {wanted}")))
        };
        let ((_, shape, logits), (_, _, truth)) = (output(LOGITS)?, output(TRUTH)?);
        let tiles = samples
            .tiles()
            .zip(samples.tiles().and_then(|tiles| tiles.image(index)));
        let (Some((tiles, (number, size))), Some(&classes)) = (tiles, shape.last()) else {
            return Err(Error::Graph(format!(
                "sample {index} is no tile of an image"
            )));
        };
        if self
            .image
            .as_ref()
            .is_none_or(|image| image.index != number)
        {
            self.count();
            self.counts.resize(classes, [0; 3]);
            self.image = Some(Image {
                index: number,
                logits: Mosaic::new(size, classes),
                truth: vec![usize::MAX; size[0] * size[1]],
            });
        }
        if let Some(image) = &mut self.image {
            image.logits.add(tiles, index, logits)?;
            tiles.each_pixel(index, |in_tile, in_image, _| {
                if let Some(class) = truth.get(in_tile) {
                    image.truth[in_image] = class.round() as usize;
                }
            });
        }
        Ok(())
    }

    fn counters(&mut self) -> Result<Vec<(&'static str, Tensor<f32>)>> {
        self.count();
        if self.counts.is_empty() {
            return Ok(Vec::new());
        }
        let rows = [0, 1, 2].map(|row| self.counts.iter().map(move |class| class[row] as f32));
        let counts = rows.into_iter().flatten().collect();
        let shape = [3, self.counts.len()];
        Ok(vec![(PIXELS, Tensor::real(shape, counts))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Tiles, Tiling};

    /// A row of three pixels in two tiles of two pixels, which disagree about the one that both show.
    #[test]
    fn a_pixel_of_several_tiles_counts_once_with_the_class_of_their_blended_logits() {
        let mut tiles = Tiles::new(Tiling::new([1, 2], Some(0)).unwrap());
        assert_eq!(tiles.add([1, 3]), 2);
        let samples = Samples::new(2, Vec::new(), None).tiled(tiles);
        let mut scorer = WholeScorer::default();
        let mut add = |index: usize, logits: [f32; 4], truth: [f32; 2]| {
            let logits: (&str, &[usize], &[f32]) = (LOGITS, &[1, 2, 2], &logits);
            let truth: (&str, &[usize], &[f32]) = (TRUTH, &[1, 2, 1], &truth);
            scorer.add(&samples, index, &[logits, truth]).unwrap();
        };
        // The second pixel has the logits 1 and 0 in one tile, 0 and 3 in the other: class 1 on average, which is wrong.
        add(0, [0.0, 1.0, 1.0, 0.0], [1.0, 0.0]);
        // The last pixel has no class.
        add(1, [0.0, 3.0, 5.0, 0.0], [0.0, 255.0]);
        let counters = scorer.counters().unwrap();
        let [(PIXELS, counts)] = &counters[..] else {
            panic!("{counters:?}");
        };
        assert_eq!(counts.dims(), [3, 2]);
        // Right, predicted, and of the class.
        assert_eq!(counts.reals(), [0.0, 1.0, 0.0, 2.0, 1.0, 1.0]);
        assert_eq!(WholeScorer::default().counters().unwrap().len(), 0);
    }
}
