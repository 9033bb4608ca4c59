//! The dates of the rows that follow a series, by the rule that its own dates keep.

use super::dates::{DAY, Dates};
use crate::data::formats::table::{CsvTable, Moment};
use std::collections::BTreeSet;

/// The last rows, which show the rule.
const SHOWN: usize = 20_000;
/// The share of rows, at least, that follow from the row before them by the rule.
const SHARE: f64 = 0.75;
/// Days of a month, at least and at most.
const MONTH_DAYS: (f64, f64) = (28.0, 31.0);
/// Months from row to row that are looked for.
const MONTHS: [i64; 5] = [1, 2, 3, 6, 12];
/// Days of a series that show that weekdays, or times of the day, are left out.
const WEEKS: f64 = 14.0;
/// Steps after which no weekday and time is looked for any more.
const MOST_STEPS: usize = 10_000;

/// How a date follows from the one before.
enum Rule {
    /// So many seconds later.
    Seconds(f64),
    /// The same, on the next of these weekdays and, if times are given, seconds of the day.
    Among(f64, BTreeSet<i64>, Option<BTreeSet<i64>>),
    /// So many months later.
    Months(i64, MonthDay),
}

/// A day of a month.
#[derive(Clone, Copy)]
enum MonthDay {
    /// The one of this number, or the last of a shorter month.
    Number(i64),
    FirstWeekday,
    LastWeekday,
}

impl Rule {
    fn next(&self, date: &Moment) -> Option<Moment> {
        match self {
            Rule::Seconds(seconds) => Some(date.later(*seconds)),
            Rule::Among(seconds, weekdays, times) => {
                let is_one = |date: &Moment| {
                    weekdays.contains(&date.weekday())
                        && times
                            .as_ref()
                            .is_none_or(|times| times.contains(&date.second()))
                };
                let later = |place: usize| date.later(*seconds * place as f64);
                (1..MOST_STEPS).map(later).find(is_one)
            }
            Rule::Months(months, MonthDay::Number(day)) => Some(date.months_later(*months, *day)),
            Rule::Months(months, MonthDay::FirstWeekday) => {
                let first = date.months_later(*months, 1);
                (0..3)
                    .map(|day| first.later(f64::from(day) * DAY))
                    .find(|date| !date.is_weekend())
            }
            Rule::Months(months, MonthDay::LastWeekday) => {
                let last = date.months_later(*months, 31);
                (0..3)
                    .map(|day| last.later(f64::from(-day) * DAY))
                    .find(|date| !date.is_weekend())
            }
        }
    }

    /// The share of `dates` that follow from the one before, of rows that are `step` seconds apart.
    fn share(&self, dates: &[Moment], step: f64) -> f64 {
        let follows = |pair: &&[Moment]| {
            let next = self.next(&pair[0]);
            next.is_some_and(|next| (next.seconds() - pair[1].seconds()).abs() < step * 1e-3)
        };
        dates.windows(2).filter(follows).count() as f64 / (dates.len() - 1).max(1) as f64
    }
}

impl Dates {
    /// The dates of the `count` rows after the last one of `table`, which is in the order of time; `None` if its rows follow no rule:
    /// equal distances, perhaps without weekdays or times of the day that never occur, or calendar months.
    pub fn following(&self, table: &CsvTable, count: usize) -> Option<Vec<Moment>> {
        let skipped = table.rows.len().saturating_sub(SHOWN);
        let dates = table.column(self.place).skip(skipped);
        let mut dates: Vec<Moment> = dates
            .filter_map(|(_, cell)| self.form.parse(cell))
            .collect();
        // Some programs leave out the time of midnight.
        let has_time = dates.iter().any(Moment::has_time);
        dates
            .iter_mut()
            .for_each(|date| *date = date.with_time(has_time));
        let step = self.step()?;
        let shares = rules(&dates, step)
            .into_iter()
            .map(|rule| (rule.share(&dates, step), rule));
        // Of several with the same share, the first.
        let (share, rule) =
            shares.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
        let last = dates.last().filter(|_| share >= SHARE)?;
        let following = std::iter::successors(rule.next(last), |date| rule.next(date));
        Some(following.take(count).collect())
    }
}

/// The rules that rows at these `dates`, usually `step` seconds apart, may follow.
fn rules(dates: &[Moment], step: f64) -> Vec<Rule> {
    let (least, most) = MONTH_DAYS;
    let is_month = |months: &i64| {
        let months = *months as f64;
        (least * months..=most * months).contains(&(step / DAY))
    };
    let last = match dates.iter().all(Moment::ends_month) {
        true => 31,
        false => dates.iter().map(Moment::day).max().unwrap_or(31),
    };
    let days = [
        MonthDay::Number(last),
        MonthDay::FirstWeekday,
        MonthDay::LastWeekday,
    ];
    let months = MONTHS.into_iter().find(is_month);
    let months = months
        .into_iter()
        .flat_map(|months| days.map(|day| Rule::Months(months, day)));
    let mut rules: Vec<Rule> = months.chain([Rule::Seconds(step)]).collect();
    let span = match dates {
        [first, .., last] => (last.seconds() - first.seconds()) / DAY,
        _ => 0.0,
    };
    if step <= DAY && span >= WEEKS {
        let weekdays: BTreeSet<i64> = dates.iter().map(Moment::weekday).collect();
        let times: BTreeSet<i64> = dates.iter().map(Moment::second).collect();
        rules.push(Rule::Among(step, weekdays.clone(), None));
        rules.push(Rule::Among(step, weekdays, Some(times)));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::super::dates::sort_by_date;
    use super::*;
    use crate::data::DataSettings;

    /// The two dates after a series with these.
    fn following(dates: &[String]) -> Option<Vec<String>> {
        let file = tempfile::NamedTempFile::with_suffix(".csv").unwrap();
        let row = |(place, date): (usize, &String)| format!("{date},{}\n", place * place);
        let rows: String = dates.iter().enumerate().map(row).collect();
        std::fs::write(file.path(), format!("date,load\n{rows}")).unwrap();
        let settings = DataSettings::default();
        let mut table = CsvTable::read(file.path(), &settings, &[]).unwrap();
        sort_by_date(&mut table, &settings, file.path()).unwrap();
        let dates = Dates::of(&table, &settings, file.path()).unwrap()?;
        let found = dates.following(&table, 2)?;
        Some(found.iter().map(Moment::to_string).collect())
    }

    fn days(month: &str, days: &[usize]) -> Vec<String> {
        days.iter().map(|day| format!("{month}-{day:02}")).collect()
    }

    #[test]
    fn the_dates_after_a_series_go_on_as_its_own() {
        let monthly = |day: &str| -> Vec<String> {
            (1..=12)
                .map(|month| format!("2019-{month:02}-{day}"))
                .collect()
        };
        let ends = [
            "2019-08-31",
            "2019-09-30",
            "2019-10-31",
            "2019-11-30",
            "2019-12-31",
        ];
        let ends = ends.map(str::to_string).to_vec();
        let hours = |dates: &[String], hours: std::ops::Range<usize>, zone: &str| -> Vec<String> {
            let of = |date: &String| {
                hours
                    .clone()
                    .map(move |hour| format!("{date} {hour:02}:00{zone}"))
                    .collect::<Vec<_>>()
            };
            dates.iter().flat_map(of).collect()
        };
        // From Monday, 2020-06-01, without weekends.
        let work = [1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 15, 16, 17, 18, 19];
        let work = days("2020-06", &work);
        let all: Vec<usize> = (1..=28).collect();
        let last_weekdays = [
            "2020-06-30",
            "2020-07-31",
            "2020-08-31",
            "2020-09-30",
            "2020-10-30",
            "2020-11-30",
        ];
        let last_weekdays = last_weekdays.map(str::to_string).to_vec();
        let thirtieth = ["2020-12-30", "2021-01-30", "2021-02-28", "2021-03-30"]
            .map(str::to_string)
            .to_vec();
        let four_weeks = ["2020-12-03", "2020-12-31", "2021-01-28"]
            .map(str::to_string)
            .to_vec();
        let one_day = ["2020-12-31".to_string()];
        let mut midnight = hours(&one_day, 20..24, "");
        midnight.push("2021-01-01".to_string());
        let half: Vec<String> = (0..5)
            .map(|i| format!("2020-12-31 00:00:{:02}.{}", i / 2 + 58, i % 2 * 5))
            .take(4)
            .collect();
        for (dates, wanted) in [
            (monthly("15"), ["2020-01-15", "2020-02-15"]),
            (ends, ["2020-01-31", "2020-02-29"]),
            (last_weekdays, ["2020-12-31", "2021-01-29"]),
            (thirtieth, ["2021-04-30", "2021-05-30"]),
            (four_weeks, ["2021-02-25", "2021-03-25"]),
            (work.clone(), ["2020-06-22", "2020-06-23"]),
            (
                work.iter().rev().cloned().collect(),
                ["2020-06-22", "2020-06-23"],
            ),
            (days("2020-02", &all), ["2020-02-29", "2020-03-01"]),
            (
                hours(&one_day, 20..24, ""),
                ["2021-01-01 00:00:00", "2021-01-01 01:00:00"],
            ),
            (midnight, ["2021-01-01 01:00:00", "2021-01-01 02:00:00"]),
            (
                hours(&one_day, 20..24, "+02:00"),
                ["2021-01-01 00:00:00+02:00", "2021-01-01 01:00:00+02:00"],
            ),
            (
                hours(&work, 0..24, ""),
                ["2020-06-22 00:00:00", "2020-06-22 01:00:00"],
            ),
            (
                hours(&work, 9..17, ""),
                ["2020-06-22 09:00:00", "2020-06-22 10:00:00"],
            ),
            (half, ["2020-12-31 00:01:00", "2020-12-31 00:01:00.5"]),
        ] {
            let found = following(&dates);
            assert_eq!(
                found.as_deref(),
                Some(&wanted.map(str::to_string)[..]),
                "{dates:?}"
            );
        }
    }

    #[test]
    fn rows_without_a_rule_have_no_dates_after_them() {
        let third_fridays = [
            "2020-01-17",
            "2020-02-21",
            "2020-03-20",
            "2020-04-17",
            "2020-05-15",
            "2020-06-19",
        ];
        let twice: Vec<String> = (2..40).map(|i| format!("2020-01-{:02}", i / 2)).collect();
        for dates in [
            third_fridays.map(str::to_string).to_vec(),
            twice,
            vec!["2020-01-01".to_string()],
        ] {
            assert_eq!(following(&dates), None, "{dates:?}");
        }
    }
}
