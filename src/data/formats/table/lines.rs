//! The lines of a text by their bytes. A line ends in `\n`, `\r\n` or `\r`.

/// Counts the lines of a text from its beginning on.
#[derive(Default)]
pub(super) struct Lines {
    /// The bytes that are counted.
    at: usize,
    /// The ends of lines in them.
    ends: u64,
}

impl Lines {
    /// The number of the line, from 1, of the first byte of `text` from `start` on that is not the end of a line. Later calls must
    /// not ask for earlier bytes.
    pub fn line_of(&mut self, text: &[u8], start: usize) -> u64 {
        let is_end = |at: usize| matches!(text.get(at), Some(b'\n' | b'\r'));
        let first = (start..).find(|&at| !is_end(at)).unwrap_or(start);
        self.pass(text, first);
        self.line()
    }

    /// The number of the line, from 1, after those that were counted.
    pub fn line(&self) -> u64 {
        self.ends + 1
    }

    /// Counts the lines that end before the byte `end` of `text`. The bytes before it are not looked at again.
    pub fn pass(&mut self, text: &[u8], end: usize) {
        while self.at < end {
            let is_last = match text.get(self.at) {
                Some(b'\n') => true,
                Some(b'\r') => text.get(self.at + 1) != Some(&b'\n'),
                _ => false,
            };
            self.ends += u64::from(is_last);
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_end_counts_once() {
        for text in ["a\nb\n\nc", "a\r\nb\r\n\r\nc", "a\rb\r\rc"] {
            let place = |letter: char| text.find(letter).unwrap();
            let bytes = text.as_bytes();
            let mut lines = Lines::default();
            let found = ['a', 'b', 'c'].map(|letter| lines.line_of(bytes, place(letter)));
            assert_eq!(found, [1, 2, 4], "{text:?}");
            // From the end of the line before, too.
            let mut lines = Lines::default();
            lines.pass(bytes, place('b') - 1);
            assert_eq!(lines.line_of(bytes, place('b') - 1), 2);
            assert_eq!(lines.line_of(bytes, text.len()), 4);
        }
    }
}
