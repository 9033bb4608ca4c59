//! Images that belong together by their names, in two folders: an image and its mask, or an image and a degraded one.

use super::part_folders::PartFolders;
use crate::data::files::{name_as_text, natural_order};
use crate::data::picture::has_image_ending;
use crate::data::split::Drawn;
use crate::data::{DataError, DataSettings, Parts, Source};
use crate::error::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which folders hold images that belong together.
pub(super) struct Pairing {
    /// Names of the folder of images, the usual one first.
    pub images: &'static [&'static str],
    /// Names of the folder of the others.
    pub others: &'static [&'static str],
    /// What an image is called.
    pub image: &'static str,
    /// What the other one is called.
    pub other: &'static str,
}

/// An image and the other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub image: PathBuf,
    pub other: PathBuf,
}

impl Pair {
    /// Name of the image.
    pub fn name(&self) -> String {
        name_of(&self.image)
    }
}

fn name_of(path: &Path) -> String {
    name_as_text(path.file_name().unwrap_or_default())
}

impl Pairing {
    /// Why `source` has such pairs, if it has.
    pub fn detect(&self, source: &Source) -> Option<String> {
        let parts = part_folders(source).ok()?;
        let root = parts.train.unwrap_or(source.path());
        let folders = self.folders(source, root);
        let (images, others) = folders.or_else(|| self.folders(source, source.path()))?;
        let has_images = |dir: &Path| {
            let files = source.tree().files_below(dir);
            files.is_ok_and(|mut files| files.any(|(path, _)| has_image_ending(path)))
        };
        (has_images(images) && has_images(others)).then(|| {
            format!(
                "folders {} and {} of images",
                name_of(images),
                name_of(others)
            )
        })
    }

    /// The pairs of each part: those in its folder, those that `data.parts` counts in sequence, or a share drawn by the seed.
    ///
    /// # Errors
    /// Names the image without another, or the other way round.
    pub fn parts(
        &self,
        source: &Source,
        settings: &DataSettings,
        seed: u64,
    ) -> Result<Parts<Vec<Pair>>> {
        let path = source.path();
        let PartFolders {
            train,
            validation,
            test,
            ..
        } = match self.folders(source, path) {
            Some(_) => PartFolders::default(),
            None => part_folders(source)?,
        };
        let own = |root: Option<&Path>| root.map(|root| self.pairs(source, root)).transpose();
        let all = self.pairs(source, train.unwrap_or(path))?;
        let (validation, test) = match train {
            Some(_) => (own(validation)?, own(test)?),
            None => (None, None),
        };
        let has_parts = train.is_some() && (validation.is_some() || test.is_some());
        if let (Some(parts), false) = (settings.parts, settings.unsplit) {
            if has_parts {
                let message = "has parts of its own: leave out data.parts";
                return Err(DataError::unusable(path, message).into());
            }
            return first_pairs(all, parts, path);
        }
        let drawn = Drawn::of(settings, validation.is_some(), test.is_some());
        if !drawn.test && !drawn.validation {
            return Ok(Parts {
                train: all,
                validation,
                test,
            });
        }
        let of_each = drawn.parts(&vec![0; all.len()], settings, seed)?;
        let others = [validation.as_ref(), test.as_ref()];
        let set = |pairs: &Vec<Pair>, keep: &dyn Fn(usize) -> bool| -> Vec<Pair> {
            let kept = pairs.iter().enumerate().filter(|(index, _)| keep(*index));
            kept.map(|(_, pair)| pair.clone()).collect()
        };
        Ok(drawn.divide(&all, &of_each, others, set))
    }

    /// The folders of images and of the others in `root`.
    fn folders<'s>(&self, source: &'s Source, root: &Path) -> Option<(&'s Path, &'s Path)> {
        let folder = |names: &[&str]| source.tree().folder_in(root, names);
        Some((folder(self.images)?, folder(self.others)?))
    }

    /// The pairs in `root`, in the natural order of their names.
    fn pairs(&self, source: &Source, root: &Path) -> Result<Vec<Pair>, DataError> {
        let Pairing { image, other, .. } = self;
        let Some((images, others)) = self.folders(source, root) else {
            let message = format!(
                "has no folders of {image}s and {other}s: put the {image}s into `{}` and their {other}s into `{}`, under the same names",
                self.images[0], self.others[0]
            );
            return Err(DataError::unusable(root, message));
        };
        let pictures = by_stem(source, images)?;
        let mut covers = by_stem(source, others)?;
        let mut pairs = Vec::new();
        for (stem, path) in pictures {
            let Some(cover) = covers.remove(&stem) else {
                let message = format!(
                    "has no {other}: put one called {stem} into {}, or remove the {image}",
                    others.display()
                );
                return Err(DataError::unusable(&path, message));
            };
            let pair = Pair {
                image: path,
                other: cover,
            };
            pairs.push((stem, pair));
        }
        if let Some((stem, cover)) = covers.pop_first() {
            let article = if image.starts_with('i') { "an" } else { "a" };
            let message = format!(
                "is a {other} without {article} {image}: put one called {stem} into {}, or remove the {other}",
                images.display()
            );
            return Err(DataError::unusable(cover, message));
        }
        pairs.sort_by(|(a, _), (b, _)| natural_order(a, b));
        Ok(pairs.into_iter().map(|(_, pair)| pair).collect())
    }
}

/// The first `train` pairs, the `validation` pairs after them, and the `test` pairs after those.
fn first_pairs(
    mut all: Vec<Pair>,
    [train, validation, test]: [usize; 3],
    path: &Path,
) -> Result<Parts<Vec<Pair>>> {
    let wanted = train.saturating_add(validation).saturating_add(test);
    if train == 0 || wanted > all.len() {
        let message = format!(
            "has {} images, which do not fit data.parts = [{train}, {validation}, {test}] for training, validation and test",
            all.len()
        );
        return Err(DataError::unusable(path, message).into());
    }
    all.truncate(wanted);
    let test = all.split_off(train + validation);
    let validation = all.split_off(train);
    let some = |pairs: Vec<Pair>| (!pairs.is_empty()).then_some(pairs);
    Ok(Parts {
        train: all,
        validation: some(validation),
        test: some(test),
    })
}

/// The folders of the parts.
fn part_folders(source: &Source) -> Result<PartFolders<'_>, DataError> {
    PartFolders::of(&source.tree().folders_in(source.path()))
}

/// The image files directly in `dir`, by name without extension.
fn by_stem(source: &Source, dir: &Path) -> Result<BTreeMap<String, PathBuf>, DataError> {
    let mut found = BTreeMap::new();
    for (path, relative) in source.tree().files_below(dir)? {
        if relative.components().count() != 1 || !has_image_ending(path) {
            continue;
        }
        let stem = name_as_text(relative.file_stem().unwrap_or_default());
        if let Some(other) = found.insert(stem, path.to_owned()) {
            let message = format!("has the name of {}: remove one of the two", other.display());
            return Err(DataError::unusable(path, message));
        }
    }
    Ok(found)
}
