//! Text from files, made harmless for a terminal.

use std::borrow::Cow;

/// `text` with control characters written as escapes, except for line breaks and tabs: they could move the cursor, change colours
/// or the window, or hide what follows. So are the characters that reverse the direction of text.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control() && c != '\n' && c != '\t'
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| match harmful(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    Cow::Owned(escaped.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_shown_and_not_obeyed() {
        let title = plain("a\u{1b}]0;title\u{7}\n\tb\u{9b}2J\u{202e}c");
        assert_eq!(title, "a\\u{1b}]0;title\\u{7}\n\tb\\u{9b}2J\\u{202e}c");
        assert!(matches!(plain("größer ✓ 日本"), Cow::Borrowed(_)));
    }
}
