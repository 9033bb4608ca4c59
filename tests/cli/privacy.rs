//! `wgrad privacy`

use super::sandbox::Sandbox;

const MNIST: &str = "privacy --samples 60000 --batch 256 --epochs 15";

#[test]
fn epsilon_and_noise_belong_together() {
    let sandbox = Sandbox::new();
    let line = |command: String| sandbox.wgrad(&command).succeeds().json().remove(0);
    let found = line(format!("{MNIST} --epsilon 1.2 --json"));
    let noise = found["noise"].as_f64().unwrap();
    let back = line(format!("{MNIST} --noise {noise} --json"));
    let epsilon = back["epsilon"].as_f64().unwrap();
    assert!((epsilon - 1.2).abs() < 1e-4, "{epsilon}");
    assert_eq!(back["steps"], 3516);
    let said = sandbox.wgrad(&format!("{MNIST} --noise 1.1")).succeeds();
    assert!(said.out.starts_with("epsilon "), "{}", said.out);
    for (command, why) in [
        (
            "privacy --samples 10 --batch 20 --steps 5 --noise 1",
            "larger than --samples",
        ),
        (
            "privacy --samples 10 --batch 2 --steps 5 --noise 0",
            "above 0 and finite",
        ),
        (
            "privacy --samples 10 --batch 2 --steps 5 --epsilon 0",
            "epsilon must be above 0",
        ),
        (
            "privacy --samples 10 --batch 2 --steps 5 --epsilon inf",
            "above 0 and finite",
        ),
        (
            "privacy --samples 10 --batch 2 --steps 5 --noise 1 --delta 1",
            "delta must be",
        ),
    ] {
        sandbox.wgrad(command).fails(2, &[why]);
    }
}
