//! Device memory: as planned, and not a byte more after thousands of steps. A single test, so that nothing else allocates on
//! the device meanwhile.

mod support;

use wgrad::data::digits;
use wgrad::device::Engine;
use wgrad::nn::ModelSpec;
use wgrad::run::{Run, Silent};
use wgrad::settings::Settings;

fn session<'e>(engine: &'e Engine, model: &str, batch: usize, samples: usize) -> Run<'e> {
    let model = ModelSpec::preset(model).unwrap();
    let mut settings = Settings {
        model,
        batch,
        epochs: 1,
        ..Settings::preset().unwrap()
    };
    (settings.fitted.mean, settings.fitted.std) = (vec![0.1], vec![0.3]);
    settings.start(engine, digits(1, samples, 64)).unwrap()
}

#[test]
fn memory_is_what_was_planned_and_stays_flat_for_two_thousand_steps() {
    let Some(engine) = support::engine() else {
        return;
    };
    let allocated = || {
        engine
            .allocated_bytes()
            .expect("the Vulkan backend reports allocations")
    };
    let before = allocated();
    {
        let mut cnn = session(engine, "mnist-cnn", 128, 256);
        cnn.fit(&mut Silent, None).unwrap();
        let (peak, planned) = (cnn.peak_bytes() - before, cnn.planned_bytes());
        println!("CNN at batch 128: {planned} bytes planned, {peak} allocated");
        let ratio = peak as f64 / planned as f64;
        assert!(
            (0.9..=1.1).contains(&ratio),
            "{peak} bytes allocated, {planned} planned"
        );
    }
    engine.device().wait().unwrap();
    let mut mlp = session(engine, "mlp", 32, 3200);
    mlp.fit(&mut Silent, None).unwrap();
    let early = allocated();
    mlp.extend(20);
    mlp.fit(&mut Silent, None).unwrap();
    assert_eq!(mlp.trainer().steps_done(), 2000);
    assert_eq!(allocated(), early, "bytes after 100 steps and after 2000");
}
