//! The schemas of run files, sweeps and model files, for editors.

use super::{Settings, TaskChoice, sweep};
use crate::nn::ModelSpec;
use crate::schema;
use crate::tasks::REGISTRY;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};
use std::borrow::Cow;

/// The JSON schema of run files.
pub fn run_schema() -> Value {
    schema::of_file::<Settings>("Settings of a run of wgrad")
}

/// The JSON schema of the settings of sweeps.
pub fn sweep_schema() -> Value {
    schema::of_file::<sweep::WrittenSweep>("Settings of a sweep of wgrad")
}

/// The JSON schema of model files.
pub fn model_schema() -> Value {
    schema::of_file::<ModelSpec>("A model of wgrad")
}

/// A table for each task, with the settings of its own. The name may be left out.
impl JsonSchema for TaskChoice {
    fn schema_name() -> Cow<'static, str> {
        "task".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let tasks = REGISTRY.iter().map(|task| {
            let mut schema = (task.settings)(generator);
            schema.insert("description".to_string(), task.about.into());
            let name = json!({ "const": task.name, "description": task.about });
            schema::add_properties(&mut schema, [("name".to_string(), name)]);
            json!(schema)
        });
        let tasks: Vec<Value> = tasks.collect();
        schemars::json_schema!({ "anyOf": tasks })
    }
}
