//! Cells that are dates or times, and their features.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::fmt;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Whole numbers in this range may be seconds since 1970: from 1980 to 2100.
const UNIX: std::ops::Range<f64> = 315_532_800.0..4_102_444_800.0;
/// Words in the names of columns that hold seconds since 1970.
const UNIX_NAMES: [&str; 4] = ["time", "date", "unix", "epoch"];
/// The days of a week.
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// The first three letters of the months.
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// How the dates of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DateForm {
    /// `2020-12-31`, `31.12.2020`, `31/12/2020` or `31 Dec 2020`, perhaps with a time.
    DayFirst,
    /// As [`DayFirst`](DateForm::DayFirst), but `12/31/2020`.
    MonthFirst,
    /// Seconds since 1970.
    UnixSeconds,
    /// `20201231`.
    Compact,
    /// A year, as its first day.
    Year,
}

/// A date, perhaps with a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    year: i64,
    month: i64,
    /// Days since 1970-01-01, a Thursday.
    days: i64,
    /// Seconds since midnight.
    seconds: f64,
    /// Seconds east of Greenwich.
    zone: i64,
    /// Whether a time was given.
    has_time: bool,
}

impl DateForm {
    /// The form in which all `cells` are dates, if there is one, and whether the order of day and month is a guess. Of a column
    /// called `name`, numbers may be seconds since 1970.
    pub fn of<'c>(
        name: &str,
        cells: impl Iterator<Item = &'c str> + Clone,
    ) -> Option<(DateForm, bool)> {
        let fits = |form: DateForm| cells.clone().all(|cell| form.parse(cell).is_some());
        cells.clone().next()?;
        let name = name.to_lowercase();
        if UNIX_NAMES.iter().any(|word| name.contains(word)) && fits(DateForm::UnixSeconds) {
            return Some((DateForm::UnixSeconds, false));
        }
        match (fits(DateForm::DayFirst), fits(DateForm::MonthFirst)) {
            (false, false) => None,
            (true, false) => Some((DateForm::DayFirst, false)),
            (false, true) => Some((DateForm::MonthFirst, false)),
            (true, true) => {
                let both = |form: DateForm| cells.clone().map(move |cell| form.parse(cell));
                let same = both(DateForm::DayFirst).eq(both(DateForm::MonthFirst));
                // With points between, the day is first everywhere; else as pandas reads it.
                let points = cells
                    .clone()
                    .all(|cell| cell.contains('.') && !cell.contains('/'));
                match same || points {
                    true => Some((DateForm::DayFirst, false)),
                    false => Some((DateForm::MonthFirst, true)),
                }
            }
        }
    }

    /// The form in which all `cells` are dates if numbers are, too: dates without signs between, years or seconds since 1970.
    pub fn of_numbers<'c>(cells: impl Iterator<Item = &'c str> + Clone) -> Option<DateForm> {
        let forms = [DateForm::Compact, DateForm::Year, DateForm::UnixSeconds];
        let fits = |form: &DateForm| cells.clone().all(|cell| form.parse(cell).is_some());
        forms.into_iter().find(fits)
    }

    /// A cell as a date in this form.
    pub fn parse(self, cell: &str) -> Option<Moment> {
        let number = |part: Option<&str>| part?.parse().ok();
        let is_of_digits =
            |count: usize| cell.len() == count && cell.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            DateForm::Compact if is_of_digits(8) => {
                let (year, month, day) = (cell.get(..4), cell.get(4..6), cell.get(6..));
                Moment::on(number(year)?, number(month)?, number(day)?)
            }
            DateForm::Year if is_of_digits(4) => Moment::on(number(Some(cell))?, 1, 1),
            DateForm::Compact | DateForm::Year => None,
            DateForm::UnixSeconds => {
                let seconds = super::number::number(cell).filter(|x| UNIX.contains(x))?;
                let days = (seconds.floor() as i64).div_euclid(DAY);
                let (year, month, day) = civil(days);
                Some(Moment {
                    seconds: seconds - (days * DAY) as f64,
                    has_time: true,
                    ..Moment::on(year, month, day)?
                })
            }
            DateForm::DayFirst => written(cell, true),
            DateForm::MonthFirst => written(cell, false),
        }
    }

    /// Whether a cell is a date in a written form.
    pub fn reads(cell: &str) -> bool {
        // A cheap test first: most cells are no dates.
        cell.starts_with(|c: char| c.is_ascii_alphanumeric())
            && cell.contains(['-', '/', '.', ' ', 'Q'])
            && [true, false]
                .iter()
                .any(|&day_first| written(cell, day_first).is_some())
    }

    /// Name for reports.
    pub fn name(self) -> &'static str {
        match self {
            DateForm::DayFirst => "dates",
            DateForm::MonthFirst => "dates, month before day",
            DateForm::UnixSeconds => "seconds since 1970",
            DateForm::Compact => "dates without signs between",
            DateForm::Year => "years",
        }
    }
}

impl Moment {
    /// The beginning of a day, if it is one.
    fn on(year: i64, month: i64, day: i64) -> Option<Moment> {
        let is_day = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
        is_day.then(|| Moment {
            year,
            month,
            days: days_since_1970(year, month, day),
            seconds: 0.0,
            zone: 0,
            has_time: false,
        })
    }

    /// The year.
    pub fn year(&self) -> f64 {
        self.year as f64
    }

    /// Whether it has a time.
    pub fn has_time(&self) -> bool {
        self.has_time
    }

    /// Seconds since 1970 in Greenwich, for comparison.
    pub fn seconds(&self) -> f64 {
        (self.days * DAY - self.zone) as f64 + self.seconds
    }

    /// The date that is `seconds` after the begin of 1970, with its time to the minute unless that is midnight.
    pub fn in_words(seconds: f64) -> String {
        let seconds = seconds.round() as i64;
        let (year, month, day) = civil(seconds.div_euclid(DAY));
        let minute = seconds.rem_euclid(DAY) / 60;
        match minute {
            0 => format!("{year:04}-{month:02}-{day:02}"),
            _ => format!(
                "{year:04}-{month:02}-{day:02} {:02}:{:02}",
                minute / 60,
                minute % 60
            ),
        }
    }

    /// The same moment, given with a time or without.
    pub fn with_time(&self, has_time: bool) -> Moment {
        Moment { has_time, ..*self }
    }

    /// The day of its week, from 0 for Monday.
    pub fn weekday(&self) -> i64 {
        (self.days + 3).rem_euclid(7)
    }

    /// Whether it is on a Saturday or a Sunday.
    pub fn is_weekend(&self) -> bool {
        self.weekday() >= 5
    }

    /// The second of its day.
    pub fn second(&self) -> i64 {
        self.seconds.round() as i64
    }

    /// The day of its month.
    pub fn day(&self) -> i64 {
        civil(self.days).2
    }

    /// Whether it is on the last day of a month.
    pub fn ends_month(&self) -> bool {
        civil(self.days + 1).1 != self.month
    }

    /// The moment that is `seconds` later, to the millisecond.
    pub fn later(&self, seconds: f64) -> Moment {
        let seconds = ((self.seconds + seconds) * 1000.0).round() / 1000.0;
        let days = self.days + (seconds / DAY as f64).floor() as i64;
        let (year, month, _) = civil(days);
        Moment {
            year,
            month,
            days,
            seconds: seconds.rem_euclid(DAY as f64),
            ..*self
        }
    }

    /// The same time `months` later, on this `day` or, in a shorter month, on the last one.
    pub fn months_later(&self, months: i64, day: i64) -> Moment {
        let month = self.year * 12 + self.month - 1 + months;
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let day = day.min(month_days(year, month));
        Moment {
            year,
            month,
            days: days_since_1970(year, month, day),
            ..*self
        }
    }

    /// Sine and cosine of month, day of the week and hour.
    pub fn cycles(&self) -> [f64; 6] {
        let weekday = self.weekday() as f64;
        let parts = [
            (self.month - 1) as f64 / 12.0,
            weekday / 7.0,
            self.seconds / DAY as f64,
        ];
        let [month, weekday, hour] = parts.map(|part| (TAU * part).sin_cos());
        [month.0, month.1, weekday.0, weekday.1, hour.0, hour.1]
    }
}

/// As in ISO 8601, with a space before the time: `2020-12-31`, `2020-12-31 14:30:00` or `2020-12-31 14:30:00+01:00`.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.days);
        write!(f, "{year:04}-{month:02}-{day:02}")?;
        if !self.has_time {
            return Ok(());
        }
        let thousandths = (self.seconds * 1000.0).round() as i64;
        let seconds = thousandths / 1000;
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, " {hour:02}:{minute:02}:{second:02}")?;
        if thousandths % 1000 != 0 {
            let fraction = format!("{:03}", thousandths % 1000);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        if self.zone != 0 {
            let (sign, minutes) = (if self.zone < 0 { '-' } else { '+' }, self.zone.abs() / 60);
            write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)?;
        }
        Ok(())
    }
}

/// What is left of a date in its year and its [`cycles`](Moment::cycles), with or without the hour: `2020-05 Tue 13:00`.
pub(super) fn in_words(year: f64, cycles: &[f32]) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let part = |at: usize, of: f64| {
        let pair = cycles.get(2 * at..2 * at + 2)?;
        let turn = f64::from(pair[0]).atan2(f64::from(pair[1])) / TAU;
        Some((turn.rem_euclid(1.0) * of).round() as usize % of as usize)
    };
    let month = part(0, 12.0).map_or(0, |month| month + 1);
    let day = part(1, 7.0).map_or("", |day| DAYS[day]);
    let time = part(2, 1440.0).map(|minute| format!(" {:02}:{:02}", minute / 60, minute % 60));
    format!("{year:04.0}-{month:02} {day}{}", time.unwrap_or_default())
}

/// A date with day and month in this order if both are numbers after which the year follows.
fn written(cell: &str, day_first: bool) -> Option<Moment> {
    let (date, time) = match cell.find(':') {
        None => (cell, ""),
        Some(colon) => {
            let hour = cell[..colon].trim_end_matches(|c: char| c.is_ascii_digit());
            (hour.strip_suffix(['T', 't', ' '])?, &cell[hour.len()..])
        }
    };
    let (year, month, day) = date_of(date.trim_end(), day_first)?;
    let day = Moment::on(year, month, day)?;
    let (seconds, zone) = if time.is_empty() {
        (0.0, 0)
    } else {
        time_of(time)?
    };
    Some(Moment {
        seconds,
        zone,
        has_time: !time.is_empty(),
        ..day
    })
}

/// Whether a word is a weekday, or its first three letters.
fn is_weekday(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    WEEKDAYS.iter().any(|day| word == *day || word == day[..3])
}

/// Year, month and day.
fn date_of(text: &str, day_first: bool) -> Option<(i64, i64, i64)> {
    let mut parts: Vec<&str> = text
        .split(['-', '/', '.', ' ', ','])
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() > 2 && is_weekday(parts[0]) {
        parts.remove(0);
    }
    let digits = |part: &str, most: usize| -> Option<i64> {
        let fits = part.len() <= most && part.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| part.parse().ok())?
    };
    let year = |part: &str| (part.len() == 4).then(|| digits(part, 4))?;
    // As POSIX completes it.
    let short_year = |part: &str| {
        let year = digits(part, 2).filter(|_| part.len() == 2 && text.contains('/'))?;
        Some(if year < 69 { 2000 + year } else { 1900 + year })
    };
    let last_year = |part: &str| year(part).or_else(|| short_year(part));
    let quarter = |part: &str| {
        let quarter = digits(part.strip_prefix('Q')?, 1)?;
        (1..=4).contains(&quarter).then_some(3 * quarter - 2)
    };
    let month_name = |part: &str| {
        let name = part.to_ascii_lowercase();
        let is_name =
            name.len() == 3 || name.len() > 3 && name.bytes().all(|byte| byte.is_ascii_lowercase());
        let place = MONTHS
            .iter()
            .position(|month| name.starts_with(month) && is_name)?;
        Some(place as i64 + 1)
    };
    let is_joined = !text.contains([' ', ',']);
    match parts[..] {
        [one] if one.is_char_boundary(4) && one.len() == 6 => {
            let (first, last) = one.split_at(4);
            Some((year(first)?, quarter(last)?, 1))
        }
        [a, b] if quarter(a).is_some() => Some((year(b)?, quarter(a)?, 1)),
        [a, b] if quarter(b).is_some() => Some((year(a)?, quarter(b)?, 1)),
        [a, b] if month_name(a).is_some() => Some((year(b)?, month_name(a)?, 1)),
        [a, b] if is_joined && !text.contains('.') => Some((year(a)?, digits(b, 2)?, 1)),
        [a, b, c] => {
            if let Some(month) = month_name(b) {
                return match year(a) {
                    Some(year) => Some((year, month, digits(c, 2)?)),
                    None => Some((year(c)?, month, digits(a, 2)?)),
                };
            }
            if let Some(month) = month_name(a) {
                return Some((year(c)?, month, digits(b, 2)?));
            }
            if !is_joined {
                return None;
            }
            match (year(a), day_first) {
                (Some(year), _) => Some((year, digits(b, 2)?, digits(c, 2)?)),
                (None, true) => Some((last_year(c)?, digits(b, 2)?, digits(a, 2)?)),
                (None, false) => Some((last_year(c)?, digits(a, 2)?, digits(b, 2)?)),
            }
        }
        _ => None,
    }
}

/// Seconds since midnight, and seconds east of Greenwich.
fn time_of(text: &str) -> Option<(f64, i64)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'));
    let (clock, rest) = text.split_at(end.unwrap_or(text.len()));
    let rest = rest.trim();
    let mut parts = clock.split(':');
    let mut next = |below: f64| -> Option<f64> {
        let part: f64 = parts.next().map_or(Some(0.0), |part| part.parse().ok())?;
        (0.0..below).contains(&part).then_some(part)
    };
    let (mut hour, minute, second) = (next(25.0)?, next(60.0)?, next(61.0)?);
    let mut zone = 0;
    match rest.to_ascii_uppercase().as_str() {
        "" | "Z" | "UTC" | "GMT" => {}
        "AM" if hour == 12.0 => hour = 0.0,
        "AM" => {}
        "PM" if hour < 12.0 => hour += 12.0,
        "PM" => {}
        offset => {
            let east = match offset.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let digits: String = offset[1..].chars().filter(|c| *c != ':').collect();
            let number: i64 = digits.parse().ok()?;
            let (hours, minutes) = match digits.len() {
                1 | 2 => (number, 0),
                4 => (number / 100, number % 100),
                _ => return None,
            };
            zone = east * (hours * 3600 + minutes * 60);
        }
    }
    Some((hour * 3600.0 + minute * 60.0 + second, zone))
}

/// A moment in seconds since 1970, and nanoseconds after them, as `2020-12-31` or `2020-12-31 06:30:00.5`.
#[cfg(feature = "parquet")]
pub(super) fn in_iso(seconds: i64, nanoseconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let date = format!("{year:04}-{month:02}-{day:02}");
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    match (rest, nanoseconds) {
        (0, 0) => date,
        (_, 0) => format!("{date} {hour:02}:{minute:02}:{second:02}"),
        _ => {
            let fraction = format!("{nanoseconds:09}");
            let fraction = fraction.trim_end_matches('0');
            format!("{date} {hour:02}:{minute:02}:{second:02}.{fraction}")
        }
    }
}

fn month_days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(cell: &str) -> Option<f64> {
        DateForm::DayFirst
            .parse(cell)
            .map(|moment| moment.seconds())
    }

    #[test]
    fn common_forms_are_read() {
        let day = 18_262.0 * 86_400.0;
        for cell in [
            "2020-01-01",
            "2020/1/1",
            "2020.01.01",
            "01.01.2020",
            "1/1/2020",
            "1 Jan 2020",
            "01-JAN-2020",
            "January 1, 2020",
            "2020-01",
            "2020-01-01T00:00:00Z",
            "2020-01-01 00:00",
            "1/1/2020 12:00 AM",
            "2020-01-01 02:00:00+02:00",
            "2019-12-31T19:30-0430",
            "Jan 2020",
            "2020Q1",
            "2020-Q1",
            "Q1 2020",
            "1/1/20",
            "Wed, 01 Jan 2020",
            "Wednesday 1 January 2020 00:00",
        ] {
            assert_eq!(seconds(cell), Some(day), "{cell}");
        }
        assert_eq!(seconds("2020-01-01 13:30:15.5"), Some(day + 48_615.5));
        assert_eq!(seconds("1.1.2020 1:30 PM"), Some(day + 48_600.0));
        for cell in [
            "2020-02-30",
            "31.04.2020",
            "1.5",
            "192.168.1.1",
            "1 2 2020",
            "10:30",
            "day 5",
            "2020",
            "may be",
            "20-01-01",
            "2020-13",
            "A-1-2020",
            "mark 5 2020x",
            "1.1.20",
            "2020Q5",
            "Wed 2020",
        ] {
            assert_eq!(seconds(cell), None, "{cell}");
        }
    }

    #[test]
    fn a_column_shows_whether_the_day_is_first() {
        let of = |cells: &[&str]| DateForm::of("when", cells.iter().copied());
        assert_eq!(
            of(&["31/12/2020", "01/02/2020"]),
            Some((DateForm::DayFirst, false))
        );
        assert_eq!(
            of(&["12/31/2020", "01/02/2020"]),
            Some((DateForm::MonthFirst, false))
        );
        assert_eq!(of(&["01/02/2020"]), Some((DateForm::MonthFirst, true)));
        assert_eq!(of(&["01.02.2020"]), Some((DateForm::DayFirst, false)));
        assert_eq!(of(&["2020-01-02"]), Some((DateForm::DayFirst, false)));
        assert_eq!(of(&["12/31/2020", "31/12/2020"]), None);
        let unix = |name: &str| DateForm::of(name, ["1577836800"].into_iter());
        assert_eq!(unix("timestamp"), Some((DateForm::UnixSeconds, false)));
        assert_eq!(unix("population"), None);
        let numbers = |cell: &str| DateForm::of_numbers([cell].into_iter());
        assert_eq!(numbers("20200131"), Some(DateForm::Compact));
        assert_eq!(numbers("1999"), Some(DateForm::Year));
        assert_eq!(numbers("1577836800"), Some(DateForm::UnixSeconds));
        assert_eq!(numbers("20201331"), None);
    }

    #[test]
    fn features_repeat_with_month_week_and_day() {
        // A Wednesday, two days after a Monday.
        let moment = DateForm::UnixSeconds.parse("1577858400").unwrap();
        assert_eq!(
            (moment.year(), moment.month, moment.seconds),
            (2020.0, 1, 21_600.0)
        );
        let weekday = TAU * 2.0 / 7.0;
        let want = [0.0, 1.0, weekday.sin(), weekday.cos(), 1.0, 0.0];
        let near = |(a, b): (f64, f64)| (a - b).abs() < 1e-12;
        assert!(
            moment.cycles().into_iter().zip(want).all(near),
            "{:?}",
            moment.cycles()
        );
        let cycles = moment.cycles().map(|cycle| cycle as f32);
        assert_eq!(in_words(2020.0, &cycles), "2020-01 Wed 06:00");
        assert_eq!(in_words(2020.0, &cycles[..4]), "2020-01 Wed");
        for days in [-719_468, -1, 0, 59, 11_016, 18_321, 2_932_896] {
            let (year, month, day) = civil(days);
            assert_eq!(days_since_1970(year, month, day), days);
        }
    }
}
