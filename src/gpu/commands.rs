//! The commands of a step, and their encoding.

use super::pipelines::Pipeline;
use crate::shader::TEXTURE_WIDTH;
use std::iter::Peekable;
use std::sync::Arc;

/// A command with all resources that it refers to.
#[derive(Clone)]
pub(super) enum Command {
    Dispatch {
        pipeline: Arc<Pipeline>,
        bind_group: wgpu::BindGroup,
        grid: [u32; 3],
    },
    Copy {
        from: wgpu::Buffer,
        /// Byte offset in `from`, since scalar inputs share a buffer.
        offset: u64,
        to: wgpu::Buffer,
        bytes: u64,
    },
    Fill {
        buffer: wgpu::Buffer,
        texture: wgpu::Texture,
        vec4s: u32,
    },
}

/// Encodes commands in order, in as few compute passes as the copies between them allow.
pub(super) fn encode<'c>(
    encoder: &mut wgpu::CommandEncoder,
    commands: impl Iterator<Item = &'c Command>,
) {
    let mut commands = commands.peekable();
    while let Some(command) = commands.peek() {
        match command {
            Command::Copy {
                from,
                offset,
                to,
                bytes,
            } => encoder.copy_buffer_to_buffer(from, *offset, to, 0, *bytes),
            Command::Fill {
                buffer,
                texture,
                vec4s,
            } => fill(encoder, buffer, texture, *vec4s),
            Command::Dispatch { .. } => {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                dispatch(&mut pass, &mut commands);
                continue;
            }
        }
        commands.next();
    }
}

/// Takes the leading dispatches from `commands` and records them in `pass`.
pub(super) fn dispatch<'c>(
    pass: &mut wgpu::ComputePass<'_>,
    commands: &mut Peekable<impl Iterator<Item = &'c Command>>,
) {
    let mut bound: Option<&Arc<Pipeline>> = None;
    while let Some(Command::Dispatch {
        pipeline,
        bind_group,
        grid,
    }) = commands.next_if(|c| matches!(c, Command::Dispatch { .. }))
    {
        if !bound.is_some_and(|b| Arc::ptr_eq(b, pipeline)) {
            pass.set_pipeline(&pipeline.pipeline);
            bound = Some(pipeline);
        }
        pass.set_bind_group(0, bind_group, &[]);
        pass.dispatch_workgroups(grid[0], grid[1], grid[2]);
    }
}

/// Copies a buffer into its texture view: first whole rows, then the rest.
fn fill(
    encoder: &mut wgpu::CommandEncoder,
    buffer: &wgpu::Buffer,
    texture: &wgpu::Texture,
    vec4s: u32,
) {
    let row_bytes = TEXTURE_WIDTH * 16;
    let (rows, rest) = (vec4s / TEXTURE_WIDTH, vec4s % TEXTURE_WIDTH);
    let mut copy = |row: u32, width: u32, height: u32| {
        if width == 0 || height == 0 {
            return;
        }
        encoder.copy_buffer_to_texture(
            wgpu::TexelCopyBufferInfo {
                buffer,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: u64::from(row) * u64::from(row_bytes),
                    bytes_per_row: Some(row_bytes),
                    rows_per_image: None,
                },
            },
            wgpu::TexelCopyTextureInfo {
                texture,
                mip_level: 0,
                origin: wgpu::Origin3d { x: 0, y: row, z: 0 },
                aspect: wgpu::TextureAspect::All,
            },
            wgpu::Extent3d {
                width,
                height,
                depth_or_array_layers: 1,
            },
        );
    };
    copy(0, TEXTURE_WIDTH, rows);
    copy(rows, rest, 1);
}
