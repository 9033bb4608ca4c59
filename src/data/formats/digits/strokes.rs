//! Shapes of the ten digits in handwriting: a few styles for each class, each of a few pen strokes.
//!
//! Coordinates are those of a unit square, x to the right and y down; a digit extends from y = 0.08 (its top) to
//! y = 0.92 (the base line).

use super::distort::Point;

/// A movement of the pen.
#[derive(Clone, Copy)]
pub(super) enum Stroke {
    /// Straight from point to point, with corners.
    Line(&'static [(f32, f32)]),
    /// Smooth through all points, from the first to the last.
    Curve(&'static [(f32, f32)]),
    /// Smooth through all points and back to the first.
    Loop(&'static [(f32, f32)]),
}

use Stroke::{Curve, Line, Loop};

/// A style of a digit.
pub(super) type Style = &'static [Stroke];

/// The styles of each class, which are equally likely.
pub(super) const STYLES: [&[Style]; 10] =
    [ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT, NINE];

const ZERO: &[Style] = &[
    // Round.
    &[Loop(&[
        (0.50, 0.08),
        (0.70, 0.20),
        (0.78, 0.50),
        (0.70, 0.80),
        (0.50, 0.92),
        (0.30, 0.80),
        (0.22, 0.50),
        (0.30, 0.20),
    ])],
    // Narrow.
    &[Loop(&[
        (0.50, 0.08),
        (0.63, 0.22),
        (0.67, 0.50),
        (0.62, 0.80),
        (0.50, 0.92),
        (0.37, 0.78),
        (0.33, 0.50),
        (0.37, 0.22),
    ])],
    // From the top, around, and past where it began.
    &[Curve(&[
        (0.58, 0.11),
        (0.38, 0.16),
        (0.24, 0.48),
        (0.32, 0.82),
        (0.52, 0.92),
        (0.72, 0.78),
        (0.77, 0.46),
        (0.66, 0.18),
        (0.48, 0.09),
        (0.40, 0.13),
    ])],
];

const ONE: &[Style] = &[
    // A bare stem.
    &[Line(&[(0.50, 0.08), (0.50, 0.92)])],
    // A stem with a little bend.
    &[Curve(&[
        (0.54, 0.08),
        (0.51, 0.36),
        (0.50, 0.64),
        (0.46, 0.92),
    ])],
    // With a flag.
    &[Line(&[(0.36, 0.26), (0.53, 0.08), (0.53, 0.92)])],
    // With a flag and a foot.
    &[
        Line(&[(0.36, 0.25), (0.52, 0.08), (0.52, 0.92)]),
        Line(&[(0.32, 0.92), (0.71, 0.92)]),
    ],
];

const TWO: &[Style] = &[
    // An open hook on a straight base.
    &[
        Curve(&[
            (0.26, 0.28),
            (0.37, 0.12),
            (0.56, 0.08),
            (0.71, 0.20),
            (0.69, 0.40),
            (0.50, 0.64),
            (0.25, 0.91),
        ]),
        Line(&[(0.25, 0.91), (0.76, 0.91)]),
    ],
    // With a loop at the foot, in one movement.
    &[Curve(&[
        (0.27, 0.25),
        (0.42, 0.10),
        (0.62, 0.12),
        (0.71, 0.30),
        (0.60, 0.55),
        (0.43, 0.78),
        (0.29, 0.88),
        (0.24, 0.81),
        (0.34, 0.75),
        (0.50, 0.84),
        (0.64, 0.92),
        (0.78, 0.85),
    ])],
    // A swan: a wave for a base.
    &[
        Curve(&[
            (0.28, 0.24),
            (0.42, 0.10),
            (0.60, 0.10),
            (0.70, 0.25),
            (0.64, 0.45),
            (0.46, 0.68),
            (0.26, 0.90),
        ]),
        Curve(&[(0.26, 0.90), (0.40, 0.85), (0.58, 0.91), (0.78, 0.87)]),
    ],
];

const THREE: &[Style] = &[
    // Two bows that meet in a point.
    &[
        Curve(&[
            (0.28, 0.20),
            (0.42, 0.09),
            (0.60, 0.11),
            (0.69, 0.26),
            (0.60, 0.41),
            (0.42, 0.47),
        ]),
        Curve(&[
            (0.42, 0.47),
            (0.64, 0.51),
            (0.74, 0.68),
            (0.66, 0.86),
            (0.46, 0.93),
            (0.26, 0.82),
        ]),
    ],
    // A flat top.
    &[
        Line(&[(0.28, 0.10), (0.71, 0.10), (0.45, 0.43)]),
        Curve(&[
            (0.45, 0.43),
            (0.65, 0.48),
            (0.75, 0.66),
            (0.66, 0.86),
            (0.46, 0.93),
            (0.26, 0.84),
        ]),
    ],
    // A small loop in the waist.
    &[Curve(&[
        (0.28, 0.18),
        (0.44, 0.08),
        (0.63, 0.13),
        (0.66, 0.31),
        (0.54, 0.44),
        (0.41, 0.50),
        (0.41, 0.44),
        (0.56, 0.48),
        (0.70, 0.62),
        (0.69, 0.80),
        (0.52, 0.93),
        (0.28, 0.85),
    ])],
];

const FOUR: &[Style] = &[
    // Open at the top.
    &[
        Line(&[(0.34, 0.10), (0.24, 0.56), (0.78, 0.56)]),
        Line(&[(0.64, 0.16), (0.61, 0.92)]),
    ],
    // Closed, in one movement.
    &[Line(&[
        (0.62, 0.92),
        (0.62, 0.08),
        (0.21, 0.64),
        (0.80, 0.64),
    ])],
    // Open, with a round bowl.
    &[
        Curve(&[
            (0.28, 0.12),
            (0.25, 0.32),
            (0.30, 0.48),
            (0.48, 0.53),
            (0.69, 0.47),
        ]),
        Line(&[(0.73, 0.10), (0.66, 0.92)]),
    ],
];

const FIVE: &[Style] = &[
    // Cap, neck and belly in one movement.
    &[
        Line(&[(0.72, 0.10), (0.35, 0.10), (0.31, 0.44)]),
        Curve(&[
            (0.31, 0.44),
            (0.49, 0.37),
            (0.68, 0.46),
            (0.75, 0.65),
            (0.65, 0.86),
            (0.45, 0.93),
            (0.25, 0.84),
        ]),
    ],
    // The cap last, on a smooth body.
    &[
        Curve(&[
            (0.36, 0.12),
            (0.33, 0.28),
            (0.32, 0.42),
            (0.48, 0.42),
            (0.66, 0.50),
            (0.73, 0.67),
            (0.64, 0.86),
            (0.46, 0.93),
            (0.28, 0.87),
        ]),
        Line(&[(0.36, 0.11), (0.76, 0.09)]),
    ],
    // A rising cap and a wide belly.
    &[
        Line(&[(0.76, 0.08), (0.40, 0.13), (0.29, 0.47)]),
        Curve(&[
            (0.29, 0.47),
            (0.50, 0.42),
            (0.70, 0.53),
            (0.72, 0.74),
            (0.54, 0.90),
            (0.24, 0.90),
        ]),
    ],
];

const SIX: &[Style] = &[
    // A round back.
    &[Curve(&[
        (0.66, 0.10),
        (0.46, 0.21),
        (0.31, 0.43),
        (0.26, 0.67),
        (0.34, 0.87),
        (0.52, 0.93),
        (0.69, 0.83),
        (0.71, 0.65),
        (0.58, 0.53),
        (0.41, 0.57),
        (0.29, 0.71),
    ])],
    // A straight back.
    &[Curve(&[
        (0.52, 0.08),
        (0.40, 0.30),
        (0.30, 0.54),
        (0.29, 0.78),
        (0.42, 0.92),
        (0.60, 0.88),
        (0.68, 0.73),
        (0.60, 0.59),
        (0.44, 0.60),
        (0.30, 0.74),
    ])],
    // A hook at the top and a large bowl.
    &[Curve(&[
        (0.72, 0.18),
        (0.58, 0.08),
        (0.41, 0.16),
        (0.28, 0.40),
        (0.25, 0.68),
        (0.36, 0.88),
        (0.56, 0.92),
        (0.74, 0.78),
        (0.72, 0.58),
        (0.56, 0.48),
        (0.38, 0.54),
        (0.27, 0.66),
    ])],
];

const SEVEN: &[Style] = &[
    // Two straight strokes.
    &[Line(&[(0.24, 0.11), (0.76, 0.11), (0.43, 0.92)])],
    // With a bar.
    &[
        Line(&[(0.24, 0.11), (0.76, 0.11), (0.44, 0.92)]),
        Line(&[(0.38, 0.52), (0.74, 0.50)]),
    ],
    // With a serif.
    &[Line(&[
        (0.24, 0.25),
        (0.25, 0.11),
        (0.76, 0.11),
        (0.46, 0.92),
    ])],
    // A wave on a bent stem.
    &[
        Curve(&[(0.22, 0.18), (0.36, 0.10), (0.56, 0.15), (0.77, 0.10)]),
        Curve(&[(0.77, 0.10), (0.62, 0.36), (0.51, 0.62), (0.47, 0.92)]),
    ],
];

const EIGHT: &[Style] = &[
    // One ring on another.
    &[
        Loop(&[
            (0.50, 0.08),
            (0.66, 0.15),
            (0.67, 0.32),
            (0.50, 0.45),
            (0.33, 0.32),
            (0.34, 0.15),
        ]),
        Loop(&[
            (0.50, 0.45),
            (0.70, 0.58),
            (0.73, 0.79),
            (0.50, 0.93),
            (0.27, 0.79),
            (0.30, 0.58),
        ]),
    ],
    // In one movement, as an S that closes.
    &[Loop(&[
        (0.66, 0.18),
        (0.50, 0.08),
        (0.33, 0.17),
        (0.36, 0.35),
        (0.52, 0.48),
        (0.69, 0.63),
        (0.69, 0.83),
        (0.50, 0.93),
        (0.30, 0.83),
        (0.32, 0.64),
        (0.49, 0.49),
        (0.64, 0.36),
    ])],
    // The same, narrow, its ends crossing at the top.
    &[Curve(&[
        (0.66, 0.14),
        (0.49, 0.09),
        (0.37, 0.20),
        (0.42, 0.37),
        (0.54, 0.50),
        (0.65, 0.66),
        (0.62, 0.85),
        (0.48, 0.92),
        (0.35, 0.82),
        (0.38, 0.63),
        (0.50, 0.47),
        (0.61, 0.30),
        (0.64, 0.10),
    ])],
];

const NINE: &[Style] = &[
    // A straight stem.
    &[
        Loop(&[
            (0.70, 0.26),
            (0.59, 0.11),
            (0.42, 0.09),
            (0.29, 0.22),
            (0.30, 0.40),
            (0.45, 0.49),
            (0.62, 0.43),
        ]),
        Line(&[(0.71, 0.16), (0.68, 0.92)]),
    ],
    // A curled tail.
    &[Curve(&[
        (0.69, 0.26),
        (0.58, 0.10),
        (0.40, 0.10),
        (0.29, 0.24),
        (0.33, 0.43),
        (0.50, 0.48),
        (0.65, 0.36),
        (0.71, 0.20),
        (0.73, 0.45),
        (0.68, 0.74),
        (0.52, 0.92),
        (0.30, 0.87),
    ])],
    // A stem that leans back.
    &[
        Loop(&[
            (0.68, 0.22),
            (0.54, 0.09),
            (0.37, 0.16),
            (0.32, 0.34),
            (0.43, 0.47),
            (0.60, 0.40),
        ]),
        Curve(&[(0.70, 0.18), (0.65, 0.44), (0.57, 0.70), (0.49, 0.92)]),
    ],
];

/// Number of straight pieces between two points of a smooth stroke.
const PIECES: usize = 6;

impl Stroke {
    /// The points of the stroke.
    pub(super) fn points(self) -> &'static [(f32, f32)] {
        match self {
            Line(points) | Curve(points) | Loop(points) => points,
        }
    }

    /// The stroke through moved points, as a chain of short straight pieces.
    ///
    /// Smooth strokes are uniform Catmull-Rom splines (Catmull and Rom, 1974); the end points of an open one are
    /// doubled.
    pub(super) fn trace(self, points: &[Point]) -> Vec<Point> {
        let last = points.len() - 1;
        let (spans, at): (usize, Box<dyn Fn(usize) -> Point>) = match self {
            Line(_) => return points.to_vec(),
            // Index 1 is the first point, so that index 0 can denote the point before it.
            Curve(_) => (last, Box::new(|i| points[i.saturating_sub(1).min(last)])),
            Loop(_) => (last + 1, Box::new(|i| points[(i + last) % (last + 1)])),
        };
        let mut chain = Vec::with_capacity(spans * PIECES + 1);
        for span in 0..spans {
            let [p0, p1, p2, p3] = [span, span + 1, span + 2, span + 3].map(&at);
            for piece in 0..PIECES {
                chain.push(catmull_rom(p0, p1, p2, p3, piece as f32 / PIECES as f32));
            }
        }
        chain.push(at(spans + 1));
        chain
    }
}

fn catmull_rom(p0: Point, p1: Point, p2: Point, p3: Point, t: f32) -> Point {
    let along = |a: f32, b: f32, c: f32, d: f32| {
        let (linear, square, cube) = (
            c - a,
            2.0 * a - 5.0 * b + 4.0 * c - d,
            3.0 * (b - c) + d - a,
        );
        b + 0.5 * t * (linear + t * (square + t * cube))
    };
    Point {
        x: along(p0.x, p1.x, p2.x, p3.x),
        y: along(p0.y, p1.y, p2.y, p3.y),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(stroke: Stroke) -> Vec<Point> {
        stroke
            .points()
            .iter()
            .map(|&(x, y)| Point { x, y })
            .collect()
    }

    #[test]
    fn every_style_stays_in_the_unit_square_and_fills_its_height() {
        for (class, styles) in STYLES.iter().enumerate() {
            for style in *styles {
                let points: Vec<Point> = style
                    .iter()
                    .flat_map(|&stroke| stroke.trace(&start(stroke)))
                    .collect();
                assert!(
                    points.iter().all(|p| p.x > 0.1 && p.x < 0.9),
                    "a {class} is too wide"
                );
                let top = points.iter().map(|p| p.y).fold(1.0, f32::min);
                let bottom = points.iter().map(|p| p.y).fold(0.0, f32::max);
                assert!(
                    top > 0.05 && top < 0.12 && bottom > 0.89 && bottom < 0.95,
                    "a {class}: {top}..{bottom}"
                );
            }
        }
    }

    #[test]
    fn smooth_strokes_pass_through_their_points_and_loops_close() {
        for stroke in STYLES.iter().copied().flatten().copied().flatten().copied() {
            let points = start(stroke);
            let chain = stroke.trace(&points);
            for point in &points {
                assert!(chain.contains(point), "{point:?} is not on the stroke");
            }
            if let Loop(_) = stroke {
                assert_eq!(chain.first(), chain.last());
            }
        }
    }
}
