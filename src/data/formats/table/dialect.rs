//! The delimiter of a table, judged by its rows.

use super::comments::remove_signed_lines;
use super::dates::DateForm;
use super::missing::value;
use super::number::NumberForm;
use super::quotes::{has_space_before, remove_spaces_before};
use super::row_index::{counts_up, is_names};
use csv::{ReaderBuilder, StringRecord, Trim};
use std::collections::BTreeMap;

/// Number of rows that are examined to detect the delimiter and the header.
pub(in crate::data::formats) const LOOKED_AT: usize = 256;
/// Number of bytes that are examined: those of the head of a source.
pub(super) const SAMPLE: usize = 1 << 20;
/// How much less a delimiter is preferred that gives rows of different lengths.
const UNEQUAL: f64 = 0.7;
/// Number of rows whose cells are examined.
const TYPED_ROWS: usize = 64;

/// What separates the cells of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimiter {
    Tab,
    Semicolon,
    Bar,
    Comma,
    /// One or more spaces or tabs.
    Spaces,
}

impl Delimiter {
    const ALL: [Delimiter; 5] = [
        Delimiter::Tab,
        Delimiter::Semicolon,
        Delimiter::Bar,
        Delimiter::Comma,
        Delimiter::Spaces,
    ];

    /// Name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Delimiter::Tab => "tabs",
            Delimiter::Semicolon => "semicolons",
            Delimiter::Bar => "bars",
            Delimiter::Comma => "commas",
            Delimiter::Spaces => "spaces",
        }
    }

    /// The byte between cells of a text that [`Delimiter::separated`] returns.
    pub fn byte(self) -> u8 {
        match self {
            Delimiter::Tab | Delimiter::Spaces => b'\t',
            Delimiter::Semicolon => b';',
            Delimiter::Bar => b'|',
            Delimiter::Comma => b',',
        }
    }

    /// Leaves one [`byte`](Delimiter::byte) between the cells of `text`. Returns what is left: the first so many bytes.
    pub fn separate(self, text: &mut [u8]) -> usize {
        match self {
            Delimiter::Spaces => join_spaces(text),
            _ => remove_spaces_before(text, self.byte()),
        }
    }

    /// Whether [`Delimiter::separate`] may change the text in `pieces`.
    pub fn separates<'t>(self, pieces: impl Iterator<Item = &'t [u8]>) -> bool {
        self == Delimiter::Spaces || has_space_before(pieces)
    }

    /// How much more than others it is preferred: cells of text often hold spaces, and sometimes commas.
    fn weight(self) -> f64 {
        match self {
            Delimiter::Spaces => 0.9,
            Delimiter::Comma => 0.98,
            _ => 1.0,
        }
    }
}

/// A reader of the rows of a text with one `delimiter` between cells.
pub(super) fn reader(text: &[u8], delimiter: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .delimiter(delimiter)
        .from_reader(text)
}

/// The delimiter that gives rows of equal length, quotes respected, and cells that are numbers; a comma if none does.
pub(super) fn detect(text: &[u8]) -> Delimiter {
    let sample = match text.len() > SAMPLE {
        // The last row is cut.
        true => {
            let end = text[..SAMPLE].iter().rposition(|&byte| byte == b'\n');
            &text[..end.unwrap_or(SAMPLE)]
        }
        false => text,
    };
    let scores = Delimiter::ALL
        .iter()
        .map(|&each| (score(sample, each), each));
    let best = scores.fold((0.0, Delimiter::Comma), |best, next| {
        if next.0 > best.0 { next } else { best }
    });
    best.1
}

/// How well a delimiter fits: the share of rows of equal length, and of letters in numbers; 0 if rows have a single cell.
fn score(sample: &[u8], delimiter: Delimiter) -> f64 {
    if delimiter != Delimiter::Spaces && !sample.contains(&delimiter.byte()) {
        return 0.0;
    }
    let mut text = sample.to_vec();
    let length = delimiter.separate(&mut text);
    let left = remove_signed_lines(&mut text[..length], delimiter.byte());
    text.truncate(left);
    let reader = reader(&text, delimiter.byte());
    let rows = reader.into_records().map_while(Result::ok);
    let rows: Vec<StringRecord> = rows.take(LOOKED_AT + 1).collect();
    let Some((first, rest)) = rows.split_first() else {
        return 0.0;
    };
    let rest = if rest.is_empty() { &rows } else { rest };
    let (width, equal) = width_of(rest);
    if width < 2 {
        return 0.0;
    }
    let typed = typed_share(&rest[..rest.len().min(TYPED_ROWS)]);
    let head = match first.len() {
        len if len == width || len == width + 1 && is_blank_at(first, width) => 1.0,
        // Rows that end in a delimiter.
        len if len + 1 == width && rest.iter().all(|row| is_blank_at(row, len)) => 1.0,
        // A single row shows no names of rows.
        len if len + 1 == width && typed > 0.0 && rest.len() > 1 && has_row_names(rest) => 0.9,
        _ => 0.7,
    };
    let is_text = delimiter == Delimiter::Spaces
        && (typed == 0.0 || head < 0.9 || rest.iter().all(is_one_value));
    match is_text {
        true => 0.0,
        // Rows of different lengths can't be read.
        false if equal < 1.0 => UNEQUAL * equal * head * (1.0 + typed) * delimiter.weight(),
        false => head * (1.0 + typed) * delimiter.weight(),
    }
}

/// Whether a row holds one value with a space, such as `5 €` or a date with a time.
fn is_one_value(row: &StringRecord) -> bool {
    let reads = |cell: &str| NumberForm::reads(cell) || DateForm::reads(cell);
    match row.iter().collect::<Vec<_>>()[..] {
        [cell] => value(cell).is_none() || reads(cell),
        [first, second] => !(reads(first) && reads(second)) && reads(&format!("{first} {second}")),
        _ => false,
    }
}

/// Whether the first cells of `rows` could be names or numbers of the rows, as below a header that lacks a name for them.
pub(super) fn has_row_names(rows: &[StringRecord]) -> bool {
    let first = || rows.iter().map(|row| row.get(0).unwrap_or_default());
    counts_up(first()) || is_names(first())
}

/// The most frequent length of `rows`, and the share of rows that have it. An empty cell after the last does not count.
pub(super) fn width_of(rows: &[StringRecord]) -> (usize, f64) {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.len()).or_default() += 1;
    }
    // Of equally frequent lengths, the first that occurs.
    let count = |row: &StringRecord| counts.get(&row.len()).copied().unwrap_or(0);
    let width = rows.iter().rev().max_by_key(|row| count(row));
    let width = width.map_or(0, StringRecord::len);
    let fits = |row: &&StringRecord| {
        row.len() == width || row.len() == width + 1 && is_blank_at(row, width)
    };
    let equal = rows.iter().filter(fits).count();
    (width, equal as f64 / rows.len().max(1) as f64)
}

/// Whether the cell at `place` of `row` is empty.
pub(super) fn is_blank_at(row: &StringRecord, place: usize) -> bool {
    row.get(place).is_some_and(str::is_empty)
}

/// The share of the letters of numbers and dates among those of all cells that are not missing.
fn typed_share(rows: &[StringRecord]) -> f64 {
    let cells = || rows.iter().flatten().filter_map(value);
    let is_typed = |cell: &&str| NumberForm::reads(cell) || DateForm::reads(cell);
    let typed: usize = cells().filter(is_typed).map(str::len).sum();
    let all: usize = cells().map(str::len).sum();
    typed as f64 / all.max(1) as f64
}

/// Leaves a tab for each run of spaces and tabs between the cells of `text`, outside of quotes. Returns what is left: the first so
/// many bytes.
fn join_spaces(text: &mut [u8]) -> usize {
    let mut written = 0;
    let (mut quoted, mut pending) = (false, false);
    for at in 0..text.len() {
        let byte = text[at];
        match byte {
            b' ' | b'\t' if !quoted => {
                pending = true;
                continue;
            }
            b'\n' | b'\r' if !quoted => pending = false,
            _ => {
                let begins = written == 0 || matches!(text[written - 1], b'\n' | b'\r');
                if std::mem::take(&mut pending) && !begins {
                    text[written] = b'\t';
                    written += 1;
                }
                quoted ^= byte == b'"';
            }
        }
        text[written] = byte;
        written += 1;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_gives_equal_rows_of_numbers() {
        use Delimiter::{Bar, Comma, Semicolon, Spaces, Tab};
        for (text, want) in [
            ("a,b\n1,2\n", Comma),
            ("a;b\n1;2\n", Semicolon),
            ("a|b\n1|2\n", Bar),
            ("a\tb\n1\t2\n", Tab),
            // Commas and semicolons in the header are equally frequent.
            (
                "Length, cm;Weight, kg;label\n1.5;2;yes\n2.5;3;no\n",
                Semicolon,
            ),
            ("a\t\"cost per 1,000, items\"\tlabel\n1\t2\tyes\n", Tab),
            // Decimal commas.
            ("a;b;label\n8,44;2,58;yes\n4,21;-2,41;no\n", Semicolon),
            ("8,44;2,58;3,5\n4,21;-2,41;1,5\n", Semicolon),
            ("a b\n8,44  2,58\n4,21 -2,41\n", Spaces),
            (
                "length width label\n8.44  2.58 yes\n4.21  -2.41 no\n",
                Spaces,
            ),
            ("  1   2\n 3 4\n", Spaces),
            // A delimiter at the end of rows, or of the header.
            ("a,b,label\n1,2,yes,\n3,4,no,\n", Comma),
            ("a;b;label;\n1;2;yes\n3;4;no\n", Semicolon),
            // Delimiters in quotes, dates with spaces, and sentences.
            ("a,b\n\"x; y\",1\n\"z; u\",2\n", Comma),
            (
                "date,load\n2023-01-01 00:00,10.0\n2023-01-01 01:00,11.3\n",
                Comma,
            ),
            ("date,load\nday 1,10\n", Comma),
            ("text,label\nso good,1\nso bad,0\n", Comma),
            ("name\nJohn Smith\nJane Doe\n", Comma),
            ("price\n5.5 €\nNA\n7 €\n", Comma),
            ("when\n2020-01-01 06:30\n2020-01-02 06:30\n", Comma),
            ("a b\n1 234\n2 345\n", Spaces),
            // Comments, and a header behind their sign.
            ("# a; b; c\na,b\n1,2\n", Comma),
            ("# a b\n1.5 2\n2.5 3\n", Spaces),
            ("x\n1\n", Comma),
            ("", Comma),
        ] {
            assert_eq!(detect(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn runs_of_spaces_become_one_tab() {
        let text = b" a  \"b  c\" d \r\n1\t 2 3\n";
        let want: &[u8] = b"a\t\"b  c\"\td\r\n1\t2\t3\n";
        let mut found = text.to_vec();
        let length = join_spaces(&mut found);
        assert_eq!(&found[..length], want);
    }
}
