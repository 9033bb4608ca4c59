//! The samples with the largest losses in a report: their inputs, truth and prediction.

use crate::data::{Fitted, Samples, field};
use crate::html::{escape, png_address, shortened};
use crate::tasks::{WorstSample, thumbnail};
use std::fmt::Write as _;

/// Number of samples that are shown.
pub(in crate::run) const MOST_SAMPLES: usize = 12;
/// Largest width and height of an image, in pixels.
const MOST_SIDE: u32 = 96;
/// Most characters of a text, of a cell, and of a class or column.
const MOST_TEXT: usize = 240;
const MOST_CELL: usize = 40;
/// Most columns of a row of a table.
const MOST_COLUMNS: usize = 16;
/// Most columns of a window that are drawn, and most rows.
const MOST_CURVES: usize = 3;
const MOST_ROWS: usize = 200;

/// Images of samples as bytes, one after another, with the shape of one.
pub(in crate::run) type SamplePictures = (Vec<usize>, Vec<u8>);

/// The section, as HTML; empty without samples. `about` says which samples they are, as the beginning of a sentence.
pub(in crate::run) fn section(
    worst: &[WorstSample],
    samples: &Samples,
    fitted: &Fitted,
    pictures: Option<&SamplePictures>,
    about: &str,
) -> String {
    let Some(first) = worst.first() else {
        return String::new();
    };
    let inputs = Inputs { samples, fitted };
    let pictures: Vec<Option<String>> = (0..worst.len())
        .map(|place| pictures.and_then(|pictures| picture(pictures, place)))
        .collect();
    let names = inputs.names(first.index);
    let mut html = format!(
        "<p>{}; numbers of samples count from 0.{}</p>\n",
        escape(about),
        inputs.note()
    );
    if names.is_empty() && pictures.iter().any(Option::is_some) {
        html.push_str("<div class=\"cards\">\n");
        for (sample, picture) in worst.iter().zip(&pictures) {
            let _ = writeln!(
                html,
                "<figure>{}<figcaption>{}</figcaption></figure>",
                picture.as_deref().unwrap_or_default(),
                caption(sample)
            );
        }
        html.push_str("</div>\n");
        return html;
    }
    let pictured = pictures.iter().any(Option::is_some);
    html.push_str("<table class=\"whole\">\n<tr><th>sample");
    for (name, _) in &first.figures {
        let _ = write!(html, "<th class=\"name\">{}", escape(name));
    }
    if pictured {
        html.push_str("<th class=\"name\">image");
    }
    for name in &names {
        let _ = write!(
            html,
            "<th class=\"name\">{}",
            escape(&shortened(name, MOST_CELL))
        );
    }
    html.push('\n');
    for (sample, picture) in worst.iter().zip(&pictures) {
        let _ = write!(html, "<tr><td>{}", sample.index);
        for (_, value) in &sample.figures {
            let _ = write!(
                html,
                "<td class=\"name\">{}",
                escape(&shortened(value, MOST_CELL))
            );
        }
        if pictured {
            let _ = write!(
                html,
                "<td class=\"name\">{}",
                picture.as_deref().unwrap_or_default()
            );
        }
        for cell in inputs.cells(sample.index) {
            html.push_str(&cell);
        }
        html.push('\n');
    }
    html.push_str("</table>\n");
    html
}

/// An image as an element; `None` if it can't be drawn.
fn picture((shape, bytes): &SamplePictures, place: usize) -> Option<String> {
    let each = shape.iter().product::<usize>();
    let own = bytes.get(place * each..(place + 1) * each)?;
    let file = thumbnail(shape, own.to_vec(), MOST_SIDE).ok()??;
    Some(format!(
        "<img class=\"pixels\" alt=\"\" src=\"{}\">",
        png_address(&file)
    ))
}

/// Number and figures of a sample below its image.
fn caption(sample: &WorstSample) -> String {
    let mut caption = format!("sample {}", sample.index);
    for (name, value) in &sample.figures {
        let value = shortened(value, MOST_CELL);
        let _ = write!(caption, "<br>{} <b>{}</b>", escape(name), escape(&value));
    }
    caption
}

/// The inputs of samples besides images.
struct Inputs<'a> {
    samples: &'a Samples,
    fitted: &'a Fitted,
}

impl Inputs<'_> {
    /// Headings of the cells of a sample.
    fn names(&self, index: usize) -> Vec<String> {
        let has = |name| self.samples.numbers(name, index).is_some();
        if self.samples.tokens(index).is_some() {
            return vec![self.fitted.text.clone().unwrap_or("text".to_string())];
        }
        if has(field::ROW) {
            let columns = self.fitted.columns.iter().take(MOST_COLUMNS);
            return columns.map(|column| column.name.clone()).collect();
        }
        match has(field::WINDOW) {
            true => vec!["window".to_string()],
            false => Vec::new(),
        }
    }

    /// What is left out, if something is.
    fn note(&self) -> String {
        let (all, is_row) = (
            self.fitted.columns.len(),
            self.samples.field(field::ROW).is_some(),
        );
        match is_row && all > MOST_COLUMNS {
            true => format!(" The first {MOST_COLUMNS} of {all} columns."),
            false => String::new(),
        }
    }

    /// The cells of a sample as HTML.
    fn cells(&self, index: usize) -> Vec<String> {
        if let Some(tokens) = self.samples.tokens(index) {
            let text = match &self.fitted.tokenizer {
                Some(tokenizer) => tokenizer.decode(tokens),
                None => format!("{tokens:?}"),
            };
            let text = escape(&shortened(text.trim(), MOST_TEXT));
            return vec![format!("<td class=\"text\">{text}")];
        }
        if let Some((mut values, _)) = self.samples.numbers(field::ROW, index) {
            let columns = self.fitted.columns.iter().take(MOST_COLUMNS);
            let cell = |column: &crate::data::Column| {
                let (own, rest) = values
                    .split_at_checked(column.width())
                    .unwrap_or((&[], &[]));
                values = rest;
                let text = escape(&shortened(&column.cell(own), MOST_CELL));
                format!("<td class=\"name\">{text}")
            };
            return columns.map(cell).collect();
        }
        let window = self.samples.numbers(field::WINDOW, index);
        let drawn = window.map(|(values, columns)| curves(values, columns));
        drawn
            .into_iter()
            .map(|svg| format!("<td class=\"name\">{svg}"))
            .collect()
    }
}

/// The first columns of a window as small curves without axes, in standard deviations.
fn curves(values: &[f32], columns: usize) -> String {
    const SIZE: [f64; 2] = [180.0, 48.0];
    let rows = values.len() / columns.max(1);
    let every = rows.div_ceil(MOST_ROWS).max(1);
    let shown = || values.chunks_exact(columns.max(1)).step_by(every);
    let all = shown().flat_map(|row| &row[..columns.min(MOST_CURVES)]);
    let finite = all.filter(|x| x.is_finite());
    let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &x| {
        (low.min(x), high.max(x))
    });
    let mut svg = format!(
        "<svg class=\"small\" role=\"img\" aria-label=\"window\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\">",
        SIZE[0], SIZE[1], SIZE[0], SIZE[1]
    );
    let last = shown().count().saturating_sub(1).max(1) as f64;
    for column in 0..columns.min(MOST_CURVES) {
        let points: Vec<String> = shown()
            .enumerate()
            .filter(|(_, row)| row[column].is_finite())
            .map(|(at, row)| {
                let height = f64::from((row[column] - low) / (high - low).max(1e-30));
                let x = 2.0 + at as f64 / last * (SIZE[0] - 4.0);
                format!("{x:.1},{:.1}", SIZE[1] - 2.0 - height * (SIZE[1] - 4.0))
            })
            .collect();
        let _ = write!(
            svg,
            "<polyline class=\"c{column}\" points=\"{}\"/>",
            points.join(" ")
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{
        Column, ColumnKind, ImageSet, RowSet, Targets, TokenKind, Tokenizer, WindowRows,
    };

    fn worst(index: usize) -> Vec<WorstSample> {
        vec![WorstSample {
            index,
            figures: vec![("truth", "<b>cat".to_string()), ("loss", "2.5".to_string())],
        }]
    }

    fn rows(rows: WindowRows, length: usize) -> Samples {
        Samples::from(RowSet {
            rows,
            starts: vec![0, length as u32],
            random_starts: false,
            length,
            targets: Targets::Classes(vec![0, 1]),
        })
    }

    #[test]
    fn rows_have_their_columns_in_the_units_of_the_file() {
        let samples = rows(
            WindowRows::Floats {
                values: vec![0.5, 1.0, 0.0, 0.0, 0.0, 1.0],
                columns: 3,
            },
            1,
        );
        let fitted = Fitted {
            columns: vec![
                Column {
                    name: "<age>".to_string(),
                    kind: ColumnKind::Number {
                        mean: 40.0,
                        std: 10.0,
                        missing: false,
                        pieces: Vec::new(),
                        form: Default::default(),
                    },
                },
                Column {
                    name: "colour".to_string(),
                    kind: ColumnKind::Category {
                        values: vec!["<red>".to_string(), String::new()],
                    },
                },
            ],
            ..Fitted::default()
        };
        let html = section(&worst(0), &samples, &fitted, None, "test");
        let names = "<th class=\"name\">&lt;age&gt;<th class=\"name\">colour";
        assert!(html.contains(names), "{html}");
        let cells = "<td>0<td class=\"name\">&lt;b&gt;cat<td class=\"name\">2.5<td class=\"name\">45<td class=\"name\">&lt;red&gt;";
        assert!(html.contains(cells), "{html}");
        let html = section(&worst(1), &samples, &fitted, None, "test");
        assert!(
            html.contains("<td class=\"name\">40<td class=\"name\">(missing)"),
            "{html}"
        );
        assert_eq!(section(&[], &samples, &fitted, None, "test"), "");
    }

    #[test]
    fn texts_are_escaped_and_shortened() {
        let text = format!("<script>{}", "x".repeat(1000));
        let tokenizer = Tokenizer::learn(TokenKind::Characters, 100, [&*text].into_iter());
        let mut tokens = Vec::new();
        tokenizer.encoder().encode(&text, &mut tokens);
        let length = tokens.len();
        let samples = rows(
            WindowRows::Tokens {
                tokens: tokens.repeat(2),
                vocabulary: 100,
            },
            length,
        );
        let fitted = Fitted {
            tokenizer: Some(tokenizer),
            ..Fitted::default()
        };
        let html = section(&worst(1), &samples, &fitted, None, "validation");
        assert!(
            html.contains("<td class=\"text\">&lt;script&gt;xxx"),
            "{html}"
        );
        assert!(!html.contains("<script") && html.contains('…') && html.len() < 1000);
    }

    #[test]
    fn images_are_drawn_with_their_figures() {
        let samples = Samples::from(ImageSet {
            images: vec![0, 255],
            labels: vec![0, 1],
            height: 1,
            width: 1,
            channels: 1,
        });
        let pictures = (vec![1, 1, 1], vec![255]);
        let html = section(
            &worst(1),
            &samples,
            &Fitted::default(),
            Some(&pictures),
            "test",
        );
        assert!(html.contains("src=\"data:image/png;base64,"), "{html}");
        assert!(
            html.contains("sample 1<br>truth <b>&lt;b&gt;cat</b>"),
            "{html}"
        );
    }

    #[test]
    fn windows_are_small_curves_of_the_first_columns() {
        let values = (0..5000).map(|i| i as f32).collect();
        let samples = rows(WindowRows::Floats { values, columns: 5 }, 500);
        let html = section(&worst(1), &samples, &Fitted::default(), None, "test");
        assert_eq!(
            (
                html.matches("<svg").count(),
                html.matches("<polyline").count()
            ),
            (1, 3)
        );
        assert!(
            html.len() < 10_000 && !html.contains("NaN"),
            "{}",
            html.len()
        );
    }
}
