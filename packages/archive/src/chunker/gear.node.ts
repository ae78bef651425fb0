import { readFileSync } from 'node:fs';

import { hkdfExpand } from '../crypto/derive.node.ts';
import { Chunker } from './chunker.ts';

type GearModule = {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly tableOffset: { readonly value: number };
  readonly arenaOffset: { readonly value: number };
  readonly arenaBytes: { readonly value: number };
  readonly maxBytes: { readonly value: number };
  readonly prepare: () => void;
  readonly restart: () => void;
  readonly cut: (start: number, availableBytes: number, hardBytes: number) => number;
};

// Neither the language's library nor Node's types describe it.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

let compiled: object | undefined;

/** The table of chunker 1 for a chunking key of 32 bytes: 256 little-endian u64. */
export function deriveGearTable(chunkingKey: Uint8Array): Uint8Array<ArrayBuffer> {
  return hkdfExpand(chunkingKey, 'holdfast v1 gear table', 2048);
}

/**
 * Chunker 1: keyed 64-bit Gear with normalised chunking, pieces of 64 KiB to 1 MiB.
 *
 * The same bytes and key always cut at the same places; another key cuts elsewhere, so that piece sizes do not say
 * which file they come from. Each instance has its own WebAssembly memory of 2.1 MiB, which never grows.
 *
 * Source: Xia et al., "FastCDC", USENIX ATC 2016, normalised chunking level 2. Bytes: docs/formats/archive-v1.md section 12.
 */
export function createGearChunker(chunkingKey: Uint8Array): Chunker {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('gear.wasm', import.meta.url)));
  const gear = new WebAssembly.Instance(compiled).exports as GearModule;
  new Uint8Array(gear.memory.buffer, gear.tableOffset.value, 2048).set(deriveGearTable(chunkingKey));
  gear.prepare();
  return new Chunker({
    arena: new Uint8Array(gear.memory.buffer, gear.arenaOffset.value, gear.arenaBytes.value),
    maxBytes: gear.maxBytes.value,
    restart: gear.restart,
    cut: gear.cut,
  });
}
