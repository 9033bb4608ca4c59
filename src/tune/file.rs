//! Storage of choices: a file per adapter in the user's cache folder, and a record in every run folder.

use crate::error::{Error, Result};
use crate::files::{read_text, write_whole};
use crate::gpu::Gpu;
use crate::plan::Choices;
use crate::toml_text;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The conditions on which choices depend: with another driver or other kernels they may be slow, or wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeFor {
    /// Adapter.
    pub adapter: String,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub backend: String,
    /// Driver with its version.
    pub driver: String,
    /// Hash of the shaders and of the sources that launch them.
    pub kernels: String,
    /// Version of wgrad.
    pub version: String,
}

impl MadeFor {
    /// This adapter with this build of wgrad.
    pub fn adapter(info: &wgpu::AdapterInfo) -> MadeFor {
        MadeFor {
            adapter: info.name.clone(),
            backend: format!("{:?}", info.backend),
            driver: format!("{} {}", info.driver, info.driver_info),
            kernels: env!("WGRAD_KERNELS_HASH").to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
        }
    }

    /// Name of the adapter's file, which is overwritten for another driver or version.
    fn file_name(&self) -> String {
        let name = format!("{} {}", self.adapter, self.backend).to_lowercase();
        let words = name.split(|c: char| !c.is_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        format!("{}.toml", words.join("-"))
    }
}

/// Choices with their conditions: the content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Adapter, driver and build.
    pub made_for: MadeFor,
    /// Variants by operation.
    #[serde(default)]
    pub variants: Choices,
}

impl Tuning {
    /// The choices of `gpu`.
    pub fn of(gpu: &Gpu) -> Tuning {
        Tuning {
            made_for: MadeFor::adapter(&gpu.info),
            variants: gpu.target.choices.clone(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it can't be read or is not a tuning.
    pub fn read(path: &Path) -> Result<Tuning> {
        let text = read_text(path).map_err(Error::io("read", path))?;
        toml_text::parse(&text, &path.display().to_string())
    }

    /// Writes a file atomically.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text =
            toml::to_string(self).map_err(|e| Error::Config(format!("kernel variants: {e}")))?;
        write_whole(path, text.as_bytes())
    }
}

/// A folder with a file for every tuned adapter.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The user's: `wgrad/tuning` in the system's folder for caches (`$XDG_CACHE_HOME` or `~/.cache`,
    /// `~/Library/Caches`, `%LOCALAPPDATA%`).
    ///
    /// # Errors
    /// If the system has no such folder.
    pub fn of_user() -> Result<Cache> {
        match dirs::cache_dir() {
            Some(folder) => Ok(Self::at(folder.join("wgrad").join("tuning"))),
            None => Err(Error::Config(
                "there is no folder to save the tuning in; set HOME".to_string(),
            )),
        }
    }

    /// The cache in `folder`.
    pub fn at(folder: PathBuf) -> Cache {
        Cache { folder }
    }

    /// The path of an adapter's file, which may not exist.
    pub fn path(&self, made_for: &MadeFor) -> PathBuf {
        self.folder.join(made_for.file_name())
    }

    /// The existing files, sorted.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("read", &self.folder)(e)),
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            .collect();
        paths.sort();
        Ok(paths)
    }

    /// The choices for an adapter; none if it was never tuned, or with another driver or build.
    ///
    /// # Errors
    /// If the file can't be read or is damaged.
    pub fn load(&self, made_for: &MadeFor) -> Result<Choices> {
        let path = self.path(made_for);
        if !path.exists() {
            return Ok(Choices::default());
        }
        let tuning = Tuning::read(&path)?;
        if tuning.made_for != *made_for {
            tracing::debug!(
                "{} is from another driver or version and is ignored",
                path.display()
            );
            return Ok(Choices::default());
        }
        Ok(tuning.variants)
    }

    /// Saves `variants` for an adapter, replacing earlier ones.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn save(&self, made_for: &MadeFor, variants: Choices) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(Error::io("create", &self.folder))?;
        let tuning = Tuning {
            made_for: made_for.clone(),
            variants,
        };
        tuning.write(&self.path(made_for))
    }

    /// Removes every file; returns how many there were.
    ///
    /// # Errors
    /// If one can't be removed.
    pub fn clear(&self) -> Result<usize> {
        let files = self.files()?;
        for path in &files {
            fs::remove_file(path).map_err(Error::io("remove", path))?;
        }
        Ok(files.len())
    }
}

/// Sets the variants of `gpu`: those `recorded` by a run if it used this adapter, driver and build, or else those of the user's
/// cache. Returns a note for the user if the cache is damaged.
pub fn choose(gpu: &mut Gpu, recorded: Option<Tuning>) -> Option<String> {
    let made_for = MadeFor::adapter(&gpu.info);
    let stays = recorded.filter(|recorded| {
        let fits = recorded.made_for == made_for;
        if !fits {
            tracing::debug!("the run was made on another adapter, driver or version of wgrad");
        }
        fits
    });
    if let Some(recorded) = stays {
        gpu.target.choices = recorded.variants;
        return None;
    }
    // Without a folder for caches nothing was ever tuned.
    match Cache::of_user().map(|cache| cache.load(&made_for)) {
        Ok(Ok(choices)) => {
            gpu.target.choices = choices;
            None
        }
        Ok(Err(e)) => Some(format!(
            "tuned kernels are not used: {e}; run wgrad tune again, or wgrad tune --clear"
        )),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_for(driver: &str, kernels: &str) -> MadeFor {
        MadeFor {
            adapter: "Some GPU (rev 2)".to_string(),
            backend: "Vulkan".to_string(),
            driver: driver.to_string(),
            kernels: kernels.to_string(),
            version: "0.1.0".to_string(),
        }
    }

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("below").join("tuning"));
        (folder, cache)
    }

    fn choices() -> Choices {
        let mut choices = Choices::default();
        choices.set("Matmul { a: [1, 2] } (f32[4,3], f32[3,5])".into(), "tiled");
        choices.set("Softmax (f32[4,3])".into(), "row per workgroup");
        choices
    }

    #[test]
    fn what_is_saved_is_loaded_again_by_the_same_adapter_driver_and_kernels_alone() {
        let (_folder, cache) = cache();
        let here = made_for("1.0", "abc");
        assert!(cache.load(&here).unwrap().is_empty());
        cache.save(&here, choices()).unwrap();
        assert_eq!(cache.load(&here).unwrap(), choices());
        for other in [made_for("1.1", "abc"), made_for("1.0", "abd")] {
            assert_eq!(cache.path(&other), cache.path(&here));
            assert!(cache.load(&other).unwrap().is_empty(), "{other:?}");
        }
        assert_eq!(cache.clear().unwrap(), 1);
        assert!(cache.load(&here).unwrap().is_empty());
    }

    #[test]
    fn a_damaged_file_is_an_error_with_its_place() {
        let (_folder, cache) = cache();
        let here = made_for("1.0", "abc");
        cache.save(&here, choices()).unwrap();
        let path = cache.path(&here);
        let text = fs::read_to_string(&path).unwrap();
        let within_a_key = &text[..text.find("Softmax").unwrap() + 4];
        for broken in [within_a_key, "", "variants = 3", "\0\0"] {
            fs::write(&path, broken).unwrap();
            let message = cache.load(&here).unwrap_err().to_string();
            assert!(
                message.starts_with(&path.display().to_string()),
                "{message}"
            );
        }
    }

    #[test]
    fn the_files_name_is_made_of_the_adapters() {
        let name = made_for("1.0", "abc").file_name();
        assert_eq!(name, "some-gpu-rev-2-vulkan.toml");
    }
}
