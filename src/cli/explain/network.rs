//! What `wgrad explain` shows of a network itself: filters, activations, images for which channels are most active, and the sanity check
//! of maps.

use super::super::print_line;
use super::super::table::TextTable;
use super::images::{create, stem};
use serde_json::json;
use std::path::Path;
use wgrad::Error;
use wgrad::explain::{
    ActivationMaps, ExplainedImage, Explainer, MaximisedChannel, SANITY_LIMIT, SanityCheck,
};
use wgrad::files::write_whole;

/// Steps of an ascent, unless the user says how many.
const STEPS: usize = 200;

/// Draws the filters of the first convolution to the file `path`.
pub(super) fn filters(
    explainer: &mut Explainer<'_>,
    path: &Path,
    as_json: bool,
) -> anyhow::Result<()> {
    let found = explainer.filters()?;
    write_whole(path, &found.file)?;
    match as_json {
        true => print_line(json!({
            "event": "filters",
            "layer": found.layer,
            "filters": found.filters,
            "drawn": found.drawn,
            "shape": found.shape,
            "file": path.display().to_string(),
        })),
        false => print_line(format_args!(
            "wrote {} of {} filters of {} to {}",
            found.drawn,
            found.filters,
            found.layer,
            path.display()
        )),
    }
}

/// Draws images to which the channels that `wanted` names, as LAYER or LAYER:CHANNEL, respond most.
pub(super) fn maximise(
    explainer: &mut Explainer<'_>,
    wanted: &str,
    steps: Option<u16>,
    out: &Path,
    as_json: bool,
) -> anyhow::Result<()> {
    let (layer, channel) = match wanted.split_once(':') {
        None => (wanted, None),
        Some((layer, number)) => {
            let channel = number.parse().map_err(|_| {
                Error::Config(format!(
                    "--maximise {wanted} does not end in the number of a channel; write LAYER or LAYER:CHANNEL, such as conv1:3"
                ))
            })?;
            (layer, Some(channel))
        }
    };
    let steps = steps.map_or(STEPS, usize::from);
    let found = explainer.maximise(layer, channel, steps)?;
    create(out)?;
    let of = channel.map_or(String::new(), |channel| format!("-{channel}"));
    let path = out.join(format!("maximised-{}{of}.png", stem(layer)));
    write_whole(&path, &found.file)?;
    if as_json {
        return found.channels.iter().try_for_each(|own| {
            print_line(json!({
                "event": "maximised",
                "layer": found.layer,
                "channel": own.channel,
                "before": own.before,
                "after": own.after,
                "file": path.display().to_string(),
            }))
        });
    }
    let count = found.channels.len();
    let mean = |of: fn(&MaximisedChannel) -> f64| {
        found.channels.iter().map(of).sum::<f64>() / count.max(1) as f64
    };
    print_line(format_args!(
        "mean response of {count} channels of {}: {:.4}, to noise {:.4}",
        found.layer,
        mean(|own| own.after),
        mean(|own| own.before)
    ))?;
    print_line(format_args!("wrote {}", path.display()))
}

/// Draws what the channels of a convolution make of `image` to a file in the folder `out`.
pub(super) fn activations(
    explainer: &mut Explainer<'_>,
    maps: &ActivationMaps,
    image: &ExplainedImage,
    out: &Path,
    as_json: bool,
) -> anyhow::Result<()> {
    let found = explainer.activations(maps, &image.pixels)?;
    let name = format!(
        "{}-activations-{}.png",
        stem(&image.name),
        stem(&found.layer)
    );
    let path = out.join(name);
    write_whole(&path, &found.file)?;
    match as_json {
        true => print_line(json!({
            "event": "activations",
            "input": image.name,
            "layer": found.layer,
            "shape": found.shape,
            "drawn": found.drawn,
            "means": found.means,
            "file": path.display().to_string(),
        })),
        false => Ok(()),
    }
}

/// Prints what the sanity check found.
pub(super) fn print_sanity(found: &SanityCheck, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return found.methods.iter().try_for_each(|own| {
            print_line(json!({
                "event": "sanity",
                "method": own.method.name(),
                "images": found.images,
                "layers": found.layers,
                "correlations": own.correlations,
                "magnitudes": own.magnitudes,
                "limit": SANITY_LIMIT,
                "fails": own.fails(),
            }))
        });
    }
    print_line(format_args!(
        "rank correlations with the maps of the trained network, of {} images, with the weights of the last layer replaced by random ones, \
         and of all {} layers:",
        found.images,
        found.layers.len()
    ))?;
    let head = [
        "method",
        "one layer",
        "all",
        "one, magnitudes",
        "all, magnitudes",
        "",
    ];
    let mut table = TextTable::new(head.map(String::from));
    for own in &found.methods {
        let at = |value: Option<&f64>| value.map_or("–".to_string(), |rho| format!("{rho:.2}"));
        table.push([
            own.method.name().to_string(),
            at(own.correlations.first()),
            at(own.correlations.last()),
            at(own.magnitudes.first()),
            at(own.magnitudes.last()),
            match own.fails() {
                true => "fails".to_string(),
                false => "passes".to_string(),
            },
        ]);
    }
    table
        .lines(TextTable::columns())
        .iter()
        .try_for_each(print_line)?;
    let failing = found.methods.iter().filter(|own| own.fails());
    let failing: Vec<&str> = failing.map(|own| own.method.name()).collect();
    match failing.is_empty() {
        true => Ok(()),
        false => print_line(format_args!(
            "above {SANITY_LIMIT} with all weights replaced, so that they show the image more than what the network learned: {}",
            failing.join(", ")
        )),
    }
}
