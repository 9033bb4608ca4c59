//! Images with boxes in the layout of YOLO: `images/1.jpg` and `labels/1.txt`, whose lines are a class and a box as shares of the
//! image's sides, `class centre-x centre-y width height`; the names of the classes in `data.yaml` or `classes.txt`. A line with more
//! numbers is a class and a polygon, whose bounds are the box.

mod yaml;

use self::yaml::{DataFile, read_data_file};
use super::boxes::{BoxedImage, BoxedImages, NamedBox, text_of};
use super::part_folders::{PartFolders, Role, role};
#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, pictures};
use crate::data::files::{name_as_text, natural_order};
use crate::data::picture::has_image_ending;
use crate::data::{DataError, Dataset, Parts, Samples, Source};
use crate::error::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files with the names of the classes, one on each line.
const CLASS_FILES: [&str; 4] = ["classes.txt", "obj.names", "labels.txt", "names.txt"];
/// Number of files of labels that are looked at to detect the format.
const LOOKED_AT: usize = 16;

/// See the module.
pub struct Yolo;

impl Format for Yolo {
    fn name(&self) -> &'static str {
        "yolo"
    }

    fn about(&self) -> &'static str {
        "images with boxes in text files, as YOLO has them"
    }

    fn looks_for(&self) -> &'static str {
        "folders images and labels, with labels/1.txt for images/1.jpg"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        if !source.is_folder() {
            return None;
        }
        let all: Vec<&Path> = source
            .tree()
            .files_below(source.path())
            .ok()?
            .map(|(path, _)| path)
            .collect();
        let has_images = all.iter().any(|path| {
            has_image_ending(path) && label_file(path).is_some_and(|file| all.contains(&&*file))
        });
        let mut labels = all.iter().filter(|path| {
            let folders = path.parent().map(Path::components);
            let is_label = |part: std::path::Component<'_>| part.as_os_str() == "labels";
            has_ending(path, "txt") && folders.is_some_and(|mut all| all.any(is_label))
        });
        let looked_at: Vec<&&Path> = labels.by_ref().take(LOOKED_AT).collect();
        let fits = |path: &&&Path| {
            let head = source.head(path);
            let text = String::from_utf8_lossy(&head).into_owned();
            let first = text.lines().find(|line| !line.trim().is_empty());
            first.is_none_or(|line| parsed(line).is_ok())
        };
        let first = looked_at.first()?;
        let reason = format!("boxes in {}", first.display());
        (has_images && looked_at.iter().all(fits)).then(|| Detection::new(98, reason))?
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        boxed_images(cx.source)?.load(cx)
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        pictures::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let mut sample = Sample::in_folder(dir).with("data.yaml", "nc: 2\nnames: [cat, dog]\n");
        for n in 0..6_u8 {
            sample = sample
                .with(&format!("images/{n}.png"), Sample::png([8, 8], 40 * n))
                .with(
                    &format!("labels/{n}.txt"),
                    format!("{} 0.5 0.5 0.25 0.5\n", n % 2),
                );
        }
        sample.cut("labels/0.txt", 9)
    }
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|own| own.eq_ignore_ascii_case(ending))
}

/// The file of labels of the image `path`: in `labels` in place of the last `images` of its folders, or beside it.
fn label_file(path: &Path) -> Option<PathBuf> {
    let parts: Vec<_> = path.components().collect();
    let folders = parts.len().checked_sub(1)?;
    let last = parts[..folders]
        .iter()
        .rposition(|part| part.as_os_str().eq_ignore_ascii_case("images"));
    let mut file = PathBuf::new();
    for (at, part) in parts.iter().enumerate() {
        match Some(at) == last {
            true => file.push("labels"),
            false => file.push(part),
        }
    }
    Some(file.with_extension("txt"))
}

/// The class and the box of a line: `[x0, y0, x1, y1]` as shares.
fn parsed(line: &str) -> Result<(usize, [f64; 4]), String> {
    let mut words = line.split_whitespace();
    let class = words.next().unwrap_or_default();
    let number: f64 = class
        .parse()
        .map_err(|_| format!("begins with \"{class}\", which is no number of a class"))?;
    if number < 0.0 || number.fract() != 0.0 || number > f64::from(u16::MAX) {
        return Err(format!(
            "has the class {class}, which is no whole number from 0"
        ));
    }
    let numbers: Vec<f64> = words
        .map(|word| {
            word.parse()
                .map_err(|_| format!("has \"{word}\", which is no number"))
        })
        .collect::<Result<_, _>>()?;
    let corners = match numbers[..] {
        [x, y, width, height] => [
            x - width / 2.0,
            y - height / 2.0,
            x + width / 2.0,
            y + height / 2.0,
        ],
        ref points if points.len() >= 6 && points.len() % 2 == 0 => {
            let of = |axis: usize| points.iter().skip(axis).step_by(2).copied();
            let least = |axis| of(axis).fold(f64::INFINITY, f64::min);
            let most = |axis| of(axis).fold(f64::NEG_INFINITY, f64::max);
            [least(0), least(1), most(0), most(1)]
        }
        _ => {
            return Err(format!(
                "has {} numbers after the class, not the four of a box (centre x and y, width and height) or those of a polygon",
                numbers.len()
            ));
        }
    };
    Ok((number as usize, corners))
}

/// The images in `source` with their boxes.
fn boxed_images(source: &Source) -> Result<BoxedImages, DataError> {
    let root = source.path();
    let data = data_file(source)?;
    let parts = match data.as_ref().filter(|data| data.train.is_some()) {
        Some(data) => parts_of_file(source, data)?,
        None => None,
    };
    let parts = match parts {
        Some(parts) => parts,
        None => parts_of_folders(source)?,
    };
    let (mut without, mut largest) = (0, None);
    let mut read = |paths: Vec<PathBuf>| {
        let images = paths.into_iter().map(|path| {
            let image = boxed_image(path)?;
            without += usize::from(image.boxes.is_empty());
            for each in &image.boxes {
                let seen = largest.get_or_insert((each.class, image.source.clone(), each.number));
                if each.class > seen.0 {
                    *seen = (each.class, image.source.clone(), each.number);
                }
            }
            Ok(image)
        });
        images.collect::<Result<Vec<_>, DataError>>()
    };
    let parts = Parts {
        train: read(parts.train)?,
        validation: parts.validation.map(&mut read).transpose()?,
        test: parts.test.map(&mut read).transpose()?,
    };
    let named = match data
        .map(|data| data.names)
        .filter(|names| !names.is_empty())
    {
        Some(names) => names,
        None => names_of_file(source)?,
    };
    let classes = match (named.is_empty(), &largest) {
        (true, None) => Vec::new(),
        (true, Some((largest, ..))) => (0..=*largest).map(|class| class.to_string()).collect(),
        (false, Some((class, file, line))) if *class >= named.len() => {
            return Err(DataError::unusable(
                &**file,
                format!(
                    "has the class {class} at line {line}, but {} has {} names of classes, from 0: {}",
                    root.display(),
                    named.len(),
                    named.join(", ")
                ),
            ));
        }
        (false, _) => named,
    };
    let notes = match without {
        0 => Vec::new(),
        1 => vec!["1 image has no boxes: it shows what is no object".to_string()],
        _ => vec![format!(
            "{without} images have no boxes: they show what is no object"
        )],
    };
    Ok(BoxedImages {
        parts,
        classes,
        noun: "line",
        found: Vec::new(),
        notes,
    })
}

/// The image `path` with the boxes of its file of labels, if there is one.
fn boxed_image(path: PathBuf) -> Result<BoxedImage, DataError> {
    let file = label_file(&path).filter(|file| file.is_file());
    let Some(file) = file else {
        return Ok(BoxedImage {
            source: Arc::from(&*path),
            path,
            boxes: Vec::new(),
        });
    };
    let text = text_of(&file)?;
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    let boxes = lines.map(|(line, number)| {
        let (class, corners) = parsed(line)
            .map_err(|what| DataError::unusable(&file, format!("{what}, at line {number}")))?;
        Ok(NamedBox {
            corners,
            is_relative: true,
            class,
            is_crowd: false,
            number,
        })
    });
    Ok(BoxedImage {
        path,
        boxes: boxes.collect::<Result<_, DataError>>()?,
        source: Arc::from(file),
    })
}

/// The YAML file that describes the data, if there is one.
fn data_file(source: &Source) -> Result<Option<DataFile>, DataError> {
    let is_yaml = |path: &Path| has_ending(path, "yaml") || has_ending(path, "yml");
    let entries = source.entries().iter().map(|entry| &*entry.path);
    let found = entries.filter(|path| is_yaml(path)).find(|path| {
        let head = source.head(path);
        String::from_utf8_lossy(&head).contains("names")
    });
    found.map(read_data_file).transpose()
}

/// The names of the classes in a file that has one on each line; none if there is no such file.
fn names_of_file(source: &Source) -> Result<Vec<String>, DataError> {
    let folders = [
        Some(source.path()),
        source.tree().folder_in(source.path(), &["labels"]),
    ];
    let files = folders
        .into_iter()
        .flatten()
        .flat_map(|folder| CLASS_FILES.iter().map(|name| folder.join(name)));
    let Some(file) = files.into_iter().find(|file| file.is_file()) else {
        return Ok(Vec::new());
    };
    let text = text_of(&file)?;
    let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
    Ok(names.map(str::to_string).collect())
}

/// The parts that the data file names, as folders of images or lists of them; `None` if they are not below the source.
fn parts_of_file(
    source: &Source,
    data: &DataFile,
) -> Result<Option<Parts<Vec<PathBuf>>>, DataError> {
    let root = source.path();
    let below = |name: &String| {
        // Paths of the data file are relative to it, to its `path`, or to a folder of another machine that ends as this one.
        let own = Path::new(name);
        let plain: PathBuf = own
            .components()
            .filter(|part| matches!(part, std::path::Component::Normal(_)))
            .collect();
        let whole = root.join(&plain);
        let shorter = plain.components().skip(1).collect::<PathBuf>();
        [whole, root.join(shorter)]
            .into_iter()
            .find(|path| *path != root && path.exists())
    };
    let Some(train) = data.train.as_ref().and_then(below) else {
        return Ok(None);
    };
    let read = |path: PathBuf| match path.is_dir() {
        true => images_below(source, &path),
        false => listed(&path, root),
    };
    let part = |name: &Option<String>| name.as_ref().and_then(below).map(read).transpose();
    Ok(Some(Parts {
        train: read(train)?,
        validation: part(&data.validation)?,
        test: part(&data.test)?,
    }))
}

/// The images that the list `path` names, one on each line, relative to it or to `root`.
fn listed(path: &Path, root: &Path) -> Result<Vec<PathBuf>, DataError> {
    let text = text_of(path)?;
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    let beside = path.parent().unwrap_or(root);
    let file = |(line, number): (&str, usize)| {
        let name = line.trim().trim_start_matches("./");
        let found = [root.join(name), beside.join(name)];
        found
            .into_iter()
            .find(|file| file.is_file())
            .ok_or_else(|| {
                let what = format!("names {name} at line {number}, which is not there");
                DataError::unusable(path, what)
            })
    };
    lines.map(file).collect()
}

/// The parts by the folders of images: `train/images`, or `images/train`, or one part.
fn parts_of_folders(source: &Source) -> Result<Parts<Vec<PathBuf>>, DataError> {
    let (tree, root) = (source.tree(), source.path());
    let images = tree.folder_in(root, &["images"]);
    let folders = [Some(root), images].into_iter().flatten();
    for folder in folders {
        let parts = PartFolders::of(&tree.folders_in(folder))?;
        if let Some(train) = parts.train {
            let below = |dir: Option<&Path>| dir.map(|dir| images_below(source, dir)).transpose();
            return Ok(Parts {
                train: images_below(source, train)?,
                validation: below(parts.validation)?,
                test: below(parts.test)?,
            });
        }
    }
    let lists = source
        .entries()
        .iter()
        .filter(|entry| has_ending(&entry.path, "txt"));
    let part = |wanted: Role| {
        let is_it = |path: &&PathBuf| {
            role(Path::new(path.file_stem().unwrap_or_default()))
                .is_some_and(|(role, rest)| role == wanted && rest.is_empty())
        };
        let list = lists.clone().map(|entry| &entry.path).find(is_it);
        list.map(|list| listed(list, root)).transpose()
    };
    if let Some(train) = part(Role::Train)? {
        return Ok(Parts {
            train,
            validation: part(Role::Validation)?,
            test: part(Role::Test)?,
        });
    }
    Ok(Parts {
        train: images_below(source, images.unwrap_or(root))?,
        validation: None,
        test: None,
    })
}

/// The images below `dir`, in the natural order of their names.
fn images_below(source: &Source, dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let files = source.tree().files_below(dir)?;
    let mut found: Vec<(String, PathBuf)> = files
        .filter(|(path, _)| has_image_ending(path))
        .map(|(path, relative)| (name_as_text(relative.as_os_str()), path.to_owned()))
        .collect();
    found.sort_by(|(a, _), (b, _)| natural_order(a, b));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests;
