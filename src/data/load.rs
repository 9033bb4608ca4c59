//! Loads a data set from a source, whose format is named or detected.

use super::brightness::Brightness;
use super::formats::{LoadContext, detect};
use super::labelled;
use super::{DataError, DataSettings, Dataset, Fitted, Part, PictureFit, Samples, Source};
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
    leave_out(&mut dataset, &settings.train_without)?;
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

/// Removes the samples of some classes from the training and validation parts.
///
/// # Errors
/// If samples have no classes, there is no such class, or a part would become empty.
fn leave_out(dataset: &mut Dataset<Samples>, classes: &[String]) -> Result<()> {
    if classes.is_empty() {
        return Ok(());
    }
    let wrong = |what: String| Err(Error::Config(format!("data.train_without {what}")));
    let mut left_out = vec![false; dataset.classes.len()];
    for name in classes {
        match dataset.classes.iter().position(|class| class == name) {
            Some(class) => left_out[class] = true,
            None if dataset.classes.is_empty() => {
                return wrong(format!(
                    "names the class {name}, but {} has no classes",
                    dataset.name
                ));
            }
            None => {
                return wrong(format!(
                    "names the class {name}, but {} has only {}",
                    dataset.name,
                    dataset.classes.join(", ")
                ));
            }
        }
    }
    let parts = [
        ("training", Some(&mut dataset.train)),
        ("validation", dataset.validation.as_mut()),
    ];
    for (part, samples) in parts {
        let Some(samples) = samples else { continue };
        let Some(labels) = samples.labels() else {
            return wrong(format!(
                "needs a class for each sample, but {} has none",
                dataset.name
            ));
        };
        let kept =
            samples.filtered(|index| !left_out.get(labels[index] as usize).is_some_and(|&out| out));
        if kept.is_empty() {
            return wrong(format!("leaves the {part} part empty"));
        }
        dataset.notes.push(format!(
            "removed {} of {} {part} {}: those of class {}",
            samples.len() - kept.len(),
            samples.len(),
            samples.noun(),
            classes.join(", ")
        ));
        *samples = kept;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSet;

    #[test]
    fn classes_are_left_out_of_training_and_validation_but_not_of_the_test_part() {
        let set = |labels: Vec<u32>| ImageSet {
            images: (0..labels.len() as u8).collect(),
            labels,
            height: 1,
            width: 1,
            channels: 1,
        };
        let classes = ["a", "b", "c"].map(String::from);
        let whole = || {
            let mut whole = Dataset::new(
                "tiny",
                set(vec![0, 1, 2, 1]),
                set(vec![1, 2]),
                classes.to_vec(),
            )
            .unwrap();
            whole.validation = Some(set(vec![1, 0]));
            whole.into_samples()
        };
        let mut data = whole();
        leave_out(&mut data, &["b".to_string()]).unwrap();
        assert_eq!(data.train.labels(), Some(&[0, 2][..]));
        assert_eq!(data.validation.unwrap().labels(), Some(&[0][..]));
        assert_eq!(data.test.labels(), Some(&[1, 2][..]));
        assert_eq!(
            data.notes[0],
            "removed 2 of 4 training images: those of class b"
        );
        let message = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            leave_out(&mut whole(), &names).unwrap_err().to_string()
        };
        assert!(message(&["d"]).contains("class d, but tiny has only a, b, c"));
        assert!(message(&["a", "b", "c"]).contains("leaves the training part empty"));
        assert!(message(&["a", "b"]).contains("leaves the validation part empty"));
    }

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
