//! Charts of curves, dots and bars over two axes, as SVG within HTML. Colours are classes of [`STYLE`], readable in light and
//! dark; all text is escaped.

use super::escape;
use std::fmt::Write as _;

/// Width and height of a chart, and the margins around its curves, in CSS pixels.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 264.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 46.0;
/// A smaller range of values is drawn as a constant.
const SMALLEST: f64 = 1e-30;
/// Values up to this magnitude are drawn: numbers beyond are of no use in a chart, and their differences may overflow.
const LARGEST: f64 = 1e30;

/// Number of colours for curves of one kind: the classes `c0` to `c7`.
pub const COLOURS: usize = 8;

/// The style of charts, in light and dark. Every colour has a contrast of at least 4.5 with a white and with a dark page, so that
/// it also serves for text.
pub const STYLE: &str = "\
:root { color-scheme: light dark; --line: light-dark(#ccc, #444); --train: light-dark(#b35a00, #ffa94d); \
--test: light-dark(#0b5fb0, #74b9ff); --quiet: light-dark(#666, #aaa); \
--c0: light-dark(#0b5fb0, #74b9ff); --c1: light-dark(#b35a00, #ffa94d); --c2: light-dark(#00735a, #5fd6b0); \
--c3: light-dark(#a3185b, #ff8fc0); --c4: light-dark(#6a3fb5, #c3a6ff); --c5: light-dark(#756000, #e0c95a); \
--c6: light-dark(#006f8c, #6fd0e6); --c7: light-dark(#b3261e, #ff8a80); }
svg text { font-size: 13px; fill: currentColor; } .grid { stroke: var(--line); }
.train { --ink: var(--train); } .test { --ink: var(--test); } .quiet { --ink: var(--quiet); } .faint { --ink: var(--line); } .plain, .mean { --ink: currentColor; }
.c0 { --ink: var(--c0); } .c1 { --ink: var(--c1); } .c2 { --ink: var(--c2); } .c3 { --ink: var(--c3); }
.c4 { --ink: var(--c4); } .c5 { --ink: var(--c5); } .c6 { --ink: var(--c6); } .c7 { --ink: var(--c7); }
polyline { fill: none; stroke: var(--ink); stroke-width: 2; stroke-linejoin: round; } circle { fill: var(--ink); }
polyline.quiet { stroke-dasharray: 5 4; } polyline.mean { stroke-width: 3; } rect { fill: var(--ink); fill-opacity: .35; } figcaption b { color: var(--ink); }
";

/// A chart.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it shows, before the legend.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// Bars from the lower end of the vertical axis, behind the curves.
    pub bars: Vec<Bar>,
    /// The curves, the last one in front.
    pub curves: Vec<Curve>,
}

/// An axis of a chart.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it measures.
    pub title: String,
    /// The lowest and the highest value.
    pub range: [f64; 2],
    /// Marked values with their labels.
    pub ticks: Vec<(f64, String)>,
    /// Whether equal distances are equal ratios.
    pub logarithmic: bool,
}

/// A curve, or single dots.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Name in the legend; left out there if it is empty.
    pub name: String,
    /// Class of its colour, such as `c0`.
    pub class: String,
    /// Its points. Those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// Whether the points are joined by a line.
    pub line: bool,
    /// Radius of the dots, if there are any.
    pub dots: Option<f64>,
}

/// A bar.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Where it begins and ends on the horizontal axis.
    pub x: [f64; 2],
    /// Its height on the vertical axis.
    pub y: f64,
    /// Class of its colour.
    pub class: &'static str,
}

impl Axis {
    /// An axis that holds all `values` that are finite, with round ticks; `None` if there are none.
    pub fn over(title: &str, values: impl Iterator<Item = f64>) -> Option<Axis> {
        Self::labelled(title, values, label)
    }

    /// The same with the labels of `label`, which gets a tick and the distance between ticks.
    pub fn labelled(
        title: &str,
        values: impl Iterator<Item = f64>,
        label: impl Fn(f64, f64) -> String,
    ) -> Option<Axis> {
        let [low, high] = bounds(values)?;
        let margin = match high - low > SMALLEST {
            true => 0.0,
            false => (1e-3 * high.abs()).max(0.5),
        };
        let range = [low - margin, high + margin];
        let ticks = ticks(range[0], range[1]);
        let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).next();
        let step = step.unwrap_or(range[1] - range[0]);
        Some(Axis {
            title: title.to_string(),
            range,
            ticks: ticks.into_iter().map(|at| (at, label(at, step))).collect(),
            logarithmic: false,
        })
    }

    /// A logarithmic axis that holds all `values` above 0; `None` if there are none.
    pub fn logarithmic(title: &str, values: impl Iterator<Item = f64>) -> Option<Axis> {
        let [low, high] = bounds(values.filter(|&v| v > SMALLEST))?;
        let [mut low, mut high] = [low.log10(), high.log10()];
        // At least half a decade, so that a norm that hardly changes is drawn as a level line.
        let margin = ((0.5 - (high - low)) / 2.0).max(0.0);
        (low, high) = (low - margin, high + margin);
        let decades: Vec<i32> = (low.ceil() as i32..=high.floor() as i32).collect();
        let every = decades.len().div_ceil(6).max(1);
        let mut ticks: Vec<f64> = decades
            .iter()
            .step_by(every)
            .map(|&power| 10_f64.powi(power))
            .collect();
        if high - low < 1.0 {
            ticks = self::ticks(10_f64.powf(low), 10_f64.powf(high));
        } else if decades.len() < 3 {
            let powers = low.floor() as i32..=high.floor() as i32;
            let all = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|m| m * 10_f64.powi(power)));
            ticks = all.filter(|x| (low..=high).contains(&x.log10())).collect();
        }
        if ticks.is_empty() {
            ticks = vec![10_f64.powf((low + high) / 2.0)];
        }
        Some(Axis {
            title: title.to_string(),
            range: [10_f64.powf(low), 10_f64.powf(high)],
            ticks: ticks.into_iter().map(|at| (at, short(at))).collect(),
            logarithmic: true,
        })
    }

    /// An axis of names, at the values 0, 1 and so on.
    pub fn names(title: &str, names: &[String]) -> Axis {
        let last = names.len().saturating_sub(1) as f64;
        Axis {
            title: title.to_string(),
            range: if last > 0.0 { [0.0, last] } else { [-1.0, 1.0] },
            ticks: (0..).map(f64::from).zip(names.iter().cloned()).collect(),
            logarithmic: false,
        }
    }

    /// An axis of shares, from 0 to 1.
    pub fn share(title: &str) -> Axis {
        let ticks = (0..=5).map(|tick| f64::from(tick) / 5.0);
        Axis {
            title: title.to_string(),
            range: [0.0, 1.0],
            ticks: ticks.map(|at| (at, format!("{at:.1}"))).collect(),
            logarithmic: false,
        }
    }

    /// Where `value` lies between the ends, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let on = |v: f64| if self.logarithmic { v.log10() } else { v };
        let [low, high] = self.range.map(on);
        (on(value) - low) / (high - low)
    }
}

impl Curve {
    /// A line through `points`.
    pub fn line(name: &str, class: &str, points: Vec<(f64, f64)>) -> Curve {
        Curve {
            name: name.to_string(),
            class: class.to_string(),
            points,
            line: true,
            dots: None,
        }
    }

    /// Single dots.
    pub fn dots(name: &str, class: &str, points: Vec<(f64, f64)>, radius: f64) -> Curve {
        Curve {
            line: false,
            dots: Some(radius),
            ..Curve::line(name, class, points)
        }
    }
}

impl Plot {
    /// The chart as a figure.
    pub fn html(&self) -> String {
        let legend = self.curves.iter().filter(|curve| !curve.name.is_empty());
        let legend: Vec<String> = legend
            .map(|curve| format!("<b class=\"{}\">{}</b>", curve.class, escape(&curve.name)))
            .collect();
        let title = escape(&self.title);
        let colon = if legend.is_empty() { "" } else { ": " };
        let mut svg = format!(
            "<figure><figcaption>{title}{colon}{}</figcaption>\n\
             <svg role=\"img\" aria-label=\"{title}: {} over {}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\n",
            legend.join(", "),
            escape(&self.y.title),
            escape(&self.x.title),
        );
        self.axes(&mut svg);
        let base = HEIGHT - BOTTOM;
        for bar in &self.bars {
            let [left, right] = bar.x.map(|x| self.across(x));
            let top = self.up(bar.y);
            let _ = writeln!(
                svg,
                "<rect class=\"{}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                bar.class,
                (right - left - 1.0).max(1.0),
                base - top
            );
        }
        for curve in &self.curves {
            self.curve(&mut svg, curve);
        }
        svg.push_str("</svg></figure>\n");
        svg
    }

    fn across(&self, x: f64) -> f64 {
        LEFT + self.x.place(x) * (WIDTH - LEFT - RIGHT)
    }

    fn up(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(y) * (HEIGHT - TOP - BOTTOM)
    }

    /// Grid lines, labels of ticks, and titles.
    fn axes(&self, svg: &mut String) {
        for (value, label) in &self.y.ticks {
            let at = self.up(*value);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                escape(label)
            );
        }
        for (value, label) in &self.x.ticks {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                self.across(*value),
                HEIGHT - BOTTOM + 18.0,
                escape(label)
            );
        }
        let (middle, centre) = ((LEFT + WIDTH - RIGHT) / 2.0, (HEIGHT - BOTTOM + TOP) / 2.0);
        let _ = writeln!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(13 {centre:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 8.0,
            escape(&self.x.title),
            escape(&self.y.title)
        );
    }

    fn curve(&self, svg: &mut String, curve: &Curve) {
        let class = &curve.class;
        let points: Vec<(f64, f64)> = curve
            .points
            .iter()
            .map(|&(x, y)| (self.across(bounded(x)), self.up(bounded(y))))
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        if curve.line {
            let path: Vec<String> = points
                .iter()
                .map(|(x, y)| format!("{x:.1},{y:.1}"))
                .collect();
            let path = path.join(" ");
            let _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{path}\"/>");
        }
        for (x, y) in curve.dots.map_or(&[][..], |_| &points) {
            let _ = writeln!(
                svg,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{}\"/>",
                curve.dots.unwrap_or_default()
            );
        }
    }
}

/// A number that can be drawn, or one that is not finite.
fn bounded(value: f64) -> f64 {
    if value.abs() <= LARGEST {
        value
    } else {
        f64::NAN
    }
}

/// The lowest and the highest of the values that can be drawn.
fn bounds(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    let finite = values.filter(|v| bounded(*v).is_finite());
    let [low, high] = finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], v| {
        [low.min(v), high.max(v)]
    });
    (low <= high).then_some([low, high])
}

/// Three to six round values from `low` to `high`.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let least = (high - low) / 5.0;
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = steps
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(steps[3]);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|n| n as f64 * step).collect()
}

/// The decimal place of the first digit of `x`. A step is a difference of ticks, which may fall short of 0.1 by a rounding error.
fn decimal_place(x: f64) -> i32 {
    (x.abs().log10() + 1e-6).floor() as i32
}

/// The label of a number on an axis, with enough digits to distinguish ticks a `step` apart.
pub fn label(number: f64, step: f64) -> String {
    let digits = -decimal_place(step);
    if number.abs() < step * 1e-6 {
        return "0".to_string();
    }
    if number.abs() >= 1e6 || digits > 4 {
        let digits = (decimal_place(number) + digits).max(0) as usize;
        return format!("{number:.digits$e}");
    }
    format!("{number:.*}", digits.max(0) as usize)
}

/// A number with three digits.
pub fn short(number: f64) -> String {
    significant(number, 3)
}

/// A number with up to this many significant digits; whole numbers below a million have all of theirs.
pub fn significant(number: f64, digits: usize) -> String {
    let decimals = digits.saturating_sub(1);
    if number == 0.0 || !number.is_finite() {
        return format!("{number}");
    }
    let place = decimal_place(number);
    if !(-3..=5).contains(&place) {
        let text = format!("{number:.decimals$e}");
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{power}", without_zeros(mantissa));
    }
    without_zeros(&format!(
        "{number:.*}",
        (decimals as i32 - place).max(0) as usize
    ))
    .to_string()
}

/// A number without zeros at the end of its decimals.
fn without_zeros(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let near = |found: Vec<f64>, wanted: &[f64]| {
            assert_eq!(found.len(), wanted.len(), "{found:?}");
            assert!(
                found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9),
                "{found:?}"
            );
        };
        near(ticks(0.022, 0.264), &[0.05, 0.1, 0.15, 0.2, 0.25]);
        near(ticks(0.9156, 0.9932), &[0.92, 0.94, 0.96, 0.98]);
        near(ticks(-0.5, 0.5), &[-0.4, -0.2, 0.0, 0.2, 0.4]);
        near(
            ticks(0.0, 1000.0),
            &[0.0, 200.0, 400.0, 600.0, 800.0, 1000.0],
        );
    }

    #[test]
    fn numbers_of_any_size_are_short_and_distinguished() {
        let labels = |values: [f64; 2]| values.map(|v| label(v, values[1] - values[0]));
        assert_eq!(labels([0.05, 0.1]), ["0.05", "0.10"]);
        assert_eq!(labels([0.0, 200.0]), ["0", "200"]);
        assert_eq!(labels([150.1, 150.2]), ["150.1", "150.2"]);
        assert_eq!(labels([1.01e6, 1.02e6]), ["1.01e6", "1.02e6"]);
        assert_eq!(labels([2e12, 4e12]), ["2e12", "4e12"]);
        assert_eq!(labels([0.000002, 0.000004]), ["2e-6", "4e-6"]);
        for (number, text) in [
            (0.0, "0"),
            (0.1, "0.1"),
            (1234.5, "1234"),
            (0.012345, "0.0123"),
            (1e-7, "1e-7"),
            (1.25e9, "1.25e9"),
        ] {
            assert_eq!(short(number), text);
        }
        assert_eq!(significant(-12.345_678, 6), "-12.3457");
    }

    #[test]
    fn logarithmic_axes_have_ticks_over_any_range() {
        let labels = |values: &[f64]| {
            let axis = Axis::logarithmic("norm", values.iter().copied()).unwrap();
            let labels = axis.ticks.into_iter().map(|(_, label)| label);
            labels.collect::<Vec<_>>()
        };
        assert_eq!(labels(&[0.0, 1e-3, 1e3]).len(), 4);
        assert_eq!(labels(&[1.5, 3.0]), ["2", "3"]);
        assert_eq!(labels(&[0.9, 12.0]), ["1", "2", "5", "10"]);
        assert!(Axis::logarithmic("norm", [0.0, f64::NAN].into_iter()).is_none());
    }

    #[test]
    fn text_is_escaped_and_points_that_are_not_finite_are_left_out() {
        let axis = |title: &str| Axis::over(title, [0.0, 1.0].into_iter()).unwrap();
        let plot = Plot {
            title: "<t>".to_string(),
            x: axis("<x>"),
            y: axis("<y>"),
            bars: vec![Bar {
                x: [0.0, 0.5],
                y: 0.5,
                class: "c0",
            }],
            curves: vec![Curve::dots(
                "<c>",
                "c1",
                vec![(0.0, 0.5), (0.5, f64::NAN), (1e300, 1.0)],
                3.0,
            )],
        };
        let html = plot.html();
        assert!(!html.contains("<t>") && !html.contains("<x>") && !html.contains("<c>"));
        assert!(
            html.contains("&lt;y&gt;</text>") && html.contains("<b class=\"c1\">&lt;c&gt;</b>")
        );
        assert_eq!(
            (
                html.matches("<circle").count(),
                html.matches("<rect").count()
            ),
            (1, 1)
        );
    }
}
