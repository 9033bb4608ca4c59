//! Timestamps that the device writes around each step of a plan.

use super::Gpu;
use super::commands::{Command, dispatch, encode};
use crate::error::Result;

/// Maximum number of queries in a set according to WebGPU.
const QUERIES_PER_SET: u32 = 4096;
/// Size of a timestamp in bytes.
const TIMESTAMP_BYTES: u64 = 8;

/// A span of device time, in nanoseconds of the device's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// When all earlier work was finished.
    pub start_ns: f64,
    /// When this work was finished.
    pub end_ns: f64,
}

impl Span {
    /// Its length in milliseconds.
    pub fn ms(self) -> f64 {
        (self.end_ns - self.start_ns) / 1e6
    }
}

/// Two timestamps for each step of a program.
pub(super) struct Timestamps {
    sets: Vec<wgpu::QuerySet>,
    resolved: wgpu::Buffer,
    used: u32,
}

impl Timestamps {
    /// Allocates timestamps for `steps` steps; `None` if the adapter does not support timestamps.
    pub fn new(gpu: &Gpu, steps: usize) -> Result<Option<Self>> {
        if !gpu.has_timestamps() {
            return Ok(None);
        }
        let queries = 2 * steps as u32;
        let sets = (0..queries.div_ceil(QUERIES_PER_SET))
            .map(|set| {
                gpu.scoped("timestamps", || {
                    gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                        label: Some("timestamps"),
                        ty: wgpu::QueryType::Timestamp,
                        count: (queries - set * QUERIES_PER_SET).min(QUERIES_PER_SET),
                    })
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let bytes = (u64::from(queries) * TIMESTAMP_BYTES).max(TIMESTAMP_BYTES);
        let resolved = gpu.buffer("timestamps", bytes, wgpu::BufferUsages::QUERY_RESOLVE)?;
        Ok(Some(Timestamps {
            sets,
            resolved,
            used: 0,
        }))
    }

    /// Encodes `commands`, those of the next step, between two timestamps. Timestamps are written where passes begin
    /// and end, which every adapter with timestamps supports: dispatches get their own pass, copies are placed between
    /// two empty ones.
    pub fn encode(&mut self, encoder: &mut wgpu::CommandEncoder, commands: &[Command]) {
        let first = self.used % QUERIES_PER_SET;
        let query_set = &self.sets[(self.used / QUERIES_PER_SET) as usize];
        self.used += 2;
        if let Some(Command::Dispatch { .. }) = commands.first() {
            let mut pass = timed_pass(encoder, query_set, Some(first), Some(first + 1));
            dispatch(&mut pass, &mut commands.iter().peekable());
        } else {
            timed_pass(encoder, query_set, None, Some(first));
            encode(encoder, commands.iter());
            timed_pass(encoder, query_set, Some(first + 1), None);
        }
    }

    /// Encodes the resolution of the queries, which makes the timestamps readable.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        for (set, query_set) in (0..).zip(&self.sets) {
            let before = set * QUERIES_PER_SET;
            let count = (self.used - before).min(QUERIES_PER_SET);
            let at = u64::from(before) * TIMESTAMP_BYTES;
            encoder.resolve_query_set(query_set, 0..count, &self.resolved, at);
        }
    }

    /// The spans of the steps, in order. Waits for the device.
    pub fn read(&self, gpu: &Gpu) -> Result<Vec<Span>> {
        let bytes = gpu.read(&self.resolved, u64::from(self.used) * TIMESTAMP_BYTES)?;
        let period = f64::from(gpu.queue.get_timestamp_period());
        let ticks: Vec<u64> = bytes
            .chunks_exact(TIMESTAMP_BYTES as usize)
            .map(|b| u64::from_le_bytes(std::array::from_fn(|i| b[i])))
            .collect();
        // Relative to the first timestamp, so that an f64 is exact.
        let first = ticks.first().copied().unwrap_or(0);
        let ns = |tick: u64| tick.wrapping_sub(first) as f64 * period;
        let spans = ticks.chunks_exact(2).map(|pair| Span {
            start_ns: ns(pair[0]),
            end_ns: ns(pair[1]),
        });
        Ok(spans.collect())
    }
}

/// A pass that writes timestamps to the queries `begin` and `end` of `query_set`.
fn timed_pass<'e>(
    encoder: &'e mut wgpu::CommandEncoder,
    query_set: &wgpu::QuerySet,
    begin: Option<u32>,
    end: Option<u32>,
) -> wgpu::ComputePass<'e> {
    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
        label: None,
        timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: begin,
            end_of_pass_write_index: end,
        }),
    })
}
