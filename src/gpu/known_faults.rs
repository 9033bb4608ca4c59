//! Faults of drivers that are known, and what they mean here.

use wgpu::AdapterInfo;

/// A fault of a driver.
pub struct KnownFault {
    /// Whether an adapter's driver has it.
    has: fn(&AdapterInfo) -> bool,
    /// What is wrong, and what to do.
    pub advice: &'static str,
}

/// All known faults.
static KNOWN: &[KnownFault] = &[
    KnownFault {
        has: |info| llvmpipe(info) && info.driver_info.contains("LLVM 22.1"),
        advice: "llvmpipe with LLVM 22.1 miscompiles compute shaders: run wgrad check, and install another version of Mesa or \
                 LLVM if it fails",
    },
    KnownFault {
        has: |info| {
            llvmpipe(info)
                && version(&info.driver_info, "Mesa").is_some_and(|[major, _]| major < 25)
        },
        advice: "llvmpipe before Mesa 25 stops shaders after 65,535 iterations of their loops: wgrad's kernels stay below, \
                 shaders of other programs may be cut short",
    },
    KnownFault {
        has: |info| {
            llvmpipe(info)
                && version(&info.driver_info, "Mesa").is_some_and(|[major, _]| major >= 25)
        },
        advice: "llvmpipe of Mesa 25 and later takes several times as long to compile large kernels: the first step of a run \
                 with an empty shader cache is slow",
    },
];

/// The known faults of the adapter that `info` describes.
pub fn known_faults(info: &AdapterInfo) -> impl Iterator<Item = &'static KnownFault> {
    KNOWN.iter().filter(move |fault| (fault.has)(info))
}

fn llvmpipe(info: &AdapterInfo) -> bool {
    info.name.starts_with("llvmpipe")
}

/// Major and minor number after `name` and a space in `text`.
fn version(text: &str, name: &str) -> Option<[u32; 2]> {
    let (_, rest) = text.split_once(name)?;
    let end = rest.trim_start();
    let mut numbers = end.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next()?, numbers.next()?) {
        (Ok(major), Ok(minor)) => Some([major, minor]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_driver(name: &str, driver_info: &str) -> Vec<&'static str> {
        let info = AdapterInfo {
            name: name.to_string(),
            driver_info: driver_info.to_string(),
            ..AdapterInfo::new(wgpu::DeviceType::Cpu, wgpu::Backend::Vulkan)
        };
        known_faults(&info).map(|fault| fault.advice).collect()
    }

    #[test]
    fn faults_are_found_by_the_name_and_the_version_of_the_driver() {
        let old = of_driver(
            "llvmpipe (LLVM 15.0.6, 256 bits)",
            "Mesa 22.3.6 (LLVM 15.0.6)",
        );
        assert!(old.len() == 1 && old[0].contains("65,535"), "{old:?}");
        let new = of_driver(
            "llvmpipe (LLVM 22.1.0, 256 bits)",
            "Mesa 26.0.1-2 (LLVM 22.1.0)",
        );
        assert!(new.len() == 2 && new[0].contains("miscompiles"), "{new:?}");
        assert!(of_driver("NVIDIA H100 80GB HBM3", "580.159.04").is_empty());
        assert_eq!(version("Mesa 25", "Mesa"), None);
    }
}
