//! Arrays of numbers or texts, as IDX and NumPy files hold them, and the images and labels in them.

mod classes;
mod kind;
mod labels;
mod names;
mod pixels;

pub(super) use classes::{ClassNames, Classes};
pub(super) use kind::{ElementClass, Kind};
pub(super) use labels::Labels;
pub(super) use names::{Named, Role};
pub(super) use pixels::{ImageLayout, PixelScale};

/// An array of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Type of the elements.
    pub kind: Kind,
    /// The elements as in the file, row-major.
    pub bytes: Vec<u8>,
}

impl Array {
    /// The elements as numbers; texts are not finite ones.
    pub fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        let chunks = self.bytes.chunks_exact(self.kind.bytes.max(1));
        chunks.map(|chunk| self.kind.number(chunk))
    }

    /// The elements as texts, if they are texts.
    pub fn texts(&self) -> Option<impl Iterator<Item = String> + '_> {
        let chunks = self.bytes.chunks_exact(self.kind.bytes.max(1));
        self.kind
            .is_text()
            .then(|| chunks.map(|chunk| self.kind.text(chunk)))
    }

    /// The column `index` of an array of two axes.
    pub fn column(&self, index: usize) -> Array {
        let row = self.shape.get(1).copied().unwrap_or(1) * self.kind.bytes;
        let at = index * self.kind.bytes;
        let rows = self.bytes.chunks_exact(row.max(1));
        let cells = rows.filter_map(|row| row.get(at..at + self.kind.bytes));
        Array {
            shape: self.shape[..1].to_vec(),
            kind: self.kind,
            bytes: cells.flatten().copied().collect(),
        }
    }

    /// The extents as `60000 x 28 x 28`.
    pub fn shape_in_words(&self) -> String {
        shape_in_words(&self.shape)
    }
}

/// Extents as `60000 x 28 x 28`.
pub(super) fn shape_in_words(shape: &[usize]) -> String {
    let extents: Vec<String> = shape.iter().map(usize::to_string).collect();
    extents.join(" x ")
}
