//! Layers that change shapes.

use super::{Class, KerasSite, Made, class};
use crate::onnx::keras::net::{KerasValue, int, text};
use serde_json::Value as Json;

pub(super) const CLASSES: &[Class] = &[
    class("Flatten", |site| {
        let x = site.x()?;
        Ok(KerasValue {
            name: site.net.node("Flatten", &[&x.name], vec![int("axis", 1)]),
            rank: 2,
        })
    }),
    class("Reshape", reshape),
    class("Permute", permute),
    class("RepeatVector", repeat),
    class("ZeroPadding1D", |site| padding(site, 1)),
    class("ZeroPadding2D", |site| padding(site, 2)),
    class("Cropping1D", |site| cropping(site, 1)),
    class("Cropping2D", |site| cropping(site, 2)),
    class("UpSampling1D", |site| upsampling(site, 1)),
    class("UpSampling2D", |site| upsampling(site, 2)),
];

/// A list of integers.
fn list(site: &KerasSite<'_, '_>, key: &str) -> Result<Vec<i64>, String> {
    let list = site.setting(key).and_then(Json::as_array);
    let list = list.and_then(|list| list.iter().map(Json::as_i64).collect());
    list.ok_or_else(|| format!("has no {key}; save the model again"))
}

fn reshape(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    // The operation of that name has the number of samples in its shape, too.
    let shape = match site.setting("newshape") {
        Some(_) => list(site, "newshape")?,
        None => std::iter::once(0)
            .chain(list(site, "target_shape")?)
            .collect(),
    };
    let rank = shape.len();
    let shape = site.net.integers(&shape);
    Ok(KerasValue {
        name: site.net.node("Reshape", &[&x.name, &shape], Vec::new()),
        rank,
    })
}

fn permute(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    let axes = list(site, "dims")?;
    let order: Vec<usize> = std::iter::once(0)
        .chain(axes.iter().map(|&axis| usize::try_from(axis).unwrap_or(0)))
        .collect();
    Ok(KerasValue {
        name: site.net.transposed(&x.name, &order),
        rank: x.rank,
    })
}

fn repeat(site: &mut KerasSite<'_, '_>) -> Made {
    let x = site.x()?;
    let times = site.count("n").ok_or("has no n; save the model again")?;
    let (axes, repeats) = (
        site.net.integers(&[1]),
        site.net.integers(&[1, times as i64, 1]),
    );
    let wide = site.net.node("Unsqueeze", &[&x.name, &axes], Vec::new());
    Ok(KerasValue {
        name: site.net.node("Tile", &[&wide, &repeats], Vec::new()),
        rank: 3,
    })
}

/// What is added or cut before and after each axis.
fn sides(site: &KerasSite<'_, '_>, key: &str, axes: usize) -> Result<Vec<[i64; 2]>, String> {
    let refused = || format!("has a {key} that does not fit {axes} axes; save the model again");
    let value = site.setting(key).ok_or_else(refused)?;
    let pair = |json: &Json| match json {
        Json::Array(pair) if pair.len() == 2 => Some([pair[0].as_i64()?, pair[1].as_i64()?]),
        Json::Number(_) => Some([json.as_i64()?; 2]),
        _ => None,
    };
    let sides = match (value, axes) {
        (Json::Number(_), _) => pair(value).map(|pair| vec![pair; axes]),
        (_, 1) => pair(value).map(|pair| vec![pair]),
        (Json::Array(list), _) if list.len() == axes => list.iter().map(pair).collect(),
        _ => None,
    };
    let sides = sides.ok_or_else(refused)?;
    match sides
        .iter()
        .flatten()
        .all(|side| (0..1 << 20).contains(side))
    {
        true => Ok(sides),
        false => Err(refused()),
    }
}

fn padding(site: &mut KerasSite<'_, '_>, axes: usize) -> Made {
    site.channels_are_last()?;
    let x = site.x()?;
    let sides = sides(site, "padding", axes)?;
    let side = |at: usize| {
        let inner = sides.iter().map(move |pair| pair[at]);
        std::iter::once(0).chain(inner).chain([0])
    };
    let pads: Vec<i64> = side(0).chain(side(1)).collect();
    let pads = site.net.integers(&pads);
    Ok(KerasValue {
        name: site.net.node("Pad", &[&x.name, &pads], Vec::new()),
        rank: x.rank,
    })
}

fn cropping(site: &mut KerasSite<'_, '_>, axes: usize) -> Made {
    site.channels_are_last()?;
    let x = site.x()?;
    let sides = sides(site, "cropping", axes)?;
    let starts: Vec<i64> = sides.iter().map(|pair| pair[0]).collect();
    let ends: Vec<i64> = sides
        .iter()
        .map(|pair| {
            if pair[1] == 0 {
                i64::from(i32::MAX)
            } else {
                -pair[1]
            }
        })
        .collect();
    let over: Vec<i64> = (1..=axes as i64).collect();
    let (starts, ends) = (site.net.integers(&starts), site.net.integers(&ends));
    let over = site.net.integers(&over);
    Ok(KerasValue {
        name: site
            .net
            .node("Slice", &[&x.name, &starts, &ends, &over], Vec::new()),
        rank: x.rank,
    })
}

fn upsampling(site: &mut KerasSite<'_, '_>, axes: usize) -> Made {
    site.channels_are_last()?;
    let x = site.x()?;
    let factors = site.counts("size", axes, 2)?;
    let (mode, coordinates) = match site.text("interpolation", "nearest").as_str() {
        "nearest" => ("nearest", "asymmetric"),
        "bilinear" => ("linear", "half_pixel"),
        other => {
            return Err(format!(
                "has interpolation = \"{other}\", which is not supported"
            ));
        }
    };
    let first = site.net.channels_first(&x);
    let scales = [1.0, 1.0]
        .into_iter()
        .chain(factors.iter().map(|&f| f as f64));
    let scales = site.net.floats(scales.collect());
    let attributes = vec![
        text("mode", mode),
        text("coordinate_transformation_mode", coordinates),
        text("nearest_mode", "floor"),
    ];
    let y = site.net.node("Resize", &[&first, "", &scales], attributes);
    Ok(site.net.channels_last(&y, x.rank))
}
