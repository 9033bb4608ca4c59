//! The text form of a plan.

use super::{Access, Plan, Step, ValueId, ValueKind};
use std::fmt;

impl Plan {
    fn place(&self, value: ValueId) -> String {
        match (
            &self.values[value.index()].kind,
            self.slot_of[value.index()],
        ) {
            (ValueKind::Variable(name), _) => name.to_string(),
            (ValueKind::Input(name), _) => format!("input {name}"),
            (ValueKind::Constant(x), _) => format!("constant {x}"),
            (ValueKind::Temporary, Some(slot)) => format!("slot {}", slot.index()),
            (ValueKind::Temporary, None) => "nowhere".to_string(),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                Step::Launch(launch) => {
                    writeln!(f, "{index:>4} {}", launch.label)?;
                    writeln!(
                        f,
                        "       {} x {} workgroups",
                        launch.shader.name, launch.workgroups
                    )?;
                    for operand in &launch.operands {
                        let arrow = match operand.access {
                            Access::Read => "<-",
                            Access::Write => "->",
                            Access::ReadWrite => "<>",
                        };
                        let value = &self.values[operand.value.index()];
                        let format = value
                            .half
                            .map_or_else(String::new, |half| format!(" as {half}"));
                        let how = if operand.texture {
                            ", through a texture"
                        } else {
                            ""
                        };
                        let place = self.place(operand.value);
                        writeln!(
                            f,
                            "       {arrow} {}: {}{format} in {place}{how}",
                            operand.name, value.ty
                        )?;
                    }
                }
                Step::Copy { from, to } => {
                    writeln!(
                        f,
                        "{index:>4} copy {} to {}",
                        self.place(*from),
                        self.place(*to)
                    )?;
                }
                Step::Texture(value) => {
                    writeln!(
                        f,
                        "{index:>4} fill the texture view of {}",
                        self.place(*value)
                    )?;
                }
            }
        }
        for (name, value, ty) in &self.outputs {
            writeln!(f, "output {name}: {ty} in {}", self.place(*value))?;
        }
        writeln!(
            f,
            "{} launches; {} slots and {} textures take {:.1} MiB, variables {:.1} MiB, inputs {:.1} MiB",
            self.launches().count(),
            self.slots.len(),
            self.textures.len(),
            mib(self.workspace_bytes()),
            mib(self.variable_bytes()),
            mib(self.input_bytes())
        )
    }
}
