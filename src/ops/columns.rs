//! What operations on columns share: two sums for every column of `[outer, length, inner]`, in two stages and a fixed order.
//!
//! Kernels import `shared/column_sums` and define their terms; a launch swaps `shared/columns_invocation` where a workgroup
//! should walk a column.

use crate::plan::{Launch, Target};

/// One invocation a column of a split.
const INVOCATION: &str = "column per invocation";
/// One workgroup a few columns of a split.
const WORKGROUP: &str = "columns per workgroup";
/// Invocations in a workgroup of each.
const SIZES: [usize; 2] = [64, 256];
/// Rows that a column of a split has at most: an invocation loops over them.
const MOST_ROWS: usize = 16_384;

/// A tensor as `[outer, length, inner]`, reduced along the middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Columns {
    pub outer: usize,
    pub length: usize,
    pub inner: usize,
}

impl Columns {
    /// Of a tensor whose first `kept` axes and last axis stay.
    pub fn of(dims: &[usize], kept: usize) -> Self {
        let last = dims.len() - 1;
        Columns {
            outer: dims[..kept].iter().product(),
            length: dims[kept..last].iter().product(),
            inner: dims[last],
        }
    }

    /// The ways to walk columns on `target`, the better one first.
    pub fn variants(target: &Target) -> Vec<&'static str> {
        if target.software {
            vec![INVOCATION, WORKGROUP]
        } else {
            vec![WORKGROUP, INVOCATION]
        }
    }

    /// Elements in one step of an invocation.
    pub fn unit(self) -> usize {
        if self.inner.is_multiple_of(4) { 4 } else { 1 }
    }

    /// Into how many splits to cut the length, so that an adapter has enough to do and a column is not too long.
    pub fn splits(self, variant: &str) -> usize {
        let lanes = self.outer * self.inner / self.unit();
        let (wanted, shortest) = if variant == WORKGROUP {
            // About four workgroups for each unit of a large graphics processor.
            let rows = SIZES[1] / self.across();
            let groups = self.outer * (self.inner / self.unit()).div_ceil(self.across());
            (512 / groups.max(1), 8 * rows)
        } else {
            (512 / lanes.max(1), 64)
        };
        let most = self.length / shortest;
        wanted.min(most).max(self.length.div_ceil(MOST_ROWS)).max(1)
    }

    /// Neighbouring columns that a workgroup walks: a power of two.
    fn across(self) -> usize {
        (self.inner / self.unit()).next_power_of_two().min(16)
    }

    /// A launch of `shader` over `splits` of these columns. `span`, `rows` and `sample` say what the rows are: see
    /// `shared/column_params`.
    pub fn launch(self, shader: &str, variant: &str, splits: usize, whole: Whole) -> Launch {
        let inner = self.inner / self.unit();
        let launch = Launch::new(shader)
            .param("outer", self.outer)
            .param("length", self.length)
            .param("inner", inner)
            .param("chunk", self.length.div_ceil(splits))
            .param("splits", splits)
            .param("span", whole.span)
            .param("rows", whole.rows)
            .param("sample", whole.sample);
        let launch = if self.unit() == 4 {
            launch
        } else {
            launch.swap("shared/lanes_vec4", "shared/lanes_scalar")
        };
        if variant == WORKGROUP {
            let groups = splits * self.outer * inner.div_ceil(self.across());
            launch
                .swap("shared/columns_invocation", "shared/columns_workgroup")
                .constant("COLUMNS", self.across() as f64)
                .workgroups(groups as u64)
        } else {
            launch.invocations(splits * self.outer * inner, SIZES[0])
        }
    }
}

/// What the rows of a launch are parts of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    /// Rows of the whole tensor in one of the launch's.
    pub span: usize,
    /// Rows of the whole tensor.
    pub rows: usize,
    /// Of which so many belong to a sample.
    pub sample: usize,
}
