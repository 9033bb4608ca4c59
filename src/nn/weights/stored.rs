//! A tensor in a file of weights, as it lies there.

use half::{bf16, f16};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Type of the elements of a stored tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredType {
    /// 16-bit floats.
    F16,
    /// 16-bit floats with the range of 32-bit ones.
    Bf16,
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
    /// Others, which are not weights: what the file calls them.
    Other(String),
}

impl StoredType {
    /// Bytes of an element of a type that weights have.
    pub fn bytes(&self) -> Option<usize> {
        match self {
            StoredType::F16 | StoredType::Bf16 => Some(2),
            StoredType::F32 => Some(4),
            StoredType::F64 => Some(8),
            StoredType::Other(_) => None,
        }
    }
}

impl fmt::Display for StoredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoredType::F16 => "F16",
            StoredType::Bf16 => "BF16",
            StoredType::F32 => "F32",
            StoredType::F64 => "F64",
            StoredType::Other(name) => name,
        })
    }
}

/// Bytes of a file, lowest first, which tensors may share.
#[derive(Clone, Debug)]
pub struct StoredBytes {
    /// What they are a part of.
    pub whole: Arc<Vec<u8>>,
    /// The part.
    pub range: Range<usize>,
}

impl StoredBytes {
    fn get(&self) -> &[u8] {
        self.whole.get(self.range.clone()).unwrap_or_default()
    }
}

impl From<Vec<u8>> for StoredBytes {
    fn from(bytes: Vec<u8>) -> StoredBytes {
        let range = 0..bytes.len();
        StoredBytes {
            whole: Arc::new(bytes),
            range,
        }
    }
}

/// A tensor in a file.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    /// Type of its elements.
    pub ty: StoredType,
    /// Its extents, outermost first.
    pub shape: Vec<usize>,
    /// Distances between neighbours along each axis, in elements, if they are not those of a contiguous tensor.
    pub strides: Option<Vec<usize>>,
    /// Its bytes, from its first element.
    pub data: StoredBytes,
}

impl StoredTensor {
    /// A contiguous tensor.
    pub fn new(ty: StoredType, shape: Vec<usize>, data: impl Into<StoredBytes>) -> StoredTensor {
        StoredTensor {
            ty,
            shape,
            strides: None,
            data: data.into(),
        }
    }

    /// Exchanges the two axes of a matrix; others stay as they are.
    pub fn transpose(&mut self) {
        if let &[rows, columns] = &self.shape[..] {
            let mut strides = self.strides.clone().unwrap_or(vec![columns, 1]);
            strides.reverse();
            self.shape = vec![columns, rows];
            self.strides = Some(strides);
        }
    }

    /// The bytes of its elements one after another.
    fn contiguous(&self) -> Cow<'_, [u8]> {
        let data = self.data.get();
        let (Some(strides), Some(size)) = (&self.strides, self.ty.bytes()) else {
            return Cow::Borrowed(data);
        };
        let count: usize = self.shape.iter().product();
        let mut bytes = Vec::with_capacity(count * size);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let at: usize = index
                .iter()
                .zip(strides)
                .map(|(i, stride)| i * stride)
                .sum();
            bytes.extend_from_slice(&data[at * size..(at + 1) * size]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Cow::Owned(bytes)
    }

    /// Its elements in single precision; `None` if they are not floating-point numbers.
    ///
    /// # Errors
    /// Names a finite number that is out of range for single precision.
    pub fn floats(&self) -> Result<Option<Vec<f32>>, String> {
        let bytes = self.contiguous();
        let halves = bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
        let singles = bytes.chunks_exact(4);
        let doubles = bytes.chunks_exact(8);
        Ok(Some(match self.ty {
            StoredType::F16 => halves.map(|b| f16::from_le_bytes(b).to_f32()).collect(),
            StoredType::Bf16 => halves.map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
            StoredType::F32 => singles
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            StoredType::F64 => doubles
                .map(|b| {
                    let double =
                        f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
                    let single = double as f32;
                    match double.is_finite() && single.is_infinite() {
                        true => Err(format!(
                            "{double:e}, which is out of range for 32-bit floats"
                        )),
                        false => Ok(single),
                    }
                })
                .collect::<Result<_, _>>()?,
            StoredType::Other(_) => return Ok(None),
        }))
    }
}

impl PartialEq for StoredTensor {
    /// Whether type, extents and elements are the same.
    fn eq(&self, other: &StoredTensor) -> bool {
        self.ty == other.ty && self.shape == other.shape && self.contiguous() == other.contiguous()
    }
}
