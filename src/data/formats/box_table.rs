//! Tables of boxes: a row for each box with the image file, the corners or a corner with width and height, and the class; in files
//! for the parts (`train.csv`, `test.csv`), or with a column that names the part.

use super::boxes::{BoxedImage, BoxedImages, NamedBox};
use super::manifest::{Places, column_of_parts, part_of};
use super::part_folders::Role;
use super::table::{CsvTable, TableFiles, head_rows};
#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, pictures};
use crate::data::{DataError, DataSettings, Dataset, Fitted, Parts, Samples, Source};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names of the column of image files.
const IMAGES: [&str; 14] = [
    "filename",
    "file_name",
    "file",
    "image",
    "image_path",
    "image_name",
    "image_id",
    "img",
    "img_path",
    "path",
    "filepath",
    "file_path",
    "picture",
    "id",
];
/// Names of the column of classes.
const CLASSES: [&str; 9] = [
    "class",
    "label",
    "class_name",
    "label_name",
    "category",
    "name",
    "object",
    "cell_type",
    "type",
];
/// Names of the columns of corners.
const CORNERS: [[&str; 4]; 7] = [
    ["xmin", "ymin", "xmax", "ymax"],
    ["x_min", "y_min", "x_max", "y_max"],
    ["x0", "y0", "x1", "y1"],
    ["x1", "y1", "x2", "y2"],
    ["left", "top", "right", "bottom"],
    ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"],
    ["min_x", "min_y", "max_x", "max_y"],
];
/// Names of the columns of the left upper corner with width and height of the box.
const SIZES: [[&str; 4]; 4] = [
    ["x", "y", "w", "h"],
    ["bbox_x", "bbox_y", "bbox_width", "bbox_height"],
    ["x", "y", "box_width", "box_height"],
    ["left", "top", "width", "height"],
];
/// The class of all boxes of a table without classes.
const ONLY_CLASS: &str = "object";

/// See the module.
pub struct BoxTable;

impl Format for BoxTable {
    fn name(&self) -> &'static str {
        "box_table"
    }

    fn about(&self) -> &'static str {
        "a table of boxes in images"
    }

    fn looks_for(&self) -> &'static str {
        "a table with columns of image files and of corners: xmin, ymin, xmax, ymax"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let file = TableFiles::of(source)?.train;
        let rows = head_rows(&source.head(&file), 2);
        let names: Vec<String> = rows.first()?.iter().map(str::to_string).collect();
        let columns = Columns::of(&names)?;
        let has_image = rows.get(1).is_some_and(|row| {
            let cell = row.get(columns.image).unwrap_or_default();
            Places::of(&file).file(cell).is_file()
        });
        let corners = columns.corners.map(|at| names[at].clone()).join(", ");
        has_image.then(|| Detection::new(98, format!("boxes in the columns {corners}")))?
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        boxed_images(cx.source, cx.settings, cx.fitted)?.load(cx)
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        pictures::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let header = "filename,class,xmin,ymin,xmax,ymax\n";
        let (mut sample, mut rows) = (Sample::in_folder(dir), header.to_string());
        for n in 0..6_u8 {
            sample = sample.with(&format!("images/{n}.png"), Sample::png([8, 8], 40 * n));
            let class = ["cat", "dog"][usize::from(n) % 2];
            rows += &format!("{n}.png,{class},1,2,{},7\n", 4 + n % 3);
        }
        // In the middle of the first row after the header.
        sample
            .with("boxes.csv", rows)
            .cut("boxes.csv", header.len() + 8)
    }
}

/// Whether a table with these columns is one of boxes in images.
pub(super) fn has_boxes(names: &[&str]) -> bool {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    Columns::of(&names).is_some()
}

/// Places of the columns.
struct Columns {
    image: usize,
    class: Option<usize>,
    corners: [usize; 4],
    /// Whether the last two corners are width and height.
    are_sizes: bool,
}

impl Columns {
    /// The columns by their `names`; `None` if there are none of images or of corners.
    fn of(names: &[String]) -> Option<Columns> {
        let plain = |name: &String| name.trim().to_lowercase().replace([' ', '-'], "_");
        let names: Vec<String> = names.iter().map(plain).collect();
        let place = |wanted: &&str| names.iter().position(|name| name == wanted);
        let all = |wanted: &[&str; 4]| {
            let mut places = [0; 4];
            for (own, name) in places.iter_mut().zip(wanted) {
                *own = place(name)?;
            }
            Some(places)
        };
        let corners = CORNERS.iter().find_map(all);
        let sizes = || SIZES.iter().find_map(all);
        Some(Columns {
            image: IMAGES.iter().find_map(place)?,
            class: CLASSES.iter().find_map(place),
            are_sizes: corners.is_none(),
            corners: corners.or_else(sizes)?,
        })
    }
}

/// The images of a part, by their files, in the order of their first rows.
#[derive(Default)]
struct Part {
    places: BTreeMap<PathBuf, usize>,
    images: Vec<BoxedImage>,
    /// The class of each box of each image, by name.
    classes: Vec<Vec<String>>,
}

impl Part {
    /// The place of the image `path`, whose boxes are in the table `source`.
    fn image(&mut self, path: PathBuf, source: &Arc<Path>) -> usize {
        let next = self.images.len();
        let place = *self.places.entry(path.clone()).or_insert(next);
        if place == next {
            self.classes.push(Vec::new());
            self.images.push(BoxedImage {
                path,
                source: source.clone(),
                boxes: Vec::new(),
            });
        }
        place
    }
}

fn boxed_images(
    source: &Source,
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<BoxedImages, DataError> {
    let path = source.path();
    let files = TableFiles::of(source).ok_or_else(|| {
        DataError::unusable(
            path,
            "is not a table: give a .csv file, or a folder with train.csv and test.csv",
        )
    })?;
    let tables = files.read(settings, fitted)?;
    let mut parts: [Option<Part>; 3] = [Some(Part::default()), None, None];
    let roles = [
        Some(Role::Train),
        files.validation.is_some().then_some(Role::Validation),
        files.test.is_some().then_some(Role::Test),
    ];
    let roles: Vec<Role> = roles.into_iter().flatten().collect();
    for ((table, path), own) in tables.iter().zip(roles) {
        let named = match settings.unsplit || tables.len() > 1 {
            true => None,
            false => column_of_parts(table).and_then(|name| table.place(name)),
        };
        read_table(table, path, (named, own), &mut parts)?;
    }
    let all = parts
        .iter()
        .flatten()
        .flat_map(|part| part.classes.iter().flatten());
    let classes: BTreeSet<String> = all.cloned().collect();
    let classes: Vec<String> = classes.into_iter().collect();
    let boxed = |mut part: Part| {
        for (image, names) in part.images.iter_mut().zip(&part.classes) {
            for (each, name) in image.boxes.iter_mut().zip(names) {
                each.class = classes.binary_search(name).unwrap_or(0);
            }
        }
        part.images
    };
    let [train, validation, test] = parts.map(|part| part.map(&boxed));
    Ok(BoxedImages {
        parts: Parts {
            train: train.unwrap_or_default(),
            validation,
            test,
        },
        classes: classes.clone(),
        noun: "line",
        found: tables
            .iter()
            .flat_map(|(table, path)| table.in_words(path))
            .collect(),
        notes: tables
            .iter()
            .flat_map(|(table, path)| table.notes(path))
            .collect(),
    })
}

/// Adds the rows of `table` to the `parts`: each to the one that the column `named` gives, if there is one, or else to its `own`.
fn read_table(
    table: &CsvTable,
    path: &Path,
    (named, own): (Option<usize>, Role),
    parts: &mut [Option<Part>; 3],
) -> Result<(), DataError> {
    let columns = Columns::of(&table.names).ok_or_else(|| {
        DataError::unusable(
            path,
            format!(
                "has no columns of image files and corners of boxes: call them filename, xmin, ymin, xmax, ymax and class; it has {}",
                table.listed()
            ),
        )
    })?;
    let (places, source) = (Places::of(path), Arc::<Path>::from(path));
    for (line, row) in table.rows.iter() {
        let cell = |place: usize| row.get(place).unwrap_or_default().trim();
        let wrong = |what: String| DataError::unusable(path, format!("{what} at line {line}"));
        let name = cell(columns.image);
        if name.is_empty() {
            return Err(wrong("names no image".to_string()));
        }
        let role = named.and_then(|place| part_of(cell(place)));
        let part = match role.unwrap_or(own) {
            Role::Train => 0,
            Role::Validation | Role::Evaluation => 1,
            Role::Test => 2,
        };
        let part = parts[part].get_or_insert_default();
        let image = part.image(places.file(name), &source);
        let cells = columns.corners.map(cell);
        if cells.iter().all(|cell| cell.is_empty()) {
            // An image without boxes.
            continue;
        }
        let mut corners = [0.0_f64; 4];
        for ((own, cell), place) in corners.iter_mut().zip(cells).zip(columns.corners) {
            *own = cell.parse().map_err(|_| {
                wrong(format!(
                    "has \"{cell}\" in column {}, which is no number,",
                    table.names[place]
                ))
            })?;
        }
        if columns.are_sizes {
            corners[2] += corners[0];
            corners[3] += corners[1];
        }
        let class = columns.class.map_or(ONLY_CLASS, cell);
        if class.is_empty() {
            return Err(wrong("names no class".to_string()));
        }
        part.classes[image].push(class.to_string());
        part.images[image].boxes.push(NamedBox {
            corners,
            is_relative: false,
            class: 0,
            is_crowd: false,
            number: line as usize,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
