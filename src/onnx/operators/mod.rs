//! The operators of ONNX, by families. Each builds nodes of the graph for one node of a file.

mod activation;
mod arithmetic;
mod attention;
mod axes;
mod branch;
mod conv;
mod einsum;
mod index;
mod logic;
mod matmul;
mod norm;
mod parts;
mod pool;
mod quantize;
mod recurrent;
mod reduce;
mod resize;
mod search;
mod shape;

pub use branch::branch;
pub use shape::MOST_ON_HOST;

use super::call::Call;
use super::value::NodeValue;
use crate::error::Result;

/// Results of a node.
pub type Built<'g> = Result<Vec<NodeValue<'g>>>;

/// An operator.
pub struct Operator {
    /// Its name in files.
    pub name: &'static str,
    /// Builds a node.
    pub build: for<'c, 'w, 'g> fn(&mut Call<'c, 'w, 'g>) -> Built<'g>,
}

/// An operator of a family.
const fn operator(
    name: &'static str,
    build: for<'c, 'w, 'g> fn(&mut Call<'c, 'w, 'g>) -> Built<'g>,
) -> Operator {
    Operator { name, build }
}

/// All families.
const FAMILIES: [&[Operator]; 18] = [
    activation::OPERATORS,
    arithmetic::OPERATORS,
    attention::OPERATORS,
    conv::OPERATORS,
    einsum::OPERATORS,
    index::OPERATORS,
    logic::OPERATORS,
    matmul::OPERATORS,
    norm::OPERATORS,
    parts::OPERATORS,
    pool::OPERATORS,
    quantize::OPERATORS,
    recurrent::OPERATORS,
    reduce::OPERATORS,
    resize::OPERATORS,
    search::OPERATORS,
    shape::OPERATORS,
    branch::OPERATORS,
];

/// All operators.
pub fn all() -> impl Iterator<Item = &'static Operator> {
    FAMILIES.into_iter().flatten()
}

/// The operator `name`, if it is supported.
pub fn find(name: &str) -> Option<&'static Operator> {
    all().find(|operator| operator.name == name)
}
