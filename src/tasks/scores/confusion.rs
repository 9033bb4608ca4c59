//! The confusion matrix, with precision, recall and F1.

use crate::cpu::Tensor;
use crate::html::escape;
use crate::tasks::Section;
use std::fmt::Write as _;

/// The largest number of classes for which a confusion matrix is computed: a kernel counts every cell.
pub const MOST_CONFUSED: usize = 100;

/// How often each class was predicted as each class.
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    /// A row for each class, a column for each prediction.
    pub rows: Vec<Vec<u64>>,
}

/// How well one class is distinguished from the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// Share of the samples predicted as this class that belong to it; 0 if there are none.
    pub precision: f64,
    /// Share of the samples of this class that were predicted as it; 0 if there are none.
    pub recall: f64,
    /// The harmonic mean of the two; 0 if both are 0.
    pub f1: f64,
}

impl Confusion {
    /// The matrix from counters `[classes, classes]`.
    pub fn of(counted: &Tensor<f32>) -> Confusion {
        let classes = counted.dims().last().copied().unwrap_or(1).max(1);
        let rows = counted.reals().chunks(classes);
        Confusion {
            rows: rows
                .map(|row| row.iter().map(|&count| count as u64).collect())
                .collect(),
        }
    }

    /// Scores of each class.
    pub fn class_scores(&self) -> Vec<ClassScores> {
        let matrix = &self.rows;
        let share = |part: u64, whole: u64| {
            if whole == 0 {
                0.0
            } else {
                part as f64 / whole as f64
            }
        };
        let scores = |class: usize| {
            let right = matrix[class][class];
            let taken: u64 = matrix.iter().map(|row| row[class]).sum();
            let (precision, recall) = (
                share(right, taken),
                share(right, matrix[class].iter().sum()),
            );
            let f1 = match precision + recall {
                0.0 => 0.0,
                sum => 2.0 * precision * recall / sum,
            };
            ClassScores {
                precision,
                recall,
                f1,
            }
        };
        (0..matrix.len()).map(scores).collect()
    }

    /// Macro averages of precision, recall and F1, over the classes that occur as label or prediction, as in scikit-learn.
    pub fn macro_scores(&self) -> ClassScores {
        let matrix = &self.rows;
        let occurs = |class: usize| {
            matrix[class].iter().any(|&n| n > 0) || matrix.iter().any(|row| row[class] > 0)
        };
        let scores = self.class_scores().into_iter().enumerate();
        let scores: Vec<ClassScores> = scores
            .filter(|&(class, _)| occurs(class))
            .map(|(_, scores)| scores)
            .collect();
        let mean = |of: fn(&ClassScores) -> f64| {
            scores.iter().map(of).sum::<f64>() / scores.len().max(1) as f64
        };
        ClassScores {
            precision: mean(|s| s.precision),
            recall: mean(|s| s.recall),
            f1: mean(|s| s.f1),
        }
    }

    /// A line with the available figures.
    pub(in crate::tasks) fn summary(
        top_5: Option<f64>,
        area: Option<f64>,
        matrix: Option<&Confusion>,
    ) -> Option<String> {
        let percent = |share: f64| format!("{:.2}%", 100.0 * share);
        let mut parts = Vec::new();
        parts.extend(top_5.map(|share| format!("top-5 accuracy {}", percent(share))));
        parts.extend(area.map(|area| format!("AUC {area:.4}")));
        parts.extend(matrix.map(Confusion::macro_scores).map(|scores| {
            format!(
                "mean precision {}, recall {}, F1 {}",
                percent(scores.precision),
                percent(scores.recall),
                percent(scores.f1)
            )
        }));
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// The matrix as lines for a terminal; none if there are too many classes.
    pub(in crate::tasks) fn table(&self, classes: &[String]) -> Vec<String> {
        /// The most classes whose matrix fits a terminal.
        const MOST_SHOWN: usize = 20;
        if self.rows.len() > MOST_SHOWN {
            return Vec::new();
        }
        let name = |class: usize| {
            let name = classes
                .get(class)
                .cloned()
                .unwrap_or_else(|| class.to_string());
            name.chars().take(14).collect::<String>()
        };
        let heads: String = (0..self.rows.len())
            .map(|class| format!("{:>7.6}", name(class)))
            .collect();
        let mut lines = vec![format!(
            "{:<14}{heads}  precision  recall     F1",
            "class, as"
        )];
        for (class, (row, scores)) in self.rows.iter().zip(self.class_scores()).enumerate() {
            let counts: String = row.iter().map(|count| format!("{count:>7}")).collect();
            lines.push(format!(
                "{:<14}{counts}  {:>8.1}% {:>6.1}% {:>5.1}%",
                name(class),
                100.0 * scores.precision,
                100.0 * scores.recall,
                100.0 * scores.f1
            ));
        }
        lines
    }

    /// The matrix as a section of a report, with cells shaded by their share of the row; `None` if there are too many classes.
    pub(in crate::tasks) fn html(&self, classes: &[String]) -> Option<Section> {
        const MOST_SHOWN: usize = 40;
        if self.rows.len() > MOST_SHOWN {
            return None;
        }
        let name = |class: usize| match classes.get(class) {
            Some(name) => escape(name),
            None => class.to_string(),
        };
        let mut text = "<p>Rows are true classes, columns are predictions.</p>\n\
                        <table class=\"confusion\">\n<tr><th>"
            .to_string();
        for class in 0..self.rows.len() {
            let _ = write!(text, "<th>{}", name(class));
        }
        text.push_str("<th>precision<th>recall<th>F1\n");
        for (class, (row, scores)) in self.rows.iter().zip(self.class_scores()).enumerate() {
            let _ = write!(text, "<tr><th>{}", name(class));
            let total = row.iter().sum::<u64>().max(1) as f64;
            for (other, &count) in row.iter().enumerate() {
                let kind = if other == class { "test" } else { "train" };
                // At most half of the colour, so that text has a contrast of 5.7 and more in light and dark.
                let share = 50.0 * count as f64 / total;
                let _ = write!(
                    text,
                    "<td style=\"background: color-mix(in srgb, var(--{kind}) {share:.0}%, transparent)\">{count}"
                );
            }
            let _ = writeln!(
                text,
                "<td>{:.1}%<td>{:.1}%<td>{:.1}%",
                100.0 * scores.precision,
                100.0 * scores.recall,
                100.0 * scores.f1
            );
        }
        text.push_str("</table>\n");
        Some(Section {
            title: "Confusion matrix".to_string(),
            html: text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_follow_from_the_matrix() {
        let matrix = Confusion {
            rows: vec![vec![3, 1, 0], vec![2, 4, 0], vec![0, 0, 0]],
        };
        let scores = matrix.class_scores();
        assert_eq!((scores[0].precision, scores[0].recall), (0.6, 0.75));
        assert!((scores[0].f1 - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            scores[2],
            ClassScores {
                precision: 0.0,
                recall: 0.0,
                f1: 0.0
            }
        );
        // The third class neither occurs nor is predicted, so the means leave it out.
        let means = matrix.macro_scores();
        assert!((means.recall - (0.75 + 4.0 / 6.0) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn the_matrix_has_a_row_and_a_column_for_each_class() {
        let matrix = Confusion {
            rows: vec![vec![3, 1], vec![0, 4]],
        };
        let text = matrix
            .html(&["a<b".to_string(), "c".to_string()])
            .unwrap()
            .html;
        let count = |what| text.matches(what).count();
        assert_eq!((count("<tr>"), count("<td style")), (3, 4));
        assert!(
            text.contains("a&lt;b") && text.contains("38%, transparent)\">3<td"),
            "{text}"
        );
    }
}
