//! Every shader that the cases, the built-in models and the ceilings of `wgrad bench` use, on every kind of adapter: it
//! validates with no more capabilities than the engine requests of a device, it translates to SPIR-V, MSL and HLSL, and its
//! bindings and parameters are those that its launches provide. Needs no adapter.

use crate::targets;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use wgrad::bench::ceiling_plans;
use wgrad::check::graphs_of;
use wgrad::graph::{Graph, Precision};
use wgrad::nn::{Model, ModelSpec, Network, PRESETS};
use wgrad::ops::{REGISTRY, Role};
use wgrad::plan::resolve::resolve;
use wgrad::plan::{Plan, Target};
use wgrad::random::Stream;
use wgrad::settings::Settings;
use wgrad::shader::{self, BindingKind, Reflections};
use wgrad::train::{BatchSource, evaluation_graph, training_graphs};

/// WGSL text with the values of its constants, from which a pipeline is made.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Text {
    source: String,
    constants: Vec<(String, u64)>,
}

/// How a text is used.
struct Use {
    shader: String,
    /// Whether every adapter that runs it has subgroup operations.
    subgroups: bool,
}

/// All launches in the plans of the cases, the built-in models and `wgrad bench`'s ceilings.
#[derive(Default)]
struct Launched {
    texts: BTreeMap<Text, Use>,
    files: BTreeSet<String>,
    plans: usize,
    launches: usize,
    failures: Vec<String>,
    reflections: Reflections,
}

impl Launched {
    /// Plans `graph` for every target, with the default kernels, and with each variant that one of its operations has only if `variants`
    /// is set.
    fn add_with(&mut self, name: &str, graph: &Graph, variants: bool) {
        for target in targets::targets() {
            self.add_on(&target, name, graph, variants);
        }
    }

    /// The same for one target.
    fn add_on(&mut self, target: &Target, name: &str, graph: &Graph, variants: bool) {
        let variants = match variants {
            true => Plan::variants(graph, target).expect("the graph is valid"),
            false => BTreeSet::new(),
        };
        for variant in std::iter::once(None).chain(variants.into_iter().map(Some)) {
            self.plans += 1;
            match Plan::with_variant(graph, target, variant) {
                Ok(plan) => self.add_launches(&plan, target),
                Err(e) => self
                    .failures
                    .push(format!("{name} on {}: {e}", target.name)),
            }
        }
    }

    fn add_launches(&mut self, plan: &Plan, target: &Target) {
        for launch in plan.launches() {
            self.launches += 1;
            let resolved = match resolve(launch, &mut self.reflections) {
                Ok(resolved) => resolved,
                Err(e) => {
                    self.failures.push(e.to_string());
                    continue;
                }
            };
            let is_storage =
                |kind: &BindingKind| matches!(kind, BindingKind::Read | BindingKind::ReadWrite);
            let kinds = resolved.bindings.iter().map(|(_, kind)| kind);
            let buffers = kinds.filter(|kind| is_storage(kind)).count();
            if buffers > target.max_storage_buffers as usize {
                let bound = format!(
                    "{} binds {buffers} buffers on {}",
                    launch.label, target.name
                );
                self.failures.push(bound);
            }
            let constants = launch.shader.constants();
            let text = Text {
                source: resolved.source,
                constants: constants
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.to_bits()))
                    .collect(),
            };
            let known = self.texts.entry(text).or_insert_with(|| Use {
                shader: launch.shader.name.clone(),
                subgroups: true,
            });
            known.subgroups &= target.subgroup.is_some();
            self.files.extend(launch.shader.files().unwrap_or_default());
        }
    }
}

fn launched() -> &'static Launched {
    static LAUNCHED: OnceLock<Launched> = OnceLock::new();
    LAUNCHED.get_or_init(|| {
        let mut launched = Launched::default();
        let (all, cooperative) = (targets::targets(), with_cooperative_matrices());
        for op in REGISTRY {
            for case in (op.cases)(&mut Stream::new(3, 1)) {
                let mut add = |precision, targets: &[Target]| match graphs_of(&case, precision) {
                    Ok(graphs) => {
                        for (target, graph) in targets
                            .iter()
                            .flat_map(|t| graphs.iter().map(move |g| (t, g)))
                        {
                            // The formats differ in two functions.
                            launched.add_on(
                                target,
                                op.name,
                                graph,
                                precision != Precision::MixedBfloat16,
                            );
                        }
                    }
                    Err(e) => launched.failures.push(format!("{}: {e}", op.name)),
                };
                add(Precision::Float32, &all);
                add(Precision::Mixed, std::slice::from_ref(&cooperative));
                add(Precision::MixedBfloat16, &all[..1]);
            }
        }
        for model in PRESETS.iter().map(|preset| preset.name) {
            // Large models repeat the layers of smaller ones, and deep ones are planned once per target.
            const MOST_WEIGHTS: usize = 5_000_000;
            const MANY_NODES: usize = 1000;
            if weights_of(model) > MOST_WEIGHTS {
                continue;
            }
            match steps_of(model) {
                Ok(graphs) => {
                    for graph in &graphs {
                        launched.add_with(model, graph, graph.nodes.len() < MANY_NODES);
                    }
                }
                Err(e) => launched.failures.push(format!("{model}: {e}")),
            }
        }
        for target in targets::targets() {
            match ceiling_plans(&target) {
                Ok(plans) => {
                    for plan in &plans {
                        launched.plans += 1;
                        launched.add_launches(plan, &target);
                    }
                }
                Err(e) => launched.failures.push(format!("ceilings: {e}")),
            }
        }
        launched
    })
}

/// A desktop GPU that multiplies matrices of 16-bit floats.
fn with_cooperative_matrices() -> Target {
    let mut targets = targets::targets().into_iter();
    let desktop = targets.find(|target| target.subgroups_are(32));
    Target {
        name: "desktop with cooperative matrices".to_string(),
        max_workgroup_bytes: 48 << 10,
        cooperative_matrices: true,
        ..desktop.expect("one has 32 lanes")
    }
}

fn weights_of(model: &str) -> usize {
    let network = ModelSpec::preset(model).and_then(|spec| Network::new(spec.with_some_sizes()));
    network.map_or(0, |network| network.parameter_count())
}

/// The training and the evaluation step of a built-in model.
fn steps_of(model: &str) -> wgrad::Result<[Graph; 2]> {
    let model = ModelSpec::preset(model)?.with_some_sizes();
    let channels = model.input.channels();
    let mut settings = Settings {
        model,
        clip_norm: Some(1.0),
        batch: 16,
        ..Settings::default()
    };
    (settings.fitted.mean, settings.fitted.std) = (vec![0.1; channels], vec![0.3; channels]);
    let parts = settings.resolve_without_data()?;
    let (task, models) = (&*parts.task, &parts.models);
    let source = |set| -> wgrad::Result<BatchSource> {
        Ok(BatchSource::Set(parts.example_layout(set, 100, 16)?))
    };
    let mut phases = training_graphs(task, models, &parts.recipe, &source("train")?)?;
    Ok([
        phases.remove(0).gradients,
        evaluation_graph(task, models, &source("test")?)?,
    ])
}

#[test]
fn every_launch_gives_its_shader_what_it_declares() {
    let launched = launched();
    println!("{} plans, {} launches", launched.plans, launched.launches);
    assert_none(&launched.failures);
    assert!(launched.launches > REGISTRY.len());
}

#[test]
fn every_shader_validates_and_translates_to_every_backend() {
    let launched = launched();
    let mut failures = Vec::new();
    for (text, used) in &launched.texts {
        for failure in check(text, used) {
            failures.push(format!("{}: {failure}", used.shader));
        }
    }
    let subgroups = launched
        .texts
        .values()
        .filter(|used| used.subgroups)
        .count();
    println!(
        "{} shaders ({subgroups} with subgroup operations allowed) from {} files",
        launched.texts.len(),
        launched.files.len()
    );
    assert_none(&failures);
    assert!(launched.texts.len() > REGISTRY.len());
}

/// Lists what is wrong with a shader.
fn check(text: &Text, used: &Use) -> Vec<String> {
    let module = match naga::front::wgsl::parse_str(&text.source) {
        Ok(module) => module,
        Err(e) => return vec![e.emit_to_string(&text.source)],
    };
    let cooperative = text.source.starts_with("enable ");
    if cooperative {
        return check_cooperative(text, &module).err().into_iter().collect();
    }
    let wide = validate(&module, used.subgroups);
    let wide = match wide {
        Ok(info) => info,
        Err(e) => return vec![e],
    };
    let constants: naga::back::PipelineConstants = text
        .constants
        .iter()
        .map(|(name, bits)| (name.clone(), f64::from_bits(*bits)))
        .collect();
    let entry = Some((ShaderStage::Compute, "main"));
    let resolved =
        naga::back::pipeline_constants::process_overrides(&module, &wide, entry, &constants);
    let module = match resolved {
        Ok((module, _)) => module,
        Err(e) => return vec![format!("constants {:?}: {e}", text.constants)],
    };
    let info = match validate(&module, used.subgroups) {
        Ok(info) => info,
        Err(e) => return vec![e],
    };
    let outcomes = [
        ("WebGPU's limits", within_limits(&module)),
        ("SPIR-V", spirv(&module, &info, used.subgroups)),
        ("MSL", msl(&module, &info)),
        ("HLSL", hlsl(&module, &info, used.subgroups)),
    ];
    outcomes
        .into_iter()
        .filter_map(|(backend, outcome)| Some(format!("{backend}: {}", outcome.err()?)))
        .collect()
}

/// Checks a shader with cooperative matrices, which only Vulkan's adapters run, within the memory that they need.
fn check_cooperative(text: &Text, module: &Module) -> Result<(), String> {
    let capabilities =
        Capabilities::SUBGROUP | Capabilities::COOPERATIVE_MATRIX | Capabilities::SHADER_FLOAT16;
    let valid = |module: &Module| {
        let info = Validator::new(ValidationFlags::all(), capabilities).validate(module);
        info.map_err(|e| format!("{:?}", e.into_inner()))
    };
    let info = valid(module)?;
    let constants = text.constants.iter();
    let constants = constants.map(|(name, bits)| (name.clone(), f64::from_bits(*bits)));
    let entry = Some((ShaderStage::Compute, "main"));
    let (module, _) = naga::back::pipeline_constants::process_overrides(
        module,
        &info,
        entry,
        &constants.collect(),
    )
    .map_err(|e| e.to_string())?;
    let info = valid(&module)?;
    let options = naga::back::spv::Options {
        lang_version: (1, 6),
        bounds_check_policies: restrict(),
        ..Default::default()
    };
    let pipeline = naga::back::spv::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: "main".to_string(),
    };
    let words = naga::back::spv::write_vec(&module, &info, &options, Some(&pipeline));
    not_empty(words.map_err(|e| e.to_string())?.len())
}

/// Validates with the capabilities that the engine requests of a device: those of WebGPU, and subgroups if they are used.
fn validate(module: &Module, subgroups: bool) -> Result<ModuleInfo, String> {
    let capabilities = if subgroups {
        Capabilities::SUBGROUP
    } else {
        Capabilities::empty()
    };
    Validator::new(ValidationFlags::all(), capabilities)
        .validate(module)
        .map_err(|e| format!("{:?}", e.into_inner()))
}

/// Checks workgroups against the limits that WebGPU guarantees everywhere.
fn within_limits(module: &Module) -> Result<(), String> {
    const INVOCATIONS: u32 = 256;
    const MEMORY_BYTES: u32 = 16_384;
    for entry in &module.entry_points {
        let invocations: u32 = entry.workgroup_size.iter().product();
        if invocations > INVOCATIONS {
            return Err(format!("a workgroup has {invocations} invocations"));
        }
    }
    let shared = module.global_variables.iter();
    let bytes: u32 = shared
        .filter(|(_, variable)| variable.space == naga::AddressSpace::WorkGroup)
        .map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()))
        .sum();
    if bytes > MEMORY_BYTES {
        return Err(format!("a workgroup takes {bytes} bytes of its memory"));
    }
    Ok(())
}

fn spirv(module: &Module, info: &ModuleInfo, subgroups: bool) -> Result<(), String> {
    use naga::back::spv::{self, Capability};
    let mut capabilities = vec![
        Capability::Shader,
        Capability::Matrix,
        Capability::ImageQuery,
        Capability::StorageImageExtendedFormats,
    ];
    if subgroups {
        capabilities.extend([
            Capability::GroupNonUniform,
            Capability::GroupNonUniformVote,
            Capability::GroupNonUniformArithmetic,
            Capability::GroupNonUniformBallot,
            Capability::GroupNonUniformShuffle,
            Capability::GroupNonUniformShuffleRelative,
        ]);
    }
    let options = spv::Options {
        lang_version: if subgroups { (1, 3) } else { (1, 0) },
        capabilities: Some(capabilities.into_iter().collect()),
        bounds_check_policies: restrict(),
        ..Default::default()
    };
    let pipeline = spv::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: "main".to_string(),
    };
    let words = spv::write_vec(module, info, &options, Some(&pipeline));
    let words = words.map_err(|e| e.to_string())?;
    not_empty(words.len())
}

fn msl(module: &Module, info: &ModuleInfo) -> Result<(), String> {
    use naga::back::msl;
    let options = msl::Options {
        lang_version: (2, 3),
        bounds_check_policies: restrict(),
        ..Default::default()
    };
    let pipeline = msl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, "main".to_string())),
        ..Default::default()
    };
    let (text, translated) =
        msl::write_string(module, info, &options, &pipeline).map_err(|e| e.to_string())?;
    for name in translated.entry_point_names {
        name.map_err(|e| e.to_string())?;
    }
    not_empty(text.len())
}

fn hlsl(module: &Module, info: &ModuleInfo, subgroups: bool) -> Result<(), String> {
    use naga::back::hlsl::{self, ShaderModel};
    let options = hlsl::Options {
        // Wave operations require shader model 6.0.
        shader_model: if subgroups {
            ShaderModel::V6_0
        } else {
            ShaderModel::V5_1
        },
        ..Default::default()
    };
    let pipeline = hlsl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, "main".to_string())),
    };
    let mut text = String::new();
    let written = hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None);
    for name in written.map_err(|e| e.to_string())?.entry_point_names {
        name.map_err(|e| e.to_string())?;
    }
    not_empty(text.len())
}

/// The bounds checks that wgpu requests.
fn restrict() -> naga::proc::BoundsCheckPolicies {
    naga::proc::BoundsCheckPolicies {
        index: naga::proc::BoundsCheckPolicy::Restrict,
        buffer: naga::proc::BoundsCheckPolicy::Restrict,
        image_load: naga::proc::BoundsCheckPolicy::Restrict,
        binding_array: naga::proc::BoundsCheckPolicy::Unchecked,
    }
}

fn not_empty(length: usize) -> Result<(), String> {
    if length == 0 {
        Err("the translation is empty".to_string())
    } else {
        Ok(())
    }
}

#[test]
fn every_shader_file_is_used() {
    let orphans: Vec<_> = shader::FILES
        .iter()
        .map(|(name, _)| name.to_string())
        .filter(|name| !launched().files.contains(name))
        .collect();
    assert_none(&orphans);
}

#[test]
fn every_shader_folder_is_named_after_the_operation_that_owns_it() {
    let operations: BTreeSet<String> = REGISTRY.iter().map(|op| op.name.to_string()).collect();
    let folders: BTreeSet<String> = entries("shaders")
        .into_iter()
        .map(|path| stem(&path))
        // These hold code that several operations share, and the kernels with which `src/bench` measures an adapter.
        .filter(|name| name != "shared" && name != "bench")
        .collect();
    let unexpected: Vec<_> = folders.difference(&operations).cloned().collect();
    assert_none(&unexpected);
    // It runs the kernels of matmul.
    const BORROWS: &str = "recurrent_weight_grad";
    let bare: Vec<_> = REGISTRY
        .iter()
        .filter(|op| op.name != BORROWS && !folders.contains(op.name))
        .filter(|op| {
            let cases = (op.cases)(&mut Stream::new(3, 1));
            cases.iter().any(|case| case.op.role() != Role::View)
        })
        .map(|op| format!("{} runs kernels but has no folder", op.name))
        .collect();
    assert_none(&bare);
}

#[test]
fn every_operation_file_is_registered() {
    let implements = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("it can be read");
        text.contains("impl Op for ") || text.contains("impl Pointwise for ")
    };
    let unexpected: Vec<_> = entries("src/ops")
        .into_iter()
        .filter(|path| path.is_file() && implements(path))
        .map(|path| stem(&path))
        .filter(|name| !REGISTRY.iter().any(|op| op.name == name))
        .collect();
    assert_none(&unexpected);
}

fn entries(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(&folder).expect("the source tree is there");
    entries
        .map(|entry| entry.expect("it can be read").path())
        .collect()
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

/// Fails with the first few of `failures`.
fn assert_none(failures: &[String]) {
    let shown = failures.iter().take(10).cloned().collect::<Vec<_>>();
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        shown.join("\n")
    );
}
