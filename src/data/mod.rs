//! Data sets: the digits drawn by the program, IDX files, and the order in which samples are visited.

mod digits;
mod error;
mod idx;
mod order;

pub use digits::digits;
pub use error::DataError;
pub use idx::load_idx_dir;
pub use order::{sequential, shuffled};

/// Images as bytes, NHWC, with one label each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSet {
    /// `len() * height * width * channels` bytes, channels fastest.
    pub images: Vec<u8>,
    /// One class index for each image.
    pub labels: Vec<u32>,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Bytes of a pixel.
    pub channels: usize,
}

impl ImageSet {
    /// How many images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The bytes of one image, `[height, width, channels]`.
    ///
    /// # Panics
    ///
    /// Where `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        let bytes = self.height * self.width * self.channels;
        &self.images[index * bytes..][..bytes]
    }
}

/// A training set and a test set over the same classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// What the set is called in reports.
    pub name: String,
    /// What the model learns from.
    pub train: ImageSet,
    /// What its accuracy is measured on.
    pub test: ImageSet,
    /// The name of each class; every label is an index into it.
    pub classes: Vec<String>,
}

impl Dataset {
    /// Mean and standard deviation of the training pixels, for normalising both sets.
    pub fn mean_std(&self) -> ChannelStats {
        ChannelStats::of(&self.train)
    }
}

/// Mean and standard deviation of each channel, of pixels scaled to [0, 1].
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelStats {
    /// One mean for each channel.
    pub mean: Vec<f32>,
    /// One population standard deviation for each channel.
    pub std: Vec<f32>,
}

impl ChannelStats {
    /// The statistics of all pixels of a set; zeros where it holds none.
    ///
    /// The sums are integers, so the result does not depend on the order of the pixels.
    pub fn of(set: &ImageSet) -> Self {
        let mut histograms = vec![[0_u64; 256]; set.channels];
        for pixel in set.images.chunks_exact(set.channels.max(1)) {
            for (histogram, &value) in histograms.iter_mut().zip(pixel) {
                histogram[usize::from(value)] += 1;
            }
        }
        let (mean, std) = histograms.iter().map(mean_std_of).unzip();
        Self { mean, std }
    }
}

/// Mean and standard deviation, in units of 255, of the values that a histogram of bytes counts.
fn mean_std_of(histogram: &[u64; 256]) -> (f32, f32) {
    let count: u64 = histogram.iter().sum();
    if count == 0 {
        return (0.0, 0.0);
    }
    let moment = |power| -> f64 {
        let sum: u128 = (0_u128..)
            .zip(histogram)
            .map(|(value, &n)| value.pow(power) * u128::from(n))
            .sum();
        sum as f64 / count as f64
    };
    let mean = moment(1);
    let std = (moment(2) - mean * mean).max(0.0).sqrt();
    ((mean / 255.0) as f32, (std / 255.0) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_images() -> ImageSet {
        ImageSet {
            images: vec![0, 10, 255, 20, 0, 30, 255, 40],
            labels: vec![1, 0],
            height: 1,
            width: 2,
            channels: 2,
        }
    }

    #[test]
    fn an_image_is_its_own_bytes() {
        let set = two_images();
        assert_eq!(set.len(), 2);
        assert!(!set.is_empty());
        assert_eq!(set.image(0), [0, 10, 255, 20]);
        assert_eq!(set.image(1), [0, 30, 255, 40]);
    }

    #[test]
    fn statistics_are_per_channel_and_in_units_of_full_scale() {
        let stats = ChannelStats::of(&two_images());
        assert_eq!(stats.mean, [0.5, 25.0 / 255.0]);
        assert_eq!(stats.std[0], 0.5);
        // Of 10, 20, 30, 40: the square root of 125.
        assert!((stats.std[1] - 125.0_f32.sqrt() / 255.0).abs() < 1e-7);
    }

    #[test]
    fn statistics_of_an_empty_set_are_zero() {
        let empty = ImageSet {
            images: vec![],
            labels: vec![],
            height: 28,
            width: 28,
            channels: 1,
        };
        assert_eq!(
            ChannelStats::of(&empty),
            ChannelStats {
                mean: vec![0.0],
                std: vec![0.0]
            }
        );
    }
}
