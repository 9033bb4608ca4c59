//! What both devices do alike. The adapter's half is left out, and says so, where there is none.

use super::*;
use crate::graph::Builder;

/// Runs `check` on the reference and on a software adapter, each empty. A missing adapter fails if WGRAD_REQUIRE_GPU is 1.
fn on_each_device(check: impl Fn(&mut dyn Device)) {
    use crate::gpu::{AdapterChoice, Gpu};
    check(&mut *Engine::Cpu.device());
    let gpu = Gpu::open(&AdapterChoice::Software).or_else(|_| Gpu::open(&AdapterChoice::Best));
    match gpu {
        Ok(gpu) => check(&mut *Engine::Gpu(Box::new(gpu)).device()),
        Err(e) if std::env::var_os("WGRAD_REQUIRE_GPU").is_some_and(|v| v == "1") => {
            panic!("WGRAD_REQUIRE_GPU=1, but {e}")
        }
        Err(e) => eprintln!("skipped: {e}"),
    }
}

/// `y = rate x`, `rows = table[index]` and `sum <- sum + sum of y`; the input `spare` is not read.
fn graph() -> Graph {
    let builder = Builder::new();
    let x = builder.input("x", TensorType::f32([3]));
    let index = builder.input("index", TensorType::u32([2]));
    builder.input("spare", TensorType::f32([5]));
    let rate = builder.input("rate", TensorType::f32([]));
    let table = builder.variable("table", TensorType::f32([3, 2])).unwrap();
    let sum = builder.variable("sum", TensorType::f32([])).unwrap();
    let y = x.mul(rate).unwrap();
    builder.output("y", y);
    builder.output("rows", table.gather(index).unwrap());
    builder
        .update(sum, sum.add(y.sum_all().unwrap()).unwrap())
        .unwrap();
    builder.finish().unwrap()
}

/// The program of [`graph`], its variables set, its inputs not yet fed.
fn prepared(device: &mut dyn Device) -> ProgramId {
    let table = Tensor::real([3, 2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    device.set("table", &table).unwrap();
    device.set("sum", &Tensor::real([], vec![0.0])).unwrap();
    let planned = device.plan(graph()).unwrap();
    device.prepare(planned).unwrap()
}

fn x() -> Tensor<f32> {
    Tensor::real([3], vec![1.0, 2.0, 3.0])
}

fn feed_all(device: &mut dyn Device, program: ProgramId) {
    device.feed(program, "x", &x()).unwrap();
    let index = Tensor::index([2], vec![2, 0]);
    device.feed(program, "index", &index).unwrap();
}

/// The message of the error that `result` must be.
fn refused<T>(result: Result<T>) -> String {
    result
        .err()
        .expect("this should have been refused")
        .to_string()
}

#[test]
fn what_is_fed_stays_until_it_is_fed_anew() {
    on_each_device(|device| {
        let program = prepared(device);
        feed_all(device, program);
        assert_eq!(device.scalar_names(program), ["rate"]);
        device.run(program, 1, &[Scalar::F32(2.0)]).unwrap();
        let y = device.output(program, "y").unwrap();
        assert_eq!(y.reals(), [2.0, 4.0, 6.0]);
        let rows = device.output(program, "rows").unwrap();
        assert_eq!(
            rows,
            Tensor::real([2, 2], vec![4.0, 5.0, 0.0, 1.0]),
            "{}",
            device.name()
        );
        let index = Tensor::index([2], vec![1, 1]);
        device.feed(program, "index", &index).unwrap();
        device.run(program, 1, &[Scalar::F32(3.0)]).unwrap();
        let y = device.output(program, "y").unwrap();
        assert_eq!(y.reals(), [3.0, 6.0, 9.0], "x is still the same");
        let rows = device.output(program, "rows").unwrap();
        assert_eq!(rows.reals(), [2.0, 3.0, 2.0, 3.0]);
        assert_eq!(device.get("sum").unwrap().reals(), [30.0]);
    });
}

#[test]
fn a_submission_runs_every_step_with_a_row_of_its_own() {
    on_each_device(|device| {
        let program = prepared(device);
        feed_all(device, program);
        let rates = [1.0, 10.0, 100.0].map(Scalar::F32);
        for rows in rates.chunks(device.max_steps()) {
            device.run(program, rows.len(), rows).unwrap();
        }
        assert_eq!(device.get("sum").unwrap().reals(), [666.0]);
    });
}

#[test]
fn a_program_runs_only_with_all_that_it_reads() {
    on_each_device(|device| {
        let program = prepared(device);
        let rate = [Scalar::F32(1.0)];
        let error = refused(device.run(program, 1, &rate));
        assert!(error.contains("input x, a f32[3], has no value"), "{error}");
        device.feed(program, "x", &x()).unwrap();
        let error = refused(device.run(program, 1, &rate));
        assert!(error.contains("input index"), "{error}");
        assert!(refused(device.output(program, "y")).contains("has no value"));
        // What no operation reads may be fed, but need not be.
        feed_all(device, program);
        device.run(program, 1, &rate).unwrap();
        let spare = Tensor::real([5], vec![0.0; 5]);
        device.feed(program, "spare", &spare).unwrap();
        device.run(program, 1, &rate).unwrap();
        refused(device.run(program, 1, &[]));
        let most = device.max_steps();
        refused(device.run(program, most + 1, &vec![rate[0]; most + 1]));
    });
}

#[test]
fn a_program_finds_its_variables_or_is_refused() {
    on_each_device(|device| {
        let planned = device.plan(graph()).unwrap();
        let error = refused(device.prepare(planned));
        assert!(error.contains("there is no variable table"), "{error}");
        let table = Tensor::index([3, 2], vec![0; 6]);
        device.set("table", &table).unwrap();
        device.set("sum", &Tensor::real([], vec![0.0])).unwrap();
        let planned = device.plan(graph()).unwrap();
        let error = refused(device.prepare(planned));
        assert!(error.contains("variable table is a u32[3,2]"), "{error}");
    });
}

#[test]
fn unknown_names_and_other_types_are_refused() {
    on_each_device(|device| {
        let program = prepared(device);
        let error = refused(device.feed(program, "z", &x()));
        assert!(error.contains("there is no input z"), "{error}");
        let error = refused(device.feed(program, "rate", &Tensor::real([], vec![1.0])));
        assert!(error.contains("rate is a scalar"), "{error}");
        let error = refused(device.feed(program, "index", &x()));
        assert!(error.contains("index is a u32[2]"), "{error}");
        feed_all(device, program);
        device.run(program, 1, &[Scalar::F32(1.0)]).unwrap();
        let error = refused(device.output(program, "z"));
        assert!(error.contains("there is no output z"), "{error}");
        let error = refused(device.get("z"));
        assert!(error.contains("there is no variable z"), "{error}");
        assert_eq!(refused(device.ty("z")), error);
        assert!(device.has("sum") && !device.has("z"));
        assert_eq!(device.ty("table").unwrap(), TensorType::f32([3, 2]));
        let error = refused(device.set("sum", &x()));
        assert!(
            error.contains("variable sum is a f32[], not a f32[3]"),
            "{error}"
        );
        let other = ProgramId(1);
        assert!(refused(device.run(other, 1, &[])).contains("no program 1"));
        assert!(device.scalar_names(other).is_empty());
    });
}

#[test]
fn a_watch_gives_values_in_the_order_in_which_they_were_asked_for() {
    on_each_device(|device| {
        let program = prepared(device);
        feed_all(device, program);
        let watch = device.watch(&["sum", "table"]).unwrap();
        assert_eq!(
            device.take(watch, true).unwrap(),
            None,
            "nothing was asked for"
        );
        for _ in 0..WATCH_DEPTH {
            assert!(device.watch_has_room(watch));
            device.run(program, 1, &[Scalar::F32(1.0)]).unwrap();
            device.request(watch).unwrap();
        }
        assert!(!device.watch_has_room(watch));
        assert!(refused(device.request(watch)).contains("full"));
        for sum in [6.0, 12.0, 18.0] {
            let values = device.take(watch, true).unwrap().map(<[f32]>::to_vec);
            assert_eq!(values, Some(vec![sum, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        }
        assert!(device.watch_has_room(watch));
        assert_eq!(device.take(watch, true).unwrap(), None);
        device.wait().unwrap();
    });
}

#[test]
fn only_f32_variables_are_watched() {
    on_each_device(|device| {
        let count = Tensor::index([1], vec![7]);
        device.set("count", &count).unwrap();
        let error = refused(device.watch(&["count"]));
        assert!(error.contains("variable count is a u32[1]"), "{error}");
        assert!(refused(device.watch(&["z"])).contains("there is no variable z"));
        assert!(refused(device.watch(&[])).contains("needs the name"));
        let unknown = WatchId(0);
        assert!(refused(device.request(unknown)).contains("no watch 0"));
        assert!(!device.watch_has_room(unknown));
    });
}
