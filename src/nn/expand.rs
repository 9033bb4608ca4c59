//! From a model file to a flat list of layers: expands blocks, completes names and resolves references.

use super::block::{Block, Filled};
use super::input::InputSpec;
use super::layer::{Layer, LayerKind, Takes};
use super::model::ModelInput;
use super::site::join;
use super::spec::ModelSpec;
use crate::error::{Error, Result};
use crate::nearest::did_you_mean;
use std::collections::{HashMap, HashSet};

/// The name of the input of a model or block.
const INPUT: &str = "input";

/// The name of the single output of a model without `outputs`.
const OUTPUT: &str = "output";

/// Maximum number of layers of a model, so that a typo in `repeat` does not exhaust memory.
const MOST_LAYERS: usize = 10_000;

/// Maximum depth of blocks within blocks.
const MOST_NESTED: usize = 64;

/// The source of a value: an input of the model, or the output of a layer, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Input(usize),
    Layer(usize),
}

/// A layer at its place in the network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    /// Full name: `layer1.0.conv1`.
    pub name: String,
    pub kind: LayerKind,
    pub takes: Vec<Source>,
}

/// The layers of a model in order, and its outputs.
pub(super) struct Expanded {
    pub placed: Vec<Placed>,
    /// Names of the outputs with the values.
    pub outputs: Vec<(String, Source)>,
}

/// The inputs of `model` in order: by their names, or a single one as `input`.
///
/// # Errors
/// If it has both kinds, or an input has an invalid name.
pub(super) fn inputs(model: &ModelSpec) -> Result<Vec<ModelInput>> {
    let wrong = |what: String| Err(Error::Config(format!("model {}: {what}", model.name)));
    let input = |(name, spec): (&str, &InputSpec)| ModelInput {
        name: name.to_string(),
        spec: spec.clone(),
    };
    if model.inputs.is_empty() {
        return Ok(vec![input((INPUT, &model.input))]);
    }
    if model.input != InputSpec::Auto {
        return wrong("it has both input and inputs; list all inputs in [inputs]".to_string());
    }
    let misnamed = |name: &&String| *name == INPUT || name.contains('.') || !is_name(name);
    match model.inputs.keys().find(misnamed) {
        Some(name) => wrong(format!(
            "one of several inputs can't be called \"{name}\": use letters, digits, _ and -, and not the word input"
        )),
        None => Ok(model
            .inputs
            .iter()
            .map(|(name, spec)| input((name, spec)))
            .collect()),
    }
}

/// The layers of `model` in order, with the sources of their inputs, and its outputs.
///
/// # Errors
/// Names the layer: a duplicate name, a reference to an unknown or later layer, an unknown block, an unused output or input, an
/// output that is not a layer.
pub(super) fn expand(model: &ModelSpec, inputs: &[ModelInput]) -> Result<Expanded> {
    let named = !model.inputs.is_empty();
    let sources = inputs
        .iter()
        .enumerate()
        .filter(|_| named)
        .map(|(at, input)| (input.name.clone(), Source::Input(at)));
    let mut expansion = Expansion {
        model,
        placed: Vec::new(),
        by_name: sources.collect(),
        visited: 0,
    };
    let layers = model.layers.iter().cloned().map(Filled::Layer).collect();
    // If there are several inputs, every layer must name the one that it takes.
    let input = (!named).then_some(Source::Input(0));
    let last = expansion.scope(layers, "", input, &mut Vec::new())?;
    let outputs = expansion.outputs(inputs, last)?;
    expansion.all_are_used(inputs, &outputs)?;
    Ok(Expanded {
        placed: expansion.placed,
        outputs,
    })
}

/// Whether a name is valid for a layer or an input.
fn is_name(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.split('.')
        .all(|part| !part.is_empty() && part.chars().all(fine))
}

struct Expansion<'m> {
    model: &'m ModelSpec,
    placed: Vec<Placed>,
    /// Values by full name.
    by_name: HashMap<String, Source>,
    /// Layers so far, with those that are absent.
    visited: usize,
}

impl Expansion<'_> {
    fn error(&self, message: String) -> Error {
        Error::Config(format!("model {}: {message}", self.model.name))
    }

    /// Places `layers`, whose names begin with `prefix`, and returns the value of the last. `input` is the value that they take,
    /// if it is a single one; `within` are the blocks that are being expanded.
    fn scope(
        &mut self,
        layers: Vec<Filled>,
        prefix: &str,
        input: Option<Source>,
        within: &mut Vec<String>,
    ) -> Result<Source> {
        let names = self.names(&layers, prefix)?;
        let mut before = input;
        for (at, (filled, name)) in layers.into_iter().zip(&names).enumerate() {
            self.visited += 1;
            if self.visited > 2 * MOST_LAYERS {
                return Err(self.error(format!(
                    "it has more than {} layers and uses of blocks at {name}",
                    2 * MOST_LAYERS
                )));
            }
            let scope = Scope {
                prefix,
                input,
                before,
                later: &names[at..],
            };
            let value = match filled {
                Filled::Layer(layer) => self.place(layer, name, &scope, within)?,
                Filled::Absent(layer) => self.takes(&layer, name, &scope)?[0],
            };
            self.by_name.insert(name.clone(), value);
            before = Some(value);
        }
        before.ok_or_else(|| self.error("it has no layers; give it at least one".to_string()))
    }

    /// Full names of the layers of a scope: their own, or the stem of their type with a count.
    fn names(&self, layers: &[Filled], prefix: &str) -> Result<Vec<String>> {
        let mut counts = HashMap::new();
        let mut names: Vec<String> = Vec::with_capacity(layers.len());
        let mut known = HashSet::new();
        for filled in layers {
            let (Filled::Layer(layer) | Filled::Absent(layer)) = filled;
            let stem = layer.kind.layer_type().stem();
            let count = counts.entry(stem).or_insert(0);
            *count += 1;
            let own = layer.name.clone();
            let own = own.unwrap_or_else(|| format!("{stem}{count}"));
            if own == INPUT || !is_name(&own) {
                let why = match own.as_str() {
                    INPUT => "that is the input of the model or block",
                    _ => "use letters, digits, _, - and single dots within",
                };
                return Err(self.error(format!("a layer can't be called \"{own}\": {why}")));
            }
            let name = join(prefix, &own);
            if prefix.is_empty() && self.model.inputs.contains_key(&name) {
                return Err(self.error(format!(
                    "a layer and an input are both called {name}; give one of them another name"
                )));
            }
            if !known.insert(name.clone()) || self.by_name.contains_key(&name) {
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
            let hint = did_you_mean(&block.block, known);
            return Err(self.error(format!(
                "layer {name}: there is no block {}{hint}; define it in [block.{}]",
                block.block, block.block
            )));
        };
        if within.contains(&block.block) {
            return Err(self.error(format!(
                "block {} contains itself: {} > {}",
                block.block,
                within.join(" > "),
                block.block
            )));
        }
        if within.len() == MOST_NESTED {
            return Err(self.error(format!(
                "layer {name} is in {MOST_NESTED} blocks within each other, the most that are allowed"
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
            value = self.scope(layers, &prefix, Some(value), within)?;
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
            (Takes::One, None, None) => Ok(vec![self.one(scope.before, name)?]),
            (Takes::One, Some(one), None) => Ok(vec![self.find(one, name, scope)?]),
            (Takes::One, _, Some(_)) => {
                wrong("takes one input: name it with input = \"...\", not inputs")
            }
            (Takes::Several, None, Some(several)) if several.len() >= 2 => several
                .iter()
                .map(|one| self.find(one, name, scope))
                .collect(),
            (Takes::Memory, None, Some(two)) if two.len() == 2 => {
                two.iter().map(|one| self.find(one, name, scope)).collect()
            }
            (Takes::Memory, ..) => wrong(
                "takes two inputs: name them with inputs = [\"...\", \"...\"], first the queries, then the keys with values",
            ),
            (Takes::Several, ..) => {
                wrong("takes two or more inputs: name them with inputs = [\"...\", \"...\"]")
            }
        }
    }

    /// The `value` that the layer `name` takes by default, unless it is one of several inputs.
    fn one(&self, value: Option<Source>, name: &str) -> Result<Source> {
        value.ok_or_else(|| {
            let inputs: Vec<_> = self.model.inputs.keys().map(String::as_str).collect();
            self.error(format!(
                "layer {name} must name the input that it takes: set input = \"...\" to one of {}",
                inputs.join(", ")
            ))
        })
    }

    /// The value that the layer `name` calls `wanted`.
    fn find(&self, wanted: &str, name: &str, scope: &Scope<'_>) -> Result<Source> {
        if wanted == INPUT {
            return self.one(scope.input, name);
        }
        let whole = join(scope.prefix, wanted);
        if let Some(&found) = self.by_name.get(&whole) {
            return Ok(found);
        }
        // Within a block, a layer of the model above the block.
        let outside = self
            .by_name
            .get(wanted)
            .filter(|_| !scope.prefix.is_empty());
        if let Some(&found) = outside.filter(|_| !scope.later.contains(&whole)) {
            return Ok(found);
        }
        if scope.later.contains(&whole) {
            let itself = scope.later.first() == Some(&whole);
            let what = if itself { "is itself" } else { "comes later" };
            return Err(self.error(format!(
                "layer {name} takes the output of {wanted}, which {what}; a layer can only take outputs of layers above it"
            )));
        }
        let inside = |known: &&String| scope.prefix.is_empty() || known.starts_with(scope.prefix);
        let own = self.by_name.keys().filter(inside);
        let own = own.map(|known| match scope.prefix {
            "" => known.as_str(),
            prefix => known[prefix.len()..].trim_start_matches('.'),
        });
        let hint = did_you_mean(wanted, own);
        let place = match scope.prefix {
            "" => String::new(),
            prefix => format!(" in {prefix}"),
        };
        Err(self.error(format!(
            "layer {name} takes the output of {wanted}, but there is no such layer{place}{hint}"
        )))
    }

    /// The outputs of the model: those that its specification names, or that of the `last` layer.
    fn outputs(&self, inputs: &[ModelInput], last: Source) -> Result<Vec<(String, Source)>> {
        if self.model.outputs.is_empty() {
            return Ok(vec![(OUTPUT.to_string(), last)]);
        }
        let mut outputs: Vec<(String, Source)> = Vec::new();
        for name in &self.model.outputs {
            if outputs.iter().any(|(known, _)| known == name) {
                return Err(self.error(format!("outputs names {name} twice; name it once")));
            }
            let is_input = inputs.iter().any(|input| input.name == *name);
            match self.by_name.get(name).filter(|_| !is_input) {
                Some(&source) => outputs.push((name.clone(), source)),
                None => {
                    let layers = self.by_name.keys().map(String::as_str);
                    let hint = did_you_mean(name, layers.filter(|known| *known != name));
                    return Err(self.error(format!(
                        "outputs names {name}, but there is no such layer{hint}"
                    )));
                }
            }
        }
        Ok(outputs)
    }

    /// Refuses unused outputs and inputs, which are usually mistakes.
    fn all_are_used(&self, inputs: &[ModelInput], outputs: &[(String, Source)]) -> Result<()> {
        let mut used: HashSet<Source> = self.placed.iter().flat_map(|p| p.takes.clone()).collect();
        if let Some(at) = (0..inputs.len()).find(|&at| !used.contains(&Source::Input(at))) {
            return Err(self.error(format!(
                "the input {} is not used; name it as the input of a layer, or remove it",
                inputs[at].name
            )));
        }
        used.extend(outputs.iter().map(|(_, source)| *source));
        let unused = (0..self.placed.len()).find(|&at| !used.contains(&Source::Layer(at)));
        match unused {
            Some(at) => Err(self.error(format!(
                "the output of layer {} is not used; name it as an input of another layer{}, or remove it",
                self.placed[at].name,
                match self.model.outputs.is_empty() {
                    true => "",
                    false => " or among the outputs",
                }
            ))),
            None => Ok(()),
        }
    }
}

/// The scope in which a layer looks up its inputs.
struct Scope<'a> {
    prefix: &'a str,
    /// The input of the model or block, if it is a single value.
    input: Option<Source>,
    /// The output of the previous layer; for the first layer, the input of the scope.
    before: Option<Source>,
    /// Names of this layer and of later ones.
    later: &'a [String],
}
