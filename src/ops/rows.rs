//! What operations along the last axis share: the two ways to walk rows on the GPU, and which one is the default.
//!
//! Kernels import `shared/row_vec4` for their operand and `shared/row_invocation` for how a row is walked; the launch
//! swaps either import where the other fits.

use crate::error::{Error, Result};
use crate::plan::{Launch, Target};
use crate::tensor::TensorType;

/// One invocation a row.
const INVOCATION: &str = "row per invocation";
/// One workgroup a row.
const WORKGROUP: &str = "row per workgroup";

/// Invocations in a workgroup of either.
const LANES: usize = 64;
/// Times that a kernel walks its row, at most.
const WALKS: usize = 3;
/// Iterations that one invocation may make: software adapters stop a shader there.
const MAX_ITERATIONS: usize = 65_000;

/// A tensor as a matrix: its last axis, and all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// Number of rows.
    pub rows: usize,
    /// Elements in a row.
    pub length: usize,
}

impl Rows {
    /// The rows of a tensor of type `ty`.
    pub fn of(ty: &TensorType) -> Self {
        let length = ty.shape.last();
        Rows {
            rows: ty.elements() / length.max(1),
            length,
        }
    }

    /// Elements in one step along a row.
    fn unit(self) -> usize {
        if self.length.is_multiple_of(4) { 4 } else { 1 }
    }

    /// The ways to walk these rows on `target`, the better one first.
    pub fn variants(self, target: &Target) -> Vec<&'static str> {
        if self.length / self.unit() > MAX_ITERATIONS / WALKS {
            return vec![WORKGROUP];
        }
        // A graphics processor needs thousands of invocations, and neighbours that read neighbouring elements; a
        // software adapter only pays for workgroup memory.
        let long = if target.software {
            self.rows < 16 && self.length >= 1024
        } else {
            self.length >= 64
        };
        if long {
            vec![WORKGROUP, INVOCATION]
        } else {
            vec![INVOCATION, WORKGROUP]
        }
    }

    /// A launch of `shader` over these rows, walked as `variant` says.
    ///
    /// # Errors
    /// If a row is longer than one workgroup may walk.
    pub fn launch(self, shader: &str, variant: &str) -> Result<Launch> {
        let steps = self.length / self.unit();
        if steps.div_ceil(LANES) > MAX_ITERATIONS / WALKS {
            return Err(Error::Graph(format!(
                "{shader} walks rows of at most {} elements, was given {}",
                self.unit() * LANES * (MAX_ITERATIONS / WALKS),
                self.length
            )));
        }
        let launch = Launch::new(shader)
            .param("rows", self.rows)
            .param("length", steps);
        let launch = if variant == WORKGROUP {
            launch
                .swap("shared/row_invocation", "shared/row_workgroup")
                .workgroups(self.rows as u64)
        } else {
            launch.invocations(self.rows, LANES)
        };
        Ok(if self.unit() == 4 {
            launch
        } else {
            launch
                .swap("shared/row_vec4", "shared/row_scalar")
                .swap("shared/row_pair_vec4", "shared/row_pair_scalar")
        })
    }
}
