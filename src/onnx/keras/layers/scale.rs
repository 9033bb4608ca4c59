//! What prepares data, and what does nothing outside of training.

use super::norm::statistics;
use super::{Class, KerasSite, Made, class};
use crate::onnx::keras::net::KerasValue;
use serde_json::Value as Json;

pub(super) const CLASSES: &[Class] = &[
    class("Rescaling", rescaling),
    class("Normalization", normalization),
    class("Dropout", |site| site.x()),
    class("SpatialDropout1D", |site| site.x()),
    class("SpatialDropout2D", |site| site.x()),
    class("AlphaDropout", |site| site.x()),
    class("GaussianDropout", |site| site.x()),
    class("GaussianNoise", |site| site.x()),
    class("ActivityRegularization", |site| site.x()),
    class("Identity", |site| site.x()),
    class("RandomFlip", |site| site.x()),
    class("RandomRotation", |site| site.x()),
    class("RandomZoom", |site| site.x()),
    class("RandomTranslation", |site| site.x()),
    class("RandomContrast", |site| site.x()),
    class("RandomBrightness", |site| site.x()),
];

/// The setting `key`: a number, or one for each channel.
fn numbers(site: &mut KerasSite<'_, '_>, key: &str, default: f64) -> Result<String, String> {
    let list = match site.setting(key) {
        Some(Json::Array(list)) => list.iter().map(Json::as_f64).collect::<Option<Vec<f64>>>(),
        Some(one) => one.as_f64().map(|x| vec![x]),
        None => Some(vec![default]),
    };
    let list = list.ok_or_else(|| format!("has a {key} that is no number"))?;
    Ok(site.net.floats(list))
}

fn rescaling(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    let (scale, offset) = (numbers(site, "scale", 1.0)?, numbers(site, "offset", 0.0)?);
    let scaled = site.net.node("Mul", &[&x.name, &scale], Vec::new());
    Ok(KerasValue {
        name: site.net.node("Add", &[&scaled, &offset], Vec::new()),
        rank: x.rank,
    })
}

fn normalization(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    if site.flag("invert", false) {
        return Err("has invert, which is not supported".to_string());
    }
    let mean = statistics(site, 0, "mean");
    let variance = statistics(site, 1, "variance");
    let (Some(mean), Some(variance)) = (mean, variance) else {
        return Err(
            "has no mean and variance in the file; adapt it and save the model again".to_string(),
        );
    };
    // Keras divides by at least this.
    const LEAST: f64 = 1e-7;
    let mean = site.net.floats(mean.iter().collect());
    let std = variance.iter().map(|v| v.max(0.0).sqrt().max(LEAST));
    let std = site.net.floats(std.collect());
    let centered = site.net.node("Sub", &[&x.name, &mean], Vec::new());
    Ok(KerasValue {
        name: site.net.node("Div", &[&centered, &std], Vec::new()),
        rank: x.rank,
    })
}
