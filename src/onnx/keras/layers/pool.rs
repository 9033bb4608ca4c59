//! Pooling.

use super::{Class, KerasSite, Made, class};
use crate::onnx::keras::net::{KerasValue, int, ints, text};

pub(super) const CLASSES: &[Class] = &[
    class("MaxPooling1D", |site| pool(site, "MaxPool", 1)),
    class("MaxPooling2D", |site| pool(site, "MaxPool", 2)),
    class("AveragePooling1D", |site| pool(site, "AveragePool", 1)),
    class("AveragePooling2D", |site| pool(site, "AveragePool", 2)),
    class("GlobalMaxPooling1D", |site| global(site, "ReduceMax", 1)),
    class("GlobalMaxPooling2D", |site| global(site, "ReduceMax", 2)),
    class("GlobalAveragePooling1D", |site| {
        global(site, "ReduceMean", 1)
    }),
    class("GlobalAveragePooling2D", |site| {
        global(site, "ReduceMean", 2)
    }),
];

fn pool(site: &mut KerasSite<'_, '_>, op: &str, axes: usize) -> Made {
    let x = site.image(axes)?;
    let kernel = site.counts("pool_size", axes, 2)?;
    let strides = match site.setting("strides") {
        Some(_) => site.counts("strides", axes, 1)?,
        None => kernel.clone(),
    };
    let padding = match site.text("padding", "valid").as_str() {
        "same" => "SAME_UPPER",
        _ => "VALID",
    };
    let first = site.net.channels_first(&x);
    let attributes = vec![
        ints("kernel_shape", &kernel),
        ints("strides", &strides),
        text("auto_pad", padding),
    ];
    let y = site.net.node(op, &[&first], attributes);
    Ok(site.net.channels_last(&y, x.rank))
}

fn global(site: &mut KerasSite<'_, '_>, op: &str, axes: usize) -> Made {
    site.channels_are_last()?;
    let x = site.x()?;
    let keep = site.flag("keepdims", false);
    let over: Vec<i64> = (1..=axes as i64).collect();
    let over = site.net.integers(&over);
    let attributes = vec![int("keepdims", i64::from(keep))];
    Ok(KerasValue {
        name: site.net.node(op, &[&x.name, &over], attributes),
        rank: if keep {
            x.rank
        } else {
            x.rank.saturating_sub(axes)
        },
    })
}
