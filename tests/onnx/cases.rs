//! The cases of the ONNX standard, recorded by `tests/fixtures/make_onnx.py`: each is a small network with inputs and outputs. All
//! run on the reference and on an adapter, within the tolerances of ONNX's own runner.

use crate::support;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use wgrad::data::NpyArray;
use wgrad::device::Engine;
use wgrad::onnx::{self, Element, OnnxFile};
use zip::ZipArchive;

#[derive(Deserialize)]
struct Index {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    model: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

/// The recorded cases.
struct Recorded {
    archive: Mutex<ZipArchive<File>>,
    cases: Vec<Case>,
}

impl Recorded {
    fn open() -> Recorded {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx.zip");
        let mut archive = ZipArchive::new(File::open(path).unwrap()).unwrap();
        let index: Index = serde_json::from_reader(archive.by_name("index.json").unwrap()).unwrap();
        Recorded {
            archive: Mutex::new(archive),
            cases: index.cases,
        }
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let mut archive = self.archive.lock().unwrap();
        let mut bytes = Vec::new();
        archive
            .by_name(name)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }

    fn array(&self, name: &str) -> NpyArray {
        NpyArray::parse(&self.bytes(name)).unwrap()
    }

    /// Runs `case`; the text says how its outputs differ from the recorded ones.
    fn run(&self, case: &Case, engine: &Engine) -> Result<(), String> {
        let path = Path::new(&case.name).with_extension("onnx");
        let file = OnnxFile::parse(&path, &self.bytes(&case.model)).map_err(|e| e.to_string())?;
        let named = file.inputs.iter().zip(&case.inputs);
        let inputs: BTreeMap<String, NpyArray> = named
            .map(|(input, digest)| (input.name.clone(), self.array(digest)))
            .collect();
        let outputs = onnx::run(&file, engine.device(), &inputs).map_err(|e| e.to_string())?;
        for (output, digest) in outputs.iter().zip(&case.outputs) {
            let (have, want) = (&output.array, self.array(digest));
            if have.dims != want.shape {
                return Err(format!(
                    "{}: the shape is {:?}, not {:?}",
                    output.name, have.dims, want.shape
                ));
            }
            let is_bf16 = have.element == Element::Bfloat16 && !want.has_floats;
            // Those of bfloat16 were recorded with its rounding, to 8 significant bits, at every step.
            let relative = if is_bf16 { 2_f64.powi(-6) } else { 1e-3 };
            for (at, (&want, have)) in want.numbers.iter().zip(have.iter()).enumerate() {
                let want = match is_bf16 {
                    true => f64::from(half::bf16::from_bits(want as u16).to_f32()),
                    false => want,
                };
                let same = want == have || want.is_nan() && have.is_nan();
                let is_near = (want - have).abs() <= 1e-7 + relative * want.abs();
                if !same && !is_near {
                    return Err(format!("{}[{at}] is {have}, not {want}", output.name));
                }
            }
        }
        Ok(())
    }

    /// Runs all cases.
    fn all(&self, engine: &Engine) {
        let failures: Vec<String> = self
            .cases
            .iter()
            .filter_map(|case| Some(format!("{}: {}", case.name, self.run(case, engine).err()?)))
            .collect();
        assert!(
            failures.is_empty(),
            "{} of {} cases differ:\n{}",
            failures.len(),
            self.cases.len(),
            failures.join("\n")
        );
    }
}

#[test]
fn the_reference_agrees_with_the_standard() {
    Recorded::open().all(&Engine::Cpu);
}

#[test]
fn an_adapter_agrees_with_the_standard() {
    let Some(engine) = support::engine() else {
        return;
    };
    Recorded::open().all(engine);
}
