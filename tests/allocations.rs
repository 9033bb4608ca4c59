//! The step loop does not allocate; only wgpu does. A single test, so that nothing else allocates meanwhile.
//!
//! A counting allocator keeps a backtrace of every allocation while it records. An allocation is wgrad's if the innermost
//! frame outside of the standard library and of collections is.

#![allow(unsafe_code, reason = "an allocator can't be written without")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use wgrad::data::digits;
use wgrad::device::Engine;
use wgrad::gpu::{Gpu, MAX_STEPS_PER_SUBMIT, Program, Readback, Store};
use wgrad::graph::Builder;
use wgrad::nn::ModelSpec;
use wgrad::plan::{Plan, Scalar};
use wgrad::run::{Run, Silent};
use wgrad::settings::Settings;
use wgrad::tensor::TensorType;

#[global_allocator]
static ALLOCATOR: Recording = Recording;

struct Recording;

static RECORDS: AtomicBool = AtomicBool::new(false);
static TRACES: Mutex<Vec<Backtrace>> = Mutex::new(Vec::new());

thread_local! {
    /// Whether this thread is recording an allocation: allocations by the recording itself are not recorded.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: the system's allocator provides the memory and takes it back.
unsafe impl GlobalAlloc for Recording {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if RECORDS.load(Ordering::Relaxed) && !BUSY.replace(true) {
            let trace = Backtrace::force_capture();
            let mut traces = TRACES.lock().unwrap_or_else(PoisonError::into_inner);
            traces.push(trace);
            drop(traces);
            BUSY.set(false);
        }
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// The allocations during `work`: their total number, and the traces of those that are wgrad's.
fn recorded(work: impl FnOnce()) -> (usize, Vec<String>) {
    RECORDS.store(true, Ordering::SeqCst);
    work();
    RECORDS.store(false, Ordering::SeqCst);
    let traces = std::mem::take(&mut *TRACES.lock().unwrap());
    let own = traces.iter().map(Backtrace::to_string);
    let own = own.filter(|trace| owner(trace) == Some("wgrad")).collect();
    (traces.len(), own)
}

/// The crate of the innermost frame that is neither of this allocator nor of the standard library or a collection.
fn owner(trace: &str) -> Option<&str> {
    const PASSED_OVER: [&str; 8] = [
        "std",
        "core",
        "alloc",
        "__rustc",
        "hashbrown",
        "smallvec",
        "arrayvec",
        "indexmap",
    ];
    let mut lines = trace.lines().map(str::trim_start).peekable();
    while let Some(line) = lines.next() {
        let Some((_, name)) = line.split_once(": ") else {
            continue;
        };
        let file = lines.next_if(|line| line.starts_with("at "));
        let owner = file.and_then(crate_of_file).or_else(|| crate_of_name(name));
        let is_allocator = owner == Some("tests") && name.ends_with("alloc");
        if !is_allocator && owner.is_some_and(|owner| !PASSED_OVER.contains(&owner)) {
            return owner;
        }
    }
    None
}

/// The crate of a source file, in a line like `at ./src/tensor.rs:62:27`.
fn crate_of_file(line: &str) -> Option<&str> {
    let path = line.strip_prefix("at ")?.trim_start_matches("./");
    if path.starts_with("/rustc/") {
        return Some("std");
    }
    if let Some((_, rest)) = path.split_once("/registry/src/") {
        let folder = rest.split('/').nth(1)?;
        return Some(folder.rsplit_once('-')?.0);
    }
    match path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/")) {
        Some(inside) => inside,
        None => path,
    }
    .split_once('/')
    .and_then(|(folder, _)| match folder {
        "src" => Some("wgrad"),
        "tests" => Some("tests"),
        _ => None,
    })
}

/// The first crate that a function's name mentions: `wgpu` of `<wgpu::Queue as core::fmt::Debug>::fmt`.
fn crate_of_name(name: &str) -> Option<&str> {
    let (before, _) = name.split_once("::")?;
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let start = before.rfind(|c| !word(c)).map_or(0, |at| at + 1);
    Some(&before[start..])
}

#[test]
fn the_step_loop_allocates_nothing_of_its_own() {
    // wgpu captures backtraces itself if this variable requests it, and std captures one at a time.
    // SAFETY: nothing else reads the environment yet.
    unsafe { std::env::set_var("RUST_LIB_BACKTRACE", "0") };
    let Some(gpu) = support::gpu() else { return };
    allocations_are_attributed_to_crates();
    submissions(gpu);
    for streamed in [false, true] {
        epoch(streamed);
    }
}

fn allocations_are_attributed_to_crates() {
    let of = crate_of_name;
    assert_eq!(
        of("<alloc::vec::Vec<T> as core::clone::Clone>::clone"),
        Some("alloc")
    );
    assert_eq!(of("<&wgpu::Queue as core::fmt::Debug>::fmt"), Some("wgpu"));
    assert_eq!(of("main"), None);
    let of = crate_of_file;
    assert_eq!(of("at ./src/tensor.rs:62:27"), Some("wgrad"));
    assert_eq!(
        of("at /rustc/5980/library/alloc/src/boxed.rs:317:33"),
        Some("std")
    );
    let file =
        "at /home/user/.cargo/registry/src/index.crates.io-1949/wgpu-core-30.0.1/src/lib.rs:1:1";
    assert_eq!(of(file), Some("wgpu-core"));
    // A copy of a shape's strides is an allocation of wgrad; the other allocation is not.
    let shape = TensorType::f32([2, 3]).shape;
    let (all, own) = recorded(|| drop(shape.strides()));
    assert_eq!((all, own.len()), (1, 1), "{own:?}");
    let (all, own) = recorded(|| drop(vec![1_u8]));
    assert_eq!((all, own.len()), (1, 0), "{own:?}");
}

/// `Program::run` and the ring that reads back results, over many submissions.
fn submissions(gpu: &Gpu) {
    let builder = Builder::new();
    let w = builder.variable("w", TensorType::f32([64])).unwrap();
    let rate = builder.input("rate", TensorType::f32([]));
    builder
        .update(w, w.sub(w.mul(rate).unwrap()).unwrap())
        .unwrap();
    let sum = builder.variable("sum", TensorType::f32([])).unwrap();
    builder
        .update(sum, sum.add(w.sum_all().unwrap()).unwrap())
        .unwrap();
    let plan = Plan::new(&builder.finish().unwrap(), &gpu.target).unwrap();
    let mut store = Store::new();
    for name in ["w", "sum"] {
        let ty = if name == "w" {
            TensorType::f32([64])
        } else {
            TensorType::f32([])
        };
        store
            .set(gpu, name, &wgrad::cpu::Tensor::zeros(&ty))
            .unwrap();
    }
    let mut program = Program::new(gpu, &plan, &store).unwrap();
    let mut ring = Readback::new(gpu, vec![store.get("sum").unwrap().clone()], 2).unwrap();
    let scalars = [Scalar::F32(0.1); MAX_STEPS_PER_SUBMIT];
    let mut submit = |times: usize| {
        for steps in (1..=MAX_STEPS_PER_SUBMIT).cycle().take(times) {
            program.run(gpu, steps, &scalars[..steps]).unwrap();
            if !ring.has_room() {
                ring.take(gpu, true).unwrap();
            }
            ring.request(gpu).unwrap();
        }
    };
    submit(4);
    let (all, own) = recorded(|| submit(20));
    assert!(
        all > 20,
        "wgpu allocates, but only {all} allocations were seen"
    );
    assert!(
        own.is_empty(),
        "{} of {all}, the first:\n{}",
        own.len(),
        own[0]
    );
}

/// An epoch of a run, with the evaluation at its end: it allocates at its start and end but not in its steps, so twice as many
/// steps allocate no more.
fn epoch(streamed: bool) {
    // A streamed set has a few batches that are filled in turn, both in training and in the evaluation. Which of them is free at a
    // time depends on the threads.
    let (most, spread) = if streamed { (250, 24) } else { (100, 0) };
    let [once, twice] = [40, 80].map(|steps| {
        let engine = support::engine().unwrap();
        let mut run = session(engine, steps, streamed);
        run.fit(&mut Silent, None).unwrap();
        run.extend(2);
        let (all, own) = recorded(|| {
            run.fit(&mut Silent, None).unwrap();
        });
        assert_eq!(run.trainer().steps_done(), 2 * steps as u64);
        println!(
            "streamed: {streamed}: {} of {all} allocations in {steps} steps",
            own.len()
        );
        own
    });
    assert!(
        once.len() <= most,
        "{}, one in the middle:\n{}",
        once.len(),
        once[once.len() / 2]
    );
    assert!(
        twice.len() <= once.len() + spread,
        "{} in 40 steps, {} in 80, one in the middle:\n{}",
        once.len(),
        twice.len(),
        twice[twice.len() / 2]
    );
}

fn session(engine: &Engine, steps: usize, streamed: bool) -> Run<'_> {
    let model = ModelSpec::preset("mlp").unwrap();
    let batch = 16;
    let mut settings = Settings {
        model,
        batch,
        epochs: 1,
        ..Settings::preset().unwrap()
    };
    (settings.fitted.mean, settings.fitted.std) = (vec![0.1], vec![0.3]);
    settings.data.stream = Some(streamed);
    let data = digits(1, steps * batch, steps * batch / 2);
    settings.start(engine, data).unwrap()
}
