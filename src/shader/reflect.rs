//! The declarations of a shader, parsed by naga: bindings and the fields of its parameters.

use crate::error::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Kind of a binding in a shader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindingKind {
    /// `var<uniform>`: the parameters, or a value for all invocations.
    Uniform,
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
    /// A storage texture that is read.
    Texture,
}

/// Scalar type of a parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParamKind {
    /// `u32`
    U32,
    /// `i32`
    I32,
    /// `f32`
    F32,
}

/// A field of `Params`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParamField {
    /// Byte offset in the uniform.
    pub offset: u32,
    /// Scalar type.
    pub kind: ParamKind,
}

/// Number of elements that a kernel writes at a time: the type `F` of its epilogue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lanes {
    /// `f32`
    One,
    /// `vec4<f32>`
    Four,
}

/// Declarations of a shader.
#[derive(Clone, Debug)]
pub struct Reflection {
    /// Variable name to binding number and kind. Everything is in group 0.
    pub bindings: BTreeMap<String, (u32, BindingKind)>,
    /// Fields of the uniform `params`.
    pub params: BTreeMap<String, ParamField>,
    /// Size of the uniform `params` in bytes.
    pub params_bytes: u32,
    /// The `F` of `fn epilogue(value: F, index: u32) -> F`, if the shader declares it.
    pub epilogue: Option<Lanes>,
}

/// Declarations by the text of their shader, so that the launches of a plan parse each shader once.
#[derive(Debug, Default)]
pub struct Reflections(HashMap<String, Arc<Reflection>>);

impl Reflections {
    /// The declarations of `source`.
    ///
    /// # Errors
    /// As [`Reflection::new`].
    pub fn get(&mut self, name: &str, source: &str) -> Result<Arc<Reflection>> {
        if let Some(known) = self.0.get(source) {
            return Ok(known.clone());
        }
        let new = Arc::new(Reflection::new(name, source)?);
        self.0.insert(source.to_string(), new.clone());
        Ok(new)
    }
}

impl Reflection {
    /// Parses `source` and reads its declarations.
    ///
    /// # Errors
    /// If the text is not valid WGSL, or has declarations that the engine can't bind.
    pub fn new(name: &str, source: &str) -> Result<Self> {
        let error = |message: String| Error::Shader {
            shader: name.to_string(),
            message,
        };
        let module = naga::front::wgsl::parse_str(source)
            .map_err(|e| error(e.emit_to_string_with_path(source, name)))?;
        let mut reflection = Reflection {
            bindings: BTreeMap::new(),
            params: BTreeMap::new(),
            params_bytes: 0,
            epilogue: epilogue(&module).map_err(&error)?,
        };
        for (_, var) in module.global_variables.iter() {
            let (Some(binding), Some(var_name)) = (&var.binding, &var.name) else {
                continue;
            };
            if binding.group != 0 {
                return Err(error(format!(
                    "{var_name} is in group {}, not 0",
                    binding.group
                )));
            }
            let ty = &module.types[var.ty].inner;
            let kind = match (var.space, ty) {
                (naga::AddressSpace::Uniform, naga::TypeInner::Struct { members, span }) => {
                    for member in members {
                        let field_name = member.name.clone().unwrap_or_default();
                        let naga::TypeInner::Scalar(scalar) = &module.types[member.ty].inner else {
                            return Err(error(format!("parameter {field_name} is not a scalar")));
                        };
                        let kind = match scalar.kind {
                            naga::ScalarKind::Uint => ParamKind::U32,
                            naga::ScalarKind::Sint => ParamKind::I32,
                            naga::ScalarKind::Float => ParamKind::F32,
                            _ => {
                                return Err(error(format!(
                                    "parameter {field_name} has a type that can't be packed"
                                )));
                            }
                        };
                        reflection.params.insert(
                            field_name,
                            ParamField {
                                offset: member.offset,
                                kind,
                            },
                        );
                    }
                    reflection.params_bytes = *span;
                    BindingKind::Uniform
                }
                (naga::AddressSpace::Uniform, naga::TypeInner::Vector { .. }) => {
                    BindingKind::Uniform
                }
                (naga::AddressSpace::Storage { access }, _) => {
                    if access.contains(naga::StorageAccess::STORE) {
                        BindingKind::ReadWrite
                    } else {
                        BindingKind::Read
                    }
                }
                (naga::AddressSpace::Handle, naga::TypeInner::Image { .. }) => BindingKind::Texture,
                _ => {
                    return Err(error(format!(
                        "{var_name} is bound in a way that the engine does not know"
                    )));
                }
            };
            reflection
                .bindings
                .insert(var_name.clone(), (binding.binding, kind));
        }
        Ok(reflection)
    }

    /// The lowest binding number above all declared ones.
    pub fn next_binding(&self) -> u32 {
        self.bindings
            .values()
            .map(|(binding, _)| binding + 1)
            .max()
            .unwrap_or(0)
    }
}

/// The `F` of `fn epilogue(value: F, index: u32) -> F`, if `module` declares it.
///
/// # Errors
/// If it declares a function of that name with another signature.
fn epilogue(module: &naga::Module) -> Result<Option<Lanes>, String> {
    let named = |f: &&naga::Function| f.name.as_deref() == Some("epilogue");
    let mut functions = module.functions.iter().map(|(_, function)| function);
    let Some(function) = functions.find(named) else {
        return Ok(None);
    };
    let inner = |ty: naga::Handle<naga::Type>| &module.types[ty].inner;
    let lanes = match (&function.arguments[..], &function.result) {
        ([value, index], Some(result))
            if result.ty == value.ty
                && *inner(index.ty) == naga::TypeInner::Scalar(naga::Scalar::U32) =>
        {
            match *inner(value.ty) {
                naga::TypeInner::Scalar(naga::Scalar::F32) => Some(Lanes::One),
                naga::TypeInner::Vector {
                    size: naga::VectorSize::Quad,
                    scalar: naga::Scalar::F32,
                } => Some(Lanes::Four),
                _ => None,
            }
        }
        _ => None,
    };
    match lanes {
        Some(lanes) => Ok(Some(lanes)),
        None => Err(
            "declares an epilogue that is not `fn epilogue(value: F, index: u32) -> F` with F f32 or vec4<f32>"
                .to_string(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_of_an_epilogue_are_those_of_its_type_under_any_name() {
        let epilogue = |text: &str| Reflection::new("test", text).map(|r| r.epilogue);
        let of = |ty: &str| {
            format!("alias Quad = vec4<f32>;\nfn epilogue(v: {ty}, i: u32) -> {ty} {{ return v; }}")
        };
        assert_eq!(epilogue(&of("f32")).unwrap(), Some(Lanes::One));
        assert_eq!(epilogue(&of("vec4<f32>")).unwrap(), Some(Lanes::Four));
        assert_eq!(epilogue(&of("Quad")).unwrap(), Some(Lanes::Four));
        assert_eq!(epilogue("// alias F = vec4<f32>;\n").unwrap(), None);
        for wrong in [of("vec2<f32>"), of("u32"), "fn epilogue() {}".to_string()] {
            let message = epilogue(&wrong).unwrap_err().to_string();
            assert!(message.contains("epilogue that is not"), "{message}");
        }
    }
}
