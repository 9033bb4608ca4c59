//! Manifests: tables with a column of image files, further columns of numbers and categories, and a target column.
//!
//! A sample has the fields `image`, `row` if there are further columns, and `label` or `value`. A model with
//! `[inputs] image = ..., row = "auto"` takes image and columns together.

mod places;
mod split;

pub(super) use self::places::Places;
pub(super) use self::split::{column as column_of_parts, part_of};
use super::part_folders::Role;
use super::picture_files::shape_for;
use super::table::{
    CsvTable, PartRows, TableFiles, columns_in_words, encode_rows, group_columns, head_rows,
    leave_out_without_target, load_parts, target_in_words,
};
#[cfg(test)]
use super::tests::Sample;
use super::{
    Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, PredictItem,
    box_table, only_file, pictures, pixels::PictureReader, row_name,
};
use crate::data::files::set_name;
use crate::data::groups;
use crate::data::picture::{PictureShape, decode, has_image_ending};
use crate::data::{
    Column, DataError, DataSettings, Dataset, Field, FieldValues, Fitted, Parts, SampleNames,
    Samples, Source, Starts, Targets, WindowRows, field,
};
use crate::error::Result;
use csv::StringRecord;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Number of rows that are examined to detect the column of images.
const LOOKED_AT: usize = 32;

/// Names of the column to predict, beside those of other tables; the first that exists is taken.
const TARGETS: [&str; 13] = [
    "target",
    "label",
    "class",
    "y",
    "labels",
    "category",
    "class_name",
    "label_name",
    "species",
    "breed",
    "diagnosis",
    "class_id",
    "category_id",
];

/// See the module.
pub struct Manifest;

impl Format for Manifest {
    fn name(&self) -> &'static str {
        "manifest"
    }

    fn about(&self) -> &'static str {
        "a table of images"
    }

    fn looks_for(&self) -> &'static str {
        "a table with a column of image files, relative to it"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let file = table_files(source)?.train;
        let rows = head_rows(&source.head(&file), LOOKED_AT);
        // The first row may be a header.
        let names: Vec<&str> = rows.first()?.iter().collect();
        if box_table::has_boxes(&names) {
            return None;
        }
        let column = picture_place(&rows, &names, &Places::of(&file))?;
        Detection::new(95, format!("image files in column {}", column + 1))
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        load(cx)
    }

    fn describe(&self, fitted: &Fitted) -> Vec<String> {
        let pictures = fitted.image.iter();
        pictures
            .map(|column| format!("column {column}: image files"))
            .chain(columns_in_words(fitted))
            .chain(target_in_words(fitted))
            .collect()
    }

    /// The rows of a table with the same columns, whose images are only needed if the model takes them; or images alone.
    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        let is_image = |input: &PredictInput| match input {
            PredictInput::Path(path) => path.is_dir() || has_image_ending(path),
            PredictInput::Text(_) | PredictInput::StandardInput => false,
        };
        if cx.image.is_some() && !inputs.is_empty() && inputs.iter().all(is_image) {
            return pictures::read_inputs(inputs, cx);
        }
        let path = only_file(inputs, "tables of images")?;
        let mut table = CsvTable::read(path, cx.settings, &cx.fitted.input_columns())?;
        let all = 1..=table.rows.len();
        let mut items: Vec<PredictItem> = all
            .map(|row| PredictItem::file(row_name(path, row)))
            .collect();
        let (mut read, mut seen) = (None, Vec::new());
        if cx.image.is_some() {
            let shape = pictures::input_shape(cx)?;
            let column = picture_column(&table, cx.settings, cx.fitted, path)?;
            let files = picture_files(&table, &column, path)?;
            let mut kept = Vec::new();
            let mut places = items.iter_mut().zip(&files);
            let mut reader = PictureReader::new(files.len(), shape, cx.settings, cx.invert)?;
            let pixels = reader.read(&paths(&files), |_, outcome| {
                if let Some((item, file)) = places.next() {
                    kept.push(outcome.is_ok());
                    item.trouble = outcome.err().map(|why| file.trouble(path, &why));
                }
                Ok(())
            })?;
            keep_rows(&mut table, &kept);
            seen = reader.survey().notes(shape.background);
            seen.extend(reader.in_words());
            read = Some(pixels);
        }
        let (rows, mut notes) = encode_rows(&table, path, cx.settings, cx.fitted)?;
        let values = match rows.rows {
            WindowRows::Floats { values, .. } => values,
            WindowRows::Tokens { .. } => Vec::new(),
        };
        notes.extend(seen);
        let count = table.rows.len();
        let set = samples(count, read, values, &cx.fitted.columns, rows.targets);
        notes.extend(pictures::brightness(&set, cx));
        Ok(PredictInputs {
            items,
            cells: None,
            set,
            notes,
        })
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let mut sample = Sample::in_folder(dir);
        let header = "file,age,city,label\n";
        let mut rows = header.to_string();
        for n in 0..20_u8 {
            sample = sample.with(&format!("pictures/{n}.png"), Sample::png([4, 4], 9 * n));
            let city = ["Rome", "Oslo"][usize::from(n) % 2];
            let class = ["no", "yes"][usize::from(n) / 2 % 2];
            rows += &format!("pictures/{n}.png,{n},{city},{class}\n");
        }
        sample
            .with("people.csv", rows)
            // In the middle of the first row after the header.
            .cut("people.csv", header.len() + 18)
    }
}

/// The files of the table in `source`, apart from tables of the form in which predictions are to be submitted.
fn table_files(source: &Source) -> Option<TableFiles> {
    let is_form = |path: &Path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        stem.to_lowercase().contains("submission")
    };
    match TableFiles::of(source) {
        Some(files) if source.is_file() || !is_form(&files.train) => Some(files),
        _ => {
            let entries = source.entries().iter();
            let mut tables = entries.filter(|entry| {
                let is_table = entry.has_ending("csv") || entry.has_ending("tsv");
                is_table && !entry.is_folder && !is_form(&entry.path)
            });
            let train = tables.next()?.path.clone();
            tables.next().is_none().then_some(TableFiles {
                train,
                validation: None,
                test: None,
            })
        }
    }
}

/// The image file of a row.
struct PictureFile {
    path: PathBuf,
    line: u64,
}

impl PictureFile {
    /// The message that it can't be read, for the table `manifest`.
    fn trouble(&self, manifest: &Path, why: &str) -> String {
        format!(
            "{} names {} at line {}, which can't be read as an image ({why})",
            manifest.display(),
            self.path.display(),
            self.line
        )
    }
}

fn paths(files: &[PictureFile]) -> Vec<PathBuf> {
    files.iter().map(|file| file.path.clone()).collect()
}

/// The folder that paths in `manifest` are relative to.
fn folder_of(manifest: &Path) -> &Path {
    manifest.parent().unwrap_or(Path::new(""))
}

/// The first column in which at least half of `rows`, which may include a header, name images; `names` are those of the columns.
fn picture_place(rows: &[StringRecord], names: &[&str], places: &Places) -> Option<usize> {
    let columns = rows.first()?.len();
    (0..columns).find(|&column| {
        let name = names.get(column).copied();
        let is_picture = |cell: &str| places.has_image(cell, name);
        let found = rows
            .iter()
            .filter(|row| row.get(column).is_some_and(is_picture));
        found.count() * 2 >= rows.len()
    })
}

/// The column of images: the one of the settings, the one that the run recorded, or the one whose cells name images.
fn picture_column(
    table: &CsvTable,
    settings: &DataSettings,
    fitted: &Fitted,
    path: &Path,
) -> Result<String, DataError> {
    let said = settings.image.as_ref().or(fitted.image.as_ref());
    if let Some(name) = said {
        return match table.place(name).is_some() {
            true => Ok(name.clone()),
            false => Err(DataError::unusable(
                path,
                format!("has no column {name} of images: it has {}", table.listed()),
            )),
        };
    }
    let rows = table.rows.head(LOOKED_AT);
    let names: Vec<&str> = table.names.iter().map(|name| &**name).collect();
    let place = picture_place(&rows, &names, &Places::of(path));
    place
        .and_then(|place| table.names.get(place).cloned())
        .ok_or_else(|| {
            DataError::unusable(
                path,
                format!(
                    "has no column of image files in {}: set data.image to one of {}",
                    folder_of(path).display(),
                    table.listed()
                ),
            )
        })
}

/// The image file of each row of `table`, from the column `name`.
fn picture_files(table: &CsvTable, name: &str, path: &Path) -> Result<Vec<PictureFile>, DataError> {
    let place = table.place(name);
    let place = place.ok_or_else(|| {
        let problem = format!("has no column {name} of images: it has {}", table.listed());
        DataError::unusable(path, problem)
    })?;
    let places = Places::of(path);
    let files = table.rows.iter().map(|(line, row)| {
        let cell = row.get(place).unwrap_or_default();
        match cell.is_empty() {
            true => Err(DataError::unusable(
                path,
                format!("names no image at line {line} in column {name}: remove such rows"),
            )),
            false => Ok(PictureFile {
                path: places.file(cell),
                line,
            }),
        }
    });
    files.collect()
}

fn keep_rows(table: &mut CsvTable, kept: &[bool]) {
    let mut kept = kept.iter();
    table.keep_rows(|_| kept.next().copied().unwrap_or(false));
}

/// Loads the parts. With `skip_bad`, rows with unreadable images are skipped before anything is split or fitted.
fn load(cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
    let (path, settings) = (cx.source.path(), cx.settings);
    let files = table_files(cx.source).ok_or_else(|| {
        DataError::unusable(
            path,
            "is not a table: give a .csv file, or a folder with train.csv and test.csv",
        )
    })?;
    let read = files.read(settings, cx.fitted)?;
    let (first, first_path) = &read[0];
    let column = picture_column(first, settings, cx.fitted, first_path)?;
    let folder = folder_of(first_path).to_owned();
    let part_column = split::column(first).cloned();
    let settings = &own_settings(settings, cx.fitted, first, &column, part_column.as_ref());
    let (files, mut tables) = by_parts(files, read, settings, cx.fitted, part_column.as_ref())?;
    let left_out = leave_out_without_target(&mut tables, settings, cx.fitted, true)?;
    let named = tables
        .iter()
        .map(|(table, path)| picture_files(table, &column, path));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let shape = shape_of(settings, &named[0])?;
    let count = named.iter().map(Vec::len).sum();
    let mut reader = PictureReader::new(count, shape, settings, false)?;
    let (mut pixels, mut notes) = (Vec::new(), Vec::new());
    for ((table, path), files) in tables.iter_mut().zip(&named) {
        let (read, kept) = read_table(files, path, &mut reader, settings.skip_bad, &mut notes)?;
        keep_rows(table, &kept);
        if table.rows.is_empty() {
            return Err(DataError::unusable(&*path, "has no readable image").into());
        }
        let rows = table.rows.len();
        let names = files.iter().zip(&kept).filter(|(_, kept)| **kept);
        let names: Vec<&Path> = names.map(|(file, _)| &*file.path).collect();
        pixels.push((Some(read), rows, names));
    }
    let read = load_parts(&tables, &files, settings, cx.fitted, cx.seed, Some(&column))?;
    cx.fitted.image = Some(column);
    let columns = &cx.fitted.columns;
    let groups = groups::wanted(settings, cx.fitted);
    let mut part = |part: PartRows| {
        let count = part.places.len();
        let (table, path) = &tables[part.table];
        let groups = group_columns(table, path, &groups, &part.places)?;
        let (all, rows, files) = &mut pixels[part.table];
        let names = part.places.iter().map(|&place| files[place]);
        let names = SampleNames::files(names, &folder);
        let own = match count == *rows {
            true => all.take(),
            false => all.as_ref().map(|all| all.kept(&part.places)),
        };
        let samples = samples(count, own, part.values, columns, part.targets).named(names);
        Ok::<Samples, DataError>(samples.with_groups(groups))
    };
    let parts = Parts {
        train: part(read.parts.train)?,
        validation: read.parts.validation.map(&mut part).transpose()?,
        test: read.parts.test.map(&mut part).transpose()?,
    };
    let mut dataset = Dataset::of_parts(path, parts, read.classes);
    dataset.name = set_name(path);
    notes.extend(reader.survey().notes(settings.background));
    dataset.notes.extend(notes.into_iter().chain(read.notes));
    dataset.found = reader.survey().found();
    if let (Some(name), None, false) = (&part_column, settings.folds, settings.unsplit) {
        let line = format!("column {name}: the part of each row");
        dataset.found.push(line);
    }
    dataset.found.extend(read.found);
    dataset.found.extend(left_out);
    dataset.found.extend(reader.in_words());
    Ok(dataset)
}

/// The settings with which a table of images is read: the column of parts is dropped, and the target is neither that column nor
/// the images.
fn own_settings(
    settings: &DataSettings,
    fitted: &Fitted,
    table: &CsvTable,
    images: &str,
    parts: Option<&String>,
) -> DataSettings {
    let mut own = settings.clone();
    let is_open = own.targets.is_empty() && fitted.targets.is_empty();
    if is_open && own.target.is_none() && fitted.target.is_none() {
        let named = |wanted: &&str| {
            let mut names = table.names.iter();
            names.find(|name| name.eq_ignore_ascii_case(wanted))
        };
        let is_other = |name: &&String| **name != *images && Some(*name) != parts;
        let last = || table.names.iter().rev().find(is_other);
        own.target = TARGETS.iter().find_map(named).or_else(last).cloned();
    }
    own.drop
        .extend(parts.filter(|name| !settings.drop.contains(name)).cloned());
    own
}

/// The files and their tables `read` or, if the column `parts` names the part of each row of a single table, one for each part.
fn by_parts(
    files: TableFiles,
    read: Vec<(CsvTable, PathBuf)>,
    settings: &DataSettings,
    fitted: &Fitted,
    parts: Option<&String>,
) -> Result<(TableFiles, Vec<(CsvTable, PathBuf)>)> {
    let (Some(name), [(table, _)]) = (parts, &read[..]) else {
        return Ok((files, read));
    };
    let own = (!settings.unsplit && settings.folds.is_none())
        .then(|| split::files_of_parts(&files, table, name))
        .flatten();
    let Some(own) = own else {
        return Ok((files, read));
    };
    let mut tables = own.read(settings, fitted)?;
    let later = own.is_test().map(|is_test| match is_test {
        true => Role::Test,
        false => Role::Validation,
    });
    let roles = std::iter::once(Role::Train).chain(later);
    for ((table, _), role) in tables.iter_mut().zip(roles) {
        split::keep(table, name, role);
    }
    Ok((own, tables))
}

/// The shape that `settings` specify, or that of the first image; with `skip_bad`, of the first readable one.
fn shape_of(settings: &DataSettings, files: &[PictureFile]) -> Result<PictureShape> {
    let readable = |file: &&PictureFile| {
        !settings.skip_bad || settings.size.is_some() || decode(&file.path).is_ok()
    };
    let first = files.iter().find(readable).or(files.first());
    let first = first.map(|file| &*file.path).unwrap_or(Path::new(""));
    shape_for(settings, first)
}

/// The pixels of the images of a table, and the rows that they belong to. Unreadable images are errors or, with `skip_bad`, go
/// to `notes`.
fn read_table(
    files: &[PictureFile],
    manifest: &Path,
    reader: &mut PictureReader,
    skip_bad: bool,
    notes: &mut Vec<String>,
) -> Result<(FieldValues, Vec<bool>)> {
    let mut kept = Vec::new();
    let mut named = files.iter();
    let pixels = reader.read(&paths(files), |_, outcome| {
        let Some(file) = named.next() else {
            return Ok(());
        };
        kept.push(outcome.is_ok());
        match outcome {
            Ok(_) => {}
            Err(why) => {
                let message = file.trouble(manifest, &why);
                if skip_bad {
                    notes.push(format!("skipped a row: {message}"));
                    return Ok(());
                }
                return Err(crate::error::Error::Data(format!(
                    "{message}: fix or remove that row, or set data.skip_bad = true to skip such rows"
                )));
            }
        }
        Ok(())
    })?;
    Ok((pixels, kept))
}

/// Samples of images, encoded columns and targets, as far as they exist.
fn samples(
    count: usize,
    pixels: Option<FieldValues>,
    values: Vec<f32>,
    columns: &[Column],
    targets: Targets,
) -> Samples {
    let mut fields = Vec::new();
    fields.extend(pixels.map(|values| Field {
        name: field::IMAGE,
        values,
    }));
    let windows = |name, values, columns| Field {
        name,
        values: FieldValues::Windows {
            rows: Arc::new(WindowRows::Floats { values, columns }),
            offset: 0,
            length: 1,
        },
    };
    let width = columns.iter().map(Column::width).sum();
    if width > 0 {
        fields.push(windows(field::ROW, values, width));
    }
    match targets {
        Targets::Classes(labels) => fields.push(Field {
            name: field::LABEL,
            values: FieldValues::Labels(labels),
        }),
        Targets::Labels { values, labels } => fields.push(windows(field::LABELS, values, labels)),
        Targets::Values {
            values, columns, ..
        } => fields.push(windows(field::VALUE, values, columns)),
        Targets::None | Targets::NextToken => {}
    }
    let rows = |field: &Field| matches!(field.values, FieldValues::Windows { .. });
    let starts = fields.iter().any(rows).then(|| Starts {
        first: (0..count as u32).collect(),
        anywhere: false,
        span: 1,
        rows: count,
    });
    Samples::new(count, fields, starts)
}

#[cfg(test)]
mod tests;
