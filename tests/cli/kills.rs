//! A run that is killed at random moments, again and again, and resumed each time, ends in the same weights and metrics as one that
//! was not.

use super::sandbox::Sandbox;
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

const KILLS: u64 = 50;

/// The lines of `metrics.jsonl` without times.
fn metrics(sandbox: &Sandbox, run: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(sandbox.path(&format!("{run}/metrics.jsonl")));
    let parsed = |line: &str| -> Value {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for key in ["seconds", "samples_per_s"] {
            line.as_object_mut().unwrap().remove(key);
        }
        line
    };
    text.unwrap().lines().map(parsed).collect()
}

fn survives(device: &str, longest_ms: u64) {
    // An epoch has three steps.
    let sandbox = Sandbox::new();
    let train = |run: &str| {
        format!(
            "train tiny.toml --data good --batch 8 --optimizer adam --set average.decay=0.9 --device {device} --out {run} \
             --checkpoint-every 2"
        )
    };
    let first = format!("{} --epochs 100000", train("run"));
    let (mut begun, mut random) = (0, 7u64);
    for _ in 0..KILLS {
        let args = match sandbox.path("run/run.toml").exists() {
            true => "train --resume run".to_string(),
            false => first.clone(),
        };
        let mut command = sandbox.command(&args);
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = quiet.spawn().unwrap();
        // Knuth's linear congruential generator; its high bits are used.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis((random >> 33) % longest_ms));
        assert!(
            child.try_wait().unwrap().is_none(),
            "{args} ended by itself"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        begun += u64::from(sandbox.path("run/metrics.jsonl").exists());
    }
    assert!(begun > KILLS / 2, "few of the kills hit training: {begun}");
    // The last line may be cut off.
    let text = std::fs::read_to_string(sandbox.path("run/metrics.jsonl")).unwrap();
    let epochs = text.lines().count() + 2;
    sandbox
        .wgrad(&format!("train --resume run --epochs {epochs}"))
        .succeeds();
    sandbox
        .wgrad(&format!("{} --epochs {epochs}", train("whole")))
        .succeeds();
    assert_eq!(metrics(&sandbox, "run").len(), epochs);
    assert_eq!(metrics(&sandbox, "run"), metrics(&sandbox, "whole"));
    for file in ["model.safetensors", "best.safetensors"] {
        let read = |run: &str| std::fs::read(sandbox.path(&format!("{run}/{file}"))).unwrap();
        assert!(read("run") == read("whole"), "{file} differs");
    }
}

#[test]
fn a_run_on_the_cpu_survives_kills_at_random_moments() {
    survives("cpu", 120);
}

#[test]
fn a_run_on_an_adapter_survives_kills_at_random_moments() {
    survives("gpu", 800);
}
