//! Reading weights from a safetensors file.

use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::nn::parameter::Parameter;
use crate::tensor_file;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
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
pub(super) struct WeightFile<'b> {
    path: &'b Path,
    tensors: SafeTensors<'b>,
}

impl<'b> WeightFile<'b> {
    /// From the `bytes` of the file at `path`.
    pub fn open(path: &'b Path, bytes: &'b [u8]) -> Result<WeightFile<'b>> {
        if is_pickled(bytes) && SafeTensors::deserialize(bytes).is_err() {
            return Err(pickled(path));
        }
        let (tensors, _) = tensor_file::open(path, bytes)?;
        Ok(WeightFile { path, tensors })
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names = self.tensors.names();
        names.sort_unstable();
        names
    }

    pub fn holds(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// Whether the file has tensors of both names, with different values.
    pub fn differ(&self, one: &str, other: &str) -> bool {
        let both = (self.tensors.tensor(one), self.tensors.tensor(other));
        match both {
            (Ok(one), Ok(other)) => {
                (one.dtype(), one.shape(), one.data())
                    != (other.dtype(), other.shape(), other.data())
            }
            _ => false,
        }
    }

    /// The tensor `name` as the value of `parameter`, or why it does not fit.
    ///
    /// # Errors
    /// If it fits but has values that are not finite.
    pub fn read(&self, name: &str, parameter: &Parameter) -> Result<Result<Tensor<f32>, Reason>> {
        let Ok(view) = self.tensors.tensor(name) else {
            return Ok(Err(Reason::Absent));
        };
        let shape = parameter.file_shape();
        if view.shape() != shape.dims() {
            return Ok(Err(Reason::Shape {
                file: view.shape().to_vec(),
                model: shape.dims().to_vec(),
            }));
        }
        let refused =
            |what: String| Error::Config(format!("{}: {name} holds {what}", self.path.display()));
        let Some(values) = floats(&view).map_err(&refused)? else {
            return Ok(Err(Reason::Type(format!("{:?}", view.dtype()))));
        };
        if let Some(wrong) = values.iter().find(|value| !value.is_finite()) {
            return Err(refused(format!(
                "{wrong}, which is not finite; use weights of a successful training run"
            )));
        }
        Ok(Ok(parameter.from_file(&values)))
    }
}

/// The elements of `view` in single precision; `None` if they are not floating-point numbers.
///
/// # Errors
/// Names a finite number that is out of range for single precision.
fn floats(view: &TensorView<'_>) -> Result<Option<Vec<f32>>, String> {
    let halves = view.data().chunks_exact(2).map(|b| [b[0], b[1]]);
    let singles = view.data().chunks_exact(4);
    let doubles = view.data().chunks_exact(8);
    Ok(Some(match view.dtype() {
        Dtype::F16 => halves.map(|b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => halves.map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
        Dtype::F32 => singles
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        Dtype::F64 => doubles
            .map(|b| {
                let double = f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
                let single = double as f32;
                match double.is_finite() && single.is_infinite() {
                    true => Err(format!(
                        "{double:e}, which is out of range for 32-bit floats"
                    )),
                    false => Ok(single),
                }
            })
            .collect::<Result<_, _>>()?,
        _ => return Ok(None),
    }))
}

/// Whether `bytes`, which are not a safetensors file, were written by `torch.save` or Python's `pickle`.
fn is_pickled(bytes: &[u8]) -> bool {
    // A zip archive whose first entry is NAME/data.pkl, or a pickle of protocol 2 to 5.
    const PROTOCOL: u8 = 0x80;
    let start = &bytes[..bytes.len().min(512)];
    let archive = start.starts_with(b"PK\x03\x04") && start.windows(8).any(|w| w == b"data.pkl");
    archive || matches!(start, [PROTOCOL, 2..=5, ..])
}

fn pickled(path: &Path) -> Error {
    let from = path.display();
    let to = path.with_extension("safetensors");
    Error::Config(format!(
        "{from} is a Python pickle, as written by torch.save, which is refused because reading it could run arbitrary code; \
         convert it: python -c \"import torch, safetensors.torch as s; d = torch.load('{from}', map_location='cpu', \
         weights_only=True); d = d.get('state_dict', d); s.save_file({{k: v.clone().contiguous() for k, v in d.items()}}, '{}')\"",
        to.display()
    ))
}
