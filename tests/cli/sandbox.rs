//! A folder with a small data set and a small model, in which the command runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A model for the images of [`Sandbox`], with weights for conv1 and dense1.
pub const TINY: &str = r#"name = "tiny"
input = [8, 8, 1]

[[layer]]
type = "conv2d"
filters = 4
kernel = 3
activation = "relu"

[[layer]]
type = "max_pool2d"
size = 2

[[layer]]
type = "flatten"

[[layer]]
type = "dense"
units = 3
"#;

/// The folder, which is removed at the end.
pub struct Sandbox {
    dir: TempDir,
}

/// The output of a command.
pub struct CommandOutput {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Sandbox {
    /// A folder with `good` (24 training and 9 test images of 8 x 8 in 3 classes) and `tiny.toml`.
    pub fn new() -> Sandbox {
        let sandbox = Sandbox {
            dir: TempDir::new().unwrap(),
        };
        sandbox.data_set("good", [8, 8], 3);
        sandbox.write("tiny.toml", TINY);
        // Mesa's loader prints warnings if this folder does not exist.
        std::fs::create_dir(sandbox.path("xdg")).unwrap();
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Writes a data set in which the position of a bright column gives the class.
    pub fn data_set(&self, name: &str, [height, width]: [usize; 2], classes: usize) {
        std::fs::create_dir(self.path(name)).unwrap();
        for (stem, count) in [("train", 24), ("t10k", 9)] {
            let labels: Vec<u8> = (0..count).map(|i| (i % classes) as u8).collect();
            let pixel = |i: usize| {
                let (column, class) = (i % width, i / (height * width) % classes);
                (i * 37 % 40) as u8 + if column == class { 200 } else { 0 }
            };
            let images: Vec<u8> = (0..count * height * width).map(pixel).collect();
            let file = |what: &str| format!("{name}/{stem}-{what}-ubyte");
            self.write(
                &file("images-idx3"),
                idx(&[count as u32, height as u32, width as u32], &images),
            );
            self.write(&file("labels-idx1"), idx(&[count as u32], &labels));
        }
    }

    /// A command whose arguments are the words of `args`.
    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wgrad"));
        command
            .args(args.split_whitespace())
            .current_dir(self.dir.path())
            .env("XDG_RUNTIME_DIR", self.path("xdg"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("MESA_SHADER_CACHE_DIR", shader_cache())
            .env_remove("WGRAD_LOG")
            .stdin(Stdio::null());
        command
    }

    pub fn wgrad(&self, args: &str) -> CommandOutput {
        CommandOutput::from(self.command(args).output().unwrap())
    }

    /// Trains `tiny.toml` on `good` for an epoch, on the CPU, into `run`, with additional arguments `args`.
    pub fn train(&self, args: &str) -> CommandOutput {
        self.wgrad(&format!(
            "train tiny.toml --data good --batch 8 --device cpu --out run {args}"
        ))
    }

    /// A run of two epochs in the folder `run`.
    pub fn trained(&self) -> &Self {
        self.train("--epochs 2").succeeds();
        self
    }

    /// Whether there is an adapter. Prints if there is none, or fails with WGRAD_REQUIRE_GPU=1.
    pub fn has_adapter(&self) -> bool {
        let found = !self.wgrad("devices --json").succeeds().out.is_empty();
        if !found {
            let required = std::env::var_os("WGRAD_REQUIRE_GPU").is_some_and(|v| v == "1");
            assert!(!required, "WGRAD_REQUIRE_GPU=1, but there is no adapter");
            eprintln!("skipped: there is no adapter");
        }
        found
    }

    /// Checks that no run folder was created.
    pub fn holds_no_run(&self) {
        for name in ["run", "runs"] {
            assert!(!self.path(name).exists(), "{name} was left behind");
        }
    }
}

/// The folder of Mesa's shader cache, which is the same as outside the sandbox.
fn shader_cache() -> PathBuf {
    let folder = std::env::var_os("MESA_SHADER_CACHE_DIR").map(PathBuf::from);
    folder.or_else(dirs::cache_dir).unwrap_or_default()
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> CommandOutput {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        CommandOutput {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl CommandOutput {
    #[track_caller]
    pub fn succeeds(self) -> CommandOutput {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    /// Checks the exit code alone.
    #[track_caller]
    pub fn exits(self, code: i32) -> CommandOutput {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    /// Checks the exit code, and that standard error without notes is one sentence that contains every one of `parts`.
    #[track_caller]
    pub fn fails(self, code: i32, parts: &[&str]) -> CommandOutput {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        let lines = self.err.lines().filter(|line| !line.starts_with("note: "));
        let lines: Vec<&str> = lines.collect();
        assert!(
            lines.len() == 1 && lines[0].starts_with("error: "),
            "{}",
            self.err
        );
        for part in parts {
            assert!(self.err.contains(part), "no \"{part}\" in: {}", self.err);
        }
        self
    }

    /// The lines of standard output, all of which must be JSON.
    #[track_caller]
    pub fn json(&self) -> Vec<serde_json::Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.out.lines().map(parse).collect()
    }
}

/// An IDX file of bytes.
pub fn idx(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    file.extend(bytes);
    file
}

/// Bytes of a safetensors file with F32 zeros of these names and shapes.
pub fn safetensors(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    use safetensors::tensor::{Dtype, TensorView};
    let zeros = vec![0; 1 << 16];
    let views = tensors.iter().map(|(name, shape)| {
        let bytes = &zeros[..4 * shape.iter().product::<usize>()];
        (
            *name,
            TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap(),
        )
    });
    safetensors::serialize(views, None).unwrap()
}

/// Names of the entries of a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
