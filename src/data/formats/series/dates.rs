//! The dates of a series: the column that holds them, the order of the rows, and the distance between them.

use crate::data::formats::table::{CsvTable, DateForm, index_reason};
use crate::data::{DataError, DataSettings};
use std::path::Path;

/// Distances within this share of the usual one are equal to it: months and years differ in length.
const NEARLY: f64 = 0.11;
const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;
/// Seconds of a day.
pub(super) const DAY: f64 = 24.0 * HOUR;

/// The dates of the rows of a series.
pub(super) struct Dates {
    /// Their column.
    pub name: String,
    /// Seconds since 1970 of each row.
    pub times: Vec<f64>,
    /// Whether day and month may be the other way round.
    pub is_guess: bool,
    /// The place of their column.
    pub place: usize,
    /// How they are written.
    pub form: DateForm,
}

impl Dates {
    /// Those of `data.date`, or else of the first column after an index of the rows, if it holds dates.
    ///
    /// # Errors
    /// If there is no column `data.date`, or it holds no dates.
    pub fn of(
        table: &CsvTable,
        settings: &DataSettings,
        path: &Path,
    ) -> Result<Option<Dates>, DataError> {
        let place = match &settings.date {
            Some(name) => table.place(name).ok_or_else(|| {
                let problem = format!(
                    "has no column {name}, which data.date names: it has {}",
                    table.listed()
                );
                DataError::unusable(path, problem)
            })?,
            None => usize::from(index_of(table, settings).is_some()),
        };
        let cells = table.column(place).map(|(_, cell)| cell);
        let name = &table.names[place];
        let of_numbers = || {
            let form = settings
                .date
                .as_ref()
                .and(DateForm::of_numbers(cells.clone()));
            form.map(|form| (form, false))
        };
        let Some((form, is_guess)) = DateForm::of(name, cells.clone()).or_else(of_numbers) else {
            return match &settings.date {
                Some(name) => {
                    let wrong = table.column(place).find(|(_, cell)| !DateForm::reads(cell));
                    let (line, cell) = wrong.or(table.column(place).next()).unwrap_or_default();
                    Err(DataError::unusable(
                        path,
                        format!(
                            "has \"{cell}\" at line {line} in column {name}, whose cells are not all dates in a form that is read: write them \
                             as in 2020-12-31 14:30"
                        ),
                    ))
                }
                None => Ok(None),
            };
        };
        let times = cells.map(|cell| form.parse(cell).map_or(f64::NAN, |date| date.seconds()));
        Ok(Some(Dates {
            name: name.clone(),
            times: times.collect(),
            is_guess,
            place,
            form,
        }))
    }

    /// The usual distance between rows in seconds: the median of those that are not zero.
    pub fn step(&self) -> Option<f64> {
        let mut times = self.times.clone();
        times.sort_by(f64::total_cmp);
        let mut steps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.retain(|&step| step > 0.0);
        steps.sort_by(f64::total_cmp);
        steps.get(steps.len() / 2).copied()
    }

    /// Rows of a season: of a day for rows at most six hours apart, of a week for days, of a year for weeks, months and quarters.
    pub fn season(&self) -> Option<usize> {
        let step = self.step()?;
        let about = |days: f64| (step / DAY - days).abs() <= days * NEARLY;
        let of_a_day = (DAY / step).round();
        match () {
            () if (4.0..=1440.0).contains(&of_a_day) => Some(of_a_day as usize),
            () if about(1.0) => Some(7),
            () if about(7.0) => Some(52),
            () if about(30.4) => Some(12),
            () if about(91.3) => Some(4),
            () => None,
        }
    }

    /// Notes about rows whose distance is not the usual one, given rows in the order of time.
    fn irregular(&self, times: &[f64]) -> Vec<String> {
        let Some(step) = self.step() else {
            return Vec::new();
        };
        let distances = || times.windows(2).map(|pair| pair[1] - pair[0]).enumerate();
        let is_usual = |distance: f64| (distance - step).abs() <= step * NEARLY;
        let odd: Vec<(usize, f64)> = distances()
            .filter(|&(_, distance)| distance > 0.0 && !is_usual(distance))
            .collect();
        let Some(&(first, distance)) = odd.first() else {
            return Vec::new();
        };
        let is_shift =
            |distance: f64| step <= HOUR && ((distance - step).abs() - HOUR).abs() <= step * NEARLY;
        let why = match odd.iter().all(|&(_, distance)| is_shift(distance)) {
            true => ", as where the clock is changed for daylight saving",
            false => "",
        };
        vec![format!(
            "rows are {} apart in column {}, except in {} places{why}, the first after row {}, where they are {} apart: rows count as \
             equally far apart",
            duration(step),
            self.name,
            odd.len(),
            first + 1,
            duration(distance)
        )]
    }
}

/// Seconds in the largest unit that fits.
fn duration(seconds: f64) -> String {
    let units = [
        (DAY, "days"),
        (HOUR, "hours"),
        (MINUTE, "minutes"),
        (1.0, "seconds"),
    ];
    let (unit, name) = units
        .into_iter()
        .find(|(unit, _)| seconds >= *unit)
        .unwrap_or((1.0, "seconds"));
    let count = seconds / unit;
    match (count - 1.0).abs() < 1e-9 {
        true => format!("1 {}", name.trim_end_matches('s')),
        false => format!("{} {name}", crate::html::plot::significant(count, 3)),
    }
}

/// Why the first column is an index of the rows, unless `settings` keep it.
pub(super) fn index_of(table: &CsvTable, settings: &DataSettings) -> Option<String> {
    let is_kept = settings.keep.contains(&table.names[0]) || table.names.len() < 2;
    if is_kept { None } else { index_reason(table) }
}

/// Sorts the rows by their dates, if they have any. Returns notes for the user.
///
/// # Errors
/// As [`Dates::of`].
pub(super) fn sort_by_date(
    table: &mut CsvTable,
    settings: &DataSettings,
    path: &Path,
) -> Result<Vec<String>, DataError> {
    let mut notes = Vec::new();
    let Some(dates) = Dates::of(table, settings, path)? else {
        return Ok(notes);
    };
    let (name, times) = (&dates.name, &dates.times);
    if dates.is_guess {
        notes.push(format!(
            "column {name} holds dates of which the month is taken to be first: write them as in 2020-12-31 if it is not"
        ));
    }
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
    let equal = order
        .windows(2)
        .filter(|pair| times[pair[0]] == times[pair[1]])
        .count();
    if equal > 0 {
        notes.push(format!(
            "{equal} rows have the same time in column {name} as the row before"
        ));
    }
    let sorted: Vec<f64> = order.iter().map(|&at| times[at]).collect();
    notes.extend(dates.irregular(&sorted));
    if let Some(at) = (1..times.len()).find(|&at| times[at] < times[at - 1]) {
        notes.push(format!(
            "the rows are not in the order of the dates in column {name}, first at line {}: they are sorted by date",
            table.rows.row(at).map_or(0, |(line, _)| line)
        ));
        let sorted = table.sort_rows(&order);
        sorted.map_err(|problem| DataError::unusable(path, problem))?;
    }
    Ok(notes)
}
