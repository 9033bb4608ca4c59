//! Scaled dot-product attention with heads, masks and a cache of earlier keys and values.

use super::matmul::product;
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, refused};
use crate::onnx::element::Element;
use crate::onnx::value::NodeValue;

pub const OPERATORS: &[Operator] = &[operator("Attention", attention)];

/// Half of the lowest `f32`: a sum of masks below it hides a key.
const HIDDEN: f64 = -1.7e38;

fn attention<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let query = call.input(0)?;
    let is_flat = query.rank() == 3;
    let counts = |name: &str| usize::try_from(call.int(name, 0)).unwrap_or(0);
    let (q_heads, kv_heads) = (counts("q_num_heads"), counts("kv_num_heads"));
    let (q, k, v) = (call.var(0)?, call.var(1)?, call.var(2)?);
    // [B, heads, T, size]
    let q = by_heads(q, q_heads)?;
    let (mut k, mut v) = (by_heads(k, kv_heads)?, by_heads(v, kv_heads)?);
    let past = match (call.optional(4).is_some(), call.optional(5).is_some()) {
        (true, true) => {
            let (keys, values) = (call.var(4)?, call.var(5)?);
            if keys.shape().rank() != 4 || values.shape().rank() != 4 {
                return Err(refused("its past keys and values must have four axes"));
            }
            let length = keys.shape().dims()[2];
            k = Var::concat(&[keys, k], 2)?;
            v = Var::concat(&[values, v], 2)?;
            Some(length)
        }
        (false, false) => None,
        _ => {
            return Err(refused(
                "it has past keys or past values without the others",
            ));
        }
    };
    let (present_k, present_v) = (k, v);
    let d = q.shape().dims().to_vec();
    let (batch, heads, rows, size) = (d[0], d[1], d[2], d[3]);
    let (kv, columns) = (k.shape().dims()[1], k.shape().dims()[2]);
    if kv == 0 || heads % kv != 0 || k.shape().dims()[3] != size {
        return Err(refused(format!(
            "queries of {:?} do not fit keys of {:?}",
            d,
            k.shape().dims()
        )));
    }
    if kv != heads {
        (k, v) = (repeated(k, heads / kv)?, repeated(v, heads / kv)?);
    }
    let scale = call.float("scale", 1.0 / (size as f64).sqrt());
    let raw = product(q.scale(scale)?, k.transpose(2, 3)?)?;
    let cap = call.float("softcap", 0.0);
    let capped = match cap > 0.0 {
        true => raw.scale(1.0 / cap)?.tanh()?.scale(cap)?,
        false => raw,
    };
    let bias = bias(call, [batch, rows, columns], past)?;
    let full = [batch, heads, rows, columns];
    let (scores, visible) = match bias {
        Some(bias) => {
            let lowest = bias.max_keep(&[bias.shape().rank() - 1])?;
            let visible = lowest.gt(call.constant(HIDDEN))?;
            (capped.add(bias)?, Some(visible))
        }
        None => (capped, None),
    };
    let mut weights = scores.softmax()?;
    if let Some(visible) = visible {
        let zero = call.constant(0.0);
        weights = visible.select(weights, zero)?.broadcast_to(&full.into())?;
    }
    let y = product(weights, v)?;
    let width = y.shape().last();
    let y = match is_flat {
        true => y
            .permute(&[0, 2, 1, 3])?
            .reshape([batch, rows, heads * width])?,
        false => y,
    };
    let shown = match call.int("qk_matmul_output_mode", 0) {
        0 => raw,
        1 => capped,
        2 => scores.broadcast_to(&full.into())?,
        _ => weights,
    };
    let element = query.element;
    Ok(vec![
        NodeValue::live(element, y),
        NodeValue::live(element, present_k),
        NodeValue::live(element, present_v),
        NodeValue::live(element, shown),
    ])
}

/// `[B, T, heads size]` as `[B, heads, T, size]`.
fn by_heads<'g>(x: Var<'g>, heads: usize) -> Result<Var<'g>> {
    let shape = x.shape();
    match *shape.dims() {
        [_, _, _, _] => Ok(x),
        [batch, time, width] if heads > 0 && width.is_multiple_of(heads) => x
            .reshape([batch, time, heads, width / heads])?
            .permute(&[0, 2, 1, 3]),
        _ => Err(refused(format!(
            "{:?} can't be divided into {heads} heads",
            shape.dims()
        ))),
    }
}

/// Every head of `x` `times` times, one after another.
fn repeated<'g>(x: Var<'g>, times: usize) -> Result<Var<'g>> {
    let d = x.shape().dims().to_vec();
    x.reshape([d[0] * d[1], 1, d[2] * d[3]])?
        .broadcast_to(&[d[0] * d[1], times, d[2] * d[3]].into())?
        .reshape([d[0], d[1] * times, d[2], d[3]])
}

/// What is added to the scores of `columns` keys for each of `rows` queries: minus infinity where a key is hidden.
fn bias<'g>(
    call: &mut Call<'_, '_, 'g>,
    [batch, rows, columns]: [usize; 3],
    past: Option<usize>,
) -> Result<Option<Var<'g>>> {
    let infinity = call.table(&[1], vec![f64::NEG_INFINITY])?;
    let zero = call.constant(0.0);
    let mut bias: Option<Var<'g>> = None;
    let mut add = |part: Var<'g>| -> Result<()> {
        bias = Some(match bias {
            Some(bias) => bias.add(part)?,
            None => part,
        });
        Ok(())
    };
    if let Some(mask) = call.optional(3).cloned() {
        let var = call.walk.var(&mask)?;
        let var = match mask.element {
            Element::Bool => var.select(zero, infinity)?,
            _ => var,
        };
        let var = match var.shape().rank() {
            0 => var.reshape([1])?,
            _ => var,
        };
        let width = var.shape().last();
        let var = match columns.checked_sub(width) {
            None | Some(0) => var,
            Some(missing) => {
                let mut dims = var.shape().dims().to_vec();
                let last = dims.len() - 1;
                dims[last] = missing;
                Var::concat(&[var, infinity.broadcast_to(&dims.into())?], last)?
            }
        };
        let rank = var.shape().rank();
        add(match rank {
            1 => var.reshape([1, columns])?,
            _ => var,
        })?;
    }
    let lengths = call.optional(6).cloned();
    let lengths = match lengths {
        Some(lengths) => Some(call.walk.var(&lengths)?.reshape([batch, 1, 1, 1])?),
        None => None,
    };
    let (left, right) = (
        call.int("left_window_size", -1),
        call.int("right_window_size", -1),
    );
    let is_causal = call.int("is_causal", 0) != 0;
    let numbers = |n: usize| (0..n).map(|i| i as f64).collect::<Vec<_>>();
    let row = call.table(&[1, 1, rows, 1], numbers(rows))?;
    let column = call.table(&[1, 1, 1, columns], numbers(columns))?;
    if is_causal || left >= 0 || right >= 0 {
        // The position of a query among the keys.
        let place = match (past, lengths) {
            (None, Some(lengths)) => row.add(lengths.sub(call.constant(rows as f64))?)?,
            (past, _) => row.add(call.constant(past.unwrap_or(0) as f64))?,
        };
        let distance = place.sub(column)?;
        let bound = |x: i64| call.constant(x as f64);
        let mut seen = Vec::new();
        if is_causal {
            seen.push(distance.ge(zero)?);
        }
        if left >= 0 {
            seen.push(distance.le(bound(left))?);
        }
        if right >= 0 {
            seen.push(distance.ge(bound(-right))?);
        }
        for seen in seen {
            add(seen.select(zero, infinity)?)?;
        }
    }
    if let Some(lengths) = lengths {
        add(column.lt(lengths)?.select(zero, infinity)?)?;
    }
    Ok(bias)
}
