//! Small histograms without axes: as SVG, and as characters.

use super::escape;
use std::fmt::Write as _;

/// Width and height in CSS pixels.
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 56.0;
/// The characters for an eighth of the highest bar to all of it.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A histogram of `counts` in the colour `class`, a class of [`STYLE`](super::plot::STYLE), that shows what `label` says. A bar that
/// is not empty is at least one pixel high.
pub fn histogram(label: &str, counts: &[usize], class: &str) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let width = WIDTH / counts.len().max(1) as f64;
    let mut svg = format!(
        "<svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\n\
         <line class=\"grid\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{HEIGHT}\" y2=\"{HEIGHT}\"/>",
        escape(label)
    );
    for (place, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (count as f64 / most * HEIGHT).max(1.0);
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            place as f64 * width,
            HEIGHT - height,
            (width - 1.0).max(1.0)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// A histogram of `counts` as block characters, a space for nothing.
pub fn in_blocks(counts: &[usize]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let block = |&count: &usize| match count {
        0 => ' ',
        count => BLOCKS[(count * BLOCKS.len()).div_ceil(most) - 1],
    };
    counts.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_counts_and_empty_ones_are_left_out() {
        assert_eq!(in_blocks(&[8, 4, 1, 0, 0]), "█▄▁  ");
        assert_eq!(in_blocks(&[1000, 1]), "█▁");
        let svg = histogram("<a>", &[10, 0, 5], "c0");
        assert!(svg.contains("&lt;a&gt;") && !svg.contains("<a>"));
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(
            svg.contains("height=\"56.0\"") && svg.contains("height=\"28.0\""),
            "{svg}"
        );
    }
}
