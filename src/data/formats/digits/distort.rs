//! Variation among digits of one style: jittered points, a smooth warp, and the pose in the image.

use super::SIDE;
use crate::random::Stream;

/// A position in the unit square of the strokes, or in pixels of the image; y is down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

/// Standard deviation of the independent movement of each point of a stroke.
const JITTER: f32 = 0.016;
/// Standard deviation of the nodes of the warp.
const WARP: f32 = 0.040;
/// Nodes of the warp along each side of the unit square.
const NODES: usize = 4;
/// Largest tangent of half the angle of rotation: the angle is at most 15 degrees.
const TURN: f32 = 0.13;
/// Standard deviation and largest value of the slant, as x over y.
const SLANT: f32 = 0.16;
/// Smallest and largest size of the unit square in the image, in pixels.
const SIZE: (f32, f32) = (18.0, 25.0);
/// Smallest and largest width in proportion to the height.
const ASPECT: (f32, f32) = (0.78, 1.12);
/// Largest shift from the centre of the image, in pixels.
const SHIFT: f32 = 2.4;

/// An approximately normal value with mean 0 and standard deviation 1, within ±3: a sum of three uniform values.
pub(super) fn bell(random: &mut Stream) -> f32 {
    2.0 * (random.unit() + random.unit() + random.unit()) - 3.0
}

/// Moves the strokes of a digit as little as possible so that they and `margin` pixels around them are in the image. A digit
/// too large for that begins at the left or upper edge.
pub(super) fn keep_on_page(chains: &mut [Vec<Point>], margin: f32) {
    let inside = |pick: fn(&Point) -> f32| {
        let all = || chains.iter().flatten().map(pick);
        let (low, high) = (
            all().fold(f32::MAX, f32::min),
            all().fold(f32::MIN, f32::max),
        );
        0.0_f32.min(SIDE as f32 - margin - high).max(margin - low)
    };
    let (right, down) = (inside(|point| point.x), inside(|point| point.y));
    for point in chains.iter_mut().flatten() {
        point.x += right;
        point.y += down;
    }
}

/// The random distortion of the points of one image.
pub(super) struct Distortion {
    warp: [[Point; NODES]; NODES],
    /// Maps the unit square to pixels, about its centre: rows of a 2 x 2 matrix.
    matrix: [[f32; 2]; 2],
    middle: Point,
    /// Height of the unit square in pixels.
    pub(super) size: f32,
}

impl Distortion {
    /// Draws a distortion.
    pub(super) fn draw(random: &mut Stream) -> Self {
        let mut warp = [[Point { x: 0.0, y: 0.0 }; NODES]; NODES];
        for node in warp.iter_mut().flatten() {
            *node = Point {
                x: WARP * bell(random),
                y: WARP * bell(random),
            };
        }
        // Rotation by the rational formulas of half its angle, because the last bit of trigonometric functions differs by platform.
        let half = random.range(-TURN, TURN);
        let (cos, sin) = (
            (1.0 - half * half) / (1.0 + half * half),
            2.0 * half / (1.0 + half * half),
        );
        let slant = -SLANT * bell(random);
        let height = random.range(SIZE.0, SIZE.1);
        let width = height * random.range(ASPECT.0, ASPECT.1);
        let centre = SIDE as f32 / 2.0;
        Self {
            warp,
            matrix: [
                [cos * width, cos * slant * height - sin * height],
                [sin * width, sin * slant * height + cos * height],
            ],
            size: height,
            middle: Point {
                x: centre + random.range(-SHIFT, SHIFT),
                y: centre + random.range(-SHIFT, SHIFT),
            },
        }
    }

    /// A stroke's points in pixels of the image, each jittered independently.
    pub(super) fn place(&self, points: &[(f32, f32)], random: &mut Stream) -> Vec<Point> {
        let moved = |&(x, y): &(f32, f32)| {
            let warp = self.warp_at(x, y);
            let x = x - 0.5 + warp.x + JITTER * bell(random);
            let y = y - 0.5 + warp.y + JITTER * bell(random);
            let [[xx, xy], [yx, yy]] = self.matrix;
            Point {
                x: self.middle.x + xx * x + xy * y,
                y: self.middle.y + yx * x + yy * y,
            }
        };
        points.iter().map(moved).collect()
    }

    /// The displacement at a position in the unit square: a smooth interpolation of the nodes around it.
    fn warp_at(&self, x: f32, y: f32) -> Point {
        let (column, across) = cell(x);
        let (row, down) = cell(y);
        let nodes = &self.warp;
        let blend = |pick: fn(&Point) -> f32| {
            let above = mix(
                pick(&nodes[row][column]),
                pick(&nodes[row][column + 1]),
                across,
            );
            let below = mix(
                pick(&nodes[row + 1][column]),
                pick(&nodes[row + 1][column + 1]),
                across,
            );
            mix(above, below, down)
        };
        Point {
            x: blend(|node| node.x),
            y: blend(|node| node.y),
        }
    }
}

/// The cell of the warp that contains a coordinate in 0..1, and the position in that cell, eased at both ends.
fn cell(coordinate: f32) -> (usize, f32) {
    let scaled = coordinate * (NODES - 1) as f32;
    let cell = (scaled as usize).min(NODES - 2);
    let through = (scaled - cell as f32).clamp(0.0, 1.0);
    (cell, through * through * (3.0 - 2.0 * through))
}

fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}
