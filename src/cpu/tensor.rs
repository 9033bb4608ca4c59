//! Tensors of the reference: a shape and a vector.

use super::Real;
use crate::tensor::{DType, Shape, TensorType};

/// Elements of a reference tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data<T> {
    /// Elements of a [`DType::F32`] tensor, in the precision of the run.
    Real(Vec<T>),
    /// Elements of a [`DType::U32`] tensor.
    Index(Vec<u32>),
}

/// A tensor of the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<T> {
    /// Extents.
    pub shape: Shape,
    /// Elements.
    pub data: Data<T>,
}

impl<T: Real> Tensor<T> {
    /// A float tensor. `values` must have as many elements as `shape`.
    pub fn real(shape: impl Into<Shape>, values: Vec<T>) -> Self {
        let shape = shape.into();
        assert_eq!(
            shape.elements(),
            values.len(),
            "{shape} does not hold {}",
            values.len()
        );
        Tensor {
            shape,
            data: Data::Real(values),
        }
    }

    /// An integer tensor. `values` must have as many elements as `shape`.
    pub fn index(shape: impl Into<Shape>, values: Vec<u32>) -> Self {
        let shape = shape.into();
        assert_eq!(
            shape.elements(),
            values.len(),
            "{shape} does not hold {}",
            values.len()
        );
        Tensor {
            shape,
            data: Data::Index(values),
        }
    }

    /// A tensor of `ty` filled with zeros.
    pub fn zeros(ty: &TensorType) -> Self {
        let data = match ty.dtype {
            DType::F32 => Data::Real(vec![T::ZERO; ty.elements()]),
            DType::U32 => Data::Index(vec![0; ty.elements()]),
        };
        Tensor {
            shape: ty.shape.clone(),
            data,
        }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        match self.data {
            Data::Real(_) => DType::F32,
            Data::Index(_) => DType::U32,
        }
    }

    /// Element type and shape.
    pub fn ty(&self) -> TensorType {
        TensorType {
            dtype: self.dtype(),
            shape: self.shape.clone(),
        }
    }

    /// Whether no element is infinite or NaN.
    pub fn is_finite(&self) -> bool {
        match &self.data {
            Data::Real(values) => values.iter().all(|x| x.to_f64().is_finite()),
            Data::Index(_) => true,
        }
    }

    /// Float elements. Shape rules guarantee that operations only receive the types they expect.
    pub fn reals(&self) -> &[T] {
        match &self.data {
            Data::Real(values) => values,
            Data::Index(_) => unreachable!("a float tensor was expected"),
        }
    }

    /// Integer elements. Shape rules guarantee that operations only receive the types they expect.
    pub fn indices(&self) -> &[u32] {
        match &self.data {
            Data::Index(values) => values,
            Data::Real(_) => unreachable!("an integer tensor was expected"),
        }
    }

    /// Mutable integer elements.
    pub fn indices_mut(&mut self) -> &mut [u32] {
        match &mut self.data {
            Data::Index(values) => values,
            Data::Real(_) => unreachable!("an integer tensor was expected"),
        }
    }

    /// Mutable float elements.
    pub fn reals_mut(&mut self) -> &mut [T] {
        match &mut self.data {
            Data::Real(values) => values,
            Data::Index(_) => unreachable!("a float tensor was expected"),
        }
    }

    /// Extents.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }

    /// The same elements with another shape.
    pub fn reshaped(&self, shape: Shape) -> Self {
        Tensor {
            shape,
            data: self.data.clone(),
        }
    }

    /// The float elements of `larger`, the first of which along one axis are those of this tensor. `None` unless the shapes are the
    /// same, or differ in the extent of one axis, which is larger there.
    pub fn within(&self, larger: &Tensor<T>) -> Option<Tensor<T>> {
        let (own, all) = (self.dims(), larger.dims());
        if own.len() != all.len() || [self.dtype(), larger.dtype()] != [DType::F32; 2] {
            return None;
        }
        let mut differing = (0..own.len()).filter(|&axis| own[axis] != all[axis]);
        let Some(axis) = differing.next() else {
            return Some(self.clone());
        };
        if differing.next().is_some() || own[axis] > all[axis] || own[axis] == 0 {
            return None;
        }
        let inner: usize = own[axis + 1..].iter().product();
        let mut values = larger.reals().to_vec();
        let blocks = values.chunks_exact_mut((all[axis] * inner).max(1));
        let taken = self.reals().chunks_exact((own[axis] * inner).max(1));
        for (block, taken) in blocks.zip(taken) {
            block[..taken.len()].copy_from_slice(taken);
        }
        Some(Tensor::real(larger.shape.clone(), values))
    }

    /// The same tensor in double precision.
    pub fn to_f64(&self) -> Tensor<f64> {
        let data = match &self.data {
            Data::Real(x) => Data::Real(x.iter().map(|x| x.to_f64()).collect()),
            Data::Index(x) => Data::Index(x.clone()),
        };
        Tensor {
            shape: self.shape.clone(),
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_lies_within_one_that_is_larger_along_one_axis() {
        let of = |shape: &[usize], first: f32| {
            let count: usize = shape.iter().product();
            Tensor::real(shape, (0..count).map(|i| first + i as f32).collect())
        };
        let larger = of(&[2, 3], 10.0);
        let columns = of(&[2, 2], 0.0).within(&larger).unwrap();
        assert_eq!(columns.reals(), [0.0, 1.0, 12.0, 2.0, 3.0, 15.0]);
        let rows = of(&[1, 3], 0.0).within(&larger).unwrap();
        assert_eq!(rows.reals(), [0.0, 1.0, 2.0, 13.0, 14.0, 15.0]);
        assert_eq!(larger.within(&of(&[2, 3], 0.0)), Some(larger.clone()));
        for shape in [&[1, 2][..], &[3, 3], &[2, 4], &[6]] {
            assert_eq!(of(shape, 0.0).within(&larger), None, "{shape:?}");
        }
    }
}
