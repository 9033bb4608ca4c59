//! `wgrad explain` for classifiers of texts: tokens in colours, and a page.

use super::super::plain::plain;
use super::super::{note, print_line};
use super::{Explained, Kind, in_words};
use anyhow::Context as _;
use console::Style;
use serde_json::json;
use std::io::Write as _;
use std::process::ExitCode;
use wgrad::Error;
use wgrad::device::Engine;
use wgrad::explain::{ExplainedText, TextExplainer, TextExplanation, TextMethod, real_tokens};
use wgrad::files::write_whole;
use wgrad::run::RunParts;
use wgrad::tasks::scores::softmax;

/// Points of integrated gradients that are computed at once.
const BATCH: usize = 16;
/// Tokens that are named with their attributions.
const STRONGEST: usize = 5;
/// Backgrounds of a terminal, from the weakest to the strongest, of tokens that raise the logit, and of those that lower it.
const RAISING: [u8; 5] = [52, 88, 124, 160, 196];
const LOWERING: [u8; 5] = [17, 18, 19, 20, 21];
/// The text on them: white.
const INK: u8 = 231;

pub(super) fn run(
    mut run: Explained<'_>,
    parts: RunParts,
    engine: &Engine,
) -> anyhow::Result<ExitCode> {
    let args = run.args;
    let asked = run.asked_class()?;
    let mut methods = args.methods(
        Kind::Texts,
        &TextMethod::ALL.map(|method| (method.name(), method)),
    )?;
    let given = args.given(&mut run.settings, &parts)?;
    let tokenizer = parts.fitted.tokenizer.clone();
    let tokenizer = tokenizer.ok_or_else(|| {
        Error::Config("the run has no tokenizer.json; train it again".to_string())
    })?;
    let classifier = parts.text_classifier(engine, BATCH)?;
    let mut explainer = TextExplainer::new(classifier, args.integration_steps());
    let mut explained: Vec<ExplainedText> = Vec::new();
    let mut troubled = false;
    for item in &given.items {
        let index = explained.len();
        if let Some(trouble) = &item.trouble {
            note(format_args!("{}: {trouble}", item.name));
            troubled = true;
            continue;
        }
        if index == args.most() {
            note(format_args!(
                "only the first {index} of {} texts are explained; --samples N explains more",
                given.set.len()
            ));
            break;
        }
        let tokens = given.set.tokens(index).ok_or_else(|| {
            Error::Config("the run takes no texts; name a run of a classifier of texts".to_string())
        })?;
        let probabilities = softmax(&explainer.logits(tokens)?);
        let ranked = Explained::ranked(&probabilities);
        let best = ranked.first().map_or(0, |(class, _)| *class as u32);
        let class = asked.unwrap_or(best);
        let real = tokens.iter().take(real_tokens(tokens));
        let mut text = ExplainedText {
            name: item.name.to_string(),
            tokens: real.map(|&token| tokenizer.decode(&[token])).collect(),
            predictions: run.named_top(&ranked),
            explained: run.class(class as usize),
            explanations: Vec::new(),
        };
        let mut unsuited = Vec::new();
        for &method in &methods {
            let found = match explainer.explain(method, tokens, class) {
                Ok(found) => found,
                // A model without attention has no rollout; it is an error only where that was asked for.
                Err(Error::Config(_)) if args.method.is_empty() => {
                    unsuited.push(method);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if args.json {
                print_line(json!({
                    "event": "explanation",
                    "method": method.name(),
                    "input": text.name,
                    "class": text.explained,
                    "probability": probabilities.get(class as usize),
                    "file": null,
                    "completeness": found.completeness.map(|missed| 1.0 - missed),
                    "tokens": text.tokens,
                    "values": found.values,
                }))?;
            }
            text.explanations.push(found);
        }
        methods.retain(|method| !unsuited.contains(method));
        if !args.json {
            print(&text)?;
        }
        explained.push(text);
    }
    if explained.is_empty() {
        return Err(Error::Data("there is no text to explain".to_string()).into());
    }
    if let Some(path) = &args.html {
        let page = ExplainedText::page(&run.settings.title(), &explained);
        write_whole(path, page.as_bytes())?;
        if !args.json {
            print_line(format_args!("wrote {}", path.display()))?;
        }
    }
    Ok(match troubled {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Prints a text: its prediction, its tokens in colours where the terminal has them, and the strongest ones.
fn print(text: &ExplainedText) -> anyhow::Result<()> {
    print_line(format_args!(
        "{}: {}",
        text.name,
        in_words(&text.predictions)
    ))?;
    for explanation in &text.explanations {
        let mut about = format!("  {} of {}", explanation.method.name(), text.explained);
        if let Some(missed) = explanation.completeness {
            about += &format!(", sum {:.2}% off", 100.0 * missed);
        }
        print_line(about)?;
        if console::colors_enabled() {
            print_coloured(text, explanation)?;
        }
        let mut order: Vec<(&String, &f64)> = text.tokens.iter().zip(&explanation.values).collect();
        order.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        let strongest = order.iter().take(STRONGEST);
        let strongest: Vec<String> = strongest
            .map(|(token, value)| format!("{token} {value:+.3}"))
            .collect();
        print_line(format_args!("    {}", strongest.join("  ")))?;
    }
    Ok(())
}

/// Prints the tokens on coloured backgrounds. Their own control characters are made harmless first.
fn print_coloured(text: &ExplainedText, explanation: &TextExplanation) -> anyhow::Result<()> {
    let mut line = String::from("   ");
    for (token, (_, share)) in text.tokens.iter().zip(explanation.shares()) {
        let shades = if share > 0.0 { RAISING } else { LOWERING };
        let strength = (share.abs() * shades.len() as f64).round() as usize;
        let token = plain(token);
        let token = match strength.checked_sub(1).and_then(|at| shades.get(at)) {
            Some(&shade) => {
                let style = Style::new().color256(INK).on_color256(shade);
                style.apply_to(token).to_string()
            }
            None => token.into_owned(),
        };
        line.push(' ');
        line.push_str(&token.replace('\n', "↵"));
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").context("cannot write to standard output")
}
