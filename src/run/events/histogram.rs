//! Histograms of weights.

use super::messages::HistogramProto;

/// Number of buckets, as in TensorBoard's own summaries.
const BUCKETS: usize = 30;

/// The distribution of the finite ones among `values`, in buckets of one width from the smallest to the largest; one bucket if
/// all are equal. `None` if there are none.
pub(super) fn histogram(values: &[f32]) -> Option<HistogramProto> {
    let finite = || {
        let finite = values.iter().filter(|value| value.is_finite());
        finite.map(|&value| f64::from(value))
    };
    let min = finite().reduce(f64::min)?;
    let max = finite().reduce(f64::max)?;
    let count = if min < max { BUCKETS } else { 1 };
    let width = (max - min) / count as f64;
    let mut bucket = vec![0.0; count];
    for value in finite() {
        // The largest belongs to the last bucket; equal values to the only one, whose width is 0.
        let place = match width > 0.0 {
            true => ((value - min) / width) as usize,
            false => 0,
        };
        bucket[place.min(count - 1)] += 1.0;
    }
    let inner = (1..count).map(|end| min + width * end as f64);
    Some(HistogramProto {
        min,
        max,
        num: bucket.iter().sum(),
        sum: finite().sum(),
        sum_squares: finite().map(|value| value * value).sum(),
        bucket_limit: inner.chain([max]).collect(),
        bucket,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_have_one_width_and_count_every_value_once() {
        let values: Vec<f32> = (0..=60).map(|i| i as f32 - 30.0).collect();
        let found = histogram(&values).unwrap();
        assert_eq!((found.min, found.max), (-30.0, 30.0));
        assert_eq!((found.num, found.sum), (61.0, 0.0));
        assert_eq!(found.sum_squares, 2.0 * 9455.0);
        let limits: Vec<f64> = (1..=30).map(|i| f64::from(2 * i - 30)).collect();
        assert_eq!(found.bucket_limit, limits);
        // Two values each, and the largest in the last.
        let mut counts = vec![2.0; 30];
        counts[29] = 3.0;
        assert_eq!(found.bucket, counts);
    }

    #[test]
    fn equal_values_are_in_one_bucket() {
        let found = histogram(&[0.5; 7]).unwrap();
        assert_eq!((found.min, found.max, found.num), (0.5, 0.5, 7.0));
        assert_eq!((found.bucket_limit, found.bucket), (vec![0.5], vec![7.0]));
    }

    #[test]
    fn only_finite_values_count() {
        let found = histogram(&[f32::NAN, 1.0, f32::INFINITY, 3.0]).unwrap();
        assert_eq!((found.min, found.max, found.num), (1.0, 3.0, 2.0));
        assert_eq!(histogram(&[f32::NAN]), None);
        assert_eq!(histogram(&[]), None);
        let widest = histogram(&[f32::MIN, f32::MAX]).unwrap();
        assert_eq!((widest.bucket[0], widest.bucket[29]), (1.0, 1.0));
    }
}
