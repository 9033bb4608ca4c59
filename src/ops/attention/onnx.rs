//! Attention as nodes of ONNX, of which none is fused.

use crate::ops::onnx_form::{OnnxAttribute, OnnxForm, Written};

/// Added to the scores of keys that are not seen.
const HIDDEN: f64 = -1e30;

/// Queries, keys and values that are written.
pub(in crate::ops) struct Heads<'a> {
    /// Their names: `[N, heads, positions, size]` each.
    pub parts: [&'a str; 3],
    /// Elements of a head.
    pub size: usize,
    /// Number of keys.
    pub keys: usize,
    /// Whether a query only sees keys up to its own position.
    pub causal: bool,
    /// Number of keys of each sample that are no padding.
    pub lengths: Option<String>,
}

impl Heads<'_> {
    /// The result, `[N, queries, heads, size]`.
    ///
    /// # Errors
    /// If an extent is not known.
    pub fn attended(&self, form: &mut OnnxForm<'_>) -> Written {
        let [queries, keys, values] = self.parts;
        let time = self.keys;
        let keys = form.transposed(keys, &[0, 1, 3, 2]);
        let scale = form.number(1.0 / (self.size as f64).sqrt());
        let scores = form.node("MatMul", &[queries, &keys], Vec::new());
        let mut scores = form.node("Mul", &[&scores, &scale], Vec::new());
        if self.causal {
            let hides = |i: usize| if i % time > i / time { HIDDEN } else { 0.0 };
            let mask: Vec<f64> = (0..time * time).map(hides).collect();
            let mask = form.nodes.floats(&[time, time], &mask);
            scores = form.node("Add", &[&scores, &mask], Vec::new());
        }
        if let Some(lengths) = &self.lengths {
            let lengths = form.real(lengths);
            let lengths = form.reshaped(&lengths, &[None, Some(1), Some(1), Some(1)])?;
            let places: Vec<f64> = (0..time).map(|i| i as f64).collect();
            let places = form.nodes.floats(&[1, 1, 1, time], &places);
            let is_inside = form.node("Less", &[&places, &lengths], Vec::new());
            let hidden = form.number(HIDDEN);
            scores = form.node("Where", &[&is_inside, &scores, &hidden], Vec::new());
        }
        let axis = vec![("axis", OnnxAttribute::Int(-1))];
        let weights = form.node("Softmax", &[&scores], axis);
        let y = form.node("MatMul", &[&weights, values], Vec::new());
        Ok(form.transposed(&y, &[0, 2, 1, 3]))
    }
}
