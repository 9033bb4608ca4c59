//! The lines of a text by their bytes. A line ends in `\n`, `\r\n` or `\r`.

/// A text whose lines are counted from the beginning on.
pub(super) struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl<'t> Lines<'t> {
    pub fn of(text: &'t [u8]) -> Lines<'t> {
        Lines {
            text,
            at: 0,
            line: 1,
        }
    }

    /// The number of the line, from 1, of the first byte from `start` on that is not the end of a line. Later calls must not ask
    /// for earlier bytes.
    pub fn line_of(&mut self, start: usize) -> u64 {
        let is_end = |at: usize| matches!(self.text.get(at), Some(b'\n' | b'\r'));
        let first = (start..).find(|&at| !is_end(at)).unwrap_or(start);
        while self.at < first {
            let is_last = match self.text.get(self.at) {
                Some(b'\n') => true,
                Some(b'\r') => self.text.get(self.at + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(is_last);
            self.at += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_end_counts_once() {
        for text in ["a\nb\n\nc", "a\r\nb\r\n\r\nc", "a\rb\r\rc"] {
            let place = |letter: char| text.find(letter).unwrap();
            let mut lines = Lines::of(text.as_bytes());
            let found = ['a', 'b', 'c'].map(|letter| lines.line_of(place(letter)));
            assert_eq!(found, [1, 2, 4], "{text:?}");
            // From the end of the line before, too.
            let mut lines = Lines::of(text.as_bytes());
            assert_eq!(lines.line_of(place('b') - 1), 2);
            assert_eq!(lines.line_of(text.len()), 4);
        }
    }
}
