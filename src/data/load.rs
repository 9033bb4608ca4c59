//! Loads a data set from a source, whose format is named or detected.

use super::brightness::Brightness;
use super::formats::{LoadContext, detect};
use super::{DataError, DataSettings, Dataset, Fitted, Part, PictureFit, Samples, Source};
use super::{class_choice, groups, labelled, permutation};
use crate::error::{Error, Result};

/// Loads the data of `settings`. Values fitted to the training part are stored in `fitted`; values already there are used instead.
/// If no format is named, it is detected. [`Dataset::test`] is the part to evaluate on.
///
/// # Errors
/// If the source can't be read or is unusable.
pub fn load(settings: &DataSettings, fitted: &mut Fitted, seed: u64) -> Result<Dataset<Samples>> {
    let source = Source::of(settings)?;
    let (format, notes) = match settings.format {
        Some(format) => (format, Vec::new()),
        None => detect(&source)?,
    };
    fitted.take_tokenizer(settings, format.name())?;
    if settings.fit == PictureFit::Tile && !format.cuts_tiles() {
        return Err(Error::Config(format!(
            "data.fit = \"tile\" cuts images with masks into tiles, but {} is {}; set it to \"crop\", \"stretch\" or \"pad\"",
            source.word(),
            format.about()
        )));
    }
    // Where known classes come first, samples are assigned by the names of theirs.
    let known = match (&settings.known_classes[..], &fitted.classes[..]) {
        ([], _) => Vec::new(),
        (known, []) => known.to_vec(),
        _ => std::mem::take(&mut fitted.classes),
    };
    let mut dataset = format.load(&mut LoadContext {
        source: &source,
        settings,
        fitted,
        seed,
    })?;
    fitted.format = Some(format);
    if let (Some(target), None) = (&settings.target, &fitted.target) {
        return Err(Error::Config(format!(
            "data.target (--target) names the column {target} to predict, but {} is {}, which has no such column{}",
            dataset.name,
            format.about(),
            match format.name() {
                "series" => "; data.targets names the columns to forecast",
                _ => "",
            }
        )));
    }
    if let (Some(target), true) = (settings.targets.first(), fitted.targets.is_empty())
        && format.name() != "series"
    {
        return Err(Error::Config(format!(
            "data.targets names the column {target} to predict, but {} is {}, which has no such column",
            dataset.name,
            format.about()
        )));
    }
    dataset.notes.splice(0..0, notes);
    class_choice::put_known_first(&mut dataset, &known, fitted)?;
    class_choice::leave_out(&mut dataset, &settings.train_without)?;
    class_choice::keep_only(&mut dataset, &settings.only)?;
    permutation::permute_parts(&mut dataset, settings.permutation)?;
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
    // Mean and standard deviation need no classes: they are those of all training samples.
    fitted.take(settings, &dataset)?;
    labelled::keep(&mut dataset, settings, seed)?;
    groups::assign(&mut dataset, settings, fitted, format.about())?;
    let notes = brightness_of_test(settings, fitted, &dataset);
    dataset.notes.extend(notes);
    Ok(dataset)
}

/// A note if the images to evaluate are much lighter or darker than those of the training.
fn brightness_of_test(
    settings: &DataSettings,
    fitted: &Fitted,
    dataset: &Dataset<Samples>,
) -> Option<String> {
    let stats = |set: &Samples| {
        let stats = set.channel_stats().filter(|_| !set.is_empty())?;
        Some(stats.mean)
    };
    let test = stats(&dataset.test)?;
    // Means of the settings may be those of other images.
    let training = match &settings.mean {
        None => fitted.mean.clone(),
        Some(_) => stats(&dataset.train)?,
    };
    let far = Brightness::far(&test, &training)?;
    let part = settings.evaluate.name();
    let advice = match far.looks_inverted() {
        true => "they look inverted, so invert one of the two",
        false => "check that they belong together",
    };
    let said = far.in_words(&format!("the images of the {part} part are"));
    Some(format!("{said}: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSet;

    #[test]
    fn a_test_part_of_the_opposite_brightness_is_noted() {
        let set = |value: u8| ImageSet {
            images: vec![value; 4],
            labels: vec![0, 1, 0, 1],
            height: 1,
            width: 1,
            channels: 1,
        };
        let classes = || ["a", "b"].map(String::from).to_vec();
        let noted = |test: u8, settings: DataSettings| {
            let data = Dataset::new("tiny", set(30), set(test), classes()).unwrap();
            let (data, mut fitted) = (data.into_samples(), Fitted::default());
            fitted.take(&settings, &data).unwrap();
            brightness_of_test(&settings, &fitted, &data)
        };
        let settings = DataSettings::default;
        assert_eq!(noted(60, settings()), None);
        assert_eq!(
            noted(220, settings()).unwrap(),
            "the images of the test part are much lighter than the training images (mean 0.86, training 0.12): they look inverted, \
             so invert one of the two"
        );
        let said = noted(130, settings()).unwrap();
        assert!(said.contains("belong together"), "{said}");
        // The mean of the settings may have nothing to do with these images.
        let set_mean = DataSettings {
            mean: Some(vec![0.5]),
            std: Some(vec![1.0]),
            ..settings()
        };
        assert_eq!(noted(60, set_mean), None);
    }
}
