//! The step graphs of a run that is not trained, for commands that only need shapes.

use super::note;
use std::path::Path;
use wgrad::Error;
use wgrad::data::{Dataset, Samples};
use wgrad::graph::Graph;
use wgrad::nn::InputSpec;
use wgrad::settings::Settings;

/// Data as an argument.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct DataArg {
    /// Data of the run, for a model that takes its input shape from them
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Set any key of a run file, for example --set optimizer=sgd; can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// A run that is not trained.
pub(super) struct Planned {
    pub settings: Settings,
    /// `None` if the model alone determines all shapes.
    dataset: Option<Dataset<Samples>>,
}

/// The run that `what` names, with these `data` and `batch` if given. Data are read only if they are given or the model takes
/// its input shape from them.
pub(super) fn planned(what: &str, data: &DataArg, batch: Option<usize>) -> wgrad::Result<Planned> {
    let mut settings = Settings::named(what, Path::new(""))?;
    if let Some(source) = &data.data {
        settings.set_source(source.clone());
    }
    settings.batch = batch.unwrap_or(settings.batch);
    settings.assign(&data.set)?;
    settings.check()?;
    if settings.is_agent() {
        // The environment says what the models take.
        return Ok(Planned {
            settings,
            dataset: None,
        });
    }
    let inputs = || settings.model.all_inputs();
    let auto = settings.model.takes_its_input_from_data();
    let named = data.data.is_some() || !settings.data.is_built_in();
    if auto && !named {
        let model = match settings.model.name.as_str() {
            "" => "the model".to_string(),
            name => format!("model {name}"),
        };
        return Err(Error::Config(format!(
            "{model} takes its input shape from the data; name the data with --data (`--data digits` for the built-in ones)"
        )));
    }
    let tokens = inputs().find_map(InputSpec::tokens);
    let asks = auto || tokens.is_some_and(|input| input.auto);
    if data.data.is_none() && !(asks && named) {
        return Ok(Planned {
            settings,
            dataset: None,
        });
    }
    let dataset = settings.load_data()?;
    dataset.notes.iter().for_each(note);
    let run = settings.resolve(&dataset.train)?.check(dataset)?;
    Ok(Planned {
        settings,
        dataset: Some(run.into_dataset()),
    })
}

impl Planned {
    /// The graphs of a training or evaluation step, with what each computes, on a device that binds up to `most_bytes` at once.
    /// Where there are no data, of as many samples as the built-in digits have.
    pub(super) fn graphs(
        &self,
        training: bool,
        most_bytes: u64,
    ) -> wgrad::Result<Vec<(String, Graph)>> {
        let mut settings = self.settings.clone();
        let (name, batch) = (if training { "train" } else { "test" }, settings.batch);
        let (parts, layout) = match &self.dataset {
            Some(dataset) => {
                let parts = settings.resolve(&dataset.train)?;
                let (samples, batch) = match training {
                    true => (&dataset.train, batch),
                    false => (&dataset.test, batch.min(dataset.test.len())),
                };
                let layout = parts.layout(name, samples, batch, most_bytes);
                (parts, layout)
            }
            None => {
                let parts = settings.resolve_without_data()?;
                // A set that does not fit is streamed, with room for one batch.
                let sample = settings.model.input.sample();
                let sample_bytes: usize = sample.iter().product();
                let all = settings.data.train.max(batch);
                let fits = (all as u64).saturating_mul(sample_bytes as u64) <= most_bytes;
                let layout = parts.example_layout(name, if fits { all } else { batch }, batch)?;
                (parts, layout)
            }
        };
        if !training {
            return Ok(vec![(
                "evaluation".to_string(),
                parts.evaluation_graph(layout)?,
            )]);
        }
        let mut graphs = Vec::new();
        for (phase, of) in parts
            .task
            .phases()
            .iter()
            .zip(parts.training_graphs(layout)?)
        {
            let called = |what: &str| match phase.name {
                "" => what.to_string(),
                name => format!("{name}: {what}"),
            };
            match of.update {
                None => graphs.push((called("gradients and update"), of.gradients)),
                Some(update) => {
                    graphs.push((called("gradients of a batch"), of.gradients));
                    graphs.push((called("update"), update));
                }
            }
        }
        Ok(graphs)
    }
}
