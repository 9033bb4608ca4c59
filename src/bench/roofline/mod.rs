//! A chart of workloads under the adapter's roofline, as SVG. On the left are the roofline, with logarithmic axes, and
//! below it the bandwidth of workloads without counted operations, as percentages. On the right is the list of
//! workloads by number.

mod labels;
mod svg;

use super::{Record, Roof};
use labels::Labels;
use svg::{Anchor, Svg};

const WIDTH: f64 = 1180.0;
/// The plot's area.
const LEFT: f64 = 78.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 78.0;
const BOTTOM: f64 = 538.0;
/// Left edge of the list on the right.
const LIST: f64 = 740.0;
const LIST_ROW: f64 = 18.0;
const BAR_ROW: f64 = 20.0;
const RADIUS: f64 = 4.0;
/// Left edge of the bars, right of their names.
const BARS: f64 = 330.0;

const INK: &str = "#222";
const FAINT: &str = "#666";
/// Colours of Okabe and Ito, which most people can distinguish.
const FAMILIES: [(&str, &str); 3] = [
    ("matmul", "#0072b2"),
    ("conv2d", "#d55e00"),
    ("", "#009e73"),
];

fn colour(workload: &str) -> &'static str {
    let family = FAMILIES
        .iter()
        .find(|(prefix, _)| workload.starts_with(prefix));
    family.map_or(INK, |(_, colour)| colour)
}

/// A logarithmic axis over whole decades.
#[derive(Clone, Copy, Debug)]
struct Axis {
    /// Powers of ten at its ends.
    decades: [i32; 2],
    /// Positions of the ends in the picture.
    ends: [f64; 2],
}

impl Axis {
    /// The shortest axis that covers all of `values`.
    fn over(values: impl Iterator<Item = f64>, ends: [f64; 2]) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for exponent in values.map(f64::log10).filter(|e| e.is_finite()) {
            (low, high) = (low.min(exponent), high.max(exponent));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let decades = [low.floor() as i32, (high.floor() as i32) + 1];
        Axis { decades, ends }
    }

    fn at(self, value: f64) -> f64 {
        let [low, high] = self.decades.map(f64::from);
        let share = (value.log10() - low) / (high - low);
        self.ends[0] + share * (self.ends[1] - self.ends[0])
    }

    fn low(self) -> f64 {
        10_f64.powi(self.decades[0])
    }

    fn high(self) -> f64 {
        10_f64.powi(self.decades[1])
    }
}

/// The chart of `records`, measured on `adapter`, whose peak rates are `roof`.
pub fn roofline(adapter: &str, roof: Roof, records: &[Record]) -> String {
    let (counted, rest): (Vec<&Record>, Vec<&Record>) =
        records.iter().partition(|r| r.cost().intensity().is_some());
    let bars_bottom = BOTTOM + 100.0 + BAR_ROW * rest.len() as f64;
    let list_bottom = TOP + 40.0 + LIST_ROW * counted.len() as f64;
    let height = list_bottom.max(if rest.is_empty() {
        BOTTOM + 60.0
    } else {
        bars_bottom
    });
    let mut svg = Svg::new(WIDTH, height);
    svg.text([LEFT, 30.0], Anchor::Start, 18.0, INK, adapter);
    let ceilings = format!(
        "ceilings measured in the same run: {:.1} GFLOP/s, {:.1} GB/s; they meet at {:.1} FLOP per byte",
        roof.gflops,
        roof.gb_per_s,
        roof.ridge()
    );
    svg.text([LEFT, 52.0], Anchor::Start, 13.0, FAINT, &ceilings);
    plot(&mut svg, roof, &counted);
    list(&mut svg, &counted);
    if !rest.is_empty() {
        bars(&mut svg, roof, &rest);
    }
    svg.finish()
}

/// Draws the roof, and the workloads as numbered points.
fn plot(svg: &mut Svg, roof: Roof, records: &[&Record]) {
    let points = || {
        records
            .iter()
            .filter_map(|r| Some((r.cost().intensity()?, r.gflops?)))
    };
    let x = Axis::over(points().map(|p| p.0).chain([roof.ridge()]), [LEFT, RIGHT]);
    let y = Axis::over(points().map(|p| p.1).chain([roof.gflops]), [BOTTOM, TOP]);
    grid(svg, x, y);
    // Start where the roof enters the picture.
    let start = x.low().max(y.low() / roof.gb_per_s);
    let corner = [x.at(roof.ridge()), y.at(roof.gflops)];
    let foot = [x.at(start), y.at(roof.attainable(start))];
    svg.line(&[foot, corner, [RIGHT, corner[1]]], INK, 2.0);
    let flat = format!("{:.1} GFLOP/s", roof.gflops);
    svg.text(
        [RIGHT - 6.0, corner[1] - 7.0],
        Anchor::End,
        13.0,
        INK,
        &flat,
    );
    let slope = (corner[1] - foot[1]).atan2(corner[0] - foot[0]);
    let middle: [f64; 2] = std::array::from_fn(|i| (foot[i] + corner[i]) / 2.0);
    let sloped = format!("{:.1} GB/s", roof.gb_per_s);
    svg.text_along(middle, slope, 13.0, INK, &sloped);
    let places: Vec<[f64; 2]> = points().map(|(i, g)| [x.at(i), y.at(g)]).collect();
    let mut labels = Labels::new([LEFT, TOP, RIGHT, BOTTOM], &places, RADIUS);
    for (number, (record, &place)) in (1..).zip(records.iter().zip(&places)) {
        let colour = colour(&record.workload);
        let text = number.to_string();
        let label = labels.place(place, &text);
        if label.far {
            svg.line(&[place, label.centre], colour, 0.7);
        }
        svg.circle(place, RADIUS, colour);
        svg.halo_text(label.centre, labels::SIZE, colour, &text);
    }
}

/// Draws the axes with a line at every decade, and fainter ones at 2 and 5.
fn grid(svg: &mut Svg, x: Axis, y: Axis) {
    for (axis, across) in [(x, false), (y, true)] {
        for decade in axis.decades[0]..=axis.decades[1] {
            for step in [1.0, 2.0, 5.0] {
                let value = step * 10_f64.powi(decade);
                if value > axis.high() * 1.001 {
                    continue;
                }
                let at = axis.at(value);
                let line = if across {
                    [[LEFT, at], [RIGHT, at]]
                } else {
                    [[at, TOP], [at, BOTTOM]]
                };
                let colour = if step == 1.0 { "#ccc" } else { "#eee" };
                svg.line(&line, colour, 1.0);
                if step == 1.0 {
                    let text = value.to_string();
                    if across {
                        svg.text([LEFT - 8.0, at + 4.0], Anchor::End, 12.0, INK, &text);
                    } else {
                        svg.text([at, BOTTOM + 18.0], Anchor::Middle, 12.0, INK, &text);
                    }
                }
            }
        }
    }
    let middle = (LEFT + RIGHT) / 2.0;
    let under = "arithmetic intensity, FLOP per byte";
    svg.text([middle, BOTTOM + 40.0], Anchor::Middle, 13.0, INK, under);
    let beside = [LEFT - 52.0, (TOP + BOTTOM) / 2.0];
    svg.text_along(beside, -std::f64::consts::FRAC_PI_2, 13.0, INK, "GFLOP/s");
}

/// Formats a rate with at least two digits.
fn rate(x: f64) -> String {
    let digits = match x {
        x if x >= 10.0 => 0,
        x if x >= 1.0 => 1,
        _ => 2,
    };
    format!("{x:.digits$}")
}

/// Draws the legend of the numbered points.
fn list(svg: &mut Svg, records: &[&Record]) {
    let (name, gflops, share) = (LIST + 26.0, WIDTH - 66.0, WIDTH - 14.0);
    let head = TOP + 4.0;
    svg.text([name, head], Anchor::Start, 11.0, FAINT, "workload");
    svg.text([gflops, head], Anchor::End, 11.0, FAINT, "GFLOP/s");
    svg.text([share, head], Anchor::End, 11.0, FAINT, "of roof");
    for (number, record) in (1..).zip(records) {
        let y = TOP + 8.0 + LIST_ROW * f64::from(number);
        let colour = colour(&record.workload);
        let text = number.to_string();
        svg.text([LIST + 18.0, y], Anchor::End, 12.0, colour, &text);
        svg.text([name, y], Anchor::Start, 12.0, INK, &record.workload);
        let reached = rate(record.gflops.unwrap_or(0.0));
        svg.text([gflops, y], Anchor::End, 12.0, INK, &reached);
        let percent = format!("{}%", rate(record.percent_of_ceiling));
        svg.text([share, y], Anchor::End, 12.0, INK, &percent);
    }
}

/// Draws workloads that only move bytes as percentages of the bandwidth. Those that fit in a cache may exceed 100%.
fn bars(svg: &mut Svg, roof: Roof, records: &[&Record]) {
    let top = BOTTOM + 74.0;
    let title = format!(
        "bandwidth only, as shares of {:.1} GB/s (caches can be faster)",
        roof.gb_per_s
    );
    svg.text([LEFT, top], Anchor::Start, 13.0, INK, &title);
    let largest = records.iter().map(|r| r.percent_of_ceiling);
    let largest = largest.fold(100.0, f64::max);
    let end = RIGHT - 96.0;
    let at = |percent: f64| BARS + (end - BARS) * percent / largest;
    let bottom = top + 12.0 + BAR_ROW * records.len() as f64;
    for (row, record) in (0..).zip(records) {
        let y = top + 12.0 + BAR_ROW * f64::from(row);
        let colour = colour(&record.workload);
        let middle = y + 13.0;
        svg.text(
            [BARS - 8.0, middle],
            Anchor::End,
            12.0,
            INK,
            &record.workload,
        );
        let right = at(record.percent_of_ceiling);
        svg.rectangle([BARS, y + 3.0, right, y + BAR_ROW - 4.0], colour);
        let text = format!(
            "{} GB/s, {}%",
            rate(record.gb_per_s),
            rate(record.percent_of_ceiling)
        );
        svg.text([right + 6.0, middle], Anchor::Start, 12.0, INK, &text);
    }
    svg.line(&[[BARS, top + 10.0], [BARS, bottom]], "#ccc", 1.0);
    svg.line(&[[at(100.0), top + 10.0], [at(100.0), bottom]], INK, 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOF: Roof = Roof {
        gflops: 100.0,
        gb_per_s: 20.0,
    };

    #[test]
    fn a_logarithmic_axis_covers_its_values_in_whole_decades() {
        let axis = Axis::over([0.5, 30.0, 7.0].into_iter(), [0.0, 300.0]);
        assert_eq!(axis.decades, [-1, 2]);
        for (value, place) in [(0.1, 0.0), (1.0, 100.0), (10.0, 200.0), (100.0, 300.0)] {
            assert!((axis.at(value) - place).abs() < 1e-9);
        }
        assert_eq!(Axis::over([10.0].into_iter(), [0.0, 1.0]).decades, [1, 2]);
        assert_eq!(Axis::over(std::iter::empty(), [0.0, 1.0]).decades, [0, 2]);
    }

    #[test]
    fn every_workload_is_in_the_picture_and_names_are_escaped() {
        let records: Vec<Record> = (1..30)
            .map(|n| Record::example(&format!("matmul_{n}"), [n * 100_000, 5000], 0.5, 0.1))
            .chain([Record::example("add", [0, 5000], 1.0, 0.1)])
            .collect();
        let svg = roofline("a <soft> & slow adapter", ROOF, &records);
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("a &lt;soft&gt; &amp; slow adapter"));
        for record in &records {
            assert!(svg.contains(&format!(">{}<", record.workload)));
        }
        assert_eq!(svg.matches("<circle").count(), 29);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_run_without_counted_operations_still_has_a_picture() {
        let add = Record::example("add", [0, 5000], 1.0, 0.1);
        for records in [vec![], vec![add]] {
            let svg = roofline("an adapter", ROOF, &records);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
