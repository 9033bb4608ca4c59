//! Films of episodes: GIF files.

use super::Canvas;
use crate::error::{Error, Result};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, Rgba, RgbaImage};
use std::time::Duration;

/// Speed of the encoder's choice of colours, from 1 to 30. Pictures have fewer colours than a palette.
const SPEED: i32 = 30;

/// A GIF file that shows `frames` at this many per second, again and again.
///
/// # Errors
/// If a picture can't be written.
pub fn gif(frames: &[Canvas], frames_per_second: u32) -> Result<Vec<u8>> {
    let failed = |e: image::ImageError| Error::Training(format!("the film can't be written: {e}"));
    let delay = Duration::from_millis(1000 / u64::from(frames_per_second.max(1)));
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, SPEED);
    encoder.set_repeat(Repeat::Infinite).map_err(failed)?;
    for canvas in frames {
        let (width, height) = (canvas.width() as u32, canvas.height() as u32);
        let pixel = |x: u32, y: u32| {
            let [red, green, blue] = canvas.pixel(x as usize, y as usize).rgb();
            Rgba([red, green, blue, 255])
        };
        let picture = RgbaImage::from_fn(width, height, pixel);
        let delay = Delay::from_saturating_duration(delay);
        encoder
            .encode_frame(Frame::from_parts(picture, 0, 0, delay))
            .map_err(failed)?;
    }
    drop(encoder);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environments::Colour;
    use image::AnimationDecoder as _;
    use image::codecs::gif::GifDecoder;
    use std::io::Cursor;

    #[test]
    fn a_film_has_a_picture_for_each_frame() {
        let mut second = Canvas::new([0.0, 2.0], [0.0, 1.0]);
        second.rectangle([0.0, 0.0], [2.0, 1.0], Colour::Green);
        let frames = [Canvas::new([0.0, 2.0], [0.0, 1.0]), second];
        let bytes = gif(&frames, 50).unwrap();
        let decoder = GifDecoder::new(Cursor::new(bytes)).unwrap();
        let read = decoder.into_frames().collect_frames().unwrap();
        assert_eq!(read.len(), 2);
        let pixel = |at: usize| read[at].buffer().get_pixel(100, 50).0;
        assert_eq!(pixel(0), [255, 255, 255, 255]);
        assert_eq!(pixel(1)[..3], Colour::Green.rgb());
    }
}
