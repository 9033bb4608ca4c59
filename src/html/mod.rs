//! Parts of HTML pages that need no network: escaped text, embedded images, charts as SVG.

mod histogram;
mod page;
mod parallel;
pub mod plot;

pub use histogram::{histogram, in_blocks};
pub use page::page_head;
pub use parallel::{ParallelLine, ParallelPlot};

/// Text escaped for HTML, also within the quotes of an attribute.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// The first `most` characters of `text`, on one line, with an ellipsis if some are left out. Not escaped.
pub fn shortened(text: &str, most: usize) -> String {
    let mut letters = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .peekable();
    let mut short: String = letters.by_ref().take(most).collect();
    if letters.peek().is_some() {
        short.push('…');
    }
    short
}

/// A PNG file as the address of an image.
pub fn png_address(file: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(file))
}

/// `bytes` in base64 (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            text.push(match place <= three.len() {
                true => char::from(DIGITS[(word >> (18 - 6 * place) & 63) as usize]),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors of RFC 4648, section 10.
    #[test]
    fn base64_matches_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("äöü\n!", 4), "äöü …");
    }
}
