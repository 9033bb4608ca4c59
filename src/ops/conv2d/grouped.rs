//! A convolution of several groups as a batch of contractions. The interleaved channels are first copied apart, so that
//! every group has its own images, and the results are copied back together. Weights are already stored group by group.

use super::{Conv2d, Extents};
use crate::error::Result;
use crate::ops::contraction::{self, Contraction};
use crate::ops::strided::{Strided, StridedAxis};
use crate::plan::{Arg, Lowering, Target};
use crate::tensor::TensorType;

/// Whether contractions are expected to be faster than the plain kernels: always where memory reads are expensive,
/// elsewhere unless the groups are so small that most of a tile would be empty (not measured).
pub(super) fn pays(conv: &Conv2d, e: &Extents, target: &Target) -> bool {
    const SMALLEST: usize = 16;
    target.software || e.one_group(conv.groups).out_channels.min(e.group_channels) >= SMALLEST
}

/// `images` `[N, H, W, C]` as `[groups, N, H, W, C / groups]`.
pub(super) fn apart(cx: &mut Lowering<'_>, images: Arg, groups: usize) -> Result<Arg> {
    let &[batch, height, width, channels] = images.dims() else {
        return Err(crate::Error::Graph(format!(
            "{} is no batch of images",
            images.ty
        )));
    };
    if groups == 1 {
        return Ok(images);
    }
    let (pixels, own) = (batch * height * width, channels / groups);
    let to = cx.scratch(TensorType::f32([groups, batch, height, width, own]));
    let copy = copy([(groups, own), (pixels, channels), (own, 1)]);
    cx.launch(copy.launch("conv2d/regroup", &images, &to))?;
    Ok(to)
}

/// Adds the launches of `c`, whose results are the channels of images, one group after another.
pub(super) fn lower(cx: &mut Lowering<'_>, groups: usize, c: Contraction) -> Result<()> {
    if groups == 1 {
        return contraction::lower(cx, c);
    }
    let own = c.n;
    let pixels = cx.output()?.ty.elements() / (groups * own);
    let from = cx.scratch(TensorType::f32([groups, pixels, own]));
    contraction::lower_part(cx, c, &from)?;
    let copy = copy([(pixels, own), (groups, pixels * own), (own, 1)]);
    let launch = copy.launch("conv2d/regroup", &from, &cx.output()?);
    cx.launch_with_epilogue(launch)
}

/// A strided copy; axes are given as (extent, stride).
fn copy(axes: [(usize, usize); 3]) -> Strided {
    let axes = axes.map(|(extent, stride)| StridedAxis { extent, stride });
    Strided {
        offset: 0,
        axes: axes.to_vec(),
    }
}
