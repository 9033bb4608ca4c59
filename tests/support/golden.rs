//! Texts that are compared with files in tests/golden.

use std::path::Path;

/// Compares `text` with the file `name` in tests/golden, in the tests of tests/engine/`test`.rs. UPDATE_GOLDEN=1 writes the file instead.
pub fn assert_golden(test: &str, name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|v| v == "1") {
        std::fs::write(&path, text).expect("tests/golden can be written");
    }
    let golden = std::fs::read_to_string(&path)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    let differs = golden.lines().zip(text.lines()).find(|(a, b)| a != b);
    assert!(
        golden == text,
        "{name} changed, first at {differs:?}; if that is meant, run UPDATE_GOLDEN=1 cargo test --test engine {test} and look \
         at the difference"
    );
}
