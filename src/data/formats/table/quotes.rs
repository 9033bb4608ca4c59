//! Where a byte of a table is, with regard to quotes, according to RFC 4180.

/// The position of a byte in a cell.
#[derive(Clone, Copy)]
enum Place {
    /// At the start of a cell, where a quote opens it.
    Start,
    Cell,
    /// In a quoted cell, with the line of its opening quote.
    Quoted(u64),
    /// After a second quote, which closes the cell unless a third quote follows.
    Closed(u64),
}

/// The state of quotes in a text, byte by byte.
#[derive(Clone)]
pub(super) struct Quotes {
    delimiter: u8,
    place: Place,
    line: u64,
}

impl Quotes {
    /// At the beginning of a text with this `delimiter`.
    pub fn new(delimiter: u8) -> Quotes {
        Quotes {
            delimiter,
            place: Place::Start,
            line: 1,
        }
    }

    /// Goes past `byte`.
    pub fn step(&mut self, byte: u8) {
        self.place = match (self.place, byte) {
            (Place::Quoted(opened), b'"') => Place::Closed(opened),
            (Place::Quoted(opened), _) => Place::Quoted(opened),
            (Place::Closed(opened), b'"') => Place::Quoted(opened),
            (Place::Start, b'"') => Place::Quoted(self.line),
            (_, b'\n' | b'\r') => Place::Start,
            (_, byte) if byte == self.delimiter => Place::Start,
            _ => Place::Cell,
        };
        self.line += u64::from(byte == b'\n');
    }

    /// Whether the next byte begins a cell.
    pub fn is_start(&self) -> bool {
        matches!(self.place, Place::Start)
    }

    /// Whether the next byte is within quotes.
    pub fn is_open(&self) -> bool {
        matches!(self.place, Place::Quoted(_))
    }
}

/// The line of the quote that opens a cell of the text in `pieces` and is never closed, if there is one.
pub(super) fn open_quote<'t>(pieces: impl Iterator<Item = &'t [u8]>, delimiter: u8) -> Option<u64> {
    let mut quotes = Quotes::new(delimiter);
    pieces.flatten().for_each(|&byte| quotes.step(byte));
    match quotes.place {
        Place::Quoted(opened) => Some(opened),
        _ => None,
    }
}

/// Whether there is a quote after a space in the text in `pieces`.
pub(super) fn has_space_before<'t>(pieces: impl Iterator<Item = &'t [u8]>) -> bool {
    let mut before = b'\n';
    pieces
        .flatten()
        .any(|&byte| std::mem::replace(&mut before, byte) == b' ' && byte == b'"')
}

/// Removes spaces between a delimiter and a quote that opens a cell from `text`, where they would make the quote a part of the cell.
/// Returns what is left: the first so many bytes.
pub(super) fn remove_spaces_before(text: &mut [u8], delimiter: u8) -> usize {
    let is_space = |byte: &u8| *byte == b' ';
    let mut written = 0;
    let mut quotes = Quotes::new(delimiter);
    let mut at = 0;
    while at < text.len() {
        if quotes.is_start() && is_space(&text[at]) {
            let spaces = text[at..].iter().take_while(|byte| is_space(byte)).count();
            if text.get(at + spaces) == Some(&b'"') {
                at += spaces;
                continue;
            }
        }
        quotes.step(text[at]);
        text[written] = text[at];
        (at, written) = (at + 1, written + 1);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_before_quotes_are_left_out_where_a_cell_begins() {
        for (text, want) in [
            ("1,  \"a, b\",\"c\"\n \"d\"", "1,\"a, b\",\"c\"\n\"d\""),
            (
                "say \"so\", \"x\"\n\"a, \"\"b\", \"c\"",
                "say \"so\",\"x\"\n\"a, \"\"b\",\"c\"",
            ),
        ] {
            assert!(has_space_before(text.as_bytes().chunks(3)));
            let mut found = text.as_bytes().to_vec();
            let left = remove_spaces_before(&mut found, b',');
            found.truncate(left);
            assert_eq!(String::from_utf8(found).unwrap(), want);
        }
        assert!(!has_space_before([&b"a, b,\"c\""[..]].into_iter()));
    }
}
