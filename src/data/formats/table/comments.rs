//! Lines that begin with `#`: comments, a header behind that sign, or rows.

use super::dialect::{LOOKED_AT, SAMPLE, reader, width_of};
use super::header;
use super::quotes::Quotes;
use csv::StringRecord;
use std::ops::Range;

/// The sign that begins a comment.
const SIGN: u8 = b'#';

/// Whether `text` holds the sign.
pub(super) fn may_have_comments(text: &[u8]) -> bool {
    text.contains(&SIGN)
}

/// What is left of a text without its comments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Uncommented {
    /// Its first so many bytes.
    pub length: usize,
    /// Number of comments.
    pub comments: usize,
}

impl Uncommented {
    /// Makes the comments of `text`, with one `delimiter` between cells, empty lines. A line that begins with `#` is a comment if it
    /// has another number of cells than the rows, or a space or nothing after that sign; the last one before the rows is their header
    /// if it has a name for each column and the first row is none.
    pub fn of(text: &mut [u8], delimiter: u8) -> Uncommented {
        let whole = Uncommented {
            length: text.len(),
            comments: 0,
        };
        let signed = signed_lines(text, delimiter);
        if signed.is_empty() {
            return whole;
        }
        let head = text.len().min(SAMPLE);
        let mut blanked = text[..head].to_vec();
        let within: Vec<Range<usize>> = signed
            .iter()
            .filter(|line| line.start < head)
            .map(|line| line.start..line.end.min(head))
            .collect();
        let left = remove(&mut blanked, within);
        blanked.truncate(left);
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
        let sign = names.map(|line| {
            let after = text[line.start + 1..line.end].trim_ascii_start();
            line.start..line.end - after.len()
        });
        Uncommented {
            comments: comments.len(),
            length: remove(text, comments.into_iter().chain(sign).collect()),
        }
    }
}

/// Whether a line that begins with the sign is a comment even if it has as many cells as the rows.
fn is_remark(line: &[u8]) -> bool {
    matches!(line, [_] | [_, b' ' | b'\t' | b'#' | b'!', ..])
}

/// Removes any line that begins with the sign from `text`, unless there are no others: whether these are rows is judged later.
/// Returns what is left: the first so many bytes.
pub(super) fn remove_signed_lines(text: &mut [u8], delimiter: u8) -> usize {
    let signed = signed_lines(text, delimiter);
    let is_blank = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_whitespace);
    let mut end = 0;
    let between = signed
        .iter()
        .all(|line| is_blank(&text[std::mem::replace(&mut end, line.end)..line.start]));
    match between && is_blank(&text[end..]) {
        true => text.len(),
        false => remove(text, signed),
    }
}

/// The lines of `text` that begin with the sign outside of quotes, without their ends.
fn signed_lines(text: &[u8], delimiter: u8) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if !may_have_comments(text) {
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

/// Removes `parts` from `text`. Returns what is left: the first so many bytes.
fn remove(text: &mut [u8], mut parts: Vec<Range<usize>>) -> usize {
    parts.sort_by_key(|part| part.start);
    parts.push(text.len()..text.len());
    let (mut at, mut written) = (0, 0);
    for part in parts {
        text.copy_within(at..part.start, written);
        written += part.start - at;
        at = part.end;
    }
    written
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
            let mut read = text.as_bytes().to_vec();
            let found = Uncommented::of(&mut read, b',');
            read.truncate(found.length);
            let read = String::from_utf8(read).unwrap();
            assert_eq!((&*read, found.comments), (want, comments), "{text}");
        }
    }
}
