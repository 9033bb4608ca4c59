//! Launches of the contraction family: matmul and the three passes of conv2d share tiles, splits and variants.
//!
//! Every member is `C[m, n] = sum over k of A(m, k) B(n, k)`, with K cut into segments;
//! `shaders/shared/contraction.wgsl` documents how operands are read. Variants: `broadcast` (one subgroup, operands
//! from textures where the planner chooses so), `tiled` (workgroup memory, any adapter) and, in mixed precision,
//! `cooperative` (cooperative matrices), each with tiles of several sizes.

use super::columns;
use crate::error::Result;
use crate::graph::Precision;
use crate::plan::{Arg, Launch, Lowering, Scalar, Target};
use crate::tensor::TensorType;

/// One contraction, as described by its operation.
pub(super) struct Contraction {
    /// File of the broadcast variant under `shaders/`.
    pub broadcast: &'static str,
    /// File of the tiled variant.
    pub tiled: &'static str,
    /// Operand A.
    pub a: Arg,
    /// Operand B.
    pub b: Arg,
    /// Rows of a result matrix.
    pub m: usize,
    /// Columns of a result matrix.
    pub n: usize,
    /// Batch size: the number of matrices.
    pub batches: usize,
    /// How K is cut into segments.
    pub segments: Segments,
    /// How A is read.
    pub a_layout: OperandLayout,
    /// How B is read.
    pub b_layout: OperandLayout,
    /// Whether the result is stored as `[n, m]`.
    pub transpose_out: bool,
    /// Further parameters of the operation.
    pub params: Vec<(&'static str, Scalar)>,
    /// Further pipeline constants of the operation.
    pub constants: Vec<(&'static str, f64)>,
}

/// How an operand is read.
#[derive(Clone, Copy)]
pub(super) struct OperandLayout {
    /// Whether consecutive k are neighbours in memory; otherwise consecutive rows are.
    pub k_contiguous: bool,
    /// Whether four neighbours that are read together are an aligned texel.
    pub vec4: bool,
}

impl OperandLayout {
    /// Whether a fetch gives four rows at one k, and not four k of one row.
    fn fetched_across(self) -> bool {
        self.vec4 && !self.k_contiguous
    }
}

/// How K is cut into segments.
#[derive(Clone, Copy)]
pub(super) enum Segments {
    /// The operation defines the segments: `count` of them, of `length` k each or, the last ones of an image, fewer;
    /// `k` in total.
    Fixed {
        count: usize,
        length: usize,
        k: usize,
    },
    /// The operation defines the segments, and some matrices have fewer than others: at most `count` per matrix, each
    /// of `length` k, and `in_batch` over the whole batch.
    Partial {
        count: usize,
        length: usize,
        in_batch: usize,
    },
    /// K may be cut anywhere.
    Free { k: usize },
}

impl Segments {
    /// Number of terms summed for one position of the matrices, over the whole batch.
    fn terms(self, batches: usize) -> usize {
        match self {
            Segments::Fixed { k, .. } | Segments::Free { k } => k * batches,
            Segments::Partial {
                length, in_batch, ..
            } => length * in_batch,
        }
    }

    /// Whether the length of some segment is not a multiple of `step`, with K cut at `segment_len`.
    fn has_tail(self, segment_len: usize, step: usize) -> bool {
        match self {
            Segments::Fixed { count, length, k } => {
                !length.is_multiple_of(step) || k != count * length
            }
            Segments::Partial { length, .. } => !length.is_multiple_of(step),
            Segments::Free { k } => !k.is_multiple_of(step) || !segment_len.is_multiple_of(step),
        }
    }
}

/// The properties that the order of variants depends on: extents of the result's matrices, and how B is read.
#[derive(Clone, Copy)]
pub(super) struct Outline {
    /// Rows.
    pub m: usize,
    /// Columns.
    pub n: usize,
    /// See [`OperandLayout::k_contiguous`].
    pub b_k_contiguous: bool,
}

/// A kernel, and the tile of the result that one workgroup computes.
struct Variant {
    name: &'static str,
    kernel: Kernel,
    rows: usize,
    columns: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kernel {
    /// One subgroup of this many lanes without workgroup memory; the import that defines their number.
    Broadcast(u32, &'static str),
    /// Workgroup memory; the import that defines the constants of the tile.
    Tiled(&'static str),
    /// Cooperative matrices; the files for tiles of this size, in the place of those for 128.
    Cooperative([&'static str; 3]),
}

/// The imports of shared/contraction_cooperative that depend on the tile.
const COOPERATIVE_128: [&str; 3] = [
    "shared/cooperative_128",
    "shared/cooperative_products_128",
    "shared/cooperative_store_128",
];

const fn broadcast(lanes: u32) -> Kernel {
    Kernel::Broadcast(
        lanes,
        match lanes {
            8 => "shared/subgroup_8",
            16 => "shared/subgroup_16",
            32 => "shared/subgroup_32",
            64 => "shared/subgroup_64",
            _ => "shared/subgroup_128",
        },
    )
}

/// All variants, with the lanes of the subgroup and the tile.
const VARIANTS: [Variant; 13] = [
    Variant {
        name: "broadcast8 16x64",
        kernel: broadcast(8),
        rows: 16,
        columns: 64,
    },
    Variant {
        name: "broadcast8 32x32",
        kernel: broadcast(8),
        rows: 32,
        columns: 32,
    },
    Variant {
        name: "broadcast8 32x64",
        kernel: broadcast(8),
        rows: 32,
        columns: 64,
    },
    Variant {
        name: "broadcast16 16x128",
        kernel: broadcast(16),
        rows: 16,
        columns: 128,
    },
    Variant {
        name: "broadcast16 32x64",
        kernel: broadcast(16),
        rows: 32,
        columns: 64,
    },
    Variant {
        name: "broadcast16 32x128",
        kernel: broadcast(16),
        rows: 32,
        columns: 128,
    },
    Variant {
        name: "broadcast32 32x128",
        kernel: broadcast(32),
        rows: 32,
        columns: 128,
    },
    Variant {
        name: "broadcast64 32x256",
        kernel: broadcast(64),
        rows: 32,
        columns: 256,
    },
    Variant {
        name: "broadcast128 32x512",
        kernel: broadcast(128),
        rows: 32,
        columns: 512,
    },
    Variant {
        name: "tiled 64x64",
        kernel: Kernel::Tiled("shared/tile_64"),
        rows: 64,
        columns: 64,
    },
    Variant {
        name: "tiled 128x128",
        kernel: Kernel::Tiled("shared/tile_128"),
        rows: 128,
        columns: 128,
    },
    Variant {
        name: "cooperative 64x64",
        kernel: Kernel::Cooperative([
            "shared/cooperative_64",
            "shared/cooperative_products_64",
            "shared/cooperative_store_64",
        ]),
        rows: 64,
        columns: 64,
    },
    Variant {
        name: "cooperative 128x128",
        kernel: Kernel::Cooperative(COOPERATIVE_128),
        rows: 128,
        columns: 128,
    },
];

impl Variant {
    fn named(name: &str) -> &'static Variant {
        const PORTABLE: usize = 9;
        VARIANTS
            .iter()
            .find(|v| v.name == name)
            .unwrap_or(&VARIANTS[PORTABLE])
    }

    /// Number of k per step, as in the files that the kernels import.
    fn step(&self) -> usize {
        match self.kernel {
            Kernel::Broadcast(..) => 4,
            Kernel::Tiled(_) if self.rows == 64 => 32,
            Kernel::Tiled(_) => 16,
            Kernel::Cooperative(_) => 32,
        }
    }

    /// Lanes of the subgroup, if a workgroup is a single subgroup; otherwise `None`.
    fn lanes(&self) -> Option<u32> {
        match self.kernel {
            Kernel::Broadcast(lanes, _) => Some(lanes),
            Kernel::Tiled(_) | Kernel::Cooperative(_) => None,
        }
    }

    /// Workgroup memory in bytes of a variant with cooperative matrices: two tiles of 16-bit floats, and 16 rows of
    /// sums for each of eight subgroups.
    fn cooperative_bytes(&self) -> u32 {
        let (side, step) = (self.rows as u32, self.step() as u32);
        2 * 2 * side * (step + 8) + 8 * 4 * 16 * (side / 4 + 4)
    }

    /// Whether `target` can run the variant.
    fn runs_on(&self, target: &Target) -> bool {
        match self.kernel {
            Kernel::Broadcast(lanes, _) => target.subgroups_are(lanes),
            Kernel::Tiled(_) => true,
            Kernel::Cooperative(_) => {
                target.precision == Precision::Mixed
                    && target.cooperative_matrices
                    && target.subgroups_are(32)
                    && target.max_workgroup_bytes >= self.cooperative_bytes()
            }
        }
    }

    /// Whether tile rows run along n and tile columns along m, as for results that are narrower than a tile.
    fn swaps(&self, m: usize, n: usize) -> bool {
        n <= 16 && (self.lanes().is_none() || m > 16)
    }
}

impl Variant {
    /// Rank of the variant on a software adapter, lowest first, by measurements on llvmpipe (docs/decisions.md).
    /// Broadcast variants come first if less than half of a tile is empty. Large tiles are preferred if there are still
    /// many of them and the columns that a lane reads are neighbours in memory.
    fn rank(&self, outline: Outline) -> usize {
        const MANY_TILES: usize = 64;
        let Some(lanes) = self.lanes() else { return 4 };
        let Outline { m, n, .. } = outline;
        let (high, across) = if self.swaps(m, n) { (n, m) } else { (m, n) };
        let narrow = 4 * lanes as usize;
        let wide = self.columns > narrow;
        let half_empty = across.next_multiple_of(2 * narrow) > across.next_multiple_of(narrow);
        let tiles = high.div_ceil(self.rows) * across.div_ceil(self.columns);
        match (wide, self.rows > 16) {
            (true, true) if !half_empty && !outline.b_k_contiguous && tiles >= MANY_TILES => 0,
            (true, false) if !half_empty => 1,
            (false, _) => 2,
            _ => 3,
        }
    }
}

impl Variant {
    /// Rank of the variant on a GPU, lowest first: variants with workgroup memory come first, the one with large tiles
    /// if these keep a large GPU busy.
    fn gpu_rank(&self, outline: Outline) -> usize {
        const MANY_TILES: usize = 128;
        let tiles = outline.m.div_ceil(self.rows) * outline.n.div_ceil(self.columns);
        let among = match (self.lanes(), self.rows) {
            (None, 64) => 1,
            (None, _) if tiles >= MANY_TILES => 0,
            (None, _) => 2,
            (Some(_), _) => 3,
        };
        match self.kernel {
            Kernel::Cooperative(_) => among,
            _ => among + 3,
        }
    }
}

/// Variants that `target` can run, the one expected to be fastest first.
pub(super) fn variants(target: &Target, outline: Outline) -> Vec<&'static str> {
    // At least half of a larger tile would be empty.
    let fits = |v: &Variant| v.lanes().is_some() || v.rows == 64 || outline.m.min(outline.n) > 64;
    let usable = |v: &&Variant| v.runs_on(target) && fits(v);
    let mut usable: Vec<&Variant> = VARIANTS.iter().filter(usable).collect();
    if target.software {
        usable.sort_by_key(|v| v.rank(outline));
    } else {
        usable.sort_by_key(|v| v.gpu_rank(outline));
    }
    usable.iter().map(|v| v.name).collect()
}

/// Whether the variant broadcasts within a subgroup.
pub(super) fn broadcasts(variant: &str) -> bool {
    Variant::named(variant).lanes().is_some()
}

/// Whether a K-contiguous B of `n` rows and `k` columns is transposed before a broadcast variant multiplies `m` rows
/// with it. A lane reads 4 columns; after transposing, these are one texel rather than four distant ones. This pays off
/// on software adapters if B is large enough and read often enough. The kernel requires whole blocks of 4
/// (docs/decisions.md).
pub(super) fn transposes(target: &Target, m: usize, n: usize, k: usize) -> bool {
    const FEWEST_ROWS: usize = 256;
    const SMALLEST: usize = 64;
    let blocks = n.is_multiple_of(4) && k.is_multiple_of(4);
    target.software && m >= FEWEST_ROWS && n.min(k) >= SMALLEST && blocks
}

/// Adds the launch that transposes the matrices of `x`, whose axes after the first `batch_axes` are `[rows, columns]`.
///
/// # Errors
/// If the launch can't be added.
pub(super) fn transposed(
    cx: &mut Lowering<'_>,
    x: &Arg,
    batch_axes: usize,
    [rows, columns]: [usize; 2],
) -> Result<Arg> {
    let dims = [&x.dims()[..batch_axes], &[columns, rows]].concat();
    let to = cx.scratch(TensorType::f32(dims));
    let blocks = x.ty.elements() / 16;
    let launch = Launch::new("shared/transpose")
        .read("a", x.value, x.vec4s())
        .write("out", to.value)
        .param("blocks", blocks)
        .param("row_blocks", rows / 4)
        .param("column_blocks", columns / 4)
        .invocations(blocks, 64);
    cx.launch(launch)?;
    Ok(to)
}

/// How a variant cuts a contraction.
#[derive(Clone, Copy)]
struct Tiling {
    /// See [`Variant::swaps`].
    swap: bool,
    rows: usize,
    columns: usize,
    /// Process all segments in one loop: for segments so short that a loop for each would cost more.
    short_segments: bool,
}

fn tiling(variant: &Variant, c: &Contraction) -> Tiling {
    let swap = variant.swaps(c.m, c.n);
    let short_segments = match c.segments {
        Segments::Fixed { count, length, .. } => count > 1 && length <= 16,
        Segments::Partial { .. } | Segments::Free { .. } => false,
    };
    let high = if swap { c.n } else { c.m };
    // Half the rows of the tile if the matrix has no more.
    let halved = variant.lanes().is_some() && high <= variant.rows / 2;
    Tiling {
        swap,
        rows: if halved {
            variant.rows.div_ceil(2).max(16)
        } else {
            variant.rows
        },
        columns: variant.columns,
        short_segments,
    }
}

/// Number of splits of K.
fn splits(target: &Target, c: &Contraction, tiles: usize) -> usize {
    /// Maximum steps of four k per invocation: llvmpipe silently stops shaders after 65,535 loop iterations.
    const MOST_STEPS: usize = 50_000;
    /// Minimum steps per split: with fewer, another split costs more than it gains.
    const FEWEST_STEPS: usize = 16;
    /// Steps of four k below which a GPU is not helped by splits: the second launch takes as long as 384 k.
    const SHORT: usize = 96;
    // About two workgroups for each compute unit of a large GPU.
    let busy: usize = if target.software { 16 } else { 264 };
    let (steps, most) = match c.segments {
        Segments::Fixed { count, length, .. } | Segments::Partial { count, length, .. } => {
            let each = length.div_ceil(4) + 1;
            (count * each, count)
        }
        Segments::Free { k } => (k.div_ceil(4), k.div_ceil(4)),
    };
    let wanted = if !target.software && steps < SHORT {
        1
    } else {
        busy.div_ceil(tiles).min(steps / FEWEST_STEPS).max(1)
    };
    wanted.max(steps.div_ceil(MOST_STEPS)).min(most.max(1))
}

/// Adds the launches of `c`, whose result is the result of the operation being lowered.
pub(super) fn lower(cx: &mut Lowering<'_>, c: Contraction) -> Result<()> {
    let (variant, out) = (cx.variant(), cx.output()?);
    add(cx, c, variant, &out, true)
}

/// Adds the launches of `c`, a part of the operation being lowered, with the variant of the operation.
pub(super) fn lower_part(cx: &mut Lowering<'_>, c: Contraction, out: &Arg) -> Result<()> {
    let variant = cx.variant();
    add(cx, c, variant, out, false)
}

/// Adds the launches of `c`, a part of the operation being lowered, with the variant expected to be fastest.
pub(super) fn lower_into(cx: &mut Lowering<'_>, c: Contraction, out: &Arg) -> Result<()> {
    let outline = Outline {
        m: c.m,
        n: c.n,
        b_k_contiguous: c.b_layout.k_contiguous,
    };
    let variants = variants(cx.target(), outline);
    add(cx, c, variants[0], out, false)
}

/// Adds launches that write `out`. If `last` is set, they are the last ones of the operation.
fn add(cx: &mut Lowering<'_>, c: Contraction, variant: &str, out: &Arg, last: bool) -> Result<()> {
    let variant = Variant::named(variant);
    let broadcast = variant.lanes().is_some();
    let tiling = tiling(variant, &c);
    let (high, wide) = if tiling.swap { (c.n, c.m) } else { (c.m, c.n) };
    let (row_tiles, column_tiles) = (high.div_ceil(tiling.rows), wide.div_ceil(tiling.columns));
    let (a_extent, b_extent) = if tiling.swap {
        (tiling.columns, tiling.rows)
    } else {
        (tiling.rows, tiling.columns)
    };
    let tiles = row_tiles * column_tiles * c.batches;
    let splits = splits(cx.target(), &c, tiles);
    let (segments, segment_len) = match c.segments {
        Segments::Fixed { count, length, .. } | Segments::Partial { count, length, .. } => {
            (count, length)
        }
        Segments::Free { k } => {
            let length = k.div_ceil(splits).next_multiple_of(4);
            (k.div_ceil(length), length)
        }
    };
    let segments_per_split = segments.div_ceil(splits);
    let splits = segments.div_ceil(segments_per_split);
    let step = variant.step();
    let k_tail = c.segments.has_tail(segment_len, step);
    let elements = out.ty.elements();
    let target = if splits == 1 {
        out.clone()
    } else {
        cx.scratch(TensorType::f32([splits, elements]))
    };
    let terms = c.segments.terms(c.batches);
    let loads = |extent: usize| (row_tiles * column_tiles * extent * terms.div_ceil(4)) as u64;
    let flag = |on: bool| f64::from(u8::from(on));
    let mut launch = Launch::new(if broadcast { c.broadcast } else { c.tiled })
        .read("a", c.a.value, loads(a_extent))
        .read("b", c.b.value, loads(b_extent))
        .write("out", target.value)
        .constant("A_VEC4", flag(c.a_layout.vec4))
        .constant("A_K_CONTIGUOUS", flag(c.a_layout.k_contiguous))
        .constant("B_VEC4", flag(c.b_layout.vec4))
        .constant("B_K_CONTIGUOUS", flag(c.b_layout.k_contiguous))
        .constant("K_TAIL", flag(k_tail))
        .constant("TRANSPOSE_OUT", flag(c.transpose_out))
        .constant("SWAP_OPERANDS", flag(tiling.swap))
        .param("column_tiles", column_tiles)
        .param("row_tiles", row_tiles)
        .param("batches", c.batches)
        .param("splits", splits)
        .param("m", c.m)
        .param("n", c.n)
        .param("segments", segments)
        .param("segment_len", segment_len)
        .param("segments_per_split", segments_per_split)
        .param("result_elements", elements)
        .workgroups((tiles * splits) as u64)
        .flops(2 * (c.m * c.n) as u64 * terms as u64);
    let (rows, columns) = match tiling.swap {
        true => (c.b_layout, c.a_layout),
        false => (c.a_layout, c.b_layout),
    };
    launch = match variant.kernel {
        Kernel::Broadcast(_, lanes) => launch
            .swap("shared/subgroup_8", lanes)
            .constant("TILE_ROWS", tiling.rows as f64)
            .constant("TILE_COLUMNS", tiling.columns as f64)
            .constant("SHORT_SEGMENTS", flag(tiling.short_segments)),
        Kernel::Tiled(tile) => launch.swap("shared/tile_64", tile),
        Kernel::Cooperative(files) => COOPERATIVE_128.iter().zip(files).fold(
            launch
                .swap("shared/contraction_tiled", "shared/contraction_cooperative")
                .constant("ROWS_ACROSS", flag(rows.fetched_across()))
                .constant("COLUMNS_ACROSS", flag(columns.fetched_across())),
            |launch, (import, file)| launch.swap(import, file),
        ),
    };
    // Cooperative matrices are rounded when they are written to workgroup memory.
    if !matches!(variant.kernel, Kernel::Cooperative(_)) {
        launch = launch.round(cx.target().precision, &["a", "b"]);
    }
    launch = launch.params(c.params);
    for (name, value) in c.constants {
        launch = launch.constant(name, value);
    }
    // The last axis of the result decides how it is stored; partial sums are stored as matrices.
    let innermost = if splits == 1 {
        out.ty.shape.last()
    } else if c.transpose_out {
        c.m
    } else {
        c.n
    };
    if !innermost.is_multiple_of(4) {
        launch = launch.swap("shared/store_vec4", "shared/store_scalar");
    }
    if splits > 1 {
        cx.launch(launch)?;
        launch = sum_splits(cx.target(), &target, out, splits);
    }
    if last {
        cx.launch_with_epilogue(launch)
    } else {
        cx.launch(launch)
    }
}

/// The second stage: sums the splits in `partials` in a fixed order.
pub(super) fn sum_splits(target: &Target, partials: &Arg, out: &Arg, splits: usize) -> Launch {
    let len = out.ty.elements();
    let vec4s = len.div_ceil(4);
    let launch = Launch::new("shared/split_sum")
        .read("a", partials.value, partials.vec4s())
        .write("out", out.value)
        .constant("LEN_VEC4", f64::from(u8::from(len.is_multiple_of(4))))
        .param("outer", 1_usize)
        .param("length", splits)
        .param("inner", vec4s)
        .param("splits", 1_usize)
        .param("len", len);
    let variant = if columns::suits_workgroups(target, splits) {
        columns::WORKGROUP
    } else {
        columns::INVOCATION
    };
    let mut launch = columns::divided(launch, variant, 1, vec4s);
    if !out.ty.shape.last().is_multiple_of(4) {
        launch = launch.swap("shared/store_vec4", "shared/store_scalar");
    }
    launch
}
