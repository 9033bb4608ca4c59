//! From a source to a data set: its format is named, or detected.

use super::formats::{LoadContext, detect};
use super::{DataError, DataSettings, Dataset, Fitted, Part, Samples, Source};
use crate::error::Result;

/// Loads what `settings` say, and puts what is learned of its training part into `fitted`; what is there already is used in its
/// place. Where no format is said, the source is looked at. The part to evaluate is [`Dataset::test`].
///
/// # Errors
/// If the source can't be read, or is not what it should be.
pub fn load(settings: &DataSettings, fitted: &mut Fitted, seed: u64) -> Result<Dataset<Samples>> {
    let source = Source::look(&settings.source)?;
    let (format, notes) = match settings.format {
        Some(format) => (format, Vec::new()),
        None => detect(&source)?,
    };
    let mut dataset = format.load(&mut LoadContext {
        source: &source,
        settings,
        fitted,
        seed,
    })?;
    fitted.format = Some(format);
    dataset.notes.splice(0..0, notes);
    match settings.evaluate {
        Part::Test => {}
        Part::Train => dataset.test = dataset.train.clone(),
        Part::Validation => match dataset.validation.take() {
            Some(validation) => dataset.test = validation,
            None => {
                return Err(DataError::NoValidation {
                    path: source.path().to_owned(),
                }
                .into());
            }
        },
    }
    fitted.take(settings, &dataset)?;
    Ok(dataset)
}
