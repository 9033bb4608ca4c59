//! Sections of a report about ranking.

use super::{Ranking, class_rankings};
use crate::html::plot::{Axis, COLOURS, Curve, Plot};
use crate::html::{escape, shortened};
use crate::tasks::Section;
use std::fmt::Write as _;

/// Up to this many classes have a curve each in a colour of its own; of more, those with the lowest AUC.
const MOST_COLOURED: usize = COLOURS;
/// Up to this many classes have a curve.
const MOST_DRAWN: usize = 30;
/// Most rows of the table; of more classes, those with the lowest AUC.
const MOST_ROWS: usize = 40;
/// Most characters of a class's name.
const MOST_NAME: usize = 24;

/// ROC and precision-recall curves from the logits `[samples, classes]`: of two classes for the second, of more for each against
/// the rest, and their macro average. `None` if no class has both samples and others.
pub(in crate::tasks) fn rankings(
    logits: &[f32],
    classes: usize,
    labels: &[u32],
    names: &[String],
) -> Option<Section> {
    let found = class_rankings(logits, classes, labels);
    let found: Vec<(usize, Ranking)> = found
        .into_iter()
        .filter_map(|(class, ranking)| Some((class, ranking?)))
        .collect();
    match (&found[..], classes) {
        ([(class, only)], 2) => {
            let about = format!(
                "For the class <b>{}</b> ({} of {} samples): area under the ROC curve (AUC) <b>{:.4}</b>, average precision \
                 <b>{:.4}</b>.",
                escape(&name_of(*class, names)),
                only.positives,
                labels.len(),
                only.area,
                only.average_precision
            );
            drawn(found, names, |_| about)
        }
        _ => drawn(found, names, |mean| {
            format!("Each class against the rest. {}", means(mean, "classes"))
        }),
    }
}

/// The same of labels, of which a sample may have several: a ranking for each.
pub(in crate::tasks) fn label_rankings(
    found: Vec<(usize, Ranking)>,
    names: &[String],
) -> Option<Section> {
    drawn(found, names, |mean| means(mean, "labels"))
}

/// The name of a class, as far as there is room for it.
fn name_of(class: usize, names: &[String]) -> String {
    match names.get(class) {
        Some(name) => shortened(name, MOST_NAME),
        None => class.to_string(),
    }
}

/// The means of several rankings, in words.
fn means(mean: &Ranking, noun: &str) -> String {
    format!(
        "Mean over the {noun} (macro average): area under the ROC curve (AUC) <b>{:.4}</b>, average precision <b>{:.4}</b>.",
        mean.area, mean.average_precision
    )
}

/// The curves of rankings, below what is said of their mean.
fn drawn(
    mut found: Vec<(usize, Ranking)>,
    names: &[String],
    about: impl FnOnce(&Ranking) -> String,
) -> Option<Section> {
    let mean = Ranking::mean(found.iter().map(|(_, ranking)| ranking))?;
    let name = |class: usize| name_of(class, names);
    let mut coloured = "";
    if found.len() > MOST_COLOURED {
        found.sort_by(|(_, a), (_, b)| a.area.total_cmp(&b.area));
        coloured = " Those in colour have the lowest AUC.";
    }
    let about = format!("<p>{}{coloured}</p>\n", about(&mean));
    let chance = Curve::line("", "quiet", vec![(0.0, 0.0), (1.0, 1.0)]);
    let roc = curves(&found, &mean, &name, |ranking| ranking.roc.clone());
    let roc = Plot {
        title: "ROC".to_string(),
        x: Axis::share("false positive rate"),
        y: Axis::share("true positive rate"),
        bars: Vec::new(),
        curves: [chance].into_iter().chain(roc).collect(),
    };
    let precision_recall = Plot {
        title: "precision and recall".to_string(),
        x: Axis::share("recall"),
        y: Axis::share("precision"),
        bars: Vec::new(),
        curves: curves(&found, &mean, &name, |ranking| {
            // Before its first threshold, a curve is at the precision of that.
            let first = ranking.precision_recall.first().map(|&(_, y)| (0.0, y));
            first
                .into_iter()
                .chain(ranking.precision_recall.iter().copied())
                .collect()
        }),
    };
    let mut html = about + &roc.html() + &precision_recall.html();
    if found.len() > 1 {
        html.push_str(&table(&found, &name));
    }
    Some(Section {
        title: "ROC and precision-recall curves".to_string(),
        html,
    })
}

/// The curves of the classes, and of their mean in front.
fn curves(
    found: &[(usize, Ranking)],
    mean: &Ranking,
    name: &dyn Fn(usize) -> String,
    of: impl Fn(&Ranking) -> Vec<(f64, f64)>,
) -> Vec<Curve> {
    let drawn = found.iter().take(MOST_DRAWN).enumerate();
    let mut curves: Vec<Curve> = drawn
        .map(|(index, (class, ranking))| match index < MOST_COLOURED {
            true => Curve::line(&name(*class), &format!("c{index}"), of(ranking)),
            false => Curve::line("", "faint", of(ranking)),
        })
        .collect();
    // Faint curves lie behind the coloured ones.
    curves.reverse();
    if found.len() > 1 {
        curves.push(Curve::line("mean", "mean", of(mean)));
    }
    curves
}

/// A table of the areas.
fn table(found: &[(usize, Ranking)], name: &dyn Fn(usize) -> String) -> String {
    let mut table =
        "<table>\n<tr><th class=\"name\">class<th>samples<th>AUC<th>average precision\n"
            .to_string();
    for (class, ranking) in found.iter().take(MOST_ROWS) {
        let _ = writeln!(
            table,
            "<tr><td class=\"name\">{}<td>{}<td>{:.4}<td>{:.4}",
            escape(&name(*class)),
            ranking.positives,
            ranking.area,
            ranking.average_precision
        );
    }
    table.push_str("</table>\n");
    if found.len() > MOST_ROWS {
        let _ = writeln!(
            table,
            "<p>The {MOST_ROWS} of {} classes with the lowest AUC.</p>",
            found.len()
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(classes: usize, count: usize) -> (Vec<f32>, Vec<u32>) {
        let labels: Vec<u32> = (0..count).map(|i| (i % classes) as u32).collect();
        let logit = |i: usize| ((i * 7919) % 1009) as f32 / 500.0;
        ((0..count * classes).map(logit).collect(), labels)
    }

    #[test]
    fn two_classes_have_one_curve_and_no_table() {
        let (logits, labels) = set(2, 40);
        let names = ["no".to_string(), "<b>yes".to_string()];
        let html = rankings(&logits, 2, &labels, &names).unwrap().html;
        assert!(
            html.contains("<b>&lt;b&gt;yes</b> (20 of 40 samples)"),
            "{html}"
        );
        assert_eq!(
            (html.matches("<svg").count(), html.matches("<table").count()),
            (2, 0)
        );
        assert!(rankings(&logits, 2, &[1; 40], &names).is_none());
    }

    #[test]
    fn many_classes_give_a_bounded_section() {
        let (logits, labels) = set(300, 3000);
        let names: Vec<String> = (0..300)
            .map(|i| format!("<{i}>{}", "x".repeat(500)))
            .collect();
        let html = rankings(&logits, 300, &labels, &names).unwrap().html;
        assert_eq!(html.matches("<tr>").count(), 1 + MOST_ROWS);
        assert_eq!(html.matches("<polyline").count(), 2 * (MOST_DRAWN + 1) + 1);
        assert!(
            html.len() < 300_000 && !html.contains("<0>"),
            "{}",
            html.len()
        );
    }
}
