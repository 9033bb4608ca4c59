//! Sums of products over named axes: Einstein's notation.

use super::axes::picked;
use super::matmul::product;
use super::{Built, Operator, operator};
use crate::error::Result;
use crate::graph::Var;
use crate::onnx::call::{Call, refused};
use crate::onnx::value::NodeValue;
use std::collections::HashMap;

pub const OPERATORS: &[Operator] = &[operator("Einsum", einsum)];

/// A tensor whose axes have names.
struct Term<'g> {
    var: Var<'g>,
    labels: Vec<char>,
}

/// The names of the axes that `...` stands for, the last one last.
const UNNAMED: [char; 8] = ['0', '1', '2', '3', '4', '5', '6', '7'];

fn einsum<'g>(call: &mut Call<'_, '_, 'g>) -> Built<'g> {
    let equation: String = call.text("equation", "").replace(' ', "");
    let element = call.input(0)?.element;
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left.to_string(), Some(right.to_string())),
        None => (equation.clone(), None),
    };
    let wrong = || refused(format!("its equation {equation} does not fit its operands"));
    let texts: Vec<&str> = left.split(',').collect();
    if texts.len() != call.inputs.len() {
        return Err(wrong());
    }
    let mut extents: HashMap<char, usize> = HashMap::new();
    let mut terms = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let var = call.var(at)?;
        let labels = labels(text, var.shape().rank()).ok_or_else(wrong)?;
        let term = without_repeats(call, Term { var, labels })?;
        for (&label, &extent) in term.labels.iter().zip(term.var.shape().dims()) {
            let known = extents.entry(label).or_insert(extent);
            match (*known, extent) {
                (a, b) if a == b || b == 1 => {}
                (1, _) => *known = extent,
                _ => return Err(wrong()),
            }
        }
        terms.push(term);
    }
    let result: Vec<char> = match right {
        Some(right) => {
            let unnamed = UNNAMED.iter().filter(|c| extents.contains_key(c)).count();
            let named = right.replace("...", "").chars().count();
            labels(
                &right,
                named + if right.contains("...") { unnamed } else { 0 },
            )
            .ok_or_else(wrong)?
        }
        None => {
            let count = |label: char| left.matches(label).count();
            let mut once: Vec<char> = extents
                .keys()
                .copied()
                .filter(|&c| c.is_alphabetic() && count(c) == 1)
                .collect();
            once.sort_unstable();
            let mut unnamed: Vec<char> = UNNAMED
                .into_iter()
                .filter(|c| extents.contains_key(c))
                .collect();
            unnamed.extend(once);
            unnamed
        }
    };
    if result.iter().any(|label| !extents.contains_key(label)) {
        return Err(wrong());
    }
    let mut terms = terms.into_iter();
    let mut sum = terms.next().ok_or_else(wrong)?;
    let mut rest: Vec<Term<'g>> = terms.collect();
    while !rest.is_empty() {
        let next = rest.remove(0);
        let wanted = |label: &char| {
            result.contains(label) || rest.iter().any(|term| term.labels.contains(label))
        };
        sum = contracted(sum, next, &extents, &wanted)?;
    }
    // What is left to sum, and the order.
    let gone: Vec<usize> = (0..sum.labels.len())
        .filter(|&a| !result.contains(&sum.labels[a]))
        .collect();
    let var = match gone.is_empty() {
        true => sum.var,
        false => sum.var.sum(&gone)?,
    };
    let kept: Vec<char> = sum
        .labels
        .into_iter()
        .filter(|l| result.contains(l))
        .collect();
    let place = |label: &char| kept.iter().position(|own| own == label);
    let axes: Option<Vec<usize>> = result.iter().map(place).collect();
    let var = var.permute(&axes.ok_or_else(wrong)?)?;
    Ok(vec![NodeValue::live(element, var)])
}

/// One name for each of `rank` axes.
fn labels(text: &str, rank: usize) -> Option<Vec<char>> {
    let Some((before, after)) = text.split_once("...") else {
        let labels: Vec<char> = text.chars().collect();
        let named = labels.iter().all(|c| c.is_alphabetic());
        return (labels.len() == rank && named).then_some(labels);
    };
    let named = before.chars().count() + after.chars().count();
    let unnamed = rank.checked_sub(named).filter(|&n| n <= UNNAMED.len())?;
    let mut labels: Vec<char> = before.chars().collect();
    labels.extend(&UNNAMED[UNNAMED.len() - unnamed..]);
    labels.extend(after.chars());
    Some(labels)
}

/// `term` with the diagonals of axes of one name.
fn without_repeats<'g>(call: &mut Call<'_, '_, 'g>, term: Term<'g>) -> Result<Term<'g>> {
    let Term { var, labels } = term;
    let mut unique: Vec<char> = Vec::new();
    for &label in &labels {
        if !unique.contains(&label) {
            unique.push(label);
        }
    }
    if unique.len() == labels.len() {
        return Ok(Term { var, labels });
    }
    let shape = var.shape();
    let strides = shape.strides();
    let mut dims = Vec::new();
    let mut steps = Vec::new();
    for label in &unique {
        let axes = || (0..labels.len()).filter(|&a| labels[a] == *label);
        dims.push(axes().map(|a| shape.dims()[a]).min().unwrap_or(1));
        steps.push(axes().map(|a| strides[a]).sum::<usize>());
    }
    let own = crate::tensor::Shape::from(&dims[..]);
    let strides = own.strides();
    let place = |i: usize| -> usize {
        (0..dims.len())
            .map(|a| i / strides[a] % dims[a] * steps[a])
            .sum()
    };
    let at: Vec<usize> = (0..own.elements()).map(place).collect();
    let var = picked(call, var, &at, &dims)?;
    Ok(Term {
        var,
        labels: unique,
    })
}

/// The product of two terms, summed over the axes of both that nothing else wants.
fn contracted<'g>(
    a: Term<'g>,
    b: Term<'g>,
    extents: &HashMap<char, usize>,
    wanted: &dyn Fn(&char) -> bool,
) -> Result<Term<'g>> {
    let both = |label: &char| a.labels.contains(label) && b.labels.contains(label);
    let batch: Vec<char> = a
        .labels
        .iter()
        .copied()
        .filter(|l| both(l) && wanted(l))
        .collect();
    let inner: Vec<char> = a
        .labels
        .iter()
        .copied()
        .filter(|l| both(l) && !wanted(l))
        .collect();
    let rows: Vec<char> = a.labels.iter().copied().filter(|l| !both(l)).collect();
    let columns: Vec<char> = b.labels.iter().copied().filter(|l| !both(l)).collect();
    let size = |labels: &[char]| labels.iter().map(|l| extents[l]).product::<usize>();
    let arranged = |term: &Term<'g>, parts: [&[char]; 3]| {
        let order: Vec<char> = parts.concat();
        let axes: Vec<usize> = order
            .iter()
            .map(|l| term.labels.iter().position(|own| own == l).unwrap_or(0))
            .collect();
        let var = term.var.permute(&axes)?;
        let full: Vec<usize> = order.iter().map(|l| extents[l]).collect();
        let var = match var.shape().dims() == full {
            true => var,
            false => var.broadcast_to(&full.into())?,
        };
        var.reshape(parts.map(size).to_vec())
    };
    let left = arranged(&a, [&batch, &rows, &inner])?;
    let right = arranged(&b, [&batch, &inner, &columns])?;
    let y = product(left, right)?;
    let labels = [batch, rows, columns].concat();
    let dims: Vec<usize> = labels.iter().map(|l| extents[l]).collect();
    Ok(Term {
        var: y.reshape(dims)?,
        labels,
    })
}
