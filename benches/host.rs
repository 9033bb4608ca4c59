//! Cost of a step on the host: building its graph, planning it, and encoding it for submission. Encoding is compared with a
//! loop that records the same pipelines and bind groups directly with wgpu; the difference is the engine's own overhead.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Instant;
use wgrad::bench::{Bench, Workload, workloads};
use wgrad::gpu::{AdapterChoice, Gpu, Program};
use wgrad::graph::{Builder, Graph, Precision};
use wgrad::plan::{Plan, Target};
use wgrad::tensor::TensorType;

const WORKLOAD: &str = "cnn_train_b32";
/// Number of dispatches in the chain that is encoded in both ways.
const CHAIN: usize = 512;
const ROUNDS: usize = 400;

fn cnn() -> Box<dyn Workload> {
    let found = workloads().into_iter().find(|w| w.name() == WORKLOAD);
    found.expect("the CNN is a workload")
}

/// Consecutive small kernels of two alternating kinds, so that every dispatch sets its pipeline; no copies, no scalars.
struct Chain;

impl Workload for Chain {
    fn name(&self) -> String {
        format!("{CHAIN} dispatches")
    }

    fn graph(&self) -> wgrad::Result<Graph> {
        let builder = Builder::new();
        let mut x = builder.variable("x", TensorType::f32([4, 8]))?;
        for _ in 0..CHAIN / 2 {
            x = x.softmax()?.log_softmax()?;
        }
        builder.output("x", x);
        builder.finish()
    }
}

fn before_the_device(criterion: &mut Criterion) {
    let workload = cnn();
    let graph = workload.graph().expect("the CNN builds");
    criterion.bench_function("build graph", |bencher| {
        bencher.iter(|| black_box(workload.graph()));
    });
    for target in [Target::portable(), Target::lavapipe()] {
        criterion.bench_function(&format!("plan for {}", target.name), |bencher| {
            bencher.iter(|| black_box(Plan::new(&graph, &target)));
        });
    }
}

/// Records the same commands as [`Program::encode`] for a step that only dispatches.
fn encode_by_wgpu_alone(gpu: &Gpu, program: &Program) -> wgpu::CommandBuffer {
    let mut encoder = gpu
        .device()
        .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    for (pipeline, bind_group, [x, y, z]) in program.dispatches() {
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
    drop(pass);
    encoder.finish()
}

fn on_the_device(criterion: &mut Criterion) {
    let gpu = match Gpu::open(&AdapterChoice::Best) {
        Ok(gpu) => gpu,
        Err(e) => return eprintln!("encoding is not timed: {e}"),
    };
    let cnn = Bench::new(&gpu, &*cnn(), Precision::Float32).expect("the CNN fits the adapter");
    criterion.bench_function("encode a step of the CNN", |bencher| {
        bencher.iter(|| black_box(cnn.program().encode(&gpu, 1)));
    });
    let chain = Bench::new(&gpu, &Chain, Precision::Float32).expect("the chain fits the adapter");
    let program = chain.program();
    assert_eq!(program.dispatches().count(), CHAIN);
    criterion.bench_function(&format!("encode {CHAIN} dispatches"), |bencher| {
        bencher.iter(|| black_box(program.encode(&gpu, 1)));
    });
    criterion.bench_function(
        &format!("encode {CHAIN} dispatches by wgpu alone"),
        |bencher| bencher.iter(|| black_box(encode_by_wgpu_alone(&gpu, program))),
    );
    compare(&gpu, program);
}

/// Alternates between both ways of encoding, so that drift of the machine's speed does not matter, and prints the medians.
fn compare(gpu: &Gpu, program: &Program) {
    let (mut ours, mut wgpus) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        drop(black_box(program.encode(gpu, 1)));
        let middle = Instant::now();
        black_box(encode_by_wgpu_alone(gpu, program));
        ours.push((middle - start).as_secs_f64());
        wgpus.push(middle.elapsed().as_secs_f64());
    }
    let median_us = |seconds: &mut Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        1e6 * seconds[ROUNDS / 2] / CHAIN as f64
    };
    let (ours, wgpus) = (median_us(&mut ours), median_us(&mut wgpus));
    println!(
        "a dispatch: {ours:.3} us, {wgpus:.3} us of it wgpu's, {:.3} us our own",
        ours - wgpus
    );
}

criterion_group!(benches, before_the_device, on_the_device);
criterion_main!(benches);
