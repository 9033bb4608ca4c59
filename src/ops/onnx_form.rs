//! How operations are written as nodes of ONNX: what [`Op::onnx`](super::Op::onnx) is given, and shared forms.
//!
//! Values have the axes of the engine, `[N, H, W, C]` for images. A convolution transposes its operand and its result; the writer
//! removes transpositions that undo one another.

use crate::tensor::{DType, TensorType};

/// The nodes of a file that is written.
pub trait OnnxNodes {
    /// Version of the operator set.
    fn opset(&self) -> i64;

    /// Adds a node with `results` results and returns their names.
    fn node(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: Vec<(&'static str, OnnxAttribute)>,
        results: usize,
    ) -> Vec<String>;

    /// Constant integers along one axis.
    fn ints(&mut self, values: &[i64]) -> String;

    /// Constant floats.
    fn floats(&mut self, dims: &[usize], values: &[f64]) -> String;
}

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum OnnxAttribute {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Integers.
    Ints(Vec<i64>),
    /// A text.
    Text(&'static str),
}

/// An extent: a number, or `None` where it is proportional to the number of samples.
pub type OnnxExtent = Option<usize>;

/// An operation that is written.
pub struct OnnxForm<'a> {
    /// The file.
    pub nodes: &'a mut dyn OnnxNodes,
    /// Names of the operands.
    pub inputs: &'a [String],
    /// Their types, for some number of samples.
    pub types: &'a [TensorType],
    /// Their extents.
    pub extents: &'a [Vec<OnnxExtent>],
    /// The result's extents.
    pub output: &'a [OnnxExtent],
}

/// The name of the result, or why there is none, as the rest of a sentence about the operation.
pub type Written = Result<String, String>;

/// `values` as integers of ONNX.
pub fn ints(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&x| x as i64).collect()
}

/// Pads of windows: all starts, then all ends.
pub fn pads(padding: &[[usize; 2]]) -> OnnxAttribute {
    let starts = padding.iter().map(|p| p[0] as i64);
    let ends = padding.iter().map(|p| p[1] as i64);
    OnnxAttribute::Ints(starts.chain(ends).collect())
}

/// The attributes of windows over height and width.
pub fn windows(
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: &[[usize; 2]; 2],
) -> Vec<(&'static str, OnnxAttribute)> {
    let list = |values: [usize; 2]| OnnxAttribute::Ints(ints(&values));
    vec![
        ("kernel_shape", list(kernel)),
        ("strides", list(stride)),
        ("pads", pads(padding)),
    ]
}

impl OnnxForm<'_> {
    /// Name of operand `at`.
    pub fn input(&self, at: usize) -> String {
        self.inputs[at].clone()
    }

    /// A node with one result.
    pub fn node(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: Vec<(&'static str, OnnxAttribute)>,
    ) -> String {
        self.nodes.node(op, inputs, attributes, 1).remove(0)
    }

    /// One node on all operands.
    ///
    /// # Errors
    /// Never.
    pub fn same(
        &mut self,
        op: &'static str,
        attributes: Vec<(&'static str, OnnxAttribute)>,
    ) -> Written {
        let inputs: Vec<&str> = self.inputs.iter().map(String::as_str).collect();
        Ok(self.nodes.node(op, &inputs, attributes, 1).remove(0))
    }

    /// A constant number.
    pub fn number(&mut self, value: f64) -> String {
        self.nodes.floats(&[], &[value])
    }

    /// `value` with its axes permuted.
    pub fn transposed(&mut self, value: &str, axes: &[usize]) -> String {
        let perm = OnnxAttribute::Ints(ints(axes));
        self.node("Transpose", &[value], vec![("perm", perm)])
    }

    /// `value` with other extents, of which at most one depends on the number of samples.
    ///
    /// # Errors
    /// If several do.
    pub fn reshaped(&mut self, value: &str, extents: &[OnnxExtent]) -> Written {
        if extents.iter().filter(|e| e.is_none()).count() > 1 {
            return Err("has several extents that depend on the number of samples".to_string());
        }
        let shape: Vec<i64> = extents.iter().map(|e| e.map_or(-1, |d| d as i64)).collect();
        let shape = self.nodes.ints(&shape);
        Ok(self.node("Reshape", &[value, &shape], Vec::new()))
    }

    /// Operand 0, `[N, H, W, C]`, as `[N, C, H, W]`.
    pub fn image(&mut self) -> String {
        let x = self.input(0);
        self.transposed(&x, &[0, 3, 1, 2])
    }

    /// `value`, `[N, C, H, W]`, as `[N, H, W, C]`.
    pub fn channels_last(&mut self, value: &str) -> String {
        self.transposed(value, &[0, 2, 3, 1])
    }

    /// `value` reduced by `op` over `axes`.
    pub fn reduced(
        &mut self,
        op: &'static str,
        value: &str,
        axes: &[usize],
        keeps: bool,
    ) -> String {
        let keep = ("keepdims", OnnxAttribute::Int(i64::from(keeps)));
        // Sums take their axes as an operand since version 13, the others since version 18.
        if op == "ReduceSum" || self.nodes.opset() >= 18 {
            let axes = self.nodes.ints(&ints(axes));
            return self.node(op, &[value, &axes], vec![keep]);
        }
        let axes = ("axes", OnnxAttribute::Ints(ints(axes)));
        self.node(op, &[value], vec![axes, keep])
    }

    /// The part `range` of `value` along `axis`.
    pub fn part(&mut self, value: &str, axis: usize, range: std::ops::Range<usize>) -> String {
        let starts = self.nodes.ints(&[range.start as i64]);
        let ends = self.nodes.ints(&[range.end as i64]);
        let axes = self.nodes.ints(&[axis as i64]);
        self.node("Slice", &[value, &starts, &ends, &axes], Vec::new())
    }

    /// `value` as integers of 64 bits.
    pub fn integers(&mut self, value: &str) -> String {
        self.node("Cast", &[value], vec![("to", OnnxAttribute::Int(7))])
    }

    /// `value` as floats.
    pub fn real(&mut self, value: &str) -> String {
        self.node("Cast", &[value], vec![("to", OnnxAttribute::Int(1))])
    }

    /// `value`, a mask of floats, as one of truths.
    pub fn truths(&mut self, value: &str) -> String {
        self.node("Cast", &[value], vec![("to", OnnxAttribute::Int(9))])
    }

    /// Whether operand `at` is floats.
    pub fn is_real(&self, at: usize) -> bool {
        self.types[at].dtype == DType::F32
    }
}
