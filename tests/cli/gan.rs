//! `wgrad train`, `eval` and `generate` for a GAN.

use super::sandbox::Sandbox;

/// A run of two small models over the built-in digits, in the folder `run`.
fn trained() -> Sandbox {
    let sandbox = Sandbox::new();
    let generator = "name = \"drawer\"\ninput = [4]\nlayer = [{ type = \"dense\", units = 784, activation = \"tanh\" }, \
                     { type = \"reshape\", shape = [28, 28, 1] }]\n";
    let discriminator = "name = \"judge\"\ninput = [28, 28, 1]\nlayer = [{ type = \"flatten\" }, { type = \"dense\", units = 1 }]\n";
    sandbox.write("drawer.toml", generator);
    sandbox.write("judge.toml", discriminator);
    let settings = "task = { name = \"gan\", latent = 4 }\nsteps = 2\nbatch = 8\ndata = { source = \"digits\", train = 32, test = 16 }\n\
                    models = { generator = \"drawer.toml\", discriminator = \"judge.toml\" }\n";
    sandbox.write("gan.toml", settings);
    sandbox
        .wgrad("train gan.toml --device cpu --out run --json")
        .succeeds();
    sandbox
}

#[test]
fn images_are_drawn_into_a_folder_for_each_seed_and_predict_points_to_generate() {
    let sandbox = trained();
    let draw = |args: &str| sandbox.wgrad(&format!("generate run --device cpu {args}"));
    for seed in [1, 7] {
        draw(&format!("--count 3 --seed {seed}")).succeeds();
    }
    draw("--count 3 --seed 7 --out again").succeeds();
    let file = |path: &str| std::fs::read(sandbox.path(path)).unwrap();
    let own = |seed: u32| file(&format!("run/generated/seed-{seed}/sample-0003.png"));
    assert_ne!(own(1), own(7));
    assert_eq!(own(7), file("again/sample-0003.png"));
    draw("--count 3 --out again").fails(2, &["again/sample-0001.png", "--overwrite"]);
    draw("--count 3 --out again --overwrite").succeeds();
    assert_eq!(own(1), file("again/sample-0003.png"));
    let found = draw("--count 9 --out nine.png --json").succeeds();
    assert!(found.out.contains("\"file\":\"nine.png\""), "{}", found.out);
    let grid = image::open(sandbox.path("nine.png")).unwrap();
    assert_eq!((grid.width(), grid.height()), (8 * 30 + 2, 2 * 30 + 2));
    draw("--out nine.png").fails(2, &["nine.png", "--overwrite"]);
    draw("--class 3").fails(2, &["trained without classes"]);
    draw("--steps 3").fails(2, &["one pass"]);
    let shown = image::open(sandbox.path("run/samples/epoch-1.png")).unwrap();
    assert!(shown.width() >= 4 * 28 && shown.height() >= 28);
    draw("--prompt a").fails(2, &["--prompt", "draws images"]);
    sandbox
        .wgrad("predict run again/sample-0001.png --device cpu")
        .fails(2, &["trained to draw images", "wgrad generate"]);
}

#[test]
fn an_evaluation_shows_the_figures_of_both_models() {
    let found = trained().wgrad("eval run --device cpu").succeeds();
    for name in [
        "test loss",
        "test real_accuracy",
        "test fake_accuracy",
        "test generator_loss",
    ] {
        assert!(found.out.contains(name), "{}", found.out);
    }
}

#[test]
fn drawn_images_are_compared_with_real_ones_by_the_features_of_a_classifier() {
    let sandbox = trained();
    let judge = "task = \"classification\"\nsteps = 2\nbatch = 8\ndata = { source = \"digits\", train = 32, test = 16 }\nmodel = \"mlp\"\n";
    sandbox.write("judge-run.toml", judge);
    sandbox
        .wgrad("train judge-run.toml --device cpu --out classifier --json")
        .succeeds();
    let draw =
        |args: &str| sandbox.wgrad(&format!("generate run --device cpu --seed 3 --json {args}"));
    let found = draw("--count 20 --out a.png --frechet classifier").succeeds();
    let line: serde_json::Value = serde_json::from_str(found.out.trim()).unwrap();
    let distance = line["frechet_distance"].as_f64().unwrap();
    assert!(distance.is_finite() && distance > 0.0, "{distance}");
    let again = draw("--count 20 --out b --frechet classifier").succeeds();
    let line: serde_json::Value = serde_json::from_str(again.out.trim()).unwrap();
    assert_eq!(line["frechet_distance"].as_f64(), Some(distance));
    draw("--count 1 --out c.png --frechet classifier").fails(2, &["at least two images"]);
    draw("--count 4 --out d.png --frechet run").fails(2, &["a classifier of images", "gan"]);
}
