//! Images that are cut into tiles with overlap, each of which is a sample, and values of tiles that are blended to those of an image.

use super::Samples;
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::ops::Range;

/// How images are cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Rows and columns of a tile.
    size: [usize; 2],
    /// Rows and columns that neighbouring tiles share.
    overlap: [usize; 2],
}

impl Tiling {
    /// Tiles of `size` rows and columns that share `overlap` pixels with their neighbours, or a quarter of their side if that is
    /// absent. Those in the last row and column, which end at the edge of the image, may share more.
    ///
    /// # Errors
    /// If the overlap is not smaller than a tile.
    pub fn new(size: [usize; 2], overlap: Option<usize>) -> Result<Tiling> {
        let overlap = overlap.map_or(size.map(|side| side / 4), |pixels| [pixels; 2]);
        if size
            .iter()
            .zip(&overlap)
            .any(|(side, shared)| shared >= side)
        {
            return Err(Error::Config(format!(
                "data.overlap is {} pixels, but tiles are {} x {}: it must be smaller than a tile, such as {}",
                overlap[0],
                size[0],
                size[1],
                size[0].min(size[1]) / 4
            )));
        }
        Ok(Tiling { size, overlap })
    }

    /// In words, such as "tiles of 128 x 128 with an overlap of 32".
    pub(super) fn in_words(&self) -> String {
        let [height, width] = self.size;
        let shared = match self.overlap {
            [rows, columns] if rows == columns => format!("{rows}"),
            [rows, columns] => format!("{rows} x {columns}"),
        };
        format!("tiles of {height} x {width} with an overlap of {shared}")
    }

    /// The number of tiles of an image with these rows and columns.
    pub(super) fn count(&self, image: [usize; 2]) -> usize {
        let [rows, columns] = [0, 1].map(|axis| self.along(axis, image[axis]));
        rows.saturating_mul(columns)
    }

    /// The number of tiles along an axis of `length` pixels.
    fn along(&self, axis: usize, length: usize) -> usize {
        let step = self.size[axis] - self.overlap[axis];
        1 + length.saturating_sub(self.size[axis]).div_ceil(step)
    }

    /// Row and column of the first pixel of each tile of an image, row after row. A tile that would reach beyond the image ends at its
    /// edge; only one that is larger than the image reaches beyond it.
    pub(super) fn corners(self, image: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
        let starts = move |axis: usize| {
            let last = image[axis].saturating_sub(self.size[axis]);
            let step = self.size[axis] - self.overlap[axis];
            (0..self.along(axis, image[axis])).map(move |place| (place * step).min(last))
        };
        starts(0).flat_map(move |row| starts(1).map(move |column| [row, column]))
    }

    /// The weight of the pixel at `place` along an axis of a tile: 1 in the middle, with a linear ramp over the overlap. Where two
    /// neighbours overlap, by at most half a tile, their weights have the sum 1.
    fn weight(&self, axis: usize, place: usize) -> f32 {
        let from_edge = 1 + place.min(self.size[axis] - 1 - place);
        (from_edge as f32 / (self.overlap[axis] + 1) as f32).min(1.0)
    }
}

/// The images that samples are tiles of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiles {
    tiling: Tiling,
    /// Rows and columns of each image.
    images: Vec<[usize; 2]>,
    /// Each sample.
    placed: Vec<Tile>,
}

/// Where a tile lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    /// Index of its image.
    image: usize,
    /// Row and column of its first pixel.
    corner: [usize; 2],
}

impl Tiles {
    /// Without images.
    pub fn new(tiling: Tiling) -> Tiles {
        Tiles {
            tiling,
            images: Vec::new(),
            placed: Vec::new(),
        }
    }

    /// Adds the tiles of an image with these rows and columns, and returns their number.
    pub fn add(&mut self, image: [usize; 2]) -> usize {
        let index = self.images.len();
        self.images.push(image);
        let before = self.placed.len();
        let corners = self.tiling.corners(image);
        self.placed.extend(corners.map(|corner| Tile {
            image: index,
            corner,
        }));
        self.placed.len() - before
    }

    /// The number of tiles.
    pub fn len(&self) -> usize {
        self.placed.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.placed.is_empty()
    }

    /// The number of the image of the tile `index`, and its rows and columns; `None` if there is no such tile.
    pub fn image(&self, index: usize) -> Option<(usize, [usize; 2])> {
        let image = self.placed.get(index)?.image;
        Some((image, *self.images.get(image)?))
    }

    /// The tiles of the image of which the tile `index` is one: all of them, if those of an image follow one another.
    pub fn of_same_image(&self, index: usize) -> Range<usize> {
        let image = self.placed.get(index).map(|tile| tile.image);
        let is_same = |tile: &&Tile| Some(tile.image) == image;
        let before = self.placed.iter().take(index).rev().take_while(is_same);
        let after = self.placed.iter().skip(index).take_while(is_same);
        index - before.count()..index + after.count()
    }

    /// Passes each pixel of the tile `index` that lies in its image to `take`: its place in the tile and in the image, both counted
    /// row after row, and its weight.
    pub fn each_pixel(&self, index: usize, mut take: impl FnMut(usize, usize, f32)) {
        let (Some(tile), Some((_, [rows, columns]))) = (self.placed.get(index), self.image(index))
        else {
            return;
        };
        let ([height, width], [top, left]) = (self.tiling.size, tile.corner);
        for row in 0..height.min(rows - top) {
            let down = self.tiling.weight(0, row);
            for column in 0..width.min(columns - left) {
                let weight = down * self.tiling.weight(1, column);
                let in_image = (top + row) * columns + left + column;
                take(row * width + column, in_image, weight);
            }
        }
    }

    /// The tiles at `kept`.
    pub(super) fn kept(&self, kept: &[usize]) -> Tiles {
        Tiles {
            placed: kept.iter().map(|&index| self.placed[index]).collect(),
            ..self.clone()
        }
    }
}

/// The values of the pixels of an image, put together from those of its tiles: their mean, weighted so that a tile counts less towards
/// its edges, where the model saw less of the surroundings.
#[derive(Clone, Debug)]
pub struct Mosaic {
    /// Numbers of a pixel.
    depth: usize,
    /// `[rows, columns, depth]`.
    values: Vec<f32>,
    /// The sum of the weights of each pixel so far.
    weights: Vec<f32>,
}

impl Mosaic {
    /// For an image with these rows and columns, and `depth` numbers for each pixel.
    pub fn new(image: [usize; 2], depth: usize) -> Mosaic {
        let pixels = image[0] * image[1];
        Mosaic {
            depth,
            values: vec![0.0; pixels * depth],
            weights: vec![0.0; pixels],
        }
    }

    /// Adds the `values` of the tile `index` of the image, `[height, width, depth]`.
    ///
    /// # Errors
    /// If their number is not that of a tile.
    pub fn add(&mut self, tiles: &Tiles, index: usize, values: &[f32]) -> Result<()> {
        let [height, width] = tiles.tiling.size;
        if values.len() != height * width * self.depth {
            return Err(Error::Graph(format!(
                "a tile of {height} x {width} has {} values instead of {} for each pixel",
                values.len(),
                self.depth
            )));
        }
        tiles.each_pixel(index, |in_tile, in_image, weight| {
            let sum = &mut self.weights[in_image];
            *sum += weight;
            let share = weight / *sum;
            let of_tile = &values[in_tile * self.depth..][..self.depth];
            let of_image = &mut self.values[in_image * self.depth..][..self.depth];
            for (mean, value) in of_image.iter_mut().zip(of_tile) {
                // Tiles that agree keep their value without rounding.
                *mean += (value - *mean) * share;
            }
        });
        Ok(())
    }

    /// The values, `[rows, columns, depth]`.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}

/// An image as bytes, whole where samples are tiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholePicture<'a> {
    /// Rows, columns and channels.
    pub shape: [usize; 3],
    /// Row after row, channels fastest.
    pub pixels: Cow<'a, [u8]>,
}

impl Samples {
    /// The index of each sample or, if samples are tiles, of the first tile of each image.
    pub fn firsts(&self) -> Vec<usize> {
        let Some(tiles) = self.tiles() else {
            return (0..self.len()).collect();
        };
        let mut firsts = Vec::new();
        let mut next = 0;
        while next < self.len() {
            firsts.push(next);
            next = tiles.of_same_image(next).end.max(next + 1);
        }
        firsts
    }

    /// The image of the sample `index`, which is the whole one if the sample is a tile; `None` if there is no image, or only the device
    /// holds it.
    ///
    /// # Errors
    /// If the file of the image can't be read any more.
    pub fn whole_picture(&self, index: usize) -> Result<Option<WholePicture<'_>>> {
        let Some(shape) = self.picture_shape() else {
            return Ok(None);
        };
        let Some((tiles, (_, [rows, columns]))) = self
            .tiles()
            .and_then(|tiles| Some((tiles, tiles.image(index)?)))
        else {
            let pixels = self.picture(index)?;
            return Ok(pixels.map(|pixels| WholePicture { shape, pixels }));
        };
        let channels = shape[2];
        let mut whole = vec![0; rows * columns * channels];
        for tile in tiles.of_same_image(index) {
            let Some(pixels) = self.picture(tile)? else {
                return Ok(None);
            };
            tiles.each_pixel(tile, |in_tile, in_image, _| {
                whole[in_image * channels..][..channels]
                    .copy_from_slice(&pixels[in_tile * channels..][..channels]);
            });
        }
        Ok(Some(WholePicture {
            shape: [rows, columns, channels],
            pixels: Cow::Owned(whole),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{FieldValues, field};

    fn corners(tiling: Tiling, image: [usize; 2]) -> Vec<[usize; 2]> {
        let corners: Vec<[usize; 2]> = tiling.corners(image).collect();
        assert_eq!(corners.len(), tiling.count(image));
        corners
    }

    #[test]
    fn tiles_cover_an_image_and_the_last_ones_end_at_its_edge() {
        let tiling = Tiling::new([4, 8], Some(2)).unwrap();
        assert_eq!(
            corners(tiling, [7, 14]),
            [[0, 0], [0, 6], [2, 0], [2, 6], [3, 0], [3, 6]]
        );
        // Of the size of a tile, and smaller.
        assert_eq!(corners(tiling, [4, 8]), [[0, 0]]);
        assert_eq!(corners(tiling, [1, 9]), [[0, 0], [0, 1]]);
        // A quarter of a tile is shared.
        let default = Tiling::new([4, 8], None).unwrap();
        assert_eq!(corners(default, [4, 14]), [[0, 0], [0, 6]]);
        assert_eq!(
            default.in_words(),
            "tiles of 4 x 8 with an overlap of 1 x 2"
        );
        let message = Tiling::new([4, 8], Some(4)).unwrap_err().to_string();
        assert!(message.contains("data.overlap is 4 pixels"), "{message}");
    }

    /// The mosaic of an image of `size` from tiles of 8 x 8, each with the values that `of` gives for its number and the place of a
    /// pixel in the tile and in the image.
    fn blended(
        size: [usize; 2],
        overlap: usize,
        of: impl Fn(usize, usize, usize) -> f32,
    ) -> Vec<f32> {
        let mut tiles = Tiles::new(Tiling::new([8, 8], Some(overlap)).unwrap());
        let count = tiles.add(size);
        let mut mosaic = Mosaic::new(size, 1);
        for index in 0..count {
            let mut values = vec![f32::NAN; 64];
            tiles.each_pixel(index, |tile, image, _| {
                values[tile] = of(index, tile, image)
            });
            mosaic.add(&tiles, index, &values).unwrap();
        }
        mosaic.into_values()
    }

    #[test]
    fn values_that_depend_on_the_pixel_alone_are_those_of_the_whole_image_bit_for_bit() {
        let of_pixel = |image: usize| (image as f32 * 0.37).sin() * 3.1;
        for (size, overlap) in [([21, 19], 3), ([8, 30], 7), ([5, 6], 2), ([17, 16], 0)] {
            let whole: Vec<f32> = (0..size[0] * size[1]).map(of_pixel).collect();
            assert_eq!(blended(size, overlap, |_, _, image| of_pixel(image)), whole);
        }
    }

    /// The largest difference between neighbouring pixels of a row where two tiles give 0 and 1.
    fn seam(overlap: usize) -> f32 {
        let row = blended([8, 16 - overlap], overlap, |tile, _, _| tile as f32);
        let steps = row[..16 - overlap].windows(2);
        steps
            .map(|pair| (pair[1] - pair[0]).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn seams_between_tiles_vanish_as_they_overlap() {
        assert_eq!(seam(0), 1.0);
        for overlap in 1..=4 {
            // A ramp of equal steps.
            let step = 1.0 / (overlap + 1) as f32;
            assert!((seam(overlap) - step).abs() < 1e-6, "{}", seam(overlap));
        }
    }

    #[test]
    fn a_tile_counts_less_towards_its_edges() {
        let tiling = Tiling::new([8, 8], Some(3)).unwrap();
        let weights = [0, 1, 2, 3, 4, 5, 6, 7].map(|place| tiling.weight(0, place));
        assert_eq!(weights, [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]);
    }

    #[test]
    fn tiles_of_an_image_give_it_back_whole() {
        let size = [3, 5];
        let tiling = Tiling::new([2, 4], Some(1)).unwrap();
        let mut tiles = Tiles::new(tiling);
        let (first, second) = (tiles.add([2, 2]), tiles.add(size));
        assert_eq!((first, second), (1, 4));
        let mut bytes = vec![9; 8 * tiles.len()];
        for index in 1..tiles.len() {
            tiles.each_pixel(index, |tile, image, _| {
                bytes[8 * index + tile] = image as u8
            });
        }
        let pixels = FieldValues::Pixels {
            bytes,
            shape: [2, 4, 1],
        };
        let fields = field::of_pictures(pixels, vec![0; 5]);
        let samples = Samples::new(5, fields, None).tiled(tiles);
        assert_eq!(samples.firsts(), [0, 1]);
        let whole = samples.whole_picture(1).unwrap().unwrap();
        assert_eq!(whole.shape, [3, 5, 1]);
        assert_eq!(whole.pixels[..], (0..15).collect::<Vec<u8>>()[..]);
        let padded = samples.whole_picture(0).unwrap().unwrap();
        assert_eq!((padded.shape, &padded.pixels[..]), ([2, 2, 1], &[9; 4][..]));
        let kept = samples.filtered(|index| index > 0);
        assert_eq!(kept.firsts(), [0]);
        assert_eq!(kept.tiles().unwrap().of_same_image(2), 0..4);
    }
}
