//! Commands under the Vulkan layer in `tests/support/fault_layer.rs`.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use super::sandbox::Sandbox;
use std::path::Path;
use std::process::Command;

impl Sandbox {
    /// Writes the description of the layer.
    pub fn with_fault_layer(self) -> Sandbox {
        let command = Path::new(env!("CARGO_BIN_EXE_wgrad"));
        let library = command.with_file_name("examples").join("libfault_layer.so");
        assert!(
            library.is_file(),
            "the layer is not built; run: cargo build --example fault_layer"
        );
        let layer = serde_json::json!({
            "file_format_version": "1.1.2",
            "layer": {
                "name": "VK_LAYER_TEST_fault", "type": "GLOBAL", "library_path": library, "api_version": "1.3.239",
                "implementation_version": "1", "description": "makes calls fail"
            }
        });
        std::fs::create_dir(self.path("layers")).unwrap();
        self.write("layers/fault.json", layer.to_string());
        self
    }

    /// The command under the layer, which makes nothing fail unless it is told to.
    pub fn with_layer(&self, args: &str) -> Command {
        let mut command = self.command(args);
        command
            .env("VK_LAYER_PATH", self.path("layers"))
            .env("VK_INSTANCE_LAYERS", "VK_LAYER_TEST_fault");
        command
    }
}
