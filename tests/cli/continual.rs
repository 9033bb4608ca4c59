//! Continual learning: stages in a common folder, the lines about every task, and images that are permuted before they are predicted.

use super::sandbox::{Sandbox, TINY};
use serde_json::json;

/// `stages.toml`: two stages of the tiny model on `good`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let model = TINY.replace("[[layer]]", "[[model.layer]]");
    let settings = format!(
        "batch = 8\nepochs = 1\ndata = \"good\"\ndevice = \"cpu\"\n\n[model]\n{model}\n[continual]\nmemory = 6\nsamples = 6\n\
         stage = [{{ name = \"one\" }}, {{ name = \"two\", set = {{ \"data.permutation\" = 2 }} }}]\n"
    );
    sandbox.write("stages.toml", settings);
    sandbox
}

#[test]
fn every_task_is_reported_after_every_stage() {
    let sandbox = sandbox();
    for method in ["fine_tuning", "ewc", "replay"] {
        let args =
            format!("train stages.toml --set continual.method={method} --out {method} --json");
        let lines = sandbox.wgrad(&args).succeeds().json();
        let of = |event: &str| -> Vec<_> {
            let own = lines.iter().filter(|line| line["event"] == event);
            own.cloned().collect()
        };
        let tasks = of("task");
        let named: Vec<_> = tasks
            .iter()
            .map(|line| [&line["after"], &line["task"]])
            .collect();
        let (one, two) = (json!("one"), json!("two"));
        assert_eq!(named, [[&one, &one], [&two, &one], [&two, &two]]);
        let last = &of("stages")[0];
        assert_eq!((&last["stages"], &last["run"]), (&json!(2), &json!(method)));
        let accuracy = |place: usize| tasks[place]["accuracy"].clone();
        let matrix = json!([[accuracy(0)], [accuracy(1), accuracy(2)]]);
        assert_eq!(last["matrix"], matrix);
        assert!(tasks.iter().all(|line| line["count"] == 9));
        let page = std::fs::read_to_string(sandbox.path(&format!("{method}/report.html"))).unwrap();
        assert!(page.contains("Continual learning"), "{page}");
    }
    let again = sandbox.wgrad("train --resume ewc").succeeds();
    assert!(
        again.err.contains("2 of 2 stages in ewc are already done"),
        "{}",
        again.err
    );
    assert!(
        again.out.contains("after") && again.out.contains("mean"),
        "{}",
        again.out
    );
    sandbox
        .wgrad("train stages.toml --set continual.method=ewc --epochs 2 --out ewc")
        .fails(2, &["epochs was 1 when training began", "is 2 now"]);
    sandbox
        .wgrad("train stages.toml --folds 2 --out folds")
        .fails(2, &["--folds", "[[continual.stage]]"]);
    sandbox
        .wgrad("train tiny.toml --data good --set continual.after=ewc --out run")
        .fails(2, &["continual.after: ewc holds several runs"]);
    let unknown = "train stages.toml --set continual.strenght=1 --out run";
    sandbox
        .wgrad(unknown)
        .fails(2, &["did you mean `strength`?"]);
    sandbox.holds_no_run();
}

#[test]
fn images_of_a_permuted_run_are_permuted_before_they_are_predicted() {
    let sandbox = sandbox();
    sandbox
        .train("--set data.permutation=3 --epochs 1")
        .succeeds();
    let bytes = std::fs::read(sandbox.path("good/t10k-images-idx3-ubyte")).unwrap();
    let pixels = bytes[16..16 + 64].to_vec();
    let picture = image::GrayImage::from_raw(8, 8, pixels).unwrap();
    picture.save(sandbox.path("first.png")).unwrap();
    let of_part = sandbox
        .wgrad("predict run --part test --device cpu --json")
        .succeeds();
    let of_file = sandbox
        .wgrad("predict run first.png --device cpu --json")
        .succeeds();
    let (part, file) = (of_part.json(), of_file.json());
    assert_eq!(part[0]["top"], file[0]["top"]);
    assert_ne!(part[0]["top"], part[1]["top"]);
}
