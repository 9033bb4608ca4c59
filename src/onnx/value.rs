//! Values that pass between the nodes of an ONNX file while its graph is built.
//!
//! An image is `[N, C, H, W]` in the file and `[N, H, W, C]` in the engine. A value therefore remembers the order of its axes:
//! what works element by element keeps the order, a convolution asks for its own, and only what must see the file's order
//! permutes. The conversions between two convolutions thus never arise.

use super::array::Array;
use super::element::Element;
use crate::graph::Var;
use std::sync::Arc;

/// A value.
#[derive(Clone)]
pub struct NodeValue<'g> {
    /// Type of the elements in the file.
    pub element: Element,
    /// Extents in the file's order.
    pub dims: Vec<usize>,
    /// Where it is.
    pub place: Held<'g>,
}

/// Where a value is.
#[derive(Clone)]
pub enum Held<'g> {
    /// On the host: a constant, or computed from constants.
    Known(Arc<Array>),
    /// A constant of the file that is a variable of the graph when it is read there.
    Stored {
        /// Its name.
        name: Arc<str>,
        /// Its elements.
        array: Arc<Array>,
    },
    /// In the graph: axis `a` of the variable is axis `order[a]` of the value.
    Live {
        /// Floats, or integers of type u32.
        var: Var<'g>,
        /// The order of its axes.
        order: Vec<usize>,
        /// Its elements, if it is an array that is fed once.
        fed: Option<Arc<Array>>,
    },
}

impl<'g> NodeValue<'g> {
    /// A value on the host.
    pub fn known(array: Array) -> NodeValue<'g> {
        NodeValue {
            element: array.element,
            dims: array.dims.clone(),
            place: Held::Known(Arc::new(array)),
        }
    }

    /// A value in the graph whose axes are those of the file.
    pub fn live(element: Element, var: Var<'g>) -> NodeValue<'g> {
        let dims = var.shape().dims().to_vec();
        let order = (0..dims.len()).collect();
        NodeValue {
            element,
            dims,
            place: Held::Live {
                var,
                order,
                fed: None,
            },
        }
    }

    /// A value in the graph that is `array`, which is fed once: where it decides a shape, its elements are known.
    pub fn fed(array: Arc<Array>, var: Var<'g>) -> NodeValue<'g> {
        NodeValue {
            element: array.element,
            dims: array.dims.clone(),
            place: Held::Live {
                var,
                order: (0..array.dims.len()).collect(),
                fed: Some(array),
            },
        }
    }

    /// A value in the graph, axis `a` of `var` being axis `order[a]`.
    pub fn ordered(element: Element, var: Var<'g>, order: &[usize]) -> NodeValue<'g> {
        let mut dims = vec![0; order.len()];
        for (&axis, &extent) in order.iter().zip(var.shape().dims()) {
            dims[axis] = extent;
        }
        NodeValue {
            element,
            dims,
            place: Held::Live {
                var,
                order: order.to_vec(),
                fed: None,
            },
        }
    }

    /// Its elements, if they are known before anything runs.
    pub fn array(&self) -> Option<&Arc<Array>> {
        match &self.place {
            Held::Known(array) | Held::Stored { array, .. } => Some(array),
            Held::Live { .. } => None,
        }
    }

    /// Its elements, if they are known or fed once.
    pub fn decisive(&self) -> Option<&Arc<Array>> {
        match &self.place {
            Held::Live { fed, .. } => fed.as_ref(),
            _ => self.array(),
        }
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether it is known and not a weight.
    pub fn is_known(&self) -> bool {
        matches!(self.place, Held::Known(_))
    }

    /// The order of its axes, if it is in the graph.
    pub fn order(&self) -> Option<&[usize]> {
        match &self.place {
            Held::Live { order, .. } => Some(order),
            _ => None,
        }
    }
}

/// The permutation that undoes `order`.
pub fn inverse(order: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        inverse[from] = to;
    }
    inverse
}
