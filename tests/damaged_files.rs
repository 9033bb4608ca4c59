//! Damaged copies of small files, given to every parser: each ends with a value or an error, soon, in memory in proportion to the
//! file, and without a panic. `WGRAD_DAMAGED=N` sets the number of copies of each file. A single test, so that nothing else
//! allocates meanwhile.

#![allow(unsafe_code, reason = "an allocator can't be written without")]

use image::{DynamicImage, ImageFormat};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Cursor, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use wgrad::cpu::Tensor;
use wgrad::data::{DataSettings, Fitted, PictureFit, PictureShape, Tokenizer, load, read_picture};
use wgrad::nn::{Model as _, ModelSpec, Network, weights};
use wgrad::random::Stream;
use wgrad::run::{Checkpoint, Progress, RunFolder};
use wgrad::settings::Settings;
use wgrad::tune::Tuning;

/// The longest time that a file may take: far above what was seen, so that a busy machine fails nothing.
const LONGEST: Duration = Duration::from_secs(20);
/// Memory that a parser may take for any file.
const FREE_BYTES: usize = 128 << 20;
/// The same for TIFF, whose decoder reserves up to 200 MiB for a million values that a header declares.
const FREE_BYTES_OF_TIFF: usize = 256 << 20;
/// Memory per byte of the file: deflate unpacks a byte to 1,032, which are kept as words and labels.
const BYTES_PER_BYTE: usize = 16_384;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's allocator, which counts the bytes in use.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator provides the memory and takes it back.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = USED.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// A damaged copy of `bytes`: one to four changes, each of a bit, of a byte, of a number, of a part, or of the length.
fn damaged(bytes: &[u8], random: &mut Stream) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    let mut below = |most: usize| random.next_u32() as usize % most.max(1);
    for _ in 0..=below(4) {
        let at = below(copy.len());
        let length = below(16).min(copy.len() - at);
        match below(9) {
            0 if !copy.is_empty() => copy[at] ^= 1 << below(8),
            1 if !copy.is_empty() => copy[at] = below(256) as u8,
            // Numbers at which sizes overflow, in either order of bytes.
            2 => {
                let numbers = [0, 1, 0x7FFF_FFFF, 0x8000_0000, u32::MAX, 0xFFFF, 65_536];
                let number = numbers[below(numbers.len())];
                let written = [number.to_le_bytes(), number.to_be_bytes()][below(2)];
                let end = (at + 4).min(copy.len());
                copy[at..end].copy_from_slice(&written[..end - at]);
            }
            3 => copy.truncate(at),
            4 => drop(copy.drain(at..at + length)),
            5 => {
                let part = copy[at..at + length].to_vec();
                let to = below(copy.len());
                copy.splice(to..to, part);
            }
            // Digits of a text become other numbers.
            6 => {
                let texts = [
                    "-1",
                    "0",
                    "4294967296",
                    "1e400",
                    "nan",
                    "18446744073709551616",
                ];
                copy.splice(at..at, texts[below(texts.len())].bytes());
            }
            7 => {
                let marks = b"\"'[]{},;:\n\t\\\0\xff =";
                copy.insert(at, marks[below(marks.len())]);
            }
            _ => {
                let more = below(64);
                copy.extend((0..more).map(|i| i as u8));
            }
        }
    }
    copy
}

/// A file, and what reads it.
struct Target {
    name: String,
    file: PathBuf,
    /// Whether the file could be read.
    read: Box<dyn Fn() -> bool>,
}

impl Target {
    fn new(name: &str, file: PathBuf, read: impl Fn() -> bool + 'static) -> Target {
        Target {
            name: name.to_string(),
            file,
            read: Box::new(read),
        }
    }

    /// Reads `copies` damaged copies in the place of the file, and returns the most bytes that one took.
    fn check(&self, copies: u64) -> usize {
        let whole = std::fs::read(&self.file).unwrap();
        assert!((self.read)(), "{} can't be read", self.name);
        let mut most = 0;
        for seed in 0..copies {
            let copy = damaged(&whole, &mut Stream::new(seed, 1));
            std::fs::write(&self.file, &copy).unwrap();
            let before = USED.load(Relaxed);
            PEAK.store(before, Relaxed);
            let start = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| (self.read)()));
            let name = &self.name;
            assert!(outcome.is_ok(), "{name}: the copy of seed {seed} panics");
            let taken = start.elapsed();
            assert!(taken < LONGEST, "{name}, seed {seed}: {taken:?}");
            let bytes = PEAK.load(Relaxed).saturating_sub(before);
            let free = match name.ends_with("tiff") {
                true => FREE_BYTES_OF_TIFF,
                false => FREE_BYTES,
            };
            let allowed = free + BYTES_PER_BYTE * copy.len();
            assert!(bytes < allowed, "{name}, seed {seed}: {bytes} bytes");
            most = most.max(bytes);
        }
        std::fs::write(&self.file, &whole).unwrap();
        most
    }
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    path.to_path_buf()
}

fn picture(format: ImageFormat) -> Vec<u8> {
    let image = image::RgbImage::from_fn(12, 9, |x, y| {
        image::Rgb([(x * 20) as u8, (y * 25) as u8, (x * y) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image)
        .write_to(&mut bytes, format)
        .unwrap();
    bytes.into_inner()
}

/// A target that loads the data `source` with the settings of the text `settings`.
fn data(name: &str, source: &Path, file: PathBuf, settings: &str) -> Target {
    let settings = DataSettings {
        source: source.display().to_string(),
        ..toml::from_str(settings).unwrap()
    };
    Target::new(name, file, move || {
        load(&settings, &mut Fitted::default(), 1).is_ok()
    })
}

fn idx(dir: &Path) -> [Target; 2] {
    let file = |dims: &[u32], bytes: &[u8]| {
        let mut file = vec![0, 0, 8, dims.len() as u8];
        file.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
        [&file, bytes].concat()
    };
    for (part, count) in [("train", 6), ("t10k", 2)] {
        let labels: Vec<u8> = (0..count).map(|i| i % 2).collect();
        let images = file(&[u32::from(count), 4, 4], &vec![7; usize::from(count) * 16]);
        write(&dir.join(format!("{part}-images-idx3-ubyte")), images);
        write(
            &dir.join(format!("{part}-labels-idx1-ubyte")),
            file(&[u32::from(count)], &labels),
        );
    }
    ["images-idx3", "labels-idx1"].map(|what| {
        let file = dir.join(format!("train-{what}-ubyte"));
        data(&format!("idx {what}"), dir, file, "")
    })
}

fn npz(dir: &Path, method: zip::CompressionMethod) -> Target {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, shape, bytes) in [("images", "(8, 2, 2)", 32), ("labels", "(8,)", 8)] {
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
        zip.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        zip.write_all(header.as_bytes()).unwrap();
        zip.write_all(&(0..bytes).map(|i| i % 2).collect::<Vec<u8>>())
            .unwrap();
    }
    let archive = zip.finish().unwrap().into_inner();
    let file = write(&dir.join("set.npz"), archive);
    data(&format!("npz {method:?}"), &file.clone(), file, "")
}

fn tables(dir: &Path) -> Vec<Target> {
    let rows = |row: &dyn Fn(u32) -> String| (0..24).map(row).collect::<String>();
    let table = "age,city,label\n".to_string()
        + &rows(&|i| {
            format!(
                "{}.5,\"{}\",{}\n",
                i * 7 % 30,
                ["Rome", "Oslo"][i as usize % 2],
                i % 3
            )
        });
    let series =
        "date,a,b\n".to_string() + &rows(&|i| format!("2020-01-{:02},{i},{}\n", i + 1, i * i));
    let texts = "text,label\n".to_string()
        + &rows(&|i| {
            format!(
                "\"{} fine, {i}\",{}\n",
                ["very", "not"][i as usize % 2],
                ["no", "yes"][i as usize % 2]
            )
        });
    let prose = rows(&|i| format!("In line {i} the cat sat on mat {}.\n", i * i));
    let at = |name: &str, text: &str| write(&dir.join(name), text);
    let single = |name: &str, file: &str, text: &str, settings: &str| {
        let file = at(file, text);
        data(name, &file.clone(), file, settings)
    };
    vec![
        single("table", "t/table.csv", &table, ""),
        single(
            "series",
            "s/series.csv",
            &series,
            "format = \"series\"\ncontext = 4\nhorizon = 2",
        ),
        single("text table", "x/texts.csv", &texts, "tokens = \"words\""),
        single(
            "text",
            "p/prose.txt",
            &prose,
            "context = 8\ntokens = \"byte_pairs\"\nvocabulary = 280",
        ),
    ]
}

fn folders(dir: &Path) -> Vec<Target> {
    let png = picture(ImageFormat::Png);
    for (class, i) in ["cat", "dog"]
        .into_iter()
        .flat_map(|class| (0..4).map(move |i| (class, i)))
    {
        write(&dir.join(format!("classes/{class}/{i}.png")), &png);
    }
    let mut mask = Cursor::new(Vec::new());
    image::GrayImage::from_fn(12, 9, |x, _| image::Luma([(x % 2) as u8]))
        .write_to(&mut mask, ImageFormat::Png)
        .unwrap();
    let mask = mask.into_inner();
    let mut manifest = "file,age,label\n".to_string();
    for i in 0..6 {
        write(&dir.join(format!("masks/image/{i}.png")), &png);
        write(&dir.join(format!("masks/mask/{i}.png")), &mask);
        write(&dir.join(format!("manifest/{i}.png")), &png);
        manifest += &format!("{i}.png,{i},{}\n", i % 2);
    }
    let file = write(&dir.join("manifest/list.csv"), manifest);
    let cifar = |record: u8| [vec![record % 2], vec![record; 3072]].concat();
    write(&dir.join("cifar/test_batch.bin"), cifar(1));
    let batch = write(
        &dir.join("cifar/data_batch_1.bin"),
        [cifar(0), cifar(1)].concat(),
    );
    vec![
        data(
            "folder",
            &dir.join("classes"),
            dir.join("classes/cat/0.png"),
            "",
        ),
        data(
            "masks",
            &dir.join("masks"),
            dir.join("masks/mask/0.png"),
            "",
        ),
        data("manifest", &dir.join("manifest"), file, ""),
        data("cifar", &dir.join("cifar"), batch, ""),
    ]
}

fn pictures(dir: &Path) -> Vec<Target> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Pnm, Qoi, Tga, Tiff, WebP};
    let target = |format: ImageFormat| {
        let ending = format.extensions_str()[0];
        let file = write(&dir.join(format!("picture.{ending}")), picture(format));
        let path = file.clone();
        Target::new(&format!("picture {ending}"), file, move || {
            let shape = PictureShape {
                height: 8,
                width: 8,
                channels: 3,
                fit: PictureFit::Crop,
            };
            read_picture(&path, shape).is_ok()
        })
    };
    [Png, Jpeg, Bmp, Gif, Pnm, Qoi, Tga, Tiff, WebP]
        .map(target)
        .into()
}

const MODEL: &str = "name = \"m\"\ninput = [4, 4, 1]\n[[layer]]\ntype = \"conv2d\"\nfilters = 2\nkernel = 3\n[[layer]]\n\
    type = \"block\"\nblock = \"b\"\nrepeat = 2\nwith = { units = 5 }\n[block.b]\ndefaults = { rate = 0.5 }\n[[block.b.layer]]\n\
    type = \"flatten\"\n[[block.b.layer]]\ntype = \"dense\"\nunits = \"$units\"\n[[block.b.layer]]\ntype = \"dropout\"\n\
    rate = \"$rate\"\n";

/// Files of a run and of settings.
fn runs(dir: &Path) -> Vec<Target> {
    let target = |name: &str, bytes: &[u8], read: fn(&Path) -> bool| {
        let file = write(&dir.join(name), bytes);
        let path = file.clone();
        Target::new(name, file, move || read(&path))
    };
    let network = || Network::new(toml::from_str(MODEL).unwrap()).unwrap();
    let values: Vec<Tensor<f32>> = network()
        .state()
        .map(|part| Tensor::zeros(&part.ty))
        .collect();
    std::fs::create_dir_all(dir).unwrap();
    let checkpoint = dir.join("made.checkpoint");
    let variables = vec![
        ("w".to_string(), Tensor::real([2, 3], vec![1.0; 6])),
        ("n".to_string(), Tensor::index([2], vec![1, 2])),
    ];
    let progress = Progress::default();
    Checkpoint {
        variables,
        progress,
    }
    .save(&checkpoint)
    .unwrap();
    let made = dir.join("made.safetensors");
    weights::save(&made, &network(), &values, 3).unwrap();
    let settings = toml::to_string(&Settings::preset().unwrap()).unwrap();
    let tokenizer = r#"{"kind":"byte_pairs","merges":[[98,99],[257,98],[258,257]]}"#;
    let read_model = |path: &Path| {
        let spec: Option<ModelSpec> = std::fs::read_to_string(path)
            .ok()
            .and_then(|text| wgrad::toml_text::parse(&text, "m.toml").ok());
        spec.map(Network::new)
            .is_some_and(|network| network.is_ok())
    };
    vec![
        target("model.toml", MODEL.as_bytes(), read_model),
        target("run.toml", settings.as_bytes(), |path| {
            Settings::read(path)
                .and_then(|settings| settings.check())
                .is_ok()
        }),
        target("x.checkpoint", &std::fs::read(&checkpoint).unwrap(), |path| {
            Checkpoint::load(path).is_ok()
        }),
        target("w.safetensors", &std::fs::read(&made).unwrap(), |path| {
            let network = Network::new(toml::from_str(MODEL).unwrap()).unwrap();
            let loaded = weights::load(path, &network).is_ok();
            loaded && weights::init(path, &network, false).is_ok_and(|found| found.remarks().is_empty())
        }),
        target("tokenizer.json", tokenizer.as_bytes(), |path| {
            Tokenizer::read(path).is_ok_and(|read| read.vocabulary() > 0)
        }),
        target(
            "variants.toml",
            b"[made_for]\nadapter = \"a\"\nbackend = \"Vulkan\"\ndriver = \"d\"\nkernels = \"k\"\nversion = \"1\"\n\
              [variants]\n\"matmul f32[2, 3]\" = \"tile\"\n",
            |path| {
                Tuning::read(path).is_ok()
            },
        ),
        target("list/files.json", br#"{"files":["model.safetensors","checkpoints/a"]}"#, |path| {
            RunFolder::check_free(path.parent().unwrap()).is_ok()
        }),
    ]
}

#[test]
fn every_parser_takes_damaged_files() {
    let copies = std::env::var("WGRAD_DAMAGED").map_or(1000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut targets: Vec<Target> = idx(&at("idx")).into();
    targets.push(npz(&at("stored"), zip::CompressionMethod::Stored));
    targets.push(npz(&at("deflated"), zip::CompressionMethod::Deflated));
    targets.extend(tables(&at("tables")));
    targets.extend(folders(&at("folders")));
    targets.extend(pictures(&at("pictures")));
    targets.extend(runs(&at("runs")));
    for target in &targets {
        let start = Instant::now();
        let most = target.check(copies);
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{:<18} {copies:>8} copies in {seconds:>7.1} s, at most {:>8} KiB",
            target.name,
            most >> 10
        );
    }
    println!("{} executions", copies * targets.len() as u64);
}
