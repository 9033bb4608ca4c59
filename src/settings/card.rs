//! The model card of a run (Mitchell et al., "Model Cards for Model Reporting", 2019) in Markdown: what the run knows of its model,
//! its data and its figures, with blanks for what only people know.

use super::Settings;
use crate::error::Result;
use crate::run::RunFolder;
use crate::tasks::scores::fairness::{FairFigure, Fairness, Grouping};
use std::fmt::Write as _;

/// Most columns of the data that are listed.
const MOST_COLUMNS: usize = 60;
/// Most classes that are listed.
const MOST_CLASSES: usize = 40;
/// Most bytes of the settings that are shown.
const MOST_SETTINGS: usize = 1 << 14;

impl Settings {
    /// The model card of the run in `folder` with these settings.
    ///
    /// # Errors
    /// If its models or its figures can't be read.
    pub fn model_card(&self, folder: &RunFolder) -> Result<String> {
        let mut card = String::new();
        let _ = writeln!(card, "# Model card: {}\n", plain(&self.title()));
        self.details(folder, &mut card)?;
        section(&mut card, "Intended use");
        blank(&mut card, "Primary uses, and the people who are to use it");
        blank(&mut card, "Uses that are out of scope");
        section(&mut card, "Factors");
        let fairness = folder.read_fairness();
        let fairness: Option<Fairness> = fairness.and_then(|text| serde_json::from_str(&text).ok());
        match &fairness {
            Some(found) => {
                let columns = found.groupings.iter().map(|of| of.columns.join(" with "));
                item(
                    &mut card,
                    "Groups that were compared",
                    &columns.collect::<Vec<_>>().join("; "),
                );
            }
            None => {
                let _ = writeln!(
                    card,
                    "- No groups were compared yet: `wgrad eval RUN --groups COLUMN` does it for a table."
                );
            }
        }
        blank(
            &mut card,
            "Other groups, instruments and environments that may matter",
        );
        self.metrics_section(&mut card);
        self.data_sections(&mut card);
        self.analyses(folder, fairness.as_ref(), &mut card)?;
        section(&mut card, "Ethical considerations");
        blank(
            &mut card,
            "Sensitive data, risks and harms, and what was done about them",
        );
        section(&mut card, "Caveats and recommendations");
        let warnings = fairness.iter().flat_map(|found| &found.groupings);
        for warning in warnings.flat_map(|grouping| &grouping.warnings) {
            let _ = writeln!(card, "- {}.", plain(warning));
        }
        if folder.read_thresholds()?.is_some() {
            let _ = writeln!(
                card,
                "- The run decides by thresholds of groups, so that a prediction needs the group of each sample. An exported network has \
                 none of them."
            );
        }
        blank(
            &mut card,
            "Limits of the model, and of the data that it was evaluated on",
        );
        section(&mut card, "Settings");
        let _ = writeln!(card, "```toml\n{}\n```", self.shown_settings()?);
        Ok(card)
    }

    fn details(&self, folder: &RunFolder, card: &mut String) -> Result<()> {
        section(card, "Model details");
        let task = self.named_task()?;
        let models = self.resolve_models(&*task)?;
        for (role, model) in models.iter() {
            let count: usize = model
                .parameters()
                .iter()
                .map(|parameter| parameter.ty.shape.elements())
                .sum();
            let name = match role {
                "" => "Model".to_string(),
                role => format!("Model ({role})"),
            };
            item(
                card,
                &name,
                &format!("{}, {count} parameters", model.name()),
            );
        }
        let registered = task.registered();
        item(
            card,
            "Task",
            &format!("{}: {}", registered.name, registered.about),
        );
        let version = env!("CARGO_PKG_VERSION");
        item(
            card,
            "Trained by",
            &format!("wgrad {version}, seed {}", self.seed),
        );
        if let Some(init) = &self.init {
            item(card, "Began with the weights", &init.display().to_string());
        }
        if let Some((epoch, _)) = folder.best_epoch() {
            item(
                card,
                "Weights",
                &format!("those of epoch {epoch}, the best one"),
            );
        }
        if let Some(thresholds) = folder.read_thresholds()? {
            let each = thresholds.group.iter().map(|group| {
                let percent = 100.0 * group.threshold;
                format!("{} from {percent:.2}%", group.values.join(", "))
            });
            let text = format!(
                "{} is predicted by a threshold for each group ({}, fitted to the {} part): {}",
                thresholds.positive,
                thresholds.criterion.replace('_', " "),
                thresholds.part,
                each.collect::<Vec<_>>().join("; ")
            );
            item(card, "Decisions", &text);
        }
        if let Some(fitted) = folder.read_temperature()? {
            let text = format!(
                "logits are divided by the temperature {:.4}, fitted to {} ({} samples)",
                fitted.temperature, fitted.fitted_to, fitted.samples
            );
            item(card, "Probabilities", &text);
        }
        blank(card, "People or organisation, date, licence, contact");
        Ok(())
    }

    fn metrics_section(&self, card: &mut String) {
        section(card, "Metrics");
        if let Ok(task) = self.named_task() {
            let names = task.metrics().into_iter().map(|metric| metric.name);
            let names: Vec<&str> = names.collect();
            item(card, "Reported", &names.join(", "));
            if let Some(monitored) = task.monitored() {
                let own = self.monitor.as_deref().unwrap_or(monitored);
                item(card, "The best epoch is that by", own);
            }
        }
        blank(card, "Why these, and which errors weigh most");
    }

    fn data_sections(&self, card: &mut String) {
        let fitted = &self.fitted;
        let part = self.data.evaluate.name();
        section(card, "Evaluation data");
        item(
            card,
            "Source",
            &format!("{}, {part} part", self.data.source),
        );
        if let Some(digest) = fitted.digests.get(part) {
            item(card, "Content", digest);
        }
        blank(
            card,
            "Why these data, and how they differ from those of the intended use",
        );
        section(card, "Training data");
        item(card, "Source", &self.data.source);
        if let Some(format) = fitted.format {
            item(card, "Format", format.about());
        }
        for (name, digest) in &fitted.digests {
            item(card, &format!("Content of the {name} part"), digest);
        }
        if let Some(target) = &fitted.target {
            item(card, "Predicted column", target);
        }
        if !fitted.classes.is_empty() {
            item(card, "Classes", &listed(&fitted.classes, MOST_CLASSES));
        }
        if !fitted.columns.is_empty() {
            let columns: Vec<String> = fitted
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect();
            item(
                card,
                "Columns that the model sees",
                &listed(&columns, MOST_COLUMNS),
            );
        }
        if !self.data.drop.is_empty() {
            item(
                card,
                "Columns left out",
                &listed(&self.data.drop, MOST_COLUMNS),
            );
        }
        if !self.data.groups.is_empty() {
            item(
                card,
                "Columns of groups in training",
                &self.data.groups.join(", "),
            );
        }
        blank(
            card,
            "How they were collected, and whom they describe and leave out",
        );
    }

    fn analyses(
        &self,
        folder: &RunFolder,
        fairness: Option<&Fairness>,
        card: &mut String,
    ) -> Result<()> {
        section(card, "Quantitative analyses");
        let lines = match folder.metrics_path().is_file() {
            true => folder.read_metrics()?,
            false => Vec::new(),
        };
        let best = lines.iter().rev().find(|line| line["is_best"] == true);
        match best.or(lines.last()) {
            Some(line) => {
                let part = line["part"].as_str().unwrap_or(self.data.evaluate.name());
                let epoch = line["epoch"].as_u64().unwrap_or_default();
                let _ = writeln!(
                    card,
                    "After epoch {epoch}, on the {} part:\n\n| figure | value |\n|---|---|",
                    plain(part)
                );
                for (name, value) in line.as_object().into_iter().flatten() {
                    if let (Some(name), Some(value)) = (name.strip_prefix("test_"), value.as_f64())
                    {
                        let _ = writeln!(card, "| {} | {value:.4} |", plain(name));
                    }
                }
                card.push('\n');
            }
            None => card.push_str("The run has finished no epoch yet.\n\n"),
        }
        let Some(fairness) = fairness else {
            return Ok(());
        };
        let _ = writeln!(
            card,
            "Groups of the {} part ({} samples), with {} as the positive class, and intervals that hold 95% of the draws of a bootstrap:\n",
            plain(&fairness.part),
            fairness.count,
            plain(&fairness.positive)
        );
        for grouping in &fairness.groupings {
            groups_table(grouping, card);
        }
        Ok(())
    }

    /// The settings of the user, as far as there is room for them.
    fn shown_settings(&self) -> Result<String> {
        let mut own = self.clone();
        own.fitted = Default::default();
        let mut text = own.texts()?.settings.trim_end().replace("```", "'''");
        if text.len() > MOST_SETTINGS {
            let end = text
                .char_indices()
                .map(|(at, _)| at)
                .take_while(|&at| at <= MOST_SETTINGS);
            let end = end.last().unwrap_or_default();
            text.truncate(end);
            text.push_str("\n# The rest is in run.toml.");
        }
        Ok(text)
    }
}

fn groups_table(grouping: &Grouping, card: &mut String) {
    let rates = grouping.groups.first().map(|group| &group.rates);
    let names: Vec<String> = rates
        .into_iter()
        .flatten()
        .map(|rate| rate.name.replace('_', " "))
        .collect();
    let _ = writeln!(
        card,
        "| {} | samples | {} | calibration error |\n|---|---|{}---|",
        plain(&grouping.columns.join(", ")),
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for group in &grouping.groups {
        let rates: Vec<String> = group.rates.iter().map(shown).collect();
        let _ = writeln!(
            card,
            "| {} | {} | {} | {:.4} |",
            plain(&group.values.join(", ")),
            group.count,
            rates.join(" | "),
            group.calibration_error
        );
    }
    let _ = writeln!(
        card,
        "\n| gap by {} | value |\n|---|---|",
        plain(&grouping.columns.join(", "))
    );
    for gap in &grouping.gaps {
        let _ = writeln!(card, "| {} | {} |", gap.name.replace('_', " "), shown(gap));
    }
    card.push('\n');
}

/// A figure with its interval.
fn shown(figure: &FairFigure) -> String {
    match (figure.value, figure.interval) {
        (Some(value), Some([low, high])) => format!("{value:.4} [{low:.4}, {high:.4}]"),
        (Some(value), None) => format!("{value:.4}"),
        (None, _) => "not known".to_string(),
    }
}

fn section(card: &mut String, title: &str) {
    if !card.ends_with("\n\n") {
        card.push('\n');
    }
    let _ = writeln!(card, "## {title}\n");
}

/// What the run knows.
fn item(card: &mut String, name: &str, text: &str) {
    let _ = writeln!(card, "- {name}: {}", plain(text));
}

/// What people are to fill in.
fn blank(card: &mut String, what: &str) {
    let _ = writeln!(card, "- {what}: _to be filled in_");
}

/// The first `most` of some names.
fn listed(names: &[String], most: usize) -> String {
    match names.get(..most) {
        Some(first) if names.len() > most => {
            format!("{} and {} more", first.join(", "), names.len() - most)
        }
        _ => names.join(", "),
    }
}

/// Text from data that stays on its line, and is no markup.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '`' | '*' | '[' | ']' | '|' | '\\' => safe.extend(['\\', letter]),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_data_is_no_markup() {
        assert_eq!(
            plain("<b>a|b</b>\n# `x`"),
            "&lt;b&gt;a\\|b&lt;/b&gt; # \\`x\\`"
        );
        let names: Vec<String> = (0..5).map(|n| n.to_string()).collect();
        assert_eq!(listed(&names, 2), "0, 1 and 3 more");
        assert_eq!(listed(&names[..2], 2), "0, 1");
    }
}
