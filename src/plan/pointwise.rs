//! Kernels of purely pointwise groups. Consecutive groups that do not access each other's results share a launch: above
//! all the updates of all parameters, which would otherwise take one dispatch each.

use super::fused::Body;
use super::{Launch, Lowering, Target, ValueId};
use crate::error::Result;
use crate::shader::Shader;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Invocations in a workgroup.
const WORKGROUP: usize = 256;

/// Maximum uniform bindings of one launch besides its parameters: every adapter allows 12 in total.
const MAX_UNIFORMS: usize = 11;

/// Whether `body` can and should join `others` in one launch on `target`.
pub(super) fn fits(others: &[Body], body: &Body, target: &Target) -> bool {
    let all = || others.iter().chain([body]);
    // All bodies of a kernel must have the same `F`.
    let joins =
        |other: &Body| other.vec4 == body.vec4 && !touches(other, body) && !touches(body, other);
    let uniforms = |body: &Body| body.reads.iter().filter(|read| read.uniform).count();
    others.iter().all(joins)
        && all().map(storage_buffers).sum::<usize>() <= target.max_storage_buffers as usize
        && all().map(uniforms).sum::<usize>() <= MAX_UNIFORMS
        && !(target.software && skips_too_much(others, body))
}

/// Whether running all parts in every workgroup costs more than a separate launch. Software adapters do not branch
/// around the parts of other workgroups but execute them with every lane masked.
fn skips_too_much(others: &[Body], body: &Body) -> bool {
    /// Measured on lavapipe with two cores: the cost of a dispatch, and of an access by a masked lane
    /// (docs/decisions.md).
    const LAUNCH_NS: f64 = 25_000.0;
    const SKIPPED_ACCESS_NS: f64 = 0.6;
    let skipped = |runs: &Body, skips: &Body| {
        let accesses = skips.reads.len() + skips.results.len();
        (runs.steps * accesses) as f64 * SKIPPED_ACCESS_NS
    };
    let both = |other: &Body| skipped(other, body) + skipped(body, other);
    others.iter().map(both).sum::<f64>() > LAUNCH_NS
}

/// Whether `reader` reads or writes a value that `writer` writes.
fn touches(writer: &Body, reader: &Body) -> bool {
    reader.reads.iter().any(|read| writer.writes(read.value))
        || reader
            .results
            .iter()
            .any(|(value, _)| writer.writes(*value))
}

/// Number of storage buffers that `body` binds in addition to those of earlier bodies.
fn storage_buffers(body: &Body) -> usize {
    let read = body.reads.iter().filter(|read| !read.uniform).count();
    read + new_results(body).count()
}

/// Results that do not overwrite an operand.
fn new_results(body: &Body) -> impl Iterator<Item = ValueId> + '_ {
    let results = body.results.iter().map(|(value, _)| *value);
    results.filter(|value| !body.reads.iter().any(|read| read.value == *value))
}

/// Adds the launch of `bodies`; each body gets the next part of the workgroups.
pub(super) fn lower(cx: &mut Lowering<'_>, bodies: &[Body]) -> Result<()> {
    let mut launch = Launch::of(kernel(bodies));
    let (mut results, mut end) = (0, 0);
    for (part, body) in bodies.iter().enumerate() {
        for read in &body.reads {
            launch = if body.writes(read.value) {
                launch.read_write(&read.name, read.value)
            } else {
                launch.read(&read.name, read.value, read.loads)
            };
        }
        for value in new_results(body) {
            launch = launch.write(&format!("y{results}"), value);
            results += 1;
        }
        end += body.steps.div_ceil(WORKGROUP).max(1);
        launch = launch.param(format!("steps{part}"), body.steps);
        if part + 1 < bodies.len() {
            launch = launch.param(format!("end{part}"), end);
        }
    }
    cx.launch(launch.workgroups(end as u64))
}

fn kernel(bodies: &[Body]) -> Shader {
    let mut text = String::from("#import shared/grid\n");
    let imports: BTreeSet<&String> = bodies.iter().flat_map(|body| &body.imports).collect();
    for import in imports {
        let _ = writeln!(text, "#import {import}");
    }
    let vec4 = bodies.iter().any(|body| body.vec4);
    let _ = writeln!(
        text,
        "alias F = {};",
        if vec4 { "vec4<f32>" } else { "f32" }
    );
    text.push_str("struct Params {\n    first_workgroup: u32,\n");
    for part in 0..bodies.len() {
        let _ = writeln!(text, "    steps{part}: u32,");
        if part + 1 < bodies.len() {
            let _ = writeln!(
                text,
                "    // The first workgroup of the next part.\n    end{part}: u32,"
            );
        }
    }
    text.push_str("}\n@group(0) @binding(0) var<uniform> params: Params;\n");
    let (mut binding, mut results) = (1, 0);
    for (part, body) in bodies.iter().enumerate() {
        text.push_str(&body.declarations(binding));
        binding += body.reads.len() as u32;
        let mut stores = String::new();
        for (value, local) in &body.results {
            let name = match body.reads.iter().find(|read| read.value == *value) {
                Some(read) => read.name.clone(),
                None => {
                    let name = format!("y{results}");
                    let _ = writeln!(
                        text,
                        "@group(0) @binding({binding}) var<storage, read_write> {name}: array<F>;"
                    );
                    (binding, results) = (binding + 1, results + 1);
                    name
                }
            };
            let _ = writeln!(stores, "    {name}[i] = {local};");
        }
        let _ = write!(
            text,
            "fn part{part}(i: u32) {{
    if (i >= params.steps{part}) {{
        return;
    }}
{}{stores}}}
",
            body.statements
        );
    }
    text.push_str(&format!(
        "@compute @workgroup_size({WORKGROUP})
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {{
    let at = workgroup_index(id, count);
"
    ));
    for part in 0..bodies.len() {
        let start = match part {
            0 => "at".to_string(),
            _ => format!("(at - params.end{})", part - 1),
        };
        let call = format!("part{part}({start} * {WORKGROUP}u + lane);");
        let _ = if part + 1 < bodies.len() {
            writeln!(
                text,
                "    if (at < params.end{part}) {{\n        {call}\n        return;\n    }}"
            )
        } else {
            writeln!(text, "    {call}")
        };
    }
    text.push_str("}\n");
    Shader::generated("pointwise", text)
}
