//! What is to be predicted: inputs that the user names, or a part of the run's own data.

use std::path::{Path, PathBuf};
use wgrad::Error;
use wgrad::data::{InputCells, InputContext, Part, PredictInput, PredictItem, SampleName, Samples};
use wgrad::nn::{InputSpec, Model};
use wgrad::settings::Settings;

/// What is to be predicted.
pub(in crate::cli) struct Given {
    /// Each input, or each sample of the part; each image, if samples are tiles.
    pub items: Vec<Item>,
    /// The cells of each item, if they are rows of a table that the user named.
    cells: Option<InputCells>,
    /// A sample for each item without trouble, or its tiles.
    pub set: Samples,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// An input, or a sample of a part.
pub(in crate::cli) struct Item {
    pub name: SampleName,
    /// The image file from which it was read, if any.
    pub picture: Option<PathBuf>,
    /// Why it can't be predicted.
    pub trouble: Option<String>,
}

impl From<PredictItem> for Item {
    fn from(item: PredictItem) -> Item {
        Item {
            name: SampleName {
                key: item.key,
                value: item.name.into(),
            },
            picture: item.picture,
            trouble: item.trouble,
        }
    }
}

/// Names and cells of an input.
pub(in crate::cli) type Cells<'a> = Vec<(&'a str, String)>;

impl Given {
    /// The `inputs` for the run in the folder `run`, whose first model is `model`.
    ///
    /// # Errors
    /// If nothing can be predicted.
    pub fn inputs(
        inputs: &[PredictInput],
        run: &Path,
        settings: &Settings,
        model: &dyn Model,
        invert: bool,
    ) -> wgrad::Result<Given> {
        let format = settings.fitted.format.ok_or_else(|| {
            Error::Config(format!(
                "{} does not name the format of its data; train it again",
                run.display()
            ))
        })?;
        let mut specs = model.inputs().iter().map(|input| &input.spec);
        let read = format.read_inputs(
            inputs,
            &InputContext {
                settings: &settings.data,
                fitted: &settings.fitted,
                model: model.name(),
                image: specs.find_map(InputSpec::image),
                invert,
            },
        )?;
        Ok(Given {
            items: read.items.into_iter().map(Item::from).collect(),
            cells: read.cells,
            set: read.set,
            notes: read.notes,
        })
    }

    /// A part of the data of the run with these `settings`.
    ///
    /// # Errors
    /// If the data can't be read any more, or have no such part.
    pub fn part(part: Part, settings: &mut Settings) -> wgrad::Result<Given> {
        settings.data.evaluate = part;
        let dataset = settings.load_data()?;
        let set = dataset.test;
        let item = |index: usize| Item {
            name: set.name(index),
            picture: None,
            trouble: None,
        };
        Ok(Given {
            items: set.firsts().into_iter().map(item).collect(),
            cells: None,
            set,
            notes: dataset.notes,
        })
    }

    /// Names and cells of the item at `place`: those of its row, or else its own name.
    pub fn cells(&self, place: usize) -> Cells<'_> {
        match &self.cells {
            Some(InputCells { names, rows }) => {
                let row = rows.row(place).into_iter();
                let cells = row.flat_map(|(_, row)| row.iter().map(str::to_string));
                names.iter().map(|name| &**name).zip(cells).collect()
            }
            None => {
                let name = &self.items[place].name;
                vec![(name.key, super::csv::shown(&name.value))]
            }
        }
    }
}
