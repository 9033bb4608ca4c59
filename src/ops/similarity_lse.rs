//! For each row i of z, the logarithm of the sum of `exp(scale z_i . z_j)` over all other rows j: what contrastive losses
//! divide by (NT-Xent in Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations"; InfoNCE in
//! van den Oord et al. 2018). Neither the result nor its gradient stores the similarities of all pairs of rows.
//!
//! z is `f32 [views * batch, width]`: row `v * batch + b` is view v of sample b. `valid` is `u32 []`: rows of samples from
//! there on are padding, which no row is compared with, and whose result and gradient are 0. The result is
//! `f32 [views * batch]`; a row without others gets 0.

use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use rayon::prelude::*;

/// See the module. Operands: z, valid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimilarityLse {
    /// Rows of each sample.
    pub views: usize,
    /// Factor of the inner products: one over the temperature.
    pub scale: f64,
}

/// The gradient of [`SimilarityLse`]. Operands: z, the result, the gradient of the result, valid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimilarityLseGrad(pub SimilarityLse);

/// Invocations of a workgroup.
const LANES: usize = 64;
/// Rows that a workgroup computes.
const ROWS: usize = 4;
/// Maximum iterations of an invocation: software adapters stop a shader there.
const MAX_ITERATIONS: usize = 65_000;

/// The extents of z.
#[derive(Clone, Copy)]
struct Extents {
    rows: usize,
    width: usize,
    batch: usize,
}

impl Extents {
    /// Elements per step along a row.
    fn unit(self) -> usize {
        if self.width.is_multiple_of(4) { 4 } else { 1 }
    }

    /// Steps along a row.
    fn steps(self) -> usize {
        self.width / self.unit()
    }

    /// A launch of `shader`, which reads z as x.
    fn launch(self, shader: &str, scale: f64) -> Launch {
        let launch = Launch::new(shader)
            .param("rows", self.rows)
            .param("batch", self.batch)
            .param("length", self.steps())
            .param("scale", scale as f32);
        match self.unit() {
            4 => launch,
            _ => launch.swap("shared/row_vec4", "shared/row_scalar"),
        }
    }

    /// Loads of z, if each group of rows reads its own at every other row.
    fn loads(self) -> u64 {
        let groups = self.rows.div_ceil(ROWS);
        (groups * self.rows * self.steps() * (ROWS + 1)) as u64
    }
}

impl SimilarityLse {
    fn extents(self, z: &TensorType, valid: &TensorType) -> Result<Extents, String> {
        let &[rows, width] = z.dims() else {
            return Err(format!("takes f32[rows,width], was given {z}"));
        };
        if z.dtype != DType::F32 || rows * width == 0 || *valid != TensorType::u32([]) {
            return Err(format!(
                "takes f32[rows,width] and a u32[], was given {z} and {valid}"
            ));
        }
        if self.views == 0 || !rows.is_multiple_of(self.views) {
            return Err(format!(
                "can't divide {rows} rows into {} views",
                self.views
            ));
        }
        let extents = Extents {
            rows,
            width,
            batch: rows / self.views,
        };
        if rows.div_ceil(LANES) * extents.steps() + rows > MAX_ITERATIONS {
            return Err(format!(
                "compares at most {MAX_ITERATIONS} rows with each other, fewer the wider they are, and was given {z}; use a smaller batch"
            ));
        }
        Ok(extents)
    }

    /// The extents of operands that have been checked.
    fn known(self, cx: &Lowering<'_>, valid: usize) -> Result<Extents> {
        self.extents(&cx.input(0).ty, &cx.input(valid).ty)
            .map_err(Error::Graph)
    }
}

/// The rows of z with what is needed to compare them.
struct Rows<'a, T> {
    z: &'a [T],
    width: usize,
    batch: usize,
    valid: usize,
    scale: T,
}

impl<'a, T: Real> Rows<'a, T> {
    fn of(op: SimilarityLse, z: &'a Tensor<T>, valid: &Tensor<T>) -> Rows<'a, T> {
        let rows = z.shape.dims()[0];
        Rows {
            z: z.reals(),
            width: z.shape.last(),
            batch: rows / op.views.max(1),
            valid: valid.indices()[0] as usize,
            scale: T::of(op.scale),
        }
    }

    fn count(&self) -> usize {
        self.z.len() / self.width
    }

    fn row(&self, index: usize) -> &'a [T] {
        &self.z[index * self.width..][..self.width]
    }

    fn is_valid(&self, row: usize) -> bool {
        row % self.batch < self.valid
    }

    /// The rows that row `i` is compared with, and the scaled inner products with them.
    fn others(&self, i: usize) -> impl Iterator<Item = (usize, T)> + '_ {
        let others = (0..self.count()).filter(move |&j| j != i && self.is_valid(j));
        others.map(move |j| {
            let products = self.row(i).iter().zip(self.row(j)).map(|(&a, &b)| a * b);
            (j, self.scale * products.sum::<T>())
        })
    }
}

impl Op for SimilarityLse {
    fn name(&self) -> &'static str {
        "similarity_lse"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [z, valid] = operands(inputs)?;
        let extents = self.extents(z, valid)?;
        Ok(TensorType::f32([extents.rows]))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let [z, valid] = [cx.inputs[0], cx.inputs[1]];
        let operands = [z, cx.output, cx.grad, valid];
        let grad = cx.grad.builder().op(SimilarityLseGrad(*self), &operands)?;
        Ok(vec![Some(grad), None])
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let rows = Rows::of(*self, inputs[0], inputs[1]);
        let one = |i: usize| {
            if !rows.is_valid(i) {
                return T::ZERO;
            }
            let products: Vec<T> = rows.others(i).map(|(_, product)| product).collect();
            let Some(largest) = products.iter().copied().reduce(T::max) else {
                return T::ZERO;
            };
            let sum: T = products.iter().map(|&x| (x - largest).exp()).sum();
            largest + sum.ln()
        };
        let values = (0..rows.count()).into_par_iter().map(one).collect();
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let e = self.known(cx, 1)?;
        let (z, valid, out) = (cx.input(0), cx.input(1), cx.output()?);
        cx.launch(
            e.launch("similarity_lse/forward", self.scale)
                .read("x", z.value, e.loads())
                .read("valid", valid.value, 0)
                .write("out", out.value)
                .workgroups(e.rows.div_ceil(ROWS) as u64),
        )
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].elements()
    }
}

impl Op for SimilarityLseGrad {
    fn name(&self) -> &'static str {
        "similarity_lse_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [z, lse, grad, valid] = operands(inputs)?;
        let extents = self.0.extents(z, valid)?;
        let wanted = TensorType::f32([extents.rows]);
        match *lse == wanted && *grad == wanted {
            true => Ok(z.clone()),
            false => Err(format!(
                "{lse} and {grad} are not result and gradient for {z}"
            )),
        }
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of similarity_lse")
    }

    fn stays_precise(&self) -> bool {
        true
    }

    /// With `p_ij = exp(scale z_i . z_j - lse_i)`, row i is `scale` times the sum of `(g_i p_ij + g_j p_ji) z_j`: it is compared
    /// with the others, and they with it.
    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let rows = Rows::of(self.0, inputs[0], inputs[3]);
        let (lse, grad) = (inputs[1].reals(), inputs[2].reals());
        let mut values = vec![T::ZERO; output.elements()];
        let each = values.par_chunks_mut(rows.width).enumerate();
        each.filter(|(i, _)| rows.is_valid(*i))
            .for_each(|(i, out)| {
                for (j, product) in rows.others(i) {
                    let weight =
                        grad[i] * (product - lse[i]).exp() + grad[j] * (product - lse[j]).exp();
                    for (sum, &other) in out.iter_mut().zip(rows.row(j)) {
                        *sum += rows.scale * weight * other;
                    }
                }
            });
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let e = self.0.known(cx, 3)?;
        let [z, lse, grad, valid] = [0, 1, 2, 3].map(|i| cx.input(i));
        let out = cx.output()?;
        // A workgroup computes as many columns as it has invocations.
        let chunks = e.steps().div_ceil(LANES);
        cx.launch(
            e.launch("similarity_lse/gradient", self.0.scale)
                .param("chunks", chunks)
                .read("x", z.value, e.loads() * chunks as u64)
                .read("lse", lse.value, 0)
                .read("dy", grad.value, 0)
                .read("valid", valid.value, 0)
                .write("out", out.value)
                .workgroups((e.rows.div_ceil(ROWS) * chunks) as u64),
        )
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[0].elements()
    }
}

impl<'g> Var<'g> {
    /// For each row of `self`, `[views * batch, width]`, the logarithm of the sum of `exp(scale z_i . z_j)` over all other rows j of
    /// valid samples, `[views * batch]`; 0 for rows of samples from `valid` `u32 []` on.
    ///
    /// # Errors
    /// If the types don't fit, or there are too many rows.
    #[track_caller]
    pub fn similarity_lse(self, valid: Var<'g>, views: usize, scale: f64) -> Result<Var<'g>> {
        self.builder()
            .op(SimilarityLse { views, scale }, &[self, valid])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 2 + stream.below(7) as usize;
    let (batch, width) = (odd(), odd());
    let case = |views: usize, batch: usize, width: usize, valid: usize, scale: f64| {
        let op = SimilarityLse { views, scale };
        let valid = Operand::index([], Values::Fixed(vec![valid as f64]));
        Case::new(op, [Operand::uniform([views * batch, width]), valid])
    };
    vec![
        case(2, batch, width, batch, 1.0),
        case(2, batch + 1, 4, batch, 2.0),
        case(1, 3, width, 3, 0.5),
        // Rows without others, and no valid row.
        case(1, 4, 3, 1, 1.0),
        case(2, 3, 8, 0, 1.0),
        // More rows than lanes, and more columns.
        case(2, 35, 3, 33, 1.0),
        case(2, 3, 268, 3, 0.1),
        case(1, 2, 67, 2, 0.2),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also by PyTorch 2, `s = z @ z.T / 0.5; s.fill_diagonal_(-inf); s.logsumexp(1)`: 1.4941 and 1.9392.
    #[test]
    fn a_row_is_compared_with_all_others() {
        let op = SimilarityLse {
            views: 2,
            scale: 2.0,
        };
        let z = Tensor::real([4, 2], vec![1.0, 0.0, 0.6, 0.8, 0.0, 1.0, -1.0, 0.0]);
        let valid = Tensor::index([], vec![2]);
        let lse = op.reference::<f64>(&[&z, &valid], &TensorType::f32([4]));
        // exp(1.2) + exp(0) + exp(-2)
        assert!((lse.reals()[0] - (3.320_116_923_f64 + 1.0 + 0.135_335_283).ln()).abs() < 1e-8);
        // exp(0) + exp(1.6) + exp(0)
        assert!((lse.reals()[2] - (2.0 + 4.953_032_424_f64).ln()).abs() < 1e-8);
    }

    #[test]
    fn too_many_rows_are_refused_by_name() {
        let op = SimilarityLse {
            views: 2,
            scale: 1.0,
        };
        let refused = op.infer(&[&TensorType::f32([80_000, 4]), &TensorType::u32([])]);
        assert!(refused.unwrap_err().contains("smaller batch"));
        let odd = op.infer(&[&TensorType::f32([7, 4]), &TensorType::u32([])]);
        assert!(odd.unwrap_err().contains("2 views"));
    }
}
