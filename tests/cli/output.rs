//! Standard output and standard error, and the handling of images and adapters.

use super::sandbox::{CommandOutput, Sandbox};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

fn png(width: u32, height: u32) -> Vec<u8> {
    let image = image::GrayImage::from_fn(width, height, |x, y| image::Luma([(x * 9 + y) as u8]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn with_json_standard_output_is_json_lines_and_nothing_else() {
    let sandbox = Sandbox::new();
    let message = sandbox.train("--epochs 2 --json").succeeds();
    let events: Vec<_> = message
        .json()
        .iter()
        .map(|line| line["event"].clone())
        .collect();
    assert_eq!(events, ["epoch", "epoch", "done"]);
    assert_eq!(message.err, "");
    sandbox.write("a.png", png(8, 8));
    sandbox.write("b.png", png(30, 20));
    for (args, lines) in [
        ("eval run --json", 1),
        ("predict run a.png b.png --json", 2),
        ("plan tiny.toml --json", 1),
        ("check softmax_cross --device cpu --json", 1),
    ] {
        assert_eq!(sandbox.wgrad(args).succeeds().json().len(), lines, "{args}");
    }
    sandbox.wgrad("devices --json").succeeds().json();
}

#[test]
fn with_json_a_failure_is_reported_on_standard_error_alone() {
    let sandbox = Sandbox::new();
    for args in [
        "train tiny.toml --data nowhere --device cpu --json",
        "eval good --json",
        "predict good a.png --json",
        "plan nosuch --json",
        "check nosuch --json",
    ] {
        let message = sandbox.wgrad(args);
        assert!(
            message.code != Some(0) && message.err.starts_with("error: "),
            "{args}: {}",
            message.err
        );
        assert_eq!(message.out, "", "{args}");
    }
}

#[test]
fn a_reader_that_goes_away_early_is_no_error() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    for args in [
        "train tiny.toml --data good --batch 8 --epochs 20 --device cpu --out piped",
        "train --resume run --epochs 20 --json",
        "eval run",
        "predict run --part test --csv whole.csv",
        "plan",
        "check relu --device cpu",
        "--help",
    ] {
        let mut child = sandbox
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let message = CommandOutput::from(child.wait_with_output().unwrap());
        let errors = message
            .err
            .lines()
            .filter(|line| !line.starts_with("note: "));
        assert_eq!(
            (message.code, errors.count()),
            (Some(0), 0),
            "{args}: {}",
            message.err
        );
    }
    // What is written to a file is whole all the same.
    let table = std::fs::read_to_string(sandbox.path("whole.csv")).unwrap();
    let all = sandbox.wgrad("predict run --part test").succeeds();
    assert_eq!(table.lines().count(), 1 + all.out.lines().count());
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_can_not_be_written_is_an_error() {
    let sandbox = Sandbox::new();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = sandbox.command("plan").stdout(full).output().unwrap();
    CommandOutput::from(output).fails(1, &["standard output", "No space left"]);
}

#[test]
fn pictures_that_can_not_be_read_are_named_and_the_others_predicted() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    sandbox.write("good.png", png(8, 8));
    sandbox.write("text.png", "no picture");
    sandbox.write("empty.png", "");
    sandbox.write("cut.png", &png(30, 20)[..60]);
    // Width and height in the header, and the checksum of the header.
    let mut bomb = png(8, 8);
    bomb[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    let mut crc = flate2::Crc::new();
    crc.update(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    sandbox.write("bomb.png", bomb);
    for name in [
        "text.png",
        "empty.png",
        "cut.png",
        "bomb.png",
        "nowhere.png",
    ] {
        let message = sandbox
            .wgrad(&format!("predict run good.png {name}"))
            .fails(1, &[&format!("{name} can't be read as an image")]);
        assert!(message.out.starts_with("good.png: "), "{}", message.out);
    }
}

#[test]
fn pictures_of_any_size_are_predicted_with_as_many_classes_as_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    sandbox.write("a.png", png(30, 20));
    let message = sandbox.wgrad("predict run a.png --top 2 --json").succeeds();
    let top = message.json()[0]["top"].as_array().unwrap().clone();
    assert_eq!(top.len(), 2);
    let message = sandbox
        .wgrad("predict run a.png --top 99 --json")
        .succeeds();
    let top = message.json()[0]["top"].as_array().unwrap().clone();
    let total: f64 = top.iter().map(|t| t["probability"].as_f64().unwrap()).sum();
    assert!(top.len() == 3 && (total - 1.0).abs() < 1e-9);
    let message = sandbox.wgrad("predict run a.png --top 0");
    assert_eq!(message.code, Some(2));
    assert!(message.err.contains("--top"), "{}", message.err);
}

#[test]
fn an_adapter_that_is_not_there_is_answered_with_those_that_are() {
    let sandbox = Sandbox::new();
    if !sandbox.has_adapter() {
        return;
    }
    let train = "train tiny.toml --data good --batch 8 --out run";
    for name in ["77", "nosuch"] {
        for args in [
            &format!("{train} --adapter {name}"),
            &format!("check relu --adapter {name}"),
        ] {
            let message = sandbox.wgrad(args);
            assert_eq!(message.code, Some(2), "{}", message.err);
            assert!(
                message.err.contains(name) && message.err.contains("available: 0: "),
                "{}",
                message.err
            );
        }
    }
    sandbox.holds_no_run();
}

#[test]
fn a_batch_that_the_adapter_can_not_hold_is_answered_with_one_that_it_can() {
    let sandbox = Sandbox::new();
    if !sandbox.has_adapter() {
        return;
    }
    sandbox.write(
        "big.toml",
        "batch = 40000\n[data]\ntrain = 40000\ntest = 10\n",
    );
    let message = sandbox.wgrad("train big.toml --device gpu --out run --steps 1");
    if message.code == Some(0) {
        eprintln!("skipped: the adapter holds it");
        return;
    }
    let message = message.fails(1, &["smaller batch", "--batch "]);
    let (_, fits) = message.err.rsplit_once("--batch ").unwrap();
    let fits: usize = fits.split(' ').next().unwrap().parse().unwrap();
    assert!((1..40_000).contains(&fits), "{}", message.err);
    sandbox.holds_no_run();
}

#[test]
fn a_run_on_an_adapter_is_evaluated_alike_on_the_cpu() {
    let sandbox = Sandbox::new();
    if !sandbox.has_adapter() {
        return;
    }
    sandbox
        .wgrad("train tiny.toml --data good --batch 8 --epochs 1 --device gpu --out run")
        .succeeds();
    let loss = |args: &str| {
        sandbox.wgrad(args).succeeds().json()[0]["test_loss"]
            .as_f64()
            .unwrap()
    };
    let (gpu, cpu) = (
        loss("eval run --json"),
        loss("eval run --json --device cpu"),
    );
    assert!((gpu - cpu).abs() < 1e-5, "{gpu} {cpu}");
}
