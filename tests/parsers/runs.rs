//! Models, settings, weights, and the files of run folders.

use super::{Target, write};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use wgrad::bench::Baseline;
use wgrad::cpu::Tensor;
use wgrad::data::{NpyArray, Tokenizer};
use wgrad::device::Engine;
use wgrad::nn::{Lora, Model as _, ModelSpec, Network, weights};
use wgrad::onnx::{self, Declared, DeclaredExtent, OnnxFile, OnnxNetwork};
use wgrad::provenance::{
    CodeRecord, Ledger, LedgerKey, LedgerRecord, LedgerSigner, StartRecord, Verification,
    verify_ledger,
};
use wgrad::run::{Checkpoint, Progress, RunFolder};
use wgrad::settings::Settings;
use wgrad::tune::Tuning;

const MODEL: &str = "name = \"m\"\ninput = [4, 4, 1]\n[[layer]]\ntype = \"conv2d\"\nfilters = 2\nkernel = 3\n[[layer]]\n\
    type = \"block\"\nblock = \"b\"\nrepeat = 2\nwith = { units = 5 }\n[block.b]\ndefaults = { rate = 0.5 }\n[[block.b.layer]]\n\
    type = \"flatten\"\n[[block.b.layer]]\ntype = \"dense\"\nunits = \"$units\"\n[[block.b.layer]]\ntype = \"dropout\"\n\
    rate = \"$rate\"\n";

const RUN: &str = "steps = 20\nbatch = 8\n[data]\nsource = \"digits\"\nsize = [4, 4]\n[task]\nname = \"classification\"\n\
    [optimizer]\nname = \"adamw\"\nweight_decay = 0.1\n[schedule]\nname = \"cosine\"\nwarmup_steps = 2\n[model]\nname = \"m\"\n\
    input = [4, 4, 1]\n[[model.layer]]\ntype = \"flatten\"\n[[model.layer]]\ntype = \"dense\"\nunits = 10\n";

const VARIANTS: &str = "[made_for]\nadapter = \"a\"\nbackend = \"Vulkan\"\ndriver = \"d\"\nkernels = \"k\"\nversion = \"1\"\n\
    [variants]\n\"matmul f32[2, 3]\" = \"tile\"\n";

const BASELINE: &str = r#"{"workload":"mlp","adapter":"a","median_ms":2.0,"min_ms":1.0,"max_ms":3.0,"q1_ms":1.5,"q3_ms":2.5,"runs":5,
    "flops":10,"bytes":10,"gflops":1.0,"gb_per_s":1.0,"attainable_gflops":null,"ceiling_ms":1.0,"percent_of_ceiling":50.0,
    "bound":"memory"}"#;

fn network() -> Network {
    Network::new(toml::from_str(MODEL).unwrap()).unwrap()
}

/// The same with low-rank adapters.
fn adapted_network() -> Network {
    let lora = Lora {
        rank: 2,
        ..Lora::default()
    };
    Network::adapted(network().spec, lora).unwrap()
}

/// Files of Hugging Face's tokenizers.
fn published_tokenizers() -> Vec<Vec<u8>> {
    let record = include_str!("../fixtures/tokenizers.json");
    let cases: Vec<serde_json::Value> = serde_json::from_str(record).unwrap();
    let files = cases.iter().map(|case| case["file"].to_string());
    files.map(String::into_bytes).collect()
}

/// The bytes that `save` writes into a file of `dir`.
fn saved(dir: &Path, save: impl FnOnce(&Path)) -> Vec<u8> {
    std::fs::create_dir_all(dir).unwrap();
    let path = dir.join("saved");
    save(&path);
    std::fs::read(path).unwrap()
}

/// A safetensors file without metadata, so without a checksum, as other programs write it.
fn without_checksum(file: &[u8]) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(header).unwrap();
    let mut metadata = header.remove("__metadata__").unwrap();
    metadata.as_object_mut().unwrap().remove("checksum");
    header.insert("__metadata__".to_string(), metadata);
    let header = serde_json::to_vec(&header).unwrap();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], &header, data].concat()
}

fn target(dir: &Path, name: &str, seed: &[u8], read: fn(&Path) -> bool) -> Target {
    let file = write(&dir.join(name).join("file"), seed);
    let path = file.clone();
    Target::new(name, file, move || read(&path))
}

/// The files of a record that `is_wanted` names.
fn networks(record: &str, is_wanted: &dyn Fn(&str, usize) -> bool) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(record);
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut found = Vec::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        if is_wanted(&file.name().unwrap(), at) {
            found.push(bytes);
        }
    }
    found
}

/// Computes the network in a file for ones.
fn computes(path: &Path) -> bool {
    let Ok(file) = OnnxFile::read(path) else {
        return false;
    };
    let ones = |input: &Declared| {
        let extents = input.dims.iter().flatten().map(|extent| match extent {
            DeclaredExtent::Fixed(extent) => *extent,
            DeclaredExtent::Named(_) => 2,
        });
        let shape: Vec<usize> = extents.collect();
        let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        let count = count.filter(|&n| n <= 1 << 14)?;
        let array = NpyArray {
            shape,
            numbers: vec![1.0; count],
            has_floats: true,
        };
        Some((input.name.clone(), array))
    };
    let inputs: Option<BTreeMap<String, NpyArray>> = file.inputs.iter().map(ones).collect();
    inputs.is_some_and(|inputs| onnx::run(&file, Engine::Cpu.device(), &inputs).is_ok())
}

/// ONNX files: those of whole networks, as models, and those of single operators.
fn onnx_files(dir: &Path) -> Vec<Target> {
    let models = networks("onnx_models.zip", &|name, _| name.ends_with(".onnx"));
    let small = |bytes: &Vec<u8>| bytes.len() < 4096 && !bytes.starts_with(b"\x93NUMPY");
    let cases = networks("onnx.zip", &|name, at| name != "index.json" && at % 3 == 0);
    let scratch = dir.join("onnx-seeds");
    let valid = cases
        .into_iter()
        .filter(small)
        .filter(|bytes| computes(&write(&scratch.join("file"), bytes)));
    let valid: Vec<Vec<u8>> = valid.collect();
    let model = target(dir, "onnx_model", &models[0], |path| {
        let spec = OnnxNetwork::read(path).and_then(|network| network.spec());
        spec.and_then(Network::new).is_ok()
    });
    vec![
        model.and(models[1..].to_vec()),
        target(dir, "onnx", &valid[0], computes).and(valid[1..].to_vec()),
    ]
}

/// Files of other programs: whole models of Keras, and weights.
fn others(dir: &Path) -> Vec<Target> {
    let keras = networks("keras.zip", &|name, _| !name.ends_with(".npy"));
    let foreign = networks("weights.zip", &|name, _| {
        !name.ends_with(".json") && name != "hostile.pt"
    });
    let keras_target = target(dir, "keras", &keras[0], |path| OnnxFile::read(path).is_ok());
    let foreign_target = target(dir, "weights_of_others", &foreign[0], |path| {
        let spec = "name = \"m\"\ninput = [2]\n[[layer]]\nname = \"hidden\"\ntype = \"dense\"\nunits = 2\n\
                    [[layer]]\nname = \"output\"\ntype = \"dense\"\nunits = 1\n";
        let network = Network::new(toml::from_str(spec).unwrap()).unwrap();
        weights::init(path, &network, false).is_ok()
    });
    vec![
        keras_target.and(keras[1..].to_vec()),
        foreign_target.and(foreign[1..].to_vec()),
    ]
}

/// Files that a command names.
pub fn files(dir: &Path) -> Vec<Target> {
    let values: Vec<Tensor<f32>> = network()
        .state()
        .map(|part| Tensor::zeros(&part.ty))
        .collect();
    let made = saved(dir, |path| {
        weights::save(path, &network(), &values, 3).unwrap();
    });
    let adapters = saved(dir, |path| {
        let adapted = adapted_network();
        weights::save_lora(path, &adapted, &adapted.initial_state(1)).unwrap();
    });
    write(&dir.join("low-rank adapters").join("base"), &{
        let adapted = adapted_network();
        let merged = adapted.merged(&adapted.initial_state(1)).unwrap();
        let merged = merged.unwrap();
        saved(dir, |path| {
            weights::save(
                path,
                weights::StateSpec::of(&*merged.model),
                &merged.values,
                0,
            )
            .unwrap();
        })
    });
    let published = published_tokenizers();
    let checkpoint = saved(dir, |path| {
        let variables = vec![
            ("w".to_string(), Tensor::real([2, 3], vec![1.0; 6])),
            ("n".to_string(), Tensor::index([2], vec![1, 2])),
        ];
        let progress = Progress::default();
        let checkpoint = Checkpoint {
            variables,
            progress,
        };
        checkpoint.save(path).unwrap();
    });
    let preset = toml::to_string(&Settings::preset().unwrap()).unwrap();
    let folds = RUN.replace("[data]", "[data]\nfolds = 3");
    let pairs = br#"{"kind":"byte_pairs","merges":[[98,99],[257,98],[258,257]]}"#;
    let others: [&[u8]; 2] = [
        br#"{"kind":"characters","characters":["a","b"]}"#,
        br#"{"kind":"words","words":["a","the"]}"#,
    ];
    let mut targets = onnx_files(dir);
    targets.extend(self::others(dir));
    targets.extend([
        target(dir, "model", MODEL.as_bytes(), |path| {
            let text = std::fs::read_to_string(path).ok();
            let spec: Option<ModelSpec> =
                text.and_then(|text| wgrad::toml_text::parse(&text, "m.toml").ok());
            spec.map(Network::new)
                .is_some_and(|network| network.is_ok())
        }),
        target(dir, "settings", preset.as_bytes(), |path| {
            Settings::read(path)
                .and_then(|settings| settings.check())
                .is_ok()
        })
        .and([RUN.into(), folds.into()]),
        target(dir, "checkpoint", &checkpoint, |path| {
            Checkpoint::load(path).is_ok()
        })
        .and([without_checksum(&checkpoint)]),
        target(dir, "weights", &made, |path| {
            let network = network();
            let loaded = weights::load(path, &network).is_ok();
            let begun = weights::init(path, &network, false);
            loaded && begun.is_ok_and(|found| found.remarks().is_empty())
        })
        .and([without_checksum(&made)]),
        target(dir, "tokenizer", pairs, |path| {
            Tokenizer::read(path).is_ok_and(|read| read.vocabulary() > 0)
        })
        .and(others.map(<[u8]>::to_vec)),
        target(dir, "published tokenizer", &published[0], |path| {
            let Ok(read) = Tokenizer::read(path) else {
                return false;
            };
            let mut tokens = Vec::new();
            read.encoder().encode("The end, of ähren.", &mut tokens);
            !read.decode(&tokens).is_empty()
        })
        .and(published[1..].iter().cloned()),
        target(dir, "low-rank adapters", &adapters, |path| {
            let adapted = adapted_network();
            let base = path.with_file_name("base");
            let lora = weights::lora_settings(path).is_ok_and(|lora| lora.rank == 2);
            lora && weights::load_adapted(&base, path, &adapted).is_ok()
        }),
        target(dir, "ledger", &signed_ledger(), |path| {
            let with = Verification::default();
            let verified = verify_ledger(path, &with, &mut |_| Ok(()));
            verified.is_ok_and(|verified| verified.broken == 0)
        }),
        target(dir, "public key", KEYS[1].as_bytes(), |path| {
            LedgerKey::read(path).is_ok()
        }),
        target(dir, "variants", VARIANTS.as_bytes(), |path| {
            Tuning::read(path).is_ok()
        }),
        target(
            dir,
            "baseline",
            BASELINE.replace("\n    ", "").as_bytes(),
            |path| Baseline::read(path).is_ok(),
        ),
    ]);
    targets
}

/// The private key in section 10.3 of RFC 8410, and its public key.
const KEYS: [&str; 2] = [
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
];

/// A ledger of two links, of which the last is signed.
fn signed_ledger() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let key = write(&dir.path().join("key"), KEYS[0]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&key, private).unwrap();
    }
    let signer = LedgerSigner::read(&key).unwrap();
    let path = dir.path().join("ledger.jsonl");
    let code = LedgerRecord::Code(CodeRecord {
        version: "1".to_string(),
        sources: "s".to_string(),
        kernels: "k".to_string(),
    });
    let start = LedgerRecord::Start(StartRecord {
        step: 0,
        values: None,
        inputs: BTreeMap::new(),
        cut: 3,
    });
    Ledger::new(&path, None).append(&[code]).unwrap();
    let signed = Ledger::new(&path, Some(Arc::new(signer)));
    signed.append(&[start]).unwrap();
    std::fs::read(path).unwrap()
}

/// Files that a run folder records, each in a folder of its own.
pub fn records(dir: &Path) -> Vec<Target> {
    let target = |name: &str, file: &str, seed: &str, read: fn(&Path) -> bool| {
        let folder = dir.join(name);
        write(&folder.join("run.toml"), RUN);
        let listed = r#"{"files":["run.toml","metrics.jsonl","data-files.json",".wgrad.lock"]}"#;
        write(&folder.join("files.json"), listed);
        let file = write(&folder.join(file), seed);
        Target::new(name, file, move || read(&folder))
    };
    let metrics =
        "{\"epoch\":1,\"train_loss\":0.5,\"is_best\":true}\n{\"epoch\":2,\"train_loss\":0.25}\n";
    vec![
        target(
            "run_files",
            "files.json",
            r#"{"files":["run.toml","checkpoints/a"]}"#,
            |folder| RunFolder::check_free(folder).is_ok(),
        ),
        target("run_metrics", "metrics.jsonl", metrics, |folder| {
            let Ok(run) = RunFolder::open(folder) else {
                return false;
            };
            run.best_epoch();
            run.read_metrics().is_ok()
        }),
        target(
            "run_data",
            "data-files.json",
            r#"{"a.csv":"1 bytes, crc32 83dcefb7"}"#,
            |folder| {
                let Ok(run) = RunFolder::open(folder) else {
                    return false;
                };
                let recorded = run.recorded_files();
                recorded.is_some_and(|files| files.difference(&files).is_none())
            },
        ),
        target("run_lock", ".wgrad.lock", "released\n", |folder| {
            RunFolder::open(folder).is_ok_and(|run| run.was_released() && run.lock().is_ok())
        }),
    ]
}
