//! Generates the WGSL of the inner loops with every value in its own register. Drivers that keep small arrays in
//! memory, above all llvmpipe, would spend ten times as long on loops over them.

use super::Extents;
use std::fmt::Write as _;

/// The kernel that functions are generated for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pass {
    Forward,
    WeightGrad,
}

const LANES: [char; 4] = ['x', 'y', 'z', 'w'];

/// Writes `begin`, the items, one per line, and `end`.
fn list(text: &mut String, begin: &str, items: impl Iterator<Item = String>, end: &str) {
    let items: Vec<String> = items.collect();
    let _ = writeln!(text, "{begin}\n        {}{end}", items.join(",\n        "));
}

/// The element at `row` and `column` of the patch.
fn number(row: usize, column: usize) -> String {
    format!("pixels.r{row}_{}.{}", column / 4, LANES[column % 4])
}

/// The functions that the kernel's file expects, and its import.
pub(super) fn text(e: &Extents, pass: Pass) -> String {
    let [rows, columns] = e.patch(e.strip());
    let (quads, taps) = (columns.div_ceil(4), e.taps());
    let mut text = format!("const STRIP = {}u;\nconst TAPS = {taps}u;\n", e.strip());
    let fields = |text: &mut String, name: &str, fields: &mut dyn Iterator<Item = String>| {
        let _ = writeln!(text, "struct {name} {{");
        fields.for_each(|field| {
            let _ = writeln!(text, "    {field}: vec4<f32>,");
        });
        text.push_str("}\n");
    };
    let places: Vec<(usize, usize)> = (0..rows)
        .flat_map(|r| (0..quads).map(move |q| (r, q)))
        .collect();
    fields(
        &mut text,
        "Patch",
        &mut places.iter().map(|(r, q)| format!("r{r}_{q}")),
    );
    fields(
        &mut text,
        "Weights",
        &mut (0..taps).map(|t| format!("w{t}")),
    );
    fields(
        &mut text,
        "Sums",
        &mut (0..e.places()).map(|p| format!("s{p}")),
    );

    text.push_str("fn patch_of(strip: Strip) -> Patch {\n");
    for row in 0..rows {
        let _ = writeln!(
            text,
            "    let row{row} = row_at(strip.image, strip.y + {row});"
        );
    }
    let loads = places
        .iter()
        .map(|(r, q)| format!("quad(row{r}, strip.x + {})", 4 * q));
    list(&mut text, "    return Patch(", loads, ");\n}");

    text.push_str("fn weights_of(group: u32) -> Weights {\n");
    let loads = (0..taps).map(|t| format!("weight({t}u, group)"));
    list(&mut text, "    return Weights(", loads, ");\n}");

    for window in 0..e.strip() {
        let _ = writeln!(
            text,
            "fn sums_{window}(pixels: Patch, weights: Weights) -> Sums {{"
        );
        let sums = (0..e.places()).map(|place| {
            let value = |tap: usize| {
                let (row, column) = e.under(window, place, tap);
                number(row, column)
            };
            let first = format!("{} * weights.w0", value(0));
            (1..taps).fold(first, |sum, tap| {
                format!("fma(vec4<f32>({}), weights.w{tap}, {sum})", value(tap))
            })
        });
        list(&mut text, "    return Sums(", sums, ");\n}");
    }
    match pass {
        Pass::Forward => forward(&mut text, e),
        Pass::WeightGrad => weight_grad(&mut text, e),
    }
    text
}

/// The maximum of the sums; if the first of them is NaN, NaN, as in max pooling.
fn forward(text: &mut String, e: &Extents) {
    text.push_str("fn largest(sums: Sums) -> vec4<f32> {\n    var best = sums.s0;\n");
    for place in 1..e.places() {
        let _ = writeln!(
            text,
            "    best = select(best, sums.s{place}, sums.s{place} > best);"
        );
    }
    text.push_str("    return best;\n}\n");
    text.push_str("fn write_strip(pixels: Patch, weights: Weights, strip: Strip, group: u32) {\n");
    for window in 0..e.strip() {
        let _ = writeln!(
            text,
            "    put(strip, {window}u, group, largest(sums_{window}(pixels, weights)));"
        );
    }
    text.push_str("}\n#import conv2d_max_pool/forward\n");
}

fn weight_grad(text: &mut String, e: &Extents) {
    let places = e.places();
    for window in 0..e.strip() {
        let _ = writeln!(
            text,
            "fn add_window_{window}(pixels: Patch, weights: Weights, dy: vec4<f32>, to: Weights) -> Weights {{
    let sums = sums_{window}(pixels, weights);
    var best = sums.s0;"
        );
        // Find the positions that exceed all before them, for each channel: the last of those is the maximum.
        for place in 1..places {
            let _ = writeln!(
                text,
                "    let above_{place} = sums.s{place} > best;\n    best = select(best, sums.s{place}, above_{place});"
            );
        }
        let gradients = (0..e.taps()).map(|tap| {
            let at = |place: usize| {
                let (row, column) = e.under(window, place, tap);
                format!("vec4<f32>({})", number(row, column))
            };
            let chosen = (1..places).fold(at(0), |chosen, p| {
                format!("select({chosen}, {}, above_{p})", at(p))
            });
            format!("fma(dy, {chosen}, to.w{tap})")
        });
        list(text, "    return Weights(", gradients, ");\n}");
    }
    text.push_str(
        "fn add_strip(pixels: Patch, weights: Weights, strip: Strip, group: u32, to: Weights) -> Weights {\n    var sums = to;\n",
    );
    for window in 0..e.strip() {
        let _ = writeln!(
            text,
            "    sums = add_window_{window}(pixels, weights, dy_at(strip, {window}u, group), sums);"
        );
    }
    text.push_str(
        "    return sums;\n}\nfn write_weights(sums: Weights, group: u32, split: u32) {\n",
    );
    for tap in 0..e.taps() {
        let _ = writeln!(text, "    put({tap}u, group, split, sums.w{tap});");
    }
    text.push_str("}\n#import conv2d_max_pool/weight_grad\n");
}
