//! Networks: models made of layers.

use super::expand::{Expanded, Placed, Source, expand, inputs};
use super::features::{FeatureOrder, Taken};
use super::forward::Forward;
use super::input::InputSpec;
use super::layer::Takes;
use super::lora::Lora;
use super::model::{Merged, Model, ModelInput, ModelOutput};
use super::parameter::Parameter;
use super::site::{Declared, Site, join};
use super::spec::ModelSpec;
use super::time::Text;
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::tensor::{DType, Shape, TensorType};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A checked model of layers: every layer fits its inputs.
#[derive(Clone, Debug)]
pub struct Network {
    /// The specification.
    pub spec: ModelSpec,
    /// Names of the layers, with blocks expanded, and the shapes of their outputs without the batch axis.
    pub layers: Vec<(String, Vec<usize>)>,
    inputs: Vec<ModelInput>,
    outputs: Vec<ModelOutput>,
    declared: Declared,
    placed: Vec<Placed>,
    /// The sources of the outputs, in order.
    results: Vec<Source>,
    /// Prefix of the names of variables; may be empty.
    prefix: String,
    /// Tokens of the network that this one is a shorter form of.
    positions: Option<usize>,
    /// Low-rank adapters of its dense layers.
    lora: Option<Lora>,
}

/// A value that is passed between layers.
#[derive(Clone)]
struct Value<'g> {
    /// The node; `None` if this pass does not compute it.
    var: Option<Var<'g>>,
    /// The order of its features.
    order: FeatureOrder,
    /// The tokens that it comes from.
    text: Option<Text<'g>>,
}

/// What a pass does with a layer.
enum Layers<'g> {
    /// It builds it.
    Built,
    /// It takes this as its output, or does not need it.
    Known(Option<Var<'g>>),
}

impl Network {
    /// Checks `spec`.
    ///
    /// # Errors
    /// If a layer does not fit its inputs; the message names both and their shapes.
    pub fn new(spec: ModelSpec) -> Result<Network> {
        Self::of(spec, None, None)
    }

    /// The network of `spec` with low-rank adapters.
    ///
    /// # Errors
    /// As [`new`](Network::new), or if a pattern of `lora` matches no dense layer.
    pub fn adapted(spec: ModelSpec, lora: Lora) -> Result<Network> {
        lora.check()?;
        let network = Self::of(spec, None, Some(lora.clone()))?;
        // The names of what could have an adapter, and those of all parameters.
        let every = Lora {
            layers: Lora::default().layers,
            ..lora.clone()
        };
        let could = Self::of(network.spec.clone(), None, Some(every))?;
        let targets = could.declared.adapters.iter();
        let targets: Vec<_> = targets
            .map(|adapter| (adapter.target_name().to_string(), TensorType::f32([1])))
            .collect();
        lora.layers.check("lora.layers", &targets)?;
        let parameters = network.parameters().iter();
        let parameters: Vec<_> = parameters
            .map(|parameter| (parameter.name.clone(), parameter.ty.clone()))
            .collect();
        lora.train.check("lora.train", &parameters)?;
        Ok(network)
    }

    /// The network of `spec`, whose tables of positions have rows for `positions` of them.
    fn of(spec: ModelSpec, positions: Option<usize>, lora: Option<Lora>) -> Result<Network> {
        let inputs = inputs(&spec)?;
        for input in &inputs {
            let checked = input.spec.check();
            checked.map_err(|why| match spec.inputs.is_empty() {
                true => Error::Config(format!("model {} {why}", spec.name)),
                false => Error::Config(format!(
                    "model {}, input {}: it {why}",
                    spec.name, input.name
                )),
            })?;
        }
        if spec.layers.is_empty() {
            return Err(Error::Config(format!(
                "model {} has no layers; give it at least a dense layer",
                spec.name
            )));
        }
        let Expanded { placed, outputs } = expand(&spec, &inputs)?;
        let (names, results): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        let mut network = Network {
            spec,
            layers: Vec::new(),
            inputs,
            outputs: Vec::new(),
            declared: Declared::default(),
            placed,
            results,
            prefix: String::new(),
            positions,
            lora,
        };
        let builder = Builder::new();
        let fed = network.inputs.iter();
        let fed: Vec<_> = fed
            .map(|input| builder.input(&input.name, input.spec.ty(1)))
            .collect();
        let mut cx = Forward::evaluation(&builder);
        let (values, declared) = network.walk_all(&mut cx, &fed)?;
        let shape = |v: Var<'_>| match v.shape().dims() {
            [_, sample @ ..] => Ok(sample.to_vec()),
            [] => Err(Error::Config(format!(
                "model {} makes one number for all samples; let it make values for each",
                network.spec.name
            ))),
        };
        let layers = values
            .iter()
            .map(|&v| shape(v))
            .collect::<Result<Vec<_>>>()?;
        let results = network.results.iter();
        let results = results.map(|&source| shape(*pick(source, &fed, &values)));
        let results = results.collect::<Result<Vec<_>>>()?;
        let placed = network.placed.iter().map(|placed| placed.name.clone());
        network.layers = placed.zip(layers).collect();
        network.outputs = names
            .into_iter()
            .zip(results)
            .map(|(name, shape)| ModelOutput { name, shape })
            .collect();
        network.declared = declared;
        Ok(network)
    }

    /// The same network with `prefix` before the names of its weights, buffers and everything else in files:
    /// `generator.conv1.weight`. This allows several networks in one graph.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Network {
        self.prefix = match self.prefix.as_str() {
            "" => prefix.to_string(),
            own => join(prefix, own),
        };
        let Declared {
            parameters,
            buffers,
            counters,
            aliases,
            adapters,
        } = &mut self.declared;
        let weights = parameters
            .iter_mut()
            .chain(buffers)
            .map(|part| &mut part.name);
        let aliases = aliases
            .iter_mut()
            .flat_map(|(alias, weight)| [alias, weight]);
        let adapters = adapters
            .iter_mut()
            .flat_map(|adapter| [&mut adapter.weight, &mut adapter.down, &mut adapter.up]);
        for name in weights.chain(counters).chain(aliases).chain(adapters) {
            *name = join(prefix, name);
        }
        self
    }

    /// The last extent of its first output: the number of classes, or the size of the vocabulary.
    pub fn classes(&self) -> usize {
        self.ending().last().copied().unwrap_or(1)
    }

    /// Whether its first output is a row for every token instead of one for the sample.
    pub fn per_token(&self) -> bool {
        match (self.ending(), self.spec.input.tokens()) {
            (&[time, _], Some(input)) => time == input.tokens,
            _ => false,
        }
    }

    /// Shape of its first output.
    fn ending(&self) -> &[usize] {
        self.outputs.first().map_or(&[], |output| &output.shape)
    }

    /// Builds all layers on the model's `inputs`, and returns their outputs in order and the state that they declared.
    fn walk_all<'g>(
        &self,
        cx: &mut Forward<'g>,
        inputs: &[Var<'g>],
    ) -> Result<(Vec<Var<'g>>, Declared)> {
        let inputs: Vec<_> = inputs.iter().map(|&input| Some(input)).collect();
        let mut declared = Declared::default();
        let values = self.walk(cx, &inputs, &|_| Layers::Built, &mut declared)?;
        Ok((values.into_iter().flatten().collect(), declared))
    }

    /// Builds the layers that `which` names on the model's `inputs`, and returns the outputs of all in order: `None` of those that
    /// this pass does not need.
    fn walk<'g>(
        &self,
        cx: &mut Forward<'g>,
        inputs: &[Option<Var<'g>>],
        which: &dyn Fn(usize) -> Layers<'g>,
        declared: &mut Declared,
    ) -> Result<Vec<Option<Var<'g>>>> {
        let builder = cx.builder();
        let fed = self.inputs.iter().zip(inputs).enumerate();
        let fed = fed.map(|(at, (input, &var))| {
            let text = match (input.spec.tokens(), var) {
                (Some(input), Some(var)) => Some(Text::new(at, input, var)?),
                _ => None,
            };
            Ok(Value {
                var,
                order: FeatureOrder::default(),
                text,
            })
        });
        let fed = fed.collect::<Result<Vec<Value<'g>>>>()?;
        let mut values: Vec<Value<'g>> = Vec::with_capacity(self.placed.len());
        for (at, placed) in self.placed.iter().enumerate() {
            let takes = placed.takes.iter();
            let taken: Vec<&Value<'g>> = takes.map(|&s| pick(s, &fed, &values)).collect();
            if let Layers::Known(var) = which(at) {
                let text = taken.iter().find_map(|value| value.text);
                values.push(Value {
                    var,
                    order: FeatureOrder::default(),
                    text,
                });
                continue;
            }
            let vars: Vec<Var<'g>> = taken.iter().filter_map(|value| value.var).collect();
            let name = join(&self.prefix, &placed.name);
            if vars.len() != taken.len() {
                let message = format!("layer {name} takes a value that is not known in this pass");
                return Err(Error::Graph(message));
            }
            let _scope = builder.scope(&name);
            let misfit = |e| self.misfit(e, placed, &vars);
            let layer = placed.kind.layer_type();
            let (text, memory) = match layer.takes() {
                Takes::Memory => (taken[0].text, taken[1].text),
                Takes::One | Takes::Several => (one_text(&taken).map_err(misfit)?, None),
            };
            let mut site = Site {
                builder,
                cx: &mut *cx,
                order: taken[0].order.clone(),
                text,
                memory,
                name: &name,
                prefix: &self.prefix,
                weight_init: self.spec.weight_init,
                sizes: self.spec.sizes,
                positions: self.positions,
                lora: self.lora.as_ref(),
                declared: &mut *declared,
            };
            let built = match layer.takes_tokens() {
                true => layer.build(&mut site, &vars),
                false => numbers(&vars).and_then(|()| layer.build(&mut site, &vars)),
            };
            let var = built.map_err(misfit)?;
            let shapes = taken.iter().zip(&vars).map(|(value, var)| Taken {
                shape: var.shape().dims()[1..].to_vec(),
                order: value.order.clone(),
            });
            let order = layer
                .feature_order(&shapes.collect::<Vec<_>>())
                .map_err(misfit)?;
            values.push(Value {
                var: Some(var),
                order,
                text,
            });
        }
        Ok(values.into_iter().map(|value| value.var).collect())
    }

    /// The index of the input `name`.
    fn input(&self, name: &str) -> Result<usize> {
        let found = self.inputs.iter().position(|input| input.name == name);
        found.ok_or_else(|| Error::Config(format!("model {} has no input {name}", self.spec.name)))
    }

    /// Which layers depend on the input number `input`.
    fn depending(&self, input: usize) -> Vec<bool> {
        let mut depending: Vec<bool> = Vec::with_capacity(self.placed.len());
        for placed in &self.placed {
            let depends = placed.takes.iter().any(|&source| match source {
                Source::Input(at) => at == input,
                Source::Layer(at) => depending[at],
            });
            depending.push(depends);
        }
        depending
    }

    /// The layers that do not depend on the input number `input`, but whose outputs others take that do.
    fn remembered(&self, depending: &[bool]) -> Vec<usize> {
        let later = self.placed.iter().zip(depending);
        let taken = later.filter(|(_, depends)| **depends);
        let taken: BTreeSet<usize> = taken
            .flat_map(|(placed, _)| &placed.takes)
            .filter_map(|source| match source {
                Source::Layer(at) if !depending[*at] => Some(*at),
                _ => None,
            })
            .collect();
        taken.into_iter().collect()
    }

    /// The values of the inputs, of which `known` are given by name.
    fn given<'g>(&self, known: &[(&str, Var<'g>)]) -> Vec<Option<Var<'g>>> {
        let of = |name: &str| known.iter().find(|(known, _)| *known == name);
        let inputs = self.inputs.iter();
        inputs
            .map(|input| of(&input.name).map(|(_, var)| *var))
            .collect()
    }

    /// Checks that `fed` are batches of the same size for the inputs of the model.
    fn check_fed(&self, fed: &[Var<'_>]) -> Result<()> {
        let wrong = |what: String| Err(Error::Graph(format!("model {} {what}", self.spec.name)));
        if fed.len() != self.inputs.len() {
            return wrong(format!(
                "takes {} inputs, but {} were given",
                self.inputs.len(),
                fed.len()
            ));
        }
        let batch = fed.first().and_then(|x| x.shape().dims().first().copied());
        for (input, x) in self.inputs.iter().zip(fed) {
            let want = input.spec.ty(batch.unwrap_or(1));
            if x.ty() != want {
                return wrong(format!(
                    "takes a {want} as {}, but a {} was given",
                    input.name,
                    x.ty()
                ));
            }
        }
        Ok(())
    }

    /// The error of a layer that does not fit its `inputs`, with their names and shapes.
    fn misfit(&self, error: Error, placed: &Placed, inputs: &[Var<'_>]) -> Error {
        let Error::Shape { message, .. } = error else {
            return error;
        };
        let given = placed.takes.iter().zip(inputs).map(|(source, input)| {
            let name = match source {
                Source::Input(_) if self.inputs.len() == 1 => "the input".to_string(),
                Source::Input(at) => format!("the input {}", self.inputs[*at].name),
                Source::Layer(at) => format!("layer {}", self.placed[*at].name),
            };
            (name, Shape::from(&input.shape().dims()[1..]))
        });
        let given: Vec<_> = given.collect();
        let text = match &given[..] {
            [(name, shape)] => format!("{name}, which gives {shape} for each sample"),
            _ => {
                let each = given
                    .iter()
                    .map(|(name, shape)| format!("{name} ({shape})"));
                each.collect::<Vec<_>>().join(" and ")
            }
        };
        Error::Config(format!(
            "model {}: layer {} does not fit {text}: {message}",
            self.spec.name, placed.name
        ))
    }
}

impl Model for Network {
    fn name(&self) -> &str {
        &self.spec.name
    }

    fn inputs(&self) -> &[ModelInput] {
        &self.inputs
    }

    fn outputs(&self) -> &[ModelOutput] {
        &self.outputs
    }

    fn parameters(&self) -> &[Parameter] {
        &self.declared.parameters
    }

    fn buffers(&self) -> &[Parameter] {
        &self.declared.buffers
    }

    fn counters(&self) -> &[String] {
        &self.declared.counters
    }

    fn aliases(&self) -> &[(String, String)] {
        &self.declared.aliases
    }

    fn forward<'g>(&self, cx: &mut Forward<'g>, inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        self.check_fed(inputs)?;
        let (values, _) = self.walk_all(cx, inputs)?;
        let results = self.results.iter();
        Ok(results
            .map(|&source| *pick(source, inputs, &values))
            .collect())
    }

    fn shortened(&self, tokens: usize) -> Result<Arc<dyn Model>> {
        let refused = |why: String| {
            let name = &self.spec.name;
            Err(Error::Config(format!(
                "model {name} can't take batches of {tokens} tokens, as data.buckets asks: {why}"
            )))
        };
        let mut spec = self.spec.clone();
        let mut longest: Option<usize> = None;
        let named = spec.inputs.values_mut();
        for input in named.chain([&mut spec.input]) {
            if let InputSpec::Tokens(input) = input {
                if longest.is_some_and(|known| known != input.tokens) || input.tokens < tokens {
                    return refused("all its inputs must have the same, larger number".to_string());
                }
                longest = Some(input.tokens);
                input.tokens = tokens;
            }
        }
        if longest.is_none() {
            return refused("it takes none".to_string());
        }
        let shorter = Network::of(spec, longest, self.lora.clone())?;
        let shorter = match self.prefix.as_str() {
            "" => shorter,
            prefix => shorter.with_prefix(prefix),
        };
        let state = |network: &Network| -> Vec<(String, TensorType)> {
            let state = network.state();
            state
                .map(|part| (part.name.clone(), part.ty.clone()))
                .collect()
        };
        match state(self) == state(&shorter) {
            true => Ok(Arc::new(shorter)),
            false => refused("its weights depend on the number of tokens".to_string()),
        }
    }

    fn lora(&self) -> Option<&Lora> {
        self.lora.as_ref()
    }

    fn merged(&self, values: &[Tensor<f32>]) -> Result<Option<Merged>> {
        let Some(lora) = &self.lora else {
            return Ok(None);
        };
        let state: Vec<_> = self.state().collect();
        let values = lora.merge(&self.declared.adapters, &state, values)?;
        let plain = Network::of(self.spec.clone(), self.positions, None)?;
        let plain = match self.prefix.as_str() {
            "" => plain,
            prefix => plain.with_prefix(prefix),
        };
        Ok(Some(Merged {
            model: Arc::new(plain),
            values,
        }))
    }

    fn check_decoding(&self, input: &str) -> Result<()> {
        let depending = self.depending(self.input(input)?);
        let mut later = self.placed.iter().zip(&depending);
        let other =
            later.find(|(placed, depends)| **depends && !placed.kind.layer_type().is_stepwise());
        match other {
            None => Ok(()),
            Some((placed, _)) => Err(Error::Config(format!(
                "model {} can't decode position by position: layer {} may depend on later positions of {input}; attention there must \
                 be causal, and other layers work on each position",
                self.spec.name, placed.name
            ))),
        }
    }

    fn memory<'g>(
        &self,
        cx: &mut Forward<'g>,
        input: &str,
        known: &[(&str, Var<'g>)],
    ) -> Result<Vec<(String, Var<'g>)>> {
        let depending = self.depending(self.input(input)?);
        let which = |at: usize| match depending[at] {
            true => Layers::Known(None),
            false => Layers::Built,
        };
        let mut declared = self.declared.clone();
        let values = self.walk(cx, &self.given(known), &which, &mut declared)?;
        let remembered = self.remembered(&depending).into_iter();
        let named = remembered.filter_map(|at| Some((self.placed[at].name.clone(), values[at]?)));
        Ok(named.collect())
    }

    fn decode<'g>(
        &self,
        cx: &mut Forward<'g>,
        (input, tokens): (&str, Var<'g>),
        known: &[(&str, Var<'g>)],
        memory: &[(String, Var<'g>)],
    ) -> Result<Vec<Var<'g>>> {
        self.check_decoding(input)?;
        let at = self.input(input)?;
        let depending = self.depending(at);
        let mut inputs = self.given(known);
        inputs[at] = Some(tokens);
        let remembered = |at: usize| {
            let name = &self.placed[at].name;
            memory.iter().find(|(known, _)| known == name)
        };
        let which = |at: usize| match depending[at] {
            true => Layers::Built,
            false => Layers::Known(remembered(at).map(|(_, var)| *var)),
        };
        let mut declared = self.declared.clone();
        let values = self.walk(cx, &inputs, &which, &mut declared)?;
        let results = self.results.iter();
        let results = results.map(|&source| *pick(source, &inputs, &values));
        let results = results.collect::<Option<Vec<_>>>();
        results.ok_or_else(|| {
            Error::Config(format!(
                "model {} has an output that does not depend on {input}",
                self.spec.name
            ))
        })
    }
}

/// The value of `source` among the inputs of the model and the outputs of layers.
fn pick<'v, T>(source: Source, inputs: &'v [T], layers: &'v [T]) -> &'v T {
    match source {
        Source::Input(at) => &inputs[at],
        Source::Layer(at) => &layers[at],
    }
}

/// The tokens that a layer's values come from: those of a sequence take precedence over those of a row.
fn one_text<'g>(taken: &[&Value<'g>]) -> Result<Option<Text<'g>>> {
    let texts = |sequences: bool| {
        let is_wanted = move |value: &&&Value<'g>| {
            value.var.is_some_and(|var| var.shape().rank() > 2) == sequences
        };
        taken
            .iter()
            .filter(is_wanted)
            .filter_map(|value| value.text)
    };
    let Some(first) = texts(true).next() else {
        return Ok(texts(false).next());
    };
    let mut others = texts(true).filter(|text| text.at != first.at);
    if others.any(|other| first.padding.is_some() || other.padding.is_some()) {
        return Err(Site::misfit(
            "its sequences come from two inputs of tokens, whose padding differs; pool one of them over time",
        ));
    }
    Ok(Some(first))
}

/// Checks that `inputs` are numbers, as most layers require.
fn numbers(inputs: &[Var<'_>]) -> Result<()> {
    match inputs.iter().any(|x| x.dtype() == DType::U32) {
        true => Err(Site::misfit(
            "it takes numbers, not tokens; put an embedding layer before it",
        )),
        false => Ok(()),
    }
}
