//! Explanations of texts as a page without scripts: each text with its prediction, and its tokens in colours.

use super::TextExplanation;
use crate::html::plot::significant;
use crate::html::{escape, page_head};
use std::fmt::Write as _;

/// Opacity of the colour of the token with the largest attribution.
const FULL: f64 = 0.75;

/// A text with its explanations.
#[derive(Clone, Debug)]
pub struct ExplainedText {
    /// What it is called.
    pub name: String,
    /// Each of its tokens as text, before the padding.
    pub tokens: Vec<String>,
    /// Name and probability of the classes that the classifier finds most probable, those first.
    pub predictions: Vec<(String, f64)>,
    /// The class that is explained.
    pub explained: String,
    /// One for each method.
    pub explanations: Vec<TextExplanation>,
}

impl ExplainedText {
    /// The page of several texts, called `title`.
    pub fn page(title: &str, texts: &[ExplainedText]) -> String {
        let mut page = page_head(&format!("Explanations of {title}"));
        page.push_str(
            "<p>Red tokens raise the logit of the class, blue ones lower it. Of attention rollout, red is the share of a token in what \
             attention carries to the classifier, whatever the class. The strongest token has the full colour.</p>\n",
        );
        for text in texts {
            text.section(&mut page);
        }
        page.push_str("</html>\n");
        page
    }

    fn section(&self, html: &mut String) {
        let predictions = self.predictions.iter();
        let predictions: Vec<String> = predictions
            .map(|(name, share)| format!("{} {:.1}%", escape(name), 100.0 * share))
            .collect();
        let _ = writeln!(
            html,
            "<h2>{}</h2>\n<p>Predicted: {}. Explained: {}.</p>",
            escape(&self.name),
            predictions.join(", "),
            escape(&self.explained)
        );
        for explanation in &self.explanations {
            let _ = write!(html, "<h3>{}", explanation.method.name().replace('_', " "));
            if let Some(missed) = explanation.completeness {
                let _ = write!(html, ", sum {:.2}% off", 100.0 * missed);
            }
            html.push_str("</h3>\n<p>");
            for (token, (value, share)) in self.tokens.iter().zip(explanation.shares()) {
                let colour = if share > 0.0 {
                    "255, 60, 40"
                } else {
                    "40, 110, 255"
                };
                let _ = write!(
                    html,
                    "<span style=\"background: rgba({colour}, {:.3})\" title=\"{}\">{}</span> ",
                    FULL * share.abs(),
                    significant(value, 4),
                    escape(token)
                );
            }
            html.push_str("</p>\n");
        }
    }
}

impl TextExplanation {
    /// The attribution of each token, and its share of the largest magnitude, from -1 to 1.
    pub fn shares(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let sizes = self.values.iter().map(|x| x.abs());
        let full = sizes.filter(|x| x.is_finite()).fold(0.0, f64::max);
        let full = full.max(f64::MIN_POSITIVE);
        let share = move |&value: &f64| {
            let share = (value / full).clamp(-1.0, 1.0);
            (value, if share.is_finite() { share } else { 0.0 })
        };
        self.values.iter().map(share)
    }
}
