//! Comparisons: 1 where the relation holds, 0 elsewhere, broadcasting. PyTorch `torch.lt`, `torch.le` etc., ONNX
//! `Less`, `Equal` etc. There is no gradient, as the result is constant almost everywhere.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Operand, Pointwise, Values};
use crate::cpu::Real;
use crate::error::Result;
use crate::graph::Var;
use crate::random::Stream;

/// See the module.
#[derive(Debug)]
pub struct Compare {
    /// The relation that is tested.
    pub relation: Relation,
}

/// Relation between two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `a < b`
    Less,
    /// `a <= b`
    LessEqual,
    /// `a > b`
    Greater,
    /// `a >= b`
    GreaterEqual,
    /// `a == b`
    Equal,
    /// `a != b`
    NotEqual,
}

impl Pointwise for Compare {
    const NAME: &'static str = "compare";
    const ARITY: usize = 2;

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let (a, b) = (form.input(0), form.input(1));
        let (op, is_opposite) = match self.relation {
            Relation::Less => ("Less", false),
            Relation::LessEqual => ("LessOrEqual", false),
            Relation::Greater => ("Greater", false),
            Relation::GreaterEqual => ("GreaterOrEqual", false),
            Relation::Equal => ("Equal", false),
            Relation::NotEqual => ("Equal", true),
        };
        let mut truth = form.node(op, &[&a, &b], Vec::new());
        if is_opposite {
            truth = form.node("Not", &[&truth], Vec::new());
        }
        Ok(form.real(&truth))
    }

    fn eval<T: Real>(&self, x: &[T]) -> T {
        let (a, b) = (x[0], x[1]);
        T::truth(match self.relation {
            Relation::Less => a < b,
            Relation::LessEqual => a <= b,
            Relation::Greater => a > b,
            Relation::GreaterEqual => a >= b,
            Relation::Equal => a == b,
            Relation::NotEqual => a != b,
        })
    }

    fn vjp<'g>(&self, _x: &[Var<'g>], _y: Var<'g>, _dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None, None])
    }

    fn function(&self) -> String {
        let name = match self.relation {
            Relation::Less => "op_lt",
            Relation::LessEqual => "op_le",
            Relation::Greater => "op_gt",
            Relation::GreaterEqual => "op_ge",
            Relation::Equal => "op_eq",
            Relation::NotEqual => "op_ne",
        };
        name.to_string()
    }
}

impl<'g> Var<'g> {
    /// 1 where `self < other`, 0 elsewhere, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn lt(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(
            Compare {
                relation: Relation::Less,
            },
            &[self, other],
        )
    }

    /// 1 where `self <= other`, 0 elsewhere, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn le(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(
            Compare {
                relation: Relation::LessEqual,
            },
            &[self, other],
        )
    }

    /// 1 where `self > other`, 0 elsewhere, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn gt(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(
            Compare {
                relation: Relation::Greater,
            },
            &[self, other],
        )
    }

    /// 1 where `self >= other`, 0 elsewhere, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn ge(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(
            Compare {
                relation: Relation::GreaterEqual,
            },
            &[self, other],
        )
    }

    /// 1 where `self == other`, 0 elsewhere, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn eq(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(
            Compare {
                relation: Relation::Equal,
            },
            &[self, other],
        )
    }

    /// 1 where `self != other`, 0 elsewhere, broadcasting.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn ne(self, other: Var<'g>) -> Result<Var<'g>> {
        self.builder().op(
            Compare {
                relation: Relation::NotEqual,
            },
            &[self, other],
        )
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    let relations = [
        Relation::Less,
        Relation::LessEqual,
        Relation::Greater,
        Relation::GreaterEqual,
        Relation::Equal,
        Relation::NotEqual,
    ];
    let ties = |shape: &[usize]| Operand::real(shape, Values::Ties).constant();
    let both = |relation| {
        [
            Case::new(Compare { relation }, [ties(&[5, 3]), ties(&[5, 3])]),
            Case::new(Compare { relation }, [ties(&[3, 1, 8]), ties(&[2, 1])]),
        ]
    };
    relations.into_iter().flat_map(both).collect()
}
