//! From a model's file to a flat list of layers: blocks are filled in, names made whole, references resolved.

use super::block::{Block, Filled};
use super::layer::{Layer, LayerKind, Takes};
use super::model::ModelSpec;
use crate::error::{Error, Result};
use std::collections::{HashMap, HashSet};

/// The name by which layers ask for what the model, or the block that they are in, takes.
const INPUT: &str = "input";

/// The most layers that a model may have: a typing error in `repeat` must not take all memory.
const MOST_LAYERS: usize = 10_000;

/// Which value a layer takes: the model's input, or the result of a layer by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Input,
    Layer(usize),
}

/// A layer at its place in the network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    /// Its whole name: `layer1.0.conv1`.
    pub name: String,
    pub kind: LayerKind,
    pub takes: Vec<Source>,
}

/// The layers of `model` in order, with the sources of their inputs.
///
/// # Errors
/// Names the layer: two of one name, an unknown or a later one that is referred to, a block that does not exist.
pub(super) fn expand(model: &ModelSpec) -> Result<Vec<Placed>> {
    let mut expansion = Expansion {
        model,
        placed: Vec::new(),
        by_name: HashMap::new(),
    };
    let layers = model.layers.iter().cloned().map(Filled::Layer).collect();
    expansion.scope(layers, "", Source::Input, &mut Vec::new())?;
    expansion.all_are_used()?;
    Ok(expansion.placed)
}

struct Expansion<'m> {
    model: &'m ModelSpec,
    placed: Vec<Placed>,
    /// Values by whole names.
    by_name: HashMap<String, Source>,
}

impl Expansion<'_> {
    fn error(&self, message: String) -> Error {
        Error::Config(format!("model {}: {message}", self.model.name))
    }

    /// Places `layers`, whose names begin with `prefix`, on the value `input`; gives the value of the last. `within` are the
    /// blocks that are being filled in.
    fn scope(
        &mut self,
        layers: Vec<Filled>,
        prefix: &str,
        input: Source,
        within: &mut Vec<String>,
    ) -> Result<Source> {
        let names = self.names(&layers, prefix)?;
        let mut before = input;
        for (at, (filled, name)) in layers.into_iter().zip(&names).enumerate() {
            let scope = Scope {
                prefix,
                input,
                before,
                later: &names[at..],
            };
            before = match filled {
                Filled::Layer(layer) => self.place(layer, name, &scope, within)?,
                Filled::Absent(layer) => self.takes(&layer, name, &scope)?[0],
            };
            self.by_name.insert(name.clone(), before);
        }
        Ok(before)
    }

    /// Whole names of the layers of a scope: their own, or the stem of their type with a count.
    fn names(&self, layers: &[Filled], prefix: &str) -> Result<Vec<String>> {
        let mut counts = HashMap::new();
        let mut names: Vec<String> = Vec::with_capacity(layers.len());
        for filled in layers {
            let (Filled::Layer(layer) | Filled::Absent(layer)) = filled;
            let stem = layer.kind.layer_type().stem();
            let count = counts.entry(stem).or_insert(0);
            *count += 1;
            let own = layer.name.clone();
            let own = own.unwrap_or_else(|| format!("{stem}{count}"));
            let part = |part: &str| {
                let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                !part.is_empty() && part.chars().all(fine)
            };
            if own == INPUT || !own.split('.').all(part) {
                let why = match own.as_str() {
                    INPUT => "that is what the model or block takes",
                    _ => "use letters, digits, _, - and single dots within",
                };
                return Err(self.error(format!("a layer can't be called \"{own}\": {why}")));
            }
            let name = join(prefix, &own);
            if names.contains(&name) || self.by_name.contains_key(&name) {
                return Err(self.error(format!(
                    "two layers are called {name}; give one of them another name"
                )));
            }
            names.push(name);
        }
        Ok(names)
    }

    fn place(
        &mut self,
        layer: Layer,
        name: &str,
        scope: &Scope<'_>,
        within: &mut Vec<String>,
    ) -> Result<Source> {
        let takes = self.takes(&layer, name, scope)?;
        if let LayerKind::Block(block) = &layer.kind {
            return self.block(block, name, takes[0], within);
        }
        if self.placed.len() == MOST_LAYERS {
            return Err(self.error(format!("it has more than {MOST_LAYERS} layers at {name}")));
        }
        self.placed.push(Placed {
            name: name.to_string(),
            kind: layer.kind,
            takes,
        });
        Ok(Source::Layer(self.placed.len() - 1))
    }

    fn block(
        &mut self,
        block: &Block,
        name: &str,
        input: Source,
        within: &mut Vec<String>,
    ) -> Result<Source> {
        let Some(spec) = self.model.blocks.get(&block.block) else {
            let known = self.model.blocks.keys().map(String::as_str);
            let hint = nearest(&block.block, known);
            return Err(self.error(format!(
                "layer {name}: there is no block {}{hint}; define it as [block.{}]",
                block.block, block.block
            )));
        };
        if within.contains(&block.block) {
            return Err(self.error(format!(
                "block {} is made of itself: {} > {}",
                block.block,
                within.join(" > "),
                block.block
            )));
        }
        if block.repeat == Some(0) {
            return Err(self.error(format!("layer {name}: repeat must be at least 1")));
        }
        within.push(block.block.clone());
        let mut value = input;
        for index in 0..block.repeat.unwrap_or(1) {
            let layers = spec
                .fill(block, index)
                .map_err(|why| self.error(format!("layer {name}: block {} {why}", block.block)))?;
            if layers.is_empty() {
                return Err(self.error(format!("block {} has no layers", block.block)));
            }
            let prefix = match block.repeat {
                Some(_) => format!("{name}.{index}"),
                None => name.to_string(),
            };
            value = self.scope(layers, &prefix, value, within)?;
            if block.repeat.is_some() {
                self.by_name.insert(prefix, value);
            }
        }
        within.pop();
        Ok(value)
    }

    /// The values that `layer` takes, at least one.
    fn takes(&self, layer: &Layer, name: &str, scope: &Scope<'_>) -> Result<Vec<Source>> {
        let wrong = |what: &str| Err(self.error(format!("layer {name} {what}")));
        let takes = layer.kind.layer_type().takes();
        match (takes, &layer.input, &layer.inputs) {
            (Takes::One, None, None) => Ok(vec![scope.before]),
            (Takes::One, Some(one), None) => Ok(vec![self.find(one, name, scope)?]),
            (Takes::One, _, Some(_)) => {
                wrong("takes one value: name it by input = \"...\", not by inputs")
            }
            (Takes::Several, None, Some(several)) if several.len() >= 2 => several
                .iter()
                .map(|one| self.find(one, name, scope))
                .collect(),
            (Takes::Several, ..) => {
                wrong("takes two values or more: name them by inputs = [\"...\", \"...\"]")
            }
        }
    }

    /// The value that the layer `name` calls `wanted`.
    fn find(&self, wanted: &str, name: &str, scope: &Scope<'_>) -> Result<Source> {
        if wanted == INPUT {
            return Ok(scope.input);
        }
        let whole = join(scope.prefix, wanted);
        if scope.later.contains(&whole) {
            let itself = scope.later.first() == Some(&whole);
            let what = if itself { "is itself" } else { "comes later" };
            return Err(self.error(format!(
                "layer {name} takes the result of {wanted}, which {what}; a layer takes results of those above it"
            )));
        }
        if let Some(&found) = self.by_name.get(&whole) {
            return Ok(found);
        }
        let inside = |known: &&String| scope.prefix.is_empty() || known.starts_with(scope.prefix);
        let own = self.by_name.keys().filter(inside);
        let own = own.map(|known| match scope.prefix {
            "" => known.as_str(),
            prefix => known[prefix.len()..].trim_start_matches('.'),
        });
        let hint = nearest(wanted, own);
        let place = match scope.prefix {
            "" => String::new(),
            prefix => format!(" in {prefix}"),
        };
        Err(self.error(format!(
            "layer {name} takes the result of {wanted}, but no layer{place} is called so{hint}"
        )))
    }

    /// A result that nobody takes is a branch that was forgotten.
    fn all_are_used(&self) -> Result<()> {
        let used: HashSet<Source> = self.placed.iter().flat_map(|p| p.takes.clone()).collect();
        let inner = self.placed.len().saturating_sub(1);
        let unused = (0..inner).find(|&at| !used.contains(&Source::Layer(at)));
        match unused {
            Some(at) => Err(self.error(format!(
                "nothing takes the result of layer {}; name it as an input of another layer, or remove it",
                self.placed[at].name
            ))),
            None => Ok(()),
        }
    }
}

/// Where a layer looks for its inputs.
struct Scope<'a> {
    prefix: &'a str,
    /// What the model or the block takes.
    input: Source,
    /// What the layer before gives.
    before: Source,
    /// Names of the layer itself and of those after it.
    later: &'a [String],
}

fn join(prefix: &str, name: &str) -> String {
    match prefix {
        "" => name.to_string(),
        _ => format!("{prefix}.{name}"),
    }
}

/// `; did you mean …?` with the known name that is most like `wanted`.
fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> String {
    const ALIKE: f64 = 0.7;
    let scored = known.map(|name| (strsim::jaro_winkler(wanted, name), name));
    // Of equals the first in the alphabet, whatever the order of the map.
    let best = scored.max_by(|(a, m), (b, n)| a.total_cmp(b).then_with(|| n.cmp(m)));
    match best {
        Some((score, name)) if score > ALIKE => format!("; did you mean {name}?"),
        _ => String::new(),
    }
}
