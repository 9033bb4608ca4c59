//! `wgrad eval --groups`: how groups of samples are treated, as a table, as lines of JSON and as a page.

use crate::cli::table::TextTable;
use crate::cli::{note, print_line};
use std::path::Path;
use wgrad::Error;
use wgrad::data::Samples;
use wgrad::settings::Settings;
use wgrad::tasks::Task;
use wgrad::tasks::classification::{LOGITS, UNDECIDED};
use wgrad::tasks::scores::fairness::{
    Decisions, FairFigure, Fairness, Grouping, RATES, decided, positive_class,
};
use wgrad::train::Collected;

#[derive(clap::Args)]
pub(in crate::cli) struct GroupArgs {
    /// Compare groups of samples by the values of these columns of the table, each by itself and together, whether or not the model
    /// sees them
    #[arg(long, value_name = "COLUMN[,COLUMN]", value_delimiter = ',')]
    groups: Vec<String>,
    /// With --groups: the positive class [default: the second of two]
    #[arg(long, value_name = "CLASS", requires = "groups")]
    positive: Option<String>,
}

impl GroupArgs {
    /// Whether groups are compared.
    pub(super) fn are_compared(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Asks for the columns of the groups in the data of `settings`.
    ///
    /// # Errors
    /// If the run at `run` does not predict one class for each sample.
    pub(super) fn apply(&self, settings: &mut Settings, run: &Path) -> wgrad::Result<()> {
        if self.are_compared() {
            check_task(&*settings.named_task()?, run, "groups are compared by")?;
        }
        // Groups of the training need not be known where they are not compared.
        settings.data.groups.clone_from(&self.groups);
        Ok(())
    }

    /// How groups of `samples`, of which `outputs` are the outputs of an evaluation, are treated.
    ///
    /// # Errors
    /// If the positive class is not known, or the samples have too few or too many groups.
    pub(super) fn compare(
        &self,
        settings: &Settings,
        samples: &Samples,
        outputs: &Collected,
    ) -> wgrad::Result<Fairness> {
        let classes = &settings.fitted.classes;
        let positive = positive_class(self.positive.as_deref(), classes)?;
        let (logits, width) = output(outputs, LOGITS)?;
        let calibrated = output(outputs, UNDECIDED).map_or(logits, |(logits, _)| logits);
        let decisions = Decisions {
            labels: samples.labels().unwrap_or_default(),
            decisions: &decided(logits, width),
            logits: calibrated,
            classes: width,
            positive,
        };
        let part = settings.data.evaluate.name();
        let name = classes.get(positive as usize).map_or("", String::as_str);
        Fairness::of(
            decisions,
            samples,
            &self.groups,
            (part, name),
            settings.seed,
        )
    }
}

/// Checks that a task predicts one class for each sample. `what` says for what that is needed, as the beginning of a sentence.
///
/// # Errors
/// If it does not.
pub(in crate::cli) fn check_task(task: &dyn Task, run: &Path, what: &str) -> wgrad::Result<()> {
    match task.judged_as() {
        "classification" | "text_classification" => Ok(()),
        _ => Err(Error::Config(format!(
            "{what} the class that is predicted for each sample, and {} is a run of the task {}, which predicts none; \
             name a run of classification",
            run.display(),
            task.registered().name
        ))),
    }
}

/// The values of the output `name`, and how many a sample has.
///
/// # Errors
/// If there is none.
pub(in crate::cli) fn output<'c>(
    outputs: &'c Collected,
    name: &str,
) -> wgrad::Result<(&'c [f32], usize)> {
    let found = outputs.iter().find(|(known, ..)| known == name);
    let (_, shape, values) =
        found.ok_or_else(|| Error::Graph(format!("the evaluation has no output {name}")))?;
    Ok((values, shape.iter().product::<usize>().max(1)))
}

/// Prints the figures of all groupings as text, and their warnings as notes.
pub(super) fn print(found: &Fairness) -> anyhow::Result<()> {
    print_line(format_args!(
        "groups of the {} part, with {} as the positive class:",
        found.part, found.positive
    ))?;
    for grouping in &found.groupings {
        print_line("")?;
        for line in table(grouping).lines(TextTable::columns()) {
            print_line(line)?;
        }
        for gap in &grouping.gaps {
            print_line(format_args!(
                "{} by {}: {}",
                gap.name.replace('_', " "),
                grouping.columns.join(", "),
                with_interval(gap)
            ))?;
        }
        grouping.warnings.iter().for_each(note);
    }
    Ok(())
}

fn table(grouping: &Grouping) -> TextTable {
    let head = [grouping.columns.join(", "), "samples".to_string()];
    let rates = RATES.iter().map(|rate| rate.replace('_', " "));
    let mut table = TextTable::new(
        head.into_iter()
            .chain(rates)
            .chain(["calibration error".to_string()]),
    );
    for group in &grouping.groups {
        let first = [group.values.join(", "), group.count.to_string()];
        let share = |value: Option<f64>| match value {
            Some(value) => format!("{:.2}%", 100.0 * value),
            None => "-".to_string(),
        };
        let rates = group.rates.iter().map(|rate| share(rate.value));
        table.push(
            first
                .into_iter()
                .chain(rates)
                .chain([share(Some(group.calibration_error))]),
        );
    }
    table
}

/// A figure with the interval of the bootstrap.
fn with_interval(figure: &FairFigure) -> String {
    match (figure.value, figure.interval) {
        (Some(value), Some([low, high])) => {
            format!("{value:.4} (95% of draws: {low:.4} to {high:.4})")
        }
        (Some(value), None) => format!("{value:.4}"),
        (None, _) => "not known".to_string(),
    }
}
