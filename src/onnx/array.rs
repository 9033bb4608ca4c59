//! Arrays on the host: constants of ONNX files, and what is computed from them while a network is read.

use super::element::Element;
use crate::cpu::Tensor;
use crate::tensor::Shape;

/// An array of an ONNX type, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Type of the elements.
    pub element: Element,
    /// Extents, outermost first.
    pub dims: Vec<usize>,
    /// The elements.
    pub numbers: Numbers,
}

/// Elements of an [`Array`].
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Floats of up to 32 bits, as weights are.
    Single(Vec<f32>),
    /// All others. Integers above 2^53 are rounded.
    Double(Vec<f64>),
}

impl Array {
    /// An array with the elements `numbers`, as many as `dims` hold.
    pub fn new(element: Element, dims: Vec<usize>, numbers: Vec<f64>) -> Array {
        debug_assert_eq!(dims.iter().product::<usize>(), numbers.len());
        let numbers = match element {
            Element::Float | Element::Float16 | Element::Bfloat16 => {
                Numbers::Single(numbers.into_iter().map(|x| x as f32).collect())
            }
            _ => Numbers::Double(numbers),
        };
        Array {
            element,
            dims,
            numbers,
        }
    }

    /// Integers along one axis.
    pub fn integers(values: &[usize]) -> Array {
        let numbers = values.iter().map(|&x| x as f64).collect();
        Array::new(Element::Int64, vec![values.len()], numbers)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.numbers {
            Numbers::Single(values) => values.len(),
            Numbers::Double(values) => values.len(),
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at place `at`.
    pub fn at(&self, at: usize) -> f64 {
        match &self.numbers {
            Numbers::Single(values) => f64::from(values[at]),
            Numbers::Double(values) => values[at],
        }
    }

    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.len()).map(|at| self.at(at))
    }

    /// The elements as 32-bit floats.
    pub fn singles(&self) -> Vec<f32> {
        match &self.numbers {
            Numbers::Single(values) => values.clone(),
            Numbers::Double(values) => values.iter().map(|&x| x as f32).collect(),
        }
    }

    /// As a tensor of the engine.
    pub fn tensor(&self) -> Tensor<f32> {
        Tensor::real(Shape::from(&self.dims[..]), self.singles())
    }

    /// The same elements with the extents `dims`.
    #[must_use]
    pub fn reshaped(&self, dims: &[usize]) -> Array {
        debug_assert_eq!(dims.iter().product::<usize>(), self.len());
        Array {
            dims: dims.to_vec(),
            ..self.clone()
        }
    }

    /// With axis `axes[a]` as axis `a`.
    #[must_use]
    pub fn permuted(&self, axes: &[usize]) -> Array {
        let strides = Shape::from(&self.dims[..]).strides();
        let dims: Vec<usize> = axes.iter().map(|&a| self.dims[a]).collect();
        let own = Shape::from(&dims[..]).strides();
        let place = |i: usize| -> usize {
            let along = axes.iter().enumerate();
            along
                .map(|(a, &from)| i / own[a] % dims[a] * strides[from])
                .sum()
        };
        let numbers = match &self.numbers {
            Numbers::Single(values) => {
                Numbers::Single((0..values.len()).map(|i| values[place(i)]).collect())
            }
            Numbers::Double(values) => {
                Numbers::Double((0..values.len()).map(|i| values[place(i)]).collect())
            }
        };
        Array {
            element: self.element,
            dims,
            numbers,
        }
    }

    /// The elements as another type holds them.
    #[must_use]
    pub fn cast(&self, element: Element) -> Array {
        let numbers = self.iter().map(|x| element.nearest(x)).collect();
        Array::new(element, self.dims.clone(), numbers)
    }

    /// A file `.npy` of it.
    pub fn to_npy(&self) -> Vec<u8> {
        let extents: Vec<String> = self.dims.iter().map(|d| format!("{d},")).collect();
        let mut header = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
            self.element.numpy(),
            extents.join(" ")
        );
        // Magic, version and the length of the header are 10 bytes; the elements start at a multiple of 64.
        let padding = 63 - (10 + header.len()) % 64;
        header.push_str(&" ".repeat(padding));
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        for x in self.iter() {
            self.element.write(x, &mut bytes);
        }
        bytes
    }
}
