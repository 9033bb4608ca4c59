//! `wgrad train`, `eval` and `predict` for images with boxes.

use super::sandbox::Sandbox;
use image::{GrayImage, Luma};
use serde_json::Value;

const MODEL: &str = r#"name = "finder"
input = [32, 32, 1]
outputs = ["classes4", "boxes4", "classes8", "boxes8"]
layer = [
    { type = "conv2d", filters = 8, kernel = 5, stride = 2, padding = "same", activation = "relu" },
    { name = "fine", type = "conv2d", filters = 16, kernel = 5, stride = 2, padding = "same", activation = "relu" },
    { name = "coarse", type = "conv2d", filters = 16, kernel = 5, stride = 2, padding = "same", activation = "relu" },
    { name = "classes4", type = "conv2d", input = "fine", filters = "classes", kernel = 3, padding = "same", bias_init = -3 },
    { name = "boxes4", type = "conv2d", input = "fine", filters = 5, kernel = 3, padding = "same" },
    { name = "classes8", type = "conv2d", input = "coarse", filters = "classes", kernel = 1, bias_init = -3 },
    { name = "boxes8", type = "conv2d", input = "coarse", filters = 5, kernel = 1 },
]
"#;

const TRAIN: &str =
    "train finder.toml --data marks --device cpu --batch 5 --epochs 60 --lr 0.01 --out run --json";

/// The corner of the bright square of image `n`, which has 16 pixels a side of 64.
fn corner(n: u32) -> [u32; 2] {
    [n * 7 % 44 + 2, n * 11 % 44 + 2]
}

/// A sandbox with `finder.toml` and `marks`: images of 64 x 64 with a bright square, in the layout of Pascal VOC.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("finder.toml", MODEL);
    for folder in ["JPEGImages", "Annotations", "ImageSets/Main"] {
        std::fs::create_dir_all(sandbox.path("marks").join(folder)).unwrap();
    }
    for n in 0..20 {
        let [left, top] = corner(n);
        let inside =
            |x: u32, y: u32| (left..left + 16).contains(&x) && (top..top + 16).contains(&y);
        let picture =
            GrayImage::from_fn(64, 64, |x, y| Luma([if inside(x, y) { 230 } else { 20 }]));
        let file = sandbox.path(&format!("marks/JPEGImages/{n}.png"));
        picture.save(file).unwrap();
        let xml = format!(
            "<annotation><filename>{n}.png</filename><object><name>mark</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>\
             <xmax>{}</xmax><ymax>{}</ymax></bndbox></object></annotation>",
            left + 16,
            top + 16
        );
        sandbox.write(&format!("marks/Annotations/{n}.xml"), xml);
    }
    let list = |all: std::ops::Range<u32>| all.map(|n| format!("{n}\n")).collect::<String>();
    sandbox.write("marks/ImageSets/Main/train.txt", list(0..15));
    sandbox.write("marks/ImageSets/Main/test.txt", list(10..20));
    sandbox
}

#[test]
fn boxes_are_found_drawn_and_written_in_pixels_of_the_file() {
    let sandbox = sandbox();
    let done = sandbox.wgrad(TRAIN).succeeds().json().pop().unwrap();
    assert_eq!(
        (&done["task"], &done["monitor"]),
        (&"detection".into(), &"map_50".into())
    );
    let precision = done["test_map_50"].as_f64().unwrap();
    assert!(precision > 0.8, "{done}");
    assert!(done["test_map_50_95"].is_f64(), "{done}");
    let eval = sandbox.wgrad("eval run --device cpu --json").succeeds();
    let eval = &eval.json()[0];
    assert_eq!(
        eval["ap_50_by_class"]["mark"].as_f64(),
        eval["test_map_50"].as_f64().or(eval["map_50"].as_f64())
    );
    let found = sandbox
        .wgrad("predict run marks/JPEGImages/3.png --device cpu --json")
        .succeeds();
    let line = found.json().pop().unwrap();
    let first = &line["boxes"][0];
    assert_eq!(first["class"], "mark");
    assert!(first["score"].as_f64().unwrap() >= 0.5, "{line}");
    let [left, top] = corner(3).map(f64::from);
    let corners: Vec<f64> = first["box"]
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect();
    for (got, wanted) in corners.iter().zip([left, top, left + 16.0, top + 16.0]) {
        assert!((got - wanted).abs() < 5.0, "{corners:?}");
    }
    let drawn = image::open(sandbox.path(line["picture"].as_str().unwrap())).unwrap();
    assert_eq!((drawn.width(), drawn.height()), (64, 64));
    let coloured = |pixel: &image::Rgb<u8>| pixel.0[0] != pixel.0[2];
    assert!(drawn.into_rgb8().pixels().any(coloured));
    // A part of the run's own data.
    let part = sandbox
        .wgrad("predict run --part test --device cpu --json")
        .succeeds();
    let lines: Vec<Value> = part.json();
    assert_eq!(
        lines.iter().filter(|line| line["boxes"].is_array()).count(),
        10
    );
    let report = std::fs::read_to_string(sandbox.path("run/report.html")).unwrap();
    assert!(
        report.contains("Average precision")
            && report.matches("data:image/png;base64,").count() >= 12
    );
}

#[test]
fn what_detection_can_not_do_is_said_in_a_sentence() {
    let sandbox = sandbox();
    for (args, words) in [
        ("--set augment.rotate=10", "have no form for boxes"),
        (
            "--set label_smoothing=0.1",
            "label_smoothing does not apply to detection",
        ),
        ("--set loss=mse", "leave [loss] out"),
        (
            "--set task.threshold=2",
            "task.threshold must be from 0 to 1",
        ),
        (
            "--model lenet5",
            "detection needs two outputs for each level",
        ),
    ] {
        let command = format!("train finder.toml --data marks --device cpu --epochs 1 {args}");
        sandbox.wgrad(&command).fails(2, &[words]);
    }
}
