//! Checks kernels against the reference on a device: every variant of every operation, forward and backward.

use super::{Group, worst_error};
use crate::autodiff::gradients;
use crate::cpu::{Tensor, Variables, interpret};
use crate::error::Result;
use crate::gpu::{AdapterChoice, Gpu, Program, Store};
use crate::graph::{Builder, Graph, Node, Precision, Var};
use crate::ops::{Case, Operand, REGISTRY, RegisteredOp, Values};
use crate::plan::{Plan, Target, TextureReads};
use crate::random::Stream;
use crate::tensor::{DType, Half};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

/// The error allowed for a value that sums `length` terms: single-precision rounding, which grows with the square root
/// of the length for random terms, plus the error that GPUs are allowed for elementary functions.
pub fn tolerance(length: usize) -> f64 {
    2e-5 + 1e-6 * (length as f64).sqrt()
}

/// How kernels are checked.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// In mixed precision, only what it changes is checked: operations whose operands are rounded, and kernels that access values of 16
    /// bits.
    pub precision: Precision,
    /// Seed of the random cases.
    pub seed: u64,
    /// Which cases each variant runs.
    pub extent: Extent,
}

/// Which cases of an operation each of its variants runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The first ones, with and without texture views.
    Quick,
    /// The first ones and about this many of the others. Each variant runs different ones, and every case is run by a variant.
    Shared(usize),
    /// All.
    All,
}

/// A case of an operation that one of its variants can run.
struct Place {
    /// Its number among the cases of the operation, and how many there are.
    case: (usize, usize),
    /// Its number among the cases of the variant.
    own: usize,
    /// The number of the variant among those that can run the case, and how many there are.
    variant: (usize, usize),
}

impl Extent {
    /// Whether a variant runs the case at `place`.
    fn includes(self, place: &Place) -> bool {
        let (is_first, (case, cases)) = (place.own < QUICK_CASES, place.case);
        match self {
            Extent::Quick => is_first,
            Extent::Shared(most) => {
                let (variant, variants) = place.variant;
                let step = cases.div_ceil(most.max(1)).clamp(1, variants.max(1));
                is_first || case % step == variant % step
            }
            Extent::All => true,
        }
    }
}

/// Cases of a variant in a quick check: one that reads through texture views and one that does not.
const QUICK_CASES: usize = 2;

/// Opens an adapter as many times as its kernels are checked side by side: a software adapter, which compiles the kernels of a
/// device in one thread, once for each processor core and up to 8 times, any other once.
///
/// # Errors
/// If there is no such adapter, or it fails to open a device.
pub fn open_for_checks(choice: &AdapterChoice) -> Result<Vec<Gpu>> {
    const MAX: usize = 8;
    let first = Gpu::open(choice)?;
    let count = match first.target.software {
        true => std::thread::available_parallelism().map_or(1, NonZero::get),
        false => 1,
    };
    let further = (1..count.min(MAX)).map(|_| Gpu::open(choice));
    std::iter::once(Ok(first)).chain(further).collect()
}

/// Runs the cases of every registered operation whose name `wanted` accepts, and reports the groups in the order of the registry.
/// `gpus` are devices of one adapter, which share the operations. Plans are made for `target`, usually that of the adapter.
///
/// # Errors
/// If a device fails. Kernels that are wrong or do not compile are reported in the groups.
pub fn check_kernels(
    gpus: &[Gpu],
    target: &Target,
    checks: Checks,
    wanted: impl Fn(&str) -> bool,
    mut report: impl FnMut(Group),
) -> Result<()> {
    let parts: Vec<(&RegisteredOp, &'static str)> = REGISTRY
        .iter()
        .filter(|op| wanted(op.name))
        .flat_map(|op| ["forward", "backward"].map(|pass| (op, pass)))
        .collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (sender, checked) = mpsc::channel();
        for gpu in gpus {
            let (sender, next, parts) = (sender.clone(), &next, &parts);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((op, pass)) = parts.get(at) else {
                        return;
                    };
                    let groups = check_pass(gpu, target, checks, op, pass);
                    // No other operation uses many of them.
                    gpu.forget_pipelines();
                    if sender.send((at, groups)).is_err() {
                        // Another device failed.
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut reported = 0;
        for (at, groups) in checked {
            early.insert(at, groups?);
            while let Some(groups) = early.remove(&reported) {
                groups.into_iter().for_each(&mut report);
                reported += 1;
            }
        }
        Ok(())
    })
}

/// The groups of one operation in one pass, one for each variant.
fn check_pass(
    gpu: &Gpu,
    target: &Target,
    checks: Checks,
    op: &RegisteredOp,
    pass: &'static str,
) -> Result<Vec<Group>> {
    let cases = (op.cases)(&mut Stream::new(checks.seed, 1));
    let numbered = (checks.seed..).zip(&cases);
    let trials = numbered
        .map(|(seed, case)| CaseRun::new(target, checks.precision, case, pass, seed))
        .filter_map(Result::transpose)
        .collect::<Result<Vec<_>>>()?;
    let variants: BTreeSet<&'static str> =
        trials.iter().flat_map(|t| &t.variants).copied().collect();
    let check = |variant: &'static str| {
        let started = Instant::now();
        let mut group = Group::new(op.name, pass, variant, tolerance(1));
        let numbered = trials.iter().enumerate();
        let own = numbered.filter(|(_, trial)| trial.variants.contains(variant));
        for (own, (case, trial)) in own.enumerate() {
            let before = trial.variants.range(..variant).count();
            let place = Place {
                case: (case, trials.len()),
                own,
                variant: (before, trial.variants.len()),
            };
            if checks.extent.includes(&place) {
                trial.run(gpu, target, &mut group)?;
            }
        }
        group.seconds = started.elapsed().as_secs_f64();
        Ok(group)
    };
    variants.into_iter().map(check).collect()
}

/// The error of the first case of `op` in one pass with the default kernels, or why they did not run, and the error that is
/// allowed. `None` if the case has no such pass.
///
/// # Errors
/// If the device fails.
pub(super) fn first_case(
    gpu: &Gpu,
    op: &RegisteredOp,
    pass: &str,
    seed: u64,
) -> Result<Option<(Result<f64>, f64)>> {
    let cases = (op.cases)(&mut Stream::new(seed, 1));
    let Some(case) = cases.first() else {
        return Ok(None);
    };
    let Some(run) = CaseRun::new(&gpu.target, Precision::Float32, case, pass, seed)? else {
        return Ok(None);
    };
    let error = compare(gpu, &gpu.target, &run.graph, &run.values, None);
    gpu.check()?;
    Ok(Some((error, run.allowed)))
}

/// The graphs that `case` runs on: forward, and backward if an operand has a gradient. In mixed `precision`, operands and results are
/// stored in 16 bits where kernels can.
///
/// # Errors
/// If a graph can't be built.
pub fn graphs_of(case: &Case, precision: Precision) -> Result<Vec<Graph>> {
    let trial = Trial::of(case, 0, precision.half());
    let mut graphs = vec![trial.forward(&mut Vec::new())?];
    graphs.extend(trial.backward(&mut Vec::new())?);
    for graph in &mut graphs {
        graph.precision = precision;
    }
    Ok(graphs)
}

/// One case in one pass, with the kernel variants to run.
struct CaseRun<'a> {
    case: &'a Case,
    seed: u64,
    graph: Graph,
    values: Vec<(String, Tensor<f32>)>,
    variants: BTreeSet<&'static str>,
    /// The error that is allowed.
    allowed: f64,
}

impl<'a> CaseRun<'a> {
    /// `None` if the case has no such pass, or nothing that mixed precision changes.
    fn new(
        target: &Target,
        precision: Precision,
        case: &'a Case,
        pass: &str,
        seed: u64,
    ) -> Result<Option<Self>> {
        let build = |stored: Option<Half>| -> Result<Option<(Graph, _)>> {
            let mut values = Vec::new();
            let trial = Trial::of(case, seed, stored);
            let graph = match pass {
                "forward" => Some(trial.forward(&mut values)?),
                _ => trial.backward(&mut values)?,
            };
            Ok(graph.map(|mut graph| {
                graph.precision = precision;
                (graph, values)
            }))
        };
        let half = precision.half();
        let Some(built) = build(half)? else {
            return Ok(None);
        };
        let rounds = built.0.has_rounded_operands();
        // Every second pair of cases rounds operands of 32 bits as they are read.
        let (graph, values) = match rounds && !(seed / 2).is_multiple_of(2) {
            true => build(None)?.unwrap_or(built),
            false => built,
        };
        let mut allowed = tolerance(longest_reduction(&graph));
        if let Some(half) = half {
            let plan = Plan::new(&graph, target)?;
            let narrow = plan.values.iter().filter(|value| value.half.is_some());
            let narrow = narrow.count();
            if narrow == 0 && !rounds {
                return Ok(None);
            }
            allowed += (narrow * most_feedback(&graph)) as f64 * half.unit();
        }
        let mut variants = Plan::variants(&graph, target)?;
        // An operation with a single kernel runs it along with every variant of the others.
        if variants.len() > 1 {
            variants.remove("default");
        }
        Ok(Some(CaseRun {
            case,
            seed,
            graph,
            values,
            variants,
            allowed,
        }))
    }

    fn run(&self, gpu: &Gpu, target: &Target, group: &mut Group) -> Result<()> {
        let allowed = self.allowed;
        // Every second case reads through texture views wherever a kernel can, the others never do.
        let texture_reads = if group.cases.is_multiple_of(2) {
            TextureReads::Always
        } else {
            TextureReads::Never
        };
        let target = Target {
            texture_reads,
            ..target.clone()
        };
        let outcome = compare(gpu, &target, &self.graph, &self.values, Some(group.variant));
        gpu.check()?;
        let error = *outcome.as_ref().unwrap_or(&f64::INFINITY);
        group.add(error, allowed, || {
            let wrong = match outcome {
                Ok(error) => format!("error {error:.2e}, allowed {allowed:.2e}"),
                Err(e) => e.to_string(),
            };
            let (case, seed) = (self.case, self.seed);
            format!("{case:?}, {texture_reads:?} textures, sampled with {seed}: {wrong}")
        });
        Ok(())
    }
}

/// The largest error over all outputs of `graph`, run on the device with `variant`, or the default ones, and on
/// the CPU in `f64`.
fn compare(
    gpu: &Gpu,
    target: &Target,
    graph: &Graph,
    values: &[(String, Tensor<f32>)],
    variant: Option<&str>,
) -> Result<f64> {
    let mut store = Store::new();
    for (name, value) in values {
        store.set(gpu, name, value)?;
    }
    let plan = Plan::with_variant(graph, target, variant)?;
    let mut program = Program::new(gpu, &plan, &store)?;
    let mut variables: Variables<f64> = values
        .iter()
        .map(|(name, value)| (name.clone(), Arc::new(value.to_f64())))
        .collect();
    let reference = interpret(graph, &mut variables, &HashMap::new())?;
    worst_of_run(gpu, &mut program, graph, &reference)
}

/// Runs `program`, prepared from `graph`, once on poisoned memory, and returns the largest error of its outputs
/// compared with those of `reference`.
///
/// # Errors
/// If the device fails.
pub(crate) fn worst_of_run(
    gpu: &Gpu,
    program: &mut Program,
    graph: &Graph,
    reference: &[Arc<Tensor<f64>>],
) -> Result<f64> {
    program.poison(gpu)?;
    program.run(gpu, 1, &[])?;
    let mut worst: f64 = 0.0;
    for (output, want) in graph.outputs.iter().zip(reference) {
        let got = program.read(gpu, &output.name)?;
        worst = worst.max(worst_error(&got, want));
    }
    Ok(worst)
}

/// The most steps in which an operation reads its own results again.
fn most_feedback(graph: &Graph) -> usize {
    let steps = |node: &Node| {
        let types = graph.operand_types(node);
        node.op().map_or(1, |op| op.feedback(&types))
    };
    graph.nodes.iter().map(steps).max().unwrap_or(1)
}

fn longest_reduction(graph: &Graph) -> usize {
    let length = |node: &Node| {
        let types = graph.operand_types(node);
        node.op().map_or(1, |op| op.reduction_length(&types))
    };
    graph.nodes.iter().map(length).max().unwrap_or(1)
}

/// A case with the seed of its values.
struct Trial<'a> {
    case: &'a Case,
    seed: u64,
    /// The format in which operands and results are stored, if it has 16 bits.
    stored: Option<Half>,
}

impl<'a> Trial<'a> {
    fn of(case: &'a Case, seed: u64, stored: Option<Half>) -> Self {
        Trial { case, seed, stored }
    }

    /// A variable `name` with a random value. If values are stored in 16 bits, what is returned is in such memory: variables are not,
    /// so that it is the negative of one that holds the opposite.
    fn operand<'g>(
        &self,
        builder: &'g Builder,
        name: &str,
        operand: &Operand,
        stream: &mut Stream,
        values: &mut Vec<(String, Tensor<f32>)>,
    ) -> Result<Var<'g>> {
        let variable = builder.variable(name, operand.ty.clone())?;
        let value = operand.sample(stream);
        let half = self.stored.filter(|_| operand.ty.dtype == DType::F32);
        let Some(half) = half else {
            values.push((name.to_string(), value));
            return Ok(variable);
        };
        let opposite = |&x: &f32| -half.rounded(f64::from(x)) as f32;
        let opposite = value.reals().iter().map(opposite).collect();
        values.push((
            name.to_string(),
            Tensor::real(value.shape.clone(), opposite),
        ));
        variable.neg()
    }

    fn operands<'g>(
        &self,
        builder: &'g Builder,
        stream: &mut Stream,
        values: &mut Vec<(String, Tensor<f32>)>,
    ) -> Result<Vec<Var<'g>>> {
        let numbered = self.case.inputs.iter().enumerate();
        numbered
            .map(|(i, operand)| self.operand(builder, &format!("a{i}"), operand, stream, values))
            .collect()
    }

    /// Makes `value` an output. What the caller reads is not stored in 16 bits, so that it is twice in a further tensor.
    fn output<'g>(&self, builder: &'g Builder, name: &str, value: Var<'g>) -> Result<()> {
        let value = match self.stored {
            Some(_) if value.dtype() == DType::F32 && value.shape().rank() > 0 => {
                Var::concat(&[value, value], 0)?
            }
            _ => value,
        };
        builder.output(name, value);
        Ok(())
    }

    fn forward(&self, values: &mut Vec<(String, Tensor<f32>)>) -> Result<Graph> {
        let builder = Builder::new();
        let operands = self.operands(&builder, &mut Stream::new(self.seed, 2), values)?;
        let y = builder.erased(self.case.op.clone(), &operands)?;
        self.output(&builder, "y", y)?;
        builder.finish()
    }

    /// The gradients of the case for an uneven upstream gradient; `None` if no operand has one.
    fn backward(&self, values: &mut Vec<(String, Tensor<f32>)>) -> Result<Option<Graph>> {
        let builder = Builder::new();
        let mut stream = Stream::new(self.seed, 2);
        let operands = self.operands(&builder, &mut stream, values)?;
        let wrt: Vec<_> = operands
            .iter()
            .zip(&self.case.inputs)
            .filter(|(_, input)| input.differentiable)
            .map(|(&v, _)| v)
            .collect();
        let y = builder.erased(self.case.op.clone(), &operands)?;
        if wrt.is_empty() || y.dtype() != DType::F32 {
            return Ok(None);
        }
        // All of one sign: a sum that cancels has no significant digits to compare.
        let uneven = Operand::real(y.shape(), Values::Uniform(0.25, 1.25));
        let weights = self.operand(&builder, "weights", &uneven, &mut stream, values)?;
        let loss = y.mul(weights)?.sum_all()?;
        for (n, grad) in gradients(loss, &wrt)?.into_iter().enumerate() {
            self.output(&builder, &format!("grad{n}"), grad)?;
        }
        builder.finish().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_cases_are_run_by_a_variant_each_and_every_variant_runs_some() {
        for (cases, variants) in [(40, 16), (40, 1), (5, 3), (1, 1)] {
            let runs = |case, variant| {
                Extent::Shared(6).includes(&Place {
                    case: (case, cases),
                    own: case,
                    variant: (variant, variants),
                })
            };
            for case in 0..cases {
                assert!((0..variants).any(|variant| runs(case, variant)));
            }
            for variant in 0..variants {
                let count = (0..cases).filter(|&case| runs(case, variant)).count();
                assert!(count >= cases.min(QUICK_CASES));
                assert!(variants < 16 || count <= 6 + QUICK_CASES, "{count}");
            }
        }
    }
}
