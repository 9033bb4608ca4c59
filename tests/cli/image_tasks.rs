//! `wgrad train`, `eval`, `predict` and `generate` for tasks that draw or restore images.

use super::sandbox::Sandbox;
use serde_json::Value;

const DIGITS: &str = "source = \"digits\", train = 32, test = 16";

/// A run `run` with these settings, two steps of batches of 8 over the built-in digits, and the last line of its training.
fn trained(settings: &str, pixels: [f32; 2]) -> (Sandbox, Value) {
    let sandbox = Sandbox::new();
    let [mean, std] = pixels;
    let text = format!(
        "steps = 2\nbatch = 8\ndata = {{ {DIGITS}, mean = [{mean:?}], std = [{std:?}] }}\n{settings}\n"
    );
    sandbox.write("run.toml", &text);
    let found = sandbox
        .wgrad("train run.toml --device cpu --out run --json")
        .succeeds();
    let line = found.out.trim().lines().last().unwrap().to_string();
    (sandbox, serde_json::from_str(&line).unwrap())
}

#[test]
fn a_variational_autoencoder_reports_its_bound_draws_and_reconstructs() {
    let models = "task = \"vae\"\n\
        [models.encoder]\nname = \"e\"\ninput = [28, 28, 1]\noutputs = [\"mean\", \"log_variance\"]\n\
        layer = [{ name = \"flat\", type = \"flatten\" }, { name = \"mean\", type = \"dense\", units = 2 }, \
        { name = \"log_variance\", type = \"dense\", units = 2, input = \"flat\" }]\n\
        [models.decoder]\nname = \"d\"\ninput = [2]\n\
        layer = [{ type = \"dense\", units = 784 }, { type = \"reshape\", shape = [28, 28, 1] }]";
    let (sandbox, _) = trained(models, [0.0, 1.0]);
    let found = sandbox.wgrad("eval run --device cpu --json").succeeds();
    let line: Value = serde_json::from_str(found.out.trim()).unwrap();
    let value = |name: &str| line[name].as_f64().unwrap();
    let parts = value("test_reconstruction") + value("test_kl");
    assert!(value("test_elbo") < 0.0 && (value("test_elbo") + parts).abs() < 1e-2);
    assert!((value("test_loss") - parts).abs() < 1e-2);
    sandbox
        .wgrad("generate run --device cpu --count 2 --out drawn")
        .succeeds();
    let found = sandbox
        .wgrad("predict run drawn/sample-0001.png --device cpu --json --out again")
        .succeeds();
    let line: Value = serde_json::from_str(found.out.trim()).unwrap();
    assert_eq!(line["code"].as_array().unwrap().len(), 2);
    assert!(
        sandbox
            .path("again/sample-0001-reconstruction.png")
            .exists()
    );
    let shown = image::open(sandbox.path("run/samples/epoch-1.png")).unwrap();
    assert!(shown.width() == 8 * 30 + 2);
}

#[test]
fn pixels_in_another_range_are_refused_with_the_settings_that_help() {
    let sandbox = Sandbox::new();
    for (task, mean) in [("vae", "[0.0]"), ("diffusion", "[0.5]")] {
        let model = match task {
            "diffusion" => "model = \"diffusion-unet\"",
            _ => "",
        };
        sandbox.write(
            "run.toml",
            format!("task = \"{task}\"\ndata = {{ {DIGITS} }}\n{model}\n"),
        );
        sandbox
            .wgrad("train run.toml --device cpu")
            .fails(2, &[&format!("set data.mean = {mean}")]);
    }
}

#[test]
fn a_diffusion_with_classes_draws_the_class_that_is_asked_for() {
    let model = "task = { name = \"diffusion\", times = 20, conditional = true }\n\
        [model]\nname = \"m\"\ninputs = { class = [10], image = [28, 28, 1], time = [64] }\n\
        layer = [{ name = \"flat\", type = \"flatten\", input = \"image\" }, \
        { type = \"concat\", inputs = [\"flat\", \"time\", \"class\"] }, { type = \"dense\", units = 784 }, \
        { type = \"reshape\", shape = [28, 28, 1] }]";
    let (sandbox, _) = trained(model, [0.5, 0.5]);
    let draw = |args: &str| sandbox.wgrad(&format!("generate run --device cpu --count 2 {args}"));
    for class in [3, 4] {
        draw(&format!("--class {class} --steps 4 --out {class}.png")).succeeds();
    }
    let file = |path: &str| std::fs::read(sandbox.path(path)).unwrap();
    assert_ne!(file("3.png"), file("4.png"));
    draw("--class 3 --steps 4 --out again.png").succeeds();
    assert_eq!(file("3.png"), file("again.png"));
    draw("--class ten").fails(2, &["no class \"ten\"", "0, 1, 2"]);
    draw("--steps 21").fails(2, &["1 to 20 steps, not 21"]);
    sandbox
        .wgrad("predict run 3.png --device cpu")
        .fails(2, &["trained to draw images"]);
}

#[test]
fn a_conditional_gan_is_trained_and_draws_a_class() {
    let models = "task = { name = \"gan\", latent = 4, conditional = true }\n\
        [models.generator]\nname = \"g\"\ninputs = { class = [10], noise = [4] }\n\
        layer = [{ type = \"concat\", inputs = [\"noise\", \"class\"] }, { type = \"dense\", units = 784, activation = \"tanh\" }, \
        { type = \"reshape\", shape = [28, 28, 1] }]\n\
        [models.discriminator]\nname = \"d\"\ninputs = { class = [10], image = [28, 28, 1] }\n\
        layer = [{ name = \"flat\", type = \"flatten\", input = \"image\" }, \
        { type = \"concat\", inputs = [\"flat\", \"class\"] }, { type = \"dense\", units = 1 }]";
    let (sandbox, _) = trained(models, [0.5, 0.5]);
    let draw = |class: u32| {
        let out = format!("{class}.png");
        sandbox
            .wgrad(&format!(
                "generate run --device cpu --count 2 --class {class} --out {out}"
            ))
            .succeeds();
        std::fs::read(sandbox.path(&out)).unwrap()
    };
    assert_ne!(draw(3), draw(4));
}

#[test]
fn restored_images_are_written_beside_their_measures() {
    let model =
        "task = { name = \"restoration\", noise = 0.2, factor = 2 }\nmodel = \"restoration-cnn\"";
    let (sandbox, _) = trained(model, [0.0, 1.0]);
    let found = sandbox.wgrad("eval run --device cpu --json").succeeds();
    let line: Value = serde_json::from_str(found.out.trim()).unwrap();
    for name in ["test_psnr", "test_ssim", "test_psnr_degraded"] {
        assert!(line[name].as_f64().unwrap() > 0.0, "{line}");
    }
    image::GrayImage::from_fn(28, 28, |x, y| image::Luma([(x * y % 256) as u8]))
        .save(sandbox.path("noisy.png"))
        .unwrap();
    sandbox
        .wgrad("predict run noisy.png --device cpu --out restored")
        .succeeds();
    let restored = image::open(sandbox.path("restored/noisy-restored.png")).unwrap();
    assert_eq!((restored.width(), restored.height()), (28, 28));
}

#[test]
fn a_model_is_trained_on_good_and_degraded_images_in_two_folders() {
    let sandbox = Sandbox::new();
    for n in 0..12u32 {
        let good = image::GrayImage::from_fn(16, 16, |x, y| {
            image::Luma([((x * (n + 3) + y * 7) % 16 * 16) as u8])
        });
        let small = image::imageops::resize(&good, 8, 8, image::imageops::FilterType::Triangle);
        for (folder, picture) in [("target", &good), ("input", &small)] {
            std::fs::create_dir_all(sandbox.path(&format!("pairs/{folder}"))).unwrap();
            let path = sandbox.path(&format!("pairs/{folder}/{n}.png"));
            picture.save(path).unwrap();
        }
    }
    let train = |more: &str| {
        let args = format!("train pairs --device cpu --epochs 2 --out run --json {more}");
        sandbox.wgrad(&args)
    };
    train("--set task.name=restoration --set task.noise=0.1").fails(2, &["leave out task.noise"]);
    train("--set augment.contrast=0.1").fails(2, &["change degraded images alone"]);
    let lines = train("--set augment.flip=true").succeeds().json();
    let done = lines.last().unwrap();
    assert_eq!(done["task"], "restoration");
    assert!(done["test_psnr"].as_f64().unwrap() > 5.0, "{done}");
    let predict = "predict run pairs/input/0.png --device cpu --out restored";
    sandbox.wgrad(predict).succeeds();
    let restored = image::open(sandbox.path("restored/0-restored.png")).unwrap();
    assert_eq!((restored.width(), restored.height()), (16, 16));
    std::fs::remove_file(sandbox.path("pairs/input/3.png")).unwrap();
    sandbox
        .wgrad("train pairs --device cpu --out other")
        .fails(1, &["3.png has no degraded image"]);
}
