//! Explanations of what a trained classifier of texts reads: integrated gradients on the way from embeddings of zero, and attention
//! rollout.

use super::quadrature::gauss_legendre;
use super::rollout;
use crate::data::PADDING;
use crate::error::{Error, Result};
use crate::train::TextClassifier;

/// How a text is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextMethod {
    /// Embeddings times their gradients on the way from zero, which add up to the difference of the logits (Sundararajan et al. 2017).
    IntegratedGradients,
    /// How much of each token attention carries to what is classified (Abnar and Zuidema 2020).
    AttentionRollout,
}

impl TextMethod {
    /// Both.
    pub const ALL: [TextMethod; 2] = [
        TextMethod::IntegratedGradients,
        TextMethod::AttentionRollout,
    ];

    /// Its name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            TextMethod::IntegratedGradients => "integrated_gradients",
            TextMethod::AttentionRollout => "attention_rollout",
        }
    }
}

/// Which tokens of a text a prediction depends on.
#[derive(Clone, Debug)]
pub struct TextExplanation {
    /// How it was made.
    pub method: TextMethod,
    /// Number of the class whose logit it explains; rollout is the same for every class.
    pub class: u32,
    /// One number for each token before the padding.
    pub values: Vec<f64>,
    /// How far the sum of the attributions of all tokens, with padding, is from the logit less that of embeddings of zero, as a share of
    /// that difference: for integrated gradients.
    pub completeness: Option<f64>,
}

/// Explains predictions of a classifier of texts.
pub struct TextExplainer<'e> {
    classifier: TextClassifier<'e>,
    steps: usize,
}

impl<'e> TextExplainer<'e> {
    /// Of the predictions of `classifier`, by integrated gradients with `steps` points.
    pub fn new(classifier: TextClassifier<'e>, steps: usize) -> TextExplainer<'e> {
        TextExplainer { classifier, steps }
    }

    /// The logits of a text, as many tokens as the model takes.
    ///
    /// # Errors
    /// If it has another number of tokens, or the device failed.
    pub fn logits(&mut self, text: &[u32]) -> Result<Vec<f32>> {
        self.check(text)?;
        Ok(self.classifier.along(text, &[1.0], 0)?.0)
    }

    /// Explains the logit of `class` for a text, as many tokens as the model takes.
    ///
    /// # Errors
    /// If it has another number of tokens, the method does not suit the model, or the device failed.
    pub fn explain(
        &mut self,
        method: TextMethod,
        text: &[u32],
        class: u32,
    ) -> Result<TextExplanation> {
        self.check(text)?;
        let (mut values, completeness) = match method {
            TextMethod::IntegratedGradients => {
                let (values, missed) = self.integrated(text, class)?;
                (values, Some(missed))
            }
            TextMethod::AttentionRollout => {
                let (layers, pooling) = self.classifier.attention(text)?;
                if layers.is_empty() {
                    return Err(Error::Config(
                        "the model has no attention layer, which attention rollout looks into; choose --method integrated_gradients"
                            .to_string(),
                    ));
                }
                (rollout::rollout(&layers, pooling, real(text)), None)
            }
        };
        values.truncate(real(text));
        Ok(TextExplanation {
            method,
            class,
            values,
            completeness,
        })
    }

    /// The attribution of every token, and how far their sum is from the difference of the logits, as a share of it.
    fn integrated(&mut self, text: &[u32], class: u32) -> Result<(Vec<f64>, f64)> {
        let (classes, tokens) = (self.classifier.classes(), self.classifier.tokens());
        let nodes = gauss_legendre(self.steps);
        let mut values = vec![0.0; tokens];
        for some in nodes.chunks(self.classifier.batch().max(1)) {
            let shares: Vec<f32> = some.iter().map(|(at, _)| *at as f32).collect();
            let (_, products) = self.classifier.along(text, &shares, class)?;
            for ((_, weight), row) in some.iter().zip(products.chunks_exact(tokens)) {
                for (value, product) in values.iter_mut().zip(row) {
                    *value += weight * f64::from(*product);
                }
            }
        }
        let mut logit = |share: f32| -> Result<f64> {
            let (logits, _) = self.classifier.along(text, &[share], class)?;
            let own = logits
                .get(class as usize)
                .filter(|_| logits.len() == classes);
            Ok(own.map_or(f64::NAN, |own| f64::from(*own)))
        };
        let difference = logit(1.0)? - logit(0.0)?;
        let missed = (values.iter().sum::<f64>() - difference).abs();
        Ok((values, missed / difference.abs().max(f64::MIN_POSITIVE)))
    }

    fn check(&self, text: &[u32]) -> Result<()> {
        let tokens = self.classifier.tokens();
        match text.len() == tokens {
            true => Ok(()),
            false => Err(Error::Data(format!(
                "a text has {} tokens with its padding, but the model takes {tokens}",
                text.len()
            ))),
        }
    }
}

/// Tokens of a text before its padding.
pub fn real(text: &[u32]) -> usize {
    let last = text.iter().rposition(|&token| token != PADDING);
    last.map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Tensor;
    use crate::device::Engine;
    use crate::nn::{ModelSpec, Network};
    use crate::tasks::{Models, TaskSettings, named};
    use crate::toml_text::parse;
    use serde::Deserialize;

    /// What captum finds in the same texts (tests/fixtures/make_token_attributions.py).
    #[derive(Deserialize)]
    struct Recorded {
        weights: Vec<Vec<f32>>,
        tokens: Vec<u32>,
        classes: Vec<u32>,
        logits: Vec<Vec<f64>>,
        integrated_gradients: Vec<Vec<f64>>,
        rollout: Vec<Vec<f64>>,
    }

    const INPUT: &str = "name = \"tiny\"\ninput = { tokens = 6, vocabulary = 12, padded = true }\n";
    const ATTENTION: &str = r#"layer = [
        { type = "embedding", width = 8 },
        { type = "self_attention", heads = 2 },
        { type = "time_pool", by = "mean" },
        { type = "dense", units = 3 },
    ]"#;

    fn recorded() -> Recorded {
        let text = include_str!("../../tests/fixtures/token_attributions.json");
        serde_json::from_str(text).unwrap()
    }

    fn classifier(layers: &str, values: Option<&Recorded>) -> Result<TextClassifier<'static>> {
        let spec: ModelSpec = parse(&format!("{INPUT}{layers}"), "the model").unwrap();
        let models = Models::one(Network::new(spec).unwrap());
        let task = (named("text_classification").unwrap().make)(&TaskSettings::default()).unwrap();
        let values = match values {
            Some(recorded) => {
                let parts = models.state().zip(&recorded.weights);
                parts
                    .map(|(part, own)| Tensor::real(part.ty.shape.clone(), own.clone()))
                    .collect()
            }
            None => models.initial_state(1),
        };
        TextClassifier::new(Engine::Cpu.device(), task.into(), models, &values, 7)
    }

    fn assert_near(found: &[f64], wanted: &[f64], most: f64) {
        let largest = wanted.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        for (a, b) in found.iter().zip(wanted) {
            assert!(
                (a - b).abs() < most * largest,
                "{found:?} is not {wanted:?}"
            );
        }
    }

    #[test]
    fn attributions_are_those_of_captum_and_rollout_that_of_pytorch() {
        let recorded = recorded();
        let mut explainer = TextExplainer::new(classifier(ATTENTION, Some(&recorded)).unwrap(), 50);
        for (index, text) in recorded.tokens.chunks(6).enumerate() {
            let logits: Vec<f64> = explainer
                .logits(text)
                .unwrap()
                .into_iter()
                .map(f64::from)
                .collect();
            assert_near(&logits, &recorded.logits[index], 1e-5);
            let class = recorded.classes[index];
            let mut found = |method| explainer.explain(method, text, class).unwrap();
            let own = found(TextMethod::IntegratedGradients);
            assert_eq!(own.values.len(), real(text));
            assert_near(&own.values, &recorded.integrated_gradients[index], 1e-4);
            assert!(own.completeness.unwrap() < 1e-3, "{own:?}");
            let own = found(TextMethod::AttentionRollout);
            assert_eq!(own.values.len(), recorded.rollout[index].len());
            assert_near(&own.values, &recorded.rollout[index], 1e-5);
            assert!((own.values.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn models_without_attention_have_no_rollout_and_those_without_an_embedding_nothing() {
        let bag = r#"layer = [
            { type = "embedding", width = 4 },
            { type = "time_pool", by = "mean" },
            { type = "dense", units = 2 },
        ]"#;
        let mut explainer = TextExplainer::new(classifier(bag, None).unwrap(), 4);
        let text = [3, 5, 0, 0, 0, 0];
        let found = explainer.explain(TextMethod::IntegratedGradients, &text, 1);
        // A mean of embeddings is linear, so that few points are exact.
        assert!(found.unwrap().completeness.unwrap() < 1e-4);
        let rollout = explainer.explain(TextMethod::AttentionRollout, &text, 1);
        let error = rollout.unwrap_err().to_string();
        assert!(error.contains("no attention layer"), "{error}");
        let short = explainer.logits(&text[..3]).unwrap_err().to_string();
        assert!(short.contains("has 3 tokens"), "{short}");
    }

    #[test]
    fn texts_end_before_their_padding() {
        assert_eq!(real(&[4, 0, 7, 0, 0]), 3);
        assert_eq!(real(&[0, 0]), 0);
    }
}
