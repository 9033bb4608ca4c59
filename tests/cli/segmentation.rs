//! `wgrad train`, `eval` and `predict` for images with masks.

use super::sandbox::Sandbox;
use image::{GrayImage, Luma};

const MODEL: &str = r#"name = "pixels"
input = [8, 8, 1]
layer = [
    { type = "conv2d", filters = 4, kernel = 3, padding = "same", activation = "relu" },
    { type = "conv2d", filters = 2, kernel = 1 },
]
"#;

const TRAIN: &str =
    "train pixels.toml --data cells --device cpu --batch 4 --epochs 30 --lr 0.05 --out run --json";

/// A sandbox with `pixels.toml` and `cells`: images of a bright square, whose mask is 200 there and 10 elsewhere.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("pixels.toml", MODEL);
    for folder in ["image", "mask"] {
        std::fs::create_dir_all(sandbox.path("cells").join(folder)).unwrap();
    }
    for n in 0..20 {
        let inside =
            |x: u32, y: u32| (n % 5..n % 5 + 3).contains(&x) && (n % 4..n % 4 + 4).contains(&y);
        let picture = |bright: u8, dark: u8| {
            GrayImage::from_fn(8, 8, |x, y| {
                Luma([if inside(x, y) { bright } else { dark }])
            })
        };
        let file = |folder: &str| sandbox.path(&format!("cells/{folder}/{n}.png"));
        picture(220, 30).save(file("image")).unwrap();
        picture(200, 10).save(file("mask")).unwrap();
    }
    sandbox
}

#[test]
fn masks_are_learned_and_predictions_are_files_with_the_values_of_the_masks() {
    let sandbox = sandbox();
    let done = sandbox.wgrad(TRAIN).succeeds().json().pop().unwrap();
    let iou = done["test_mean_iou"].as_f64().unwrap();
    assert!(iou > 0.95, "{done}");
    assert!(done["test_pixel_accuracy"].is_f64(), "{done}");
    let found = sandbox.wgrad("eval run --device cpu --json").succeeds();
    let by_class = &found.json()[0]["iou_by_class"];
    assert!(
        by_class["10"].is_f64() && by_class["200"].is_f64(),
        "{by_class}"
    );
    let message = sandbox
        .wgrad("predict run cells/image/3.png --device cpu --json")
        .succeeds();
    let line = message.json().pop().unwrap();
    let open = |key: &str| image::open(sandbox.path(line[key].as_str().unwrap())).unwrap();
    let truth = image::open(sandbox.path("cells/mask/3.png"))
        .unwrap()
        .into_luma8();
    assert_eq!(open("mask").into_luma8(), truth);
    let overlay = open("overlay").into_rgb8();
    assert_eq!(overlay.dimensions(), (8, 8));
    // A pixel of the first class is unchanged; one of the second class has a colour.
    let pixel = |value: u8| {
        let (x, y, _) = truth
            .enumerate_pixels()
            .find(|(_, _, own)| own.0 == [value])
            .unwrap();
        overlay.get_pixel(x, y).0
    };
    assert_eq!(pixel(10), [30; 3]);
    assert_ne!(pixel(200)[0], pixel(200)[2]);
    let share = line["pixels"]["200"].as_f64().unwrap();
    let bright = truth.pixels().filter(|own| own.0 == [200]).count();
    assert!((share - bright as f64 / 64.0).abs() < 1e-9, "{line}");
    let report = std::fs::read_to_string(sandbox.path("run/report.html")).unwrap();
    assert!(report.matches("data:image/png;base64,").count() >= 9);
}

#[test]
fn balanced_weights_of_classes_are_numbers_of_the_run_which_evaluation_and_resume_use() {
    let sandbox = sandbox();
    let train = TRAIN.replace(
        "--epochs 30",
        "--epochs 2 --set task.class_weights=balanced",
    );
    sandbox.wgrad(&train).succeeds();
    let settings = std::fs::read_to_string(sandbox.path("run/run.toml")).unwrap();
    let settings: toml::Table = settings.parse().unwrap();
    let weights = settings["task"]["class_weights"].as_array().unwrap();
    let weights: Vec<f64> = weights.iter().filter_map(toml::Value::as_float).collect();
    // Fewer pixels are in the square: 2 to 3 columns of 4 rows, of 64.
    assert_eq!(weights.len(), 2, "{settings}");
    assert!(weights[0] < 0.7 && weights[1] > 2.0, "{weights:?}");
    // n / (2 n0) and n / (2 n1), where n is the sum of n0 and n1.
    assert!((0.5 / weights[0] + 0.5 / weights[1] - 1.0).abs() < 1e-9);
    let evaluated = |expected: usize| {
        let found = sandbox.wgrad("eval run --last --device cpu --json");
        let found = found.succeeds().json().pop().unwrap();
        assert_eq!(found["count"].as_u64(), Some(expected as u64));
        found["test_loss"].as_f64().unwrap()
    };
    let before = evaluated(4);
    sandbox
        .wgrad("train --resume run --epochs 3 --json")
        .succeeds();
    assert!(evaluated(4) != before);
    let after = std::fs::read_to_string(sandbox.path("run/run.toml")).unwrap();
    let after: toml::Table = after.parse().unwrap();
    assert_eq!(
        after["task"]["class_weights"],
        settings["task"]["class_weights"]
    );
}

#[test]
fn predicted_masks_have_the_size_of_their_pictures_and_names_of_their_own() {
    let sandbox = sandbox();
    sandbox.wgrad(TRAIN).succeeds();
    // The images are larger than the model's; the second is wider, so both of its sides are cropped.
    let inside = |x: u32, y: u32| (6..15).contains(&x) && (6..18).contains(&y);
    let picture = |width, height| {
        GrayImage::from_fn(width, height, |x, y| {
            Luma([if inside(x, y) { 220 } else { 30 }])
        })
    };
    for (folder, width, height) in [("a", 24, 24), ("b", 30, 24)] {
        std::fs::create_dir_all(sandbox.path(folder)).unwrap();
        let file = sandbox.path(&format!("{folder}/1.png"));
        picture(width, height).save(file).unwrap();
    }
    let lines = sandbox
        .wgrad("predict run a/1.png b --device cpu --json --out masks")
        .succeeds()
        .json();
    let open = |line: usize, key: &str| {
        let path = lines[line][key].as_str().unwrap();
        image::open(sandbox.path(path)).unwrap()
    };
    for (line, width) in [(0, 24), (1, 30)] {
        let mask = open(line, "mask").into_luma8();
        assert_eq!(mask.dimensions(), (width, 24));
        assert_eq!(open(line, "overlay").into_rgb8().dimensions(), (width, 24));
        let agreeing = mask.enumerate_pixels().filter(|(x, y, value)| {
            let wanted = if inside(*x, *y) { 200 } else { 10 };
            value.0 == [wanted]
        });
        let share = agreeing.count() as f64 / f64::from(24 * width);
        assert!(share > 0.9, "{share} of picture {line}");
    }
    assert!(lines[1]["mask"].as_str().unwrap().contains("1-2-mask.png"));
}

#[test]
fn masks_that_do_not_fit_are_an_error_before_anything_is_written() {
    let sandbox = sandbox();
    let mask = sandbox.path("cells/mask/7.png");
    GrayImage::from_pixel(5, 8, Luma([10])).save(&mask).unwrap();
    sandbox.wgrad(TRAIN).fails(1, &["7.png"]);
    sandbox.holds_no_run();
    std::fs::remove_file(&mask).unwrap();
    sandbox.wgrad(TRAIN).fails(1, &["7.png", "has no mask"]);
    sandbox.holds_no_run();
}

#[test]
fn a_task_whose_fields_the_data_lack_is_refused() {
    let sandbox = Sandbox::new();
    sandbox
        .train("--task segmentation")
        .fails(2, &["segmentation", "mask", "image, label"]);
    sandbox.holds_no_run();
}
