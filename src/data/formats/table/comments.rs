//! Lines that begin with `#`: comments, a header behind that sign, or rows.

use super::dialect::{LOOKED_AT, reader, width_of};
use super::header;
use super::quotes::Quotes;
use csv::StringRecord;
use std::borrow::Cow;
use std::ops::Range;

/// The sign that begins a comment.
const SIGN: u8 = b'#';

/// A text without its comments, which are empty lines in it.
pub(super) struct Uncommented<'t> {
    pub text: Cow<'t, [u8]>,
    /// Number of comments.
    pub comments: usize,
}

impl<'t> Uncommented<'t> {
    /// `text` with one `delimiter` between cells. A line that begins with `#` is a comment if it has another number of cells than the
    /// rows, or a space or nothing after that sign; the last one before the rows is their header if it has a name for each column and
    /// the first row is none.
    pub fn of(text: Cow<'t, [u8]>, delimiter: u8) -> Uncommented<'t> {
        let signed = signed_lines(&text, delimiter);
        if signed.is_empty() {
            return Uncommented { text, comments: 0 };
        }
        let blanked = blank(&text, &signed, None);
        let rows = reader(&blanked, delimiter).into_records();
        let rows: Vec<StringRecord> = rows.map_while(Result::ok).take(LOOKED_AT).collect();
        let (width, _) = width_of(&rows);
        let record = |line: &[u8]| {
            let mut records = reader(line, delimiter).into_records();
            records.next().and_then(Result::ok).unwrap_or_default()
        };
        let mut end = 0;
        let before = signed.iter().take_while(|line| {
            let between = &text[std::mem::replace(&mut end, line.end)..line.start];
            between.iter().all(u8::is_ascii_whitespace)
        });
        let last = before.last();
        let names = last.filter(|line| {
            let names = record(text[line.start + 1..line.end].trim_ascii_start());
            names.len() == width
                && header::find(&names, &rows, &[]).is_header
                && rows
                    .split_first()
                    .is_some_and(|(first, rest)| !header::find(first, rest, &[]).is_header)
        });
        let is_comment = |line: &&Range<usize>| {
            let line = &text[(*line).clone()];
            !rows.is_empty() && (is_remark(line) || record(line).len() != width)
        };
        let comments: Vec<Range<usize>> = signed
            .iter()
            .filter(|line| Some(*line) != names)
            .filter(is_comment)
            .cloned()
            .collect();
        if comments.is_empty() && names.is_none() {
            return Uncommented { text, comments: 0 };
        }
        Uncommented {
            text: Cow::Owned(blank(&text, &comments, names)),
            comments: comments.len(),
        }
    }
}

/// Whether a line that begins with the sign is a comment even if it has as many cells as the rows.
fn is_remark(line: &[u8]) -> bool {
    matches!(line, [_] | [_, b' ' | b'\t' | b'#' | b'!', ..])
}

/// `text` without any line that begins with the sign, unless there are no others: whether these are rows is judged later.
pub(super) fn without_signed_lines(text: &[u8], delimiter: u8) -> Cow<'_, [u8]> {
    let signed = signed_lines(text, delimiter);
    let rest = blank(text, &signed, None);
    match signed.is_empty() || rest.iter().all(u8::is_ascii_whitespace) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(rest),
    }
}

/// The lines of `text` that begin with the sign outside of quotes, without their ends.
fn signed_lines(text: &[u8], delimiter: u8) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if !text.contains(&SIGN) {
        return found;
    }
    let is_end = |byte: u8| matches!(byte, b'\n' | b'\r');
    let mut quotes = Quotes::new(delimiter);
    let mut at = 0;
    while at < text.len() {
        let begins = !quotes.is_open() && (at == 0 || is_end(text[at - 1]));
        if begins && text[at] == SIGN {
            let end = text[at..].iter().position(|&byte| is_end(byte));
            let end = end.map_or(text.len(), |length| at + length);
            let mut within = quotes.clone();
            text[at..end].iter().for_each(|&byte| within.step(byte));
            match within.is_open() && !is_remark(&text[at..end]) {
                // A row that goes on in the next line.
                true => quotes = within,
                // Quotes in a comment mean nothing.
                false => found.push(at..end),
            }
            at = end;
        } else {
            quotes.step(text[at]);
            at += 1;
        }
    }
    found
}

/// `text` without `lines`, and without the sign and the spaces before `names`. The ends of lines stay.
fn blank(text: &[u8], lines: &[Range<usize>], names: Option<&Range<usize>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let sign = names.map(|line| {
        let after = text[line.start + 1..line.end].trim_ascii_start();
        line.start..line.end - after.len()
    });
    let mut left_out: Vec<&Range<usize>> = lines.iter().chain(&sign).collect();
    left_out.sort_by_key(|line| line.start);
    let mut at = 0;
    for line in left_out {
        out.extend_from_slice(&text[at..line.start]);
        at = line.end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_with_the_sign_is_what_fits_the_rows() {
        for (text, want, comments) in [
            ("# a, b\nx,y\n1,2\n#\n3,4\n", "\nx,y\n1,2\n\n3,4\n", 2),
            // A row, and a comment without a space.
            (
                "x,y\n#ff0000,1\n#end\n#5,2\n",
                "x,y\n#ff0000,1\n\n#5,2\n",
                1,
            ),
            ("name\n#1\n#2\n", "name\n#1\n#2\n", 0),
            // A header behind the sign, as NumPy writes it, and one after a comment.
            ("#by me\r\n# x,y\r\n1,2\r\n", "\r\nx,y\r\n1,2\r\n", 1),
            ("# x,y\na,b\n1,2\n", "\na,b\n1,2\n", 1),
            // Within quotes, and quotes within.
            ("x,y\n1,\"a\n# b\"\n2,c\n", "x,y\n1,\"a\n# b\"\n2,c\n", 0),
            ("x,y\n#1,\"a\nb\"\n", "x,y\n#1,\"a\nb\"\n", 0),
            ("# it's \"so\nx,y\n1,2\n", "\nx,y\n1,2\n", 1),
            ("# only\n# comments", "# only\n# comments", 0),
        ] {
            let found = Uncommented::of(Cow::Borrowed(text.as_bytes()), b',');
            let read = String::from_utf8(found.text.into_owned()).unwrap();
            assert_eq!((&*read, found.comments), (want, comments), "{text}");
        }
    }
}
