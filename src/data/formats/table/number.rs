//! Cells that are numbers, also with separators of thousands, a decimal comma, and a sign of a currency or percent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Signs that every number of a column may have, before or after its digits.
const SIGNS: [&str; 21] = [
    "%", "$", "€", "£", "¥", "₹", "₽", "₩", "₺", "₴", "₫", "฿", "R$", "USD", "EUR", "GBP", "CHF",
    "JPY", "Rs.", "kr", "zł",
];
/// Separators of thousands, besides point and comma.
const THOUSANDS: [char; 6] = [' ', '\u{a0}', '\u{202f}', '\'', '’', '_'];

/// A cell as a finite number in the notation of programs, such as `-1.5e3`.
pub(super) fn number(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|x: &f64| x.is_finite())
}

/// Whether a cell is written as a number that is infinite, such as `inf` or `1e400`.
pub(super) fn is_infinite(cell: &str) -> bool {
    cell.parse().is_ok_and(f64::is_infinite)
}

/// The number of digits in `cell`.
pub(super) fn digits(cell: &str) -> usize {
    cell.chars().filter(char::is_ascii_digit).count()
}

/// How the numbers of a column are written. The default is the notation of programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NumberForm {
    /// Whether a comma separates the decimals, instead of a point.
    #[serde(skip_serializing_if = "is_false")]
    pub decimal_comma: bool,
    /// What separates groups of three digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thousands: Option<char>,
    /// The sign of a currency, or percent, that every number has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What separates decimals in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimals {
    /// A point; a comma that could be either separates thousands.
    Point,
    /// A comma; a point that could be either separates thousands.
    Comma,
}

impl NumberForm {
    /// Whether numbers are in the notation of programs.
    pub fn is_plain(&self) -> bool {
        !self.decimal_comma && self.thousands.is_none() && self.sign.is_none()
    }

    /// A cell as a finite number in this form.
    pub(super) fn parse(&self, cell: &str) -> Option<f64> {
        if self.is_plain() {
            return number(cell);
        }
        let bare = match &self.sign {
            Some(sign) => without_sign(cell, sign)?,
            None => Cow::Borrowed(cell),
        };
        let ungrouped = match self.thousands {
            Some(separator) => without_groups(&bare, separator, self.decimal_char())?,
            None => bare,
        };
        match self.decimal_comma {
            true if ungrouped.contains('.') || ungrouped.ends_with(',') => None,
            true => number(&ungrouped.replacen(',', ".", 1)),
            false => number(&ungrouped),
        }
    }

    fn decimal_char(&self) -> char {
        if self.decimal_comma { ',' } else { '.' }
    }

    /// The form in which all `cells` are numbers, if there is one. If there are several, `decimals` decides.
    pub(super) fn of<'a>(
        cells: impl Iterator<Item = &'a str> + Clone,
        decimals: Decimals,
    ) -> Option<NumberForm> {
        let first = cells.clone().next()?;
        let fits = |form: &NumberForm| cells.clone().all(|cell| form.parse(cell).is_some());
        let signs = SIGNS
            .iter()
            .filter(|sign| without_sign(first, sign).is_some());
        let signs = [None].into_iter().chain(signs.map(|sign| Some(*sign)));
        let (point, comma) = ([Some(',')], [Some('.')]);
        let none = [None];
        let order: [(bool, &[Option<char>]); 4] = match decimals {
            // The notation of programs comes first, where points are decimal points.
            Decimals::Point => [
                (false, &none),
                (false, &point),
                (true, &none),
                (true, &comma),
            ],
            Decimals::Comma => [
                (true, &none),
                (true, &comma),
                (false, &none),
                (false, &point),
            ],
        };
        let spaced = THOUSANDS.map(Some);
        let spaced: [(bool, &[Option<char>]); 2] = [(false, &spaced), (true, &spaced)];
        let forms = signs.flat_map(|sign| {
            order
                .iter()
                .chain(&spaced)
                .flat_map(move |&(decimal_comma, separators)| {
                    separators.iter().map(move |&thousands| NumberForm {
                        decimal_comma,
                        thousands,
                        sign: sign.map(str::to_string),
                    })
                })
        });
        // Without decimals and groups, every form reads the same.
        let mut forms = forms.filter(fits);
        let found = forms.next()?;
        let plain = NumberForm {
            sign: found.sign.clone(),
            ..NumberForm::default()
        };
        match cells
            .clone()
            .any(|cell| found.parse(cell) != plain.parse(cell))
        {
            true => Some(found),
            false => Some(plain),
        }
    }

    /// Whether a cell is a number in any form.
    pub(super) fn reads(cell: &str) -> bool {
        number(cell).is_some()
            || digits(cell) > 0 && NumberForm::of([cell].into_iter(), Decimals::Point).is_some()
    }

    /// What separates decimals in a file, judged by the cells of one of its columns; `None` if they do not show it.
    pub(super) fn decimals_of<'a>(
        cells: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<Decimals> {
        if !cells.clone().any(|cell| cell.contains(['.', ','])) {
            return None;
        }
        let [point, comma] = [Decimals::Point, Decimals::Comma]
            .map(|decimals| NumberForm::of(cells.clone(), decimals));
        match (point?, comma?) {
            (point, comma) if point != comma => None,
            (form, _) if form.decimal_comma || form.thousands == Some('.') => Some(Decimals::Comma),
            _ => Some(Decimals::Point),
        }
    }
}

impl fmt::Display for NumberForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousands = self.thousands.map(|separator| match separator {
            ' ' | '\u{a0}' | '\u{202f}' => "spaces between thousands".to_string(),
            separator => format!("\"{separator}\" between thousands"),
        });
        let sign = self.sign.as_ref().map(|sign| format!("the sign {sign}"));
        let comma = self.decimal_comma.then(|| "a decimal comma".to_string());
        let parts: Vec<String> = comma.into_iter().chain(thousands).chain(sign).collect();
        f.write_str(&parts.join(" and "))
    }
}

/// `cell` without `sign` before or after its digits; `None` if it has none. A minus may precede the sign.
fn without_sign<'c>(cell: &'c str, sign: &str) -> Option<Cow<'c, str>> {
    if let Some(rest) = cell.strip_suffix(sign) {
        return Some(Cow::Borrowed(rest.trim_end()));
    }
    if let Some(rest) = cell.strip_prefix(sign) {
        return Some(Cow::Borrowed(rest.trim_start()));
    }
    let rest = cell.strip_prefix('-')?.trim_start().strip_prefix(sign)?;
    Some(Cow::Owned(format!("-{}", rest.trim_start())))
}

/// `cell` without `separator`, which must separate groups of three digits before the character `decimal`.
fn without_groups(cell: &str, separator: char, decimal: char) -> Option<Cow<'_, str>> {
    if !cell.contains(separator) {
        return Some(Cow::Borrowed(cell));
    }
    let (whole, rest) = match cell.find(decimal) {
        Some(at) => cell.split_at(at),
        None => (cell, ""),
    };
    let is_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let mut groups = whole.trim_start_matches(['-', '+']).split(separator);
    let first = groups.next()?;
    let first_fits = (1..=3).contains(&first.len()) && is_digits(first) && !first.starts_with('0');
    let fits = first_fits && groups.all(|group| group.len() == 3 && is_digits(group));
    (fits && !rest.contains(separator)).then(|| Cow::Owned(whole.replace(separator, "") + rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cells: &[&str], decimals: Decimals) -> Option<Vec<f64>> {
        let form = NumberForm::of(cells.iter().copied(), decimals)?;
        cells.iter().map(|cell| form.parse(cell)).collect()
    }

    #[test]
    fn a_column_has_one_form() {
        let (point, comma) = (Decimals::Point, Decimals::Comma);
        for (cells, decimals, want) in [
            (&["1", "-2.5", "1e3"][..], point, Some(vec![1.0, -2.5, 1e3])),
            (&["1,5", "2"], point, Some(vec![1.5, 2.0])),
            (&["1,234", "56"], point, Some(vec![1234.0, 56.0])),
            (&["1,234", "56"], comma, Some(vec![1.234, 56.0])),
            (&["1,234", "0,5"], point, Some(vec![1.234, 0.5])),
            (&["1.234", "999"], comma, Some(vec![1234.0, 999.0])),
            (&["1.25", "999"], comma, Some(vec![1.25, 999.0])),
            (&["1.234,5", "-1.000.000"], point, Some(vec![1234.5, -1e6])),
            (&["1,234.5", "7"], comma, Some(vec![1234.5, 7.0])),
            (&["1 234,5", "7"], point, Some(vec![1234.5, 7.0])),
            (&["5 %", "7.5%"], point, Some(vec![5.0, 7.5])),
            (&["-$1,200.50", "$3"], point, Some(vec![-1200.5, 3.0])),
            (&["12,50 €", "7,00 €"], point, Some(vec![12.5, 7.0])),
            // Not all have the sign, groups of two digits, two decimal points, and texts.
            (&["5%", "7"], point, None),
            (&["1,23,456", "1"], point, None),
            (&["1.2.3"], point, None),
            (&["1,"], point, None),
            (&["3.75", "1,5"], point, None),
            (&["inf", "1"], point, None),
            (&["12a"], point, None),
        ] {
            assert_eq!(read(cells, decimals), want, "{cells:?}");
        }
        assert!(is_infinite("1e400") && is_infinite("-inf") && !is_infinite("nan"));
    }

    #[test]
    fn a_column_can_show_what_separates_decimals() {
        let of = |cells: &[&str]| NumberForm::decimals_of(cells.iter().copied());
        assert_eq!(of(&["1.25", "3"]), Some(Decimals::Point));
        assert_eq!(of(&["1,25", "3"]), Some(Decimals::Comma));
        assert_eq!(of(&["1.234,5"]), Some(Decimals::Comma));
        assert_eq!(of(&["1,234", "5"]), None);
        assert_eq!(of(&["12", "5"]), None);
        assert_eq!(of(&["a.b"]), None);
    }

    #[test]
    fn a_form_is_described_and_saved() {
        let form = NumberForm::of(["1.234,50 €"].into_iter(), Decimals::Point).unwrap();
        assert_eq!(
            form.to_string(),
            "a decimal comma and \".\" between thousands and the sign €"
        );
        let text = toml::to_string(&form).unwrap();
        assert_eq!(toml::from_str::<NumberForm>(&text).unwrap(), form);
        assert_eq!(toml::to_string(&NumberForm::default()).unwrap(), "");
    }
}
