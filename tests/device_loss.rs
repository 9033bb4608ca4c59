//! Operations on a device that was destroyed are errors.

mod support;

use wgrad::cpu::Tensor;
use wgrad::gpu::{AdapterChoice, Gpu, Readback, Store};

#[test]
fn a_destroyed_device_gives_errors() {
    if support::gpu().is_none() {
        return;
    }
    // One of its own, since it is destroyed.
    let gpu = Gpu::open(&AdapterChoice::Best).unwrap();
    let mut store = Store::new();
    let value = Tensor::real([4], vec![1.0, 2.0, 3.0, 4.0]);
    store.set(&gpu, "x", &value).unwrap();
    assert_eq!(store.read(&gpu, "x").unwrap(), value);
    let source = store.get("x").unwrap().clone();
    let mut ring = Readback::new(&gpu, vec![source], 2).unwrap();
    gpu.device().destroy();
    let message = store.read(&gpu, "x").unwrap_err().to_string();
    assert!(message.contains(&gpu.info.name), "{message}");
    store.set(&gpu, "x", &value).unwrap_err();
    store.set(&gpu, "y", &value).unwrap_err();
    ring.request(&gpu)
        .and_then(|()| ring.take(&gpu, true).map(|_| ()))
        .unwrap_err();
    gpu.check().unwrap_err();
}
