//! What a training step of the CNN costs the host: building its graph, planning it, and encoding it for submission.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use wgrad::bench::{Bench, Workload, workloads};
use wgrad::gpu::{AdapterChoice, Gpu};
use wgrad::plan::{Plan, Target};

const WORKLOAD: &str = "cnn_train_b32";

fn cnn() -> Box<dyn Workload> {
    let found = workloads().into_iter().find(|w| w.name() == WORKLOAD);
    found.expect("the CNN is a workload")
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

fn on_the_device(criterion: &mut Criterion) {
    let gpu = match Gpu::open(&AdapterChoice::Best) {
        Ok(gpu) => gpu,
        Err(e) => return eprintln!("encoding is not timed: {e}"),
    };
    let bench = Bench::new(&gpu, &*cnn()).expect("the CNN fits the adapter");
    criterion.bench_function("encode", |bencher| {
        bencher.iter(|| black_box(bench.encode()));
    });
}

criterion_group!(benches, before_the_device, on_the_device);
criterion_main!(benches);
