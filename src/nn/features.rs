//! The order of the features of a row: PyTorch flattens an image channel by channel, the engine pixel by pixel, and weights in
//! files are in PyTorch's order.

/// The order of the features of a row in the engine, relative to that in files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureOrder {
    /// Adjacent parts; empty if the order is the same.
    pieces: Vec<Piece>,
}

/// Adjacent features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// This many in the order of files.
    Row(usize),
    /// A flattened `[height, width, channels]`.
    Image([usize; 3]),
}

impl Piece {
    fn features(self) -> usize {
        match self {
            Piece::Row(features) => features,
            Piece::Image([height, width, channels]) => height * width * channels,
        }
    }

    /// The index in the engine of the feature with index `at` in files.
    fn inside(self, at: usize) -> usize {
        match self {
            Piece::Row(_) => at,
            Piece::Image([height, width, channels]) => {
                let (channel, pixel) = (at / (height * width), at % (height * width));
                pixel * channels + channel
            }
        }
    }
}

/// An input of a layer, for [`LayerType::feature_order`](super::LayerType::feature_order).
#[derive(Clone, Debug)]
pub struct Taken {
    /// Shape for each sample.
    pub shape: Vec<usize>,
    /// The order of its last axis.
    pub order: FeatureOrder,
}

impl Taken {
    /// Extent of the last axis.
    pub fn features(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
}

impl FeatureOrder {
    /// The order of a flattened `[height, width, channels]`.
    pub fn image([height, width, channels]: [usize; 3]) -> FeatureOrder {
        match height * width == 1 || channels == 1 {
            true => FeatureOrder::default(),
            false => FeatureOrder {
                pieces: vec![Piece::Image([height, width, channels])],
            },
        }
    }

    /// The order of concatenated rows, each with its number of features.
    pub fn beside<'o>(rows: impl IntoIterator<Item = (&'o FeatureOrder, usize)>) -> FeatureOrder {
        let mut pieces = Vec::new();
        for (order, features) in rows {
            match &order.pieces[..] {
                [] => pieces.push(Piece::Row(features)),
                own => pieces.extend(own),
            }
        }
        if pieces.iter().all(|piece| matches!(piece, Piece::Row(_))) {
            pieces.clear();
        }
        FeatureOrder { pieces }
    }

    /// Whether engine and files have the same order.
    pub fn is_same(&self) -> bool {
        self.pieces.is_empty()
    }

    /// For each of the `features` in the order of files, its index in the engine.
    pub fn places(&self, features: usize) -> Vec<usize> {
        if self.is_same() {
            return (0..features).collect();
        }
        let mut places = Vec::with_capacity(features);
        for piece in &self.pieces {
            let first = places.len();
            places.extend((0..piece.features()).map(|at| first + piece.inside(at)));
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flattened_image_is_pixel_by_pixel_inside_and_channel_by_channel_in_files() {
        // Two pixels of three channels: r0 g0 b0 r1 g1 b1 in the engine, r0 r1 g0 g1 b0 b1 in files.
        let order = FeatureOrder::image([1, 2, 3]);
        assert_eq!(order.places(6), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn an_image_of_one_pixel_or_one_channel_has_one_order() {
        assert!(FeatureOrder::image([1, 1, 7]).is_same());
        assert!(FeatureOrder::image([4, 5, 1]).is_same());
    }

    #[test]
    fn rows_side_by_side_keep_their_orders() {
        let (row, image) = (FeatureOrder::default(), FeatureOrder::image([2, 1, 2]));
        let order = FeatureOrder::beside([(&row, 2), (&image, 4), (&row, 1)]);
        assert_eq!(order.places(7), [0, 1, 2, 4, 3, 5, 6]);
        assert!(FeatureOrder::beside([(&row, 2), (&row, 1)]).is_same());
    }
}
