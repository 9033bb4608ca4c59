//! Test cases of tasks: a tiny data set in memory, models for it, and how well they must fit it.

use super::{TaskSettings, named};
use crate::data::{
    DataSettings, Field, FieldValues, Fitted, RowSet, Samples, Targets, WindowRows, field,
};
use crate::error::Result;
use crate::nn::ModelSpec;
use crate::toml_text::parse;

/// A tiny training run that a task provides. The shared tests overfit it on the reference, compare devices on it, resume it, and
/// decode its predictions.
#[derive(Clone, Debug)]
pub struct TaskCase {
    /// About a dozen samples for training, which are also evaluated.
    pub samples: Samples,
    /// The values that loading would have fitted: classes, mean and standard deviation of pixels, scales of columns.
    pub fitted: Fitted,
    /// The user's data settings.
    pub data: DataSettings,
    /// The model of each role.
    pub models: Vec<(&'static str, ModelSpec)>,
    /// The task settings.
    pub task: TaskSettings,
    /// Samples per batch: not a divisor of the number of samples, so that the last batch of an epoch is smaller.
    pub batch: usize,
    /// Learning rate for Adam.
    pub lr: f64,
    /// Number of passes over the samples.
    pub epochs: u32,
    /// A metric of the task, or `loss`, and the value that it must reach.
    pub reaches: (&'static str, f64),
}

impl TaskCase {
    /// A case of the task `name`: batches of 5, 60 epochs at a learning rate of 0.02, after which the loss must be below 0.1.
    ///
    /// # Errors
    /// If there is no such task.
    pub fn new(name: &str, samples: impl Into<Samples>) -> Result<TaskCase> {
        let task = TaskSettings {
            name: Some(named(name)?.name.to_string()),
            ..TaskSettings::default()
        };
        Ok(TaskCase {
            samples: samples.into(),
            fitted: Fitted::default(),
            data: DataSettings::default(),
            models: Vec::new(),
            task,
            batch: 5,
            lr: 0.02,
            epochs: 60,
            reaches: ("loss", 0.1),
        })
    }

    /// Sets the model of the role `role`, empty for the only model of a task, to the one that `toml` describes.
    ///
    /// # Errors
    /// If it is not a model.
    pub fn model(mut self, role: &'static str, toml: &str) -> Result<TaskCase> {
        self.models
            .push((role, parse(toml, "the model of a sample case")?));
        Ok(self)
    }

    /// Sets the names of the classes.
    #[must_use]
    pub fn classes(mut self, names: &[&str]) -> TaskCase {
        self.fitted.classes = names.iter().map(|name| name.to_string()).collect();
        self
    }

    /// Sets one mean and one standard deviation for all channels.
    #[must_use]
    pub fn pixels(mut self, channels: usize, mean: f32, std: f32) -> TaskCase {
        (self.fitted.mean, self.fitted.std) = (vec![mean; channels], vec![std; channels]);
        self
    }

    /// The samples with only the fields that predictions need.
    ///
    /// # Errors
    /// If the task does not exist.
    pub fn inputs(&self) -> Result<Samples> {
        let task = named(self.task.name.as_deref().unwrap_or_default())?;
        let is_input = |field: &&Field| {
            let mut needs = task.needs.iter().filter(|need| need.input);
            needs.any(|need| need.field.split('|').any(|name| name == field.name))
        };
        let fields = self.samples.fields().iter().filter(is_input).cloned();
        let starts = self.samples.starts().cloned();
        Ok(Samples::new(self.samples.len(), fields.collect(), starts))
    }
}

/// Pseudo-random numbers from 0 to 1, the same in every run.
pub(super) fn noise(seed: u32) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    })
}

/// A dozen images of noise, `[height, width, channels]`.
pub(super) fn pictures([height, width, channels]: [usize; 3]) -> Field {
    let bytes = noise(3).map(|x| (255.0 * x) as u8);
    Field {
        name: field::IMAGE,
        values: FieldValues::Pixels {
            bytes: bytes.take(12 * height * width * channels).collect(),
            shape: [height, width, channels],
        },
    }
}

/// A case of the task `name` over a dozen rows of noise of two classes, which are divided into two groups; `GROUPED_MODEL` fits it.
pub(super) fn grouped(name: &str) -> Result<TaskCase> {
    let rows = RowSet {
        rows: WindowRows::Floats {
            values: noise(11).map(|x| 4.0 * x - 2.0).take(12 * 6).collect(),
            columns: 6,
        },
        starts: (0..12).collect(),
        random_starts: false,
        length: 1,
        targets: Targets::Classes((0..12).map(|index| index % 2).collect()),
    };
    let mut samples = Samples::from(rows);
    samples.add_field(groups_of(
        (0..12).map(|index| u32::from(index % 3 == 0)).collect(),
    ));
    Ok(TaskCase::new(name, samples)?.classes(&["no", "yes"]))
}

/// A model for [`grouped`].
pub(super) const GROUPED_MODEL: &str = r#"
    name = "tiny"
    input = [6]
    layer = [
        { type = "dense", units = 16, activation = "relu" },
        { type = "dense", units = 2 },
    ]
"#;

/// The group of each sample.
pub(super) fn groups_of(groups: Vec<u32>) -> Field {
    Field {
        name: field::GROUP,
        values: FieldValues::Labels(groups),
    }
}

/// The class of each sample.
#[cfg(test)]
pub(super) fn labels_of(labels: Vec<u32>) -> Field {
    Field {
        name: field::LABEL,
        values: FieldValues::Labels(labels),
    }
}

/// A class below `classes` for each of a dozen samples, in turn.
pub(super) fn labels(classes: u32) -> Field {
    Field {
        name: field::LABEL,
        values: FieldValues::Labels((0..12).map(|index| index % classes).collect()),
    }
}

/// A dozen samples of `length` tokens, below 8, of a random text in which no window occurs twice.
pub(super) fn tokens(length: usize, targets: Targets) -> RowSet {
    let tokens: Vec<u32> = noise(5)
        .map(|x| 1 + (7.0 * x) as u32)
        .take(12 * length + 1)
        .collect();
    RowSet {
        rows: WindowRows::Tokens {
            tokens,
            vocabulary: 8,
        },
        starts: (0..12).map(|i| (i * length) as u32).collect(),
        random_starts: false,
        length,
        targets,
    }
}

/// A dozen windows of `length` rows of two columns. Their targets are the numbers of `ahead` rows, `offset` rows after the start
/// of the window.
pub(super) fn rows(length: usize, offset: usize, ahead: usize, columns: usize) -> RowSet {
    let count = 12 + length + ahead;
    let numbers = |seed, columns: usize| -> Vec<f32> {
        noise(seed)
            .map(|x| 4.0 * x - 2.0)
            .take(count * columns)
            .collect()
    };
    RowSet {
        rows: WindowRows::Floats {
            values: numbers(7, 2),
            columns: 2,
        },
        starts: (0..12).collect(),
        random_starts: false,
        length,
        targets: Targets::Values {
            values: numbers(9, columns),
            columns,
            offset,
            length: ahead,
        },
    }
}
