//! `wgrad thresholds`

use super::eval::groups::{check_task, output};
use super::table::TextTable;
use super::{DeviceArgs, OverwriteArg, RunArg, WeightsArg, choice, note, print_line};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::Error;
use wgrad::data::{GroupThreshold, GroupThresholds, Part, SampleGroups};
use wgrad::device::Engine;
use wgrad::files::write_whole;
use wgrad::run::Measured;
use wgrad::settings::Settings;
use wgrad::tasks::classification::LOGITS;
use wgrad::tasks::scores::fairness::{
    Criterion, FittedThresholds, fit_thresholds, positive_class, trade_off_page,
};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Columns of the table by whose values samples are divided into groups, whether or not the model sees them
    #[arg(
        long,
        value_name = "COLUMN[,COLUMN]",
        value_delimiter = ',',
        required_unless_present = "remove"
    )]
    groups: Vec<String>,
    /// What thresholds are to make equal between groups
    #[arg(long, default_value = "equalized-odds", value_parser = choice::criterion())]
    criterion: Criterion,
    /// Most accuracy on the part that smaller gaps may cost, as a share
    #[arg(long, value_name = "SHARE", default_value_t = 0.005)]
    cost: f64,
    /// Part of the data that thresholds are fitted to
    #[arg(long, default_value = "validation", value_parser = choice::part())]
    part: Part,
    /// The positive class [default: the second of two]
    #[arg(long, value_name = "CLASS")]
    positive: Option<String>,
    /// Write a page with a chart of the trade-off between gap and accuracy
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Remove the thresholds of the run, so that it decides as its model does
    #[arg(long, conflicts_with_all = ["groups", "criterion", "cost", "part", "positive", "html"])]
    remove: bool,
    #[command(flatten)]
    overwrite: OverwriteArg,
    #[command(flatten)]
    weights: WeightsArg,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (folder, mut settings) = Settings::open_run(&args.run.run)?;
    if args.remove {
        let removed = folder.lock()?.remove_thresholds()?;
        match args.json {
            true => print_line(json!({"removed": removed}))?,
            false => print_line(match removed {
                true => {
                    "the thresholds are removed: every group is decided by its most probable class"
                }
                false => "the run has no thresholds",
            })?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(path) = &args.html {
        args.overwrite.check(path)?;
    }
    if !(0.0..=1.0).contains(&args.cost) {
        return Err(Error::Config(format!(
            "--cost is the share of the samples that may be predicted wrong in addition, from 0 to 1, not {}",
            args.cost
        ))
        .into());
    }
    args.device.clone().apply(&mut settings);
    settings.check()?;
    check_task(
        &*settings.named_task()?,
        &args.run.run,
        "groups are compared by",
    )?;
    check_data(&settings, &args.run.run.display().to_string())?;
    settings.data.groups.clone_from(&args.groups);
    settings.data.evaluate = args.part;
    let dataset = settings.load_data()?;
    let positive = positive_class(args.positive.as_deref(), &settings.fitted.classes)?;
    let weights = args.weights.path_with_note(&folder);
    let parts = args.weights.resolve(&settings, &weights)?;
    let (engine, device_note) = Engine::open(
        settings.device,
        settings.adapter.as_deref(),
        folder.recorded_variants()?,
    )?;
    device_note.iter().chain(&dataset.notes).for_each(note);
    let mut measured = Measured::evaluation(&engine, parts, dataset.test)?;
    let (_, _, outputs) = measured.run()?;
    let samples = measured.samples();
    let groups = samples.grouped(&args.groups)?;
    let (logits, width) = output(&outputs, LOGITS)?;
    let odds = logits.chunks_exact(width).map(|row| match positive {
        0 => row[0] - row[1],
        _ => row[1] - row[0],
    });
    let labels = samples.labels().unwrap_or_default();
    let is_positive: Vec<bool> = labels.iter().map(|&label| label == positive).collect();
    let fitted = fit_thresholds(
        &odds.collect::<Vec<f32>>(),
        &is_positive,
        &groups.of_samples,
        groups.values.len(),
        (args.criterion, args.cost),
    )?;
    let thresholds = GroupThresholds {
        criterion: args.criterion.name().to_string(),
        part: args.part.name().to_string(),
        positive: settings.fitted.classes[positive as usize].clone(),
        columns: args.groups.clone(),
        group: of_groups(&groups, &fitted),
    };
    if let Some(path) = &args.html {
        let title = format!("Thresholds of groups of {}", settings.title());
        write_whole(
            path,
            trade_off_page(&fitted, &thresholds, &title).as_bytes(),
        )?;
    }
    folder.lock()?.write_thresholds(&thresholds)?;
    match args.json {
        true => print_line(json_line(&thresholds, &fitted))?,
        false => print(&thresholds, &fitted)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks that a run decides between two classes by the rows of a table.
fn check_data(settings: &Settings, run: &str) -> wgrad::Result<()> {
    let format = settings.fitted.format.map_or("", |format| format.name());
    if format != "table" {
        return Err(Error::Config(format!(
            "thresholds of groups need data that are a table, whose columns say of which group each row is, and {run} was trained on \
             another format ({format}); its groups can be compared with `wgrad eval --groups`"
        )));
    }
    match settings.fitted.classes.len() {
        2 => Ok(()),
        count => Err(Error::Config(format!(
            "thresholds decide between two classes, and {run} has {count}; its groups can be compared with `wgrad eval --groups`"
        ))),
    }
}

fn of_groups(groups: &SampleGroups, fitted: &FittedThresholds) -> Vec<GroupThreshold> {
    let each = groups.values.iter().zip(&fitted.thresholds);
    each.map(|(values, &threshold)| GroupThreshold {
        values: values.clone(),
        threshold,
    })
    .collect()
}

fn json_line(thresholds: &GroupThresholds, fitted: &FittedThresholds) -> Value {
    let groups = thresholds.group.iter();
    let groups = groups.map(|group| {
        json!({"group": group.values.join(", "), "values": group.values, "threshold": group.threshold})
    });
    let trade_off = fitted.trade_off.iter();
    let trade_off = trade_off.map(|point| json!({"gap": point.gap, "accuracy": point.accuracy}));
    json!({
        "event": "thresholds",
        "criterion": thresholds.criterion,
        "part": thresholds.part,
        "positive": thresholds.positive,
        "columns": thresholds.columns,
        "groups": groups.collect::<Vec<_>>(),
        "gap_before": fitted.before.gap,
        "accuracy_before": fitted.before.accuracy,
        "gap": fitted.after.gap,
        "accuracy": fitted.after.accuracy,
        "trade_off": trade_off.collect::<Vec<_>>(),
    })
}

fn print(thresholds: &GroupThresholds, fitted: &FittedThresholds) -> anyhow::Result<()> {
    let columns = thresholds.columns.join(", ");
    let mut table = TextTable::new([columns, format!("{} from", thresholds.positive)]);
    for group in &thresholds.group {
        let from = format!("{:.2}%", 100.0 * group.threshold);
        table.push([group.values.join(", "), from]);
    }
    table
        .lines(TextTable::columns())
        .iter()
        .try_for_each(print_line)?;
    let (before, after) = (fitted.before, fitted.after);
    let criterion = thresholds.criterion.replace('_', " ");
    print_line(format_args!(
        "{} part: gap ({criterion}) {:.4}, before {:.4}; accuracy {:.2}%, before {:.2}%",
        thresholds.part,
        after.gap,
        before.gap,
        100.0 * after.accuracy,
        100.0 * before.accuracy
    ))?;
    if after.gap >= before.gap {
        note(
            "no thresholds give a smaller gap at that cost of accuracy, so that those of one half stay; a larger --cost allows more",
        );
    }
    print_line("the run decides by these thresholds from now on; --remove takes them back")
}
