//! Initial weights from files.

use super::sandbox::{Sandbox, safetensors};

const FITTING: [(&str, &[usize]); 4] = [
    ("conv1.weight", &[4, 1, 3, 3]),
    ("conv1.bias", &[4]),
    ("dense1.weight", &[3, 36]),
    ("dense1.bias", &[3]),
];

#[track_caller]
fn refused(bytes: &[u8], parts: &[&str]) {
    let sandbox = Sandbox::new();
    sandbox.write("w.safetensors", bytes);
    sandbox
        .train("--init w.safetensors")
        .fails(2, &[&["w.safetensors"], parts].concat());
    sandbox.holds_no_run();
}

#[test]
fn weights_that_fit_are_started_from() {
    let sandbox = Sandbox::new();
    sandbox.write("w.safetensors", safetensors(&FITTING));
    let message = sandbox.train("--init w.safetensors --lr 0 --epochs 1 --json");
    let loss = message.succeeds().json()[0]["test_loss"].as_f64().unwrap();
    // All logits are zero.
    assert!((loss - 3_f64.ln()).abs() < 1e-6, "{loss}");
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    let mut bytes = safetensors(&FITTING);
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    refused(&bytes, &["holds NaN"]);
}

#[test]
fn bytes_that_are_no_weights_are_refused() {
    let whole = safetensors(&FITTING);
    refused(&whole[..whole.len() / 2], &["not a valid safetensors file"]);
    refused(&[], &["not a valid safetensors file"]);
    let noise: Vec<u8> = (0..500_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    refused(&noise, &["not a valid safetensors file"]);
}

#[test]
fn a_header_that_claims_absurd_sizes_is_refused() {
    let file = |length: u64, header: &str| [&length.to_le_bytes(), header.as_bytes()].concat();
    refused(&file(1 << 63, "{}"), &["not a valid safetensors file"]);
    let header = r#"{"conv1.weight":{"dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,16]}}"#;
    refused(
        &file(header.len() as u64, header),
        &["not a valid safetensors file"],
    );
}

#[test]
fn what_of_other_weights_does_not_fit_is_listed_and_refused_where_all_must_fit() {
    let sandbox = Sandbox::new();
    let mut other = FITTING;
    other[2].1 = &[3, 35];
    sandbox.write("w.safetensors", safetensors(&other[..3]));
    let args = "--init w.safetensors --epochs 1 --json";
    let message = sandbox.train(args).succeeds();
    let lines = message.json();
    let init = lines.iter().find(|line| line["event"] == "init").unwrap();
    assert_eq!(
        init["matched"],
        serde_json::json!(["conv1.weight", "conv1.bias"])
    );
    let names = |key: &str| -> Vec<String> {
        let left = init[key].as_array().unwrap().iter();
        left.map(|left| left["name"].as_str().unwrap().to_string())
            .collect()
    };
    assert_eq!(names("missing"), ["dense1.weight", "dense1.bias"]);
    // A tensor of another shape counts as missing; all tensors of the file have names of the model.
    assert_eq!(names("unused"), [""; 0]);
    let sandbox = Sandbox::new();
    sandbox.write("w.safetensors", safetensors(&other));
    sandbox
        .train("--init w.safetensors --set init_strict=true")
        .fails(2, &["dense1.weight", "[3, 35]", "[3, 36]"]);
    sandbox.holds_no_run();
}

#[test]
fn what_is_no_file_is_not_read() {
    let sandbox = Sandbox::new();
    sandbox
        .train("--init nowhere.safetensors")
        .fails(2, &["nowhere.safetensors does not exist"]);
    sandbox
        .train("--init good")
        .fails(2, &["good is not a file"]);
    sandbox.holds_no_run();
}
