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

/// A model that looks at each pixel alone.
const PIXEL_MODEL: &str = r#"name = "pixels"
input = [8, 8, 1]
layer = [
    { type = "conv2d", filters = 4, kernel = 1, activation = "relu" },
    { type = "conv2d", filters = 2, kernel = 1 },
]
"#;

/// Pseudo-random bytes.
fn noise(seed: u32, x: u32, y: u32) -> u8 {
    let mixed = (seed * 977 + y * 131 + x + 1).wrapping_mul(2_654_435_761);
    (mixed >> 13) as u8
}

/// Images of 14 x 20 pixels with a mask of 200 where they are bright.
fn tiled_sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("pixels.toml", PIXEL_MODEL);
    for folder in ["image", "mask"] {
        std::fs::create_dir_all(sandbox.path("cells").join(folder)).unwrap();
    }
    for n in 0..10 {
        let picture = |bright: u8, dark: u8| {
            GrayImage::from_fn(20, 14, |x, y| match noise(n, x, y) < 100 {
                true => Luma([bright]),
                false => Luma([dark]),
            })
        };
        let file = |folder: &str| sandbox.path(&format!("cells/{folder}/{n}.png"));
        picture(200, 60).save(file("image")).unwrap();
        picture(200, 10).save(file("mask")).unwrap();
    }
    let train = TRAIN.replace(
        "--epochs 30",
        "--epochs 10 --set data.fit=tile --set data.overlap=3",
    );
    let done = sandbox.wgrad(&train).succeeds().json().pop().unwrap();
    let iou = done["test_mean_iou"].as_f64().unwrap();
    assert!(iou > 0.95, "{done}");
    sandbox
}

#[test]
fn images_are_cut_into_tiles_and_predictions_have_every_pixel_of_the_file() {
    let sandbox = tiled_sandbox();
    let open = |line: &serde_json::Value, key: &str| {
        image::open(sandbox.path(line[key].as_str().unwrap())).unwrap()
    };
    // Two of the ten images are held out, each with 3 x 4 tiles.
    let found = sandbox
        .wgrad("eval run --device cpu --json --outputs lines.jsonl")
        .succeeds();
    let found = found.json().pop().unwrap();
    assert_eq!(found["count"].as_u64(), Some(24), "{found}");
    // A line for each image.
    let written = std::fs::read_to_string(sandbox.path("lines.jsonl")).unwrap();
    let written: Vec<serde_json::Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(written.len(), 2, "{written:?}");
    for (index, line) in written.iter().enumerate() {
        let name = line["file"].as_str().unwrap();
        let truth = image::open(sandbox.path(&format!("cells/mask/{name}"))).unwrap();
        let bright = truth
            .into_luma8()
            .pixels()
            .filter(|pixel| pixel.0 == [200])
            .count();
        let share = line["pixels"]["200"].as_f64().unwrap();
        assert!((share - bright as f64 / 280.0).abs() < 1e-9, "{line}");
        assert_eq!(line["index"].as_u64(), Some(index as u64));
    }
    let lines = sandbox.wgrad("predict run --part test --device cpu --json --out part");
    let lines = lines.succeeds().json();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        let name = line["file"].as_str().unwrap();
        let truth = image::open(sandbox.path(&format!("cells/mask/{name}"))).unwrap();
        assert_eq!(
            open(line, "mask").into_luma8(),
            truth.into_luma8(),
            "{line}"
        );
        assert_eq!(open(line, "overlay").into_rgb8().dimensions(), (20, 14));
    }
    // Files of any size: smaller than a tile, too.
    for (width, height) in [(3, 5), (33, 21)] {
        let picture = GrayImage::from_fn(width, height, |x, y| {
            Luma([if noise(40, x, y) < 100 { 200 } else { 60 }])
        });
        picture.save(sandbox.path("other.png")).unwrap();
        let lines = sandbox
            .wgrad("predict run other.png --device cpu --json")
            .succeeds()
            .json();
        let mask = open(&lines[0], "mask").into_luma8();
        assert_eq!(mask.dimensions(), (width, height));
        let agrees =
            |(pixel, mask): (&Luma<u8>, &Luma<u8>)| (pixel.0 == [200]) == (mask.0 == [200]);
        assert!(picture.pixels().zip(mask.pixels()).all(agrees));
    }
}

/// The same weights in a model for the whole image give the same mask.
#[test]
fn a_prediction_by_tiles_is_that_of_the_whole_for_a_model_that_looks_at_one_pixel() {
    let sandbox = tiled_sandbox();
    let picture = GrayImage::from_fn(20, 14, |x, y| Luma([noise(77, x, y)]));
    picture.save(sandbox.path("noise.png")).unwrap();
    std::fs::create_dir(sandbox.path("whole")).unwrap();
    for entry in std::fs::read_dir(sandbox.path("run")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap();
            std::fs::copy(&path, sandbox.path("whole").join(name)).unwrap();
        }
    }
    let text = std::fs::read_to_string(sandbox.path("run/run.toml")).unwrap();
    let mut settings: toml::Table = text.parse().unwrap();
    let whole = |channels: &[i64]| {
        let sides = [14, 20].iter().chain(channels);
        toml::Value::Array(sides.map(|&side| toml::Value::Integer(side)).collect())
    };
    settings["model"]["input"] = whole(&[1]);
    let data = settings["data"].as_table_mut().unwrap();
    assert_eq!(data["fit"].as_str(), Some("tile"), "{text}");
    data.insert("fit".to_string(), "crop".into());
    data.insert("size".to_string(), whole(&[]));
    data.remove("overlap");
    sandbox.write("whole/run.toml", settings.to_string());
    let mask = |run: &str| {
        let command = format!("predict {run} noise.png --device cpu --json --out {run}-masks");
        let line = sandbox.wgrad(&command).succeeds().json().pop().unwrap();
        let mask = image::open(sandbox.path(line["mask"].as_str().unwrap()));
        mask.unwrap().into_luma8()
    };
    let (tiled, whole) = (mask("run"), mask("whole"));
    assert_eq!(tiled, whole);
    let bright = tiled.pixels().filter(|pixel| pixel.0 == [200]).count();
    assert!((50..230).contains(&bright), "{bright} of 280 pixels");
}

#[test]
fn tiles_are_for_segmentation_alone_and_larger_than_their_overlap() {
    let sandbox = sandbox();
    let with = |settings: &str| sandbox.wgrad(&format!("{TRAIN} {settings}"));
    with("--set data.fit=tile --set data.overlap=8").fails(2, &["data.overlap is 8 pixels"]);
    with("--set data.overlap=2").fails(2, &["data.overlap", "data.fit = \"tile\""]);
    with("--set data.fit=tile --task autoencoder")
        .fails(2, &["data.fit = \"tile\"", "autoencoder"]);
    sandbox.holds_no_run();
}
