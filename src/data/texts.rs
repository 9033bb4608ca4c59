//! Texts from files and elsewhere: their encoding, and the form in which every tokenizer gets them.

use super::DataError;
use super::files::read_whole;
use super::spilled::Spilled;
use std::borrow::Cow;
use std::io;
use std::path::Path;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The byte order mark, which some editors put before a text.
const MARK: char = '\u{feff}';

/// The form of a text that tokenizers are trained on and encode: without a byte order mark, with `\n` at the ends of lines, and
/// with letters and their marks composed (NFC).
pub(super) fn normalised(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let text = match text.contains("\r\n") {
        true => Cow::Owned(text.replace("\r\n", "\n")),
        false => Cow::Borrowed(text),
    };
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text,
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(text.nfc().collect()),
    }
}

/// The bytes of a text as UTF-8: without a byte order mark, and from UTF-16 if they begin with its mark. What is not Unicode is
/// left as it is.
pub(super) fn utf8(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match (Encoding::of(&bytes), bytes) {
        (Encoding::Utf16(word), bytes) => {
            Cow::Owned(letters(&bytes, word).collect::<String>().into_bytes())
        }
        (Encoding::Utf8 { mark }, Cow::Borrowed(bytes)) => Cow::Borrowed(&bytes[mark..]),
        (Encoding::Utf8 { mark }, Cow::Owned(mut bytes)) => {
            bytes.drain(..mark);
            Cow::Owned(bytes)
        }
    }
}

/// The same of a text that may be in a file.
///
/// # Errors
/// If there is no room for the file.
pub(super) fn spilled_utf8(mut bytes: Spilled<u8>) -> io::Result<Spilled<u8>> {
    let word = match Encoding::of(&bytes) {
        Encoding::Utf8 { mark: 0 } => return Ok(bytes),
        Encoding::Utf8 { mark } => {
            bytes.remove_first(mark);
            return Ok(bytes);
        }
        Encoding::Utf16(word) => word,
    };
    let mut text = Spilled::default();
    for letter in letters(&bytes, word) {
        text.extend(letter.encode_utf8(&mut [0; 4]).as_bytes())?;
    }
    Ok(text)
}

/// How a text is encoded.
enum Encoding {
    /// UTF-8, or another that is no Unicode, after a byte order mark of so many bytes.
    Utf8 { mark: usize },
    /// UTF-16 whose words are read in this order, after a mark.
    Utf16(fn([u8; 2]) -> u16),
}

impl Encoding {
    /// By the byte order mark.
    fn of(bytes: &[u8]) -> Encoding {
        match bytes {
            [0xff, 0xfe, ..] => Encoding::Utf16(u16::from_le_bytes),
            [0xfe, 0xff, ..] => Encoding::Utf16(u16::from_be_bytes),
            [0xef, 0xbb, 0xbf, ..] => Encoding::Utf8 { mark: 3 },
            _ => Encoding::Utf8 { mark: 0 },
        }
    }
}

/// The letters of a text in UTF-16 after its mark.
fn letters(bytes: &[u8], word: fn([u8; 2]) -> u16) -> impl Iterator<Item = char> {
    let words = bytes[2..]
        .chunks_exact(2)
        .map(move |pair| word([pair[0], pair[1]]));
    char::decode_utf16(words).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// Whether bytes begin with the mark of UTF-16.
pub(super) fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..])
}

/// What bytes of an image are instead of text, as the rest of a sentence about the file.
pub(super) fn image_instead(bytes: &[u8]) -> Option<String> {
    // A text may begin with the letters that mark an image, such as BM, but has no zeros.
    let head = &bytes[..bytes.len().min(512)];
    let format = image::guess_format(bytes)
        .ok()
        .filter(|_| head.contains(&0))?;
    Some(format!("is an image ({format:?}), not text"))
}

/// The text in bytes of UTF-8, or of UTF-16 with a byte order mark, in the form for tokenizers.
///
/// # Errors
/// Names the line of the first byte that is not UTF-8, and how to convert the file, as the rest of a sentence about it.
pub(super) fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    if let Some(problem) = image_instead(&bytes) {
        return Err(problem);
    }
    if is_utf16(&bytes) && !bytes.len().is_multiple_of(2) {
        let problem =
            "is UTF-16 text that ends within a character: it is cut short, so save it again";
        return Err(problem.to_string());
    }
    let bytes = utf8(Cow::Owned(bytes)).into_owned();
    let text = String::from_utf8(bytes)
        .map_err(|e| not_utf8_at(e.as_bytes(), e.utf8_error().valid_up_to()))?;
    Ok(match normalised(&text) {
        Cow::Owned(text) => text,
        Cow::Borrowed(same) if same.len() == text.len() => text,
        Cow::Borrowed(same) => same.to_string(),
    })
}

/// The problem of `bytes`, of which the one at `at` is not UTF-8, as the rest of a sentence about the file.
pub(super) fn not_utf8_at(bytes: &[u8], at: usize) -> String {
    let ends = |place: &usize| match bytes[*place] {
        b'\n' => true,
        b'\r' => bytes.get(place + 1) != Some(&b'\n'),
        _ => false,
    };
    let line = 1 + (0..at.min(bytes.len())).filter(ends).count();
    not_utf8(line as u64, bytes.get(at).copied())
}

/// The same of a text whose `line` holds this `byte`.
pub(super) fn not_utf8(line: u64, byte: Option<u8>) -> String {
    // Windows-1252 and Latin-1 agree from 0xA0 on.
    let letter = byte.filter(|&byte| byte >= 0xa0).map(char::from);
    let likely = letter.map(|c| format!(" (it would be \"{c}\" in Windows-1252)"));
    format!(
        "is not UTF-8 text at line {line}{}: save it as UTF-8, for example with `iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW`",
        likely.unwrap_or_default()
    )
}

/// The text of the file `path`.
///
/// # Errors
/// If it can't be read, or is not text.
pub(super) fn read_text(path: &Path) -> Result<String, DataError> {
    decoded(read_whole(path)?).map_err(|problem| DataError::unusable(path, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_from_texts_that_begin_like_them() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        assert_eq!(
            decoded(png.to_vec()).unwrap_err(),
            "is an image (Png), not text"
        );
        for text in ["BMI,age\n21.5,30\n", "P2,P3\n1,2\n"] {
            assert_eq!(decoded(text.into()).unwrap(), text);
        }
    }

    #[test]
    fn marks_line_ends_and_loose_accents_are_brought_to_one_form() {
        for (text, want) in [
            ("\u{feff}a\r\nb", "a\nb"),
            ("a\rb", "a\rb"),
            ("u\u{308}ber", "über"),
            ("中文", "中文"),
            ("a\u{feff}", "a\u{feff}"),
        ] {
            assert_eq!(normalised(text), want);
            // The form stays as it is.
            assert_eq!(normalised(want), want);
        }
        assert!(matches!(normalised("über"), Cow::Borrowed(_)));
    }

    #[test]
    fn bytes_are_utf_8_or_utf_16_with_a_mark() {
        let utf16 = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            let words = "\u{feff}".encode_utf16().chain(text.encode_utf16());
            words.flat_map(order).collect()
        };
        for bytes in [
            utf16("gr\u{fc}n 😀\r\n", u16::to_le_bytes),
            utf16("gr\u{fc}n 😀\r\n", u16::to_be_bytes),
            "\u{feff}grün 😀\r\n".into(),
            "gru\u{308}n 😀\n".into(),
        ] {
            assert_eq!(decoded(bytes).unwrap(), "grün 😀\n");
        }
        let message = decoded(b"a\nb\nK\xe4se".to_vec()).unwrap_err();
        assert!(
            message.contains("line 3 (it would be \"ä\"") && message.contains("iconv"),
            "{message}"
        );
    }
}
