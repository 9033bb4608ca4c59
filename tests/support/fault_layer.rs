//! A Vulkan layer that makes a call fail, to test what is done about a lost device. `FAULT=FUNCTION:N:RESULT:COUNT` makes the N-th
//! call of a function and the ones after it, COUNT in all or without end for 0, return a `VkResult`. With `MEMORY_LIMIT=BYTES`, the
//! device has no more memory than that. `PLANT` changes instructions of kernels (`planted`).
#![allow(unsafe_code, missing_docs)]

mod planted;

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock};

/// The functions of a device that can fail. All have at most six arguments, integers and pointers, which are passed in registers by
/// the calling conventions of x86-64 and AArch64: one wrapper that passes on six serves for all.
const FUNCTIONS: [&str; 31] = [
    "QueueSubmit",
    "WaitForFences",
    "WaitSemaphores",
    "WaitSemaphoresKHR",
    "GetSemaphoreCounterValue",
    "GetSemaphoreCounterValueKHR",
    "AllocateMemory",
    "CreateComputePipelines",
    "CreateBuffer",
    "MapMemory",
    "CreateShaderModule",
    "GetFenceStatus",
    "CreateCommandPool",
    "AllocateCommandBuffers",
    "CreateDescriptorPool",
    "AllocateDescriptorSets",
    "BeginCommandBuffer",
    "EndCommandBuffer",
    "ResetCommandPool",
    "CreateImage",
    "CreateImageView",
    "CreateBufferView",
    "CreateDescriptorSetLayout",
    "CreatePipelineLayout",
    "CreateQueryPool",
    "CreateSemaphore",
    "CreateFence",
    "BindBufferMemory",
    "DeviceWaitIdle",
    "QueueWaitIdle",
    "FreeMemory",
];

type Six = extern "system" fn(usize, usize, usize, usize, usize, usize) -> i32;
type GetProcAddr = extern "system" fn(*mut c_void, *const c_char) -> *const c_void;

static NEXT: [AtomicPtr<c_void>; FUNCTIONS.len()] =
    [const { AtomicPtr::new(null_mut()) }; FUNCTIONS.len()];
static NEXT_INSTANCE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static NEXT_DEVICE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static INSTANCE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// The fault that is asked for.
struct Fault {
    function: String,
    first: usize,
    result: i32,
    count: usize,
    calls: AtomicUsize,
}

fn fault() -> Option<&'static Fault> {
    static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
    let parse = || {
        let text = std::env::var("FAULT").ok()?;
        let mut parts = text.split(':');
        let function = parts.next()?.to_string();
        let numbers: Vec<i64> = parts.map(|part| part.parse().unwrap()).collect();
        let [first, result, count] = numbers.try_into().ok()?;
        Some(Fault {
            function,
            first: first as usize,
            result: result as i32,
            count: count as usize,
            calls: AtomicUsize::new(0),
        })
    };
    FAULT.get_or_init(parse).as_ref()
}

/// The result of this call of `function`, if it shall fail.
fn hit(function: &str) -> Option<i32> {
    let fault = fault().filter(|fault| fault.function == function)?;
    let call = fault.calls.fetch_add(1, Relaxed) + 1;
    let last = match fault.count {
        0 => usize::MAX,
        count => fault.first + count - 1,
    };
    if call == last {
        // The loader unloads the layer with the last instance, and its counter is lost.
        // SAFETY: no other thread of the tests reads the environment at this time.
        unsafe { std::env::remove_var("FAULT") };
    }
    (fault.first..=last).contains(&call).then_some(fault.result)
}

extern "system" fn wrapper<const I: usize>(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> i32 {
    if let Some(result) = hit(FUNCTIONS[I]) {
        return result;
    }
    // SAFETY: the pointer is to the function that this one stands for, which takes the arguments that it is given.
    let next: Six = unsafe { transmute(NEXT[I].load(Relaxed)) };
    let call = || next(a, b, c, d, e, f);
    match FUNCTIONS[I] {
        // SAFETY: the arguments are those of vkAllocateMemory, which Vulkan requires to be valid.
        "AllocateMemory" => unsafe { limited(b as *const AllocateInfo, d as *const u64, call) },
        "FreeMemory" => {
            allocations().remove(&(b as u64));
            call()
        }
        // SAFETY: the arguments are those of vkCreateShaderModule.
        "CreateShaderModule" => unsafe {
            with_planted_fault(b as *const ModuleInfo, |info| {
                next(a, info as usize, c, d, e, f)
            })
        },
        _ => call(),
    }
}

/// `VkShaderModuleCreateInfo`.
#[repr(C)]
struct ModuleInfo {
    structure: i32,
    next: *const c_void,
    flags: u32,
    bytes: usize,
    words: *const u32,
}

/// Creates a module by `call`, with the fault that is to be planted in it.
///
/// # Safety
/// `info` must be an argument of `vkCreateShaderModule`.
unsafe fn with_planted_fault(
    info: *const ModuleInfo,
    call: impl Fn(*const ModuleInfo) -> i32,
) -> i32 {
    // SAFETY: by the caller.
    let given = unsafe { &*info };
    let words = unsafe { std::slice::from_raw_parts(given.words, given.bytes / size_of::<u32>()) };
    match planted::planted(words) {
        Some(words) => call(&ModuleInfo {
            words: words.as_ptr(),
            ..*given
        }),
        None => call(info),
    }
}

/// `VkMemoryAllocateInfo`.
#[repr(C)]
struct AllocateInfo {
    structure: i32,
    next: *const c_void,
    bytes: u64,
    memory_type: u32,
}

/// The sizes of all allocations by handle.
fn allocations() -> MutexGuard<'static, BTreeMap<u64, u64>> {
    static ALLOCATIONS: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());
    ALLOCATIONS.lock().unwrap()
}

/// Allocates by `call`, unless that exceeds the limit.
///
/// # Safety
/// `info` and `handle` must be arguments of `vkAllocateMemory`.
unsafe fn limited(info: *const AllocateInfo, handle: *const u64, call: impl Fn() -> i32) -> i32 {
    const OUT_OF_DEVICE_MEMORY: i32 = -2;
    let limit = std::env::var("MEMORY_LIMIT").ok();
    let limit = limit.map_or(u64::MAX, |bytes| bytes.parse().unwrap());
    let mut allocations = allocations();
    // SAFETY: by the caller.
    let bytes = unsafe { (*info).bytes };
    if allocations.values().sum::<u64>() + bytes > limit {
        return OUT_OF_DEVICE_MEMORY;
    }
    let result = call();
    if result == 0 {
        // SAFETY: by the caller; the call wrote the handle.
        allocations.insert(unsafe { *handle }, bytes);
    }
    result
}

macro_rules! wrappers {
    ($($i:literal)*) => { [$(wrapper::<$i>),*] };
}

const WRAPPERS: [Six; FUNCTIONS.len()] =
    wrappers!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30);

/// `VkLayerInstanceCreateInfo` and `VkLayerDeviceCreateInfo`.
#[repr(C)]
struct LayerCreateInfo {
    structure: i32,
    next: *mut LayerCreateInfo,
    function: i32,
    link: *mut LayerLink,
}

/// `VkLayerInstanceLink` and `VkLayerDeviceLink`.
#[repr(C)]
struct LayerLink {
    next: *mut LayerLink,
    instance: *mut c_void,
    device: *mut c_void,
}

const LOADER_INSTANCE_CREATE_INFO: i32 = 47;
const LOADER_DEVICE_CREATE_INFO: i32 = 48;

/// The next layer, which is then taken off the chain, as a layer must.
///
/// # Safety
/// `info` must be a chain from the loader.
unsafe fn next_layer(info: *const c_void, structure: i32) -> LayerLink {
    let mut at = info.cast_mut().cast::<LayerCreateInfo>();
    unsafe {
        while (*at).structure != structure || (*at).function != 0 {
            at = (*at).next;
        }
        let link = std::ptr::read((*at).link);
        (*at).link = link.next;
        link
    }
}

extern "system" fn create_instance(
    info: *const c_void,
    allocator: *const c_void,
    instance: *mut *mut c_void,
) -> i32 {
    // SAFETY: the loader calls this with its chain.
    unsafe {
        let next = next_layer(info, LOADER_INSTANCE_CREATE_INFO);
        NEXT_INSTANCE.store(next.instance, Relaxed);
        if let Some(result) = hit("CreateInstance") {
            return result;
        }
        let get: GetProcAddr = transmute(next.instance);
        let create: extern "system" fn(*const c_void, *const c_void, *mut *mut c_void) -> i32 =
            transmute(get(null_mut(), c"vkCreateInstance".as_ptr()));
        let result = create(info, allocator, instance);
        INSTANCE.store(*instance, Relaxed);
        result
    }
}

extern "system" fn create_device(
    adapter: *mut c_void,
    info: *const c_void,
    allocator: *const c_void,
    device: *mut *mut c_void,
) -> i32 {
    // SAFETY: the loader calls this with its chain.
    unsafe {
        let next = next_layer(info, LOADER_DEVICE_CREATE_INFO);
        NEXT_DEVICE.store(next.device, Relaxed);
        if let Some(result) = hit("CreateDevice") {
            return result;
        }
        let get: GetProcAddr = transmute(next.instance);
        type Create =
            extern "system" fn(*mut c_void, *const c_void, *const c_void, *mut *mut c_void) -> i32;
        let create: Create = transmute(get(INSTANCE.load(Relaxed), c"vkCreateDevice".as_ptr()));
        let result = create(adapter, info, allocator, device);
        let get: GetProcAddr = transmute(next.device);
        for (function, next) in FUNCTIONS.iter().zip(&NEXT) {
            let name = format!("vk{function}\0");
            next.store(get(*device, name.as_ptr().cast()).cast_mut(), Relaxed);
        }
        result
    }
}

extern "system" fn device_proc_addr(device: *mut c_void, name: *const c_char) -> *const c_void {
    // SAFETY: the loader passes a name that ends with zero, after a device was created.
    unsafe {
        let text = CStr::from_ptr(name).to_str().unwrap_or_default();
        if text == "vkGetDeviceProcAddr" {
            return device_proc_addr as *const c_void;
        }
        let next: GetProcAddr = transmute(NEXT_DEVICE.load(Relaxed));
        let found = next(device, name);
        let own = FUNCTIONS
            .iter()
            .position(|f| text.strip_prefix("vk") == Some(f));
        match own.filter(|_| !found.is_null()) {
            Some(own) => WRAPPERS[own] as *const c_void,
            None => found,
        }
    }
}

extern "system" fn instance_proc_addr(instance: *mut c_void, name: *const c_char) -> *const c_void {
    // SAFETY: the loader passes a name that ends with zero.
    unsafe {
        match CStr::from_ptr(name).to_str().unwrap_or_default() {
            "vkGetInstanceProcAddr" => instance_proc_addr as *const c_void,
            "vkGetDeviceProcAddr" => device_proc_addr as *const c_void,
            "vkCreateInstance" => create_instance as *const c_void,
            "vkCreateDevice" => create_device as *const c_void,
            _ if NEXT_INSTANCE.load(Relaxed).is_null() => std::ptr::null(),
            _ => {
                let next: GetProcAddr = transmute(NEXT_INSTANCE.load(Relaxed));
                next(instance, name)
            }
        }
    }
}

/// `VkNegotiateLayerInterface`.
#[repr(C)]
pub struct Negotiation {
    structure: i32,
    next: *mut c_void,
    version: u32,
    instance: *const c_void,
    device: *const c_void,
    physical_device: *const c_void,
}

/// Gives the loader the functions of the layer.
///
/// # Safety
/// Called by the loader, with a structure of its own.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vkNegotiateLoaderLayerInterfaceVersion(
    negotiation: *mut Negotiation,
) -> i32 {
    let own = unsafe { &mut *negotiation };
    own.version = own.version.min(2);
    own.instance = instance_proc_addr as *const c_void;
    own.device = device_proc_addr as *const c_void;
    own.physical_device = std::ptr::null();
    0
}
