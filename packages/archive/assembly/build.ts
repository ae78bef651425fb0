/**
 * Compiles `gear.as.ts` to `src/chunker/gear.wasm`, which is checked in so that nobody needs the compiler to run.
 *
 * Beside it stands `gear.wasm.sha256`: what it was made from and what came out. A unit test fails when either is stale.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const sourceUrl = new URL('gear.as.ts', import.meta.url);
const wasmUrl = new URL('../src/chunker/gear.wasm', import.meta.url);
const hashUrl = new URL('../src/chunker/gear.wasm.sha256', import.meta.url);

// 33 pages of 64 KiB: the tables, then the arena.
const flags = [
  '-O3',
  '--converge',
  '--noAssert',
  '--runtime',
  'stub',
  '--initialMemory',
  '33',
  '--maximumMemory',
  '33',
] as const;

/** SHA-256, in hex, of the source, the compiler's version and its flags. */
export function gearSourceHash(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    readonly devDependencies: Readonly<Record<string, string>>;
  };
  const compiler = `assemblyscript ${manifest.devDependencies['assemblyscript']}`;
  return createHash('sha256')
    .update(`${compiler}\n${flags.join(' ')}\n`)
    .update(readFileSync(sourceUrl))
    .digest('hex');
}

/** The module `gear.as.ts` compiles to now; the same bytes on every machine. */
export async function compileGear(): Promise<Uint8Array> {
  const { default: asc } = await import('assemblyscript/asc');
  let wasm: Uint8Array | undefined;
  const source = readFileSync(sourceUrl, 'utf8');
  const { error } = await asc.main(['gear.as.ts', ...flags, '--outFile', 'gear.wasm'], {
    readFile: (name: string) => (name === 'gear.as.ts' ? source : null),
    writeFile: (name: string, contents: Uint8Array | string) => {
      if (name === 'gear.wasm' && typeof contents !== 'string') wasm = contents;
    },
    listFiles: () => [],
    stderr: process.stderr,
  });
  if (error ?? !wasm) throw new Error('the AssemblyScript compiler failed', { cause: error });
  return wasm;
}

/** What `gear.wasm.sha256` says when `wasm` is what the source compiles to. */
export function gearHashFile(wasm: Uint8Array): string {
  return `source ${gearSourceHash()}\nmodule ${createHash('sha256').update(wasm).digest('hex')}\n`;
}

if (import.meta.main) {
  const wasm = await compileGear();
  writeFileSync(wasmUrl, wasm);
  writeFileSync(hashUrl, gearHashFile(wasm));
  console.log(`${fileURLToPath(wasmUrl)}: ${wasm.length} bytes`);
}
