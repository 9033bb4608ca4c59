//! Networks: models made of layers.

use super::expand::{Expanded, Placed, Source, expand, inputs};
use super::features::{FeatureOrder, Taken};
use super::forward::Forward;
use super::model::{Model, ModelInput, ModelOutput};
use super::parameter::Parameter;
use super::site::{Declared, Site, join};
use super::spec::ModelSpec;
use super::time::Text;
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::tensor::{DType, Shape};

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
}

/// A value that is passed between layers.
#[derive(Clone)]
struct Value<'g> {
    var: Var<'g>,
    /// The order of its features.
    order: FeatureOrder,
    /// The tokens that it comes from.
    text: Option<Text<'g>>,
}

impl Network {
    /// Checks `spec`.
    ///
    /// # Errors
    /// If a layer does not fit its inputs; the message names both and their shapes.
    pub fn new(spec: ModelSpec) -> Result<Network> {
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
        };
        let builder = Builder::new();
        let fed = network.inputs.iter();
        let fed: Vec<_> = fed
            .map(|input| builder.input(&input.name, input.spec.ty(1)))
            .collect();
        let mut cx = Forward::evaluation(&builder);
        let (values, declared) = network.walk(&mut cx, &fed)?;
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
        } = &mut self.declared;
        let weights = parameters
            .iter_mut()
            .chain(buffers)
            .map(|part| &mut part.name);
        let aliases = aliases
            .iter_mut()
            .flat_map(|(alias, weight)| [alias, weight]);
        for name in weights.chain(counters).chain(aliases) {
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
    fn walk<'g>(
        &self,
        cx: &mut Forward<'g>,
        inputs: &[Var<'g>],
    ) -> Result<(Vec<Var<'g>>, Declared)> {
        let builder = cx.builder();
        let mut declared = Declared::default();
        let fed = self.inputs.iter().zip(inputs).enumerate();
        let fed = fed.map(|(at, (input, &var))| {
            let tokens = input.spec.tokens();
            let text = tokens.map(|input| Text::new(at, input, var));
            Ok(Value {
                var,
                order: FeatureOrder::default(),
                text: text.transpose()?,
            })
        });
        let fed = fed.collect::<Result<Vec<Value<'g>>>>()?;
        let mut values: Vec<Value<'g>> = Vec::with_capacity(self.placed.len());
        for placed in &self.placed {
            let takes = placed.takes.iter();
            let taken: Vec<&Value<'g>> = takes.map(|&s| pick(s, &fed, &values)).collect();
            let vars: Vec<Var<'g>> = taken.iter().map(|value| value.var).collect();
            let name = join(&self.prefix, &placed.name);
            let _scope = builder.scope(&name);
            let misfit = |e| self.misfit(e, placed, &vars);
            let text = one_text(&taken).map_err(misfit)?;
            let layer = placed.kind.layer_type();
            let mut site = Site {
                builder,
                cx: &mut *cx,
                order: taken[0].order.clone(),
                text,
                name: &name,
                prefix: &self.prefix,
                weight_init: self.spec.weight_init,
                sizes: self.spec.sizes,
                declared: &mut declared,
            };
            let built = match layer.takes_tokens() {
                true => layer.build(&mut site, &vars),
                false => numbers(&vars).and_then(|()| layer.build(&mut site, &vars)),
            };
            let var = built.map_err(misfit)?;
            let shapes = taken.iter().map(|value| Taken {
                shape: value.var.shape().dims()[1..].to_vec(),
                order: value.order.clone(),
            });
            let order = layer
                .feature_order(&shapes.collect::<Vec<_>>())
                .map_err(misfit)?;
            values.push(Value { var, order, text });
        }
        Ok((
            values.into_iter().map(|value| value.var).collect(),
            declared,
        ))
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
        let (values, _) = self.walk(cx, inputs)?;
        let results = self.results.iter();
        Ok(results
            .map(|&source| *pick(source, inputs, &values))
            .collect())
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
        let is_wanted = move |value: &&&Value<'g>| (value.var.shape().rank() > 2) == sequences;
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
