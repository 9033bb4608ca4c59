//! Explanations as a page without scripts: each image with its prediction and what each method finds.

use super::{Explanation, picture};
use crate::error::Result;
use crate::html::{escape, page_head, png_address};
use crate::tasks::thumbnail;
use std::fmt::Write as _;

/// The longer side of an image on the page, in pixels.
const SIDE: u32 = 224;

/// An image with its explanations.
#[derive(Clone, Debug)]
pub struct ExplainedImage {
    /// What it is called.
    pub name: String,
    /// Extents: `[height, width, channels]`.
    pub shape: [usize; 3],
    /// Pixels from 0 to 1.
    pub pixels: Vec<f32>,
    /// Name and probability of the classes that the classifier finds most probable, those first.
    pub predictions: Vec<(String, f64)>,
    /// The class that is explained.
    pub explained: String,
    /// One for each method.
    pub explanations: Vec<Explanation>,
    /// The training images that are most alike to the network, with their classes in words.
    pub nearest: Vec<NearestExample>,
}

/// A training image on a page.
#[derive(Clone, Debug)]
pub struct NearestExample {
    /// Its class in words.
    pub class: String,
    /// The cosine of its features with those of the image.
    pub similarity: f64,
    /// Pixels from 0 to 1.
    pub pixels: Vec<f32>,
}

impl ExplainedImage {
    /// The page of several images, called `title`.
    ///
    /// # Errors
    /// If a picture can't be encoded.
    pub fn page(title: &str, images: &[ExplainedImage]) -> Result<String> {
        let mut page = page_head(&format!("Explanations of {title}"));
        page.push_str(
            "<p>Red raises the logit of the class, blue lowers it. The strongest hundredth of the places has the full colour.</p>\n",
        );
        for image in images {
            page.push_str(&image.section()?);
        }
        page.push_str("</html>\n");
        Ok(page)
    }

    fn section(&self) -> Result<String> {
        let mut html = format!("<h2>{}</h2>\n<p>", escape(&self.name));
        let predictions = self.predictions.iter();
        let predictions: Vec<String> = predictions
            .map(|(name, share)| format!("{} {:.1}%", escape(name), 100.0 * share))
            .collect();
        let _ = writeln!(
            html,
            "Predicted: {}. Explained: {}.</p>\n<div class=\"cards\">",
            predictions.join(", "),
            escape(&self.explained)
        );
        let bytes = self
            .pixels
            .iter()
            .map(|x| (255.0 * x).round() as u8)
            .collect();
        if let Some(file) = thumbnail(&self.shape, bytes, SIDE)? {
            html.push_str(&figure(&file, "image"));
        }
        for explanation in &self.explanations {
            let file = picture::overlay(
                self.shape,
                &self.pixels,
                explanation.shape,
                &explanation.values,
            )?;
            let Some(file) = file else { continue };
            let mut caption = explanation.method.name().replace('_', " ");
            if let Some(missed) = explanation.completeness {
                let _ = write!(caption, ", sum {:.2}% off", 100.0 * missed);
            }
            html.push_str(&figure(&file, &caption));
        }
        html.push_str("</div>\n");
        if !self.nearest.is_empty() {
            html.push_str("<p>The nearest training images, by what the last dense layer reads of them:</p>\n<div class=\"cards\">");
        }
        for nearest in &self.nearest {
            let bytes = nearest
                .pixels
                .iter()
                .map(|x| (255.0 * x).round() as u8)
                .collect();
            if let Some(file) = thumbnail(&self.shape, bytes, SIDE)? {
                let caption = format!(
                    "{}, cosine {:.3}",
                    escape(&nearest.class),
                    nearest.similarity
                );
                html.push_str(&figure(&file, &caption));
            }
        }
        if !self.nearest.is_empty() {
            html.push_str("</div>\n");
        }
        Ok(html)
    }
}

fn figure(file: &[u8], caption: &str) -> String {
    format!(
        "<figure><img class=\"pixels\" alt=\"\" src=\"{}\"><figcaption>{caption}</figcaption></figure>\n",
        png_address(file)
    )
}
