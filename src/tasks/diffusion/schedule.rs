//! Schedules of a diffusion: how much of an image is left at each time, and the times of a drawing.

/// The least time of the cosine schedule, so that the first step adds noise of about a pixel's rounding.
const OFFSET: f64 = 0.008;
/// The largest variance of one step.
const MOST_VARIANCE: f64 = 0.999;

/// The share of the variance that is the image's, ᾱ, at each of `times` times, by the cosine schedule (Nichol and Dhariwal, "Improved
/// Denoising Diffusion Probabilistic Models", 2021).
pub(super) fn cosine(times: usize) -> Vec<f64> {
    let left = |time: usize| {
        let angle = (time as f64 / times as f64 + OFFSET) / (1.0 + OFFSET);
        (angle * std::f64::consts::FRAC_PI_2).cos().powi(2)
    };
    let mut product = 1.0;
    (0..times)
        .map(|time| {
            let variance = 1.0 - left(time + 1) / left(time);
            product *= 1.0 - variance.min(MOST_VARIANCE);
            product
        })
        .collect()
}

/// The times of a drawing in `steps` steps, from the last one of `times` on, evenly spaced.
pub(super) fn drawing(times: usize, steps: usize) -> Vec<usize> {
    (0..steps)
        .map(|step| (times * (steps - step)).div_ceil(steps) - 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_schedule_is_that_of_its_authors() {
        // The cumulative products of 1 - beta in double precision, computed in Python by the formula of betas_for_alpha_bar.
        let thousand = cosine(1000);
        for (time, want) in [(0, 0.999_958_715_775_178_1), (499, 0.493_843_590_440_638_2)] {
            assert!((thousand[time] - want).abs() < 1e-9, "{}", thousand[time]);
        }
        assert!(thousand[999] > 0.0 && thousand[999] < 1e-8);
        assert!(thousand.windows(2).all(|pair| pair[1] < pair[0]));
    }

    #[test]
    fn a_drawing_begins_at_the_last_time_and_its_steps_are_even() {
        assert_eq!(drawing(1000, 4), [999, 749, 499, 249]);
        assert_eq!(drawing(10, 3), [9, 6, 3]);
        assert_eq!(drawing(3, 3), [2, 1, 0]);
        assert_eq!(drawing(8, 1), [7]);
    }
}
