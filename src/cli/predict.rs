//! `wgrad predict`

mod csv;

use self::csv::PredictionTable;
use super::plain::plain;
use super::{DeviceArgs, OverwriteArg, RunArg, WeightsArg, note, print_line};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::Error;
use wgrad::data::{InputContext, PredictInput, PredictInputs, PredictItem};
use wgrad::device::Engine;
use wgrad::files::write_whole;
use wgrad::nn::InputSpec;
use wgrad::run::Measured;
use wgrad::settings::Settings;
use wgrad::tasks::{Decoded, Prediction};
use wgrad::train::outputs_of;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Image files (PNG, JPEG, WebP, GIF, BMP, TIFF and others) or folders of them, also for masks of a segmentation and reconstructions of an autoencoder; for tables and series, one CSV file; for texts, text files, CSV files with a text in each row, or `-` for one text per line of standard input
    #[arg(value_name = "FILE", required_unless_present = "text")]
    files: Vec<PathBuf>,
    /// Text to classify; can be repeated
    #[arg(long, value_name = "TEXT", conflicts_with = "files")]
    text: Vec<String>,
    /// Number of classes to show for each image, row or text
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Invert brightness first: for dark strokes on light paper
    #[arg(long)]
    invert: bool,
    /// Folder for output files such as masks [default: predictions in the run folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the predictions to a CSV file, too: for tables all columns of the input, then the prediction and the probability of
    /// each class
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    #[command(flatten)]
    weights: WeightsArg,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line per image, row or text and nothing else
    #[arg(long)]
    json: bool,
}

impl Args {
    /// The files, or the texts; `-` stands for standard input.
    fn inputs(&self) -> Vec<PredictInput> {
        let file = |path: &PathBuf| match path.as_os_str() == "-" {
            true => PredictInput::StandardInput,
            false => PredictInput::Path(path.clone()),
        };
        let texts = self.text.iter().cloned().map(PredictInput::Text);
        self.files.iter().map(file).chain(texts).collect()
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.csv {
        args.overwrite.check(path)?;
    }
    let (folder, mut settings) = Settings::open_run(&args.run.run)?;
    args.device.clone().apply(&mut settings);
    settings.check()?;
    let format = settings.fitted.format.ok_or_else(|| {
        Error::Config(format!(
            "{} does not name the format of its data; train it again",
            args.run.run.display()
        ))
    })?;
    let (weights, _) = args.weights.path(&folder);
    let parts = settings.resolve_trained(&weights)?;
    let task = parts.task.clone();
    let generates = match () {
        () if task.writes_text() => Some("write text, not to classify it"),
        () if task.draws_samples() => Some("draw images and predicts nothing for given ones"),
        () => None,
    };
    if let Some(what) = generates {
        let run = args.run.run.display();
        let message = format!("{run} was trained to {what}; use `wgrad generate`");
        return Err(Error::Config(message).into());
    }
    let model = parts.models.first()?;
    let mut specs = model.inputs().iter().map(|input| &input.spec);
    let PredictInputs { items, set, notes } = format.read_inputs(
        &args.inputs(),
        &InputContext {
            settings: &settings.data,
            fitted: &settings.fitted,
            model: model.name(),
            image: specs.find_map(InputSpec::image),
            invert: args.invert,
        },
    )?;
    args.weights.path_with_note(&folder);
    notes.iter().for_each(note);
    let samples = set.clone();
    let mut outputs = Vec::new();
    if !set.is_empty() {
        let (engine, device_note) = Engine::open(
            settings.device,
            settings.adapter.as_deref(),
            folder.recorded_variants()?,
        )?;
        device_note.iter().for_each(note);
        outputs = Measured::prediction(&engine, parts, set)?.run()?.2;
    }
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| folder.path.join("predictions"));
    let mut table = PredictionTable::default();
    let mut failed = false;
    let mut index = 0;
    let mut stems = BTreeSet::new();
    for item in &items {
        if let Some(why) = &item.trouble {
            failed = true;
            tell_trouble(&args, item, why)?;
            let trouble = Map::from_iter([("error".to_string(), why.clone().into())]);
            table.add(&item.named_cells(), &trouble);
            continue;
        }
        let own = outputs_of(&outputs, index);
        let decoded = |top: usize| {
            task.decode(&Decoded {
                outputs: &own,
                samples: &samples,
                index,
                picture: item.picture.as_deref(),
                fitted: &settings.fitted,
                data: &settings.data,
                top,
                out_named: args.out.is_some(),
            })
        };
        tell(&args, item, &decoded(args.top.into())?, &out, &mut stems)?;
        if args.csv.is_some() {
            let lines = decoded(usize::MAX)?.lines;
            lines
                .iter()
                .for_each(|line| table.add(&item.named_cells(), &line.json));
        }
        index += 1;
    }
    if let Some(path) = &args.csv {
        write_whole(path, &table.text()?)?;
    }
    Ok(match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// What the names of the files for `item` begin with: the stem of its name, with a number where one of `taken` has it already.
fn stem(item: &PredictItem, taken: &mut BTreeSet<String>) -> String {
    let name = Path::new(&item.name).file_stem().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let mut all = std::iter::once(name.clone()).chain(numbered);
    let free = all.find(|stem| !taken.contains(stem)).unwrap_or(name);
    taken.insert(free.clone());
    free
}

/// Writes the files of a prediction and prints its lines.
fn tell(
    args: &Args,
    item: &PredictItem,
    prediction: &Prediction,
    out: &Path,
    stems: &mut BTreeSet<String>,
) -> anyhow::Result<()> {
    let mut files = Vec::new();
    let stem = stem(item, stems);
    for file in &prediction.files {
        std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
        let path = out.join(format!("{stem}{}", file.suffix));
        if args.out.is_some() {
            args.overwrite.check(&path)?;
        }
        write_whole(&path, &file.bytes)?;
        files.push((file.key, path.display().to_string()));
    }
    for line in &prediction.lines {
        if args.json {
            let mut json = line.json.clone();
            json.insert(item.key.to_string(), item.name.clone().into());
            for (key, path) in &files {
                json.insert(key.to_string(), path.clone().into());
            }
            print_line(Value::Object(json))?;
        } else {
            let files: String = files.iter().map(|(_, path)| format!(", {path}")).collect();
            print_line(format_args!(
                "{}{}: {}{files}",
                item.name, line.suffix, line.text
            ))?;
        }
    }
    Ok(())
}

/// Reports an input that can't be predicted; the others still are.
fn tell_trouble(args: &Args, item: &PredictItem, why: &str) -> anyhow::Result<()> {
    let _ = writeln!(std::io::stderr(), "error: {}", plain(why));
    match args.json {
        true => print_line(json!({item.key: item.name, "error": why})),
        false => Ok(()),
    }
}
