//! Reading an ONNX file: its nodes in order, its constants, its inputs and outputs.

use super::array::{Array, Numbers};
use super::element::Element;
use super::keras;
use super::messages::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OnnxTensor, ValueInfoProto,
};
use crate::error::{Error, Result};
use crate::files::read_whole;
use crate::nearest::did_you_mean;
use crate::tensor::LARGEST_COUNT;
use prost::Message;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The oldest and the newest version of ONNX's operator set whose rules are known.
pub const OPSETS: (i64, i64) = (1, 28);

/// A file that was read.
#[derive(Debug)]
pub struct OnnxFile {
    /// Where it is.
    pub path: PathBuf,
    /// The program that wrote it, with its version.
    pub producer: String,
    /// Version of ONNX's operator set.
    pub opset: i64,
    /// The nodes.
    pub nodes: Nodes,
    /// Inputs that must be fed.
    pub inputs: Vec<Declared>,
    /// Outputs.
    pub outputs: Vec<Declared>,
    /// Whether constants are in other files.
    pub has_external_data: bool,
    /// Constants by name.
    pub constants: HashMap<String, Arc<Array>>,
    /// Notes of the writer.
    pub metadata: Vec<(String, String)>,
    /// Whether images are `[N, H, W, C]` in the file, not `[N, C, H, W]`.
    pub channels_last: bool,
    /// Names of constants that are weights, where the file says so.
    pub weights: HashSet<String>,
    functions: HashMap<(String, String), Function>,
}

/// An input or output as the file declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Type of its elements, if it is declared.
    pub element: Option<Element>,
    /// Its extents, if their number is declared.
    pub dims: Option<Vec<DeclaredExtent>>,
}

impl Declared {
    /// Its extents: numbers and names.
    pub fn shape_in_words(&self) -> String {
        let Some(dims) = &self.dims else {
            return "of any shape".to_string();
        };
        let word = |extent: &DeclaredExtent| match extent {
            DeclaredExtent::Fixed(extent) => extent.to_string(),
            DeclaredExtent::Named(name) if name.is_empty() => "?".to_string(),
            DeclaredExtent::Named(name) => name.clone(),
        };
        format!("[{}]", dims.iter().map(word).collect::<Vec<_>>().join(", "))
    }
}

/// An extent as a file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeclaredExtent {
    /// A number.
    Fixed(usize),
    /// A name, which may be empty.
    Named(String),
}

/// Nodes in an order in which each comes after those that it reads.
#[derive(Debug, Default)]
pub struct Nodes {
    nodes: Vec<NodeProto>,
    needed: Vec<usize>,
}

/// An operator that the file defines.
#[derive(Debug)]
pub struct Function {
    /// Names of its operands.
    pub inputs: Vec<String>,
    /// Names of its results.
    pub outputs: Vec<String>,
    nodes: Vec<NodeProto>,
    defaults: Vec<AttributeProto>,
}

impl OnnxFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it can't be read, is damaged, or holds what can't be computed with.
    pub fn read(path: &Path) -> Result<OnnxFile> {
        if !path.exists() {
            return Err(Error::missing(path, "an ONNX or Keras file"));
        }
        let bytes = read_whole(path, "an ONNX or Keras file")?;
        OnnxFile::parse(path, &bytes)
    }

    /// Reads the content `bytes` of the file at `path`.
    ///
    /// # Errors
    /// As [`OnnxFile::read`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<OnnxFile> {
        if keras::is_keras(bytes) {
            return keras::parse(path, bytes.to_vec());
        }
        let refused = |why: String| Error::Config(format!("{}: {why}", path.display()));
        let model = ModelProto::decode(bytes).map_err(|e| {
            refused(format!(
                "this is no ONNX file, or it is cut short or damaged ({e}); export the network again"
            ))
        })?;
        let graph = model
            .graph
            .ok_or_else(|| refused("it holds no network; export the network again".to_string()))?;
        let own = |domain: &str| matches!(domain, "" | "ai.onnx");
        let versions = model.opset_import.iter().filter(|set| own(&set.domain));
        let opset = versions.map(|set| set.version).max().unwrap_or(OPSETS.1);
        if !(OPSETS.0..=OPSETS.1).contains(&opset) {
            return Err(refused(format!(
                "it uses version {opset} of ONNX's operators, and versions {} to {} are known; export the network with one of them",
                OPSETS.0, OPSETS.1
            )));
        }
        let has_external_data = graph.initializer.iter().any(|t| t.data_location == 1);
        let mut constants = HashMap::new();
        for tensor in &graph.initializer {
            let array = array_of(tensor, path).map_err(refused)?;
            constants.insert(tensor.name.clone(), Arc::new(array));
        }
        let fed = graph
            .input
            .iter()
            .filter(|input| !constants.contains_key(&input.name));
        let inputs = fed
            .map(|value| declared(value).map_err(|why| refused(format!("the input {why}"))))
            .collect::<Result<Vec<_>>>()?;
        let outputs = graph
            .output
            .iter()
            .map(|value| declared(value).map_err(|why| refused(format!("the output {why}"))))
            .collect::<Result<Vec<_>>>()?;
        if outputs.is_empty() {
            return Err(refused("it has no outputs".to_string()));
        }
        let available = inputs.iter().map(|input| input.name.as_str());
        let available = available.chain(constants.keys().map(String::as_str));
        let wanted = graph.output.iter().map(|output| output.name.as_str());
        let nodes = Nodes::new(graph.node, available, wanted).map_err(refused)?;
        let functions = model.functions.into_iter().map(|function| {
            let key = (function.domain.clone(), function.name.clone());
            (key, Function::from(function))
        });
        let metadata = model.metadata_props.into_iter();
        Ok(OnnxFile {
            path: path.to_owned(),
            producer: format!("{} {}", model.producer_name, model.producer_version)
                .trim()
                .to_string(),
            opset,
            nodes,
            inputs,
            outputs,
            has_external_data,
            constants,
            metadata: metadata.map(|entry| (entry.key, entry.value)).collect(),
            channels_last: false,
            weights: HashSet::new(),
            functions: functions.collect(),
        })
    }

    /// A network with images `[N, H, W, C]` that was put together from a file of another format.
    ///
    /// # Errors
    /// If its nodes read one another in a circle, as a sentence.
    #[allow(clippy::too_many_arguments, reason = "the parts of a file")]
    pub(super) fn assembled(
        path: &Path,
        producer: String,
        opset: i64,
        nodes: Vec<NodeProto>,
        inputs: Vec<Declared>,
        outputs: Vec<Declared>,
        constants: HashMap<String, Arc<Array>>,
        weights: HashSet<String>,
    ) -> Result<OnnxFile, String> {
        let available = inputs.iter().map(|input| input.name.as_str());
        let available = available.chain(constants.keys().map(String::as_str));
        let wanted = outputs.iter().map(|output| output.name.as_str());
        let nodes = Nodes::new(nodes, available, wanted)?;
        Ok(OnnxFile {
            path: path.to_owned(),
            producer,
            opset,
            nodes,
            inputs,
            outputs,
            has_external_data: false,
            constants,
            metadata: Vec::new(),
            channels_last: true,
            weights,
            functions: HashMap::new(),
        })
    }

    /// The nodes that the value `name` needs.
    ///
    /// # Errors
    /// If no node makes it.
    pub fn nodes_until(&self, name: &str) -> Result<Nodes> {
        let available = self.inputs.iter().map(|input| input.name.as_str());
        let available = available.chain(self.constants.keys().map(String::as_str));
        let nodes = Nodes::new(self.nodes.nodes.clone(), available, std::iter::once(name));
        nodes.map_err(|_| {
            let made = self.nodes.needed().flat_map(|node| node.output.iter());
            let made: Vec<&str> = made.map(String::as_str).filter(|n| !n.is_empty()).collect();
            let last = &made[made.len().saturating_sub(5)..];
            Error::Config(format!(
                "{} has no value {name} to end at; its last ones are {}{}",
                self.path.display(),
                last.join(", "),
                did_you_mean(name, made.iter().copied())
            ))
        })
    }

    /// The node that makes the value `name`.
    pub fn maker(&self, name: &str) -> Option<&NodeProto> {
        let makes = |node: &&NodeProto| node.output.iter().any(|output| output == name);
        self.nodes.needed().find(makes)
    }

    /// The function that `node` calls, if the file defines its operator.
    pub fn function(&self, node: &NodeProto) -> Option<&Function> {
        if self.functions.is_empty() {
            return None;
        }
        let key = (node.domain.clone(), node.op_type.clone());
        self.functions.get(&key)
    }
}

impl Nodes {
    /// Sorts `nodes` so that each comes after those that it reads, and finds those that the values `wanted` need.
    ///
    /// # Errors
    /// If nodes read one another in a circle.
    pub fn new<'n>(
        nodes: Vec<NodeProto>,
        available: impl Iterator<Item = &'n str>,
        wanted: impl Iterator<Item = &'n str>,
    ) -> Result<Nodes, String> {
        let mut makers: HashMap<&str, usize> = HashMap::new();
        for (at, node) in nodes.iter().enumerate() {
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                if makers.insert(name, at).is_some() {
                    return Err(format!("two nodes make the value {name}"));
                }
            }
        }
        let available: HashSet<&str> = available.collect();
        // 0: not seen, 1: its operands are being visited, 2: done.
        let mut state = vec![0_u8; nodes.len()];
        let mut needed = Vec::new();
        for name in wanted {
            let Some(&root) = makers.get(name) else {
                if available.contains(name) {
                    continue;
                }
                return Err(format!("no node makes the output {name}"));
            };
            let mut stack = vec![root];
            while let Some(&at) = stack.last() {
                match state[at] {
                    0 => {
                        state[at] = 1;
                        for read in reads(&nodes[at]) {
                            match makers.get(read) {
                                Some(&maker) if state[maker] == 0 => stack.push(maker),
                                Some(&maker) if state[maker] == 1 => {
                                    return Err(format!(
                                        "its nodes read one another in a circle, at the value {read}"
                                    ));
                                }
                                _ => {}
                            }
                        }
                    }
                    1 => {
                        state[at] = 2;
                        needed.push(at);
                        stack.pop();
                    }
                    _ => {
                        stack.pop();
                    }
                }
            }
        }
        // The file's own order, if it is one.
        let mut place = vec![usize::MAX; nodes.len()];
        let in_order = {
            let mut sorted = needed.clone();
            sorted.sort_unstable();
            for &at in &sorted {
                place[at] = at;
            }
            let earlier = |&at: &usize| {
                let mut made = reads(&nodes[at]).filter_map(|name| makers.get(name));
                made.all(|&maker| maker < at)
            };
            sorted.iter().all(earlier).then_some(sorted)
        };
        let needed = in_order.unwrap_or(needed);
        Ok(Nodes { nodes, needed })
    }

    /// The nodes of a branch, which makes `graph`'s outputs.
    ///
    /// # Errors
    /// As [`Nodes::new`].
    pub fn of_branch(graph: &GraphProto, known: &[&str]) -> Result<Nodes, String> {
        let constants = graph.initializer.iter().map(|t| t.name.as_str());
        Nodes::new(
            graph.node.clone(),
            constants.chain(known.iter().copied()),
            graph.output.iter().map(|output| output.name.as_str()),
        )
    }

    /// The nodes that the outputs need, in order.
    pub fn needed(&self) -> impl Iterator<Item = &NodeProto> {
        self.needed.iter().map(|&at| &self.nodes[at])
    }
}

/// The values that `node` reads, also in its branches.
fn reads(node: &NodeProto) -> impl Iterator<Item = &str> {
    let own = node.input.iter().map(String::as_str);
    let branches = node.attribute.iter().filter_map(|a| a.g.as_ref());
    let inner = branches.flat_map(|graph| {
        let nodes = graph.node.iter().flat_map(|node| node.input.iter());
        let outputs = graph.output.iter().map(|output| &output.name);
        nodes.chain(outputs).map(String::as_str)
    });
    own.chain(inner).filter(|name| !name.is_empty())
}

impl From<FunctionProto> for Function {
    fn from(function: FunctionProto) -> Function {
        Function {
            inputs: function.input,
            outputs: function.output,
            nodes: function.node,
            defaults: function.attribute_proto,
        }
    }
}

impl Function {
    /// Its nodes with the attributes of `call` in place.
    ///
    /// # Errors
    /// If its nodes read one another in a circle.
    pub fn with_attributes(&self, call: &NodeProto) -> Result<Nodes> {
        let given = |name: &str| {
            let mut own = call.attribute.iter().chain(&self.defaults);
            own.find(|attribute| attribute.name == name)
        };
        let mut nodes = self.nodes.clone();
        for node in &mut nodes {
            let filled = node.attribute.drain(..).filter_map(|attribute| {
                if attribute.ref_attr_name.is_empty() {
                    return Some(attribute);
                }
                let value = given(&attribute.ref_attr_name)?.clone();
                Some(AttributeProto {
                    name: attribute.name,
                    ..value
                })
            });
            node.attribute = filled.collect();
        }
        let inputs = self.inputs.iter().map(String::as_str);
        let outputs = self.outputs.iter().map(String::as_str);
        Nodes::new(nodes, inputs, outputs).map_err(Error::Config)
    }
}

/// An input or output, or what is wrong with it, as the end of a sentence.
fn declared(value: &ValueInfoProto) -> Result<Declared, String> {
    let tensor = value.r#type.as_ref().and_then(|ty| ty.tensor_type.as_ref());
    let name = value.name.clone();
    if value.r#type.is_some() && tensor.is_none() {
        return Err(format!(
            "{name} is a sequence, a map or an optional value, which are not supported"
        ));
    }
    let element = tensor.map(|t| t.elem_type).filter(|&code| code != 0);
    let element = element.map(Element::of).transpose();
    let element = element.map_err(|why| format!("{name} has {why}"))?;
    let dims = tensor.and_then(|t| t.shape.as_ref()).map(|shape| {
        let extent = |dim: &super::messages::DimensionProto| match dim.dim_value {
            Some(extent) if extent >= 0 => DeclaredExtent::Fixed(extent as usize),
            _ => DeclaredExtent::Named(dim.dim_param.clone()),
        };
        shape.dim.iter().map(extent).collect()
    });
    Ok(Declared {
        name,
        element,
        dims,
    })
}

/// The elements of `tensor`, a constant of the file at `path`.
///
/// # Errors
/// Says what is wrong, as a sentence.
pub fn array_of(tensor: &OnnxTensor, path: &Path) -> Result<Array, String> {
    let name = match tensor.name.as_str() {
        "" => "a constant".to_string(),
        name => format!("the constant {name}"),
    };
    let element = Element::of(tensor.data_type).map_err(|why| format!("{name} has {why}"))?;
    let extent = |&d: &i64| usize::try_from(d).ok();
    let dims: Option<Vec<usize>> = tensor.dims.iter().map(extent).collect();
    let count = dims.as_ref().and_then(|dims| {
        let count = dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        count.filter(|&n| n <= LARGEST_COUNT)
    });
    let (Some(dims), Some(count)) = (dims, count) else {
        return Err(format!("{name} has an impossible shape: {:?}", tensor.dims));
    };
    let wrong = |holds: usize, what: &str| {
        format!(
            "{name} of shape {dims:?} needs {count} elements but holds {holds}{what}: the file is cut short or damaged"
        )
    };
    let external;
    let raw = match tensor.data_location {
        1 => {
            external = external_bytes(tensor, path, count * element.bytes())
                .map_err(|why| format!("{name} {why}"))?;
            Some(&external[..])
        }
        _ if !tensor.raw_data.is_empty() => Some(&tensor.raw_data[..]),
        _ => None,
    };
    let numbers: Numbers = match raw {
        Some(bytes) => {
            if bytes.len() != count * element.bytes() {
                return Err(wrong(bytes.len(), " bytes"));
            }
            let elements = bytes.chunks_exact(element.bytes());
            match element {
                Element::Float | Element::Float16 | Element::Bfloat16 => {
                    Numbers::Single(elements.map(|b| element.number(b) as f32).collect())
                }
                _ => Numbers::Double(elements.map(|b| element.number(b)).collect()),
            }
        }
        None => typed(tensor, element),
    };
    let array = Array {
        element,
        dims: dims.clone(),
        numbers,
    };
    match array.len() == count {
        true => Ok(array),
        false => Err(wrong(array.len(), "")),
    }
}

/// The elements of `tensor` in the field of their type.
fn typed(tensor: &OnnxTensor, element: Element) -> Numbers {
    let small = || tensor.int32_data.iter();
    match element {
        Element::Float => Numbers::Single(tensor.float_data.clone()),
        Element::Double => Numbers::Double(tensor.double_data.clone()),
        Element::Float16 => {
            let bits = small().map(|&x| half::f16::from_bits(x as u16).to_f32());
            Numbers::Single(bits.collect())
        }
        Element::Bfloat16 => {
            let bits = small().map(|&x| half::bf16::from_bits(x as u16).to_f32());
            Numbers::Single(bits.collect())
        }
        Element::Int64 => Numbers::Double(tensor.int64_data.iter().map(|&x| x as f64).collect()),
        Element::Uint32 | Element::Uint64 => {
            Numbers::Double(tensor.uint64_data.iter().map(|&x| x as f64).collect())
        }
        _ => Numbers::Double(small().map(|&x| element.nearest(f64::from(x))).collect()),
    }
}

/// The bytes of a constant that are in a file of their own, in the folder of the file at `path` or below it.
fn external_bytes(tensor: &OnnxTensor, path: &Path, wanted: usize) -> Result<Vec<u8>, String> {
    let entry = |key: &str| {
        let mut entries = tensor.external_data.iter();
        entries.find(|e| e.key == key).map(|e| e.value.as_str())
    };
    let number = |key: &str| {
        let text = entry(key).map(str::parse::<u64>).transpose();
        text.map_err(|_| format!("names an external file with an invalid {key}"))
    };
    let location = entry("location").ok_or("is in an external file that it does not name")?;
    let relative = Path::new(location);
    let inside = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside || location.is_empty() {
        return Err(format!(
            "is in the external file {location}, which is not in the folder of the ONNX file; move it there"
        ));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let file_path = folder.join(relative);
    let shown = file_path.display();
    let unreadable = |e: std::io::Error| {
        format!(
            "is in the external file {shown}, which can't be read: {e}; keep it beside the ONNX file"
        )
    };
    // A link could lead out of the folder.
    let within = |path: &Path| path.canonicalize();
    let (real, home) = (
        within(&file_path).map_err(unreadable)?,
        within(if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        })
        .map_err(unreadable)?,
    );
    if !real.starts_with(&home) || !real.is_file() {
        return Err(format!(
            "is in the external file {shown}, which is not a file in the folder of the ONNX file"
        ));
    }
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    if length.is_some_and(|length| length != wanted as u64) {
        return Err(format!(
            "needs {wanted} bytes, but {} are declared in the external file {shown}",
            length.unwrap_or(0)
        ));
    }
    let mut file = File::open(&real).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if offset
        .checked_add(wanted as u64)
        .is_none_or(|end| end > size)
    {
        return Err(format!(
            "needs {wanted} bytes from byte {offset} of the external file {shown}, which has {size}"
        ));
    }
    file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    let mut bytes = vec![0; wanted];
    file.read_exact(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
