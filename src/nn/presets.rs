//! Built-in models.

/// A built-in model.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Name.
    pub name: &'static str,
    /// One-line description.
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
    "tabular": "rows of a table: two hidden dense layers",
    "series-linear": "a series: one linear map over time for all columns (NLinear, Zeng et al. 2022)",
    "series-mlp": "a series: two dense layers over the whole window",
    "small-cnn": "small pictures: three convolutions with normalisation and pooling",
    "strided-cnn": "small pictures, cheap: three convolutions with a stride of 2",
    "photo-cnn": "photographs: five convolutions with normalisation and pooling",
    "bag-of-words": "classification of texts by the mean of the words' embeddings",
    "bilstm-tagger": "a tag for each word of a sentence: embeddings, a bidirectional LSTM, a dense layer (Huang et al. 2015)",
    "autoencoder": "a convolutional autoencoder for 28 x 28 images with a code of 32 numbers",
    "unet": "a U-Net with three levels, for the segmentation of 128 x 128 grey images (Ronneberger et al. 2015)",
    "fcos": "a small detector: a residual backbone with a feature pyramid, for 256 x 320 images (FCOS, Tian et al. 2020)",
    "resnet20": "ResNet-20 for 32 x 32 images (He et al. 2015)",
    "alexnet32": "AlexNet of 2012 for 32 x 32 images",
    "resnet18-cifar": "ResNet-18 for 32 x 32 images: 3 x 3 stem without max-pooling",
    "dcgan-generator": "DCGAN (Radford et al. 2016): 28 x 28 images from 64 random numbers",
    "dcgan-discriminator": "DCGAN (Radford et al. 2016): whether a 28 x 28 image is real",
    "diffusion-unet": "a small U-Net that gives the noise in a 28 x 28 image at a time of a diffusion (Ho et al. 2020)",
    "restoration-cnn": "four convolutions that restore a grey image (Zhang et al. 2017)",
    "vae-encoder": "28 x 28 images to mean and log-variance of 20 numbers (Kingma and Welling 2014)",
    "vae-decoder": "20 numbers to the logits of a 28 x 28 image (Kingma and Welling 2014)",
    "lstm-rows": "an LSTM over the rows of an image, whose last state is classified",
    "lstm-char": "a character language model: two LSTM layers",
    "gpt-nano": "a character language model: nanoGPT's settings for a CPU, 4 blocks of width 128",
    "story-reader": "answers to questions about a story: one layer of GRU",
    "text-encoder": "classification of texts: two transformer encoder blocks, the mean over the tokens",
    "bert-small": "hidden tokens of a text from those on both sides: two transformer encoder blocks (Devlin et al. 2018)",
    "bert-small-classifier": "classification of texts with the body and the weights of bert-small",
    "transformer": "translation: an encoder and a decoder of 3 transformer blocks each, of width 128",
    "resnet18": "ResNet-18 for 224 x 224 images (He et al. 2015), as torchvision has it",
    "efficientnet-lite0": "EfficientNet-Lite0 for 224 x 224 images (Tan and Le 2019), under the names of its published weights",
    "alexnet": "AlexNet for 227 x 227 images (Krizhevsky 2014), as torchvision has it",
    "alexnet-2012": "AlexNet for 227 x 227 images (Krizhevsky et al. 2012), with groups and local response normalization",
    "resnet50": "ResNet-50 for 224 x 224 images (He et al. 2015), as torchvision has it",
}
