//! Images with boxes in the layout of Pascal VOC: an XML file for each image, `Annotations/1.xml` and `JPEGImages/1.jpg`, with the
//! lists of the parts in `ImageSets/Main/train.txt`; or XML files beside their images, also in `train`, `val` and `test`.

mod annotation;

use self::annotation::{Annotation, read_annotation};
use super::boxes::{BoxedImage, BoxedImages, NamedBox, PictureIndex, text_of};
use super::part_folders::PartFolders;
#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, pictures};
use crate::data::files::{name_as_text, natural_order};
use crate::data::{DataError, Dataset, Parts, Samples, Source};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module.
pub struct Voc;

impl Format for Voc {
    fn name(&self) -> &'static str {
        "voc"
    }

    fn about(&self) -> &'static str {
        "images with boxes in XML files, as Pascal VOC has them"
    }

    fn looks_for(&self) -> &'static str {
        "images, and for each an XML file with an <annotation>"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        if !source.is_folder() {
            return None;
        }
        let files = source.tree().files_below(source.path()).ok()?;
        let first = files.map(|(path, _)| path).find(|path| is_xml(path))?;
        let head = source.head(first);
        let text = String::from_utf8_lossy(&head);
        let is_annotation = text.contains("<annotation") && text.contains("<filename");
        let index = PictureIndex::of(source.tree(), source.path()).ok()?;
        let reason = format!("{} with an annotation", first.display());
        (is_annotation && !index.is_empty()).then(|| Detection::new(98, reason))?
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        boxed_images(cx.source)?.load(cx)
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        pictures::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let mut sample = Sample::in_folder(dir);
        for n in 0..6_u8 {
            let class = ["cat", "dog"][usize::from(n) % 2];
            let xml = format!(
                "<annotation><filename>{n}.png</filename><object><name>{class}</name><bndbox><xmin>1</xmin><ymin>2</ymin>\
                 <xmax>{}</xmax><ymax>7</ymax></bndbox></object></annotation>",
                4 + n % 3
            );
            sample = sample
                .with(&format!("JPEGImages/{n}.png"), Sample::png([8, 8], 40 * n))
                .with(&format!("Annotations/{n}.xml"), xml);
        }
        sample.cut("Annotations/0.xml", 100)
    }
}

fn is_xml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("xml"))
}

/// The annotations in `source` with their images.
fn boxed_images(source: &Source) -> Result<BoxedImages, DataError> {
    let root = source.path();
    let index = PictureIndex::of(source.tree(), root)?;
    let parts = match lists(source)? {
        Some(lists) => {
            let known = by_stem(source, root)?;
            let listed = |list: &PathBuf| listed(list, &known);
            Parts {
                train: listed(&lists.train)?,
                validation: lists.validation.as_ref().map(listed).transpose()?,
                test: lists.test.as_ref().map(listed).transpose()?,
            }
        }
        None => {
            let folders = PartFolders::of(&source.tree().folders_in(root))?;
            let below = |dir: Option<&Path>| dir.map(|dir| annotations(source, dir)).transpose();
            match folders.train {
                Some(train) => Parts {
                    train: annotations(source, train)?,
                    validation: below(folders.validation)?,
                    test: below(folders.test)?,
                },
                None => Parts {
                    train: annotations(source, root)?,
                    validation: None,
                    test: None,
                },
            }
        }
    };
    let read = |files: Vec<PathBuf>| -> Result<Vec<(PathBuf, PathBuf, Annotation)>, DataError> {
        let each = files.into_iter().map(|file| {
            let annotation = read_annotation(&file)?;
            let image = picture(&index, &annotation, &file)?;
            Ok((image, file, annotation))
        });
        each.collect()
    };
    let parts = Parts {
        train: read(parts.train)?,
        validation: parts.validation.map(read).transpose()?,
        test: parts.test.map(read).transpose()?,
    };
    let all = [
        Some(&parts.train),
        parts.validation.as_ref(),
        parts.test.as_ref(),
    ];
    let objects = all
        .into_iter()
        .flatten()
        .flatten()
        .flat_map(|(.., own)| &own.objects);
    let classes: BTreeSet<String> = objects.map(|object| object.class.clone()).collect();
    let classes: Vec<String> = classes.into_iter().collect();
    let boxed = |read: Vec<(PathBuf, PathBuf, Annotation)>| {
        let image = |(path, file, annotation): (PathBuf, PathBuf, Annotation)| BoxedImage {
            path,
            source: Arc::from(file),
            boxes: named_boxes(annotation, &classes),
        };
        read.into_iter().map(image).collect::<Vec<_>>()
    };
    Ok(BoxedImages {
        parts: Parts {
            train: boxed(parts.train),
            validation: parts.validation.map(boxed),
            test: parts.test.map(boxed),
        },
        classes: classes.clone(),
        noun: "object",
        found: Vec::new(),
        notes: Vec::new(),
    })
}

fn named_boxes(annotation: Annotation, classes: &[String]) -> Vec<NamedBox> {
    let objects = annotation.objects.into_iter().enumerate();
    let named = |(at, object): (usize, annotation::Object)| {
        Some(NamedBox {
            corners: object.corners,
            is_relative: false,
            class: classes.binary_search(&object.class).ok()?,
            is_crowd: object.is_difficult,
            number: at + 1,
        })
    };
    objects.filter_map(named).collect()
}

/// The image of an annotation: the one with the name of its file, or else the one that it names.
fn picture(
    index: &PictureIndex<'_>,
    annotation: &Annotation,
    file: &Path,
) -> Result<PathBuf, DataError> {
    let stem = name_as_text(file.file_stem().unwrap_or_default());
    let named = || index.find(&annotation.image, file);
    index.find(&stem, file).or_else(named).ok_or_else(|| {
        DataError::unusable(
            file,
            format!(
                "is of the image {}, which is not there: add it, or remove the annotation",
                match annotation.image.is_empty() {
                    true => &stem,
                    false => &annotation.image,
                }
            ),
        )
    })
}

/// The XML files below `dir`, in the natural order of their names.
fn annotations(source: &Source, dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let files = source.tree().files_below(dir)?;
    let mut found: Vec<(String, PathBuf)> = files
        .filter(|(path, _)| is_xml(path))
        .map(|(path, relative)| (name_as_text(relative.as_os_str()), path.to_owned()))
        .collect();
    found.sort_by(|(a, _), (b, _)| natural_order(a, b));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The XML files below `root`, by their names without endings.
fn by_stem(source: &Source, root: &Path) -> Result<BTreeMap<String, PathBuf>, DataError> {
    let all = annotations(source, root)?.into_iter();
    let stem = |path: &PathBuf| name_as_text(path.file_stem().unwrap_or_default());
    Ok(all.map(|path| (stem(&path), path)).collect())
}

/// The lists of the parts, `ImageSets/Main/train.txt` and others, if there is one for training.
fn lists(source: &Source) -> Result<Option<Parts<PathBuf>>, DataError> {
    let mut lists = BTreeMap::new();
    for (path, _) in source.tree().files_below(source.path())? {
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
        if folder.eq_ignore_ascii_case("main") && path.extension().is_some_and(|e| e == "txt") {
            let stem = name_as_text(path.file_stem().unwrap_or_default());
            lists.entry(stem).or_insert_with(|| path.to_owned());
        }
    }
    let mut list = |name: &str| lists.remove(name);
    let (train, both) = (list("train"), list("trainval"));
    let validation = list("val").filter(|_| train.is_some());
    Ok(train.or(both).map(|train| Parts {
        train,
        validation,
        test: list("test"),
    }))
}

/// The annotations that a list names, one on each line.
fn listed(list: &Path, known: &BTreeMap<String, PathBuf>) -> Result<Vec<PathBuf>, DataError> {
    let text = text_of(list)?;
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    let file = |(line, number): (&str, usize)| {
        let name = line.split_whitespace().next().unwrap_or_default();
        known.get(name).cloned().ok_or_else(|| {
            DataError::unusable(
                list,
                format!("names {name} at line {number}, but there is no annotation {name}.xml"),
            )
        })
    };
    lines.map(file).collect()
}

#[cfg(test)]
mod tests;
