//! Whether an image file holds more than one image: the frames of an animation, or pages.

use image::ImageFormat;

/// The images in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Frames {
    /// A single one.
    #[default]
    One,
    /// Several frames of an animation.
    Animation,
    /// Several pages.
    Pages,
}

/// The images in a file of `format` that holds `bytes`. A damaged file counts as one image.
pub(super) fn frames(format: ImageFormat, bytes: &[u8]) -> Frames {
    let (several, kind) = match format {
        ImageFormat::Gif => (gif(bytes), Frames::Animation),
        ImageFormat::Png => (png(bytes), Frames::Animation),
        ImageFormat::WebP => (webp(bytes), Frames::Animation),
        ImageFormat::Tiff => (tiff(bytes), Frames::Pages),
        _ => (None, Frames::One),
    };
    match several {
        Some(true) => kind,
        _ => Frames::One,
    }
}

/// The number of bytes of a colour table, by the byte that declares it.
fn colours(flags: u8) -> usize {
    match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    }
}

/// Whether a GIF file has a second image descriptor (GIF89a, sections 18 to 24).
fn gif(bytes: &[u8]) -> Option<bool> {
    let mut at = 13 + colours(*bytes.get(10)?);
    let mut images = 0;
    loop {
        match *bytes.get(at)? {
            0x2C if images == 1 => return Some(true),
            0x2C => {
                images += 1;
                // The descriptor, its colours, and the size of the codes.
                at += 11 + colours(*bytes.get(at + 9)?);
            }
            0x21 => at += 2,
            _ => return Some(false),
        }
        // Blocks with their lengths, until one is empty.
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
}

/// Whether a PNG file declares an animation of several frames: acTL comes before IDAT.
fn png(bytes: &[u8]) -> Option<bool> {
    let mut at = 8;
    loop {
        let (length, name) = bytes.get(at..at + 8)?.split_first_chunk::<4>()?;
        match name {
            b"acTL" => {
                let count = bytes.get(at + 8..at + 12)?;
                return Some(u32::from_be_bytes(count.try_into().ok()?) > 1);
            }
            b"IDAT" => return Some(false),
            _ => at = at.checked_add(12 + u32::from_be_bytes(*length) as usize)?,
        }
    }
}

/// Whether a WebP file has a second chunk ANMF.
fn webp(bytes: &[u8]) -> Option<bool> {
    let (mut at, mut images) = (12, 0);
    loop {
        let head = bytes.get(at..at + 8)?;
        if &head[..4] == b"ANMF" {
            images += 1;
            if images > 1 {
                return Some(true);
            }
        }
        let length = u32::from_le_bytes(head[4..].try_into().ok()?) as usize;
        // Chunks are padded to an even length.
        at = at.checked_add(8 + length + length % 2)?;
    }
}

/// Whether the first directory of a TIFF file is followed by another one.
fn tiff(bytes: &[u8]) -> Option<bool> {
    let big_end = match bytes.get(..4)? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let number = |at: usize, length: usize| -> Option<usize> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let join = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
        Some(match big_end {
            true => bytes.iter().fold(0, join),
            false => bytes.iter().rev().fold(0, join),
        })
    };
    let first = number(4, 4)?;
    let entries = number(first, 2)?;
    Some(number(first.checked_add(2 + 12 * entries)?, 4)? != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::picture::tests::fixture;
    use std::fs;

    #[test]
    fn animations_and_pages_are_counted_in_whole_and_damaged_files() {
        let of = |name: &str| {
            let bytes = fs::read(fixture(name)).unwrap();
            let format = ImageFormat::from_path(name).unwrap();
            for length in 0..bytes.len() {
                frames(format, &bytes[..length]);
            }
            frames(format, &bytes)
        };
        for name in ["moving.gif", "moving.png", "moving.webp"] {
            assert_eq!(of(name), Frames::Animation, "{name}");
        }
        assert_eq!(of("pages.tiff"), Frames::Pages);
        for name in [
            "still.gif",
            "rgba.png",
            "rgba.webp",
            "grey_12.tiff",
            "turned_1.jpg",
        ] {
            assert_eq!(of(name), Frames::One, "{name}");
        }
    }
}
