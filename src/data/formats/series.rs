//! Series: a CSV file with rows in temporal order. Samples are windows of `context` rows; the targets are the `horizon` rows
//! after each window.
//!
//! Columns are scaled by mean and standard deviation of the training part. Windows of the later parts begin `context` rows
//! before them, so that every row of a part is predicted (the protocol of Zhou et al. 2021, Informer, for ETT).

mod columns;
mod dates;
mod following;
mod missing;
mod outline;

pub use columns::target_scales;
pub use missing::Fill;
pub use outline::SeriesOutline;

use self::columns::{learn, predicted};
use self::dates::{Dates, sort_by_date};
use self::missing::{drop_rows, filled};
use super::table::{Column, CsvTable, Moment, TableFiles, columns_in_words, first_rows, is_number};
use super::{
    Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, PredictItem,
    only_file,
};
#[cfg(test)]
use super::{FormatName, tests::Sample};
use crate::data::files::check_memory;
use crate::data::{
    DataError, DataSettings, Dataset, Fitted, Parts, RowSet, SampleNames, Samples, SeriesRows,
    Source, Targets, WindowRows,
};
use crate::error::Result;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// A CSV file of numbers in temporal order.
pub struct Series;

impl Format for Series {
    fn name(&self) -> &'static str {
        "series"
    }

    fn about(&self) -> &'static str {
        "a series"
    }

    fn looks_for(&self) -> &'static str {
        "a table of numbers after a first column of dates"
    }

    /// A series looks like a table, which is the more likely interpretation.
    fn detect(&self, source: &Source) -> Option<Detection> {
        let file = TableFiles::of(source)?.train;
        let [names, row] = first_rows(&source.head(&file))?;
        let mut cells = row.iter();
        let dated = cells.next().is_some_and(is_date);
        let numbers = row.len() > 1 && cells.all(is_number);
        let first = names.get(0).unwrap_or_default();
        let reason = format!(
            "dates in its first column, {first}, which --date {first} makes the dates of a series"
        );
        (dated && numbers).then(|| Detection::new(55, reason))?
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        Ok(load(cx.source, cx.settings, cx.fitted)?)
    }

    fn describe(&self, fitted: &Fitted) -> Vec<String> {
        columns_in_words(fitted).collect()
    }

    /// The last rows of a series.
    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        let path = only_file(inputs, "series")?;
        let (set, notes) = read_last_window(path, cx.settings, cx.fitted)?;
        Ok(PredictInputs {
            items: vec![PredictItem::file(path.display())],
            cells: None,
            set,
            notes,
        })
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let row = |n: usize| format!("2020-01-{:02},{n},{}\n", n + 1, n * n);
        let rows = (0..28).map(row).collect::<String>();
        let settings = DataSettings {
            // A table looks the same.
            format: FormatName::named("series"),
            context: Some(3),
            ..DataSettings::default()
        };
        // In the middle of the date of the fifth row.
        let cut = "date,a,b\n".len() + "2020-01-01,0,0\n".len() * 4 + 4;
        Sample {
            settings,
            ..Sample::in_folder(dir)
        }
        .with("series.csv", "date,a,b\n".to_string() + &rows)
        .cut("series.csv", cut)
    }
}

/// Whether a cell begins like a date: a year of four digits, and a month.
fn is_date(cell: &str) -> bool {
    let digit = |place: usize| cell.as_bytes().get(place).is_some_and(u8::is_ascii_digit);
    let sign = cell
        .as_bytes()
        .get(4)
        .is_some_and(|sign| b"-/.".contains(sign));
    (0..4).all(digit) && sign && digit(5) && !is_number(cell)
}

/// Windows overlap, and training on later rows to predict earlier ones would leak.
const NO_FOLDS: &str =
    "is a series, which can't be split into folds; leave out data.folds and --folds";

/// Loads the series of `source`. Columns are fitted to the training part and stored in `fitted`, unless they are there
/// already.
///
/// # Errors
/// Names the column or line that is wrong, or how many rows are missing.
fn load(
    source: &Source,
    settings: &DataSettings,
    fitted: &mut Fitted,
) -> Result<Dataset<Samples>, DataError> {
    let path = source.path();
    if settings.folds.is_some() {
        return Err(DataError::unusable(path, NO_FOLDS));
    }
    let file = TableFiles::of(source).map(|files| files.train);
    let file =
        file.ok_or_else(|| DataError::unusable(path, "is not a series: give a .csv file"))?;
    let mut table = CsvTable::read(&file, settings, &fitted.input_columns())?;
    let mut notes = table.notes(&file);
    notes.extend(sort_by_date(&mut table, settings, &file)?);
    let mut found = table.in_words(&file);
    found.extend(drop_rows(&mut table, settings));
    let rows = table.rows.len();
    let parts = part_rows(settings, rows).map_err(|problem| DataError::unusable(&file, problem))?;
    if fitted.columns.is_empty() {
        fitted.columns = learn(&table, settings, &parts[0], &file, &mut found)?;
    }
    let columns = &fitted.columns;
    let (values, filled) = filled(&table, columns, settings, &file)?;
    found.extend(filled);
    let predicted = predicted(columns, settings, &file)?;
    let width: usize = columns.iter().map(Column::width).sum();
    let targets: Vec<f32> = values
        .chunks_exact(width)
        .flat_map(|row| predicted.iter().map(|&place| row[place]))
        .collect();
    let names = SampleNames::Windows(Arc::new(row_names(&table, settings, &file)?));
    let (context, horizon) = (settings.context(), settings.horizon);
    // Each of three parts keeps all values.
    let kept = (values.len() + targets.len()) as u64;
    check_memory(&file, kept.saturating_mul(12))?;
    let set = |part: &Range<usize>, stride: usize| -> Result<Option<Samples>, DataError> {
        if part.is_empty() {
            return Ok(None);
        }
        let first = part.start.saturating_sub(context);
        if part.end < first + context + horizon {
            return Err(DataError::unusable(
                &file,
                format!(
                    "has {} rows in one of its parts, and a window of data.context = {context} with data.horizon = {horizon} \
                     takes {}",
                    part.end - first,
                    context + horizon
                ),
            ));
        }
        let starts = (first..=part.end - context - horizon).step_by(stride);
        let set = RowSet {
            rows: WindowRows::Floats {
                values: values.clone(),
                columns: width,
            },
            starts: starts.map(|start| start as u32).collect(),
            random_starts: false,
            length: context,
            targets: Targets::Values {
                values: targets.clone(),
                columns: predicted.len(),
                offset: context,
                length: horizon,
            },
        };
        Ok(Some(Samples::from(set).named(names.clone())))
    };
    let [train, validation, test] = &parts;
    let train = set(train, settings.stride.unwrap_or(1))?;
    let parts = Parts {
        train: train.ok_or(DataError::TooFew { samples: rows })?,
        validation: set(validation, 1)?,
        test: set(test, 1)?,
    };
    let mut dataset = Dataset::of_parts(path, parts, Vec::new());
    dataset.found = found;
    dataset.notes.extend(notes);
    Ok(dataset)
}

/// What the rows of `table` are called: by their dates, if they have some, or else by their numbers in the file.
fn row_names(
    table: &CsvTable,
    settings: &DataSettings,
    file: &Path,
) -> Result<SeriesRows, DataError> {
    let dates = Dates::of(table, settings, file)?;
    let rows = 0..table.rows.len();
    Ok(match dates.and_then(|dates| table.place(&dates.name)) {
        Some(place) => {
            let cells = table.column(place);
            SeriesRows::Dates(cells.map(|(_, cell)| cell.to_string()).collect())
        }
        None => SeriesRows::Numbers(rows.map(|place| table.row_number(place)).collect()),
    })
}

/// Rows of the training, validation and test parts: those of `data.parts`, or `test_share` of them at the end and half as many
/// before.
fn part_rows(settings: &DataSettings, rows: usize) -> Result<[Range<usize>; 3], String> {
    if settings.unsplit {
        return Ok([0..rows, 0..0, 0..rows]);
    }
    let [train, validation, test] = settings.parts.unwrap_or_else(|| {
        let test = (rows as f64 * settings.test_share()).round() as usize;
        let validation = test / 2;
        [rows.saturating_sub(test + validation), validation, test]
    });
    let ends = [
        train,
        train.saturating_add(validation),
        train.saturating_add(validation).saturating_add(test),
    ];
    if train == 0 || ends[2] > rows {
        return Err(format!(
            "has {rows} rows, too few for the training, validation and test parts of data.parts or data.test_share"
        ));
    }
    Ok([0..ends[0], ends[0]..ends[1], ends[1]..ends[2]])
}

/// The last `context` rows of the series in `path`, from which a model fitted to `fitted.columns` forecasts, named by the dates of
/// the rows and of those that follow; and notes for the user.
///
/// # Errors
/// If there are fewer rows, or the columns differ.
pub fn read_last_window(
    path: &Path,
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<(Samples, Vec<String>), DataError> {
    let mut table = CsvTable::read(path, settings, &fitted.input_columns())?;
    let mut notes = table.notes(path);
    notes.extend(sort_by_date(&mut table, settings, path)?);
    notes.extend(drop_rows(&mut table, settings));
    let (values, filled) = filled(&table, &fitted.columns, settings, path)?;
    notes.extend(filled);
    let columns: usize = fitted.columns.iter().map(Column::width).sum();
    let (rows, context) = (table.rows.len(), settings.context());
    if rows < context {
        return Err(DataError::unusable(
            path,
            format!("has {rows} rows, but this run needs {context} to predict from"),
        ));
    }
    let predicted = predicted(&fitted.columns, settings, path)?;
    let seen = &values[(rows - context) * columns..];
    let seen_targets = seen
        .chunks_exact(columns)
        .flat_map(|row| predicted.iter().map(|&place| row[place]));
    let unknown = vec![0.0; settings.horizon * predicted.len()];
    let set = RowSet {
        // The rows that follow are unknown, so they are zeros.
        rows: WindowRows::Floats {
            values: [seen, &vec![0.0; settings.horizon * columns]].concat(),
            columns,
        },
        starts: vec![0],
        random_starts: false,
        length: context,
        targets: Targets::Values {
            values: seen_targets.chain(unknown).collect(),
            columns: predicted.len(),
            offset: context,
            length: settings.horizon,
        },
    };
    let set = Samples::from(set);
    let following = Dates::of(&table, settings, path)?;
    let following = following.and_then(|dates| dates.following(&table, settings.horizon));
    let names = match (row_names(&table, settings, path)?, following) {
        (SeriesRows::Dates(mut names), Some(following)) => {
            names.drain(..rows - context);
            names.extend(following.iter().map(Moment::to_string));
            SeriesRows::Dates(names)
        }
        _ => return Ok((set, notes)),
    };
    Ok((set.named(SampleNames::Windows(Arc::new(names))), notes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::field;
    use std::fs;

    fn loaded(text: &str, settings: &DataSettings) -> Result<(Dataset<Samples>, Fitted), String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("series.csv");
        fs::write(&path, text).unwrap();
        loaded_file(&path, settings).map_err(|e| e.to_string())
    }

    fn loaded_file(
        path: &Path,
        settings: &DataSettings,
    ) -> Result<(Dataset<Samples>, Fitted), DataError> {
        let mut fitted = Fitted::default();
        let source = Source::look(&path.display().to_string())?;
        Ok((load(&source, settings, &mut fitted)?, fitted))
    }

    fn starts(samples: &Samples) -> &[u32] {
        &samples.starts().unwrap().first
    }

    /// A CSV file with a day, a number that increases by one, and its double.
    fn ramp(rows: usize) -> String {
        let row = |i| format!("day {i},{i},{}\n", 2 * i);
        "date,a,b\n".to_string() + &(0..rows).map(row).collect::<String>()
    }

    fn settings() -> DataSettings {
        DataSettings {
            context: Some(3),
            horizon: 2,
            parts: Some([10, 4, 6]),
            targets: vec!["b".to_string()],
            ..DataSettings::default()
        }
    }

    #[test]
    fn every_row_of_a_later_part_is_predicted_from_those_before() {
        let (set, _) = loaded(&ramp(20), &settings()).unwrap();
        assert_eq!(starts(&set.train), [0, 1, 2, 3, 4, 5]);
        assert_eq!(starts(set.validation.as_ref().unwrap()), [7, 8, 9]);
        assert_eq!(starts(&set.test), [11, 12, 13, 14, 15]);
        assert_eq!(set.test.name(1).to_string(), "window 2");
        // The first row after the window from row 12, without the header.
        assert_eq!(set.test.row_name(1, 3).unwrap().to_string(), "row 16");
        let target = set.train.field(field::TARGET).unwrap();
        assert_eq!(
            (set.train.shape(), target.shape()),
            (vec![3, 2], vec![2, 1])
        );
        let WindowRows::Floats { values, .. } = set.test.rows_of(field::TARGET) else {
            panic!("numbers are predicted");
        };
        // The training values are 0 to 18 in steps of two, whose mean is 9.
        let deviation = 33.0_f64.sqrt();
        assert!((f64::from(values[14]) - (28.0 - 9.0) / deviation).abs() < 1e-6);
    }

    #[test]
    fn invalid_series_are_reported() {
        let message = loaded(&ramp(19), &settings()).unwrap_err();
        assert!(
            message.contains("19 rows") && message.contains("data.parts"),
            "{message}"
        );
        let long = &DataSettings {
            context: Some(9),
            ..settings()
        };
        assert!(loaded(&ramp(20), long).unwrap_err().contains("takes 11"));
        let none = &DataSettings {
            targets: vec!["c".to_string()],
            ..settings()
        };
        assert!(
            loaded(&ramp(20), none)
                .unwrap_err()
                .contains("no target column c of numbers: it has a, b")
        );
    }

    #[test]
    fn missing_cells_are_filled_dropped_or_refused() {
        let gap = ramp(21).replace("\nday 4,4,8", "\nday 4,?,8");
        let with = |fill: Fill| DataSettings { fill, ..settings() };
        let inputs = |fill: Fill| {
            let (set, _) = loaded(&gap, &with(fill)).unwrap();
            let (rows, found) = (
                set.train.numbers(field::WINDOW, 2).unwrap().0.to_vec(),
                set.found,
            );
            let steps = [rows[2] - rows[0], rows[4] - rows[2]];
            (
                steps.map(|step| (step / (rows[1] - rows[3]).abs() * 100.0).round()),
                found,
            )
        };
        let (steps, found) = inputs(Fill::Forward);
        assert_eq!(steps[1], 0.0, "{found:?}");
        assert!(
            found
                .iter()
                .any(|line| line.contains("column a: 1 of 21 cells")),
            "{found:?}"
        );
        let (steps, _) = inputs(Fill::Interpolate);
        assert_eq!(steps[0], steps[1]);
        let (set, _) = loaded(&gap, &with(Fill::Drop)).unwrap();
        assert!(
            set.found.iter().any(|line| line.contains("1 of 21 rows")),
            "{:?}",
            set.found
        );
        let message = loaded(&gap, &with(Fill::Refuse)).unwrap_err();
        assert!(message.contains("line 6 in column a"), "{message}");
    }

    #[test]
    fn a_missing_cell_is_found_wherever_it_is() {
        // In the test part, to which no column is fitted, and in a window to predict from.
        let gap = ramp(20).replace("\nday 18,18,36", "\nday 18,nan,36");
        let settings = DataSettings {
            fill: Fill::Refuse,
            ..settings()
        };
        let message = loaded(&gap, &settings).unwrap_err();
        assert!(message.contains("line 20 in column a"), "{message}");
        let (_, fitted) = loaded(&ramp(20), &settings).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), gap).unwrap();
        let message = read_last_window(file.path(), &settings, &fitted).unwrap_err();
        assert!(message.to_string().contains("line 20"), "{message}");
    }

    #[test]
    fn texts_are_categories_that_are_seen_and_not_forecast() {
        let row = |i: usize| {
            format!(
                "2020-01-{:02},{i},{},{}\n",
                i + 1,
                ["no", "yes"][i % 2],
                2 * i
            )
        };
        let text = "date,a,holiday,b\n".to_string() + &(0..28).map(row).collect::<String>();
        let settings = DataSettings {
            targets: Vec::new(),
            parts: None,
            ..settings()
        };
        let (set, fitted) = loaded(&text, &settings).unwrap();
        let width = |name: &str| set.train.field(name).unwrap().shape()[1];
        assert_eq!((width(field::WINDOW), width(field::TARGET)), (4, 2));
        let names: Vec<String> = target_scales(&settings, &fitted)
            .into_iter()
            .map(|(name, ..)| name)
            .collect();
        assert_eq!(names, ["a", "b"]);
        let (window, _) = set.train.numbers(field::WINDOW, 0).unwrap();
        assert_eq!(
            [window[1], window[2], window[5], window[6]],
            [1.0, 0.0, 0.0, 1.0]
        );
    }

    #[test]
    fn rows_are_sorted_by_their_dates() {
        let row = |day: usize| format!("{day}/1/2020 12:00,{day},{}\n", day * day);
        let settings = DataSettings {
            parts: Some([16, 6, 6]),
            ..settings()
        };
        let rows = |days: &[usize]| {
            format!(
                "date,a,b\n{}",
                days.iter().map(|&day| row(day)).collect::<String>()
            )
        };
        let forward: Vec<usize> = (1..=28).collect();
        let backward: Vec<usize> = (1..=28).rev().collect();
        let (set, _) = loaded(&rows(&forward), &settings).unwrap();
        assert_eq!(set.notes, Vec::<String>::new());
        let (sorted, fitted) = loaded(&rows(&backward), &settings).unwrap();
        let after_first = sorted.train.row_name(0, 3).unwrap();
        assert_eq!(
            (after_first.key, after_first.to_string()),
            ("date", "4/1/2020 12:00".to_string())
        );
        assert_eq!(
            sorted.train.rows_of(field::TARGET),
            set.train.rows_of(field::TARGET)
        );
        assert!(
            sorted.notes[0]
                .contains("not in the order of the dates in column date, first at line 3"),
            "{:?}",
            sorted.notes
        );
        let last = |days: &[usize]| {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), rows(days)).unwrap();
            read_last_window(file.path(), &settings, &fitted).unwrap()
        };
        let window = |days: &[usize]| last(days).0.rows_of(field::WINDOW).clone();
        assert_eq!(window(&forward), window(&backward));
        assert_eq!((last(&forward).1.len(), last(&backward).1.len()), (0, 1));
    }

    #[test]
    fn an_index_before_the_dates_is_left_out() {
        let row = |i: usize| format!("{i},2020-01-{:02},{},{}\n", i + 1, i * 3 % 7, i * i);
        let text = format!(",date,a,b\n{}", (0..20).map(row).collect::<String>());
        let (set, fitted) = loaded(&text, &settings()).unwrap();
        let names: Vec<&str> = fitted.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(
            set.found
                .iter()
                .any(|line| line.contains("column date is left out")),
            "{:?}",
            set.found
        );
    }

    #[test]
    fn the_real_transformer_has_the_windows_of_its_protocol() {
        let Some(dir) = crate::data::real_set("timeseries") else {
            return;
        };
        let settings = DataSettings {
            context: Some(96),
            horizon: 96,
            parts: Some([8640, 2880, 2880]),
            ..DataSettings::default()
        };
        let (set, fitted) = loaded_file(&dir.join("ETTh1.csv"), &settings).unwrap();
        let counts = [
            set.train.len(),
            set.validation.unwrap().len(),
            set.test.len(),
        ];
        assert_eq!(counts, [8640 - 191, 2880 - 95, 2880 - 95]);
        assert_eq!(set.train.shape(), [96, 7]);
        let (last, _) = read_last_window(&dir.join("ETTh1.csv"), &settings, &fitted).unwrap();
        assert!(last.check("last", 0).is_ok());
        let next = [95, 96].map(|row| last.row_name(0, row).unwrap().to_string());
        assert_eq!(next, ["2018-06-26 19:00:00", "2018-06-26 20:00:00"]);
        // The last line has no line end, and the lines have Windows line ends.
        let airline = loaded_file(
            &dir.join("airline-passengers.csv"),
            &DataSettings {
                context: Some(12),
                ..DataSettings::default()
            },
        );
        assert_eq!(airline.unwrap().0.train.shape(), [12, 1]);
    }
}
