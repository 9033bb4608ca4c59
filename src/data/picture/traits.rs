//! What an image file is like, besides its pixels.

use super::frames::Frames;

/// What an image file is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::data) struct Traits {
    /// Columns, after its EXIF orientation.
    pub width: u32,
    /// Rows, after its EXIF orientation.
    pub height: u32,
    /// Whether it has no colour.
    pub grey: bool,
    /// Whether its EXIF orientation turned or mirrored it.
    pub is_turned: bool,
    /// The images in the file.
    pub(super) frames: Frames,
    /// The largest value, if it has 16 bits per channel.
    pub largest: Option<u16>,
    /// Whether a pixel is transparent.
    pub is_transparent: bool,
    /// Whether it is transparent and has a single colour on the background.
    pub vanishes: bool,
}

impl Traits {
    /// Rows and columns, after its EXIF orientation.
    pub fn size(&self) -> [usize; 2] {
        [self.height as usize, self.width as usize]
    }
}
