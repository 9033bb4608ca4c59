//! Which classes take part, and in which order: `data.train_without`, `data.only` and `data.known_classes`.

use super::field::{self, FieldValues};
use super::{Dataset, Fitted, Samples};
use crate::error::{Error, Result};

/// Puts the `known` classes first in the list of classes, and those that only the data have after them.
///
/// # Errors
/// If samples have no class each, or the cells of a table differ from the names of its classes.
pub(super) fn put_known_first(
    dataset: &mut Dataset<Samples>,
    known: &[String],
    fitted: &Fitted,
) -> Result<()> {
    if dataset.classes.starts_with(known) {
        return Ok(());
    }
    let wrong = |why: String| Err(Error::Config(format!("data.known_classes {why}")));
    if dataset.train.labels().is_none() {
        return wrong(format!(
            "names classes that come first, but the samples of {} have no class each, or other ones in another order; use data with the \
             classes {}",
            dataset.name,
            known.join(", ")
        ));
    }
    if !fitted.class_cells.is_empty() {
        return wrong(format!(
            "can't change the order of the classes of {}, whose cells are not their names; use data with the classes {}",
            dataset.name,
            known.join(", ")
        ));
    }
    let mut classes = known.to_vec();
    let mut places: Vec<u32> = Vec::with_capacity(dataset.classes.len());
    for class in &dataset.classes {
        let place = classes.iter().position(|known| known == class);
        places.push(place.unwrap_or(classes.len()) as u32);
        if place.is_none() {
            classes.push(class.clone());
        }
    }
    let parts = [&mut dataset.train, &mut dataset.test];
    for part in parts.into_iter().chain(&mut dataset.validation) {
        for field in part.fields_mut() {
            if let (field::LABEL, FieldValues::Labels(labels)) = (field.name, &mut field.values) {
                for label in labels {
                    *label = places.get(*label as usize).copied().unwrap_or(*label);
                }
            }
        }
    }
    dataset.classes = classes;
    Ok(())
}

/// Removes the samples of some classes from the training and validation parts.
///
/// # Errors
/// If samples have no classes, there is no such class, or a part would become empty.
pub(super) fn leave_out(dataset: &mut Dataset<Samples>, classes: &[String]) -> Result<()> {
    let setting = "train_without";
    let Some(named) = named(dataset, setting, classes)? else {
        return Ok(());
    };
    let those = format!("those of class {}", classes.join(", "));
    keep(
        dataset,
        setting,
        &["training", "validation"],
        &those,
        |class| !named[class],
    )
}

/// Removes the samples of all but some classes from all parts.
///
/// # Errors
/// As [`leave_out`].
pub(super) fn keep_only(dataset: &mut Dataset<Samples>, classes: &[String]) -> Result<()> {
    let setting = "only";
    let Some(named) = named(dataset, setting, classes)? else {
        return Ok(());
    };
    let those = format!("all but those of class {}", classes.join(", "));
    let parts = ["training", "validation", "test"];
    keep(dataset, setting, &parts, &those, |class| named[class])
}

/// Of each class whether it is among those that the `setting` names; `None` if it names none.
fn named(
    dataset: &Dataset<Samples>,
    setting: &str,
    classes: &[String],
) -> Result<Option<Vec<bool>>> {
    if classes.is_empty() {
        return Ok(None);
    }
    let mut named = vec![false; dataset.classes.len()];
    for name in classes {
        match dataset.classes.iter().position(|class| class == name) {
            Some(class) => named[class] = true,
            None => {
                let known = match dataset.classes.is_empty() {
                    true => "no classes".to_string(),
                    false => format!("only {}", dataset.classes.join(", ")),
                };
                return Err(Error::Config(format!(
                    "data.{setting} names the class {name}, but {} has {known}",
                    dataset.name
                )));
            }
        }
    }
    Ok(Some(named))
}

/// Keeps the samples of the classes that `keeps` accepts in these parts, with a note on `those` that are removed.
fn keep(
    dataset: &mut Dataset<Samples>,
    setting: &str,
    of_parts: &[&str],
    those: &str,
    keeps: impl Fn(usize) -> bool,
) -> Result<()> {
    let wrong = |what: String| Err(Error::Config(format!("data.{setting} {what}")));
    let classes = dataset.classes.len();
    let parts = [
        ("training", Some(&mut dataset.train)),
        ("validation", dataset.validation.as_mut()),
        ("test", Some(&mut dataset.test)),
    ];
    let parts = parts
        .into_iter()
        .filter(|(part, _)| of_parts.contains(part));
    for (part, samples) in parts {
        let Some(samples) = samples else { continue };
        let Some(labels) = samples.labels() else {
            return wrong(format!(
                "needs a class for each sample, but {} has none",
                dataset.name
            ));
        };
        let kept = samples.filtered(|index| {
            let class = labels[index] as usize;
            class >= classes || keeps(class)
        });
        if kept.is_empty() {
            return wrong(format!("leaves the {part} part empty"));
        }
        dataset.notes.push(format!(
            "removed {} of {} {part} {}: {those}",
            samples.len() - kept.len(),
            samples.len(),
            samples.noun(),
        ));
        *samples = kept;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSet;

    fn set(labels: Vec<u32>) -> ImageSet {
        ImageSet {
            images: (0..labels.len() as u8).collect(),
            labels,
            height: 1,
            width: 1,
            channels: 1,
        }
    }

    /// A set of the classes a, b and c.
    fn whole() -> Dataset<Samples> {
        let classes = ["a", "b", "c"].map(String::from).to_vec();
        let (train, test) = (set(vec![0, 1, 2, 1]), set(vec![1, 2]));
        let mut whole = Dataset::new("tiny", train, test, classes).unwrap();
        whole.validation = Some(set(vec![1, 0]));
        whole.into_samples()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn classes_are_left_out_of_training_and_validation_but_not_of_the_test_part() {
        let mut data = whole();
        leave_out(&mut data, &names(&["b"])).unwrap();
        assert_eq!(data.train.labels(), Some(&[0, 2][..]));
        assert_eq!(data.validation.unwrap().labels(), Some(&[0][..]));
        assert_eq!(data.test.labels(), Some(&[1, 2][..]));
        assert_eq!(
            data.notes[0],
            "removed 2 of 4 training images: those of class b"
        );
        let message = |of: &[&str]| leave_out(&mut whole(), &names(of)).unwrap_err().to_string();
        assert!(message(&["d"]).contains("class d, but tiny has only a, b, c"));
        assert!(message(&["a", "b", "c"]).contains("leaves the training part empty"));
        assert!(message(&["a", "b"]).contains("leaves the validation part empty"));
    }

    #[test]
    fn only_the_named_classes_stay_in_all_parts() {
        let mut data = whole();
        keep_only(&mut data, &names(&["b"])).unwrap();
        assert_eq!(data.train.labels(), Some(&[1, 1][..]));
        assert_eq!(data.validation.as_ref().unwrap().labels(), Some(&[1][..]));
        assert_eq!(data.test.labels(), Some(&[1][..]));
        assert_eq!(data.classes, names(&["a", "b", "c"]));
        let message = keep_only(&mut whole(), &names(&["a"]))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("data.only leaves the test part empty"),
            "{message}"
        );
    }

    #[test]
    fn known_classes_come_first_and_new_ones_after_them() {
        let fitted = Fitted::default();
        let mut data = whole();
        put_known_first(&mut data, &names(&["x", "c", "y"]), &fitted).unwrap();
        assert_eq!(data.classes, names(&["x", "c", "y", "a", "b"]));
        assert_eq!(data.train.labels(), Some(&[3, 4, 1, 4][..]));
        assert_eq!(data.test.labels(), Some(&[4, 1][..]));
        assert_eq!(
            data.validation.as_ref().unwrap().labels(),
            Some(&[4, 3][..])
        );
        // Those that come first already stay there.
        let mut same = whole();
        put_known_first(&mut same, &names(&["a"]), &fitted).unwrap();
        assert_eq!(same, whole());
        let cells = Fitted {
            class_cells: names(&["0", "1", "2"]),
            ..fitted
        };
        let refused = put_known_first(&mut whole(), &names(&["c"]), &cells);
        assert!(refused.unwrap_err().to_string().contains("not their names"));
    }
}
