//! The SVG shapes that the chart needs.

use std::fmt::Write as _;

/// The part of a text that is at its position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        }
    }
}

/// An SVG picture under construction. Coordinates are in pixels, to the right and down from the upper left corner.
pub(super) struct Svg(String);

impl Svg {
    pub fn new(width: f64, height: f64) -> Self {
        Svg(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        ))
    }

    /// Writing to a string does not fail.
    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(element);
        self.0.push('\n');
    }

    pub fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, size: f64, colour: &str, text: &str) {
        let (anchor, text) = (anchor.name(), escaped(text));
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
        ));
    }

    /// Text centred at `at`, rotated by `angle` (clockwise), slightly above the line through it.
    pub fn text_along(
        &mut self,
        [x, y]: [f64; 2],
        angle: f64,
        size: f64,
        colour: &str,
        text: &str,
    ) {
        let (degrees, text) = (angle.to_degrees(), escaped(text));
        self.push(format_args!(
            "<text transform=\"translate({x:.1} {y:.1}) rotate({degrees:.1})\" dy=\"-7\" font-size=\"{size}\" \
             text-anchor=\"middle\" fill=\"{colour}\">{text}</text>"
        ));
    }

    /// Text centred at `centre` with a white outline.
    pub fn halo_text(&mut self, [x, y]: [f64; 2], size: f64, colour: &str, text: &str) {
        let (y, text) = (y + 0.36 * size, escaped(text));
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"middle\" fill=\"{colour}\" \
             stroke=\"white\" stroke-width=\"3\" paint-order=\"stroke\">{text}</text>"
        ));
    }

    pub fn line(&mut self, points: &[[f64; 2]], colour: &str, width: f64) {
        let points: Vec<String> = points
            .iter()
            .map(|[x, y]| format!("{x:.1},{y:.1}"))
            .collect();
        let points = points.join(" ");
        self.push(format_args!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
        ));
    }

    pub fn circle(&mut self, [x, y]: [f64; 2], radius: f64, colour: &str) {
        self.push(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\"/>"
        ));
    }

    /// A filled rectangle, given by its left, top, right and bottom.
    pub fn rectangle(&mut self, [left, top, right, bottom]: [f64; 4], colour: &str) {
        let (width, height) = (right - left, bottom - top);
        self.push(format_args!(
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
        ));
    }

    pub fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
