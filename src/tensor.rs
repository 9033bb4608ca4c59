//! Types of tensors: element type, shape, and the two together.

use std::fmt;

/// The largest count of anything: no tensor has 2^31 elements.
pub const LARGEST_COUNT: usize = (1 << 31) - 1;

/// Element type of a tensor. Both are four bytes wide on every device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DType {
    /// 32-bit IEEE float.
    F32,
    /// 32-bit unsigned integer: labels, indices, counters, packed bytes.
    U32,
}

impl DType {
    /// Size of one element in bytes.
    pub fn bytes(self) -> usize {
        4
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::U32 => "u32",
        })
    }
}

/// A format of 16 bits in which the floats of a tensor may be stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Half {
    /// IEEE 754 binary16: 11 significant bits, up to 65,504.
    F16,
    /// bfloat16: 8 significant bits, the range of 32-bit floats.
    Bf16,
}

impl Half {
    /// The largest relative error of a number in the range of normal numbers.
    pub fn unit(self) -> f64 {
        match self {
            Half::F16 => 2_f64.powi(-11),
            Half::Bf16 => 2_f64.powi(-8),
        }
    }

    /// What the format holds of `x`, a number of 32 bits: the nearest, ties to even.
    pub fn rounded(self, x: f64) -> f64 {
        // `from_f64` leaves out the lower bits, and takes what is above the middle for a tie.
        let x = x as f32;
        match self {
            Half::F16 => half::f16::from_f32(x).to_f64(),
            Half::Bf16 => half::bf16::from_f32(x).to_f64(),
        }
    }
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Half::F16 => "f16",
            Half::Bf16 => "bf16",
        })
    }
}

/// Extents of a tensor, outermost first; row-major. The empty shape is a scalar.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The shape of a scalar: no axes, one element.
    pub fn scalar() -> Self {
        Shape(Vec::new())
    }

    /// Extents, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Number of elements: the product of the extents, 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }

    /// Extent of the last axis, 1 for a scalar.
    pub fn last(&self) -> usize {
        self.0.last().copied().unwrap_or(1)
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.0.len()];
        for axis in (1..self.0.len()).rev() {
            strides[axis - 1] = strides[axis] * self.0[axis];
        }
        strides
    }

    /// The shape that NumPy's broadcasting gives for the two, or `None` if they don't fit: axes are
    /// aligned at the end, and an extent of 1 stretches.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let extent = |shape: &Shape, axis: usize| {
            let missing = rank - shape.rank();
            if axis < missing {
                1
            } else {
                shape.0[axis - missing]
            }
        };
        (0..rank)
            .map(|axis| match (extent(self, axis), extent(other, axis)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Shape)
    }

    /// Strides for reading this shape while walking `target`, to which it broadcasts: 0 along
    /// stretched and missing axes.
    pub fn broadcast_strides(&self, target: &Shape) -> Vec<usize> {
        let missing = target.rank() - self.rank();
        let own = self.strides();
        (0..target.rank())
            .map(|axis| match axis.checked_sub(missing) {
                Some(a) if self.0[a] != 1 => own[a],
                _ => 0,
            })
            .collect()
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape(dims.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(dims.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape(dims)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Element type and shape of a tensor: all that the graph knows of a value before it runs.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub shape: Shape,
}

impl TensorType {
    /// A float tensor.
    pub fn f32(shape: impl Into<Shape>) -> Self {
        TensorType {
            dtype: DType::F32,
            shape: shape.into(),
        }
    }

    /// An unsigned integer tensor.
    pub fn u32(shape: impl Into<Shape>) -> Self {
        TensorType {
            dtype: DType::U32,
            shape: shape.into(),
        }
    }

    /// Extents, outermost first.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.elements()
    }

    /// Size of the elements in bytes, without padding.
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.bytes()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let b = |a: &[usize], b: &[usize]| Shape::from(a).broadcast(&Shape::from(b));
        assert_eq!(b(&[2, 1, 3], &[4, 1]), Some(Shape::from([2, 4, 3])));
        assert_eq!(b(&[], &[5]), Some(Shape::from([5])));
        assert_eq!(b(&[2], &[3]), None);
    }

    #[test]
    fn stretched_axes_are_read_with_stride_zero() {
        assert_eq!(
            Shape::from([3, 1]).broadcast_strides(&Shape::from([2, 3, 4])),
            vec![0, 1, 0]
        );
    }
}
