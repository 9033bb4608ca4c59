//! `wgrad data`

use super::{OverwriteArg, choice, note, print_line};
use anyhow::Context as _;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::data::profile::{self, TableProfile, profile};
use wgrad::data::{Dataset, FormatName, ImageSet, Part, Samples, contact_sheet, save_sheet};
use wgrad::files::write_whole;
use wgrad::settings::Settings;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Describe a data set: parts and classes, a profile of the columns of a table, a contact sheet of images
    Show(Box<Show>),
}

#[derive(clap::Args)]
struct Show {
    /// Data: a file or folder, `digits`, or a settings file
    #[arg(value_name = "PATH|run.toml")]
    source: String,
    /// Data to describe by the settings file, instead of its own
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Data format [default: detected]
    #[arg(long, value_parser = choice::format())]
    format: Option<FormatName>,
    /// Column of a table to predict
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Series: the column of the dates; makes a table a series to forecast
    #[arg(long, value_name = "COLUMN")]
    date: Option<String>,
    /// Image files: pixels per side to scale them to
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Image files: 1 for grey, 3 for colour
    #[arg(long)]
    channels: Option<usize>,
    /// Set any key of a run file, for example --set data.sheet=2; can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Skip files that can't be read, with a note
    #[arg(long)]
    skip_bad: bool,
    /// Draw samples of every class, one row per class
    #[arg(long, value_name = "FILE.png")]
    sheet: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    /// Draw one sample of each class with variants augmented by `[augment]` of the settings file
    #[arg(long, requires = "sheet")]
    augmented: bool,
    /// Samples per row of the sheet
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u8).range(1..))]
    columns: u8,
    /// Part of the data to draw
    #[arg(long, value_parser = choice::part(), default_value = "train")]
    part: Part,
    /// Tables: write the profile of the columns as a page with histograms
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// Print one JSON line and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Command::Show(args) = args.command;
    show(&args)
}

impl Show {
    fn settings(&self) -> wgrad::Result<Settings> {
        let mut settings = Settings::default();
        if self.data.is_some() || self.source.ends_with(".toml") {
            settings = Settings::named(&self.source, Path::new(""))?;
        } else {
            settings.set_source(self.source.clone());
        }
        if let Some(source) = &self.data {
            settings.set_source(source.clone());
        }
        let data = &mut settings.data;
        data.format = self.format.or(data.format);
        data.size = self.size.map(|side| [side, side]).or(data.size);
        data.channels = self.channels.or(data.channels);
        data.name_columns(self.target.as_deref(), self.date.as_deref());
        data.skip_bad |= self.skip_bad;
        if self.data.is_none() && !self.source.ends_with(".toml") {
            settings.choose_windows()?;
        }
        settings.assign(&self.set)?;
        Ok(settings)
    }
}

fn show(args: &Show) -> anyhow::Result<ExitCode> {
    for path in [&args.sheet, &args.html].into_iter().flatten() {
        args.overwrite.check(path)?;
    }
    let mut settings = args.settings()?;
    settings.data.check()?;
    let dataset = settings.load_data()?;
    let format = settings.fitted.format.context("the data have no format")?;
    dataset.notes.iter().for_each(note);
    if let Some(path) = &args.sheet {
        write_sheet(args, &settings, &dataset, path)?;
    }
    let profile = profile(&settings.data, &settings.fitted)?;
    if let Some(path) = &args.html {
        write_page(path, profile.as_ref(), &dataset, format)?;
    }
    if args.json {
        return print_json(format, &settings, &dataset, profile.as_ref());
    }
    print_line(format_args!("{}: {}", dataset.name, format.about()))?;
    for (name, set) in parts(&dataset) {
        print_line(format_args!(
            "{name}: {} {} of {}",
            set.len(),
            set.noun(),
            shape_in_words(set)
        ))?;
    }
    if let Some(stats) = dataset.train.channel_stats() {
        print_line(format_args!(
            "training pixels, scaled to [0, 1]: mean {}, standard deviation {}",
            listed(&stats.mean),
            listed(&stats.std)
        ))?;
    }
    for line in dataset.found.iter() {
        print_line(line)?;
    }
    for line in format.describe(&settings.fitted) {
        print_line(line)?;
    }
    print_classes(&dataset)?;
    if let Some(profile) = &profile {
        profile::lines(profile).iter().try_for_each(print_line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_classes(dataset: &Dataset<Samples>) -> anyhow::Result<()> {
    if dataset.classes.is_empty() {
        return Ok(());
    }
    let counted = |(name, set): (&'static str, &Samples)| {
        Some((name, set.class_counts(dataset.classes.len())?))
    };
    let sets: Vec<(&str, Vec<usize>)> = parts(dataset).filter_map(counted).collect();
    if sets.is_empty() {
        return Ok(());
    }
    let width = dataset
        .classes
        .iter()
        .map(|name| name.chars().count())
        .max();
    let width = width.unwrap_or(0).max("class".len());
    let heads: String = sets.iter().map(|(name, _)| format!("{name:>12}")).collect();
    print_line(format_args!("{:width$}{heads}", "class"))?;
    for (class, name) in dataset.classes.iter().enumerate() {
        let counts = sets
            .iter()
            .map(|(_, counts)| format!("{:>12}", counts[class]));
        print_line(format_args!("{name:width$}{}", counts.collect::<String>()))?;
    }
    Ok(())
}

fn parts(dataset: &Dataset<Samples>) -> impl Iterator<Item = (&'static str, &Samples)> {
    let parts = [
        ("train", Some(&dataset.train)),
        ("validation", dataset.validation.as_ref()),
        ("test", Some(&dataset.test)),
    ];
    parts
        .into_iter()
        .filter_map(|(name, set)| Some((name, set?)))
}

fn shape_in_words(set: &Samples) -> String {
    match set.shape()[..] {
        [height, width, 1] => format!("{height} x {width}, grey"),
        [height, width, 3] => format!("{height} x {width}, colour"),
        [height, width, channels] => format!("{height} x {width}, {channels} channels"),
        [columns] => format!("{columns} numbers"),
        ref shape => format!("{shape:?}"),
    }
}

fn listed(values: &[f32]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("{value:.4}")).collect();
    values.join(", ")
}

fn print_json(
    format: FormatName,
    settings: &Settings,
    dataset: &Dataset<Samples>,
    profile: Option<&TableProfile>,
) -> anyhow::Result<ExitCode> {
    let stats = dataset.train.channel_stats();
    let parts: serde_json::Map<String, serde_json::Value> = parts(dataset)
        .map(|(name, set)| {
            let classes = dataset.classes.len();
            let counts = set
                .class_counts(classes)
                .unwrap_or_else(|| vec![0; classes]);
            (
                name.to_string(),
                json!({"samples": set.len(), "shape": set.shape(), "counts": counts}),
            )
        })
        .collect();
    print_line(json!({
        "name": dataset.name,
        "format": format,
        "classes": dataset.classes,
        "parts": parts,
        "mean": stats.as_ref().map(|stats| &stats.mean),
        "std": stats.as_ref().map(|stats| &stats.std),
        "target": settings.fitted.target,
        "targets": settings.fitted.targets,
        "columns": settings.fitted.columns,
        "profile": profile,
        "found": dataset.found,
        "notes": dataset.notes,
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a profile to `path`.
fn write_page(
    path: &Path,
    profile: Option<&TableProfile>,
    dataset: &Dataset<Samples>,
    format: FormatName,
) -> anyhow::Result<()> {
    let profile = profile.ok_or_else(|| {
        wgrad::Error::Config(format!(
            "--html writes the profile of a table, and {} is {}: leave it out",
            dataset.name,
            format.about()
        ))
    })?;
    Ok(write_whole(path, profile::page(profile).as_bytes())?)
}

fn write_sheet(
    args: &Show,
    settings: &Settings,
    dataset: &Dataset<Samples>,
    path: &Path,
) -> anyhow::Result<()> {
    let set = match args.part {
        Part::Train => &dataset.train,
        Part::Test => &dataset.test,
        Part::Validation => dataset
            .validation
            .as_ref()
            .context("there is no validation part to draw")?,
    };
    let shape = set
        .picture_shape()
        .with_context(|| format!("a sheet shows images, and {} has none", dataset.name))?;
    let columns = usize::from(args.columns);
    let sheet = match args.augmented {
        true => {
            let shown = augmented(settings, set, shape, columns)?.into();
            contact_sheet(&shown, &dataset.classes, columns)
        }
        false => contact_sheet(set, &dataset.classes, columns),
    };
    Ok(save_sheet(&sheet?, path)?)
}

/// The first image of each class with augmented variants of it.
fn augmented(
    settings: &Settings,
    set: &Samples,
    [height, width, channels]: [usize; 3],
    columns: usize,
) -> anyhow::Result<ImageSet> {
    if settings.augment.is_off() {
        return Err(wgrad::Error::Config(
            "nothing is augmented: name a settings file with an [augment] table".to_string(),
        )
        .into());
    }
    settings.augment.check()?;
    settings.augment.check_size(height, width)?;
    let scale = [&settings.fitted.mean, &settings.fitted.std].map(Vec::as_slice);
    let images = |images, labels| ImageSet {
        images,
        labels,
        height,
        width,
        channels,
    };
    let mut shown = images(Vec::new(), Vec::new());
    let labels = set.labels().unwrap_or_default();
    for class in 0..settings.fitted.classes.len() as u32 {
        if let Some(index) = labels.iter().position(|&label| label == class) {
            let first = set.picture(index)?.unwrap_or_default().into_owned();
            let first = images(first, vec![class]);
            let augment = &settings.augment;
            let samples = augment.samples(&first, 0, columns - 1, scale, settings.seed)?;
            shown.extend(&samples);
        }
    }
    Ok(shown)
}
