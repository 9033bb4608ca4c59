//! The scalar inputs of a program.

use super::Gpu;
use crate::error::Result;
use crate::plan::{Plan, ValueKind};
use crate::tensor::TensorType;

/// Maximum number of steps per submission.
pub const MAX_STEPS_PER_SUBMIT: usize = 32;

/// Usages for scalar inputs and pub(super) constants, which may be bound either way.
pub(super) const ONE_NUMBER: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::UNIFORM);

/// Scalar inputs: one row per step of a submission, and a copy of the current step's row, which kernels read.
pub(super) struct ScalarTable {
    pub names: Vec<String>,
    pub stride: u64,
    pub current: Option<wgpu::Buffer>,
    pub rows: Option<wgpu::Buffer>,
    pub host: Vec<u32>,
}

impl ScalarTable {
    pub fn new(gpu: &Gpu, plan: &Plan) -> Result<Self> {
        let stride = u64::from(gpu.target.offset_alignment.max(16));
        let names: Vec<String> = plan
            .values
            .iter()
            .filter_map(|value| match &value.kind {
                ValueKind::Input(name) if is_scalar(&value.ty) => Some(name.to_string()),
                _ => None,
            })
            .collect();
        let row = stride * names.len() as u64;
        let (mut current, mut rows) = (None, None);
        if row > 0 {
            current = Some(gpu.buffer("scalars of the step", row, ONE_NUMBER)?);
            let bytes = row * MAX_STEPS_PER_SUBMIT as u64;
            rows = Some(gpu.buffer(
                "scalars of the submission",
                bytes,
                wgpu::BufferUsages::empty(),
            )?);
        }
        let host = vec![0; row as usize / 4 * MAX_STEPS_PER_SUBMIT];
        Ok(ScalarTable {
            names,
            stride,
            current,
            rows,
            host,
        })
    }

    /// Encodes the copy that makes row `row` of the submission the current one.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, row: u64) {
        let bytes = self.stride * self.names.len() as u64;
        if let (Some(rows), Some(current)) = (&self.rows, &self.current) {
            encoder.copy_buffer_to_buffer(rows, row * bytes, current, 0, bytes);
        }
    }
}

pub(super) fn is_scalar(ty: &TensorType) -> bool {
    ty.shape.rank() == 0
}
