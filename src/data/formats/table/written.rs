//! Random tables: in whatever way a table is written, what is read is what it holds.

use super::columns::{Column, ColumnKind, Reading};
use super::csv::CsvTable;
use super::missing::value;
use super::{decimals_in, row_index};
use crate::data::DataSettings;
use crate::data::spilled::tests::with_most_in_memory;
use crate::random::Stream;

/// Number of tables that are written and read.
const TABLES: u64 = 400;

/// What a cell holds.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Missing,
    Number(f64),
    Word(&'static str),
    /// Seconds since 1970.
    Date(f64),
}

/// Kind of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Whole,
    Real,
    Word,
    Date,
}

/// Whether the rows are numbered, and where their header would be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Index {
    None,
    /// Below an empty cell of the header.
    Unnamed,
    /// The header has a cell less.
    Short,
}

/// How a table is written.
#[derive(Debug)]
struct Style {
    delimiter: char,
    /// Spaces after each delimiter.
    pad: bool,
    quote_all: bool,
    header: bool,
    index: Index,
    line_end: &'static str,
    last_line_end: bool,
    /// A delimiter at the end of rows and of the header.
    trailing: [bool; 2],
    missing: &'static str,
    decimal_comma: bool,
    thousands: Option<char>,
    sign: &'static str,
    day_first: bool,
    comments: bool,
    blank_lines: bool,
    /// Whether there is only one cell in a row, so that an empty one is an empty line.
    single: bool,
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Encoding {
    Utf8,
    Marked,
    Utf16,
}

/// A table, and how it is written.
struct Written {
    style: Style,
    names: Vec<&'static str>,
    kinds: Vec<Kind>,
    rows: Vec<Vec<Value>>,
}

/// One of `items`.
fn one<T: Copy>(random: &mut Stream, items: &[T]) -> T {
    items[random.below(items.len() as u32) as usize]
}

/// True in one of `of` cases.
fn rarely(random: &mut Stream, of: u32) -> bool {
    random.below(of) == 0
}

impl Style {
    fn random(random: &mut Stream) -> Style {
        let delimiter = one(random, &[',', ',', ';', '\t', '|', ' ']);
        let header = !rarely(random, 4);
        let index = match (header, rarely(random, 3)) {
            (_, false) => Index::None,
            (true, true) => one(random, &[Index::Unnamed, Index::Short]),
            (false, true) => Index::Unnamed,
        };
        let trailing = match (index, delimiter, rarely(random, 4)) {
            (Index::Short, ..) | (_, ' ', _) | (.., false) => [false, false],
            _ => one(random, &[[true, true], [true, false], [false, true]]),
        };
        let decimal_comma = rarely(random, 3);
        let group = if decimal_comma { '.' } else { ',' };
        Style {
            delimiter,
            pad: delimiter != ' ' && rarely(random, 4),
            quote_all: rarely(random, 4),
            header,
            index,
            line_end: one(random, &["\n", "\n", "\r\n", "\r"]),
            last_line_end: !rarely(random, 4),
            trailing,
            missing: one(random, &["", "", "NA", "nan", "NULL", "?", "N/A", "None"]),
            decimal_comma,
            thousands: rarely(random, 3).then(|| one(random, &[group, group, ' ', '\''])),
            sign: one(random, &["", "", "", "", "%", " €"]),
            day_first: rarely(random, 2),
            comments: rarely(random, 4),
            blank_lines: rarely(random, 4),
            single: false,
            encoding: one(
                random,
                &[
                    Encoding::Utf8,
                    Encoding::Utf8,
                    Encoding::Marked,
                    Encoding::Utf16,
                ],
            ),
        }
    }

    /// The text of a number with up to two decimals.
    fn number(&self, number: f64, is_real: bool) -> String {
        let text = number.abs().to_string();
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        let mut out = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                out.extend(self.thousands);
            }
            out.push(digit);
        }
        if !decimals.is_empty() {
            out.push(if self.decimal_comma { ',' } else { '.' });
            out += decimals;
        }
        let minus = if number < 0.0 { "-" } else { "" };
        let sign = if is_real { self.sign } else { "" };
        format!("{minus}{out}{sign}")
    }

    fn text(&self, value: &Value, kind: Kind) -> String {
        match value {
            Value::Missing => self.missing.to_string(),
            Value::Number(number) => self.number(*number, kind == Kind::Real),
            Value::Word(word) => word.to_string(),
            Value::Date(seconds) => {
                // All days are in January 2021.
                let day = ((seconds - JANUARY) / 86_400.0) as u32 + 1;
                match self.day_first {
                    true => format!("{day:02}.01.2021"),
                    false => format!("2021-01-{day:02}"),
                }
            }
        }
    }

    /// A cell in quotes where they are needed, or everywhere.
    fn cell(&self, text: &str) -> String {
        let special = [self.delimiter, '"', '\n', '\r'];
        let is_empty = text.is_empty() && (self.delimiter == ' ' || self.single);
        match self.quote_all || is_empty || text.contains(special) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_string(),
        }
    }

    fn line(&self, cells: &[String], trailing: bool) -> String {
        let between = match self.pad {
            true => format!("{} ", self.delimiter),
            false => self.delimiter.to_string(),
        };
        let mut line = cells.join(&between);
        if trailing {
            line.push(self.delimiter);
        }
        line
    }
}

/// The beginning of January 2021, in seconds since 1970.
const JANUARY: f64 = 1_609_459_200.0;
const WORDS: [&str; 12] = [
    "red",
    "green",
    "dark blue",
    "São Paulo",
    "x, y",
    "p; q",
    "O'Neil",
    "say \"so\"",
    "two\nlines",
    "#1",
    "a|b",
    "no. 5",
];
const NAMES: [&str; 8] = [
    "age",
    "body mass",
    "city",
    "größe",
    "w,t",
    "x#",
    "size (cm)",
    "label",
];

impl Written {
    fn random(random: &mut Stream) -> Written {
        let mut style = Style::random(random);
        let columns = 1 + random.below(5) as usize;
        if columns == 1 && style.index == Index::None {
            style.single = true;
            // "12 345" below one name could be two columns.
            style.thousands = style.thousands.filter(|sign| *sign != ' ');
            // What else might be a delimiter is quoted.
            (style.delimiter, style.trailing) = (',', [false, false]);
        }
        let mut kinds: Vec<Kind> = (0..columns)
            .map(|_| one(random, &[Kind::Whole, Kind::Real, Kind::Word, Kind::Date]))
            .collect();
        // Without a column of numbers with decimals nothing shows what separates them, and without a number nothing shows that there is
        // no header.
        kinds[0] = Kind::Real;
        random.shuffle(&mut kinds);
        let mut names = NAMES.to_vec();
        random.shuffle(&mut names);
        names.truncate(columns);
        let count = 5 + random.below(40);
        let words: Vec<&str> = (0..3).map(|_| one(random, &WORDS)).collect();
        let mut rows: Vec<Vec<Value>> = (0..count)
            .map(|row| {
                let cell = |kind: &Kind| match kind {
                    // The first rows show the kinds of their columns.
                    _ if row > 2 && rarely(random, 6) => Value::Missing,
                    Kind::Whole => Value::Number(f64::from(random.below(2_000_000)) - 1e6),
                    Kind::Real => {
                        let hundredths = f64::from(random.below(200_000_000)) - 1e8;
                        Value::Number((hundredths / 100.0 * 100.0).round() / 100.0)
                    }
                    Kind::Word => Value::Word(one(random, &words)),
                    Kind::Date => Value::Date(JANUARY + 86_400.0 * f64::from(random.below(31))),
                };
                kinds.iter().map(cell).collect()
            })
            .collect();
        // A number whose decimals are no group of three digits, and a day that is no month.
        for (at, kind) in kinds.iter().enumerate() {
            match kind {
                Kind::Real => rows[1][at] = Value::Number(-1234.5),
                Kind::Date => rows[1][at] = Value::Date(JANUARY + 86_400.0 * 30.0),
                _ => {}
            }
        }
        Written {
            style,
            names,
            kinds,
            rows,
        }
    }

    fn bytes(&self, random: &mut Stream) -> Vec<u8> {
        let style = &self.style;
        let mut lines = Vec::new();
        if style.comments {
            lines.push("# written by a program, in 2021".to_string());
            lines.push("#".to_string());
        }
        if style.header {
            let blank = (style.index == Index::Unnamed).then_some("");
            let names = blank.into_iter().chain(self.names.iter().copied());
            let cells: Vec<String> = names.map(|name| style.cell(name)).collect();
            lines.push(style.line(&cells, style.trailing[1]));
        }
        for (number, row) in self.rows.iter().enumerate() {
            let index = (style.index != Index::None).then(|| number.to_string());
            let texts = row.iter().zip(&self.kinds);
            let texts = texts.map(|(value, kind)| style.text(value, *kind));
            let cells: Vec<String> = index
                .into_iter()
                .chain(texts)
                .map(|text| style.cell(&text))
                .collect();
            lines.push(style.line(&cells, style.trailing[0]));
            if style.blank_lines && rarely(random, 8) {
                lines.push(String::new());
            }
            if style.comments && rarely(random, 8) {
                lines.push("# a remark".to_string());
            }
        }
        let mut text = lines.join(style.line_end);
        if style.last_line_end {
            text += style.line_end;
        }
        match style.encoding {
            Encoding::Utf8 => text.into_bytes(),
            Encoding::Marked => format!("\u{feff}{text}").into_bytes(),
            Encoding::Utf16 => {
                let words = "\u{feff}".encode_utf16().chain(text.encode_utf16());
                words.flat_map(u16::to_le_bytes).collect()
            }
        }
    }

    /// The first difference between this and the table in `path`.
    fn difference(&self, path: &std::path::Path) -> Result<(), String> {
        let table =
            CsvTable::read(path, &DataSettings::default(), &[]).map_err(|e| e.to_string())?;
        let first = usize::from(self.style.index != Index::None);
        if (table.rows.len(), table.names.len()) != (self.rows.len(), self.names.len() + first) {
            return Err(format!("{} rows of {:?}", table.rows.len(), table.names));
        }
        if table.has_header() != self.style.header {
            return Err(format!("header: {:?}", table.in_words(path)));
        }
        if self.style.header && table.names[first..] != self.names {
            return Err(format!("names {:?}", table.names));
        }
        let index = row_index::find(&table);
        if index.is_some() != (first == 1) {
            return Err(format!("index {index:?}"));
        }
        let decimals = decimals_in(&table);
        for (at, kind) in self.kinds.iter().enumerate() {
            let reading = Reading {
                names: true,
                category: false,
                decimals,
                pieces: 0,
            };
            let cells = table.column(first + at);
            let column = Column::learn("a", cells.clone(), reading)?.column;
            let column = column.ok_or("an empty column")?.kind;
            let read = cells.map(|(_, cell)| match (value(cell), &column) {
                (None, _) => Value::Missing,
                (Some(cell), ColumnKind::Number { form, .. }) => {
                    Value::Number(form.parse(cell).unwrap_or(f64::NAN))
                }
                (Some(cell), ColumnKind::Date { form, .. }) => {
                    Value::Date(form.parse(cell).map_or(f64::NAN, |date| date.seconds()))
                }
                (Some(cell), ColumnKind::Category { .. }) => {
                    let word = WORDS.iter().find(|word| **word == cell);
                    Value::Word(word.copied().unwrap_or("another word"))
                }
            });
            for ((row, read), wanted) in self.rows.iter().zip(read).zip(0..) {
                if read != row[at] {
                    return Err(format!(
                        "column {at} of {kind:?}, row {wanted}: {read:?} instead of {:?}",
                        row[at]
                    ));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn a_table_is_read_as_what_it_holds_in_whatever_way_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("table.csv");
    let mut failures = Vec::new();
    for seed in 0..TABLES {
        let mut random = Stream::new(seed, 0);
        let table = Written::random(&mut random);
        let bytes = table.bytes(&mut random);
        std::fs::write(&path, &bytes).unwrap();
        // Every fourth table is in files as a large one is.
        let read = || table.difference(&path);
        let difference = match seed % 4 {
            0 => with_most_in_memory(16, read),
            _ => read(),
        };
        if let Err(difference) = difference {
            let head = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
            failures.push(format!(
                "seed {seed}: {difference}\n{:?}\n{head}",
                table.style
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {TABLES} tables:\n{}",
        failures.len(),
        failures[..failures.len().min(5)].join("\n")
    );
}
