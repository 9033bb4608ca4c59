//! What an attack did as a page without scripts: the accuracy by strength as a curve, and the worst images.

use super::{Misled, Robustness, Strength};
use crate::error::Result;
use crate::html::plot::{Axis, Curve, Plot};
use crate::html::{escape, page_head, png_address};
use crate::tasks::thumbnail;
use std::fmt::Write as _;

/// The longest side of an image on the page.
const SIDE: u32 = 96;

impl Robustness {
    /// The page. `title` names the run, `classes` its classes.
    ///
    /// # Errors
    /// If an image can't be encoded.
    pub fn page(&self, title: &str, classes: &[String]) -> Result<String> {
        let mut page = page_head(&format!("Attack on {title}"));
        page.push_str(&self.chart());
        page.push_str(&self.table());
        for strength in self
            .strengths
            .iter()
            .filter(|strength| !strength.misled.is_empty())
        {
            let _ = writeln!(
                page,
                "<h2>Misjudged at {}</h2>\n<p>Before and after the change, those first that are misjudged with the most confidence.</p>\n\
                 <div class=\"cards\">",
                shown(strength.epsilon)
            );
            for misled in &strength.misled {
                page.push_str(&self.card(misled, classes)?);
            }
            page.push_str("</div>\n");
        }
        page.push_str("</html>\n");
        Ok(page)
    }

    fn chart(&self) -> String {
        let clean = self
            .strengths
            .first()
            .map(|first| (0.0, first.clean_accuracy));
        let under = self.strengths.iter();
        let under = under.map(|strength| (strength.epsilon, strength.robust_accuracy));
        let points: Vec<(f64, f64)> = clean.into_iter().chain(under).collect();
        let axis = Axis::over("bound of the change", points.iter().map(|(x, _)| *x));
        let mut curve = Curve::line("", "test", points);
        curve.dots = Some(3.0);
        axis.map_or(String::new(), |x| {
            let plot = Plot {
                title: "accuracy under attack".to_string(),
                x,
                y: Axis::share("accuracy"),
                bars: Vec::new(),
                curves: vec![curve],
            };
            plot.html()
        })
    }

    fn table(&self) -> String {
        let mut table = "<table>\n<tr><th class=\"name\">attack<th>norm<th>bound<th>steps<th>starts<th>images<th>accuracy\
                         <th>under attack<th>mean change\n"
            .to_string();
        for strength in &self.strengths {
            let Strength { attack, .. } = strength;
            let change = strength.mean_change.map_or("–".to_string(), shown);
            let _ = writeln!(
                table,
                "<tr><td class=\"name\">{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.2}%<td>{:.2}%<td>{change}",
                attack.method.name(),
                attack.norm.name(),
                shown(strength.epsilon),
                attack.steps,
                attack.restarts,
                strength.samples,
                100.0 * strength.clean_accuracy,
                100.0 * strength.robust_accuracy,
            );
        }
        table.push_str("</table>\n");
        table
    }

    fn card(&self, misled: &Misled, classes: &[String]) -> Result<String> {
        let name = |class: u32| match classes.get(class as usize) {
            Some(name) => escape(name),
            None => class.to_string(),
        };
        let mut images = String::new();
        for pixels in &misled.pixels {
            let bytes = pixels.iter().map(|x| (255.0 * x).round() as u8).collect();
            if let Some(file) = thumbnail(&self.shape, bytes, SIDE)? {
                let _ = write!(
                    images,
                    "<img class=\"pixels\" alt=\"\" src=\"{}\">",
                    png_address(&file)
                );
            }
        }
        Ok(format!(
            "<figure>{images}<figcaption>{}: {} → <b class=\"train\">{}</b> {:.1}%</figcaption></figure>\n",
            misled.index,
            name(misled.label),
            name(misled.predicted),
            100.0 * misled.confidence
        ))
    }
}

/// A bound as text.
fn shown(epsilon: f64) -> String {
    let text = format!("{epsilon:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}
