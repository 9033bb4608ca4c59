//! Images with boxes in the layout of COCO: a JSON file for each part with `images`, `annotations` and `categories`, such as
//! `annotations/instances_train2017.json` with the images in `train2017`, or `train/_annotations.coco.json` beside its images.

use super::boxes::{BoxedImage, BoxedImages, NamedBox, PictureIndex, text_of};
use super::part_folders::{Role, role};
#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, pictures};
use crate::data::files::name_as_text;
use crate::data::source::Tree;
use crate::data::{DataError, Dataset, Parts, Samples, Source};
use crate::error::Result;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module.
pub struct Coco;

impl Format for Coco {
    fn name(&self) -> &'static str {
        "coco"
    }

    fn about(&self) -> &'static str {
        "images with boxes in a JSON file, as COCO has them"
    }

    fn looks_for(&self) -> &'static str {
        "a JSON file with images, annotations and categories"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let files = files(source).ok()?;
        let first = files.first()?;
        Detection::new(98, format!("images and annotations in {}", first.display()))
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
        let (mut images, mut annotations) = (Vec::new(), Vec::new());
        for n in 0..6_u8 {
            sample = sample.with(&format!("images/{n}.png"), Sample::png([8, 8], 40 * n));
            images.push(serde_json::json!({"id": n, "file_name": format!("{n}.png"), "width": 8, "height": 8}));
            annotations.push(serde_json::json!({
                "id": n, "image_id": n, "category_id": 3 + n % 2, "bbox": [1, 2, 4, 5], "iscrowd": 0
            }));
        }
        let categories = serde_json::json!([{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}]);
        let text = serde_json::json!({"images": images, "annotations": annotations, "categories": categories});
        sample
            .with("annotations.json", text.to_string())
            .cut("annotations.json", 200)
    }
}

/// The content of a JSON file.
#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: Value,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    #[serde(default)]
    id: Value,
    image_id: Value,
    category_id: Value,
    /// `[x, y, width, height]`.
    #[serde(default)]
    bbox: Vec<f64>,
    #[serde(default)]
    iscrowd: Value,
}

#[derive(Deserialize)]
struct Category {
    id: Value,
    name: String,
}

/// Whether the head of a JSON file is that of a file of COCO with boxes.
fn is_coco(head: &[u8]) -> bool {
    let has = |word: &str| {
        let quoted = format!("\"{word}\"");
        head.windows(quoted.len())
            .any(|part| part == quoted.as_bytes())
    };
    has("images") && has("file_name") || has("annotations") && has("bbox") || has("category_id")
}

/// The JSON files of COCO in `source`, sorted; of those in a folder `annotations`, the instances.
fn files(source: &Source) -> Result<Vec<PathBuf>, DataError> {
    let is_json = |path: &Path| {
        path.extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("json"))
    };
    if source.is_file() {
        let path = source.path();
        let fits = is_json(path) && is_coco(&source.head(path));
        return Ok(fits.then(|| path.to_owned()).into_iter().collect());
    }
    let below = source.tree().files_below(source.path())?;
    let mut found: Vec<PathBuf> = below
        .filter(|(path, relative)| {
            let depth = relative.components().count();
            depth <= 3 && is_json(path) && is_coco(&source.head(path))
        })
        .map(|(path, _)| path.to_owned())
        .collect();
    found.sort();
    let is_instances = |path: &PathBuf| {
        name_as_text(path.file_name().unwrap_or_default()).starts_with("instances")
    };
    if found.iter().any(is_instances) {
        found.retain(is_instances);
    }
    Ok(found)
}

/// The part that a JSON file is of, by its name or that of its folder.
fn part_of(path: &Path) -> Option<Role> {
    let stem = Path::new(path.file_stem().unwrap_or_default());
    let found = role(stem).or_else(|| role(Path::new(path.parent()?.file_name()?)));
    found.map(|(role, _)| role)
}

fn boxed_images(source: &Source) -> Result<BoxedImages, DataError> {
    let files = files(source)?;
    let mut parts: Parts<Option<&PathBuf>> = Parts {
        train: None,
        validation: None,
        test: None,
    };
    for file in &files {
        let place = match part_of(file) {
            Some(Role::Validation | Role::Evaluation) => parts.validation.get_or_insert(None),
            Some(Role::Test) => parts.test.get_or_insert(None),
            Some(Role::Train) | None => &mut parts.train,
        };
        if let Some(other) = place.replace(file) {
            return Err(DataError::unusable(
                file,
                format!(
                    "is of the same part as {}: name the file to train on, or rename them to train, val and test",
                    other.display()
                ),
            ));
        }
    }
    let path = source.path();
    let missing = || DataError::unusable(path, "has no JSON file of COCO for training");
    let train = parts.train.ok_or_else(missing)?;
    // A single file may lie beside the folder of its images.
    let root = match source.is_file() {
        true => image_root(path),
        false => path.to_owned(),
    };
    let tree = Tree::of(&root);
    let index = PictureIndex::of(&tree, &root)?;
    let mut classes: Vec<String> = Vec::new();
    let mut read = |file: &PathBuf| read_file(file, &index, &mut classes);
    Ok(BoxedImages {
        parts: Parts {
            train: read(train)?,
            validation: parts.validation.flatten().map(&mut read).transpose()?,
            test: parts.test.flatten().map(&mut read).transpose()?,
        },
        classes,
        noun: "annotation",
        found: Vec::new(),
        notes: Vec::new(),
    })
}

/// The folder below which the images of the JSON file `path` lie: that of the file or, if it is called `annotations`, the one around.
fn image_root(path: &Path) -> PathBuf {
    let own = path.parent().unwrap_or(Path::new("."));
    let is_annotations = own
        .file_name()
        .is_some_and(|name| name.eq_ignore_ascii_case("annotations"));
    match own.parent() {
        Some(around) if is_annotations => around.to_owned(),
        _ if own.as_os_str().is_empty() => PathBuf::from("."),
        _ => own.to_owned(),
    }
}

/// The images of the file `path`. Names of classes that are new are added to `classes`, in the order of their categories.
fn read_file(
    path: &Path,
    index: &PictureIndex<'_>,
    classes: &mut Vec<String>,
) -> Result<Vec<BoxedImage>, DataError> {
    let wrong = |what: String| DataError::unusable(path, what);
    let file: File = serde_json::from_str(&text_of(path)?)
        .map_err(|e| wrong(format!("is no JSON file of COCO: {e}")))?;
    let mut categories = HashMap::new();
    for category in &file.categories {
        let known = classes.iter().position(|name| *name == category.name);
        let place = known.unwrap_or_else(|| {
            classes.push(category.name.clone());
            classes.len() - 1
        });
        categories.insert(category.id.to_string(), place);
    }
    let source: Arc<Path> = Arc::from(path);
    let (mut images, mut places) = (Vec::new(), HashMap::new());
    for image in &file.images {
        let found = index.find(&image.file_name, path).ok_or_else(|| {
            wrong(format!(
                "names the image {} (id {}), which is not there: add it, or remove its entry",
                image.file_name, image.id
            ))
        })?;
        if places.insert(image.id.to_string(), images.len()).is_some() {
            return Err(wrong(format!("has two images with the id {}", image.id)));
        }
        images.push(BoxedImage {
            path: found,
            source: source.clone(),
            boxes: Vec::new(),
        });
    }
    for (annotation, number) in file.annotations.iter().zip(1..) {
        let name = match &annotation.id {
            Value::Null => format!("number {number}"),
            id => id.to_string(),
        };
        let place = places
            .get(&annotation.image_id.to_string())
            .ok_or_else(|| {
                let id = &annotation.image_id;
                wrong(format!(
                    "has the annotation {name} of the image {id}, which is not among its images"
                ))
            })?;
        let class = categories.get(&annotation.category_id.to_string()).ok_or_else(|| {
            let id = &annotation.category_id;
            wrong(format!("has the annotation {name} of the category {id}, which is not among its categories"))
        })?;
        let &[x, y, width, height] = &annotation.bbox[..] else {
            return Err(wrong(format!(
                "has the annotation {name} with a bbox of {} numbers, not x, y, width and height",
                annotation.bbox.len()
            )));
        };
        images[*place].boxes.push(NamedBox {
            corners: [x, y, x + width, y + height],
            is_relative: false,
            class: *class,
            is_crowd: annotation.iscrowd == 1 || annotation.iscrowd == true,
            number,
        });
    }
    Ok(images)
}

#[cfg(test)]
mod tests;
