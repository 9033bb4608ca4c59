//! Small inputs that ask for much: each ends with a sentence, or soon and in little memory.

use super::sandbox::{Sandbox, names};
use std::time::{Duration, Instant};

/// The command's output, whose memory is limited to `mib` where the shell can do that.
fn limited(sandbox: &Sandbox, args: &str, mib: u64) -> super::sandbox::CommandOutput {
    let program = env!("CARGO_BIN_EXE_wgrad");
    let mut shell = std::process::Command::new("sh");
    let line = format!("ulimit -v {} 2>/dev/null; exec {program} {args}", mib << 10);
    shell
        .args(["-c", &line])
        .current_dir(sandbox.path(""))
        .stdin(std::process::Stdio::null());
    shell.output().unwrap().into()
}

#[test]
fn deep_and_long_models_are_planned_soon_or_refused() {
    let sandbox = Sandbox::new();
    let head = "name = \"m\"\ninput = [8, 8, 1]\n";
    let relu = "[[layer]]\ntype = \"activation\"\nfunction = \"relu\"\n";
    let end = "[[layer]]\ntype = \"flatten\"\n[[layer]]\ntype = \"dense\"\nunits = 4\n";
    sandbox.write("long.toml", format!("{head}{}{end}", relu.repeat(9_990)));
    let start = Instant::now();
    sandbox.wgrad("plan long.toml").succeeds();
    assert!(start.elapsed() < Duration::from_secs(20));
    let dense = "[[layer]]\ntype = \"dense\"\nunits = 8\n[[layer]]\ntype = \"activation\"\nfunction = \"tanh\"\n";
    sandbox.write(
        "dense.toml",
        format!(
            "{head}[[layer]]\ntype = \"flatten\"\n{}{end}",
            dense.repeat(2_000)
        )
        .replacen(end, "[[layer]]\ntype = \"dense\"\nunits = 4\n", 1),
    );
    sandbox.wgrad("plan dense.toml").succeeds();
    assert!(start.elapsed() < Duration::from_secs(40));
    let block = "[[layer]]\ntype = \"block\"\nblock = \"a\"\n";
    sandbox.write(
        "repeat.toml",
        format!("{head}{block}repeat = 4000000000\n{end}[[block.a.layer]]\ntype = \"activation\"\nfunction = \"relu\"\nwhen = false\n"),
    );
    sandbox
        .wgrad("plan repeat.toml")
        .fails(2, &["more than 20000 layers and uses of blocks"]);
    let inner: String = (0..20_000)
        .map(|i| {
            format!(
                "[[block.b{i}.layer]]\ntype = \"block\"\nblock = \"b{}\"\n",
                i + 1
            )
        })
        .collect();
    sandbox.write(
        "stack.toml",
        format!("{head}{}{end}{inner}[[block.b20000.layer]]\ntype = \"activation\"\nfunction = \"relu\"\n", block.replace("\"a\"", "\"b0\"")),
    );
    sandbox
        .wgrad("plan stack.toml")
        .fails(2, &["64 blocks within each other"]);
}

#[test]
fn a_table_of_a_hundred_thousand_columns_opens_in_seconds() {
    let sandbox = Sandbox::new();
    let columns = 100_000;
    let header: String = (0..columns).map(|i| format!("c{i},")).collect();
    let rows: String = (0..4)
        .map(|row| format!("{}{}\n", "1,".repeat(columns), row % 2))
        .collect();
    sandbox.write("wide.csv", format!("{header}y\n{rows}"));
    let start = Instant::now();
    limited(&sandbox, "data show wide.csv", 2_000).succeeds();
    assert!(start.elapsed() < Duration::from_secs(20));
    let message = sandbox.wgrad("data show wide.csv --target z");
    assert!(message.err.len() < 2_000, "{} bytes", message.err.len());
    message.fails(1, &["no target column z", "99971 more"]);
}

/// A grey picture of 8 x 8 pixels.
fn pgm(value: u8) -> String {
    format!("P2\n8 8\n255\n{}\n", format!("{value} ").repeat(64))
}

#[test]
fn pictures_of_no_pixels_and_long_strips_are_bounded() {
    let sandbox = Sandbox::new();
    for (class, value) in [("a", 20), ("b", 200)] {
        std::fs::create_dir_all(sandbox.path(&format!("set/{class}"))).unwrap();
        for i in 0..4 {
            sandbox.write(&format!("set/{class}/{i}.pgm"), pgm(value));
        }
    }
    sandbox.write("empty.pgm", "P2\n0 2\n255\n1 2 3 4\n");
    sandbox.write(
        "set/a/strip.pgm",
        format!("P2\n1 16384\n255\n{}\n", "9 ".repeat(16_384)),
    );
    limited(&sandbox, "data show set --size 1024", 3_000).succeeds();
    std::fs::copy(sandbox.path("empty.pgm"), sandbox.path("set/a/0bad.pgm")).unwrap();
    let show = "data show set --size 8";
    sandbox.wgrad(show).fails(1, &["0bad.pgm", "no pixels"]);
    let kept = sandbox.wgrad(&format!("{show} --skip-bad")).succeeds();
    assert!(kept.err.contains("0bad.pgm"), "{}", kept.err);
    sandbox.trained();
    let predicted = sandbox.wgrad("predict run empty.pgm set/a/0.pgm --json");
    assert_eq!(predicted.code, Some(1), "{}", predicted.err);
    let lines = predicted.json();
    assert!(lines[0]["error"].as_str().unwrap().contains("no pixels"));
    assert!(lines[1]["error"].is_null(), "{}", lines[1]);
}

#[test]
fn a_picture_that_is_cut_short_is_an_error() {
    use image::{ExtendedColorType, ImageEncoder as _};
    let sandbox = Sandbox::new();
    sandbox.trained();
    let pixels: Vec<u8> = (0..64 * 64).map(|i| (i * i % 251) as u8).collect();
    let mut whole = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut whole)
        .write_image(&pixels, 64, 64, ExtendedColorType::L8)
        .unwrap();
    sandbox.write("whole.jpg", &whole);
    sandbox.write("half.jpg", &whole[..whole.len() / 2]);
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png)
        .write_image(&pixels, 64, 64, ExtendedColorType::L8)
        .unwrap();
    sandbox.write("whole.png", &png);
    sandbox.write("half.png", &png[..png.len() / 2]);
    let middle = png.len() / 2;
    png[middle] ^= 4;
    sandbox.write("flipped.png", &png);
    sandbox.wgrad("predict run whole.jpg whole.png").succeeds();
    for damaged in ["half.jpg", "half.png", "flipped.png"] {
        let message = sandbox.wgrad(&format!("predict run {damaged}"));
        assert_eq!(message.code, Some(1), "{damaged}: {}", message.out);
        assert!(message.err.contains(damaged), "{}", message.err);
    }
}

#[test]
fn an_archive_whose_arrays_do_not_match_is_refused_before_they_are_unpacked() {
    use std::io::Write as _;
    let sandbox = Sandbox::new();
    let file = std::fs::File::create(sandbox.path("set.npz")).unwrap();
    let mut zip = zip::ZipWriter::new(file);
    let mut array = |name: &str, shape: &str, bytes: usize| {
        zip.start_file(
            format!("{name}.npy"),
            zip::write::SimpleFileOptions::default(),
        )
        .unwrap();
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
        zip.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        zip.write_all(header.as_bytes()).unwrap();
        let zeros = vec![0; 1 << 20];
        (0..bytes.div_ceil(1 << 20)).for_each(|_| zip.write_all(&zeros).unwrap());
    };
    array("x", "(1, 1, 1)", 1);
    array("y", "(209715200,)", 200 << 20);
    zip.finish().unwrap();
    limited(&sandbox, "data show set.npz", 1_500)
        .fails(1, &["set.npz", "209715200", "1 rows or images in x"]);
}

/// Files of 4 TiB, which take no space on the disk.
#[cfg(target_os = "linux")]
#[test]
fn files_far_larger_than_the_memory_are_not_read() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    for name in ["run.toml", "picture.png", "table.csv", "a.safetensors"] {
        let file = std::fs::File::create(sandbox.path(name)).unwrap();
        file.set_len(1 << 42).unwrap();
    }
    let start = Instant::now();
    for (args, code, parts) in [
        ("plan run.toml", 1, ["run.toml", "GiB of memory, but only"]),
        (
            "predict run picture.png",
            1,
            ["picture.png", "it is over 1073741824 bytes long"],
        ),
        (
            "data show table.csv",
            1,
            ["table.csv", "is over 1099511627776 bytes long"],
        ),
        (
            "train tiny.toml --data good --batch 8 --init a.safetensors --device cpu",
            1,
            ["a.safetensors", "GiB of memory, but only"],
        ),
    ] {
        limited(&sandbox, args, 3_000).fails(code, &parts);
    }
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_tokenizer_whose_tokens_double_is_refused() {
    let sandbox = Sandbox::new();
    let text: String = (0..600)
        .map(|i| format!("{} ", ["abc", "cab", "bca", "ab"][i * i % 4]))
        .collect();
    sandbox.write("t.txt", text);
    sandbox.write(
        "lm.toml",
        "steps = 2\nbatch = 4\n[data]\nsource = \"t.txt\"\ncontext = 8\ntokens = \"byte_pairs\"\nvocabulary = 262\n\
         [model]\nname = \"lm\"\ninput = \"auto\"\n[[model.layer]]\ntype = \"embedding\"\nwidth = 4\n\
         [[model.layer]]\ntype = \"dense\"\nunits = \"vocabulary\"\n",
    );
    sandbox
        .wgrad("train lm.toml --device cpu --out run")
        .succeeds();
    let merges: Vec<[u32; 2]> = (0..60)
        .map(|i| [if i == 0 { 98 } else { 256 + i }; 2])
        .collect();
    let tokenizer = serde_json::json!({"kind": "byte_pairs", "merges": merges});
    sandbox.write("run/tokenizer.json", tokenizer.to_string());
    limited(
        &sandbox,
        "generate run --tokens 20 --prompt ab --device cpu",
        2_000,
    )
    .fails(1, &["tokenizer.json", "more than 65536 bytes"]);
}

#[test]
fn escape_sequences_of_files_do_not_reach_the_terminal() {
    let sandbox = Sandbox::new();
    let rows: String = (0..20)
        .map(|i| format!("\u{1b}[31mx,{}\n", i % 2))
        .collect();
    sandbox.write("t.csv", format!("a\u{1b}[2J,y\n{rows}"));
    sandbox.write("r.toml", "device = \"\\u001b[2J\"\n");
    std::fs::create_dir_all(sandbox.path("d/a")).unwrap();
    std::fs::create_dir_all(sandbox.path("d/b")).unwrap();
    sandbox.write("d/a/\u{1b}]0;title\u{7}.png", "no picture");
    for args in ["data show t.csv", "plan r.toml", "data show d --size 8"] {
        let message = sandbox.wgrad(args);
        let shown = format!("{}{}", message.out, message.err);
        assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
        assert!(shown.contains("\\u{1b}"), "{shown:?}");
    }
    assert!(names(&sandbox.path("d/a")).len() == 1);
}

#[test]
fn nothing_is_printed_about_a_missing_runtime_folder() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("devices");
    let output = command.env_remove("XDG_RUNTIME_DIR").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Links need no rights on Unix.
#[cfg(unix)]
#[test]
fn links_in_circles_are_an_error_and_names_that_are_not_utf_8_stay_apart() {
    use std::os::unix::{ffi::OsStrExt as _, fs::symlink};
    let sandbox = Sandbox::new();
    let class = |name: &[u8]| {
        let folder = sandbox.path("set").join(std::ffi::OsStr::from_bytes(name));
        std::fs::create_dir_all(&folder).unwrap();
        for i in 0..5 {
            std::fs::write(folder.join(format!("{i}.pgm")), pgm(20 * i)).unwrap();
        }
    };
    class(b"plain");
    class(b"c\xff");
    class(b"c\xfe");
    let show = "data show set --size 8";
    let shown = sandbox.wgrad(show).succeeds();
    assert!(
        shown.out.contains("c\\xFE") && shown.out.contains("c\\xFF"),
        "{}",
        shown.out
    );
    // A link to a folder elsewhere is one to its images.
    symlink(sandbox.path("set/plain"), sandbox.path("set/linked")).unwrap();
    let linked = sandbox.wgrad(show).succeeds();
    assert!(linked.out.contains("linked"), "{}", linked.out);
    symlink("..", sandbox.path("set/plain/up")).unwrap();
    sandbox
        .wgrad(show)
        .fails(1, &["up is a link to a folder that it is in"]);
}
