//! Shaders: files under `shaders/`, put together by a small preprocessor and reflected before any device exists.
//!
//! A file is valid WGSL but for lines `#import folder/file`, each of which is replaced by that file, once. A
//! launch may swap an import for another file, replace a declared function (a fused epilogue whose default is
//! identity), and turn a read operand from a buffer into a texture view of that buffer.

mod reflect;

pub use reflect::{BindingKind, Lanes, ParamKind, Reflection};

use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Every file under `shaders/`: its path without ending, and its text.
pub static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// Texels in a row of a texture view: element `4 i` of a tensor is in column `i % 1024` of row `i / 1024`.
pub const TEXTURE_WIDTH: u32 = 1024;

/// Text of the file at `path` under `shaders/`, without its ending.
///
/// # Errors
/// If there is no such file.
pub fn file(path: &str) -> Result<&'static str> {
    FILES
        .iter()
        .find(|(name, _)| *name == path)
        .map(|(_, text)| *text)
        .ok_or_else(|| Error::Shader {
            shader: path.to_string(),
            message: "there is no such file under shaders/".to_string(),
        })
}

/// A shader as a launch wants it: plain data from which the WGSL text follows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shader {
    /// File under `shaders/`, or the name of generated text.
    pub name: String,
    generated: Option<String>,
    swaps: BTreeMap<String, String>,
    functions: BTreeMap<String, String>,
    textures: BTreeSet<String>,
    constants: BTreeMap<String, Constant>,
}

/// Value of a pipeline-overridable constant, by its bits so that shaders can be compared and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Constant(u64);

impl Shader {
    /// The file at `path` under `shaders/`.
    pub fn file(path: &str) -> Self {
        Shader {
            name: path.to_string(),
            generated: None,
            swaps: BTreeMap::new(),
            functions: BTreeMap::new(),
            textures: BTreeSet::new(),
            constants: BTreeMap::new(),
        }
    }

    /// Text made by the planner; it may import files.
    pub fn generated(name: &str, text: String) -> Self {
        Shader {
            generated: Some(text),
            ..Self::file(name)
        }
    }

    /// Reads `other` wherever `import` is imported.
    pub fn swap(&mut self, import: &str, other: &str) {
        self.swaps.insert(import.to_string(), other.to_string());
    }

    /// Replaces the function `name` by `text`, which may declare more than that function.
    pub fn replace_function(&mut self, name: &str, text: String) {
        self.functions.insert(name.to_string(), text);
    }

    /// Reads the operand `name` through a texture view. It must be declared as
    /// `var<storage, read> NAME: array<vec4<f32>>` and read only by `fn load_NAME(i: u32) -> vec4<f32>`.
    pub fn read_through_texture(&mut self, name: &str) {
        self.textures.insert(name.to_string());
    }

    /// Sets a pipeline-overridable constant.
    pub fn constant(&mut self, name: &str, value: f64) {
        self.constants
            .insert(name.to_string(), Constant(value.to_bits()));
    }

    /// The pipeline-overridable constants that were set.
    pub fn constants(&self) -> Vec<(&str, f64)> {
        self.constants
            .iter()
            .map(|(n, c)| (n.as_str(), f64::from_bits(c.0)))
            .collect()
    }

    /// The WGSL text.
    ///
    /// # Errors
    /// If an import, a function or an operand that was asked for is not there.
    pub fn source(&self) -> Result<String> {
        self.assemble().map(|(text, _)| text)
    }

    /// The files under `shaders/` that the text is put together from, without ending.
    ///
    /// # Errors
    /// As [`Shader::source`].
    pub fn files(&self) -> Result<BTreeSet<String>> {
        self.assemble().map(|(_, files)| files)
    }

    fn assemble(&self) -> Result<(String, BTreeSet<String>)> {
        let mut seen = BTreeSet::new();
        let root = match &self.generated {
            Some(text) => text.as_str(),
            None => {
                seen.insert(self.name.clone());
                file(&self.name)?
            }
        };
        let mut text = String::new();
        self.inline(root, &mut seen, &mut text)?;
        for (name, replacement) in &self.functions {
            text = self.replaced(&text, name, replacement)?;
        }
        for name in &self.textures {
            text = self.with_texture(&text, name)?;
        }
        // Replacements may bring imports of their own.
        let mut complete = String::new();
        self.inline(&text, &mut seen, &mut complete)?;
        Ok((complete, seen))
    }

    fn inline(&self, text: &str, seen: &mut BTreeSet<String>, out: &mut String) -> Result<()> {
        for line in text.lines() {
            match line.trim().strip_prefix("#import ") {
                Some(path) => {
                    let path = path.trim();
                    let path = self.swaps.get(path).map_or(path, String::as_str);
                    if seen.insert(path.to_string()) {
                        self.inline(file(path)?, seen, out)?;
                    }
                }
                None => {
                    out.push_str(line);
                    out.push('\n');
                }
            }
        }
        Ok(())
    }

    /// Byte range of the function `name`, from `fn` to its closing brace.
    fn function_range(&self, text: &str, name: &str) -> Result<std::ops::Range<usize>> {
        let head = format!("fn {name}(");
        let start = if text.starts_with(&head) {
            Some(0)
        } else {
            text.find(&format!("\n{head}")).map(|at| at + 1)
        };
        let start = start.ok_or_else(|| self.error(format!("declares no function {name}")))?;
        let mut depth = 0;
        for (at, c) in text[start..].char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 1 => return Ok(start..start + at + 1),
                '}' => depth -= 1,
                _ => {}
            }
        }
        Err(self.error(format!("function {name} has no end")))
    }

    fn replaced(&self, text: &str, name: &str, replacement: &str) -> Result<String> {
        let range = self.function_range(text, name)?;
        Ok(format!(
            "{}{replacement}{}",
            &text[..range.start],
            &text[range.end..]
        ))
    }

    fn with_texture(&self, text: &str, name: &str) -> Result<String> {
        let buffer = format!("var<storage, read> {name}: array<vec4<f32>>;");
        if !text.contains(&buffer) {
            return Err(self.error(format!("declares no operand `{buffer}`")));
        }
        let text = text.replace(
            &buffer,
            &format!("var {name}: texture_storage_2d<rgba32float, read>;"),
        );
        let mut load = String::new();
        let (mask, shift) = (TEXTURE_WIDTH - 1, TEXTURE_WIDTH.trailing_zeros());
        let _ = write!(
            load,
            "fn load_{name}(i: u32) -> vec4<f32> {{\n    return textureLoad({name}, vec2<u32>(i & {mask}u, i >> {shift}u));\n}}"
        );
        self.replaced(&text, &format!("load_{name}"), &load)
    }

    /// True if the operand `name` can be read through a texture view.
    pub fn can_read_through_texture(&self, source: &str, name: &str) -> bool {
        source.contains(&format!("var<storage, read> {name}: array<vec4<f32>>;"))
            && self.function_range(source, &format!("load_{name}")).is_ok()
    }

    fn error(&self, message: String) -> Error {
        Error::Shader {
            shader: self.name.clone(),
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn epilogue(v: f32) -> f32 {
    if (v > 0.0) { return v; }
    return v;
}
fn after() {}
";

    #[test]
    fn a_function_is_replaced_up_to_its_own_brace() {
        let mut shader = Shader::generated("test", TEXT.to_string());
        shader.replace_function(
            "epilogue",
            "fn epilogue(v: f32) -> f32 { return -v; }".into(),
        );
        let source = shader.source().unwrap();
        assert!(source.contains("return -v; }\nfn after() {}"), "{source}");
        assert!(!source.contains("v > 0.0"));
    }

    #[test]
    fn an_operand_becomes_a_texture_and_only_its_accessor_changes() {
        let mut shader = Shader::generated("test", TEXT.to_string());
        shader.read_through_texture("x");
        let source = shader.source().unwrap();
        assert!(source.contains("@binding(1) var x: texture_storage_2d<rgba32float, read>;"));
        assert!(source.contains("textureLoad(x, vec2<u32>(i & 1023u, i >> 10u))"));
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let mut shader = Shader::generated("test", TEXT.to_string());
        shader.replace_function("prologue", String::new());
        assert!(
            shader
                .source()
                .unwrap_err()
                .to_string()
                .contains("declares no function prologue")
        );
        assert!(Shader::file("no/such").source().is_err());
    }
}
