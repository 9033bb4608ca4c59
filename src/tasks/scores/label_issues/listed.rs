//! Label issues as they are listed: with the names of classes and samples, as lines of JSON, as rows of a table and in a page.

use super::{LabelIssue, LabelIssues, LabelNoise};
use crate::data::SampleName;
use crate::html::escape;
use crate::tasks::WorstSample;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Most pairs of classes in a page.
const MOST_PAIRS: usize = 20;

/// Label issues of a part of the data.
#[derive(Clone, Debug)]
pub struct ListedIssues {
    /// What was found.
    pub found: LabelIssues,
    /// What the sample of each issue is called, in the order of the issues.
    pub samples: Vec<IssueSample>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The part of the data.
    pub part: String,
}

/// The sample of an issue.
#[derive(Clone, Debug, PartialEq)]
pub struct IssueSample {
    /// The fold in which it was held out, from 1, if the samples are those of several folds.
    pub fold: Option<usize>,
    /// Its index in the part, or in that of its fold.
    pub index: usize,
    /// Its name.
    pub name: SampleName,
}

impl ListedIssues {
    /// The name of a class.
    pub fn class(&self, class: u32) -> String {
        let name = self.classes.get(class as usize).cloned();
        name.unwrap_or_else(|| class.to_string())
    }

    /// The issues with their samples, the lowest margin first.
    pub fn issues(&self) -> impl Iterator<Item = (&LabelIssue, &IssueSample)> {
        self.found.issues.iter().zip(&self.samples)
    }

    /// Estimated share of the samples that is labelled wrong.
    pub fn estimated_share(&self) -> f64 {
        self.found.estimated / self.found.samples.max(1) as f64
    }

    /// Lines of JSON: a summary, the pairs of classes, and the issues.
    pub fn json_lines(&self) -> Vec<Value> {
        let mut lines = vec![json!({
            "event": "label_issues",
            "part": self.part,
            "samples": self.found.samples,
            "issues": self.found.issues.len(),
            "estimated": self.found.estimated,
            "estimated_share": self.estimated_share(),
            "thresholds": self.found.thresholds,
        })];
        lines.extend(self.found.noise.iter().map(|pair| self.pair_line(pair)));
        lines.extend(
            self.issues()
                .map(|(issue, sample)| self.issue_line(issue, sample)),
        );
        lines
    }

    fn pair_line(&self, pair: &LabelNoise) -> Value {
        json!({
            "event": "label_noise",
            "given": self.class(pair.given),
            "suggested": self.class(pair.suggested),
            "counted": pair.counted,
            "estimated": pair.estimated,
            "rate": pair.rate,
        })
    }

    fn issue_line(&self, issue: &LabelIssue, sample: &IssueSample) -> Value {
        let mut line = Map::from_iter([("event".to_string(), "label_issue".into())]);
        if let Some(fold) = sample.fold {
            line.insert("fold".to_string(), fold.into());
        }
        line.insert("index".to_string(), sample.index.into());
        line.insert(sample.name.key.to_string(), sample.name.value.clone());
        line.extend([
            ("given".to_string(), self.class(issue.given).into()),
            ("suggested".to_string(), self.class(issue.suggested).into()),
            (
                "given_probability".to_string(),
                issue.given_probability.into(),
            ),
            (
                "suggested_probability".to_string(),
                issue.suggested_probability.into(),
            ),
            ("margin".to_string(), issue.margin.into()),
        ]);
        Value::Object(line)
    }

    /// The head of a table with the issues, as [`ListedIssues::rows`] has them.
    pub fn head(&self) -> Vec<String> {
        let mut head: Vec<&str> = Vec::new();
        let first = self.samples.first();
        if first.is_some_and(|sample| sample.fold.is_some()) {
            head.push("fold");
        }
        head.push("index");
        head.extend(
            first
                .map(|sample| sample.name.key)
                .filter(|key| *key != "index"),
        );
        head.extend([
            "given",
            "suggested",
            "given_probability",
            "suggested_probability",
            "margin",
        ]);
        head.into_iter().map(String::from).collect()
    }

    /// A row for each issue.
    pub fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        self.issues().map(|(issue, sample)| {
            let mut row: Vec<String> = sample.fold.iter().map(usize::to_string).collect();
            row.push(sample.index.to_string());
            match &sample.name.value {
                _ if sample.name.key == "index" => {}
                Value::String(name) => row.push(name.clone()),
                number => row.push(number.to_string()),
            }
            row.extend([self.class(issue.given), self.class(issue.suggested)]);
            let figures = [
                issue.given_probability,
                issue.suggested_probability,
                issue.margin,
            ];
            row.extend(figures.map(|figure| format!("{figure:.6}")));
            row
        })
    }

    /// The first `most` issues as samples that a page shows.
    pub fn shown(&self, most: usize) -> Vec<WorstSample> {
        let percent = |p: f64| format!("{:.1}%", 100.0 * p);
        self.issues()
            .take(most)
            .map(|(issue, sample)| {
                let mut figures = Vec::new();
                if sample.name.key != "index" {
                    figures.push((sample.name.key, sample.name.to_string()));
                }
                figures.extend([
                    (
                        "given",
                        format!(
                            "{} {}",
                            self.class(issue.given),
                            percent(issue.given_probability)
                        ),
                    ),
                    (
                        "suggested",
                        format!(
                            "{} {}",
                            self.class(issue.suggested),
                            percent(issue.suggested_probability)
                        ),
                    ),
                ]);
                WorstSample {
                    index: issue.index,
                    figures,
                }
            })
            .collect()
    }

    /// How many samples are probably labelled wrong, as a sentence.
    pub fn summary(&self) -> String {
        format!(
            "{} of {} samples of the {} part are probably labelled wrong; estimated are {:.0}, or {:.2}%",
            self.found.issues.len(),
            self.found.samples,
            self.part,
            self.found.estimated,
            100.0 * self.estimated_share()
        )
    }

    /// The summary and the pairs of classes, as HTML.
    pub fn html(&self) -> String {
        let mut html = format!(
            "<h2>Probably wrong labels</h2>\n<p>{}.</p>\n",
            escape(&self.summary())
        );
        if self.found.noise.is_empty() {
            return html;
        }
        html.push_str(
            "<table>\n<tr><th class=\"name\">labelled as<th class=\"name\">probably<th>confident<th>estimated<th>share of that class\n",
        );
        for pair in self.found.noise.iter().take(MOST_PAIRS) {
            let _ = writeln!(
                html,
                "<tr><td class=\"name\">{}<td class=\"name\">{}<td>{}<td>{:.1}<td>{:.2}%",
                escape(&self.class(pair.given)),
                escape(&self.class(pair.suggested)),
                pair.counted,
                pair.estimated,
                100.0 * pair.rate
            );
        }
        html.push_str("</table>\n");
        html
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageSet, Samples};

    fn listed(fold: Option<usize>) -> ListedIssues {
        let logits: Vec<f32> = [0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.3, 0.7_f32]
            .map(f32::ln)
            .to_vec();
        let found = LabelIssues::of(&logits, 2, &[0, 0, 0, 1]).unwrap();
        let samples = Samples::from(ImageSet {
            images: vec![0; 4],
            labels: vec![0, 0, 0, 1],
            height: 1,
            width: 1,
            channels: 1,
        });
        let each = found.issues.iter().map(|issue| IssueSample {
            fold,
            index: issue.index,
            name: samples.name(issue.index),
        });
        ListedIssues {
            samples: each.collect(),
            found,
            classes: vec!["<cat>".to_string(), "dog".to_string()],
            part: "test".to_string(),
        }
    }

    #[test]
    fn issues_are_listed_with_names() {
        let listed = listed(None);
        let lines = listed.json_lines();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (&lines[0]["issues"], &lines[0]["samples"]),
            (&json!(1), &json!(4))
        );
        assert_eq!(lines[1]["event"], "label_noise");
        assert_eq!(
            (
                &lines[2]["index"],
                &lines[2]["given"],
                &lines[2]["suggested"]
            ),
            (&json!(2), &json!("<cat>"), &json!("dog"))
        );
        let rows: Vec<Vec<String>> = listed.rows().collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].len(), listed.head().len());
        assert_eq!(&rows[0][..3], ["2", "<cat>", "dog"]);
        let html = listed.html();
        assert!(html.contains("&lt;cat&gt;") && !html.contains("<cat>"));
        assert_eq!(listed.shown(5)[0].figures[0].1, "<cat> 10.0%");
    }

    #[test]
    fn issues_of_folds_say_which() {
        let listed = listed(Some(3));
        assert_eq!(listed.head()[..2], ["fold", "index"]);
        assert_eq!(listed.rows().next().unwrap()[..2], ["3", "2"]);
        assert_eq!(listed.json_lines()[2]["fold"], 3);
    }
}
