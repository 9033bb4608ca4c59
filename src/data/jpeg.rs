//! Whether a JPEG file is complete: the decoder fills the rest of one that is cut short with grey.

/// Checks that the file ends with its end marker (ITU-T T.81, annex B), also if other bytes follow.
///
/// # Errors
/// The reason, as the rest of a sentence about the file.
pub(super) fn check_end(bytes: &[u8]) -> Result<(), String> {
    let mut at = 2;
    loop {
        // Entropy-coded bytes follow the header of a scan, in which 0xFF stands before 0 or the number of a restart.
        let marker = loop {
            match bytes.get(at..at + 2) {
                Some(&[0xFF, 0 | 0xD0..=0xD7]) => at += 2,
                Some(&[0xFF, 0xFF]) | Some(&[0..=0xFE, _]) => at += 1,
                Some(&[_, marker]) => break marker,
                _ => return Err("it is cut short".to_string()),
            }
        };
        at += 2;
        match (marker, bytes.get(at..at + 2)) {
            (0xD9, _) => return Ok(()),
            (0x01 | 0xD8, _) => {}
            (_, Some(&[high, low])) => at += usize::from(u16::from_be_bytes([high, low])),
            _ => return Err("it is cut short".to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;
    use image::{ExtendedColorType, ImageEncoder as _};

    #[test]
    fn a_file_is_complete_at_its_end_and_nowhere_before() {
        let pixels: Vec<u8> = (0..48 * 48).map(|i| (i * i % 251) as u8).collect();
        let mut whole = Vec::new();
        let encoder = JpegEncoder::new(&mut whole);
        let colour = ExtendedColorType::L8;
        encoder.write_image(&pixels, 48, 48, colour).unwrap();
        check_end(&whole).unwrap();
        check_end(&[&whole[..], b"more"].concat()).unwrap();
        for length in 0..whole.len() {
            assert!(check_end(&whole[..length]).is_err(), "{length}");
        }
    }
}
