//! A launch, one dispatch of a kernel, as plain data.

use super::ValueId;
use crate::graph::Precision;
use crate::shader::Shader;
use crate::tensor::Half;
use std::borrow::Cow;

/// Maximum number of iterations per invocation, over all loops: llvmpipe of Mesa 22 silently stops at 65,535.
pub const MAX_LOOP_ITERATIONS: usize = 65_000;

/// A parameter's value. Shaders name their parameters; the planner packs them by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// `u32`
    U32(u32),
    /// `i32`
    I32(i32),
    /// `f32`
    F32(f32),
}

impl From<u32> for Scalar {
    fn from(x: u32) -> Self {
        Scalar::U32(x)
    }
}

impl From<usize> for Scalar {
    /// The conversion never overflows: the graph rejects tensors of 2^31 elements or more.
    fn from(x: usize) -> Self {
        Scalar::U32(x as u32)
    }
}

impl From<i32> for Scalar {
    fn from(x: i32) -> Self {
        Scalar::I32(x)
    }
}

impl From<f32> for Scalar {
    fn from(x: f32) -> Self {
        Scalar::F32(x)
    }
}

/// How a kernel accesses an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes every element.
    Write,
    /// Reads and writes it element by element, in place.
    ReadWrite,
}

/// A value bound to a variable of the shader.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// Name of the variable in the shader.
    pub name: String,
    /// The value.
    pub value: ValueId,
    /// Read, written, or both.
    pub access: Access,
    /// Number of `vec4` loads from it in the whole launch; decides whether a texture view pays off.
    pub loads: u64,
    /// Whether the launch reads it through a texture view. Set by the planner.
    pub texture: bool,
}

/// One dispatch of one kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// What it computes, for dumps and profiles.
    pub label: String,
    /// Kernel.
    pub shader: Shader,
    /// Bound values.
    pub operands: Vec<Binding>,
    /// Parameters by name, except for `first_workgroup`, which the planner sets.
    pub params: Vec<(Cow<'static, str>, Scalar)>,
    /// Number of workgroups; the planner folds them into a grid that the adapter allows.
    pub workgroups: u64,
    /// Floating-point operations, for benchmarks; 0 if not counted.
    pub flops: u64,
}

impl Launch {
    /// A launch of the file at `shader` under `shaders/`.
    pub fn new(shader: &str) -> Self {
        Self::of(Shader::file(shader))
    }

    /// A launch of `shader`.
    pub fn of(shader: Shader) -> Self {
        Launch {
            label: shader.name.clone(),
            shader,
            operands: Vec::new(),
            params: Vec::new(),
            workgroups: 1,
            flops: 0,
        }
    }

    fn operand(mut self, name: &str, value: ValueId, access: Access, loads: u64) -> Self {
        self.operands.push(Binding {
            name: name.to_string(),
            value,
            access,
            loads,
            texture: false,
        });
        self
    }

    /// Binds `value` for reading; `loads` is the number of `vec4` loads from it in the whole launch.
    pub fn read(self, name: &str, value: ValueId, loads: u64) -> Self {
        self.operand(name, value, Access::Read, loads)
    }

    /// Binds `value` for writing.
    pub fn write(self, name: &str, value: ValueId) -> Self {
        self.operand(name, value, Access::Write, 0)
    }

    /// Binds `value` for an update in place.
    pub fn read_write(self, name: &str, value: ValueId) -> Self {
        self.operand(name, value, Access::ReadWrite, 0)
    }

    /// Sets a field of the shader's `Params`.
    pub fn param(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Scalar>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// Sets several fields of the shader's `Params`.
    pub fn params(mut self, params: Vec<(&'static str, Scalar)>) -> Self {
        let named = params.into_iter().map(|(name, value)| (name.into(), value));
        self.params.extend(named);
        self
    }

    /// Sets a pipeline-overridable constant.
    pub fn constant(mut self, name: &str, value: impl Into<f64>) -> Self {
        self.shader.constant(name, value.into());
        self
    }

    /// Uses the file `other` wherever the shader imports `import`.
    pub fn swap(mut self, import: &str, other: &str) -> Self {
        self.shader.swap(import, other);
        self
    }

    /// Reads the operands `names` as `precision` rounds them.
    pub fn round(mut self, precision: Precision, names: &[&str]) -> Self {
        let Some(half) = precision.half() else {
            return self;
        };
        for name in names {
            self.shader.round(name);
        }
        match half {
            Half::F16 => self,
            Half::Bf16 => self.swap("shared/rounded", "shared/rounded_bf16"),
        }
    }

    /// Sets the number of workgroups.
    pub fn workgroups(mut self, workgroups: u64) -> Self {
        self.workgroups = workgroups;
        self
    }

    /// Sets the number of workgroups of `size` invocations needed for `invocations` invocations.
    pub fn invocations(self, invocations: usize, size: usize) -> Self {
        self.workgroups(invocations.div_ceil(size).max(1) as u64)
    }

    /// Sets the number of floating-point operations.
    pub fn flops(mut self, flops: u64) -> Self {
        self.flops = flops;
        self
    }
}
