// Runs a network that `wgrad export --web` wrote, through WebGPU. Plain JavaScript, without dependencies.
//
//     const network = await loadNetwork('.');
//     const outputs = await network.run({ input: new Float32Array(28 * 28) });

'use strict';

const KINDS = { uniform: 'uniform', read: 'read-only-storage', write: 'storage' };

async function fetched(url, what) {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(`${what} ${url} can't be read (${response.status}); serve the whole folder`);
  }
  return response;
}

// The network in the folder at `base`. `progress` is told how many kernels are ready, of how many.
export async function loadNetwork(base, progress = () => {}) {
  if (!navigator.gpu) {
    throw new Error('this browser has no WebGPU, or the page is not served by https or from this machine');
  }
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) {
    throw new Error('this browser has WebGPU, but no GPU that it may use');
  }
  const device = await adapter.requestDevice();
  const description = await (await fetched(`${base}/network.json`, 'the network')).json();
  if (description.format !== 1) {
    throw new Error(`the network has format ${description.format}, and this page reads format 1`);
  }
  const weights = await (await fetched(`${base}/weights.bin`, 'the weights')).arrayBuffer();
  if (weights.byteLength !== description.weights) {
    throw new Error(`weights.bin has ${weights.byteLength} of ${description.weights} bytes; copy it again`);
  }
  return new WebNetwork(device, adapter, description, weights).compile(base, progress);
}

class WebNetwork {
  constructor(device, adapter, description, weights) {
    this.device = device;
    this.adapter = adapter;
    this.description = description;
    const plan = description.plan;
    const { STORAGE, UNIFORM, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    this.buffers = plan.buffers.map(({ bytes, weights: start }) => {
      const buffer = device.createBuffer({ size: bytes, usage: STORAGE | UNIFORM | COPY_SRC | COPY_DST });
      if (start !== undefined) {
        device.queue.writeBuffer(buffer, 0, weights, start, bytes);
      }
      return buffer;
    });
    this.readback = {};
    for (const [name, { buffer }] of Object.entries(plan.outputs)) {
      const size = plan.buffers[buffer].bytes;
      this.readback[name] = device.createBuffer({ size, usage: COPY_DST | MAP_READ });
    }
  }

  async compile(base, progress) {
    const { device, description: { plan } } = this;
    let ready = 0;
    progress(0, plan.pipelines.length);
    this.pipelines = await Promise.all(plan.pipelines.map(async ({ file, constants, bindings }) => {
      const code = await (await fetched(`${base}/${file}`, 'the kernel')).text();
      const layout = device.createBindGroupLayout({
        entries: Object.entries(bindings).map(([binding, kind]) => ({
          binding: Number(binding),
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: KINDS[kind] },
        })),
      });
      const pipeline = await device.createComputePipelineAsync({
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module: device.createShaderModule({ label: file, code }), entryPoint: 'main', constants },
      });
      ready += 1;
      progress(ready, plan.pipelines.length);
      return { layout, pipeline };
    }));
    this.bindParameters();
    return this;
  }

  // The parameters of all launches in one buffer, and the bind groups.
  bindParameters() {
    const { device, description: { plan } } = this;
    const align = device.limits.minUniformBufferOffsetAlignment;
    const launches = plan.steps.filter((step) => step.params);
    let size = 0;
    const offsets = launches.map(({ params: [, bits] }) => {
      const offset = size;
      size += Math.ceil((bits.length * 4) / align) * align;
      return offset;
    });
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    const parameters = device.createBuffer({ size: Math.max(size, align), usage });
    this.groups = launches.map(({ pipeline, buffers, params: [number, bits] }, at) => {
      device.queue.writeBuffer(parameters, offsets[at], new Uint32Array(bits));
      const entries = Object.entries(buffers).map(([binding, buffer]) => ({
        binding: Number(binding),
        resource: { buffer: this.buffers[buffer] },
      }));
      const own = { buffer: parameters, offset: offsets[at], size: bits.length * 4 };
      entries.push({ binding: number, resource: own });
      return device.createBindGroup({ layout: this.pipelines[pipeline].layout, entries });
    });
  }

  // Computes the outputs, by name, for arrays of the inputs, by name.
  async run(inputs) {
    const { device, description: { plan } } = this;
    for (const [name, { buffer, shape }] of Object.entries(plan.inputs)) {
      const count = shape.reduce((product, extent) => product * extent, 1);
      if (!inputs[name] || inputs[name].length !== count) {
        throw new Error(`the input ${name} takes ${count} numbers`);
      }
      device.queue.writeBuffer(this.buffers[buffer], 0, inputs[name]);
    }
    const encoder = device.createCommandEncoder();
    let pass = null;
    let launch = 0;
    for (const step of plan.steps) {
      if (step.copy) {
        pass?.end();
        pass = null;
        encoder.copyBufferToBuffer(this.buffers[step.copy[0]], 0, this.buffers[step.copy[1]], 0, step.bytes);
        continue;
      }
      pass ??= encoder.beginComputePass();
      pass.setPipeline(this.pipelines[step.pipeline].pipeline);
      pass.setBindGroup(0, this.groups[launch]);
      pass.dispatchWorkgroups(...step.grid);
      launch += 1;
    }
    pass?.end();
    for (const [name, { buffer }] of Object.entries(plan.outputs)) {
      encoder.copyBufferToBuffer(this.buffers[buffer], 0, this.readback[name], 0, this.readback[name].size);
    }
    device.queue.submit([encoder.finish()]);
    const outputs = {};
    for (const [name, { shape }] of Object.entries(plan.outputs)) {
      const readback = this.readback[name];
      await readback.mapAsync(GPUMapMode.READ);
      const count = shape.reduce((product, extent) => product * extent, 1);
      outputs[name] = new Float32Array(readback.getMappedRange().slice(0, count * 4));
      readback.unmap();
    }
    return outputs;
  }
}
