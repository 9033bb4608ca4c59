//! Sums over columns, shared by several operations: two sums for every column of `[outer, length, inner]`, in two
//! stages and a fixed order.
//!
//! Kernels import `shared/column_sums` and define the terms. A launch swaps `shared/columns_invocation` if a workgroup
//! should process a column.

use crate::plan::{Launch, Target};

/// One invocation per column of a split.
pub(super) const INVOCATION: &str = "column per invocation";
/// One workgroup per few columns of a split.
pub(super) const WORKGROUP: &str = "columns per workgroup";
/// Workgroup sizes of the two.
const SIZES: [usize; 2] = [64, 256];
/// Maximum rows of a split: an invocation loops over them.
const MOST_ROWS: usize = 16_384;
/// Rows per invocation of a workgroup up to which a second stage would cost more than it saves.
const FEW_ROWS: usize = 32;
/// Fewest rows to sum with a workgroup per column: with fewer, most of its invocations would have none.
pub(super) const FEWEST_ROWS: usize = 32;

/// A tensor viewed as `[outer, length, inner]` and reduced along the middle axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Columns {
    pub outer: usize,
    pub length: usize,
    pub inner: usize,
}

impl Columns {
    /// The view of a tensor whose first `kept` axes and last axis are kept.
    pub fn of(dims: &[usize], kept: usize) -> Self {
        let last = dims.len() - 1;
        Columns {
            outer: dims[..kept].iter().product(),
            length: dims[kept..last].iter().product(),
            inner: dims[last],
        }
    }

    /// The kernel variants on `target`, the better one first.
    pub fn variants(target: &Target) -> Vec<&'static str> {
        if target.software {
            vec![INVOCATION, WORKGROUP]
        } else {
            vec![WORKGROUP, INVOCATION]
        }
    }

    /// Elements per step of an invocation.
    pub fn unit(self) -> usize {
        if self.inner.is_multiple_of(4) { 4 } else { 1 }
    }

    /// Number of splits of the length: enough to keep an adapter busy and to keep columns short.
    pub fn splits(self, variant: &str) -> usize {
        let lanes = self.outer * self.inner / self.unit();
        if variant == WORKGROUP {
            return workgroup_splits(self.outer, self.length, self.inner / self.unit());
        }
        let wanted = 512 / lanes.max(1);
        let most = self.length / 64;
        wanted.min(most).max(self.length.div_ceil(MOST_ROWS)).max(1)
    }

    /// A launch of `shader` over `splits` splits of these columns. `whole` describes the rows: see
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
        divided(launch, variant, splits * self.outer, inner)
    }
}

/// Whether `length` rows are better summed with a workgroup per column.
pub(super) fn suits_workgroups(target: &Target, length: usize) -> bool {
    !target.software && length >= FEWEST_ROWS
}

/// Adds to `launch`, of a kernel that imports `shared/columns_invocation`, the number of workgroups for `parts` times
/// `columns` columns.
pub(super) fn divided(launch: Launch, variant: &str, parts: usize, columns: usize) -> Launch {
    if variant != WORKGROUP {
        return launch.invocations(parts * columns, SIZES[0]);
    }
    let across = across(columns);
    launch
        .swap("shared/columns_invocation", "shared/columns_workgroup")
        .constant("COLUMNS", across as f64)
        .workgroups((parts * columns.div_ceil(across)) as u64)
}

/// Number of splits of `length` rows if a workgroup sums each of `outer` times `columns` columns: one, unless an
/// invocation would sum many rows and workgroups are too few to keep a large GPU busy.
pub(super) fn workgroup_splits(outer: usize, length: usize, columns: usize) -> usize {
    /// About four workgroups for each compute unit of a large GPU.
    const BUSY: usize = 512;
    let rows = SIZES[1] / across(columns);
    let groups = outer * columns.div_ceil(across(columns));
    if length.div_ceil(rows) <= FEW_ROWS {
        return 1;
    }
    let wanted = (BUSY / groups.max(1)).min(length / (8 * rows));
    wanted.max(length.div_ceil(MOST_ROWS * rows)).max(1)
}

/// Neighbouring columns that a workgroup processes: a power of two.
fn across(columns: usize) -> usize {
    columns.next_power_of_two().min(16)
}

/// The tensor that the rows of a launch are parts of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    /// Rows of the whole tensor per row of the launch.
    pub span: usize,
    /// Rows of the whole tensor.
    pub rows: usize,
    /// Rows of the whole tensor per sample.
    pub sample: usize,
}
