//! Operands that are stored in 16 bits: rewrites the accesses of a shader to them.

use crate::tensor::Half;
use std::fmt::Write as _;
use std::ops::Range;

/// What an operand is declared as an array of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    One,
    Four,
}

/// The file with the functions that read and write a format.
fn file_of(format: Half) -> &'static str {
    match format {
        Half::F16 => "shared/stored_f16",
        Half::Bf16 => "shared/stored_bf16",
    }
}

/// `text` with the operand `name` stored in `format`: as `vec2<u32>` for four elements, or `u32` for two if they are read one by one.
///
/// # Errors
/// If it is not declared as an array of floats, is written one by one (neighbours share a word), or is accessed in another way than
/// by reading and writing whole elements: in words.
pub(super) fn narrowed(text: &str, name: &str, format: Half) -> Result<String, String> {
    let (declaration, element, is_written) = declaration(text, name)?;
    if is_written && element == Element::One {
        return Err(format!("writes {name} element by element"));
    }
    let access = if is_written { "read_write" } else { "read" };
    let mut out = format!("#import {}\n", file_of(format));
    rewrite(&text[..declaration.start], name, element, &mut out)?;
    match element {
        Element::Four => {
            let _ = write!(out, "var<storage, {access}> {name}: array<vec2<u32>>;");
        }
        Element::One => {
            let _ = write!(
                out,
                "var<storage, {access}> {name}: array<u32>;\nfn {name}_at(i: u32) -> f32 {{ return widened_at({name}[i >> 1u], i); }}"
            );
        }
    }
    rewrite(&text[declaration.end..], name, element, &mut out)?;
    Ok(out)
}

/// Where `name` is declared, as an array of what, and whether it can be written.
fn declaration(text: &str, name: &str) -> Result<(Range<usize>, Element, bool), String> {
    for (access, is_written) in [("read", false), ("read_write", true)] {
        let head = format!("var<storage, {access}> {name}: array<");
        let Some(start) = text.find(&head) else {
            continue;
        };
        let rest = &text[start + head.len()..];
        let Some((element, _)) = rest.split_once(">;") else {
            continue;
        };
        let end = start + head.len() + element.len() + ">;".len();
        let alias = |ty: &str| text.contains(&format!("alias F = {ty};"));
        let element = match element {
            "f32" => Element::One,
            "vec4<f32>" => Element::Four,
            "F" if alias("vec4<f32>") => Element::Four,
            "F" if alias("f32") => Element::One,
            other => return Err(format!("declares {name} as an array of {other}")),
        };
        return Ok((start..end, element, is_written));
    }
    Err(format!("declares no operand {name}"))
}

/// Writes `text` to `out` with every element of `name` widened as it is read, and narrowed as it is written.
fn rewrite(text: &str, name: &str, element: Element, out: &mut String) -> Result<(), String> {
    let mut at = 0;
    while let Some(access) = next_access(text, at, name) {
        out.push_str(&text[at..access.start]);
        let mut index = String::new();
        rewrite(&text[access.index.clone()], name, element, &mut index)?;
        let rest = &text[access.end..];
        match (element, assigned(rest)?) {
            (_, None) => {
                let _ = match element {
                    Element::Four => write!(out, "widened({name}[{index}])"),
                    Element::One => write!(out, "{name}_at(u32({index}))"),
                };
                at = access.end;
            }
            (Element::Four, Some(value)) => {
                let _ = write!(out, "{name}[{index}] = narrowed(");
                rewrite(&rest[value.clone()], name, element, out)?;
                out.push(')');
                at = access.end + value.end;
            }
            (Element::One, Some(_)) => return Err(format!("writes {name} element by element")),
        }
    }
    out.push_str(&text[at..]);
    Ok(())
}

/// `name[index]` in a text.
struct IndexedAccess {
    start: usize,
    index: Range<usize>,
    end: usize,
}

/// The first access to an element of `name` from `from` on that is not in a comment.
fn next_access(text: &str, from: usize, name: &str) -> Option<IndexedAccess> {
    let bytes = text.as_bytes();
    let continues = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let mut at = from;
    loop {
        let start = at + text[at..].find(name)?;
        let open = start + name.len();
        at = open;
        let line = text[..start].rfind('\n').map_or(0, |end| end + 1);
        let is_whole = start == 0 || !continues(bytes[start - 1]);
        if bytes.get(open) != Some(&b'[') || !is_whole || text[line..start].contains("//") {
            continue;
        }
        let mut depth = 0;
        for (offset, &byte) in bytes[open..].iter().enumerate() {
            depth += i32::from(byte == b'[') - i32::from(byte == b']');
            if depth == 0 {
                let close = open + offset;
                return Some(IndexedAccess {
                    start,
                    index: open + 1..close,
                    end: close + 1,
                });
            }
        }
    }
}

/// The value that is assigned to what stands before `rest`, if one is.
///
/// # Errors
/// If a part of an element is assigned, or the element is changed in place.
fn assigned(rest: &str) -> Result<Option<Range<usize>>, String> {
    let after = rest.trim_start();
    let operator = after.find(|c: char| !"+-*/%&|^".contains(c)).unwrap_or(0);
    let is_change =
        operator > 0 && after[operator..].starts_with('=') && !after[operator..].starts_with("==");
    let part = after_part(after);
    let is_equal = |text: &str| text.starts_with('=') && !text.starts_with("==");
    if is_change || (part.len() < after.len() && is_equal(part.trim_start())) {
        return Err("changes a part of an element".to_string());
    }
    if !is_equal(after) {
        return Ok(None);
    }
    let start = rest.len() - after.len() + 1;
    let end = rest[start..].find(';').ok_or("ends within an assignment")?;
    let space = rest[start..].len() - rest[start..].trim_start().len();
    Ok(Some(start + space..start + end))
}

/// `text` after the names and indices of parts with which it begins.
fn after_part(text: &str) -> &str {
    let mut rest = text;
    loop {
        let end = match rest.as_bytes() {
            [b'.', ..] => rest[1..]
                .find(|c: char| !c.is_ascii_alphanumeric())
                .map(|end| end + 1),
            [b'[', ..] => rest.find(']').map(|end| end + 1),
            _ => return rest,
        };
        rest = &rest[end.unwrap_or(rest.len())..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_widened_and_narrowed_where_they_are_accessed() {
        let text = "alias F = vec4<f32>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<F>;
// x[i] and out[i] = w[i];
fn main(i: u32) {
    out[i + u32(w[2 * i])] = x[i] * max[x[0].y] + box[i] + a.x[i] + out[i];
    if (w[i] == x[i].z) { let max_x = x; }
}
";
        let mut found = text.to_string();
        for name in ["x", "w", "out"] {
            found = narrowed(&found, name, Half::F16).unwrap();
        }
        assert!(found.starts_with("#import shared/stored_f16\n"));
        for part in [
            "@binding(1) var<storage, read> x: array<vec2<u32>>;",
            "@binding(2) var<storage, read> w: array<u32>;\nfn w_at(i: u32) -> f32 { return widened_at(w[i >> 1u], i); }",
            "@binding(3) var<storage, read_write> out: array<vec2<u32>>;\n// x[i] and out[i] = w[i];",
            "out[i + u32(w_at(u32(2 * i)))] = narrowed(widened(x[i]) * max[widened(x[0]).y] + box[i] + a.x[i] + widened(out[i]));",
            "if (w_at(u32(i)) == widened(x[i]).z) { let max_x = x; }",
        ] {
            assert!(found.contains(part), "{found}");
        }
    }

    #[test]
    fn what_shares_a_word_or_changes_in_parts_stays() {
        let with = |ty: &str, line: &str| {
            let text =
                format!("alias F = f32;\nvar<storage, read_write> y: array<{ty}>;\n{line}\n");
            narrowed(&text, "y", Half::Bf16).unwrap_err()
        };
        assert!(with("f32", "y[i] = 1.0;").contains("element by element"));
        assert!(with("F", "y[i] = 1.0;").contains("element by element"));
        assert!(with("u32", "y[i] = 1u;").contains("array of u32"));
        for line in ["y[i] += v;", "y[i].x = 1.0;", "y[i][k] = 1.0;"] {
            let message = with("vec4<f32>", line);
            assert!(message.contains("part"), "{line}: {message}");
        }
        assert!(narrowed("", "y", Half::F16).is_err());
    }
}
