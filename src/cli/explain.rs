//! `wgrad explain`

mod images;
mod network;
mod tables;
mod texts;

use super::opened::OpenedRun;
use super::predict::given::Given;
use super::{DeviceArgs, OverwriteArg, RunArg, WeightsArg, WithArg, choice, note};
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::Error;
use wgrad::data::{Part, PredictInput};
use wgrad::device::Engine;
use wgrad::nn::Model;
use wgrad::run::RunParts;
use wgrad::settings::Settings;

/// Classes that are shown for each image or text.
const TOP: usize = 3;
/// Images, texts or rows that are explained one by one, unless the user says how many.
const EACH: usize = 8;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Image files, or folders of them; for texts, text files or tables with a text in each row; for tables, one CSV file, whose rows are explained one by one
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Text to explain; can be repeated
    #[arg(long, value_name = "TEXT", conflicts_with = "files")]
    text: Vec<String>,
    /// Explain the first images or texts of a part of the run's own data; for tables, what the model makes of each column [default for tables: test]
    #[arg(long, value_parser = choice::part(), conflicts_with_all = ["files", "text"])]
    part: Option<Part>,
    /// Most images, texts or rows [default: 8 that are explained one by one, 5000 rows for the columns of a table]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
    /// Methods [default: all that suit the model]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = choice::explanation())]
    method: Vec<String>,
    /// The class to explain, by its name or number [default: the predicted one]
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Images: the convolution of Grad-CAM, by the name of its layer [default: the last one]
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Steps of integrated gradients and of --maximise, and copies of SmoothGrad [default: 50; of --maximise 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: Option<u16>,
    /// Images: side of the black squares of occlusion, in pixels [default: a seventh of the image]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    side: Option<u16>,
    /// Images: invert brightness first, for dark strokes on light paper
    #[arg(long)]
    invert: bool,
    /// Images: check how much the maps of each method change where weights are replaced by random ones
    #[arg(long)]
    sanity: bool,
    /// Images: training images on the page that are most alike to the network, for each image [default: 5]
    #[arg(long, value_name = "N", requires = "html", value_parser = clap::value_parser!(u16).range(0..=100))]
    nearest: Option<u16>,
    /// Images: draw the filters of the first convolution to a PNG file
    #[arg(long, value_name = "FILE.png")]
    filters: Option<PathBuf>,
    /// Images: draw images to which the channels of a convolution respond most, or one of them
    #[arg(long, value_name = "LAYER[:CHANNEL]")]
    maximise: Option<String>,
    /// Images: draw what the first channels of a convolution make of each image
    #[arg(long, value_name = "LAYER")]
    activations: Option<String>,
    /// Tables: how often the cells of each column are put in another order [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: Option<u16>,
    /// Images: folder for the pictures [default: explanations in the run folder; of a network file, here]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write a page with all predictions and explanations
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    #[command(flatten)]
    with: WithArg,
    #[command(flatten)]
    weights: WeightsArg,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line for each method and image, text, row or column, and nothing else
    #[arg(long)]
    json: bool,
}

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Images,
    Texts,
    Tables,
}

impl Kind {
    fn of(model: &dyn Model) -> wgrad::Result<Kind> {
        let spec = model.inputs().first().map(|input| &input.spec);
        let kind = spec.and_then(|spec| match spec.sample().len() {
            _ if spec.tokens().is_some() => Some(Kind::Texts),
            1 => Some(Kind::Tables),
            3 => Some(Kind::Images),
            _ => None,
        });
        kind.ok_or_else(|| {
            Error::Config(format!(
                "the model {} takes {:?}, and explanations are of classifiers of images, of texts, and of the rows of tables; name a run \
                 of one",
                model.name(),
                spec.map(|spec| spec.sample()).unwrap_or_default()
            ))
        })
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Images => "images",
            Kind::Texts => "texts",
            Kind::Tables => "tables",
        }
    }
}

impl Args {
    /// Checks that there are no options for runs of another kind.
    fn check(&self, kind: Kind) -> wgrad::Result<()> {
        let options = [
            ("--text", Kind::Texts, !self.text.is_empty()),
            ("--layer", Kind::Images, self.layer.is_some()),
            ("--side", Kind::Images, self.side.is_some()),
            ("--invert", Kind::Images, self.invert),
            ("--sanity", Kind::Images, self.sanity),
            ("--nearest", Kind::Images, self.nearest.is_some()),
            ("--filters", Kind::Images, self.filters.is_some()),
            ("--maximise", Kind::Images, self.maximise.is_some()),
            ("--activations", Kind::Images, self.activations.is_some()),
            ("--out", Kind::Images, self.out.is_some()),
            ("--repeats", Kind::Tables, self.repeats.is_some()),
        ];
        let wrong = options
            .iter()
            .find(|(_, own, given)| *given && *own != kind);
        match wrong {
            None => Ok(()),
            Some((option, own, _)) => Err(Error::Config(format!(
                "{option} is for runs of {}, and this run is one of {}; leave it out",
                own.name(),
                kind.name()
            ))),
        }
    }

    /// The methods that were named, among those `known` by their names; all of them if none was.
    fn methods<M: Copy>(&self, kind: Kind, known: &[(&str, M)]) -> wgrad::Result<Vec<M>> {
        if self.method.is_empty() {
            return Ok(known.iter().map(|(_, method)| *method).collect());
        }
        let of = |name: &String| {
            let found = known.iter().find(|(known, _)| known == name);
            found.map(|(_, method)| *method).ok_or_else(|| {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                Error::Config(format!(
                    "--method {name} does not explain {}; choose of {}",
                    kind.name(),
                    names.join(", ")
                ))
            })
        };
        self.method.iter().map(of).collect()
    }

    /// Steps of integrated gradients.
    fn integration_steps(&self) -> usize {
        self.steps.map_or(50, usize::from)
    }

    /// Most inputs that are explained one by one.
    fn most(&self) -> usize {
        self.samples.map_or(EACH, |samples| samples as usize)
    }

    /// What is to be explained. Notes on how it was read are printed.
    fn given(&self, settings: &mut Settings, parts: &RunParts) -> wgrad::Result<Given> {
        let given = match self.part {
            Some(part) => Given::part(part, settings)?,
            None => {
                let paths = self.files.iter().cloned().map(PredictInput::Path);
                let texts = self.text.iter().cloned().map(PredictInput::Text);
                let inputs: Vec<PredictInput> = paths.chain(texts).collect();
                if inputs.is_empty() {
                    return Err(Error::Config(
                        "there is nothing to explain; name files, or a part of the run's data with --part test".to_string(),
                    ));
                }
                let model = parts.models.first()?;
                Given::inputs(&inputs, &self.run.run, settings, model, self.invert)?
            }
        };
        given.notes.iter().for_each(note);
        Ok(given)
    }
}

/// A run that is explained.
struct Explained<'a> {
    args: &'a Args,
    opened: &'a OpenedRun,
    settings: Settings,
    /// The names of its classes.
    classes: Vec<String>,
}

impl Explained<'_> {
    /// The class that the user asks for.
    fn asked_class(&self) -> anyhow::Result<Option<u32>> {
        let asked = self.args.class.as_deref();
        let asked = asked.map(|name| super::attack::class("--class", name, &self.classes));
        asked.transpose()
    }

    /// The name of a class.
    fn class(&self, class: usize) -> String {
        match self.classes.get(class) {
            Some(name) => name.clone(),
            None => class.to_string(),
        }
    }

    /// The classes with their probabilities, the most probable one first.
    fn ranked(probabilities: &[f64]) -> Vec<(usize, f64)> {
        let mut order: Vec<(usize, f64)> = probabilities.iter().copied().enumerate().collect();
        order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        order
    }

    /// The most probable classes with their probabilities.
    fn named_top(&self, ranked: &[(usize, f64)]) -> Vec<(String, f64)> {
        let top = ranked.iter().take(TOP);
        top.map(|(class, share)| (self.class(*class), *share))
            .collect()
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    for path in args.html.iter().chain(&args.filters) {
        args.overwrite.check(path)?;
    }
    let opened = OpenedRun::open(&args.run.run)?;
    let mut settings = opened.settings.clone();
    args.device.clone().apply(&mut settings);
    settings.check()?;
    if settings.is_agent() {
        let message = "the run is that of an agent; explanations are of classifiers of images, of texts, and of tables";
        return Err(Error::Config(message.to_string()).into());
    }
    if settings.fitted.thresholds.take().is_some() {
        note(
            "the run decides by thresholds of groups; what is explained is its model without them",
        );
    }
    let (weights, _) = args.weights.path(&opened.folder);
    let parts = args
        .with
        .resolve(&opened, &args.weights, &settings, &weights)?;
    let kind = Kind::of(parts.models.first()?)?;
    args.check(kind)?;
    let (engine, device_note) = Engine::open(
        settings.device,
        settings.adapter.as_deref(),
        opened.folder.recorded_variants()?,
    )?;
    device_note.iter().for_each(note);
    let explained = Explained {
        args: &args,
        opened: &opened,
        settings,
        classes: parts.fitted.classes.clone(),
    };
    match kind {
        Kind::Images => images::run(explained, parts, &engine),
        Kind::Texts => texts::run(explained, parts, &engine),
        Kind::Tables => tables::run(explained, parts, &engine),
    }
}

/// Predictions in words.
fn in_words(predictions: &[(String, f64)]) -> String {
    let each = predictions
        .iter()
        .map(|(name, share)| format!("{name} {:.1}%", 100.0 * share));
    each.collect::<Vec<String>>().join("  ")
}
