//! Files of weights, in whatever format.

use super::stored::StoredTensor;
use super::{formats, gpt2};
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::nn::parameter::Parameter;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Why a tensor of a file is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The file has no tensor of this name.
    Absent,
    /// It has another shape.
    Shape {
        /// Shape in the file.
        file: Vec<usize>,
        /// Shape that the model needs in a file.
        model: Vec<usize>,
    },
    /// It is not a floating-point tensor, but has this type.
    Type(String),
    /// No parameter of the model has this name.
    NotInModel,
    /// The model ties it to the weight of this name, which has different values in the file.
    Tied(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Absent => f.write_str("the file does not have it"),
            Reason::Shape { file, model } => {
                write!(f, "it is {file:?} in the file but {model:?} in the model")
            }
            Reason::Type(dtype) => {
                write!(f, "it has type {dtype}, not F32, F16, BF16 or F64")
            }
            Reason::NotInModel => f.write_str("the model does not have it"),
            Reason::Tied(weight) => write!(
                f,
                "the model ties it to {weight}, which has different values in the file"
            ),
        }
    }
}

/// The tensors of a file.
pub(super) struct WeightFile<'p> {
    path: &'p Path,
    tensors: BTreeMap<String, StoredTensor>,
}

impl<'p> WeightFile<'p> {
    /// Reads the file at `path`, whose format is seen in its content.
    ///
    /// # Errors
    /// If it can't be read, is damaged, or has none of the known formats.
    pub fn read(path: &'p Path) -> Result<WeightFile<'p>> {
        let mut tensors = formats::read(path)?;
        gpt2::rearrange(&mut tensors);
        Ok(WeightFile { path, tensors })
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn holds(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Whether the file has tensors of both names, with different values.
    pub fn differ(&self, one: &str, other: &str) -> bool {
        let both = self.tensors.get(one).zip(self.tensors.get(other));
        both.is_some_and(|(one, other)| one != other)
    }

    /// The tensor `name` as the value of `parameter`, or why it does not fit.
    ///
    /// # Errors
    /// If it fits but has values that are not finite.
    pub fn read_tensor(
        &self,
        name: &str,
        parameter: &Parameter,
    ) -> Result<Result<Tensor<f32>, Reason>> {
        let Some(stored) = self.tensors.get(name) else {
            return Ok(Err(Reason::Absent));
        };
        let shape = parameter.file_shape();
        if stored.shape != shape.dims() {
            return Ok(Err(Reason::Shape {
                file: stored.shape.clone(),
                model: shape.dims().to_vec(),
            }));
        }
        let refused =
            |what: String| Error::Config(format!("{}: {name} holds {what}", self.path.display()));
        let Some(values) = stored.floats().map_err(&refused)? else {
            return Ok(Err(Reason::Type(stored.ty.to_string())));
        };
        if let Some(wrong) = values.iter().find(|value| !value.is_finite()) {
            return Err(refused(format!(
                "{wrong}, which is not finite; use weights of a successful training run"
            )));
        }
        Ok(Ok(parameter.from_file(&values)))
    }
}
