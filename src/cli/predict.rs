//! `wgrad predict`

mod csv;
pub(super) mod given;

use self::csv::PredictionTable;
use self::given::{Cells, Given, Item};
use super::opened::OpenedRun;
use super::plain::plain;
use super::{DeviceArgs, OverwriteArg, RunArg, WeightsArg, WithArg, choice, note, print_line};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::Error;
use wgrad::data::{Part, PredictInput};
use wgrad::device::Engine;
use wgrad::files::write_whole;
use wgrad::run::Measured;
use wgrad::tasks::{Decoded, Known, Prediction};
use wgrad::train::outputs_of;

/// Lines that are printed beside a table with all predictions.
const SHOWN: usize = 20;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Image files (PNG, JPEG, WebP, GIF, BMP, TIFF and others) or folders of them, also for masks of a segmentation and reconstructions of an autoencoder; for tables and series, one CSV file; for texts, text files, CSV files with a text in each row, or `-` for one text per line of standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["text", "part"])]
    files: Vec<PathBuf>,
    /// Text to classify; can be repeated
    #[arg(long, value_name = "TEXT", conflicts_with = "files")]
    text: Vec<String>,
    /// Predict a part of the run's own data, with the names and the targets of its samples: for series, a backtest
    #[arg(long, value_parser = choice::part(), conflicts_with_all = ["files", "text", "invert"])]
    part: Option<Part>,
    /// Number of classes to show for each image, row or text
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Invert brightness first: for dark strokes on light paper
    #[arg(long)]
    invert: bool,
    /// Folder for output files such as masks [default: predictions in the run folder; of a network file, here]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the predictions to a CSV file, and print the first 20: the name of each input, or for tables all of its columns, then the
    /// prediction and the probability of each class; of a part of a series, a row for each forecast of a column
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,
    /// Write the predictions as text to a file, one line for each input and nothing else, and print the first 20: translations for
    /// sacreBLEU
    #[arg(long, value_name = "FILE")]
    lines: Option<PathBuf>,
    /// Translations: sequences that the beam search continues for each sentence, 1 for a greedy search [default: task.beam of the run]
    #[arg(long, value_name = "N")]
    beam: Option<u16>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    #[command(flatten)]
    with: WithArg,
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
    for path in args.csv.iter().chain(&args.lines) {
        args.overwrite.check(path)?;
    }
    let opened = OpenedRun::open(&args.run.run)?;
    let folder = &opened.folder;
    let mut settings = opened.settings_for(&args.weights, &args.with);
    args.device.clone().apply(&mut settings);
    settings.task.set_beam(args.beam);
    settings.check()?;
    if settings.is_agent() {
        let run = args.run.run.display();
        let message =
            format!("{run} is the run of an agent, which acts in an environment; use `wgrad play`");
        return Err(Error::Config(message).into());
    }
    let (weights, _) = args.weights.path(folder);
    let parts = args
        .with
        .resolve(&opened, &args.weights, &settings, &weights)?;
    let task = parts.task.clone();
    let generates = match () {
        () if task.writes_text() => Some("write text, not to classify it"),
        () if task.draws_samples() && !task.writes_files() => {
            Some("draw images and predicts nothing for given ones")
        }
        () => None,
    };
    if let Some(what) = generates {
        let run = args.run.run.display();
        let message = format!("{run} was trained to {what}; use `wgrad generate`");
        return Err(Error::Config(message).into());
    }
    if args.out.is_some() && !task.writes_files() {
        let message = "--out names a folder for files such as masks, and this run predicts none; --csv FILE.csv writes its predictions \
                       to a table";
        return Err(Error::Config(message.to_string()).into());
    }
    let given = match args.part {
        Some(part) => Given::part(part, &mut settings)?,
        None => {
            let model = parts.models.first()?;
            Given::inputs(&args.inputs(), &args.run.run, &settings, model, args.invert)?
        }
    };
    args.weights.path_with_note(folder);
    given.notes.iter().for_each(note);
    let mut outputs = Vec::new();
    if !given.set.is_empty() {
        let (engine, device_note) = Engine::open(
            settings.device,
            settings.adapter.as_deref(),
            folder.recorded_variants()?,
        )?;
        device_note.iter().for_each(note);
        outputs = Measured::prediction(&engine, parts, given.set.clone())?
            .run()?
            .2;
    }
    let mut said = Said {
        args: &args,
        out: match &args.out {
            Some(out) => out.clone(),
            None if opened.is_temporary() => PathBuf::from("predictions"),
            None => folder.path.join("predictions"),
        },
        stems: BTreeSet::new(),
        table: args.csv.is_some().then(PredictionTable::default),
        text: args.lines.is_some().then(String::new),
        lines: 0,
        unprinted: None,
    };
    let mut failed = false;
    let mut firsts = given.set.firsts().into_iter();
    for (place, item) in given.items.iter().enumerate() {
        let cells = match said.table {
            Some(_) => given.cells(place),
            None => Vec::new(),
        };
        if let Some(why) = &item.trouble {
            failed = true;
            said.trouble(item, &cells, why)?;
            continue;
        }
        let Some(index) = firsts.next() else {
            break;
        };
        let own = outputs_of(&outputs, &given.set, index)?;
        let sample = Decoded {
            outputs: &own,
            samples: &given.set,
            index,
            picture: item.picture.as_deref(),
            fitted: &settings.fitted,
            data: &settings.data,
            // A table has the probabilities of all classes.
            top: match said.table {
                Some(_) => usize::MAX,
                None => args.top.into(),
            },
            out_named: args.out.is_some(),
        };
        let known = match args.part {
            Some(_) => task.known(&sample),
            None => Vec::new(),
        };
        said.prediction(item, &cells, &task.decode(&sample)?, &known)?;
    }
    if let (Some(path), Some(table)) = (&args.csv, &said.table) {
        write_whole(path, &table.text()?)?;
        let shown = match said.lines {
            lines if lines > SHOWN => {
                format!("all {lines} predictions, of which the first {SHOWN} are shown,")
            }
            _ => "the predictions".to_string(),
        };
        note(format_args!("{shown} are in {}", path.display()));
    }
    if let (Some(path), Some(text)) = (&args.lines, &said.text) {
        write_whole(path, text.as_bytes())?;
        note(format_args!(
            "{} lines are in {}",
            text.lines().count(),
            path.display()
        ));
    }
    if let Some(error) = said.unprinted {
        return Err(error);
    }
    Ok(match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// What was printed and written.
struct Said<'a> {
    args: &'a Args,
    /// The folder for files.
    out: PathBuf,
    /// What the names of files begin with.
    stems: BTreeSet<String>,
    /// The predictions as a table, if they are to be written as one.
    table: Option<PredictionTable>,
    /// The predictions as text, if they are to be written so.
    text: Option<String>,
    /// Lines of predictions, printed or not.
    lines: usize,
    /// Why the first of the lines that could not be printed was not, where a file is still to be written.
    unprinted: Option<anyhow::Error>,
}

impl Said<'_> {
    /// Whether predictions are written to a file.
    fn is_written(&self) -> bool {
        self.table.is_some() || self.text.is_some()
    }

    /// Prints a line. Where there is a file to write, a reader of standard output that went away does not end the command yet.
    fn print(&mut self, line: impl Display) -> anyhow::Result<()> {
        match print_line(line) {
            Err(error) if self.is_written() => {
                self.unprinted.get_or_insert(error);
                Ok(())
            }
            printed => printed,
        }
    }

    /// Writes the files of a prediction, prints its lines beside the `known` targets, and adds them to the table.
    fn prediction(
        &mut self,
        item: &Item,
        cells: &Cells<'_>,
        prediction: &Prediction,
        known: &[Known],
    ) -> anyhow::Result<()> {
        let files = self.files(item, prediction)?;
        let top = self.args.top.into();
        for (place, line) in prediction.lines.iter().enumerate() {
            let known = Known::of_line(known, place);
            let known_json = known.map(|known| known.json.clone()).unwrap_or_default();
            if let Some(table) = &mut self.table {
                let mut json = line.json.clone();
                json.extend(known_json.clone());
                table.add(cells, &json);
            }
            if let Some(text) = &mut self.text {
                *text += line.text.first().map_or("", String::as_str);
                text.push('\n');
            }
            if self.args.json {
                let mut json = line.json(top);
                json.extend(known_json);
                json.insert(item.name.key.to_string(), item.name.value.clone());
                for (key, path) in &files {
                    json.insert(key.to_string(), path.clone().into());
                }
                self.print(Value::Object(json))?;
                continue;
            }
            self.lines += 1;
            if self.is_written() && self.lines > SHOWN {
                continue;
            }
            let known = known.map_or(String::new(), |known| format!("; {}", known.text));
            let files: String = files.iter().map(|(_, path)| format!(", {path}")).collect();
            self.print(format_args!(
                "{}{}: {}{known}{files}",
                item.name,
                line.suffix,
                line.shown(top)
            ))?;
        }
        Ok(())
    }

    /// Writes the files of a prediction. Returns their keys and paths.
    fn files(
        &mut self,
        item: &Item,
        prediction: &Prediction,
    ) -> anyhow::Result<Vec<(&'static str, String)>> {
        let mut files = Vec::new();
        let stem = self.stem(item);
        for file in &prediction.files {
            std::fs::create_dir_all(&self.out).map_err(Error::io("create", &self.out))?;
            let path = self.out.join(format!("{stem}{}", file.suffix));
            if self.args.out.is_some() {
                self.args.overwrite.check(&path)?;
            }
            write_whole(&path, &file.bytes)?;
            files.push((file.key, path.display().to_string()));
        }
        Ok(files)
    }

    /// What the names of the files for `item` begin with: the stem of its name, with a number where another item has it already.
    fn stem(&mut self, item: &Item) -> String {
        let name = item.name.to_string();
        let name = Path::new(&name).file_stem().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        let mut all = std::iter::once(name.clone()).chain(numbered);
        let free = all.find(|stem| !self.stems.contains(stem)).unwrap_or(name);
        self.stems.insert(free.clone());
        free
    }

    /// Reports an input that can't be predicted; the others still are.
    fn trouble(&mut self, item: &Item, cells: &Cells<'_>, why: &str) -> anyhow::Result<()> {
        if let Some(table) = &mut self.table {
            let trouble = Map::from_iter([("error".to_string(), why.into())]);
            table.add(cells, &trouble);
        }
        if let Some(text) = &mut self.text {
            text.push('\n');
        }
        let _ = writeln!(std::io::stderr(), "error: {}", plain(why));
        match self.args.json {
            true => self.print(json!({item.name.key: item.name.value, "error": why})),
            false => Ok(()),
        }
    }
}
