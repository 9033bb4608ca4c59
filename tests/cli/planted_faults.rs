//! `wgrad check` finds a broken driver: faults are planted in kernels after their translation to SPIR-V, one in each run.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use super::sandbox::{CommandOutput, Sandbox};

/// Which instructions are changed, and how, as `tests/support/planted.rs` reads it; and what `wgrad check` is asked for, with the
/// numbers of the instruction in the kernels.
type Kind = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static [&'static str])],
);

const SUM_BECOMES_DIFFERENCE: Kind = (
    "129",
    "opcode=131",
    &[
        ("layer_norm", &["0", "1", "3"]),
        ("softmax", &["0", "3"]),
        ("rotary", &["1"]),
        ("upsample", &["1"]),
    ],
);
const DIFFERENCE_CHANGES_SIGN: Kind = (
    "131",
    "swap=3,4",
    &[
        ("layer_norm", &["0", "3"]),
        ("softmax", &["0", "3"]),
        ("rotary", &["0"]),
        ("upsample", &["0", "1"]),
    ],
);
const PRODUCT_BECOMES_SUM: Kind = (
    "133",
    "opcode=129",
    &[
        ("layer_norm", &["0", "3"]),
        ("softmax", &["1"]),
        ("rotary", &["0", "1"]),
        ("upsample", &["0"]),
    ],
);
const QUOTIENT_BECOMES_PRODUCT: Kind = (
    "136",
    "opcode=133",
    &[
        ("layer_norm", &["0"]),
        ("softmax", &["0"]),
        ("max_pool2d", &["1"]),
    ],
);
/// `exp`, `sqrt`, `max` and others are the functions two further in the list of GLSL.std.450.
const ANOTHER_FUNCTION: Kind = (
    "12",
    "add=4,2",
    &[
        ("softmax", &["3"]),
        ("max_pool2d", &["0"]),
        ("permute", &["0"]),
    ],
);
const INDEX_IS_SUBTRACTED: Kind = (
    "128",
    "opcode=130",
    &[
        ("layer_norm", &["1", "3"]),
        ("softmax", &["3"]),
        ("upsample", &["1"]),
    ],
);
const STRIDE_IS_ADDED: Kind = (
    "132",
    "opcode=128",
    &[
        ("max_pool2d", &["0", "1"]),
        ("permute", &["0", "1"]),
        ("slice", &["1"]),
        ("rotary", &["0"]),
    ],
);
/// A loop takes one turn too many, or an invocation outside the result writes.
const BOUND_IS_OFF_BY_ONE: Kind = (
    "176",
    "opcode=178",
    &[
        ("layer_norm", &["0"]),
        ("softmax", &["1"]),
        ("upsample", &["0", "1"]),
        ("max_pool2d", &["0", "1"]),
    ],
);
const OTHER_SIDE_IS_SELECTED: Kind = (
    "169",
    "swap=4,5",
    &[
        ("layer_norm", &["1"]),
        ("max_pool2d", &["0"]),
        ("permute", &["0"]),
        ("upsample", &["0"]),
    ],
);
const MASK_IS_WIDER: Kind = (
    "199",
    "opcode=197",
    &[("rotary", &["0"]), ("permute", &["0"]), ("slice", &["0"])],
);
const BARRIER_IS_MISSING: Kind = ("224", "nop", &[("layer_norm", &["0"]), ("softmax", &["3"])]);
const MIXED: &str = "recurrent_weight_grad --precision mixed";
/// Operands are cut to 16 bits and not rounded: the constant of `shaders/shared/rounded.wgsl` that is added first is 0.
const ROUNDED_TOWARDS_ZERO: Kind = ("43", "add=3,-4095", &[(MIXED, &["@4095"])]);
/// Operands keep 11 bits of their fractions in place of 10.
const ONE_BIT_MORE: Kind = ("43", "add=3,4096", &[(MIXED, &["@4294959104"])]);

/// Whether `wgrad check` finds the fault; what it prints if it does not.
fn finds(sandbox: &Sandbox, op: &str, plant: Option<&str>) -> Result<(), String> {
    let args = format!("check {op} --quick --device gpu --adapter llvmpipe");
    let mut command = sandbox.with_layer(&args);
    command.envs(plant.map(|plant| ("PLANT", plant)));
    let found = CommandOutput::from(command.output().unwrap());
    let planted = found.err.contains("planted");
    assert_eq!(planted, plant.is_some(), "{op}: {plant:?}: {}", found.err);
    match found.code {
        Some(1) => Ok(()),
        code => Err(format!("{code:?}: {}{}", found.out, found.err)),
    }
}

/// Fails unless every fault of `kinds` is found.
fn all_are_found(kinds: &[Kind]) {
    let sandbox = Sandbox::new().with_fault_layer();
    if !sandbox.has_adapter() {
        return;
    }
    let (mut planted, mut missed) = (0, Vec::new());
    for (opcode, change, places) in kinds {
        for (op, numbers) in *places {
            for number in *numbers {
                let plant = format!("{opcode}:{number}:{change}");
                planted += 1;
                if let Err(why) = finds(&sandbox, op, Some(&plant)) {
                    missed.push(format!("{op} {plant}: {why}"));
                }
            }
        }
    }
    println!(
        "{} of {planted} planted faults were found",
        planted - missed.len()
    );
    assert!(
        missed.is_empty(),
        "{} of {planted} were missed: {missed:?}",
        missed.len()
    );
}

#[test]
fn nothing_is_found_where_nothing_was_planted() {
    let sandbox = Sandbox::new().with_fault_layer();
    if !sandbox.has_adapter() {
        return;
    }
    for op in [
        "layer_norm",
        "softmax",
        "rotary",
        "upsample",
        "max_pool2d",
        "permute",
        "slice",
        MIXED,
    ] {
        let found = finds(&sandbox, op, None);
        assert!(found.unwrap_err().starts_with("Some(0)"), "{op}");
    }
}

#[test]
fn wrong_arithmetic_is_found() {
    all_are_found(&[
        SUM_BECOMES_DIFFERENCE,
        DIFFERENCE_CHANGES_SIGN,
        PRODUCT_BECOMES_SUM,
        QUOTIENT_BECOMES_PRODUCT,
        ANOTHER_FUNCTION,
    ]);
}

#[test]
fn wrong_indices_and_conditions_are_found() {
    all_are_found(&[
        INDEX_IS_SUBTRACTED,
        STRIDE_IS_ADDED,
        BOUND_IS_OFF_BY_ONE,
        OTHER_SIDE_IS_SELECTED,
        MASK_IS_WIDER,
    ]);
}

#[test]
fn missing_barriers_and_wrong_rounding_are_found() {
    all_are_found(&[BARRIER_IS_MISSING, ROUNDED_TOWARDS_ZERO, ONE_BIT_MORE]);
}
