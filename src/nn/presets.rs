//! Built-in models.

/// A built-in model.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Name to ask for.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Its file.
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal: $about:literal,)*) => {
        /// Built-in models, small ones first.
        pub const PRESETS: &[Preset] = &[
            $(Preset {
                name: $name,
                about: $about,
                text: include_str!(concat!("../../assets/models/", $name, ".toml")),
            },)*
        ];
    };
}

presets! {
    "mnist-cnn": "the Keras MNIST example: two convolutions, two dense layers",
    "lenet5": "LeNet-5 (LeCun 1998) with max-pooling and ReLU",
    "mlp": "two hidden dense layers",
}
