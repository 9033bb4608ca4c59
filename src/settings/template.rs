//! A first run file for a data set: settings and a model for its kind, to train at once and to edit later.

use super::Settings;
use crate::data::{Dataset, Samples, field};
use crate::error::{Error, Result};

/// What differs between kinds of data: passes, samples per step, the name of a built-in model or the text of one.
struct Template {
    epochs: u32,
    batch: usize,
    model: Model,
}

enum Model {
    BuiltIn(&'static str),
    /// `UNITS` stands for the units of the last layer.
    Text(&'static str),
}

const PICTURES: &str = include_str!("../../assets/templates/pictures.toml");
const ROWS: &str = include_str!("../../assets/templates/rows.toml");
const TEXTS: &str = include_str!("../../assets/templates/texts.toml");
const SERIES: &str = include_str!("../../assets/templates/series.toml");
const TAIL: &str = include_str!("../../assets/templates/tail.toml");

/// The format whose windows may be longer than the data, and shorter windows, the longest first.
const SERIES_FORMAT: &str = "series";
const SHORTER_CONTEXTS: [usize; 4] = [48, 24, 12, 6];

impl Settings {
    /// The text of a run file for the data of these settings, and a sentence about them. The source, format and target of the data
    /// and the task stay as they are; the model and the other settings are those that suit the task and the kind of the data.
    ///
    /// # Errors
    /// If the data can't be read, or there is no template for the task.
    pub fn first_run_file(mut self) -> Result<(String, String)> {
        let task_given = self.task.name.is_some();
        let (dataset, context) = self.load_with_context()?;
        let task = self.resolve_task(&dataset.train)?.registered().name;
        let template = Template::of(task, &dataset.train)?;
        let about = about(task, &dataset);
        let mut text = format!(
            "# {about}\n# Every key is described in docs/model-format.md.\nseed = {}\nepochs = {}\nbatch = {}\n",
            self.seed,
            template.epochs,
            template.batch.min(dataset.train.len())
        );
        if task_given {
            text += &format!("task = \"{task}\"\n");
        }
        if let Model::BuiltIn(name) = template.model {
            text += &format!("model = \"{name}\"\n");
        }
        text += &self.data_table(context)?;
        text += TAIL;
        if let Model::Text(model) = template.model {
            text += &model.replace("UNITS", &units(task, &dataset).to_string());
        }
        Ok((text, about))
    }

    /// Loads the data, a series that is too short for the default context with a shorter one, which is the second value.
    fn load_with_context(&mut self) -> Result<(Dataset<Samples>, Option<usize>)> {
        let mut longest = self.clone();
        let first = match longest.load_data() {
            Ok(dataset) => {
                *self = longest;
                return Ok((dataset, None));
            }
            Err(error) => error,
        };
        let is_series = self
            .data
            .format
            .is_some_and(|format| format.name() == SERIES_FORMAT);
        if !is_series {
            return Err(first);
        }
        for context in SHORTER_CONTEXTS {
            let mut shorter = self.clone();
            shorter.data.context = Some(context);
            if let Ok(dataset) = shorter.load_data() {
                *self = shorter;
                return Ok((dataset, Some(context)));
            }
        }
        Err(first)
    }

    /// The table `[data]`.
    fn data_table(&self, context: Option<usize>) -> Result<String> {
        let mut table = toml::Table::new();
        table.insert("source".to_string(), self.data.source.clone().into());
        if let Some(format) = self.data.format {
            table.insert("format".to_string(), format.name().into());
        }
        if let Some(target) = &self.data.target {
            table.insert("target".to_string(), target.clone().into());
        }
        if let Some(context) = context {
            table.insert("context".to_string(), (context as i64).into());
        }
        let text = toml::to_string(&table).map_err(|e| Error::Config(format!("settings: {e}")))?;
        Ok(format!("\n[data]\n{text}"))
    }
}

impl Template {
    fn of(task: &str, samples: &Samples) -> Result<Template> {
        let first = samples.fields().first();
        let shape = first.map(field::Field::shape).unwrap_or_default();
        let kind = first.map_or("", |field| field.name);
        let (epochs, batch, model) = match (task, kind) {
            ("classification", field::IMAGE) if *shape == [28, 28, 1] => {
                (5, 128, Model::BuiltIn("mnist-cnn"))
            }
            ("classification" | "regression", field::IMAGE) => (20, 32, Model::Text(PICTURES)),
            ("classification" | "regression", field::ROW) => (20, 64, Model::Text(ROWS)),
            ("classification" | "regression" | "forecasting", field::WINDOW) => {
                (10, 64, Model::Text(SERIES))
            }
            ("text_classification" | "regression", field::TOKENS) => (5, 64, Model::Text(TEXTS)),
            ("language_model", _) => (5, 32, Model::BuiltIn("gpt-nano")),
            ("segmentation", _) => (40, 4, Model::BuiltIn("unet")),
            _ => {
                return Err(Error::Config(format!(
                    "there is no template for the task {task} on these data; start from a file in examples"
                )));
            }
        };
        Ok(Template {
            epochs,
            batch,
            model,
        })
    }
}

/// The units of the last layer.
fn units(task: &str, dataset: &Dataset<Samples>) -> usize {
    let target = dataset.train.field(field::TARGET);
    match (task, target) {
        ("forecasting", Some(target)) => target.shape().iter().product(),
        ("regression", _) => 1,
        _ => dataset.classes.len(),
    }
}

fn about(task: &str, dataset: &Dataset<Samples>) -> String {
    let classes = match dataset.classes.len() {
        0 => String::new(),
        n => format!(", {n} classes"),
    };
    format!(
        "{} of {}: {} training and {} test {}{classes}",
        task.replace('_', " "),
        dataset.name,
        dataset.train.len(),
        dataset.test.len(),
        dataset.test.noun()
    )
}
