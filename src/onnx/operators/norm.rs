//! Normalizations.

use super::conv::{channels_last, image};
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::nn::{BatchNormParts, batch_norm};
use crate::onnx::call::{Call, axes_of, axis_of, refused};
use crate::onnx::element::Element;
use crate::onnx::value::{Held, NodeValue};

pub const OPERATORS: &[Operator] = &[
    operator("BatchNormalization", batch),
    operator("InstanceNormalization", |call| {
        let value = call.input(0)?;
        let (weight, bias) = (call.var(1)?, call.var(2)?);
        let channels = value.dims.get(1).copied().unwrap_or(0);
        let x = channels_last(call, &value)?;
        let y = x.group_norm(channels, weight, bias, epsilon(call))?;
        Ok(image(&value, y))
    }),
    operator("GroupNormalization", group),
    operator("LayerNormalization", layer),
    operator("RMSNormalization", |call| {
        let (value, x, [outer, inner]) = rows(call, -1)?;
        let weight = call.input(1)?;
        let y = x
            .reshape([outer, inner])?
            .rms_norm(call.float("epsilon", 1e-5))?;
        let y = y
            .reshape(value.dims.clone())?
            .mul(call.walk.var(&weight)?)?;
        Ok(vec![NodeValue::live(value.element, y)])
    }),
    operator("LRN", |call| {
        let value = call.input(0)?;
        let size = call.int("size", 1).max(0) as usize;
        if size.is_multiple_of(2) {
            return Err(refused("windows of an even size are not supported"));
        }
        let x = channels_last(call, &value)?;
        let (alpha, beta) = (
            call.float("alpha", f64::from(0.0001_f32)),
            call.float("beta", 0.75),
        );
        let y = x.local_response_norm(size, alpha, beta, call.float("bias", 1.0))?;
        Ok(image(&value, y))
    }),
    operator("MeanVarianceNormalization", mean_variance),
];

fn epsilon(call: &Call<'_, '_, '_>) -> f64 {
    call.float("epsilon", f64::from(1e-5_f32))
}

fn batch<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let value = call.input(0)?;
    if value.rank() < 2 {
        return Err(refused(format!("{:?} has no channels", value.dims)));
    }
    let [weight, bias, mean, variance] = [call.var(1)?, call.var(2)?, call.var(3)?, call.var(4)?];
    let (eps, momentum) = (epsilon(call), call.float("momentum", f64::from(0.9_f32)));
    let x = channels_last(call, &value)?;
    if call.int("training_mode", 0) == 1 && call.walk.follows_file {
        return of_this_batch(
            call,
            &value,
            x,
            [weight, bias, mean, variance],
            eps,
            momentum,
        );
    }
    let parts = BatchNormParts {
        weight,
        bias,
        mean,
        variance,
    };
    let name = match call.input(1)?.place {
        Held::Stored { name, .. } => Some(format!("{}{name}", call.walk.prefix)),
        _ => None,
    };
    let is_stored = |at: usize| {
        matches!(
            call.optional(at).map(|v| &v.place),
            Some(Held::Stored { .. })
        )
    };
    let has_statistics = is_stored(3) && is_stored(4);
    let y = match call.walk.cx.as_mut() {
        Some(cx) => {
            let is_frozen = !has_statistics || name.is_some_and(|name| cx.is_frozen(&name));
            batch_norm(cx, x, parts, eps, 1.0 - momentum, is_frozen)?
        }
        None => {
            let small = call.constant(eps);
            let deviation = variance.add(small)?.sqrt()?;
            x.normalize(mean, weight.div(deviation)?, bias)?
        }
    };
    Ok(image(&value, y))
}

/// A node that is to normalize by its own batch also outside of training: result, and the next running statistics.
fn of_this_batch<'g>(
    call: &mut Call<'_, '_, 'g>,
    value: &NodeValue<'g>,
    x: Var<'g>,
    [weight, bias, mean, variance]: [Var<'g>; 4],
    eps: f64,
    momentum: f64,
) -> Built<'g> {
    let channels = x.shape().last();
    let moments = x.moments(0, None)?;
    let part = |i: usize| moments.slice_axis(0, i..i + 1)?.reshape([channels]);
    let (own_mean, own_variance) = (part(0)?, part(1)?);
    let deviation = own_variance.add(call.constant(eps))?.sqrt()?;
    let y = x.normalize(own_mean, weight.div(deviation)?, bias)?;
    let mut results = image(value, y);
    for (running, own) in [(mean, own_mean), (variance, own_variance)] {
        let next = running.scale(momentum)?.add(own.scale(1.0 - momentum)?)?;
        results.push(NodeValue::live(value.element, next));
    }
    Ok(results)
}

fn group<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let value = call.input(0)?;
    let channels = value.dims.get(1).copied().unwrap_or(0);
    let groups = call.int("num_groups", 1).max(0) as usize;
    let mut parts = [call.var(1)?, call.var(2)?];
    for part in &mut parts {
        // Up to version 20 there is one number for each group.
        let count = part.shape().elements();
        if count == groups && groups != channels && groups > 0 {
            let each = channels / groups;
            *part = part
                .reshape([groups, 1])?
                .broadcast_to(&[groups, each].into())?
                .reshape([channels])?;
        }
    }
    let x = channels_last(call, &value)?;
    let y = x.group_norm(groups, parts[0], parts[1], epsilon(call))?;
    Ok(image(&value, y))
}

/// Operand 0 with the number of its rows, and their length, from the attribute `axis` on.
fn rows<'g>(
    call: &mut Call<'_, '_, 'g>,
    default: i64,
) -> Result<(NodeValue<'g>, Var<'g>, [usize; 2])> {
    let value = call.input(0)?;
    let axis = axis_of(call.int("axis", default), value.rank())?;
    let x = call.walk.var(&value)?;
    let outer = value.dims[..axis].iter().product();
    let inner = value.dims[axis..].iter().product();
    Ok((value, x, [outer, inner]))
}

fn layer<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let (value, x, [outer, inner]) = rows(call, -1)?;
    let axis = axis_of(call.int("axis", -1), value.rank())?;
    let eps = epsilon(call);
    let weight = call.input(1)?;
    let weight_var = call.walk.var(&weight)?;
    let bias = call.optional(2).cloned();
    let bias = bias.map(|bias| call.walk.var(&bias)).transpose()?;
    let flat = x.reshape([outer, inner])?;
    let y = match bias {
        Some(bias) if weight.elements() == inner && bias.shape().elements() == inner => {
            let (w, b) = (weight_var.reshape([inner])?, bias.reshape([inner])?);
            flat.layer_norm_affine(w, b, eps)?
                .reshape(value.dims.clone())?
        }
        _ => {
            let y = flat
                .layer_norm(eps)?
                .reshape(value.dims.clone())?
                .mul(weight_var)?;
            match bias {
                Some(bias) => y.add(bias)?,
                None => y,
            }
        }
    };
    let mut results = vec![NodeValue::live(value.element, y)];
    if call.node.output.len() > 1 {
        let mut dims = value.dims.clone();
        dims[axis..].fill(1);
        let share = 1.0 / inner as f64;
        let mean = flat.sum_keep(&[1])?.scale(share)?;
        let distance = flat.sub(mean)?;
        let variance = distance.mul(distance)?.sum_keep(&[1])?.scale(share)?;
        let deviation = variance.add(call.constant(eps))?.sqrt()?;
        let inverse = call.constant(1.0).div(deviation)?;
        for part in [mean, inverse] {
            results.push(NodeValue::live(Element::Float, part.reshape(dims.clone())?));
        }
    }
    Ok(results)
}

fn mean_variance<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let x = call.var(0)?;
    let element = call.input(0)?.element;
    let axes = call.ints("axes").unwrap_or_else(|| vec![0, 2, 3]);
    let axes = axes_of(&axes, x.shape().rank())?;
    let count: usize = axes.iter().map(|&a| x.shape().dims()[a]).product();
    let mean = |v: Var<'g>| v.sum_keep(&axes)?.scale(1.0 / count as f64);
    let distance = x.sub(mean(x)?)?;
    let deviation = mean(distance.mul(distance)?)?.sqrt()?;
    let small = call.constant(1e-9);
    let y = distance.div(deviation.add(small)?)?;
    Ok(vec![NodeValue::live(element, y)])
}
