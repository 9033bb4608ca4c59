//! From strokes in pixels to a grey image: ink by distance, then blur, brightness and noise.

use super::distort::{Point, bell};
use super::{PIXELS, SIDE};
use crate::random::Stream;

/// Smallest and largest half width of the pen, as a share of the digit's size: a thick pen would fill a small digit.
const PEN: (f32, f32) = (0.035, 0.073);
/// Standard deviation of the pen's half width along one digit, as a share of it.
const PRESSURE: f32 = 0.12;
/// Minimum brightness of full ink.
const FAINTEST: f32 = 0.65;
/// Maximum weight of the mean of its neighbourhood in a pixel.
const MOST_BLUR: f32 = 0.7;
/// Largest standard deviation of the noise, as a share of full scale.
const MOST_NOISE: f32 = 0.09;

/// The pen and the camera of one image.
pub(super) struct Look {
    /// Half width of the pen, in pixels.
    pub(super) pen: f32,
    contrast: f32,
    blur: f32,
    noise: f32,
}

impl Look {
    /// Draws a look at random for a digit of `size` pixels.
    pub(super) fn draw(random: &mut Stream, size: f32) -> Self {
        Self {
            pen: size * random.range(PEN.0, PEN.1),
            contrast: random.range(FAINTEST, 1.0),
            blur: random.range(0.0, MOST_BLUR),
            noise: random.range(0.0, MOST_NOISE),
        }
    }

    /// The pen's half width, in pixels, at the start or end of a stroke.
    pub(super) fn pressure(&self, random: &mut Stream) -> f32 {
        self.pen * (1.0 + PRESSURE * bell(random))
    }

    /// The image of an ink coverage: blurred, scaled, with noise, as bytes (0 is paper, 255 full ink).
    pub(super) fn develop(&self, ink: &Ink, random: &mut Stream, image: &mut [u8]) {
        for (row, line) in image.chunks_exact_mut(SIDE).enumerate() {
            for (column, pixel) in line.iter_mut().enumerate() {
                let own = ink.coverage[row * SIDE + column];
                let value =
                    self.contrast * (own + self.blur * (ink.neighbourhood(row, column) - own));
                // The sum of the four bytes of a word is approximately normal, with mean 510 and standard deviation 147.8.
                let sum: u32 = random.next_u32().to_le_bytes().map(u32::from).iter().sum();
                let noise = self.noise * (sum as f32 - 510.0) / 147.8;
                *pixel = ((value + noise).clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
            }
        }
    }
}

/// How much of each pixel the pen covered, from 0 to 1.
pub(super) struct Ink {
    coverage: [f32; PIXELS],
}

impl Ink {
    /// No ink.
    pub(super) fn none() -> Self {
        Self {
            coverage: [0.0; PIXELS],
        }
    }

    /// Draws a chain of straight pieces with a round pen whose half width changes from `start` to `end`.
    pub(super) fn draw(&mut self, chain: &[Point], start: f32, end: f32) {
        let pieces = chain.len().saturating_sub(1).max(1) as f32;
        for (piece, ends) in chain.windows(2).enumerate() {
            let width = |place: usize| start + (end - start) * (place as f32 / pieces);
            self.draw_piece(ends[0], ends[1], width(piece), width(piece + 1));
        }
    }

    /// Raises each pixel near a piece to its coverage, which follows from the distance between the piece and the pixel's
    /// centre and falls over the width of a pixel at the edge of the pen, so that edges are smooth.
    fn draw_piece(&mut self, from: Point, to: Point, start: f32, end: f32) {
        let reach = start.max(end) + 0.5;
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        let length_squared = dx * dx + dy * dy;
        for row in span(from.y.min(to.y) - reach, from.y.max(to.y) + reach) {
            let y = row as f32 + 0.5 - from.y;
            for column in span(from.x.min(to.x) - reach, from.x.max(to.x) + reach) {
                let x = column as f32 + 0.5 - from.x;
                let along = if length_squared > 0.0 {
                    ((x * dx + y * dy) / length_squared).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                let (off_x, off_y) = (x - along * dx, y - along * dy);
                let distance = (off_x * off_x + off_y * off_y).sqrt();
                let covered = (start + (end - start) * along + 0.5 - distance).clamp(0.0, 1.0);
                let pixel = &mut self.coverage[row * SIDE + column];
                *pixel = pixel.max(covered);
            }
        }
    }

    /// The weighted mean around a pixel, with weights 1 2 1 along each axis; there is no ink outside the image.
    fn neighbourhood(&self, row: usize, column: usize) -> f32 {
        let mut sum = 0.0;
        for (r, row_weight) in [(row.wrapping_sub(1), 0.25), (row, 0.5), (row + 1, 0.25)] {
            for (c, column_weight) in [
                (column.wrapping_sub(1), 0.25),
                (column, 0.5),
                (column + 1, 0.25),
            ] {
                if r < SIDE && c < SIDE {
                    sum += row_weight * column_weight * self.coverage[r * SIDE + c];
                }
            }
        }
        sum
    }
}

/// The pixels of a row or column that overlap the interval from `low` to `high`, clipped to the image.
fn span(low: f32, high: f32) -> std::ops::Range<usize> {
    // Casting saturates at zero.
    (low as usize).min(SIDE)..(high as usize + usize::from(high >= 0.0)).min(SIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stem(pen: f32) -> Ink {
        let mut ink = Ink::none();
        ink.draw(
            &[Point { x: 10.5, y: 5.5 }, Point { x: 10.5, y: 20.5 }],
            pen,
            pen,
        );
        ink
    }

    #[test]
    fn ink_covers_by_distance_from_the_stroke() {
        let ink = stem(1.25);
        let at = |column: usize| ink.coverage[12 * SIDE + column];
        assert_eq!(
            [at(8), at(9), at(10), at(11), at(12), at(13)],
            [0.0, 0.75, 1.0, 0.75, 0.0, 0.0]
        );
        // Ends are round: beyond an end, the distance is that to the end point.
        assert_eq!(ink.coverage[21 * SIDE + 10], 0.75);
        assert_eq!(ink.coverage[23 * SIDE + 10], 0.0);
    }

    #[test]
    fn strokes_off_the_page_leave_the_rest_and_do_no_harm() {
        let mut ink = Ink::none();
        ink.draw(
            &[Point { x: -9.0, y: -9.0 }, Point { x: -3.0, y: 40.0 }],
            1.0,
            1.0,
        );
        assert!(ink.coverage.iter().all(|&covered| covered == 0.0));
        ink.draw(
            &[Point { x: -9.0, y: 14.5 }, Point { x: 40.0, y: 14.5 }],
            1.0,
            1.0,
        );
        assert!((0..SIDE).all(|column| ink.coverage[14 * SIDE + column] == 1.0));
    }

    #[test]
    fn a_blur_spreads_ink_and_keeps_its_amount() {
        let ink = stem(0.5);
        let blurred: f32 = (0..PIXELS)
            .map(|pixel| ink.neighbourhood(pixel / SIDE, pixel % SIDE))
            .sum();
        let sharp: f32 = ink.coverage.iter().sum();
        assert!((blurred - sharp).abs() < 1e-3, "{blurred} {sharp}");
        assert_eq!(ink.neighbourhood(12, 9), 0.25);
    }
}
