//! `wgrad explain` for classifiers of images: pictures, a page, and the sanity check.

use super::super::{note, print_line};
use super::{Explained, Kind, in_words, network};
use crate::cli::predict::given::{Given, Item};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::Error;
use wgrad::data::Part;
use wgrad::device::Engine;
use wgrad::explain::{
    ExplainMethod, ExplainSettings, ExplainedImage, Explainer, NearestExample, SanityImage, overlay,
};
use wgrad::files::write_whole;
use wgrad::run::RunParts;
use wgrad::tasks::scores::softmax;

/// Images that are computed at once.
const BATCH: usize = 50;
/// Nearest training images on the page.
const NEAREST: usize = 5;

pub(super) fn run(
    mut run: Explained<'_>,
    parts: RunParts,
    engine: &Engine,
) -> anyhow::Result<ExitCode> {
    let args = run.args;
    let asked = run.asked_class()?;
    let methods = args.methods(
        Kind::Images,
        &ExplainMethod::ALL.map(|method| (method.name(), method)),
    )?;
    let alone = args.filters.is_some() || args.maximise.is_some();
    let has_inputs = args.part.is_some() || !args.files.is_empty();
    let given = match alone && !has_inputs {
        true => None,
        false => Some(args.given(&mut run.settings, &parts)?),
    };
    let own = ExplainSettings {
        layer: args.layer.clone(),
        steps: args.integration_steps(),
        side: args.side.map(usize::from),
        seed: run.settings.seed,
        ..ExplainSettings::default()
    };
    let out = match &args.out {
        Some(out) => out.clone(),
        None if run.opened.is_temporary() => PathBuf::from("explanations"),
        None => run.opened.folder.path.join("explanations"),
    };
    let mut explainer = Explainer::new(parts.image_classifier(engine, BATCH)?, own);
    if let Some(path) = &args.filters {
        network::filters(&mut explainer, path, args.json)?;
    }
    if let Some(wanted) = &args.maximise {
        network::maximise(&mut explainer, wanted, args.steps, &out, args.json)?;
    }
    let Some(given) = given else {
        return Ok(ExitCode::SUCCESS);
    };
    let maps = args.activations.as_ref();
    let maps = maps.map(|layer| explainer.activation_maps(layer));
    let maps = maps.transpose()?;
    create(&out)?;
    let (mut explained, mut suited) = (Vec::new(), methods.clone());
    let (mut checked, mut troubled) = (Vec::new(), false);
    for item in &given.items {
        let index = explained.len();
        if let Some(trouble) = &item.trouble {
            note(format_args!("{}: {trouble}", shown(item)));
            troubled = true;
            continue;
        }
        if index == args.most() {
            note(format_args!(
                "only the first {index} of {} images are explained; --samples N explains more",
                given.set.len()
            ));
            break;
        }
        let pixels = pixels(&given, index)?;
        let probabilities = softmax(&explainer.logits(&pixels)?);
        let ranked = Explained::ranked(&probabilities);
        let best = ranked.first().map_or(0, |(class, _)| *class as u32);
        let class = asked.unwrap_or(best);
        let mut image = ExplainedImage {
            name: shown(item),
            shape: explainer.shape(),
            predictions: run.named_top(&ranked),
            explained: run.class(class as usize),
            explanations: Vec::new(),
            nearest: Vec::new(),
            pixels,
        };
        if let Some(maps) = &maps {
            network::activations(&mut explainer, maps, &image, &out, args.json)?;
        }
        let mut unsuited = Vec::new();
        for &method in &suited {
            let found = match explainer.explain(method, &image.pixels, class, index) {
                Ok(found) => found,
                // A model without a convolution has no Grad-CAM; it is an error only where one was asked for.
                Err(error) if args.method.is_empty() && args.layer.is_none() => {
                    note(error);
                    unsuited.push(method);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let file = out.join(format!("{}-{}.png", stem(&image.name), method.name()));
            if let Some(png) = overlay(image.shape, &image.pixels, found.shape, &found.values)? {
                write_whole(&file, &png)?;
            }
            if args.json {
                print_line(json!({
                    "event": "explanation",
                    "method": method.name(),
                    "input": image.name,
                    "class": image.explained,
                    "probability": probabilities.get(class as usize),
                    "file": file.display().to_string(),
                    "completeness": found.completeness.map(|missed| 1.0 - missed),
                    "shape": found.shape,
                    "values": found.values,
                }))?;
            }
            image.explanations.push(found);
        }
        suited.retain(|method| !unsuited.contains(method));
        if !args.json {
            print_line(format_args!(
                "{}: {}",
                image.name,
                in_words(&image.predictions)
            ))?;
        }
        checked.push(SanityImage {
            pixels: image.pixels.clone(),
            class,
        });
        explained.push(image);
    }
    if explained.is_empty() {
        return Err(Error::Data("there is no image to explain".to_string()).into());
    }
    if args.sanity {
        let found = explainer.sanity(&suited, &checked)?;
        network::print_sanity(&found, args.json)?;
    }
    if let Some(path) = &args.html {
        let most = args.nearest.map_or(NEAREST, usize::from);
        if most > 0 {
            add_nearest(&mut run, &mut explainer, &mut explained, most)?;
        }
        let page = ExplainedImage::page(&run.settings.title(), &explained)?;
        write_whole(path, page.as_bytes())?;
    }
    if !args.json {
        print_line(format_args!("wrote the pictures to {}", out.display()))?;
        if let Some(path) = &args.html {
            print_line(format_args!("wrote {}", path.display()))?;
        }
    }
    Ok(match troubled {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// The pixels of an image, from 0 to 1.
fn pixels(given: &Given, index: usize) -> anyhow::Result<Vec<f32>> {
    let picture = given.set.picture(index)?.ok_or_else(|| {
        Error::Config("the run takes no images; name a run of a classifier of images".to_string())
    })?;
    let scaled = picture.iter().map(|&byte| f32::from(byte) / 255.0);
    Ok(scaled.collect())
}

/// Adds the nearest training images to each of `explained`; where there are none, a note says why.
fn add_nearest(
    run: &mut Explained<'_>,
    explainer: &mut Explainer<'_>,
    explained: &mut [ExplainedImage],
    most: usize,
) -> anyhow::Result<()> {
    let train = match Given::part(Part::Train, &mut run.settings) {
        Ok(given) => given.set,
        Err(error) if run.args.nearest.is_none() => {
            note(format_args!(
                "the page has no nearest training images: {}",
                error.sentence()
            ));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let images: Vec<&[f32]> = explained.iter().map(|image| &image.pixels[..]).collect();
    let found = match explainer.nearest(&images, &train, most) {
        Ok(found) => found,
        Err(error) if run.args.nearest.is_none() => {
            note(error.sentence());
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    for (image, found) in explained.iter_mut().zip(found) {
        let nearest = found.into_iter().map(|found| NearestExample {
            class: found
                .class
                .map_or(String::new(), |class| run.class(class as usize)),
            similarity: found.similarity,
            pixels: found.pixels,
        });
        image.nearest = nearest.collect();
    }
    Ok(())
}

/// Creates the folder `out`.
pub(super) fn create(out: &Path) -> wgrad::Result<()> {
    std::fs::create_dir_all(out).map_err(Error::io("create", out))
}

/// The name of an input as text.
fn shown(item: &Item) -> String {
    match &item.name.value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A name for files of the input `name`, of letters, digits, points and dashes.
pub(super) fn stem(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let kept = |c: char| {
        if c.is_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    last.chars().map(kept).collect()
}
