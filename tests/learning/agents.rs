//! Agents in their environments: runs repeat and resume bit for bit, learn, are evaluated, shown and imitated.

use crate::support;
use std::path::Path;
use std::process::Command;
use wgrad::agents::{AgentEpoch, AgentObserver, AgentRun};
use wgrad::cpu::{Data, Tensor};
use wgrad::device::Engine;
use wgrad::run::{Checkpoint, EpochReport, Observer, Silent, StepReport};
use wgrad::settings::Settings;
use wgrad::toml_text::parse;

const PPO: &str = "epochs = 2\nbatch = 32\nenvironment = { name = \"cart-pole\", count = 3, epoch_steps = 200 }\n\
                   task = { name = \"ppo\", rollout = 32, passes = 2 }\nschedule = { name = \"linear\", start_factor = 1.0, end_factor = 0.0 }";
const DQN: &str = "epochs = 2\nbatch = 16\nenvironment = { name = \"grid-world\", count = 2, epoch_steps = 200 }\n\
                   task = { name = \"dqn\", capacity = 150, learning_starts = 50, train_every = 5, target_every = 40 }";
const REINFORCE: &str = "epochs = 2\nbatch = 32\nenvironment = { name = \"cart-pole\", count = 2, epoch_steps = 150 }\n\
                         task = { name = \"reinforce\", episodes = 3 }";

fn settings(text: &str) -> Settings {
    parse(text, "the settings").unwrap()
}

fn started<'e>(engine: &'e Engine, text: &str) -> AgentRun<'e> {
    AgentRun::new(engine, settings(text).prepare_agent().unwrap().parts).unwrap()
}

/// Stops after some iterations.
struct Impatient(std::cell::Cell<u32>);

impl Observer for Impatient {
    fn step(&mut self, _: &StepReport) {}

    fn epoch(&mut self, _: &EpochReport) -> wgrad::Result<()> {
        Ok(())
    }

    fn stops(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }
}

impl AgentObserver for Impatient {
    fn agent_epoch(&mut self, _: &AgentEpoch) -> wgrad::Result<()> {
        Ok(())
    }
}

fn bits(tensor: &Tensor<f32>) -> Vec<u32> {
    match &tensor.data {
        Data::Real(values) => values.iter().map(|x| x.to_bits()).collect(),
        Data::Index(values) => values.clone(),
    }
}

fn same(a: &Checkpoint, b: &Checkpoint, what: &str) {
    assert_eq!(a.progress, b.progress, "{what}");
    assert_eq!(a.variables.len(), b.variables.len());
    for ((name, a), (other, b)) in a.variables.iter().zip(&b.variables) {
        assert_eq!(name, other);
        assert_eq!(bits(a), bits(b), "{what}: {name}");
    }
}

#[test]
fn runs_repeat_and_resume_bit_for_bit_also_within_an_epoch() {
    let engines = std::iter::once(&Engine::Cpu).chain(support::engine());
    for engine in engines {
        for (text, iterations) in [(PPO, 3), (DQN, 140), (REINFORCE, 2)] {
            let whole = {
                let mut run = started(engine, text);
                let last = run.fit(&mut Silent, None).unwrap().unwrap();
                assert!(
                    last.episodes > 0 && last.mean_return.is_some() && last.train_loss.is_some()
                );
                run.checkpoint().unwrap()
            };
            let mut again = started(engine, text);
            again.fit(&mut Silent, None).unwrap();
            same(&whole, &again.checkpoint().unwrap(), "repeated");
            let mut stopped = started(engine, text);
            let mut impatient = Impatient(iterations.into());
            let message = stopped.fit(&mut impatient, None).unwrap_err().to_string();
            assert!(message.contains("stopped after step"), "{message}");
            let mut resumed = started(engine, text);
            resumed.restore(stopped.checkpoint().unwrap()).unwrap();
            resumed.fit(&mut Silent, None).unwrap();
            same(&whole, &resumed.checkpoint().unwrap(), "resumed");
        }
    }
}

#[test]
fn an_adapter_and_the_reference_agree_on_the_first_update() {
    let Some(gpu) = support::engine() else { return };
    let text = PPO.replace("epochs = 2", "epochs = 1").replace("200", "96");
    let weights = |engine| {
        let mut run = started(engine, &text);
        run.fit(&mut Silent, None).unwrap();
        let state: Vec<String> = run
            .trainer()
            .models()
            .state()
            .map(|p| p.name.clone())
            .collect();
        let all = run.checkpoint().unwrap().variables.into_iter();
        all.filter(|(name, _)| state.contains(name))
            .collect::<Vec<_>>()
    };
    for ((name, ours), (_, theirs)) in weights(&Engine::Cpu).iter().zip(&weights(gpu)) {
        let pairs = ours.reals().iter().zip(theirs.reals());
        let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-4, "{name} is {apart:e} apart");
    }
}

#[test]
fn proximal_policy_optimization_learns_to_keep_the_pole_up() {
    let text = "epochs = 1\nbatch = 128\nclip_norm = 0.5\nenvironment = { name = \"CartPole-v1\", count = 4, epoch_steps = 16000 }\n\
                task = \"ppo\"\noptimizer = { name = \"adam\", lr = 0.001 }";
    let engine = support::engine().unwrap_or(&Engine::Cpu);
    let last = started(engine, text)
        .fit(&mut Silent, None)
        .unwrap()
        .unwrap();
    // Random actions last about 22 steps.
    assert!(last.recent_return.unwrap() > 60.0, "{last:?}");
}

#[test]
fn what_does_not_fit_is_refused_in_a_sentence() {
    let refused = |text: &str| {
        let prepared = settings(text).prepare_agent();
        let outcome =
            prepared.and_then(|prepared| AgentRun::new(&Engine::Cpu, prepared.parts).map(|_| ()));
        outcome.unwrap_err().to_string()
    };
    for (text, parts) in [
        ("task = \"ppo\"", &["ppo", "wgrad environments"][..]),
        (
            "environment = \"cart-pole\"",
            &["name one of ppo, reinforce, dqn"],
        ),
        (
            "environment = \"cart-pole\"\ntask = \"classification\"",
            &["classification learns from data"],
        ),
        (
            "environment = \"cart-poll\"\ntask = \"ppo\"",
            &["no environment \"cart-poll\"", "cart-pole"],
        ),
        (
            "environment = { name = \"cart-pole\", count = 0 }\ntask = \"ppo\"",
            &["environment.count"],
        ),
        (
            "environment = \"cart-pole\"\ntask = \"ppo\"\nsteps = 5",
            &["steps can't be used"],
        ),
        (
            "environment = { name = \"cart-pole\", epoch_steps = 9 }\ntask = \"ppo\"",
            &["epoch_steps is 9", "512"],
        ),
        (
            "environment = \"cart-pole\"\ntask = \"reinforce\"\nschedule = \"cosine\"",
            &["leave schedule out"],
        ),
        (
            "environment = \"cart-pole\"\ntask = { name = \"ppo\", gamma = 2.0 }",
            &["task.gamma"],
        ),
        (
            "environment = \"cart-pole\"\ntask = { name = \"dqn\", capacity = 4000000000000 }",
            &[
                "replay buffer of 4000000000000 steps",
                "lower task.capacity",
            ],
        ),
        (
            "environment = \"cart-pole\"\ntask = \"reinforce\"\n[models.actor]\nname = \"m\"\ninput = \"auto\"\n\
             layer = [{ type = \"dense\", units = 3 }]",
            &["model m gives [3]", "2 units"],
        ),
    ] {
        let message = refused(text);
        for part in parts {
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}

/// Runs the program in `folder` and returns the lines of its output.
fn wgrad(folder: &Path, args: &[&str]) -> Vec<serde_json::Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_wgrad"))
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {error}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[test]
fn a_run_is_trained_resumed_evaluated_shown_and_imitated() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("run.toml"), PPO).unwrap();
    let cpu = ["--device", "cpu", "--json"];
    let run = |args: &[&str]| wgrad(dir, &[args, &cpu].concat());
    let lines = run(&["train", "run.toml", "--out", "agent"]);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["event"], "epoch");
    assert_eq!(lines[1]["env_steps"], 384);
    let done = &lines[2];
    assert_eq!(
        (done["event"].as_str(), done["environment"].as_str()),
        (Some("done"), Some("cart-pole"))
    );
    assert!(done["mean_return_last_100"].as_f64().unwrap() > 5.0);
    for file in [
        "report.html",
        "best.safetensors",
        "metrics.jsonl",
        "run.toml",
    ] {
        assert!(dir.join("agent").join(file).is_file(), "{file}");
    }
    let resumed = run(&["train", "--resume", "agent", "--epochs", "3"]);
    assert_eq!(resumed.len(), 2);
    assert_eq!(resumed[0]["epoch"], 3);
    let listed = wgrad(dir, &["runs", ".", "--json"]);
    assert_eq!(listed[0]["best"]["metric"], "mean_return_last_100");
    let evaluated = run(&["eval", "agent", "--episodes", "7"]);
    assert_eq!(evaluated[0]["episodes"], 7);
    let played = run(&[
        "play",
        "agent",
        "--episodes",
        "7",
        "--gif",
        "a.gif",
        "--record",
        "seen.csv",
    ]);
    assert_eq!(played.len(), 8);
    let mean = |line: &serde_json::Value| line["mean_return"].as_f64().unwrap();
    // The same episodes as those of the evaluation.
    assert!((mean(&played[7]) - mean(&evaluated[0])).abs() < 1e-9);
    assert_eq!(&std::fs::read(dir.join("a.gif")).unwrap()[..6], b"GIF89a");
    let table = std::fs::read_to_string(dir.join("seen.csv")).unwrap();
    assert!(table.starts_with("position,velocity,angle,angular_velocity,action\n"));
    let steps: u64 = played[..7]
        .iter()
        .map(|line| line["length"].as_u64().unwrap())
        .sum();
    assert_eq!(table.lines().count() as u64, steps + 1);
    // A rule that anyone can learn: push to where the pole falls.
    let mut rule = "position,velocity,angle,angular_velocity,action\n".to_string();
    for at in 0..400 {
        let number = |step: u32| f64::from((at * step + 7) % 101) / 50.0 - 1.0;
        let (angle, spin) = (0.2 * number(17), 2.0 * number(29));
        let action = if angle + 0.5 * spin > 0.0 {
            "right"
        } else {
            "left"
        };
        rule += &format!("{},{},{angle},{spin},{action}\n", number(13), number(19));
    }
    std::fs::write(dir.join("rule.csv"), rule).unwrap();
    run(&[
        "train", "rule.csv", "--target", "action", "--epochs", "40", "--out", "clone",
    ]);
    let imitated = run(&[
        "play",
        "clone",
        "--environment",
        "cart-pole",
        "--episodes",
        "5",
    ]);
    assert!(mean(&imitated[5]) > 150.0, "{imitated:?}");
}
