//! Mean and standard deviation of the channels of pixels.

use super::Pictures;

/// Mean and standard deviation of each channel, of pixels scaled to [0, 1].
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelStats {
    /// One mean for each channel.
    pub mean: Vec<f32>,
    /// One population standard deviation for each channel.
    pub std: Vec<f32>,
}

impl ChannelStats {
    /// The statistics of all pixels of a set; zeros if it is empty.
    ///
    /// The sums are integers, so the result does not depend on the order of the pixels.
    pub fn of(set: Pictures<'_>) -> Self {
        ChannelStats::of_pixels(set.bytes, set.shape[2])
    }

    /// The statistics of `pixels`, each of `channels` bytes.
    pub(crate) fn of_pixels(pixels: &[u8], channels: usize) -> Self {
        let count = (pixels.len() / channels.max(1)) as u64;
        ChannelStats::of_sums(&ChannelSums::of_pixels(pixels, channels), count)
    }

    /// The statistics of `count` pixels whose channels have these sums.
    pub(super) fn of_sums(sums: &[ChannelSums], count: u64) -> Self {
        let (mean, std) = sums.iter().map(|sums| sums.mean_std(count)).unzip();
        ChannelStats { mean, std }
    }
}

/// Sums over the bytes of one channel, which are exact: 64 bits hold those of 2^48 pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChannelSums {
    sum: u64,
    squares: u64,
}

impl ChannelSums {
    /// The sums of each channel of `pixels`, each of `channels` bytes.
    pub fn of_pixels(pixels: &[u8], channels: usize) -> Vec<ChannelSums> {
        let mut histograms = vec![[0_u64; 256]; channels];
        for pixel in pixels.chunks_exact(channels.max(1)) {
            for (histogram, &value) in histograms.iter_mut().zip(pixel) {
                histogram[usize::from(value)] += 1;
            }
        }
        histograms.iter().map(ChannelSums::of_histogram).collect()
    }

    fn of_histogram(histogram: &[u64; 256]) -> ChannelSums {
        let moment = |power| {
            let terms = (0_u64..).zip(histogram);
            terms.map(|(value, &count)| value.pow(power) * count).sum()
        };
        ChannelSums {
            sum: moment(1),
            squares: moment(2),
        }
    }

    /// Adds the sums of other pixels.
    pub fn add(&mut self, other: ChannelSums) {
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// Mean and standard deviation, divided by 255, of `count` bytes.
    fn mean_std(self, count: u64) -> (f32, f32) {
        if count == 0 {
            return (0.0, 0.0);
        }
        let mean = self.sum as f64 / count as f64;
        let square = self.squares as f64 / count as f64;
        let std = (square - mean * mean).max(0.0).sqrt();
        ((mean / 255.0) as f32, (std / 255.0) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSet;

    #[test]
    fn statistics_are_per_channel_and_in_units_of_full_scale() {
        let stats = ChannelStats::of_pixels(&[0, 10, 255, 20, 0, 30, 255, 40], 2);
        assert_eq!(stats.mean, [0.5, 25.0 / 255.0]);
        assert_eq!(stats.std[0], 0.5);
        // The values are 10, 20, 30, 40: their standard deviation is the square root of 125.
        assert!((stats.std[1] - 125.0_f32.sqrt() / 255.0).abs() < 1e-7);
    }

    #[test]
    fn sums_of_parts_give_the_statistics_of_the_whole() {
        let pixels: Vec<u8> = (0..240_u32).map(|i| (i * i % 251) as u8).collect();
        let mut sums = ChannelSums::of_pixels(&pixels[..90], 3);
        for (sum, other) in sums
            .iter_mut()
            .zip(ChannelSums::of_pixels(&pixels[90..], 3))
        {
            sum.add(other);
        }
        assert_eq!(
            ChannelStats::of_sums(&sums, 80),
            ChannelStats::of_pixels(&pixels, 3)
        );
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
            ChannelStats::of(Pictures::from(&empty)),
            ChannelStats {
                mean: vec![0.0],
                std: vec![0.0]
            }
        );
    }
}
