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
