//! Places the numbers of points so that they hide neither each other nor a point.

/// Height of the text in pixels.
pub(super) const SIZE: f64 = 12.0;
/// Width of a digit.
const DIGIT: f64 = 7.0;
/// Distances from the point to try, nearest first.
const DISTANCES: [f64; 7] = [12.0, 20.0, 30.0, 42.0, 56.0, 74.0, 94.0];
/// Beyond this distance a line connects the label to its point.
const NEAR: f64 = 13.0;
const DIRECTIONS: u32 = 16;

/// Left, top, right, bottom.
type Rectangle = [f64; 4];

/// The position of a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Label {
    pub centre: [f64; 2],
    /// Whether it needs a line to its point.
    pub far: bool,
}

/// The labels of a plot, placed in turn.
pub(super) struct Labels {
    area: Rectangle,
    taken: Vec<Rectangle>,
}

fn around([x, y]: [f64; 2], half_width: f64, half_height: f64) -> Rectangle {
    [
        x - half_width,
        y - half_height,
        x + half_width,
        y + half_height,
    ]
}

fn overlap(a: Rectangle, b: Rectangle) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

impl Labels {
    /// For `points` drawn with a radius of `radius` within `area`.
    pub fn new(area: Rectangle, points: &[[f64; 2]], radius: f64) -> Self {
        let taken = points.iter().map(|&p| around(p, radius, radius)).collect();
        Labels { area, taken }
    }

    /// The nearest free position for `text` at `point`; next to it if there is none.
    pub fn place(&mut self, point: [f64; 2], text: &str) -> Label {
        let half_width = DIGIT * text.len() as f64 / 2.0 + 1.0;
        let half_height = SIZE / 2.0;
        let candidates = DISTANCES.iter().flat_map(|&distance| {
            (0..DIRECTIONS).map(move |n| {
                // Try above first, since the roof's points are next to each other.
                let angle = std::f64::consts::TAU * (f64::from(n) / f64::from(DIRECTIONS) - 0.25);
                let centre = [
                    point[0] + distance * angle.cos(),
                    point[1] + distance * angle.sin(),
                ];
                (centre, distance > NEAR)
            })
        });
        let mut candidates = candidates.map(|(centre, far)| Label { centre, far });
        let free = |label: &Label| {
            let place = around(label.centre, half_width, half_height);
            let inside = place[0] >= self.area[0]
                && place[1] >= self.area[1]
                && place[2] <= self.area[2]
                && place[3] <= self.area[3];
            inside && !self.taken.iter().any(|&taken| overlap(place, taken))
        };
        let label = candidates.find(free).unwrap_or(Label {
            centre: [point[0] + DISTANCES[0], point[1]],
            far: false,
        });
        self.taken
            .push(around(label.centre, half_width, half_height));
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_cluster_hide_neither_points_nor_each_other() {
        let points: Vec<[f64; 2]> = (0..24)
            .map(|n| [200.0 + f64::from(n % 5), 200.0 + f64::from(n)])
            .collect();
        let mut labels = Labels::new([0.0, 0.0, 400.0, 400.0], &points, 4.0);
        let placed: Vec<Rectangle> = points
            .iter()
            .map(|&point| around(labels.place(point, "10").centre, 7.0, 6.0))
            .collect();
        for (n, &a) in placed.iter().enumerate() {
            assert!(!placed[..n].iter().any(|&b| overlap(a, b)));
            assert!(!points.iter().any(|&p| overlap(a, around(p, 4.0, 4.0))));
        }
    }

    #[test]
    fn a_label_stays_in_the_plot() {
        let mut labels = Labels::new([0.0, 0.0, 100.0, 100.0], &[[0.0, 0.0]], 4.0);
        let Label { centre, .. } = labels.place([0.0, 0.0], "1");
        assert!(centre[0] > 0.0 && centre[1] > 0.0);
    }
}
