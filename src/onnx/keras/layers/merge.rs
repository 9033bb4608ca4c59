//! Layers that merge several values, and arithmetic between values.

use super::{Class, KerasSite, Made, class};
use crate::onnx::keras::net::{KerasValue, int};

pub(super) const CLASSES: &[Class] = &[
    class("Add", |site| chain(site, "Add")),
    class("Multiply", |site| chain(site, "Mul")),
    class("Subtract", |site| chain(site, "Sub")),
    class("Divide", |site| chain(site, "Div")),
    class("TrueDivide", |site| chain(site, "Div")),
    class("Average", |site| all(site, "Mean")),
    class("Maximum", |site| all(site, "Max")),
    class("Minimum", |site| all(site, "Min")),
    class("Concatenate", concatenate),
];

/// All operands.
fn operands(site: &mut KerasSite<'_, '_>) -> Result<Vec<KerasValue>, String> {
    let operands = (0..site.call.inputs.len()).map(|at| site.operand(at));
    let operands = operands.collect::<Result<Vec<KerasValue>, String>>()?;
    match operands.is_empty() {
        true => Err("reads nothing; save the model again".to_string()),
        false => Ok(operands),
    }
}

fn chain(site: &mut KerasSite<'_, '_>, op: &str) -> Made {
    let operands = operands(site)?;
    let rank = operands.iter().map(|x| x.rank).max().unwrap_or(0);
    let mut operands = operands.into_iter();
    let first = operands.next().map(|x| x.name).unwrap_or_default();
    let name = operands.fold(first, |sum, x| {
        site.net.node(op, &[&sum, &x.name], Vec::new())
    });
    Ok(KerasValue { name, rank })
}

fn all(site: &mut KerasSite<'_, '_>, op: &str) -> Made {
    let operands = operands(site)?;
    let rank = operands.iter().map(|x| x.rank).max().unwrap_or(0);
    let names: Vec<&str> = operands.iter().map(|x| x.name.as_str()).collect();
    Ok(KerasValue {
        name: site.net.node(op, &names, Vec::new()),
        rank,
    })
}

fn concatenate(site: &mut KerasSite<'_, '_>) -> Made {
    let operands = site.tensors();
    let rank = operands.first().map_or(0, |x| x.rank);
    let names: Vec<&str> = operands.iter().map(|x| x.name.as_str()).collect();
    let axis = site.number("axis", -1.0) as i64;
    Ok(KerasValue {
        name: site.net.node("Concat", &names, vec![int("axis", axis)]),
        rank,
    })
}
